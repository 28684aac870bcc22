package keystone

import (
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/identity"
)

type policyBody struct {
	Policy struct {
		Type  osapi.Optional[string] `json:"type"`
		Blob  osapi.Optional[string] `json:"blob"`
		Extra attributes             `json:",embed"`
	} `json:"policy"`
}

func showPolicy(r *osapi.Request, p identity.Policy) object {
	return with(p.Extra, object{"id": p.ID, "type": p.Type, "blob": p.Blob, "links": self(r, "policies", p.ID)})
}

func (a *api) listPolicies(r *osapi.Request) (any, error) {
	policies, err := a.identity.Policies(r.Context(), r.Query().String("type"))
	return list(r, "policies", policies, showPolicy), err
}

func (a *api) createPolicy(r *osapi.Request) (any, error) {
	return a.putPolicy(r, identity.Policy{})
}

func (a *api) updatePolicy(r *osapi.Request) (any, error) {
	p, err := a.identity.Policy(r.Context(), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return a.putPolicy(r, p)
}

func (a *api) putPolicy(r *osapi.Request, p identity.Policy) (any, error) {
	var body policyBody
	err := r.Decode(&body)
	if err != nil {
		return nil, err
	}
	set(&p.Type, body.Policy.Type)
	set(&p.Blob, body.Policy.Blob)
	if p.Extra, err = body.Policy.Extra.onto(p.Extra, p.ID); err != nil {
		return nil, err
	}
	p, err = a.identity.PutPolicy(r.Context(), p)
	return object{"policy": showPolicy(r, p)}, err
}

func (a *api) showPolicy(r *osapi.Request) (any, error) {
	p, err := a.identity.Policy(r.Context(), r.Path("id"))
	return object{"policy": showPolicy(r, p)}, err
}

func (a *api) deletePolicy(r *osapi.Request) (any, error) {
	return nil, a.identity.DeletePolicy(r.Context(), r.Path("id"))
}
