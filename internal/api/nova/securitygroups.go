package nova

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

// groupNamed is the id of a project's security group, by its name or id. The name goes first; several groups of one name
// are a Conflict.
func (a *api) groupNamed(r *osapi.Request, project, name string) (string, error) {
	if err := a.Groups.EnsureDefault(r.Context(), a.DB, project); err != nil {
		return "", err
	}
	all, err := a.Groups.Groups(r.Context(), a.DB, securitygroup.Viewer{Project: project}, securitygroup.Filter{})
	if err != nil {
		return "", err
	}
	id, named := "", 0
	for _, g := range all {
		if g.Name == name {
			id = g.ID
			named++
		}
	}
	switch {
	case named > 1:
		return "", fault.New(fault.Conflict, "Multiple security groups found matching '%s'. Use an ID to be more specific.", clip(name))
	case named == 1:
		return id, nil
	case slices.ContainsFunc(all, func(g *securitygroup.Group) bool { return g.ID == name }):
		return name, nil
	}
	return "", fault.New(fault.NotFound, "Security group %s not found for project %s.", clip(name), project)
}

// requestedGroups are the ids of the groups that a new server's ports are to be in; nil: the default group, wherever a
// network has any.
func (a *api) requestedGroups(r *osapi.Request, asked []object) ([]string, error) {
	var ids []string
	for _, group := range asked {
		name, ok := group["name"].(string)
		if !ok || len(group) != 1 || name == "" {
			return nil, invalid("security_groups", group, "It is an object with a name.")
		}
		if len(asked) == 1 && name == securitygroup.Default {
			return nil, nil
		}
		id, err := a.groupNamed(r, r.Caller.ProjectID, name)
		if fault.Is(err, fault.NotFound) {
			return nil, fault.Wrap(err, fault.Invalid, "%s", fault.Message(err))
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (a *api) addSecurityGroup(r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (any, error) {
	group, err := a.groupOfAction(r, i, arguments)
	if err != nil {
		return nil, err
	}
	return accepted(a.Instances.AddSecurityGroup(r.Context(), writer(r), i.ID, group))
}

func (a *api) removeSecurityGroup(r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (any, error) {
	group, err := a.groupOfAction(r, i, arguments)
	if err != nil {
		return nil, err
	}
	return accepted(a.Instances.RemoveSecurityGroup(r.Context(), writer(r), i.ID, group))
}

func (a *api) groupOfAction(r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (string, error) {
	var to struct {
		Name string `json:"name"`
	}
	if err := osapi.Strict(arguments, &to); err != nil {
		return "", err
	}
	if strings.TrimSpace(to.Name) == "" {
		return "", missing("name")
	}
	return a.groupNamed(r, i.Project, to.Name)
}

// securityGroupsOf are the groups that the path's server is in.
func (a *api) securityGroupsOf(r *osapi.Request) (any, error) {
	_, ports, err := a.ports(r)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, p := range ports {
		ids = append(ids, p.Groups...)
	}
	if len(ids) == 0 {
		return object{"security_groups": []object{}}, nil
	}
	groups, err := a.Groups.Groups(r.Context(), a.DB, securitygroup.Everything, securitygroup.Filter{IDs: ids})
	if err != nil {
		return nil, err
	}
	shown, err := a.securityGroupViews(r, groups)
	return object{"security_groups": shown}, err
}

// Until 2.35 Nova passes security groups on to the network, in a form of its own: rules are those for what comes in, and
// whatever is in the way is a bad request.

func (a *api) securityGroupViews(r *osapi.Request, groups []*securitygroup.Group) ([]object, error) {
	var remotes []string
	for _, g := range groups {
		for _, rule := range g.Rules {
			if rule.RemoteGroup != "" {
				remotes = append(remotes, rule.RemoteGroup)
			}
		}
	}
	names := map[string]object{}
	if len(remotes) > 0 {
		found, err := a.Groups.Groups(r.Context(), a.DB, securitygroup.Everything, securitygroup.Filter{IDs: remotes})
		if err != nil {
			return nil, err
		}
		for _, g := range found {
			names[g.ID] = object{"name": g.Name, "tenant_id": g.Project}
		}
	}
	slices.SortStableFunc(groups, func(a, b *securitygroup.Group) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Name, b.Name))
	})
	shown := make([]object, len(groups))
	for n, g := range groups {
		rules := []object{}
		for _, rule := range g.Rules {
			if !rule.Egress {
				rules = append(rules, securityRuleView(rule, names[rule.RemoteGroup]))
			}
		}
		shown[n] = object{"id": g.ID, "name": g.Name, "description": g.Description, "tenant_id": g.Project, "rules": rules}
	}
	return shown, nil
}

func securityRuleView(rule *securitygroup.Rule, remote object) object {
	protocol := strings.ToLower(rule.Spelling)
	from, to := rule.First, rule.Last
	if from == securitygroup.None && to == securitygroup.None && (protocol == "tcp" || protocol == "udp") {
		from, to = 1, 65535
	}
	shown := object{
		"id": rule.ID, "parent_group_id": rule.Group, "ip_protocol": null(protocol), "from_port": from, "to_port": to, "group": object{}, "ip_range": object{},
	}
	switch {
	case remote != nil:
		shown["group"] = remote
	case rule.RemoteCIDR.IsValid():
		shown["ip_range"] = object{"cidr": rule.RemoteCIDR.String()}
	default:
		shown["ip_range"] = object{"cidr": anywhere(rule.Version)}
	}
	if protocol == "" {
		shown["from_port"], shown["to_port"] = nil, nil
	}
	return shown
}

func anywhere(version int) string {
	if version == 6 {
		return "::/0"
	}
	return "0.0.0.0/0"
}

// inTheWay makes a bad request of what is a conflict for the network.
func inTheWay(err error) error {
	if fault.Is(err, fault.Conflict) {
		return fault.Wrap(err, fault.Invalid, "%s", fault.Message(err))
	}
	return err
}

func (a *api) listSecurityGroups(r *osapi.Request) (any, error) {
	q := r.Query()
	limit, offset, viewer := q.Int("limit", 1000), q.Int("offset", 0), ofProject(r)
	if q.Bool("all_tenants", false) && r.Caller.ReadsAll() {
		viewer.All = true
	}
	if err := q.Err(); err != nil {
		return nil, err
	}
	if r.Caller.ProjectID != "" {
		if err := a.Groups.EnsureDefault(r.Context(), a.DB, r.Caller.ProjectID); err != nil {
			return nil, err
		}
	}
	groups, err := a.Groups.Groups(r.Context(), a.DB, viewer, securitygroup.Filter{})
	if err != nil {
		return nil, err
	}
	groups = groups[min(offset, len(groups)):]
	shown, err := a.securityGroupViews(r, groups[:min(limit, len(groups))])
	return object{"security_groups": shown}, err
}

// securityGroup is the one of the path.
func (a *api) securityGroup(r *osapi.Request, q db.Querier, id string) (*securitygroup.Group, error) {
	if checkUUID("id", id) != nil {
		return nil, fault.New(fault.Invalid, "Security group id should be uuid")
	}
	viewer := ofProject(r)
	viewer.All = r.Caller.IsAdmin()
	return a.Groups.Group(r.Context(), q, viewer, id)
}

func (a *api) showSecurityGroup(r *osapi.Request) (any, error) {
	g, err := a.securityGroup(r, a.DB, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return a.oneSecurityGroup(r, g)
}

func (a *api) oneSecurityGroup(r *osapi.Request, g *securitygroup.Group) (any, error) {
	shown, err := a.securityGroupViews(r, []*securitygroup.Group{g})
	if err != nil {
		return nil, err
	}
	return object{"security_group": shown[0]}, nil
}

type securityGroupBody struct {
	Group struct {
		Name        *string `json:"name"`
		Description *string `json:"description"`
	} `json:"security_group"`
}

func (b *securityGroupBody) read(r *osapi.Request) error {
	if err := decode(r, b, "security_group", nil); err != nil {
		return err
	}
	for field, text := range map[string]*string{"name": b.Group.Name, "description": b.Group.Description} {
		switch {
		case text == nil:
			return fault.New(fault.Invalid, "Security group %s is not a string or unicode", field)
		case field == "name" && strings.TrimSpace(*text) == "":
			return fault.New(fault.Invalid, "Security group name cannot be empty.")
		case len(*text) > 255:
			return fault.New(fault.Invalid, "Security group %s should not be greater than 255 characters.", field)
		}
	}
	return nil
}

func (a *api) createSecurityGroup(r *osapi.Request) (any, error) {
	var body securityGroupBody
	if err := body.read(r); err != nil {
		return nil, err
	}
	var made *securitygroup.Group
	err := a.DB.Tx(r.Context(), func(tx *db.Tx) (err error) {
		made, err = a.Groups.CreateGroup(r.Context(), tx, securitygroup.NewGroup{Project: r.Caller.ProjectID, Name: *body.Group.Name, Description: *body.Group.Description})
		return err
	})
	if err != nil {
		return nil, inTheWay(err)
	}
	return a.oneSecurityGroup(r, made)
}

func (a *api) updateSecurityGroup(r *osapi.Request) (any, error) {
	var body securityGroupBody
	if err := body.read(r); err != nil {
		return nil, err
	}
	var changed *securitygroup.Group
	err := a.DB.Tx(r.Context(), func(tx *db.Tx) error {
		g, err := a.securityGroup(r, tx, r.Path("id"))
		if err != nil {
			return err
		}
		changed, err = a.Groups.ChangeGroup(r.Context(), tx, g.ID, securitygroup.GroupChange{Name: body.Group.Name, Description: body.Group.Description})
		return err
	})
	if err != nil {
		return nil, inTheWay(err)
	}
	return a.oneSecurityGroup(r, changed)
}

func (a *api) deleteSecurityGroup(r *osapi.Request) (any, error) {
	return nil, inTheWay(a.DB.Tx(r.Context(), func(tx *db.Tx) error {
		g, err := a.securityGroup(r, tx, r.Path("id"))
		if err != nil {
			return err
		}
		return a.Groups.DeleteGroup(r.Context(), tx, g.ID, false)
	}))
}

// nameless is what DELETE says without an id.
func nameless(*osapi.Request) (any, error) {
	return nil, fault.New(fault.NotFound, "The resource could not be found.")
}

// securityRuleBody is a rule for what comes in. Ports may be digits in a string; -1 is any.
type securityRuleBody struct {
	Rule struct {
		Parent   ref        `json:"parent_group_id"`
		Protocol *ref       `json:"ip_protocol"`
		From     *osapi.Int `json:"from_port"`
		To       *osapi.Int `json:"to_port"`
		CIDR     *string    `json:"cidr"`
		Group    *ref       `json:"group_id"`
	} `json:"security_group_rule"`
}

func (b *securityRuleBody) spec() (spec securitygroup.NewRule, err error) {
	rule := b.Rule
	spec = securitygroup.NewRule{Group: string(rule.Parent), Version: 4}
	switch {
	case rule.Group != nil:
		if spec.RemoteGroup = string(*rule.Group); checkUUID("group_id", spec.RemoteGroup) != nil {
			return spec, fault.New(fault.Invalid, "Security group id should be uuid")
		}
	case rule.CIDR != nil && *rule.CIDR != "":
		if spec.RemoteCIDR, err = prefixOf(*rule.CIDR); err != nil {
			return spec, fault.New(fault.Invalid, "Invalid cidr %s.", clip(*rule.CIDR))
		}
		if spec.RemoteCIDR.Addr().Is6() {
			spec.Version = 6
		}
	}
	if rule.Protocol == nil || rule.From == nil || rule.To == nil {
		if spec.RemoteGroup == "" {
			return spec, fault.New(fault.Invalid, "Not enough parameters to build a valid rule.")
		}
		if rule.Protocol != nil {
			spec.Protocol = string(*rule.Protocol)
		}
		return spec, nil
	}
	spec.Protocol = string(*rule.Protocol)
	return spec, takePorts(&spec, int(*rule.From), int(*rule.To))
}

// takePorts takes a range of ports, or ICMP's type and code, in Nova's bounds.
func takePorts(spec *securitygroup.NewRule, from, to int) error {
	bad := func(why string) error {
		return fault.New(fault.Invalid, "Invalid port range %d:%d. %s", from, to, why)
	}
	switch strings.ToUpper(spec.Protocol) {
	case "TCP", "UDP":
		switch {
		case from == -1 && to == -1:
			return nil
		case from > to:
			return bad("Former value cannot be greater than the later")
		case from < 1 || to > 65535:
			return bad("Valid " + strings.ToUpper(spec.Protocol) + " ports should be between 1-65535")
		}
	case "ICMP":
		if from < -1 || from > 255 || to < -1 || to > 255 {
			return bad("For ICMP, the type:code must be valid")
		}
	default:
		return fault.New(fault.Invalid, "Invalid IP protocol %s.", strconv.Quote(clip(spec.Protocol)))
	}
	if from != -1 {
		spec.First = &from
	}
	if to != -1 {
		spec.Last = &to
	}
	return nil
}

// prefixOf takes an address too: one of its own.
func prefixOf(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

func (a *api) createSecurityRule(r *osapi.Request) (any, error) {
	var body securityRuleBody
	if err := decode(r, &body, "security_group_rule", nil); err != nil {
		return nil, err
	}
	var made *securitygroup.Rule
	var remote object
	err := a.DB.Tx(r.Context(), func(tx *db.Tx) error {
		parent, err := a.securityGroup(r, tx, string(body.Rule.Parent))
		if err != nil {
			return err
		}
		spec, err := body.spec()
		if err != nil {
			return err
		}
		if spec.RemoteGroup != "" {
			g, err := a.securityGroup(r, tx, spec.RemoteGroup)
			if err != nil {
				return err
			}
			remote = object{"name": g.Name, "tenant_id": g.Project}
		}
		made, err = a.Groups.CreateRule(r.Context(), tx, securitygroup.Viewer{Project: parent.Project, All: r.Caller.IsAdmin()}, spec)
		return err
	})
	if err != nil {
		return nil, inTheWay(err)
	}
	return object{"security_group_rule": securityRuleView(made, remote)}, nil
}

func (a *api) deleteSecurityRule(r *osapi.Request) (any, error) {
	id := r.Path("id")
	if checkUUID("id", id) != nil {
		return nil, fault.New(fault.Invalid, "Security group id should be uuid")
	}
	viewer := ofProject(r)
	viewer.All = r.Caller.IsAdmin()
	return nil, inTheWay(a.DB.Tx(r.Context(), func(tx *db.Tx) error {
		if _, _, err := a.Groups.Rule(r.Context(), tx, viewer, id); err != nil {
			return err
		}
		return a.Groups.DeleteRule(r.Context(), tx, id)
	}))
}
