package identity

import (
	"context"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

const roleColumns = `SELECT id, COALESCE(domain_id, ''), name, description, options, extra FROM identity_role`

func scanRole(row db.Scanner) (r Role, err error) {
	return r, row.Scan(&r.ID, &r.DomainID, &r.Name, &r.Description, db.JSON(&r.Options), db.JSON(&r.Extra))
}

// CreateRole stores a new role. An empty id is drawn.
func (s *Service) CreateRole(ctx context.Context, r Role) (Role, error) {
	if err := checkName("role", r.Name, maxName); err != nil {
		return Role{}, err
	}
	if r.ID == "" {
		r.ID = newID()
	}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if r.DomainID != "" {
			if _, err := getDomain(ctx, tx, "id", r.DomainID); err != nil {
				return err
			}
		}
		return insertRole(ctx, tx, r)
	})
	return r, err
}

func insertRole(ctx context.Context, q db.Querier, r Role) error {
	_, err := q.ExecContext(ctx, `INSERT INTO identity_role (id, domain_id, name, description, options, extra) VALUES ($1, NULLIF($2, ''), $3, $4, $5, $6)`,
		r.ID, r.DomainID, r.Name, r.Description, db.JSON(r.Options), db.JSON(r.Extra))
	return taken(err, "role", r.Name)
}

// Role finds a role by id.
func (s *Service) Role(ctx context.Context, id string) (Role, error) { return getRole(ctx, s.db, id) }

func getRole(ctx context.Context, q db.Querier, id string) (Role, error) {
	r, err := scanRole(q.QueryRowContext(ctx, roleColumns+" WHERE id = $1", id))
	return r, missing(err, "role", id)
}

// getCloudRole finds a role that belongs to no domain by its name.
func getCloudRole(ctx context.Context, q db.Querier, name string) (Role, error) {
	r, err := scanRole(q.QueryRowContext(ctx, roleColumns+" WHERE domain_id IS NULL AND name = $1", name))
	return r, missing(err, "role", name)
}

// RoleFilter chooses the roles of the whole cloud, or those of a domain; an empty name does not narrow.
type RoleFilter struct{ Name, DomainID string }

// Roles lists roles by id.
func (s *Service) Roles(ctx context.Context, f RoleFilter) ([]Role, error) {
	var where db.Where
	where.And("COALESCE(domain_id, '') = ?", f.DomainID)
	if f.Name != "" {
		where.And("name = ?", f.Name)
	}
	return db.List(ctx, s.db, scanRole, roleColumns+where.String()+" ORDER BY id", where.Args...)
}

// UpdateRole changes a role that is not immutable; its domain stays.
func (s *Service) UpdateRole(ctx context.Context, id string, change func(*Role) error) (Role, error) {
	var before Role
	return amend(ctx, s.db,
		func(q db.Querier) (r Role, err error) { before, err = getRole(ctx, q, id); return before, err }, change,
		func(q db.Querier, r Role) error {
			if err := checkName("role", r.Name, maxName); err != nil {
				return err
			}
			if err := mutable(before.Options, r.Options, "role", id); err != nil {
				return err
			}
			_, err := q.ExecContext(ctx, `UPDATE identity_role SET name = $2, description = $3, options = $4, extra = $5 WHERE id = $1`,
				id, r.Name, r.Description, db.JSON(r.Options), db.JSON(r.Extra))
			return taken(err, "role", r.Name)
		})
}

// DeleteRole deletes a role that is not immutable, with its assignments, and voids the tokens that carry it.
func (s *Service) DeleteRole(ctx context.Context, id string) error {
	defer s.revoked.forget()
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		r, err := getRole(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := immutable(r.Options, "role", id); err != nil {
			return err
		}
		if err := s.revokeRole(ctx, tx, r); err != nil {
			return err
		}
		return remove(ctx, tx, "identity_role", "role", id)
	})
}

// revokeRole voids the tokens that carry the role, or something because of it: tokens do not name a domain's roles.
func (s *Service) revokeRole(ctx context.Context, q db.Querier, r Role) error {
	if r.DomainID == "" {
		return s.revoke(ctx, q, "role:"+r.ID)
	}
	implied, err := implications(ctx, q)
	if err != nil {
		return err
	}
	made, err := assignments(ctx, q, AssignmentFilter{})
	if err != nil {
		return err
	}
	for _, a := range made {
		if expand([]string{a.RoleID}, implied)[r.ID] {
			if err := s.revokeAssigned(ctx, q, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// Imply makes everybody who holds the first role hold the second too; saying it twice is the same as once. A role of
// the whole cloud cannot imply a domain's, and no role implies itself, not even by a detour.
func (s *Service) Imply(ctx context.Context, prior, implied string) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		first, err := getRole(ctx, tx, prior)
		if err != nil {
			return err
		}
		second, err := getRole(ctx, tx, implied)
		if err != nil {
			return err
		}
		if first.DomainID == "" && second.DomainID != "" {
			return fault.New(fault.Forbidden, "Domain specific role %s cannot be implied by a role of the whole cloud.", implied)
		}
		if second.Name == RoleAdmin { // Keystone's prohibited_implied_role
			return fault.New(fault.Forbidden, "The role %s cannot be an implied role.", second.Name)
		}
		known, err := implications(ctx, tx)
		if err != nil {
			return err
		}
		if expand([]string{implied}, known)[prior] {
			return fault.New(fault.Forbidden, "The role %s implies the role %s already.", implied, prior)
		}
		return imply(ctx, tx, prior, implied)
	})
}

func imply(ctx context.Context, q db.Querier, prior, implied string) error {
	_, err := q.ExecContext(ctx, `INSERT INTO identity_implied_role (prior, implied) VALUES ($1, $2) ON CONFLICT (prior, implied) DO NOTHING`, prior, implied)
	return err
}

// Implies fails with fault.NotFound when the first role does not imply the second directly.
func (s *Service) Implies(ctx context.Context, prior, implied string) error {
	known, err := s.Implications(ctx)
	if err == nil && !slices.Contains(known[prior], implied) {
		err = notImplied(prior, implied)
	}
	return err
}

func notImplied(prior, implied string) error {
	return fault.New(fault.NotFound, "%s does not imply %s.", prior, implied)
}

// Unimply ends an implication and voids the tokens that may carry what was implied.
func (s *Service) Unimply(ctx context.Context, prior, implied string) error {
	defer s.revoked.forget()
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		first, err := getRole(ctx, tx, prior)
		if err != nil {
			return err
		}
		if err := s.revokeRole(ctx, tx, first); err != nil {
			return err
		}
		n, err := db.Changed(tx.ExecContext(ctx, `DELETE FROM identity_implied_role WHERE prior = $1 AND implied = $2`, prior, implied))
		if err == nil && n == 0 {
			err = notImplied(prior, implied)
		}
		return err
	})
}

// Implications says which roles each role (by id) implies directly.
func (s *Service) Implications(ctx context.Context) (map[string][]string, error) {
	return implications(ctx, s.db)
}

func implications(ctx context.Context, q db.Querier) (map[string][]string, error) {
	type pair struct{ prior, implied string }
	pairs, err := db.List(ctx, q, func(row db.Scanner) (p pair, err error) { return p, row.Scan(&p.prior, &p.implied) },
		`SELECT prior, implied FROM identity_implied_role ORDER BY prior, implied`)
	implied := map[string][]string{}
	for _, p := range pairs {
		implied[p.prior] = append(implied[p.prior], p.implied)
	}
	return implied, err
}

// expand adds to the role ids all that they imply, directly or not.
func expand(ids []string, implied map[string][]string) map[string]bool {
	all := map[string]bool{}
	for len(ids) > 0 {
		id := ids[len(ids)-1]
		ids = ids[:len(ids)-1]
		if !all[id] {
			all[id] = true
			ids = append(ids, implied[id]...)
		}
	}
	return all
}
