package identity

import (
	"context"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Region is a place that endpoints belong to.
type Region struct {
	ID, Description string
	ParentID        *string
	Extra           Extra
}

// CatalogService is an entry of the catalog: something that has endpoints.
type CatalogService struct {
	ID, Type, Name string
	Description    *string
	Enabled        bool
	Extra          Extra
}

// Endpoint is where a service is reached. $(project_id)s in the URL stands for the token's project.
type Endpoint struct {
	ID, ServiceID string
	Interface     string // public, internal or admin
	RegionID      *string
	URL           string
	Enabled       bool
	Extra         Extra
}

const (
	regionColumns   = `SELECT id, description, parent_id, extra FROM identity_region`
	serviceColumns  = `SELECT id, type, name, description, enabled, extra FROM identity_service`
	endpointColumns = `SELECT id, service_id, interface, region_id, url, enabled, extra FROM identity_endpoint`
)

func scanRegion(row db.Scanner) (r Region, err error) {
	return r, row.Scan(&r.ID, &r.Description, &r.ParentID, db.JSON(&r.Extra))
}

func scanService(row db.Scanner) (c CatalogService, err error) {
	return c, row.Scan(&c.ID, &c.Type, &c.Name, &c.Description, &c.Enabled, db.JSON(&c.Extra))
}

func scanEndpoint(row db.Scanner) (e Endpoint, err error) {
	return e, row.Scan(&e.ID, &e.ServiceID, &e.Interface, &e.RegionID, &e.URL, &e.Enabled, db.JSON(&e.Extra))
}

// PutRegion stores a region, new or known. An empty id is drawn. Its parent must exist and not lie within it.
func (s *Service) PutRegion(ctx context.Context, r Region) (Region, error) {
	if r.ID == "" {
		r.ID = newID()
	}
	if len(r.ID) > 255 {
		return r, fault.New(fault.Invalid, "Invalid input for field 'id': a region's id has at most 255 characters.")
	}
	return r, s.db.Tx(ctx, func(tx *db.Tx) error {
		for parent := r.ParentID; parent != nil; {
			if *parent == r.ID {
				return fault.New(fault.Invalid, "Invalid input for field 'parent_region_id': region %s would lie within itself.", r.ID)
			}
			above, err := getRegion(ctx, tx, *parent)
			if err != nil {
				return err
			}
			parent = above.ParentID
		}
		return putRegion(ctx, tx, r)
	})
}

func putRegion(ctx context.Context, q db.Querier, r Region) error {
	_, err := q.ExecContext(ctx, `INSERT INTO identity_region (id, description, parent_id, extra) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET description = excluded.description, parent_id = excluded.parent_id, extra = excluded.extra`,
		r.ID, r.Description, r.ParentID, db.JSON(r.Extra))
	return err
}

// Region finds a region by id.
func (s *Service) Region(ctx context.Context, id string) (Region, error) {
	return getRegion(ctx, s.db, id)
}

func getRegion(ctx context.Context, q db.Querier, id string) (Region, error) {
	r, err := scanRegion(q.QueryRowContext(ctx, regionColumns+" WHERE id = $1", id))
	return r, missing(err, "region", id)
}

// Regions lists regions by id; a non-empty parent narrows the list.
func (s *Service) Regions(ctx context.Context, parentID string) ([]Region, error) {
	var where db.Where
	if parentID != "" {
		where.And("parent_id = ?", parentID)
	}
	return db.List(ctx, s.db, scanRegion, regionColumns+where.String()+" ORDER BY id", where.Args...)
}

// DeleteRegion deletes a region, and those within it, unless one of them has endpoints.
func (s *Service) DeleteRegion(ctx context.Context, id string) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error { return deleteRegion(ctx, tx, id) })
}

func deleteRegion(ctx context.Context, q db.Querier, id string) error {
	var used int
	if err := q.QueryRowContext(ctx, `SELECT count(*) FROM identity_endpoint WHERE region_id = $1`, id).Scan(&used); err != nil {
		return err
	}
	if used > 0 {
		return fault.New(fault.Forbidden, "Unable to delete region %s because it or its child regions have associated endpoints.", id)
	}
	children, err := db.List(ctx, q, scanText, `SELECT id FROM identity_region WHERE parent_id = $1 ORDER BY id`, id)
	if err != nil {
		return err
	}
	for _, child := range children {
		if err := deleteRegion(ctx, q, child); err != nil {
			return err
		}
	}
	return remove(ctx, q, "identity_region", "region", id)
}

// PutService stores a catalog entry, new or known. An empty id is drawn.
func (s *Service) PutService(ctx context.Context, c CatalogService) (CatalogService, error) {
	if c.Type == "" {
		return c, fault.New(fault.Invalid, "Invalid input for field 'type': a service has a type.")
	}
	if c.ID == "" {
		c.ID = newID()
	}
	defer s.catalogs.forget()
	return c, putService(ctx, s.db, c)
}

func putService(ctx context.Context, q db.Querier, c CatalogService) error {
	_, err := q.ExecContext(ctx, `INSERT INTO identity_service (id, type, name, description, enabled, extra) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (id) DO UPDATE SET type = excluded.type, name = excluded.name, description = excluded.description, enabled = excluded.enabled, extra = excluded.extra`,
		c.ID, c.Type, c.Name, c.Description, c.Enabled, db.JSON(c.Extra))
	return err
}

// CatalogService finds a catalog entry by id.
func (s *Service) CatalogService(ctx context.Context, id string) (CatalogService, error) {
	return getService(ctx, s.db, id)
}

func getService(ctx context.Context, q db.Querier, id string) (CatalogService, error) {
	c, err := scanService(q.QueryRowContext(ctx, serviceColumns+" WHERE id = $1", id))
	return c, missing(err, "service", id)
}

// CatalogServices lists catalog entries by id; non-empty arguments narrow the list.
func (s *Service) CatalogServices(ctx context.Context, typ, name string) ([]CatalogService, error) {
	var where db.Where
	if typ != "" {
		where.And("type = ?", typ)
	}
	if name != "" {
		where.And("name = ?", name)
	}
	return db.List(ctx, s.db, scanService, serviceColumns+where.String()+" ORDER BY id", where.Args...)
}

// DeleteService deletes a catalog entry with its endpoints.
func (s *Service) DeleteService(ctx context.Context, id string) error {
	defer s.catalogs.forget()
	return remove(ctx, s.db, "identity_service", "service", id)
}

// PutEndpoint stores an endpoint, new or known. An empty id is drawn; service and region must exist. MakeRegion, the
// id of a region, is made where it is missing: what endpoints' older field "region" means.
func (s *Service) PutEndpoint(ctx context.Context, e Endpoint, makeRegion string) (Endpoint, error) {
	if !slices.Contains(interfaces, e.Interface) {
		return e, fault.New(fault.Invalid, "Invalid input for field 'interface': %q is not one of %s.", e.Interface, strings.Join(interfaces, ", "))
	}
	if e.URL == "" {
		return e, fault.New(fault.Invalid, "Invalid input for field 'url': an endpoint has a URL.")
	}
	if e.ID == "" {
		e.ID = newID()
	}
	defer s.catalogs.forget()
	return e, s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := getService(ctx, tx, e.ServiceID); err != nil {
			return invalidReference(err)
		}
		if makeRegion != "" {
			if _, err := tx.ExecContext(ctx, `INSERT INTO identity_region (id, description, extra) VALUES ($1, '', '{}') ON CONFLICT (id) DO NOTHING`, makeRegion); err != nil {
				return err
			}
		}
		if e.RegionID != nil {
			if _, err := getRegion(ctx, tx, *e.RegionID); err != nil {
				return invalidReference(err)
			}
		}
		return putEndpoint(ctx, tx, e)
	})
}

var interfaces = []string{"public", "internal", "admin"}

// invalidReference: what a body refers to and is absent makes the body wrong, not the path.
func invalidReference(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.Wrap(err, fault.Invalid, "%s", fault.Message(err))
	}
	return err
}

func putEndpoint(ctx context.Context, q db.Querier, e Endpoint) error {
	_, err := q.ExecContext(ctx, `INSERT INTO identity_endpoint (id, service_id, interface, region_id, url, enabled, extra) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (id) DO UPDATE SET service_id = excluded.service_id, interface = excluded.interface, region_id = excluded.region_id,
		url = excluded.url, enabled = excluded.enabled, extra = excluded.extra`,
		e.ID, e.ServiceID, e.Interface, e.RegionID, e.URL, e.Enabled, db.JSON(e.Extra))
	return err
}

// Endpoint finds an endpoint by id.
func (s *Service) Endpoint(ctx context.Context, id string) (Endpoint, error) {
	return getEndpoint(ctx, s.db, id)
}

func getEndpoint(ctx context.Context, q db.Querier, id string) (Endpoint, error) {
	e, err := scanEndpoint(q.QueryRowContext(ctx, endpointColumns+" WHERE id = $1", id))
	return e, missing(err, "endpoint", id)
}

// EndpointFilter narrows a list; empty fields do not.
type EndpointFilter struct{ ServiceID, Interface, RegionID string }

// Endpoints lists endpoints by id.
func (s *Service) Endpoints(ctx context.Context, f EndpointFilter) ([]Endpoint, error) {
	var where db.Where
	if f.ServiceID != "" {
		where.And("service_id = ?", f.ServiceID)
	}
	if f.Interface != "" {
		where.And("interface = ?", f.Interface)
	}
	if f.RegionID != "" {
		where.And("region_id = ?", f.RegionID)
	}
	return db.List(ctx, s.db, scanEndpoint, endpointColumns+where.String()+" ORDER BY id", where.Args...)
}

// DeleteEndpoint deletes an endpoint.
func (s *Service) DeleteEndpoint(ctx context.Context, id string) error {
	defer s.catalogs.forget()
	return remove(ctx, s.db, "identity_endpoint", "endpoint", id)
}

// CatalogEntry is a service with its endpoints as a token's owner sees them.
type CatalogEntry struct {
	CatalogService
	Endpoints []Endpoint
}

// Catalog is what the token's owner may reach: enabled services with their enabled endpoints, URLs filled in. Without
// a project, endpoints whose URL needs one are left out.
func (s *Service) Catalog(ctx context.Context, t *Token) ([]CatalogEntry, error) {
	known, err := s.catalogs.look(ctx)
	if err != nil {
		return nil, err
	}
	project, endpoints := "", known.endpoints
	if t.Project != nil {
		project = t.Project.ID
	}
	if known.filtered && project != "" {
		own, err := s.ProjectEndpoints(ctx, project)
		if err != nil {
			return nil, err
		}
		if own != nil {
			endpoints = own
		}
	}
	replacer := strings.NewReplacer("$(project_id)s", project, "%(project_id)s", project,
		"$(tenant_id)s", project, "%(tenant_id)s", project, "$(user_id)s", t.User.ID, "%(user_id)s", t.User.ID)
	var catalog []CatalogEntry
	for _, service := range known.services {
		entry := CatalogEntry{CatalogService: service}
		for _, e := range endpoints {
			needsProject := strings.Contains(e.URL, "(project_id)s") || strings.Contains(e.URL, "(tenant_id)s")
			if e.ServiceID != service.ID || !e.Enabled || (needsProject && project == "") {
				continue
			}
			e.URL = replacer.Replace(e.URL)
			entry.Endpoints = append(entry.Endpoints, e)
		}
		if service.Enabled {
			catalog = append(catalog, entry)
		}
	}
	return catalog, nil
}
