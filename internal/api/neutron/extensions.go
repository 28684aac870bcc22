package neutron

import (
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

type extension struct{ alias, name, description, updated string }

// extensions are those of Neutron whose every part works here; aliases, names and dates are Neutron's. Fields of others
// are on the objects for clients that expect them, with the values that hold.
var extensions = []extension{
	{"address-group", "Address group", "Lists of addresses that security group rules name.", "2020-07-15T10:00:00-00:00"},
	{"address-scope", "Address scope", "Prefixes that are unique within a scope.", "2015-07-26T10:00:00-00:00"},
	{"allowed-address-pairs", "Allowed Address Pairs", "Sources that a port may use beside its own.", "2013-07-23T10:00:00-00:00"},
	{"availability_zone", "Availability Zone", "Lists the availability zones.", "2015-01-01T10:00:00-00:00"},
	{"availability_zone_filter", "Availability Zone Filter Extension", "Zones can be filtered.", "2018-06-22T10:00:00-00:00"},
	{"binding", "Port Binding", "Tells what a port is bound to.", "2014-02-03T10:00:00-00:00"},
	{"default-subnetpools", "Default Subnetpools", "A subnet pool can be the default one.", "2016-02-18T18:00:00-00:00"},
	{"dns-integration", "DNS Integration", "Ports have names.", "2015-08-15T18:00:00-00:00"},
	{"empty-string-filtering", "Empty String Filtering Extension", "Lists can be filtered by an empty value.", "2018-05-01T10:00:00-00:00"},
	{"expose-port-forwarding-in-fip", "Expose Port Forwarding(s) in Floating IP", "Floating IPs show their port forwardings.", "2019-02-21T10:00:00-00:00"},
	{"ext-gw-mode", "Neutron L3 Configurable external gateway mode", "SNAT of routers can be switched off.", "2013-03-28T10:00:00-00:00"},
	{"external-net", "Neutron external network", "Networks can be external.", "2013-01-14T10:00:00-00:00"},
	{"extra_dhcp_opt", "Neutron Extra DHCP options", "DHCP options of a single port.", "2013-03-17T12:00:00-00:00"},
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
	{"net-mtu-writable", "Network MTU (writable)", "The MTU of a network can be chosen.", "2017-07-12T00:00:00-00:00"},
	{"network-ip-availability", "Network IP Availability", "Tells how full a network is.", "2015-09-24T00:00:00-00:00"},
	{"network_availability_zone", "Network Availability Zone", "Networks are in availability zones.", "2015-01-01T10:00:00-00:00"},
	{"pagination", "Pagination support", "Lists can be read in pages.", "2016-06-12T00:00:00-00:00"},
	{"port-security", "Port Security", "Ports can be guarded against spoofing.", "2012-07-23T10:00:00-00:00"},
	{"project-id", "project_id field enabled", "Objects have project_id beside tenant_id.", "2016-09-09T09:09:09-09:09"},
	{"provider", "Provider Network", "Tells admins the wire of a network.", "2012-09-07T10:00:00-00:00"},
	{"qos", "Quality of Service", "Policies with rules for bandwidth and marking.", "2015-06-08T10:00:00-00:00"},
	{"qos-bw-limit-direction", "Direction for QoS bandwidth limit rule", "Bandwidth limits have a direction.", "2017-04-10T10:00:00-00:00"},
	{"qos-default", "QoS default policy", "A project may have a default policy.", "2017-04-06T10:00:00-00:00"},
	{"qos-fip", "QoS of floating IPs", "Floating IPs can name policies.", "2017-07-20T00:00:00-00:00"},
	{"qos-rule-type-details", "Details of QoS rule types", "Tells what a rule type's fields may be.", "2017-06-22T10:00:00-00:00"},
	{"qos-rules-alias", "Ability to modify QoS rules by ID", "Rules are found without their policy.", "2018-11-07T10:00:00-00:00"},
	{"quota_details", "Quota details management support", "Tells the use of each limit.", "2017-02-10T10:00:00-00:00"},
	{"quotas", "Quota management support", "Limits of each project.", "2012-07-29T10:00:00-00:00"},
	{"rbac-address-group", "Address group RBAC", "Address groups can be shared with single projects.", "2021-03-24T00:00:00-00:00"},
	{"rbac-address-scope", "Address scope RBAC", "Address scopes can be shared with single projects.", "2020-04-01T00:00:00-00:00"},
	{"rbac-policies", "RBAC Policies", "Things can be shared with single projects.", "2015-06-17T12:15:12-00:00"},
	{"rbac-security-groups", "Security group RBAC", "Security groups can be shared with single projects.", "2018-10-26T00:00:00-00:00"},
	{"rbac-subnetpool", "Subnetpool RBAC", "Subnet pools can be shared with single projects.", "2020-02-17T00:00:00-00:00"},
	{"revision-if-match", "If-Match constraints based on revision_number", "Changes can depend on a revision.", "2016-12-11T00:00:00-00:00"},
	{"router", "Neutron L3 Router", "Networks are joined by routers; floating IPs lead to ports.", "2012-07-20T10:00:00-00:00"},
	{"router_availability_zone", "Router Availability Zone", "Routers are in availability zones.", "2015-01-01T10:00:00-00:00"},
	{"security-group", "security-group", "Security groups and their rules.", "2012-10-05T10:00:00-00:00"},
	{"security-groups-default-rules", "Default rules for security groups", "Operators say which rules new groups begin with.", "2022-12-19T10:00:00-00:00"},
	{"security-groups-normalized-cidr", "Normalized CIDR field for security group rules", "Tells what a rule's prefix means.", "2020-08-22T10:00:00-00:00"},
	{"security-groups-remote-address-group", "Remote address group id field for security group rules", "Rules can name address groups.", "2020-08-25T10:00:00-00:00"},
	{"security-groups-rules-belongs-to-default-sg", "Security group rules belonging to the project's default security group", "Rules tell whether they are the default group's.", "2022-08-16T10:00:00-00:00"},
	{"security-groups-shared-filtering", "Security group filtering on the shared field", "Security groups can be filtered by whether they are shared.", "2021-10-05T09:00:00-00:00"},
	{"service-type", "Neutron Service Type Management", "Tells who provides services such as routing.", "2013-01-20T00:00:00-00:00"},
	{"sorting", "Sorting support", "Lists can be sorted.", "2016-06-12T00:00:00-00:00"},
	{"standard-attr-description", "standard-attr-description", "Objects have descriptions.", "2016-02-10T10:00:00-00:00"},
	{"standard-attr-revisions", "Resource revision numbers", "Objects count their changes.", "2016-04-11T10:00:00-00:00"},
	{"standard-attr-tag", "Tag support for resources with standard attribute: floatingip, network, policy, port, router, security_group, subnet, subnetpool, trunk", "Objects have tags.", "2017-01-01T00:00:00-00:00"},
	{"standard-attr-timestamp", "Resource timestamps", "Objects tell when they were made and changed.", "2016-09-12T10:00:00-00:00"},
	{"stateful-security-group", "Stateful security group", "Security groups can be stateless.", "2019-11-26T09:00:00-00:00"},
	{"subnet-service-types", "Subnet service types", "A subnet can be for ports of some device owners only.", "2016-03-15T18:00:00-00:00"},
	{"subnet_allocation", "Subnet Allocation", "Subnets are cut from subnet pools.", "2015-03-30T10:00:00-00:00"},
	{"subnetpool-prefix-ops", "Subnet Pool Prefix Operations", "Prefixes can be added to a subnet pool and removed.", "2020-02-13T00:00:00-00:00"},
	{"tag-ports-during-bulk-creation", "Tag Ports During Bulk Creation", "Ports can be made with tags.", "2019-12-29T19:00:00-00:00"},
	{"trunk", "Trunk Extension", "Ports that carry several networks.", "2016-01-01T10:00:00-00:00"},
	{"trunk-details", "Trunk port details", "Parents tell what they carry.", "2016-01-01T10:00:00-00:00"},
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
