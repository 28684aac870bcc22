package identity

import (
	"context"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// maxDepth is how deep projects nest, the domain included: Keystone's max_project_tree_depth.
const maxDepth = 5

const projectColumns = `SELECT id, domain_id, parent_id, name, description, enabled, tags, options, extra FROM identity_project`

func scanProject(row db.Scanner) (p Project, err error) {
	return p, row.Scan(&p.ID, &p.DomainID, &p.ParentID, &p.Name, &p.Description, &p.Enabled, db.JSON(&p.Tags), db.JSON(&p.Options), db.JSON(&p.Extra))
}

func (p *Project) check() error {
	if err := checkName("project", p.Name, maxScopeName); err != nil {
		return err
	}
	return checkTags(p.Tags)
}

// CreateProject stores a new project. An empty id is drawn; an empty domain is the parent's or the default one; an
// empty parent is the domain.
func (s *Service) CreateProject(ctx context.Context, p Project) (Project, error) {
	if err := p.check(); err != nil {
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
	above, err := ancestors(ctx, q, *p)
	if err != nil {
		return err
	}
	if len(above)+2 > maxDepth {
		return fault.New(fault.Forbidden, "Max hierarchy depth reached for the %s branch.", p.ParentID)
	}
	if slices.ContainsFunc(above, func(a Project) bool { return !a.Enabled }) {
		return fault.New(fault.Forbidden, "Cannot create a project in a branch that contains a disabled project.")
	}
	_, err = getDomain(ctx, q, "id", p.DomainID)
	return err
}

func insertProject(ctx context.Context, q db.Querier, p Project) error {
	_, err := q.ExecContext(ctx, `INSERT INTO identity_project (id, domain_id, parent_id, name, description, enabled, tags, options, extra)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		p.ID, p.DomainID, p.ParentID, p.Name, p.Description, p.Enabled, db.JSON(list(p.Tags)), db.JSON(p.Options), db.JSON(p.Extra))
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

// Ancestors are the projects above this one, the nearest first.
func (s *Service) Ancestors(ctx context.Context, p Project) ([]Project, error) {
	return ancestors(ctx, s.db, p)
}

func ancestors(ctx context.Context, q db.Querier, p Project) (above []Project, err error) {
	for p.ParentID != p.DomainID {
		if p, err = getProject(ctx, q, p.ParentID); err != nil {
			return nil, err
		}
		above = append(above, p)
	}
	return above, nil
}

// Subtree are the projects below this one, parents before their children.
func (s *Service) Subtree(ctx context.Context, p Project) ([]Project, error) {
	return subtree(ctx, s.db, p)
}

func subtree(ctx context.Context, q db.Querier, p Project) ([]Project, error) {
	all, err := db.List(ctx, q, scanProject, projectColumns+" WHERE domain_id = $1 AND parent_id <> domain_id ORDER BY id", p.DomainID)
	if err != nil {
		return nil, err
	}
	below := []Project{}
	for parents := []string{p.ID}; len(parents) > 0; {
		var children []string
		for _, child := range all {
			if slices.Contains(parents, child.ParentID) {
				below = append(below, child)
				children = append(children, child.ID)
			}
		}
		parents = children
	}
	return below, nil
}

// ProjectFilter narrows a list; empty fields do not.
type ProjectFilter struct {
	Name, DomainID, ParentID string
	UserID                   string // projects on which this user has a role, also through groups and by inheritance
	Enabled                  *bool
	Tags                     TagFilter
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
	if f.Enabled != nil {
		where.And("enabled = ?", *f.Enabled)
	}
	projects, err := db.List(ctx, s.db, scanProject, projectColumns+where.String()+" ORDER BY id", where.Args...)
	if err != nil {
		return nil, err
	}
	if !f.Tags.empty() {
		projects = slices.DeleteFunc(projects, func(p Project) bool { return !f.Tags.fits(p.Tags) })
	}
	if f.UserID == "" {
		return projects, nil
	}
	return held(ctx, s, f.UserID, OnProject, projects, func(p Project) string { return p.ID })
}

// held keeps the things of one kind on which the user has a role.
func held[T any](ctx context.Context, s *Service, userID, kind string, things []T, id func(T) string) ([]T, error) {
	found, err := effective(ctx, s.db, AssignmentFilter{UserID: userID, Target: Target{Kind: kind}})
	if err != nil {
		return nil, err
	}
	on := map[string]bool{}
	for _, a := range found {
		on[a.Target.ID] = true
	}
	return slices.DeleteFunc(things, func(t T) bool { return !on[id(t)] }), nil
}

// UpdateProject changes a project; its domain and parent stay. Disabling it voids its tokens. A project is enabled only
// below enabled ones.
func (s *Service) UpdateProject(ctx context.Context, id string, change func(*Project) error) (Project, error) {
	defer s.revoked.forget()
	var before Project
	return amend(ctx, s.db,
		func(q db.Querier) (p Project, err error) { before, err = getProject(ctx, q, id); return before, err }, change,
		func(q db.Querier, p Project) error {
			if err := p.check(); err != nil {
				return err
			}
			if err := mutable(before.Options, p.Options, "project", id); err != nil {
				return err
			}
			if p.Enabled != before.Enabled {
				if err := s.switchProject(ctx, q, p); err != nil {
					return err
				}
			}
			_, err := q.ExecContext(ctx, `UPDATE identity_project SET name = $2, description = $3, enabled = $4, tags = $5, options = $6, extra = $7 WHERE id = $1`,
				id, p.Name, p.Description, p.Enabled, db.JSON(list(p.Tags)), db.JSON(p.Options), db.JSON(p.Extra))
			return taken(err, "project", p.Name)
		})
}

func (s *Service) switchProject(ctx context.Context, q db.Querier, p Project) error {
	relatives, wrong := ancestors, "Cannot enable project %s since it has disabled parents."
	if !p.Enabled {
		relatives, wrong = subtree, "Cannot disable project %s since its subtree contains enabled projects."
	}
	related, err := relatives(ctx, q, p)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(related, func(r Project) bool { return r.Enabled != p.Enabled }) {
		return fault.New(fault.Forbidden, wrong, p.ID)
	}
	if p.Enabled {
		return nil
	}
	return s.revoke(ctx, q, "project:"+p.ID)
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
		for _, statement := range []string{
			`DELETE FROM identity_assignment WHERE target_kind = 'project' AND target_id = $1`,
			`DELETE FROM identity_credential WHERE project_id = $1`,
			`UPDATE identity_user SET default_project = '' WHERE default_project = $1`,
		} {
			if _, err := tx.ExecContext(ctx, statement, id); err != nil {
				return err
			}
		}
		if err := s.revoke(ctx, tx, "project:"+id); err != nil {
			return err
		}
		return remove(ctx, tx, "identity_project", "project", id)
	})
}
