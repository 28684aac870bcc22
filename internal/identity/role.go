package identity

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
)

const roleColumns = `SELECT id, name, description, options, extra FROM identity_role`

func scanRole(row db.Scanner) (r Role, err error) {
	return r, row.Scan(&r.ID, &r.Name, &r.Description, db.JSON(&r.Options), db.JSON(&r.Extra))
}

// CreateRole stores a new role. An empty id is drawn.
func (s *Service) CreateRole(ctx context.Context, r Role) (Role, error) {
	if err := checkName("role", r.Name); err != nil {
		return Role{}, err
	}
	if r.ID == "" {
		r.ID = newID()
	}
	return r, insertRole(ctx, s.db, r)
}

func insertRole(ctx context.Context, q db.Querier, r Role) error {
	_, err := q.ExecContext(ctx, `INSERT INTO identity_role (id, name, description, options, extra) VALUES ($1, $2, $3, $4, $5)`,
		r.ID, r.Name, r.Description, db.JSON(r.Options), db.JSON(r.Extra))
	return taken(err, "role", r.Name)
}

// Role finds a role by id.
func (s *Service) Role(ctx context.Context, id string) (Role, error) {
	return getRole(ctx, s.db, "id", id)
}

func getRole(ctx context.Context, q db.Querier, column, value string) (Role, error) {
	r, err := scanRole(q.QueryRowContext(ctx, roleColumns+" WHERE "+column+" = $1", value))
	return r, missing(err, "role", value)
}

// Roles lists roles by id; a non-empty name narrows the list.
func (s *Service) Roles(ctx context.Context, name string) ([]Role, error) {
	var where db.Where
	if name != "" {
		where.And("name = ?", name)
	}
	return db.List(ctx, s.db, scanRole, roleColumns+where.String()+" ORDER BY id", where.Args...)
}

// UpdateRole changes a role that is not immutable.
func (s *Service) UpdateRole(ctx context.Context, id string, change func(*Role) error) (Role, error) {
	return amend(ctx, s.db,
		func(q db.Querier) (Role, error) {
			r, err := getRole(ctx, q, "id", id)
			if err != nil {
				return r, err
			}
			return r, immutable(r.Options, "role", id)
		}, change,
		func(q db.Querier, r Role) error {
			if err := checkName("role", r.Name); err != nil {
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
		r, err := getRole(ctx, tx, "id", id)
		if err != nil {
			return err
		}
		if err := immutable(r.Options, "role", id); err != nil {
			return err
		}
		if err := s.revoke(ctx, tx, "role:"+r.Name); err != nil {
			return err
		}
		return remove(ctx, tx, "identity_role", "role", id)
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
