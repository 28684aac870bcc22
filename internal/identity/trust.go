package identity

import (
	"context"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Trust lets one user act in a project with roles of another. It never changes, and is good as long as the trustor holds
// these roles. A trust is not passed on.
type Trust struct {
	ID            string
	TrustorID     string // whose roles they are
	TrusteeID     string // who may use them
	ProjectID     string
	Impersonation bool      // the tokens are the trustor's, not the trustee's
	Roles         []string  // ids
	Expires       time.Time // zero: never
	RemainingUses *int      // nil: any number
}

const trustColumns = `SELECT id, trustor_id, trustee_id, project_id, impersonation, roles, expires_at, remaining_uses FROM identity_trust`

func scanTrust(row db.Scanner) (t Trust, err error) {
	return t, row.Scan(&t.ID, &t.TrustorID, &t.TrusteeID, &t.ProjectID, &t.Impersonation, db.JSON(&t.Roles), db.NullTime(&t.Expires), &t.RemainingUses)
}

// CreateTrust stores a new trust of the caller, in the project that it names. The trustor holds all its roles there, so
// that other projects are the same as none.
func (s *Service) CreateTrust(ctx context.Context, caller *Caller, t Trust) (Trust, error) {
	switch {
	case caller.UserID != t.TrustorID:
		return t, fault.New(fault.Forbidden, "The authenticated user should match the trustor.")
	case len(t.Roles) == 0:
		return t, fault.New(fault.Forbidden, "At least one role should be specified.")
	case !t.Expires.IsZero() && !s.Clock.Now().Before(t.Expires):
		return t, fault.New(fault.Invalid, "Invalid input for field 'expires_at': it is in the past.")
	case t.RemainingUses != nil && *t.RemainingUses < 1:
		return t, fault.New(fault.Invalid, "Invalid input for field 'remaining_uses': it is at least 1.")
	}
	t.ID = newID()
	return t, s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := getUser(ctx, tx, t.TrusteeID); err != nil {
			return err
		}
		if missing, err := lackedRole(ctx, tx, t.TrustorID, t.ProjectID, t.Roles); err != nil || missing != "" {
			if err == nil {
				err = fault.New(fault.NotFound, "Could not find role: %s.", missing)
			}
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO identity_trust (id, trustor_id, trustee_id, project_id, impersonation, roles, expires_at, remaining_uses)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, t.ID, t.TrustorID, t.TrusteeID, t.ProjectID, t.Impersonation, db.JSON(t.Roles), db.NullTime(&t.Expires), t.RemainingUses)
		return err
	})
}

// lackedRole is one of the roles (ids) that the user does not hold on the project; empty when there is none.
func lackedRole(ctx context.Context, q db.Querier, userID, projectID string, roles []string) (string, error) {
	held, err := rolesOn(ctx, q, userID, Target{OnProject, projectID})
	if err != nil {
		return "", err
	}
	has := map[string]bool{}
	for _, r := range held {
		has[r.ID] = true
	}
	for _, id := range roles {
		if !has[id] {
			return id, nil
		}
	}
	return "", nil
}

// Trust finds a trust that has neither expired nor been used up.
func (s *Service) Trust(ctx context.Context, id string) (Trust, error) {
	t, err := scanTrust(s.db.QueryRowContext(ctx, trustColumns+" WHERE id = $1", id))
	if err == nil && !s.alive(t) {
		err = errNoRow
	}
	return t, missing(err, "trust", id)
}

func (s *Service) alive(t Trust) bool {
	return (t.Expires.IsZero() || s.Clock.Now().Before(t.Expires)) && (t.RemainingUses == nil || *t.RemainingUses > 0)
}

// TrustFilter narrows a list; empty fields do not.
type TrustFilter struct{ TrustorID, TrusteeID string }

// Trusts lists trusts by id, without those that have expired or been used up.
func (s *Service) Trusts(ctx context.Context, f TrustFilter) ([]Trust, error) {
	var where db.Where
	if f.TrustorID != "" {
		where.And("trustor_id = ?", f.TrustorID)
	}
	if f.TrusteeID != "" {
		where.And("trustee_id = ?", f.TrusteeID)
	}
	found, err := db.List(ctx, s.db, scanTrust, trustColumns+where.String()+" ORDER BY id", where.Args...)
	alive := found[:0]
	for _, t := range found {
		if s.alive(t) {
			alive = append(alive, t)
		}
	}
	return alive, err
}

// DeleteTrust deletes a trust and voids its tokens.
func (s *Service) DeleteTrust(ctx context.Context, id string) error {
	defer s.revoked.forget()
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.revoke(ctx, tx, "trust:"+id); err != nil {
			return err
		}
		return remove(ctx, tx, "identity_trust", "trust", id)
	})
}

// spend counts one use of the trust.
func (s *Service) spend(ctx context.Context, t Trust) error {
	if t.RemainingUses == nil {
		return nil
	}
	n, err := db.Changed(s.db.ExecContext(ctx, `UPDATE identity_trust SET remaining_uses = remaining_uses - 1 WHERE id = $1 AND remaining_uses > 0`, t.ID))
	if err == nil && n == 0 {
		err = fault.New(fault.Forbidden, "No remaining uses for trust: %s.", t.ID)
	}
	return err
}
