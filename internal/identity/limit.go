package identity

import (
	"context"
	"errors"
	"math"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// RegisteredLimit is how much of a service's resource every project may have unless a Limit says otherwise. The
// services of this cloud keep quotas of their own; these are for others that ask here (oslo.limit).
type RegisteredLimit struct {
	ID, ServiceID string
	RegionID      *string
	ResourceName  string
	Default       int // -1: no limit
	Description   *string
}

// Limit is how much of a registered resource one project or one domain may have.
type Limit struct {
	ID                  string
	ProjectID, DomainID *string // one of them is set
	Registered          RegisteredLimit
	Limit               int // -1: none
	Description         *string
}

const (
	registeredColumns = `SELECT id, service_id, region_id, resource_name, default_limit, description FROM identity_registered_limit`
	limitColumns      = `SELECT l.id, l.project_id, l.domain_id, l.resource_limit, l.description,
		r.id, r.service_id, r.region_id, r.resource_name, r.default_limit, r.description
		FROM identity_limit l JOIN identity_registered_limit r ON r.id = l.registered_id`
)

func scanRegistered(row db.Scanner) (r RegisteredLimit, err error) {
	return r, row.Scan(&r.ID, &r.ServiceID, &r.RegionID, &r.ResourceName, &r.Default, &r.Description)
}

func scanLimit(row db.Scanner) (l Limit, err error) {
	r := &l.Registered
	return l, row.Scan(&l.ID, &l.ProjectID, &l.DomainID, &l.Limit, &l.Description, &r.ID, &r.ServiceID, &r.RegionID, &r.ResourceName, &r.Default, &r.Description)
}

func checkLimit(field string, n int) error {
	if n < -1 || n > math.MaxInt32 {
		return fault.New(fault.Invalid, "Invalid input for field '%s': it is from -1 to %d.", field, math.MaxInt32)
	}
	return nil
}

func (r *RegisteredLimit) check(ctx context.Context, q db.Querier) error {
	if err := checkName("resource", r.ResourceName, maxName); err != nil {
		return err
	}
	if err := checkLimit("default_limit", r.Default); err != nil {
		return err
	}
	if _, err := getService(ctx, q, r.ServiceID); err != nil {
		return invalidReference(err)
	}
	if r.RegionID == nil {
		return nil
	}
	_, err := getRegion(ctx, q, *r.RegionID)
	return invalidReference(err)
}

// CreateRegisteredLimits stores all of them or none. Services and regions must exist.
func (s *Service) CreateRegisteredLimits(ctx context.Context, limits []RegisteredLimit) ([]RegisteredLimit, error) {
	return limits, s.db.Tx(ctx, func(tx *db.Tx) error {
		for i := range limits {
			r := &limits[i]
			if err := r.check(ctx, tx); err != nil {
				return err
			}
			r.ID = newID()
			if _, err := tx.ExecContext(ctx, `INSERT INTO identity_registered_limit (id, service_id, region_id, resource_name, default_limit, description)
				VALUES ($1, $2, $3, $4, $5, $6)`, r.ID, r.ServiceID, r.RegionID, r.ResourceName, r.Default, r.Description); err != nil {
				return taken(err, "registered_limit", r.ResourceName)
			}
		}
		return nil
	})
}

// RegisteredLimit finds a registered limit by id.
func (s *Service) RegisteredLimit(ctx context.Context, id string) (RegisteredLimit, error) {
	return getRegistered(ctx, s.db, id)
}

func getRegistered(ctx context.Context, q db.Querier, id string) (RegisteredLimit, error) {
	r, err := scanRegistered(q.QueryRowContext(ctx, registeredColumns+" WHERE id = $1", id))
	return r, missing(err, "registered limit for", id)
}

// LimitFilter narrows a list; empty fields do not.
type LimitFilter struct {
	ServiceID, RegionID, ResourceName string
	ProjectID                         string
	DomainID                          string // limits of the domain itself
	WithinDomain                      string // limits of the domain and of its projects
}

func (f LimitFilter) where() (w db.Where) {
	if f.ServiceID != "" {
		w.And("service_id = ?", f.ServiceID)
	}
	if f.RegionID != "" {
		w.And("region_id = ?", f.RegionID)
	}
	if f.ResourceName != "" {
		w.And("resource_name = ?", f.ResourceName)
	}
	if f.ProjectID != "" {
		w.And("project_id = ?", f.ProjectID)
	}
	if f.DomainID != "" {
		w.And("domain_id = ?", f.DomainID)
	}
	if f.WithinDomain != "" {
		w.And("(domain_id = ? OR project_id IN (SELECT id FROM identity_project WHERE domain_id = ?))", f.WithinDomain, f.WithinDomain)
	}
	return w
}

// RegisteredLimits lists registered limits by id; of the filter, the first three fields count.
func (s *Service) RegisteredLimits(ctx context.Context, f LimitFilter) ([]RegisteredLimit, error) {
	where := LimitFilter{ServiceID: f.ServiceID, RegionID: f.RegionID, ResourceName: f.ResourceName}.where()
	return db.List(ctx, s.db, scanRegistered, registeredColumns+where.String()+" ORDER BY id", where.Args...)
}

// UpdateRegisteredLimit changes a registered limit that no limit refers to.
func (s *Service) UpdateRegisteredLimit(ctx context.Context, id string, change func(*RegisteredLimit) error) (RegisteredLimit, error) {
	return amend(ctx, s.db,
		func(q db.Querier) (r RegisteredLimit, err error) {
			if r, err = getRegistered(ctx, q, id); err != nil {
				return r, err
			}
			return r, unused(ctx, q, id)
		}, change,
		func(q db.Querier, r RegisteredLimit) error {
			if err := r.check(ctx, q); err != nil {
				return err
			}
			_, err := q.ExecContext(ctx, `UPDATE identity_registered_limit SET service_id = $2, region_id = $3, resource_name = $4, default_limit = $5, description = $6 WHERE id = $1`,
				id, r.ServiceID, r.RegionID, r.ResourceName, r.Default, r.Description)
			return taken(err, "registered_limit", r.ResourceName)
		})
}

func unused(ctx context.Context, q db.Querier, registered string) error {
	var n int
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM identity_limit WHERE registered_id = $1`, registered).Scan(&n)
	if err == nil && n > 0 {
		return fault.New(fault.Forbidden, "Unable to update or delete registered limit %s because there are project limits associated with it.", registered)
	}
	return err
}

// DeleteRegisteredLimit deletes a registered limit that no limit refers to.
func (s *Service) DeleteRegisteredLimit(ctx context.Context, id string) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := unused(ctx, tx, id); err != nil {
			return err
		}
		return remove(ctx, tx, "identity_registered_limit", "registered limit for", id)
	})
}

// CreateLimits stores all of them or none. What each limits (service, region and name of its Registered) must be
// registered, and its project or domain must exist.
func (s *Service) CreateLimits(ctx context.Context, limits []Limit) ([]Limit, error) {
	return limits, s.db.Tx(ctx, func(tx *db.Tx) error {
		for i := range limits {
			if err := insertLimit(ctx, tx, &limits[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func insertLimit(ctx context.Context, q db.Querier, l *Limit) (err error) {
	if err := checkLimit("resource_limit", l.Limit); err != nil {
		return err
	}
	switch {
	case (l.ProjectID == nil) == (l.DomainID == nil):
		return fault.New(fault.Invalid, "Invalid input for field 'limits': a limit is for either a project or a domain.")
	case l.ProjectID != nil:
		_, err = getProject(ctx, q, *l.ProjectID)
	default:
		_, err = getDomain(ctx, q, "id", *l.DomainID)
	}
	if err != nil {
		return invalidReference(err)
	}
	region := ""
	if l.Registered.RegionID != nil {
		region = *l.Registered.RegionID
	}
	l.Registered, err = scanRegistered(q.QueryRowContext(ctx, registeredColumns+" WHERE service_id = $1 AND COALESCE(region_id, '') = $2 AND resource_name = $3",
		l.Registered.ServiceID, region, l.Registered.ResourceName))
	if errors.Is(err, errNoRow) {
		return fault.New(fault.Forbidden, "Unable to create a limit that has no corresponding registered limit.")
	}
	if err != nil {
		return err
	}
	l.ID = newID()
	_, err = q.ExecContext(ctx, `INSERT INTO identity_limit (id, registered_id, project_id, domain_id, resource_limit, description) VALUES ($1, $2, $3, $4, $5, $6)`,
		l.ID, l.Registered.ID, l.ProjectID, l.DomainID, l.Limit, l.Description)
	return taken(err, "limit", l.Registered.ResourceName)
}

// Limit finds a limit by id.
func (s *Service) Limit(ctx context.Context, id string) (Limit, error) {
	return getLimit(ctx, s.db, id)
}

func getLimit(ctx context.Context, q db.Querier, id string) (Limit, error) {
	l, err := scanLimit(q.QueryRowContext(ctx, limitColumns+" WHERE l.id = $1", id))
	return l, missing(err, "limit for", id)
}

// Limits lists limits by id.
func (s *Service) Limits(ctx context.Context, f LimitFilter) ([]Limit, error) {
	where := f.where()
	return db.List(ctx, s.db, scanLimit, limitColumns+where.String()+" ORDER BY l.id", where.Args...)
}

// UpdateLimit changes how much a limit allows, and its description.
func (s *Service) UpdateLimit(ctx context.Context, id string, change func(*Limit) error) (Limit, error) {
	return amend(ctx, s.db,
		func(q db.Querier) (Limit, error) { return getLimit(ctx, q, id) }, change,
		func(q db.Querier, l Limit) error {
			if err := checkLimit("resource_limit", l.Limit); err != nil {
				return err
			}
			_, err := q.ExecContext(ctx, `UPDATE identity_limit SET resource_limit = $2, description = $3 WHERE id = $1`, id, l.Limit, l.Description)
			return err
		})
}

// DeleteLimit deletes a limit: the registered one's default holds again.
func (s *Service) DeleteLimit(ctx context.Context, id string) error {
	return remove(ctx, s.db, "identity_limit", "limit for", id)
}
