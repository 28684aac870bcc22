package neutron

import (
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

type extension struct{ alias, name, description, updated string }

// extensions are those of Neutron whose every part works here; aliases, names and dates are Neutron's. Fields of others
// (port security, DNS, …) are on the objects for clients that expect them, with the values that hold.
var extensions = []extension{
	{"binding", "Port Binding", "Tells what a port is bound to.", "2014-02-03T10:00:00-00:00"},
	{"empty-string-filtering", "Empty String Filtering Extension", "Lists can be filtered by an empty value.", "2018-05-01T10:00:00-00:00"},
	{"expose-port-forwarding-in-fip", "Expose Port Forwarding(s) in Floating IP", "Floating IPs show their port forwardings.", "2019-02-21T10:00:00-00:00"},
	{"ext-gw-mode", "Neutron L3 Configurable external gateway mode", "SNAT of routers can be switched off.", "2013-03-28T10:00:00-00:00"},
	{"extraroute", "Neutron Extra Route", "Routers have static routes.", "2013-02-01T10:00:00-00:00"},
	{"extraroute-atomic", "Atomically add/remove extra routes", "Static routes can be added and removed one by one.", "2019-07-10T00:00:00+00:00"},
	{"filter-validation", "Filter parameters validation", "A filter by an unknown field is refused.", "2018-03-21T10:00:00-00:00"},
	{"fip-port-details", "Floating IP Port Details Extension", "Floating IPs show the port they lead to.", "2018-04-09T10:00:00-00:00"},
	{"floating-ip-port-forwarding", "Floating IP Port Forwarding", "Single ports of floating IPs lead to ports of machines.", "2018-01-19T10:00:00-00:00"},
	{"floating-ip-port-forwarding-description", "Floating IP Port Forwarding support description", "Port forwardings have descriptions.", "2019-07-24T15:56:00-00:00"},
	{"floating-ip-port-forwarding-port-ranges", "Floating IP Port Forwarding support range ports", "Port forwardings have ranges of ports.", "2020-07-30T15:56:00-00:00"},
	{"floatingip-pools", "Floating IP Pools Extension", "Tells which subnets floating IPs come from.", "2018-02-20T10:00:00-00:00"},
	{"ip-substring-filtering", "IP address substring filtering", "Ports can be filtered by a part of an address.", "2017-11-28T09:00:00-00:00"},
	{"net-mtu", "Network MTU", "Tells the MTU of a network.", "2015-03-25T10:00:00-00:00"},
	{"pagination", "Pagination support", "Lists can be read in pages.", "2016-06-12T00:00:00-00:00"},
	{"project-id", "project_id field enabled", "Objects have project_id beside tenant_id.", "2016-09-09T09:09:09-09:09"},
	{"provider", "Provider Network", "Tells admins the wire of a network.", "2012-09-07T10:00:00-00:00"},
	{"quota_details", "Quota details management support", "Tells the use of each limit.", "2017-02-10T10:00:00-00:00"},
	{"quotas", "Quota management support", "Limits of each project.", "2012-07-29T10:00:00-00:00"},
	{"revision-if-match", "If-Match constraints based on revision_number", "Changes can depend on a revision.", "2016-12-11T00:00:00-00:00"},
	{"router", "Neutron L3 Router", "Networks are joined by routers; floating IPs lead to ports.", "2012-07-20T10:00:00-00:00"},
	{"router_availability_zone", "Router Availability Zone", "Routers are in availability zones.", "2015-01-01T10:00:00-00:00"},
	{"sorting", "Sorting support", "Lists can be sorted.", "2016-06-12T00:00:00-00:00"},
	{"standard-attr-description", "standard-attr-description", "Objects have descriptions.", "2016-02-10T10:00:00-00:00"},
	{"standard-attr-revisions", "Resource revision numbers", "Objects count their changes.", "2016-04-11T10:00:00-00:00"},
	{"standard-attr-tag", "Tag support for resources with standard attribute: network, port, subnet", "Objects have tags.", "2017-01-01T00:00:00-00:00"},
	{"standard-attr-timestamp", "Resource timestamps", "Objects tell when they were made and changed.", "2016-09-12T10:00:00-00:00"},
	{"tag-ports-during-bulk-creation", "Tag Ports During Bulk Creation", "Ports can be made with tags.", "2019-12-29T19:00:00-00:00"},
}

func (e extension) object() object {
	return object{"alias": e.alias, "name": e.name, "description": e.description, "updated": e.updated, "links": []any{}}
}

func listExtensions(*osapi.Request) (any, error) {
	list := []any{}
	for _, e := range extensions {
		list = append(list, e.object())
	}
	return object{"extensions": list}, nil
}

func showExtension(r *osapi.Request) (any, error) {
	for _, e := range extensions {
		if e.alias == r.Path("alias") {
			return object{"extension": e.object()}, nil
		}
	}
	return nil, fault.New(fault.NotFound, "Extension with alias %s does not exist", r.Path("alias"))
}
