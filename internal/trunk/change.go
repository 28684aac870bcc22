package trunk

import (
	"context"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// NewTrunk says what trunk is wanted. Only Project and Port are required.
type NewTrunk struct {
	Project           string
	Name, Description string
	Port              string // the parent
	AdminDown         bool
	Subports          []NewSubport
}

// Create makes a trunk of ports that the viewer sees (else NotFound) and nothing else has (else Conflict).
func (s *Service) Create(ctx context.Context, tx *db.Tx, v network.Viewer, spec NewTrunk) (*Trunk, error) {
	parent, err := s.networks.Port(ctx, tx, v, spec.Port)
	if err != nil {
		return nil, err
	}
	if err := s.Free(ctx, tx, parent.ID); err != nil {
		return nil, err
	}
	if parent.OfCloud() {
		return nil, refuse(fault.Conflict, NotAParent, "Port %s is currently in use and is not eligible for use as a parent port.", parent.ID)
	}
	if err := s.Quotas.WithinQuota(ctx, tx, spec.Project, Kind); err != nil {
		return nil, err
	}
	now := s.clock.Now()
	t := &Trunk{Port: parent.ID, AdminUp: !spec.AdminDown}
	t.Meta = network.Meta{ID: uuid.NewString(), Project: spec.Project, Name: spec.Name, Description: spec.Description, Revision: 1, Created: now, Updated: now}
	if err := t.check(); err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO trunk (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, t.row()...); err != nil {
		return nil, err
	}
	if err := s.add(ctx, tx, v, t, spec.Subports); err != nil {
		return nil, err
	}
	if err := mark(ctx, tx, t.Port); err != nil {
		return nil, err
	}
	return s.Trunk(ctx, tx, network.Everything, t.ID)
}

// Change is what may change of a trunk beside its subports; nil leaves it.
type Change struct {
	Name, Description *string
	AdminUp           *bool
}

// Change changes a trunk and gives it as it is then.
func (s *Service) Change(ctx context.Context, tx *db.Tx, id string, c Change) (*Trunk, error) {
	t, err := s.Trunk(ctx, tx, network.Everything, id)
	if err != nil {
		return nil, err
	}
	set(&t.Name, c.Name)
	set(&t.Description, c.Description)
	set(&t.AdminUp, c.AdminUp)
	if err := t.check(); err != nil {
		return nil, err
	}
	return t, s.touch(ctx, tx, t)
}

// Delete deletes a trunk and leaves its ports.
func (s *Service) Delete(ctx context.Context, tx *db.Tx, id string) error {
	t, err := s.Trunk(ctx, tx, network.Everything, id)
	if err != nil {
		return err
	}
	if err := t.enabled(); err != nil {
		return err
	}
	return s.drop(ctx, tx, t)
}

func (s *Service) drop(ctx context.Context, tx *db.Tx, t *Trunk) error {
	for _, sub := range t.Subports {
		if err := s.release(ctx, tx, sub.Port); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM trunk WHERE id = $1`, t.ID); err != nil {
		return err
	}
	return mark(ctx, tx, t.Port)
}

// enabled fails for a trunk that was taken down: its subports do not change then.
func (t *Trunk) enabled() error {
	if t.AdminUp {
		return nil
	}
	return refuse(fault.Conflict, TrunkDisabled, "Trunk %s is currently disabled.", t.ID)
}
