package keystone

import (
	"maps"
	"net/http"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

type roleBody struct {
	Role struct {
		Name        osapi.Optional[string]         `json:"name"`
		Description osapi.Optional[string]         `json:"description"`
		DomainID    osapi.Optional[string]         `json:"domain_id"`
		Options     osapi.Optional[identity.Extra] `json:"options"`
		Extra       attributes                     `json:",embed"`
	} `json:"role"`
}

func (b *roleBody) onto(role *identity.Role) (err error) {
	if b.Role.DomainID.Set && b.Role.DomainID.Value != role.DomainID {
		return fault.New(fault.Forbidden, "The domain of a role does not change.")
	}
	set(&role.Name, b.Role.Name)
	setPointer(&role.Description, b.Role.Description)
	if err := role.SetOptions(b.Role.Options.Value); err != nil {
		return err
	}
	role.Extra, err = b.Role.Extra.onto(role.Extra, role.ID)
	return err
}

func showRole(r *osapi.Request, role identity.Role) object {
	return with(role.Extra, object{
		"id": role.ID, "name": role.Name, "domain_id": orNull(role.DomainID), "description": role.Description, "options": role.Options, "links": self(r, "roles", role.ID),
	})
}

func (a *api) listRoles(r *osapi.Request) (any, error) {
	q := r.Query()
	filter := identity.RoleFilter{Name: q.String("name"), DomainID: q.String("domain_id")}
	if filter.DomainID != "" && !r.Caller.ReadsDomain(filter.DomainID) {
		return nil, forbidden("list_domain_roles")
	}
	roles, err := a.identity.Roles(r.Context(), filter)
	return list(r, "roles", roles, showRole), err
}

func (a *api) createRole(r *osapi.Request) (any, error) {
	body, role := roleBody{}, identity.Role{}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	role.DomainID = body.Role.DomainID.Value
	if err := body.onto(&role); err != nil {
		return nil, err
	}
	role, err := a.identity.CreateRole(r.Context(), role)
	return object{"role": showRole(r, role)}, err
}

func (a *api) showRole(r *osapi.Request) (any, error) {
	role, err := a.identity.Role(r.Context(), r.Path("id"))
	if err := visible(r, "get_role", err, role.DomainID == "" || r.Caller.ReadsDomain(role.DomainID)); err != nil {
		return nil, err
	}
	return object{"role": showRole(r, role)}, err
}

func (a *api) updateRole(r *osapi.Request) (any, error) {
	var body roleBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	role, err := a.identity.UpdateRole(r.Context(), r.Path("id"), body.onto)
	return object{"role": showRole(r, role)}, err
}

func (a *api) deleteRole(r *osapi.Request) (any, error) {
	return nil, a.identity.DeleteRole(r.Context(), r.Path("id"))
}

func showInferred(r *osapi.Request, role identity.Role) object {
	return object{"id": role.ID, "name": role.Name, "description": role.Description, "links": self(r, "roles", role.ID)}
}

// inference is a role and what it implies directly, in the form of the answer.
func (a *api) inference(r *osapi.Request, prior identity.Role, implied []string) (object, error) {
	implies := make([]object, len(implied))
	for i, id := range implied {
		role, err := a.identity.Role(r.Context(), id)
		if err != nil {
			return nil, err
		}
		implies[i] = showInferred(r, role)
	}
	return object{"prior_role": showInferred(r, prior), "implies": implies}, nil
}

func (a *api) listInferences(r *osapi.Request) (any, error) {
	implied, err := a.identity.Implications(r.Context())
	if err != nil {
		return nil, err
	}
	inferences := []object{}
	for _, prior := range slices.Sorted(maps.Keys(implied)) {
		role, err := a.identity.Role(r.Context(), prior)
		if err != nil {
			return nil, err
		}
		one, err := a.inference(r, role, implied[prior])
		if err != nil {
			return nil, err
		}
		inferences = append(inferences, one)
	}
	return object{"role_inferences": inferences, "links": object{"next": nil, "self": r.Self(), "previous": nil}}, nil
}

func (a *api) listImplied(r *osapi.Request) (any, error) {
	prior, err := a.identity.Role(r.Context(), r.Path("id"))
	if err != nil {
		return nil, err
	}
	implied, err := a.identity.Implications(r.Context())
	if err != nil {
		return nil, err
	}
	one, err := a.inference(r, prior, implied[prior.ID])
	return object{"role_inference": one, "links": object{"self": r.Self()}}, err
}

// showImplied answers HEAD with 204 and GET with 200, as Keystone does.
func (a *api) showImplied(r *osapi.Request) (any, error) {
	if err := a.identity.Implies(r.Context(), r.Path("id"), r.Path("implied")); err != nil {
		return nil, err
	}
	if r.HTTP.Method == http.MethodHead {
		return osapi.Response{Status: http.StatusNoContent}, nil
	}
	return a.oneInference(r)
}

func (a *api) oneInference(r *osapi.Request) (any, error) {
	prior, err := a.identity.Role(r.Context(), r.Path("id"))
	if err != nil {
		return nil, err
	}
	implied, err := a.identity.Role(r.Context(), r.Path("implied"))
	return object{
		"role_inference": object{"prior_role": showInferred(r, prior), "implies": showInferred(r, implied)}, "links": object{"self": r.Self()},
	}, err
}

func (a *api) createImplied(r *osapi.Request) (any, error) {
	if err := a.identity.Imply(r.Context(), r.Path("id"), r.Path("implied")); err != nil {
		return nil, err
	}
	return a.oneInference(r)
}

func (a *api) deleteImplied(r *osapi.Request) (any, error) {
	return nil, a.identity.Unimply(r.Context(), r.Path("id"), r.Path("implied"))
}
