package neutron

import (
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

type extension struct{ alias, name, description, updated string }

// extensions are those of Neutron whose every part works here; aliases, names and dates are Neutron's. Fields of others
// (port security, DNS, …) are on the objects for clients that expect them, with the values that hold.
var extensions = []extension{
	{"address-group", "Address group", "Lists of addresses that security group rules name.", "2020-07-15T10:00:00-00:00"},
	{"binding", "Port Binding", "Tells what a port is bound to.", "2014-02-03T10:00:00-00:00"},
	{"empty-string-filtering", "Empty String Filtering Extension", "Lists can be filtered by an empty value.", "2018-05-01T10:00:00-00:00"},
	{"filter-validation", "Filter parameters validation", "A filter by an unknown field is refused.", "2018-03-21T10:00:00-00:00"},
	{"ip-substring-filtering", "IP address substring filtering", "Ports can be filtered by a part of an address.", "2017-11-28T09:00:00-00:00"},
	{"net-mtu", "Network MTU", "Tells the MTU of a network.", "2015-03-25T10:00:00-00:00"},
	{"pagination", "Pagination support", "Lists can be read in pages.", "2016-06-12T00:00:00-00:00"},
	{"project-id", "project_id field enabled", "Objects have project_id beside tenant_id.", "2016-09-09T09:09:09-09:09"},
	{"provider", "Provider Network", "Tells admins the wire of a network.", "2012-09-07T10:00:00-00:00"},
	{"qos", "Quality of Service", "Policies with rules for bandwidth and marking.", "2015-06-08T10:00:00-00:00"},
	{"qos-bw-limit-direction", "Direction for QoS bandwidth limit rule", "Bandwidth limits have a direction.", "2017-04-10T10:00:00-00:00"},
	{"qos-default", "QoS default policy", "A project may have a default policy.", "2017-04-06T10:00:00-00:00"},
	{"qos-rule-type-details", "Details of QoS rule types", "Tells what a rule type's fields may be.", "2017-06-22T10:00:00-00:00"},
	{"qos-rules-alias", "Ability to modify QoS rules by ID", "Rules are found without their policy.", "2018-11-07T10:00:00-00:00"},
	{"quota_details", "Quota details management support", "Tells the use of each limit.", "2017-02-10T10:00:00-00:00"},
	{"quotas", "Quota management support", "Limits of each project.", "2012-07-29T10:00:00-00:00"},
	{"revision-if-match", "If-Match constraints based on revision_number", "Changes can depend on a revision.", "2016-12-11T00:00:00-00:00"},
	{"security-group", "security-group", "Security groups and their rules.", "2012-10-05T10:00:00-00:00"},
	{"security-groups-normalized-cidr", "Normalized CIDR field for security group rules", "Tells what a rule's prefix means.", "2020-08-22T10:00:00-00:00"},
	{"security-groups-remote-address-group", "Remote address group id field for security group rules", "Rules can name address groups.", "2020-08-25T10:00:00-00:00"},
	{"security-groups-rules-belongs-to-default-sg", "Security group rules belonging to the project's default security group", "Rules tell whether they are the default group's.", "2022-08-16T10:00:00-00:00"},
	{"security-groups-shared-filtering", "Security group filtering on the shared field", "Security groups can be filtered by whether they are shared.", "2021-10-05T09:00:00-00:00"},
	{"sorting", "Sorting support", "Lists can be sorted.", "2016-06-12T00:00:00-00:00"},
	{"standard-attr-description", "standard-attr-description", "Objects have descriptions.", "2016-02-10T10:00:00-00:00"},
	{"standard-attr-revisions", "Resource revision numbers", "Objects count their changes.", "2016-04-11T10:00:00-00:00"},
	{"standard-attr-tag", "Tag support for resources with standard attribute: network, port, subnet", "Objects have tags.", "2017-01-01T00:00:00-00:00"},
	{"standard-attr-timestamp", "Resource timestamps", "Objects tell when they were made and changed.", "2016-09-12T10:00:00-00:00"},
	{"stateful-security-group", "Stateful security group", "Security groups can be stateless.", "2019-11-26T09:00:00-00:00"},
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
