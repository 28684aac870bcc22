package keystone

import (
	"slices"
	"time"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

type trustBody struct {
	Trust struct {
		TrustorID       string                 `json:"trustor_user_id"`
		TrusteeID       string                 `json:"trustee_user_id"`
		ProjectID       string                 `json:"project_id"`
		Impersonation   *bool                  `json:"impersonation"`
		Roles           []givenRole            `json:"roles"`
		Expires         osapi.Optional[string] `json:"expires_at"`
		RemainingUses   *int                   `json:"remaining_uses"`
		Redelegation    *bool                  `json:"allow_redelegation"`
		RedelegateCount *int                   `json:"redelegation_count"`
		Extra           map[string]any         `json:",embed"` // Keystone keeps what it does not know; nobody reads it
	} `json:"trust"`
}

// showTrust is a trust without its roles: lists do not have them.
func showTrust(r *osapi.Request, t identity.Trust) object {
	var expires any
	if !t.Expires.IsZero() {
		expires = t.Expires.UTC().Format("2006-01-02T15:04:05.000000Z")
	}
	return object{
		"id": t.ID, "trustor_user_id": t.TrustorID, "trustee_user_id": t.TrusteeID, "project_id": t.ProjectID,
		"impersonation": t.Impersonation, "expires_at": expires, "remaining_uses": t.RemainingUses, "redelegation_count": 0,
		"deleted_at": nil, "links": self(r, "OS-TRUST/trusts", t.ID),
	}
}

func (a *api) showTrustRoles(r *osapi.Request, t identity.Trust) ([]object, error) {
	roles := make([]object, len(t.Roles))
	for i, id := range t.Roles {
		role, err := a.identity.Role(r.Context(), id)
		if err != nil {
			return nil, err
		}
		roles[i] = showRole(r, role)
	}
	return roles, nil
}

func (a *api) trustAnswer(r *osapi.Request, t identity.Trust) (any, error) {
	shown := showTrust(r, t)
	roles, err := a.showTrustRoles(r, t)
	shown["roles"] = roles
	shown["roles_links"] = object{"self": r.URL("/v3/OS-TRUST/trusts/" + t.ID + "/roles"), "next": nil, "previous": nil}
	return object{"trust": shown}, err
}

// trust finds the path's trust, which its parties see, and who reads the whole cloud.
func (a *api) trust(r *osapi.Request, what string) (identity.Trust, error) {
	if err := undelegated(r, what); err != nil {
		return identity.Trust{}, err
	}
	t, err := a.identity.Trust(r.Context(), r.Path("id"))
	if err != nil { // Keystone tells everybody that a trust is gone
		return t, err
	}
	if r.Caller.UserID != t.TrustorID && r.Caller.UserID != t.TrusteeID && !r.Caller.ReadsAll() {
		return t, fault.New(fault.NotFound, "Could not find trust: %s.", t.ID)
	}
	return t, nil
}

func (a *api) listTrusts(r *osapi.Request) (any, error) {
	if err := undelegated(r, "list_trusts"); err != nil {
		return nil, err
	}
	q := r.Query()
	filter := identity.TrustFilter{TrustorID: q.String("trustor_user_id"), TrusteeID: q.String("trustee_user_id")}
	if !r.Caller.ReadsAll() && filter.TrustorID != r.Caller.UserID && filter.TrusteeID != r.Caller.UserID {
		return nil, forbidden("list_trusts")
	}
	trusts, err := a.identity.Trusts(r.Context(), filter)
	return list(r, "trusts", trusts, showTrust), err
}

func (a *api) createTrust(r *osapi.Request) (any, error) {
	if err := undelegated(r, "create_trust"); err != nil {
		return nil, err
	}
	var body trustBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body.Trust
	switch {
	case b.TrustorID == "" || b.TrusteeID == "" || b.Impersonation == nil:
		return nil, fault.New(fault.Invalid, "'trustor_user_id', 'trustee_user_id' and 'impersonation' are required properties of 'trust'.")
	case b.ProjectID == "":
		return nil, fault.New(fault.Unsupported, "Trusts without a project are not supported by this server.")
	case b.Redelegation != nil && *b.Redelegation || b.RedelegateCount != nil && *b.RedelegateCount > 0:
		return nil, fault.New(fault.Unsupported, "Trusts that may be passed on are not supported by this server.")
	}
	expires, err := parseExpiry(b.Expires)
	if err != nil {
		return nil, err
	}
	roles, err := a.roleIDs(r, b.Roles)
	if err != nil {
		return nil, err
	}
	slices.Sort(roles)
	t, err := a.identity.CreateTrust(r.Context(), r.Caller, identity.Trust{
		TrustorID: b.TrustorID, TrusteeID: b.TrusteeID, ProjectID: b.ProjectID, Impersonation: *b.Impersonation,
		Roles: slices.Compact(roles), Expires: expires.Truncate(time.Second), RemainingUses: b.RemainingUses,
	})
	if err != nil {
		return nil, err
	}
	return a.trustAnswer(r, t)
}

func (a *api) showTrust(r *osapi.Request) (any, error) {
	t, err := a.trust(r, "get_trust")
	if err != nil {
		return nil, err
	}
	return a.trustAnswer(r, t)
}

func (a *api) deleteTrust(r *osapi.Request) (any, error) {
	t, err := a.trust(r, "delete_trust")
	if err != nil {
		return nil, err
	}
	if r.Caller.UserID != t.TrustorID && !r.Caller.IsAdmin() {
		return nil, forbidden("delete_trust")
	}
	return nil, a.identity.DeleteTrust(r.Context(), t.ID)
}

func (a *api) listTrustRoles(r *osapi.Request) (any, error) {
	t, err := a.trust(r, "list_roles_for_trust")
	if err != nil {
		return nil, err
	}
	roles, err := a.showTrustRoles(r, t)
	return object{"roles": roles, "links": object{"next": nil, "self": r.Self(), "previous": nil}}, err
}

func (a *api) showTrustRole(r *osapi.Request) (any, error) {
	t, err := a.trust(r, "get_role_for_trust")
	if err != nil {
		return nil, err
	}
	if !slices.Contains(t.Roles, r.Path("role")) {
		return nil, fault.New(fault.NotFound, "Could not find role: %s.", r.Path("role"))
	}
	role, err := a.identity.Role(r.Context(), r.Path("role"))
	return object{"role": showRole(r, role)}, err
}
