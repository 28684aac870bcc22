package identity

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

const projectColumns = `SELECT id, domain_id, parent_id, name, description, enabled, tags, options, extra FROM identity_project`

func scanProject(row db.Scanner) (p Project, err error) {
	return p, row.Scan(&p.ID, &p.DomainID, &p.ParentID, &p.Name, &p.Description, &p.Enabled, db.JSON(&p.Tags), db.JSON(&p.Options), db.JSON(&p.Extra))
}

// CreateProject stores a new project. An empty id is drawn; an empty domain is the parent's or the default one; an
// empty parent is the domain.
func (s *Service) CreateProject(ctx context.Context, p Project) (Project, error) {
	if err := checkName("project", p.Name); err != nil {
		return Project{}, err
	}
	if p.ID == "" {
		p.ID = newID()
	}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := placeProject(ctx, tx, &p); err != nil {
			return err
		}
		return insertProject(ctx, tx, p)
	})
	return p, err
}

// placeProject settles domain and parent, which must fit each other.
func placeProject(ctx context.Context, q db.Querier, p *Project) error {
	if p.ParentID != "" && p.ParentID != p.DomainID {
		parent, err := getProject(ctx, q, p.ParentID)
		switch {
		case fault.Is(err, fault.NotFound) && p.DomainID == "": // a domain serves as parent of its projects
			p.DomainID = p.ParentID
		case err != nil:
			return err
		case p.DomainID == "":
			p.DomainID = parent.DomainID
		case p.DomainID != parent.DomainID:
			return fault.New(fault.Invalid, "The project and its parent must be in the same domain.")
		}
	}
	if p.DomainID == "" {
		p.DomainID = DefaultDomain
	}
	if p.ParentID == "" {
		p.ParentID = p.DomainID
	}
	_, err := getDomain(ctx, q, "id", p.DomainID)
	return err
}

func insertProject(ctx context.Context, q db.Querier, p Project) error {
	_, err := q.ExecContext(ctx, `INSERT INTO identity_project (id, domain_id, parent_id, name, description, enabled, tags, options, extra)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		p.ID, p.DomainID, p.ParentID, p.Name, p.Description, p.Enabled, db.JSON(p.Tags), db.JSON(p.Options), db.JSON(p.Extra))
	return taken(err, "project", p.Name)
}

// Project finds a project by id.
func (s *Service) Project(ctx context.Context, id string) (Project, error) {
	return getProject(ctx, s.db, id)
}

func getProject(ctx context.Context, q db.Querier, id string) (Project, error) {
	p, err := scanProject(q.QueryRowContext(ctx, projectColumns+" WHERE id = $1", id))
	return p, missing(err, "project", id)
}

// ProjectFilter narrows a list; empty fields do not.
type ProjectFilter struct {
	Name, DomainID, ParentID string
	UserID                   string // projects on which this user has a role
	Enabled                  *bool
}

// Projects lists projects by id.
func (s *Service) Projects(ctx context.Context, f ProjectFilter) ([]Project, error) {
	var where db.Where
	if f.Name != "" {
		where.And("name = ?", f.Name)
	}
	if f.DomainID != "" {
		where.And("domain_id = ?", f.DomainID)
	}
	if f.ParentID != "" {
		where.And("parent_id = ?", f.ParentID)
	}
	if f.UserID != "" {
		where.And("id IN (SELECT target_id FROM identity_assignment WHERE target_kind = 'project' AND user_id = ?)", f.UserID)
	}
	if f.Enabled != nil {
		where.And("enabled = ?", *f.Enabled)
	}
	return db.List(ctx, s.db, scanProject, projectColumns+where.String()+" ORDER BY id", where.Args...)
}

// UpdateProject changes a project; its domain and parent stay. Disabling it voids its tokens.
func (s *Service) UpdateProject(ctx context.Context, id string, change func(*Project) error) (Project, error) {
	defer s.revoked.forget()
	return amend(ctx, s.db,
		func(q db.Querier) (Project, error) { return getProject(ctx, q, id) }, change,
		func(q db.Querier, p Project) error {
			if err := checkName("project", p.Name); err != nil {
				return err
			}
			if !p.Enabled {
				if err := s.revoke(ctx, q, "project:"+id); err != nil {
					return err
				}
			}
			_, err := q.ExecContext(ctx, `UPDATE identity_project SET name = $2, description = $3, enabled = $4, tags = $5, options = $6, extra = $7 WHERE id = $1`,
				id, p.Name, p.Description, p.Enabled, db.JSON(p.Tags), db.JSON(p.Options), db.JSON(p.Extra))
			return taken(err, "project", p.Name)
		})
}

// DeleteProject deletes a project without children, and voids its tokens.
func (s *Service) DeleteProject(ctx context.Context, id string) error {
	defer s.revoked.forget()
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		p, err := getProject(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := immutable(p.Options, "project", id); err != nil {
			return err
		}
		var children int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM identity_project WHERE parent_id = $1`, id).Scan(&children); err != nil {
			return err
		}
		if children > 0 {
			return fault.New(fault.Forbidden, "Cannot delete project %s since it is not a leaf in the hierarchy.", id)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM identity_assignment WHERE target_kind = 'project' AND target_id = $1`, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE identity_user SET default_project = '' WHERE default_project = $1`, id); err != nil {
			return err
		}
		if err := s.revoke(ctx, tx, "project:"+id); err != nil {
			return err
		}
		return remove(ctx, tx, "identity_project", "project", id)
	})
}
