package identity

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

const domainColumns = `SELECT id, name, description, enabled, tags, options, extra FROM identity_domain`

func scanDomain(row db.Scanner) (d Domain, err error) {
	return d, row.Scan(&d.ID, &d.Name, &d.Description, &d.Enabled, db.JSON(&d.Tags), db.JSON(&d.Options), db.JSON(&d.Extra))
}

func (d *Domain) check() error {
	if err := checkName("domain", d.Name, maxScopeName); err != nil {
		return err
	}
	return checkTags(d.Tags)
}

// CreateDomain stores a new domain. An empty id is drawn.
func (s *Service) CreateDomain(ctx context.Context, d Domain) (Domain, error) {
	if err := d.check(); err != nil {
		return Domain{}, err
	}
	if d.ID == "" {
		d.ID = newID()
	}
	return d, insertDomain(ctx, s.db, d)
}

func insertDomain(ctx context.Context, q db.Querier, d Domain) error {
	_, err := q.ExecContext(ctx, `INSERT INTO identity_domain (id, name, description, enabled, tags, options, extra)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, d.ID, d.Name, d.Description, d.Enabled, db.JSON(list(d.Tags)), db.JSON(d.Options), db.JSON(d.Extra))
	return taken(err, "domain", d.Name)
}

// Domain finds a domain by id.
func (s *Service) Domain(ctx context.Context, id string) (Domain, error) {
	return getDomain(ctx, s.db, "id", id)
}

func getDomain(ctx context.Context, q db.Querier, column, value string) (Domain, error) {
	d, err := scanDomain(q.QueryRowContext(ctx, domainColumns+" WHERE "+column+" = $1", value))
	return d, missing(err, "domain", value)
}

// DomainFilter narrows a list; empty fields do not.
type DomainFilter struct {
	ID, Name string
	UserID   string // domains on which this user has a role
	Enabled  *bool
}

// Domains lists domains by id.
func (s *Service) Domains(ctx context.Context, f DomainFilter) ([]Domain, error) {
	var where db.Where
	if f.ID != "" {
		where.And("id = ?", f.ID)
	}
	if f.Name != "" {
		where.And("name = ?", f.Name)
	}
	if f.Enabled != nil {
		where.And("enabled = ?", *f.Enabled)
	}
	domains, err := db.List(ctx, s.db, scanDomain, domainColumns+where.String()+" ORDER BY id", where.Args...)
	if err != nil || f.UserID == "" {
		return domains, err
	}
	return held(ctx, s, f.UserID, OnDomain, domains, func(d Domain) string { return d.ID })
}

// UpdateDomain changes a domain. Disabling it voids the tokens of its users and projects.
func (s *Service) UpdateDomain(ctx context.Context, id string, change func(*Domain) error) (Domain, error) {
	defer s.revoked.forget()
	var before Domain
	return amend(ctx, s.db,
		func(q db.Querier) (d Domain, err error) {
			before, err = getDomain(ctx, q, "id", id)
			return before, err
		}, change,
		func(q db.Querier, d Domain) error {
			if err := d.check(); err != nil {
				return err
			}
			if err := mutable(before.Options, d.Options, "domain", id); err != nil {
				return err
			}
			if !d.Enabled {
				if err := s.revoke(ctx, q, "domain:"+id); err != nil {
					return err
				}
			}
			_, err := q.ExecContext(ctx, `UPDATE identity_domain SET name = $2, description = $3, enabled = $4, tags = $5, options = $6, extra = $7 WHERE id = $1`,
				id, d.Name, d.Description, d.Enabled, db.JSON(list(d.Tags)), db.JSON(d.Options), db.JSON(d.Extra))
			return taken(err, "domain", d.Name)
		})
}

// DeleteDomain deletes a disabled domain with all that is in it: users, groups, projects and roles.
func (s *Service) DeleteDomain(ctx context.Context, id string) error {
	defer s.revoked.forget()
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		d, err := getDomain(ctx, tx, "id", id)
		if err != nil {
			return err
		}
		if err := immutable(d.Options, "domain", id); err != nil {
			return err
		}
		if d.Enabled {
			return fault.New(fault.Forbidden, "Cannot delete a domain that is enabled, please disable it first.")
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM identity_assignment WHERE (target_kind = 'domain' AND target_id = $1)
			OR (target_kind = 'project' AND target_id IN (SELECT id FROM identity_project WHERE domain_id = $1))`, id); err != nil {
			return err
		}
		if err := s.revoke(ctx, tx, "domain:"+id); err != nil {
			return err
		}
		return remove(ctx, tx, "identity_domain", "domain", id)
	})
}
