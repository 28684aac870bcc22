package machine

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Chassis is what machines stand in together.
type Chassis struct {
	Card
	Description string
}

func scanChassis(row db.Scanner) (*Chassis, error) {
	var c Chassis
	return &c, row.Scan(append(c.scanned(), &c.Description)...)
}

// ListChassis gives all of them, oldest first.
func (s *Service) ListChassis(ctx context.Context, q db.Querier) ([]*Chassis, error) {
	return db.List(ctx, q, scanChassis, `SELECT `+cardColumns+`, description FROM machine_chassis ORDER BY created_at, id`)
}

// GetChassis finds one by its id.
func (s *Service) GetChassis(ctx context.Context, q db.Querier, id string) (*Chassis, error) {
	found, err := db.List(ctx, q, scanChassis, `SELECT `+cardColumns+`, description FROM machine_chassis WHERE id = $1`, id)
	return one(found, err, "Chassis", id)
}

// SaveChassis makes a chassis, or changes it.
func (s *Service) SaveChassis(ctx context.Context, tx *db.Tx, c *Chassis) error {
	return s.write(ctx, tx, "machine_chassis", &c.Card, `description`, []any{c.Description}, "A chassis with UUID "+c.ID+" already exists.")
}

// DeleteChassis forgets a chassis. It fails with Invalid when machines stand in it.
func (s *Service) DeleteChassis(ctx context.Context, tx *db.Tx, c *Chassis) error {
	var machines int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM machine WHERE chassis = $1`, c.ID).Scan(&machines); err != nil {
		return err
	}
	if machines > 0 {
		return fault.New(fault.Invalid, "Chassis %s is not empty: %d nodes are in it.", c.ID, machines)
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM machine_chassis WHERE id = $1`, c.ID)
	return err
}
