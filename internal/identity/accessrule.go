package identity

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// AccessRule allows one kind of request to one service.
type AccessRule struct {
	ID      string `json:"-"`
	Service string `json:"s"` // type in the catalog
	Method  string `json:"m"`
	Path    string `json:"p"` // below the service's root; * and {name} stand for one segment, ** for any number of them
}

const accessRuleColumns = `SELECT id, service, method, path FROM identity_access_rule`

func scanAccessRule(row db.Scanner) (r AccessRule, err error) {
	return r, row.Scan(&r.ID, &r.Service, &r.Method, &r.Path)
}

// maxRules is how many rules a credential may have: its tokens carry them.
const maxRules = 40

var ruleMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}

func (r AccessRule) check() error {
	switch {
	case !slices.Contains(ruleMethods, r.Method):
		return fault.New(fault.Invalid, "Invalid input for field 'access_rules.method': %q is not one of %s.", r.Method, strings.Join(ruleMethods, ", "))
	case !strings.HasPrefix(r.Path, "/") || len(r.Path) > 128:
		return fault.New(fault.Invalid, "Invalid input for field 'access_rules.path': it begins with a slash and has at most 128 characters.")
	case r.Service == "" || len(r.Service) > 64:
		return fault.New(fault.Invalid, "Invalid input for field 'access_rules.service': the type of a service has 1 to 64 characters.")
	}
	return nil
}

var ruleWildcards = regexp.MustCompile(`\*\*|\*|\{[^}/]*\}`)

func (r AccessRule) allows(service, method, path string) bool {
	if r.Service != service || r.Method != method {
		return false
	}
	pattern, end := "", 0
	for _, at := range ruleWildcards.FindAllStringIndex(r.Path, -1) {
		wildcard := `[^/]+`
		if r.Path[at[0]:at[1]] == "**" {
			wildcard = `.*`
		}
		pattern += regexp.QuoteMeta(r.Path[end:at[0]]) + wildcard
		end = at[1]
	}
	whole, err := regexp.Compile(`^` + pattern + regexp.QuoteMeta(r.Path[end:]) + `$`)
	return err == nil && whole.MatchString(path)
}

// Permits reports whether the token is good for the request: all tokens are, but those of application credentials with
// access rules. Service is the type in the catalog, path what is asked for below the service's root.
func (t *Token) Permits(service, method, path string) bool {
	if t.AppCredential == nil || len(t.AppCredential.Rules) == 0 {
		return true
	}
	return slices.ContainsFunc(t.AppCredential.Rules, func(r AccessRule) bool { return r.allows(service, method, path) })
}

// AccessRuleFilter narrows a list; empty fields do not.
type AccessRuleFilter struct{ Service, Method, Path string }

// AccessRules lists a user's rules by id, also those that no credential uses.
func (s *Service) AccessRules(ctx context.Context, userID string, f AccessRuleFilter) ([]AccessRule, error) {
	var where db.Where
	where.And("user_id = ?", userID)
	if f.Service != "" {
		where.And("service = ?", f.Service)
	}
	if f.Method != "" {
		where.And("method = ?", f.Method)
	}
	if f.Path != "" {
		where.And("path = ?", f.Path)
	}
	return db.List(ctx, s.db, scanAccessRule, accessRuleColumns+where.String()+" ORDER BY id", where.Args...)
}

// AccessRule finds one of a user's rules.
func (s *Service) AccessRule(ctx context.Context, userID, id string) (AccessRule, error) {
	return getAccessRule(ctx, s.db, userID, id)
}

func getAccessRule(ctx context.Context, q db.Querier, userID, id string) (AccessRule, error) {
	r, err := scanAccessRule(q.QueryRowContext(ctx, accessRuleColumns+" WHERE user_id = $1 AND id = $2", userID, id))
	return r, missing(err, "access rule", id)
}

// DeleteAccessRule deletes a rule that no credential uses.
func (s *Service) DeleteAccessRule(ctx context.Context, userID, id string) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := getAccessRule(ctx, tx, userID, id); err != nil {
			return err
		}
		var used int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM identity_app_credential_rule WHERE rule_id = $1`, id).Scan(&used); err != nil {
			return err
		}
		if used > 0 {
			return fault.New(fault.Forbidden, "May not delete access rule in use: %s.", id)
		}
		return remove(ctx, tx, "identity_access_rule", "access rule", id)
	})
}

// ensureRule gives the user's rule that says the same, or names the same id.
func ensureRule(ctx context.Context, q db.Querier, userID string, r AccessRule) (AccessRule, error) {
	if r.ID != "" {
		return getAccessRule(ctx, q, userID, r.ID)
	}
	if err := r.check(); err != nil {
		return r, err
	}
	if _, err := q.ExecContext(ctx, `INSERT INTO identity_access_rule (id, user_id, service, method, path) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (user_id, service, method, path) DO NOTHING`, newID(), userID, r.Service, r.Method, r.Path); err != nil {
		return r, err
	}
	return scanAccessRule(q.QueryRowContext(ctx, accessRuleColumns+" WHERE user_id = $1 AND service = $2 AND method = $3 AND path = $4",
		userID, r.Service, r.Method, r.Path))
}
