package nova

import (
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
)

var groupFields = osapi.Fields{
	"policies": osapi.Until(2, 63), "metadata": osapi.Until(2, 63), "policy": osapi.Since(2, 64), "rules": osapi.Since(2, 64),
	"project_id": osapi.Since(2, 13), "user_id": osapi.Since(2, 13),
}

func groupView(r *osapi.Request, g *instance.Group) object {
	members, rules := g.Members, g.Rules
	if members == nil {
		members = []string{}
	}
	if rules == nil {
		rules = map[string]int{}
	}
	return groupFields.Trim(object{
		"id": g.ID, "name": g.Name, "policies": []instance.Policy{g.Policy}, "policy": g.Policy, "rules": rules, "members": members,
		"metadata": object{}, "project_id": g.Project, "user_id": g.Owner,
	}, r.Version)
}

// groupsOf is a server's group as its details show it.
func groupsOf(i *instance.Instance) []string {
	if i.Group == "" {
		return []string{}
	}
	return []string{i.Group}
}

// groupHint finds the server group in the scheduler hints. Another machine than some other server's is what every server
// gets; what else a hint may ask for, a whole machine cannot give.
func groupHint(hints ...map[string]any) (group string, err error) {
	for _, asked := range hints {
		for hint, value := range asked {
			text, isText := value.(string)
			switch {
			case hint == "different_host":
			case hint != "group":
				return "", fault.New(fault.Invalid, "The scheduler hint %s is not supported by this server; choose machines by the flavor's extra specs.", clip(hint))
			case !isText || checkUUID("group", text) != nil:
				return "", fault.New(fault.Invalid, "Server group scheduler hint must be a UUID.")
			default:
				group = text
			}
		}
	}
	return group, nil
}

func (a *api) listGroups(r *osapi.Request) (any, error) {
	q := r.Query()
	limit, offset, project := q.Int("limit", 1000), q.Int("offset", 0), r.Caller.ProjectID
	if q.Has("all_projects") && r.Caller.ReadsAll() {
		project = ""
	}
	if err := q.Err(); err != nil {
		return nil, err
	}
	groups, err := a.Instances.Groups(r.Context(), project)
	groups = groups[min(offset, len(groups)):]
	groups = groups[:min(limit, len(groups))]
	shown := make([]object, len(groups))
	for n, g := range groups {
		shown[n] = groupView(r, g)
	}
	return object{"server_groups": shown}, err
}

type groupBody struct {
	Group struct {
		Name     string         `json:"name"`
		Policies []string       `json:"policies"`
		Policy   string         `json:"policy"`
		Rules    map[string]int `json:"rules"`
	} `json:"server_group"`
}

var newGroupFields = osapi.Fields{"policies": osapi.Until(2, 63), "policy": osapi.Since(2, 64), "rules": osapi.Since(2, 64)}

func (a *api) createGroup(r *osapi.Request) (any, error) {
	var body groupBody
	if err := decode(r, &body, "server_group", newGroupFields); err != nil {
		return nil, err
	}
	b := body.Group
	if err := checkName("name", b.Name); err != nil {
		return nil, err
	}
	if !r.Version.AtLeast(2, 64) {
		if len(b.Policies) != 1 {
			return nil, invalid("policies", b.Policies, "It has one policy.")
		}
		b.Policy = b.Policies[0]
	}
	policies := []instance.Policy{instance.Affinity, instance.AntiAffinity}
	if r.Version.AtLeast(2, 15) {
		policies = append(policies, instance.SoftAffinity, instance.SoftAntiAffinity)
	}
	if !slices.Contains(policies, instance.Policy(b.Policy)) {
		return nil, invalid("policy", clip(b.Policy), "There is no such policy.")
	}
	for rule, most := range b.Rules {
		if rule != "max_server_per_host" || most < 1 || b.Policy != string(instance.AntiAffinity) {
			return nil, invalid("rules", clip(rule), "Only the policy anti-affinity has a rule: max_server_per_host, from 1.")
		}
	}
	g, err := a.Instances.CreateGroup(r.Context(), by(r), b.Name, instance.Policy(b.Policy), b.Rules)
	if err != nil {
		return nil, err
	}
	return object{"server_group": groupView(r, g)}, nil
}

func (a *api) showGroup(r *osapi.Request) (any, error) {
	g, err := a.Instances.Group(r.Context(), a.DB, reader(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return object{"server_group": groupView(r, g)}, nil
}

func (a *api) deleteGroup(r *osapi.Request) (any, error) {
	return nil, a.Instances.DeleteGroup(r.Context(), writer(r), r.Path("id"))
}
