package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// AppCredential lets programs log in for a user, in one project, with some of the user's roles there. It never changes,
// and is good as long as the user holds all these roles.
type AppCredential struct {
	ID, UserID, ProjectID string
	Name                  string
	Description           *string
	Roles                 []string // ids
	Rules                 []AccessRule
	Unrestricted          bool      // its tokens may make and delete credentials and trusts
	Expires               time.Time // zero: never

	secret string
}

const appCredentialColumns = `SELECT id, user_id, project_id, name, description, secret, roles, unrestricted, expires_at FROM identity_app_credential`

func scanAppCredential(row db.Scanner) (c AppCredential, err error) {
	return c, row.Scan(&c.ID, &c.UserID, &c.ProjectID, &c.Name, &c.Description, &c.secret, db.JSON(&c.Roles), &c.Unrestricted, db.NullTime(&c.Expires))
}

// CreateAppCredential stores a new credential for the caller, in the project of its token. Without roles it gets all that
// the token has; an empty secret is drawn. The secret is not told again.
func (s *Service) CreateAppCredential(ctx context.Context, caller *Caller, c AppCredential, secret string) (AppCredential, string, error) {
	if err := checkName("application credential", c.Name, maxName); err != nil {
		return c, "", err
	}
	if caller.ProjectID == "" {
		return c, "", fault.New(fault.Invalid, "An application credential is made with a token for a project.")
	}
	if !c.Expires.IsZero() && !s.Clock.Now().Before(c.Expires) {
		return c, "", fault.New(fault.Invalid, "Invalid input for field 'expires_at': it is in the past.")
	}
	if len(c.Rules) > maxRules {
		return c, "", fault.New(fault.Invalid, "Invalid input for field 'access_rules': at most %d are allowed.", maxRules)
	}
	if secret == "" {
		secret = newSecret()
	}
	hash, err := s.hash(ctx, secret)
	if err != nil {
		return c, "", err
	}
	c.ID, c.UserID, c.ProjectID, c.secret = newID(), caller.UserID, caller.ProjectID, hash
	rules := c.Rules
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		c.Rules = nil
		if c.Roles, err = delegable(ctx, tx, caller, c.Roles); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO identity_app_credential (id, user_id, project_id, name, description, secret, roles, unrestricted, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, c.ID, c.UserID, c.ProjectID, c.Name, c.Description, c.secret, db.JSON(c.Roles),
			c.Unrestricted, db.NullTime(&c.Expires)); err != nil {
			return taken(err, "application_credential", c.Name)
		}
		for _, r := range rules {
			rule, err := ensureRule(ctx, tx, c.UserID, r)
			if err != nil {
				return err
			}
			c.Rules = append(c.Rules, rule)
			if _, err := tx.ExecContext(ctx, `INSERT INTO identity_app_credential_rule (credential_id, rule_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, c.ID, rule.ID); err != nil {
				return err
			}
		}
		return nil
	})
	return c, secret, err
}

// delegable are the roles (ids) that the caller may give away on its token's project; none asked means all. Whoever acts
// by a delegation gives away no more than that has.
func delegable(ctx context.Context, q db.Querier, caller *Caller, asked []string) ([]string, error) {
	var own []string
	if caller.Delegated() || len(asked) == 0 {
		for _, r := range caller.Token.Roles {
			own = append(own, r.ID)
		}
	} else {
		roles, err := rolesOn(ctx, q, caller.UserID, Target{OnProject, caller.ProjectID})
		if err != nil {
			return nil, err
		}
		for _, r := range roles {
			own = append(own, r.ID)
		}
	}
	for _, id := range asked {
		if !slices.Contains(own, id) {
			return nil, fault.New(fault.Invalid, "Cannot give away a role that is not held: %s.", id)
		}
	}
	if len(asked) == 0 {
		return own, nil
	}
	return asked, nil
}

func newSecret() string {
	raw := make([]byte, 64)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// AppCredential finds one of a user's credentials.
func (s *Service) AppCredential(ctx context.Context, userID, id string) (AppCredential, error) {
	c, err := scanAppCredential(s.db.QueryRowContext(ctx, appCredentialColumns+" WHERE user_id = $1 AND id = $2", userID, id))
	if err != nil {
		return c, missing(err, "Application Credential", id)
	}
	c.Rules, err = rulesOf(ctx, s.db, id)
	return c, err
}

func rulesOf(ctx context.Context, q db.Querier, credentialID string) ([]AccessRule, error) {
	return db.List(ctx, q, scanAccessRule, accessRuleColumns+` WHERE id IN
		(SELECT rule_id FROM identity_app_credential_rule WHERE credential_id = $1) ORDER BY id`, credentialID)
}

// AppCredentials lists a user's credentials by id; a non-empty name narrows the list.
func (s *Service) AppCredentials(ctx context.Context, userID, name string) ([]AppCredential, error) {
	var where db.Where
	where.And("user_id = ?", userID)
	if name != "" {
		where.And("name = ?", name)
	}
	found, err := db.List(ctx, s.db, scanAppCredential, appCredentialColumns+where.String()+" ORDER BY id", where.Args...)
	for i := range found {
		if err == nil {
			found[i].Rules, err = rulesOf(ctx, s.db, found[i].ID)
		}
	}
	return found, err
}

// DeleteAppCredential deletes one of a user's credentials and voids its tokens.
func (s *Service) DeleteAppCredential(ctx context.Context, userID, id string) error {
	defer s.revoked.forget()
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := db.Changed(tx.ExecContext(ctx, `DELETE FROM identity_app_credential WHERE user_id = $1 AND id = $2`, userID, id))
		if err == nil && n == 0 {
			err = missing(errNoRow, "Application Credential", id)
		}
		if err != nil {
			return err
		}
		return s.revoke(ctx, tx, "appcredential:"+id)
	})
}

// findAppCredential finds a credential by the names of a login.
func (s *Service) findAppCredential(ctx context.Context, p AppCredentialProof) (AppCredential, error) {
	if p.ID != "" {
		c, err := scanAppCredential(s.db.QueryRowContext(ctx, appCredentialColumns+" WHERE id = $1", p.ID))
		if err != nil {
			return AppCredential{}, missing(err, "Application Credential", p.ID)
		}
		c.Rules, err = rulesOf(ctx, s.db, c.ID)
		return c, err
	}
	user, err := s.findUser(ctx, p.User)
	if err != nil {
		return AppCredential{}, err
	}
	found, err := s.AppCredentials(ctx, user.ID, p.Name)
	if err != nil || len(found) != 1 || p.Name == "" {
		return AppCredential{}, missing(errors.Join(err, errNoRow), "Application Credential", p.Name)
	}
	return found[0], nil
}

// trySecret fails with fault.Unauthorized unless the secret is the credential's. It takes the same time for credentials
// that do not exist (the zero AppCredential).
func (s *Service) trySecret(ctx context.Context, c AppCredential, secret string) error {
	hash := []byte(c.secret)
	if len(hash) == 0 {
		var err error
		if hash, err = s.dummyHash(); err != nil {
			return err
		}
	}
	same, err := s.compare(ctx, hash, secret)
	if err != nil {
		return err
	}
	if !same || c.secret == "" {
		return unauthorized(errors.New("no such application credential, or a wrong secret"))
	}
	return nil
}
