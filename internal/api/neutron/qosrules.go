package neutron

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/qos"
)

// qosRules are the rules of one kind.
type qosRules struct {
	*api
	kind qos.RuleKind
}

// qosKinds are the kinds of rules that there are.
var qosKinds = []qos.RuleKind{qos.BandwidthLimit, qos.DSCPMarking}

// noQoSKinds are Neutron's other kinds: OVN guarantees no bandwidth and counts no packets.
var noQoSKinds = []qos.RuleKind{"minimum_bandwidth", "minimum_packet_rate", "packet_rate_limit"}

func (a *api) qosRuleRoutes() []osapi.Route {
	routes := []osapi.Route{
		{Method: http.MethodGet, Pattern: "/v2.0/qos/rule-types", Policy: osapi.Reader, Handle: listRuleTypes},
		{Method: http.MethodGet, Pattern: "/v2.0/qos/rule-types/{type}", Policy: osapi.SystemReader, Handle: showRuleType},
	}
	for _, kind := range qosKinds {
		q := qosRules{a, kind}
		list := "/v2.0/qos/policies/{policy}/" + string(kind) + "_rules"
		routes = append(routes,
			osapi.Route{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: q.list},
			osapi.Route{Method: http.MethodPost, Pattern: list, Policy: osapi.Admin, Status: 201, Handle: q.create},
		)
		for _, one := range []string{list + "/{id}", "/v2.0/qos/alias_" + string(kind) + "_rules/{id}"} {
			routes = append(routes,
				osapi.Route{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: q.show},
				osapi.Route{Method: http.MethodPut, Pattern: one, Policy: osapi.Admin, Handle: q.update},
				osapi.Route{Method: http.MethodDelete, Pattern: one, Policy: osapi.Admin, Status: 204, Handle: q.delete},
			)
		}
	}
	for _, kind := range noQoSKinds {
		q := qosRules{a, kind}
		list := "/v2.0/qos/policies/{policy}/" + string(kind) + "_rules"
		routes = append(routes,
			osapi.Route{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: q.list},
			osapi.Route{Method: http.MethodPost, Pattern: list, Policy: osapi.Admin, Status: 201, Handle: q.refuse},
			osapi.Route{Method: http.MethodGet, Pattern: list + "/{id}", Policy: osapi.Reader, Handle: q.show},
		)
	}
	return routes
}

func qosRuleObject(rule *qos.Rule) object {
	if rule.Kind == qos.DSCPMarking {
		return object{"id": rule.ID, "dscp_mark": rule.DSCP}
	}
	return object{"id": rule.ID, "max_kbps": rule.Rate, "max_burst_kbps": rule.Burst, "direction": direction(rule.Egress)}
}

func direction(egress bool) string {
	if egress {
		return "egress"
	}
	return "ingress"
}

// key is what the rule is called in bodies: alias routes have a name of their own.
func (q qosRules) key(r *osapi.Request) string {
	if r.Path("policy") == "" {
		return "alias_" + string(q.kind) + "_rule"
	}
	return string(q.kind) + "_rule"
}

func (q qosRules) list(r *osapi.Request) (any, error) {
	p, err := q.policies.Policy(r.Context(), q.db, viewer(r), r.Path("policy"))
	if err != nil {
		return nil, err
	}
	var all []object
	for _, rule := range p.Rules {
		if rule.Kind == q.kind {
			all = append(all, qosRuleObject(rule))
		}
	}
	return list(r, string(q.kind)+"_rules", all, qosRuleObject(&qos.Rule{Kind: q.kind}))
}

func (q qosRules) show(r *osapi.Request) (any, error) {
	_, rule, err := q.policies.Rule(r.Context(), q.db, viewer(r), r.Path("policy"), q.kind, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return show(r, q.key(r), qosRuleObject(rule))
}

func (q qosRules) refuse(r *osapi.Request) (any, error) {
	if _, err := q.policies.Policy(r.Context(), q.db, viewer(r), r.Path("policy")); err != nil {
		return nil, err
	}
	return nil, fault.New(fault.Unsupported, "This cloud's network cannot hold %s rules. GET /v2.0/qos/rule-types names those that it can.", q.kind)
}

// qosRuleBody is a rule as clients write it; each kind has fields of its own.
type qosRuleBody struct {
	Rate      osapi.Optional[osapi.Int] `json:"max_kbps"`
	Burst     osapi.Optional[osapi.Int] `json:"max_burst_kbps"`
	Direction osapi.Optional[string]    `json:"direction"`
	DSCP      osapi.Optional[osapi.Int] `json:"dscp_mark"`
}

// read gives the body's rule under its name.
func (q qosRules) read(r *osapi.Request) (*qosRuleBody, error) {
	var body map[string]*qosRuleBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body[q.key(r)]
	if b == nil || len(body) != 1 {
		return nil, noBody(q.key(r))
	}
	ofLimit, ofMark := b.Rate.Set || b.Burst.Set || b.Direction.Set, b.DSCP.Set
	if q.kind == qos.BandwidthLimit && ofMark || q.kind == qos.DSCPMarking && ofLimit {
		return nil, fault.New(fault.Invalid, "Unrecognized attribute(s): a %s rule has not got them all.", q.kind)
	}
	return b, nil
}

// change is what the body says.
func (b *qosRuleBody) change() (c qos.RuleChange, err error) {
	var f fields
	c.Rate, c.Burst, c.DSCP = number(&f, "max_kbps", b.Rate), number(&f, "max_burst_kbps", b.Burst), number(&f, "dscp_mark", b.DSCP)
	if way := text(&f, "direction", b.Direction); way != nil {
		egress := *way == "egress"
		if !egress && *way != "ingress" {
			return c, fault.New(fault.Invalid, "Invalid input for direction. Reason: '%s' is not in ['ingress', 'egress'].", *way)
		}
		c.Egress = &egress
	}
	return c, f.err
}

func (q qosRules) create(r *osapi.Request) (any, error) {
	b, err := q.read(r)
	if err != nil {
		return nil, err
	}
	c, err := b.change()
	if err != nil {
		return nil, err
	}
	wanted := qos.Rule{Policy: r.Path("policy"), Kind: q.kind, Egress: c.Egress == nil || *c.Egress}
	switch {
	case q.kind == qos.BandwidthLimit && c.Rate == nil:
		return nil, fault.New(fault.Invalid, "Failed to parse request. Required attribute 'max_kbps' not specified")
	case q.kind == qos.DSCPMarking && c.DSCP == nil:
		return nil, fault.New(fault.Invalid, "Failed to parse request. Required attribute 'dscp_mark' not specified")
	case q.kind == qos.DSCPMarking:
		wanted.DSCP = *c.DSCP
	default:
		wanted.Rate = *c.Rate
	}
	if c.Burst != nil {
		wanted.Burst = *c.Burst
	}
	var rule *qos.Rule
	err = q.db.Tx(r.Context(), func(tx *db.Tx) (err error) {
		rule, err = q.policies.CreateRule(r.Context(), tx, wanted)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{q.key(r): qosRuleObject(rule)}, nil
}

func (q qosRules) update(r *osapi.Request) (any, error) {
	b, err := q.read(r)
	if err != nil {
		return nil, err
	}
	c, err := b.change()
	if err != nil {
		return nil, err
	}
	var rule *qos.Rule
	err = q.change(r, nil, q.policyOfRule, func(tx *db.Tx) (err error) {
		rule, err = q.policies.ChangeRule(r.Context(), tx, r.Path("policy"), q.kind, r.Path("id"), c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{q.key(r): qosRuleObject(rule)}, nil
}

func (q qosRules) delete(r *osapi.Request) (any, error) {
	return nil, q.change(r, nil, q.policyOfRule, func(tx *db.Tx) error {
		return q.policies.DeleteRule(r.Context(), tx, r.Path("policy"), q.kind, r.Path("id"))
	})
}

// policyOfRule: rules have no revision of their own; If-Match is about the policy's.
func (q qosRules) policyOfRule(r *osapi.Request, querier db.Querier) (network.Meta, error) {
	p, _, err := q.policies.Rule(r.Context(), querier, viewer(r), r.Path("policy"), q.kind, r.Path("id"))
	if err != nil {
		return network.Meta{}, err
	}
	return policyMeta(p), nil
}

// listRuleTypes names what all parts of the cloud can hold. The parameters all_rules and all_supported change nothing.
func listRuleTypes(r *osapi.Request) (any, error) {
	types := []object{}
	for _, kind := range qosKinds {
		types = append(types, object{"type": string(kind)})
	}
	return object{"rule_types": types}, nil
}

func showRuleType(r *osapi.Request) (any, error) {
	whole := func(name string, first, last int) object {
		return object{"parameter_name": name, "parameter_type": "range", "parameter_values": object{"start": first, "end": last}}
	}
	choice := func(name string, values any) object {
		return object{"parameter_name": name, "parameter_type": "choices", "parameter_values": values}
	}
	parameters := map[string][]object{
		string(qos.BandwidthLimit): {whole("max_kbps", 1, 1<<31-1), whole("max_burst_kbps", 0, 1<<31-1), choice("direction", []string{"ingress", "egress"})},
		string(qos.DSCPMarking):    {choice("dscp_mark", qos.DSCPMarks)},
	}
	supported, known := parameters[r.Path("type")]
	if !known {
		return nil, fault.New(fault.NotFound, "Rule type %s could not be found.", r.Path("type"))
	}
	return show(r, "rule_type", object{"type": r.Path("type"), "drivers": []object{{"name": "ovn", "supported_parameters": supported}}})
}
