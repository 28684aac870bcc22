package nova

import (
	"regexp"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/keypair"
)

// keypairUser is whose key pairs are meant: the caller's, or since 2.10 another user's for admins.
func keypairUser(r *osapi.Request, asked string) (string, error) {
	if asked == "" || asked == r.Caller.UserID {
		return r.Caller.UserID, nil
	}
	if !r.Version.AtLeast(2, 10) {
		return "", fault.New(fault.Invalid, "Additional properties are not allowed ('user_id' was unexpected)")
	}
	if !r.Caller.IsAdmin() {
		return "", fault.New(fault.Forbidden, "Policy doesn't allow os_compute_api:os-keypairs to be performed for another user.")
	}
	return asked, nil
}

var keypairFields = osapi.Fields{"type": osapi.Since(2, 2)}

func keypairView(r *osapi.Request, k keypair.Keypair) object {
	return keypairFields.Trim(object{"name": k.Name, "public_key": k.PublicKey, "fingerprint": k.Fingerprint, "type": k.Type}, r.Version)
}

func (a *api) listKeypairs(r *osapi.Request) (any, error) {
	q := r.Query()
	user, err := keypairUser(r, q.String("user_id"))
	if err != nil {
		return nil, err
	}
	all, err := a.Keypairs.List(r.Context(), user)
	next := ""
	if r.Version.AtLeast(2, 35) {
		page := q.Page(osapi.Paging{})
		if err == nil {
			err = q.Err()
		}
		if err == nil {
			all, next, err = osapi.Cut(page, all, func(k keypair.Keypair) string { return k.Name })
		}
	}
	if err != nil {
		return nil, err
	}
	shown := make([]object, len(all))
	for n, k := range all {
		shown[n] = object{"keypair": keypairView(r, k)}
	}
	return page(r, "keypairs", shown, next), nil
}

type keypairBody struct {
	Keypair struct {
		Name      string  `json:"name"`
		PublicKey *string `json:"public_key"`
		Type      string  `json:"type"`
		UserID    string  `json:"user_id"`
	} `json:"keypair"`
}

// oldKeypairName is what a name could be before 2.92.
var oldKeypairName = regexp.MustCompile(`^[a-zA-Z0-9 _-]*$`)

func (a *api) createKeypair(r *osapi.Request) (any, error) {
	var body keypairBody
	fields := osapi.Fields{"type": osapi.Since(2, 2), "user_id": osapi.Since(2, 10)}
	if err := decode(r, &body, "keypair", fields); err != nil {
		return nil, err
	}
	b := body.Keypair
	user, err := keypairUser(r, b.UserID)
	switch {
	case err != nil:
		return nil, err
	case b.Name == "":
		return nil, missing("name")
	case !r.Version.AtLeast(2, 92) && !oldKeypairName.MatchString(b.Name):
		return nil, fault.New(fault.Invalid, "Keypair data is invalid: Keypair name contains unsafe characters")
	case b.Type == "":
		b.Type = keypair.TypeSSH
	}
	limits, err := a.Instances.Limits(r.Context(), a.DB, r.Caller.ProjectID)
	if err != nil {
		return nil, err
	}
	wanted := keypair.New{UserID: user, Name: b.Name, Type: b.Type, Most: limits["key_pairs"]}
	if b.PublicKey == nil {
		return a.generateKeypair(r, wanted)
	}
	k, err := a.Keypairs.Import(r.Context(), wanted, *b.PublicKey)
	if err != nil {
		return nil, err
	}
	return object{"keypair": createdKeypair(r, k)}, nil
}

func createdKeypair(r *osapi.Request, k keypair.Keypair) object {
	shown := keypairView(r, k)
	shown["user_id"] = k.UserID
	return shown
}

// generateKeypair made keys until 2.91; since then users make their own.
func (a *api) generateKeypair(r *osapi.Request, wanted keypair.New) (any, error) {
	if r.Version.AtLeast(2, 92) {
		return nil, missing("public_key")
	}
	k, private, err := a.Keypairs.Generate(r.Context(), wanted, keypair.RSA)
	if err != nil {
		return nil, err
	}
	shown := createdKeypair(r, k)
	shown["private_key"] = private
	return object{"keypair": shown}, nil
}

func (a *api) showKeypair(r *osapi.Request) (any, error) {
	user, err := keypairUser(r, r.Query().String("user_id"))
	if err != nil {
		return nil, err
	}
	k, err := a.Keypairs.Get(r.Context(), user, r.Path("name"))
	if err != nil {
		return nil, err
	}
	shown := createdKeypair(r, k)
	shown["created_at"], shown["deleted"], shown["deleted_at"], shown["id"], shown["updated_at"] = osapi.Naive(k.CreatedAt), false, nil, k.ID, nil
	return object{"keypair": shown}, nil
}

func (a *api) deleteKeypair(r *osapi.Request) (any, error) {
	user, err := keypairUser(r, r.Query().String("user_id"))
	if err != nil {
		return nil, err
	}
	return nil, a.Keypairs.Delete(r.Context(), user, r.Path("name"))
}
