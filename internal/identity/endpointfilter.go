package identity

import (
	"context"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// EndpointGroup is a set of endpoints by what they have in common. Projects that are given groups, or endpoints one by
// one, see only those in their catalog.
type EndpointGroup struct {
	ID, Name    string
	Description *string
	Filters     EndpointFilters
}

// EndpointFilters narrow; empty fields do not.
type EndpointFilters struct {
	ServiceID string `json:"service_id,omitempty"`
	RegionID  string `json:"region_id,omitempty"`
	Interface string `json:"interface,omitempty"`
	Enabled   *bool  `json:"enabled,omitempty"`
}

func (f EndpointFilters) fits(e Endpoint) bool {
	return (f.ServiceID == "" || f.ServiceID == e.ServiceID) && (f.RegionID == "" || (e.RegionID != nil && f.RegionID == *e.RegionID)) &&
		(f.Interface == "" || f.Interface == e.Interface) && (f.Enabled == nil || *f.Enabled == e.Enabled)
}

const endpointGroupColumns = `SELECT id, name, description, filters FROM identity_endpoint_group`

func scanEndpointGroup(row db.Scanner) (g EndpointGroup, err error) {
	return g, row.Scan(&g.ID, &g.Name, &g.Description, db.JSON(&g.Filters))
}

func (g *EndpointGroup) check() error {
	if err := checkName("endpoint group", g.Name, maxName); err != nil {
		return err
	}
	if g.Filters.Interface != "" && !slices.Contains(interfaces, g.Filters.Interface) {
		return fault.New(fault.Invalid, "Invalid input for field 'interface': %q is not one of %v.", g.Filters.Interface, interfaces)
	}
	return nil
}

// CreateEndpointGroup stores a new group.
func (s *Service) CreateEndpointGroup(ctx context.Context, g EndpointGroup) (EndpointGroup, error) {
	if err := g.check(); err != nil {
		return g, err
	}
	g.ID = newID()
	_, err := s.db.ExecContext(ctx, `INSERT INTO identity_endpoint_group (id, name, description, filters) VALUES ($1, $2, $3, $4)`, g.ID, g.Name, g.Description, db.JSON(g.Filters))
	return g, err
}

// EndpointGroup finds a group by id.
func (s *Service) EndpointGroup(ctx context.Context, id string) (EndpointGroup, error) {
	return getEndpointGroup(ctx, s.db, id)
}

func getEndpointGroup(ctx context.Context, q db.Querier, id string) (EndpointGroup, error) {
	g, err := scanEndpointGroup(q.QueryRowContext(ctx, endpointGroupColumns+" WHERE id = $1", id))
	return g, missing(err, "Endpoint Group", id)
}

// EndpointGroups lists groups by id; with a project, those that it was given.
func (s *Service) EndpointGroups(ctx context.Context, name, projectID string) ([]EndpointGroup, error) {
	var where db.Where
	if name != "" {
		where.And("name = ?", name)
	}
	if projectID != "" {
		where.And("id IN (SELECT group_id FROM identity_endpoint_group_project WHERE project_id = ?)", projectID)
	}
	return db.List(ctx, s.db, scanEndpointGroup, endpointGroupColumns+where.String()+" ORDER BY id", where.Args...)
}

// UpdateEndpointGroup changes a group.
func (s *Service) UpdateEndpointGroup(ctx context.Context, id string, change func(*EndpointGroup) error) (EndpointGroup, error) {
	return amend(ctx, s.db,
		func(q db.Querier) (EndpointGroup, error) { return getEndpointGroup(ctx, q, id) }, change,
		func(q db.Querier, g EndpointGroup) error {
			if err := g.check(); err != nil {
				return err
			}
			_, err := q.ExecContext(ctx, `UPDATE identity_endpoint_group SET name = $2, description = $3, filters = $4 WHERE id = $1`, id, g.Name, g.Description, db.JSON(g.Filters))
			return err
		})
}

// DeleteEndpointGroup deletes a group.
func (s *Service) DeleteEndpointGroup(ctx context.Context, id string) error {
	return remove(ctx, s.db, "identity_endpoint_group", "Endpoint Group", id)
}

// association is a table of pairs: what a project sees.
type association struct{ table, column, noun string }

var (
	seenEndpoints = association{"identity_endpoint_project", "endpoint_id", "endpoint"}
	seenGroups    = association{"identity_endpoint_group_project", "group_id", "endpoint group"}
)

func (a association) check(ctx context.Context, q db.Querier, id, projectID string) (err error) {
	if a == seenEndpoints {
		_, err = getEndpoint(ctx, q, id)
	} else {
		_, err = getEndpointGroup(ctx, q, id)
	}
	if err == nil {
		_, err = getProject(ctx, q, projectID)
	}
	return err
}

func (a association) add(ctx context.Context, s *Service, id, projectID string) error {
	defer s.catalogs.forget()
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := a.check(ctx, tx, id, projectID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO `+a.table+` (`+a.column+`, project_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, id, projectID)
		return err
	})
}

func (a association) has(ctx context.Context, s *Service, id, projectID string) error {
	if err := a.check(ctx, s.db, id, projectID); err != nil {
		return err
	}
	var n int
	err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM `+a.table+` WHERE `+a.column+` = $1 AND project_id = $2`, id, projectID).Scan(&n)
	if err == nil && n == 0 {
		return a.missing(id, projectID)
	}
	return err
}

func (a association) missing(id, projectID string) error {
	return fault.New(fault.NotFound, "The %s %s is not associated with project %s.", a.noun, id, projectID)
}

func (a association) remove(ctx context.Context, s *Service, id, projectID string) error {
	defer s.catalogs.forget()
	n, err := db.Changed(s.db.ExecContext(ctx, `DELETE FROM `+a.table+` WHERE `+a.column+` = $1 AND project_id = $2`, id, projectID))
	if err == nil && n == 0 {
		return a.missing(id, projectID)
	}
	return err
}

func (a association) projects(ctx context.Context, s *Service, id string) ([]Project, error) {
	return db.List(ctx, s.db, scanProject, projectColumns+` WHERE id IN (SELECT project_id FROM `+a.table+` WHERE `+a.column+` = $1) ORDER BY id`, id)
}

// ShowEndpoint puts an endpoint into the project's catalog.
func (s *Service) ShowEndpoint(ctx context.Context, endpointID, projectID string) error {
	return seenEndpoints.add(ctx, s, endpointID, projectID)
}

// ShowsEndpoint fails with fault.NotFound when the endpoint was not put into the project's catalog by itself.
func (s *Service) ShowsEndpoint(ctx context.Context, endpointID, projectID string) error {
	return seenEndpoints.has(ctx, s, endpointID, projectID)
}

// HideEndpoint undoes ShowEndpoint.
func (s *Service) HideEndpoint(ctx context.Context, endpointID, projectID string) error {
	return seenEndpoints.remove(ctx, s, endpointID, projectID)
}

// EndpointProjects are the projects that were given the endpoint by itself.
func (s *Service) EndpointProjects(ctx context.Context, endpointID string) ([]Project, error) {
	if _, err := s.Endpoint(ctx, endpointID); err != nil {
		return nil, err
	}
	return seenEndpoints.projects(ctx, s, endpointID)
}

// ShowEndpointGroup puts a group's endpoints into the project's catalog.
func (s *Service) ShowEndpointGroup(ctx context.Context, groupID, projectID string) error {
	return seenGroups.add(ctx, s, groupID, projectID)
}

// ShowsEndpointGroup fails with fault.NotFound when the project was not given the group.
func (s *Service) ShowsEndpointGroup(ctx context.Context, groupID, projectID string) error {
	return seenGroups.has(ctx, s, groupID, projectID)
}

// HideEndpointGroup undoes ShowEndpointGroup.
func (s *Service) HideEndpointGroup(ctx context.Context, groupID, projectID string) error {
	return seenGroups.remove(ctx, s, groupID, projectID)
}

// EndpointGroupProjects are the projects that were given the group.
func (s *Service) EndpointGroupProjects(ctx context.Context, groupID string) ([]Project, error) {
	if _, err := s.EndpointGroup(ctx, groupID); err != nil {
		return nil, err
	}
	return seenGroups.projects(ctx, s, groupID)
}

// EndpointGroupEndpoints are the endpoints that fit the group.
func (s *Service) EndpointGroupEndpoints(ctx context.Context, groupID string) ([]Endpoint, error) {
	g, err := s.EndpointGroup(ctx, groupID)
	if err != nil {
		return nil, err
	}
	endpoints, err := s.Endpoints(ctx, EndpointFilter{})
	return slices.DeleteFunc(endpoints, func(e Endpoint) bool { return !g.Filters.fits(e) }), err
}

// ProjectEndpoints are the endpoints that the project was given, by groups or one by one; nil when all are for it.
func (s *Service) ProjectEndpoints(ctx context.Context, projectID string) ([]Endpoint, error) {
	groups, err := s.EndpointGroups(ctx, "", projectID)
	if err != nil {
		return nil, err
	}
	one, err := db.List(ctx, s.db, scanText, `SELECT endpoint_id FROM identity_endpoint_project WHERE project_id = $1`, projectID)
	if err != nil || len(groups)+len(one) == 0 {
		return nil, err
	}
	endpoints, err := s.Endpoints(ctx, EndpointFilter{})
	return list(slices.DeleteFunc(endpoints, func(e Endpoint) bool {
		return !slices.Contains(one, e.ID) && !slices.ContainsFunc(groups, func(g EndpointGroup) bool { return g.Filters.fits(e) })
	})), err
}
