package router

import (
	"context"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// NewRouter says what router is wanted. Only Project is required.
type NewRouter struct {
	Project, Name, Description string
	AdminDown                  bool
	Gateway                    *GatewayWish // nil: none
	Zones                      []string
	Tags                       []string
}

// Create makes a router; the gateway's network is one that the viewer sees. It fails with Quota when the project has as
// many as it may, and as Change does.
func (s *Service) Create(ctx context.Context, tx *db.Tx, v network.Viewer, spec NewRouter) (*Router, error) {
	r := &Router{AdminUp: !spec.AdminDown, Routes: []network.Route{}, Zones: append([]string{}, spec.Zones...)}
	r.Meta = s.meta(spec.Project, spec.Tags)
	r.Name, r.Description = spec.Name, spec.Description
	if err := check(r.Name, r.Description); err != nil {
		return nil, err
	}
	for _, zone := range spec.Zones {
		if zone != network.Zone {
			return nil, refuse(fault.NotFound, network.NoSuchZone, "AvailabilityZone %s could not be found.", zone)
		}
	}
	if err := s.networks.WithinQuota(ctx, tx, spec.Project, routerResource); err != nil {
		return nil, err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO router (`+routerColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		r.ID, r.Project, r.Name, r.Description, r.AdminUp, true, db.JSON(r.Routes), db.JSON(r.Zones), db.JSON(r.Tags), r.Revision, r.Created, r.Updated)
	if err != nil {
		return nil, err
	}
	if spec.Gateway == nil {
		return r, markRouter(ctx, tx, r.ID)
	}
	return r, s.change(ctx, tx, v, r, Change{Gateway: spec.Gateway})
}

func (s *Service) meta(project string, tags []string) network.Meta {
	now := s.clock.Now()
	return network.Meta{ID: uuid.NewString(), Project: project, Tags: append([]string{}, tags...), Revision: 1, Created: now, Updated: now}
}

// Change is what may change of a router; nil leaves it.
type Change struct {
	Name, Description *string
	AdminUp           *bool
	Gateway           *GatewayWish
	NoGateway         bool
	Routes            *[]network.Route // all of them
}

// Change changes a router and gives it as it is then. It fails with Conflict when a floating IP needs the gateway, and
// with Invalid when a route's next hop cannot be reached afterwards.
func (s *Service) Change(ctx context.Context, tx *db.Tx, v network.Viewer, id string, c Change) (*Router, error) {
	r, err := s.Router(ctx, tx, v, id)
	if err != nil {
		return nil, err
	}
	return r, s.change(ctx, tx, v, r, c)
}

func (s *Service) change(ctx context.Context, tx *db.Tx, v network.Viewer, r *Router, c Change) error {
	set(&r.Name, c.Name)
	set(&r.Description, c.Description)
	set(&r.AdminUp, c.AdminUp)
	set(&r.Routes, c.Routes)
	if err := check(r.Name, r.Description); err != nil {
		return err
	}
	switch {
	case c.Gateway != nil:
		if err := s.setGateway(ctx, tx, v, r, *c.Gateway); err != nil {
			return err
		}
	case c.NoGateway:
		if err := s.clearGateway(ctx, tx, r); err != nil {
			return err
		}
	}
	if c.Gateway != nil || c.NoGateway {
		if err := s.markServed(ctx, tx, r.ID); err != nil {
			return err
		}
	}
	if c.Gateway != nil || c.NoGateway || c.Routes != nil {
		if err := s.checkRoutes(ctx, tx, r); err != nil {
			return err
		}
	}
	return s.save(ctx, tx, r)
}

// markServed marks the floating IPs that lead through a router: their rows name its gateway.
func (s *Service) markServed(ctx context.Context, tx *db.Tx, router string) error {
	served, err := s.FloatingIPs(ctx, tx, network.Everything, FloatingIPFilter{Routers: []string{router}})
	for _, f := range served {
		if err := markFloatingIP(ctx, tx, f.ID); err != nil {
			return err
		}
	}
	return err
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// check finds a name or a description that is too long.
func check(name, description string) error {
	for field, text := range map[string]string{"name": name, "description": description} {
		if utf8.RuneCountInString(text) > 255 {
			return fault.New(fault.Invalid, "Invalid input for %s. Reason: '%s' exceeds maximum length of 255.", field, text)
		}
	}
	return nil
}

// Delete deletes a router with its gateway. It fails with Conflict while it has interfaces.
func (s *Service) Delete(ctx context.Context, tx *db.Tx, id string) error {
	r, err := s.Router(ctx, tx, network.Everything, id)
	if err != nil {
		return err
	}
	interfaces, err := s.Interfaces(ctx, tx, id)
	if err != nil {
		return err
	}
	if len(interfaces[id]) > 0 {
		return refuse(fault.Conflict, RouterInUse, "Router %s still has ports", id)
	}
	if err := s.clearGateway(ctx, tx, r); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM router WHERE id = $1`, id); err != nil {
		return err
	}
	return markRouter(ctx, tx, id)
}
