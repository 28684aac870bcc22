package keystone

import (
	"encoding/json"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

type credentialBody struct {
	Credential struct {
		UserID    osapi.Optional[string] `json:"user_id"`
		ProjectID osapi.Optional[string] `json:"project_id"`
		Type      osapi.Optional[string] `json:"type"`
		Blob      osapi.Optional[string] `json:"blob"`
		Extra     attributes             `json:",embed"`
	} `json:"credential"`
}

func (b *credentialBody) onto(c *identity.Credential) (err error) {
	if b.Credential.UserID.Set && b.Credential.UserID.Value != c.UserID {
		return fault.New(fault.Forbidden, "The owner of a credential does not change.")
	}
	setPointer(&c.ProjectID, b.Credential.ProjectID)
	set(&c.Type, b.Credential.Type)
	set(&c.Blob, b.Credential.Blob)
	c.Extra, err = b.Credential.Extra.onto(c.Extra, c.ID)
	return err
}

func showCredential(r *osapi.Request, c identity.Credential) object {
	return with(c.Extra, object{
		"id": c.ID, "user_id": c.UserID, "project_id": c.ProjectID, "type": c.Type, "blob": c.Blob, "links": self(r, "credentials", c.ID),
	})
}

// mayKeep lets users deal with their own credentials, and admins with everybody's.
func mayKeep(r *osapi.Request, what, userID string, read bool) error {
	if userID != r.Caller.UserID && !r.Caller.IsAdmin() && !(read && r.Caller.ReadsAll()) {
		return forbidden(what)
	}
	return undelegated(r, what)
}

func (a *api) listCredentials(r *osapi.Request) (any, error) {
	q := r.Query()
	filter := identity.CredentialFilter{UserID: q.String("user_id"), Type: q.String("type")}
	if filter.UserID == "" && !r.Caller.ReadsAll() {
		filter.UserID = r.Caller.UserID
	}
	if err := mayKeep(r, "list_credentials", filter.UserID, true); err != nil {
		return nil, err
	}
	found, err := a.identity.Credentials(r.Context(), filter)
	return list(r, "credentials", found, showCredential), err
}

// ownProject refuses users the projects on which they have no role, whether these exist or not.
func (a *api) ownProject(r *osapi.Request, what, userID string, projectID *string) error {
	if projectID == nil || r.Caller.IsAdmin() {
		return nil
	}
	roles, err := a.identity.RolesOn(r.Context(), userID, identity.Target{Kind: identity.OnProject, ID: *projectID})
	if err == nil && len(roles) == 0 {
		err = forbidden(what)
	}
	return err
}

func (a *api) createCredential(r *osapi.Request) (any, error) {
	var body credentialBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	c := identity.Credential{UserID: body.Credential.UserID.Value}
	if c.UserID == "" {
		return nil, fault.New(fault.Invalid, "'user_id' is a required property of 'credential'.")
	}
	if !body.Credential.Blob.Set {
		return nil, fault.New(fault.Invalid, "'blob' is a required property of 'credential'.")
	}
	if err := mayKeep(r, "create_credential", c.UserID, false); err != nil {
		return nil, err
	}
	if err := body.onto(&c); err != nil {
		return nil, err
	}
	if err := a.ownProject(r, "create_credential", c.UserID, c.ProjectID); err != nil {
		return nil, err
	}
	c, err := a.identity.CreateCredential(r.Context(), c)
	return object{"credential": showCredential(r, c)}, err
}

// credential finds the path's credential, if the caller may deal with it.
func (a *api) credential(r *osapi.Request, what string, read bool) (identity.Credential, error) {
	c, err := a.identity.Credential(r.Context(), r.Path("id"))
	if err := visible(r, what, err, mayKeep(r, what, c.UserID, read) == nil); err != nil {
		return c, err
	}
	return c, nil
}

func (a *api) showCredential(r *osapi.Request) (any, error) {
	c, err := a.credential(r, "get_credential", true)
	return object{"credential": showCredential(r, c)}, err
}

func (a *api) updateCredential(r *osapi.Request) (any, error) {
	var body credentialBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if _, err := a.credential(r, "update_credential", false); err != nil {
		return nil, err
	}
	if id := body.Credential.ProjectID; id.Set && !id.Null {
		if err := a.ownProject(r, "update_credential", r.Caller.UserID, &id.Value); err != nil {
			return nil, err
		}
	}
	c, err := a.identity.UpdateCredential(r.Context(), r.Path("id"), body.onto)
	return object{"credential": showCredential(r, c)}, err
}

func (a *api) deleteCredential(r *osapi.Request) (any, error) {
	if _, err := a.credential(r, "delete_credential", false); err != nil {
		return nil, err
	}
	return nil, a.identity.DeleteCredential(r.Context(), r.Path("id"))
}

// The older form of EC2 credentials, under the user and by the access key.

func showEC2(r *osapi.Request, c identity.Credential) (object, error) {
	var keys struct {
		Access string `json:"access"`
		Secret string `json:"secret"`
	}
	if err := json.Unmarshal([]byte(c.Blob), &keys); err != nil {
		return nil, err
	}
	return object{
		"access": keys.Access, "secret": keys.Secret, "user_id": c.UserID, "tenant_id": c.ProjectID, "trust_id": nil,
		"links": object{"self": r.URL("/v3/users/" + c.UserID + "/credentials/OS-EC2/" + keys.Access)},
	}, nil
}

func (a *api) listEC2(r *osapi.Request) (any, error) {
	if err := mayKeep(r, "ec2_list_credentials", r.Path("id"), true); err != nil {
		return nil, err
	}
	found, err := a.identity.Credentials(r.Context(), identity.CredentialFilter{UserID: r.Path("id"), Type: identity.TypeEC2})
	if err != nil {
		return nil, err
	}
	items := make([]object, len(found))
	for i, c := range found {
		if items[i], err = showEC2(r, c); err != nil {
			return nil, err
		}
	}
	return object{"credentials": items, "links": object{"next": nil, "self": r.Self(), "previous": nil}}, nil
}

func (a *api) createEC2(r *osapi.Request) (any, error) {
	if err := mayKeep(r, "ec2_create_credential", r.Path("id"), false); err != nil {
		return nil, err
	}
	var body struct {
		ProjectID string `json:"tenant_id"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if err := a.ownProject(r, "ec2_create_credential", r.Path("id"), &body.ProjectID); err != nil {
		return nil, err
	}
	access, secret := identity.NewEC2Keys()
	blob, err := json.Marshal(map[string]any{"access": access, "secret": secret, "trust_id": nil})
	if err != nil {
		return nil, err
	}
	c, err := a.identity.CreateCredential(r.Context(), identity.Credential{
		UserID: r.Path("id"), ProjectID: &body.ProjectID, Type: identity.TypeEC2, Blob: string(blob), Extra: identity.Extra{},
	})
	if err != nil {
		return nil, err
	}
	shown, err := showEC2(r, c)
	return object{"credential": shown}, err
}

// ec2 finds the credential of the path's access key, which must be the path's user's.
func (a *api) ec2(r *osapi.Request, what string, read bool) (identity.Credential, error) {
	if err := mayKeep(r, what, r.Path("id"), read); err != nil {
		return identity.Credential{}, err
	}
	c, err := a.identity.Credential(r.Context(), identity.EC2CredentialID(r.Path("access")))
	if fault.Is(err, fault.NotFound) || (err == nil && c.UserID != r.Path("id")) {
		err = fault.New(fault.NotFound, "Could not find credential: %s.", r.Path("access"))
	}
	return c, err
}

func (a *api) showEC2(r *osapi.Request) (any, error) {
	c, err := a.ec2(r, "ec2_get_credential", true)
	if err != nil {
		return nil, err
	}
	shown, err := showEC2(r, c)
	return object{"credential": shown}, err
}

func (a *api) deleteEC2(r *osapi.Request) (any, error) {
	c, err := a.ec2(r, "ec2_delete_credential", false)
	if err != nil {
		return nil, err
	}
	return nil, a.identity.DeleteCredential(r.Context(), c.ID)
}
