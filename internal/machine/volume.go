package machine

import (
	"context"
	"fmt"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// VolumeConnector is a name by which a machine is known to a storage, say its iSCSI initiator's.
type VolumeConnector struct {
	Card
	Machine, Type, ConnectorID string
}

// VolumeTarget is a volume that a machine is to have.
type VolumeTarget struct {
	Card
	Machine, VolumeType, VolumeID string
	BootIndex                     int // 0: it boots from it
	Properties                    map[string]any
}

const (
	connectorColumns = `machine, type, connector_id`
	targetColumns    = `machine, volume_type, volume_id, boot_index, properties`
)

func scanConnector(row db.Scanner) (*VolumeConnector, error) {
	var c VolumeConnector
	return &c, row.Scan(append(c.scanned(), &c.Machine, &c.Type, &c.ConnectorID)...)
}

func scanTarget(row db.Scanner) (*VolumeTarget, error) {
	var t VolumeTarget
	return &t, row.Scan(append(t.scanned(), &t.Machine, &t.VolumeType, &t.VolumeID, &t.BootIndex, db.JSON(&t.Properties))...)
}

// VolumeConnectors of a machine, or of all with an empty id, oldest first.
func (s *Service) VolumeConnectors(ctx context.Context, q db.Querier, machine string) ([]*VolumeConnector, error) {
	return db.List(ctx, q, scanConnector, `SELECT `+cardColumns+`, `+connectorColumns+` FROM machine_volume_connector
		WHERE machine = $1 OR $1 = '' ORDER BY created_at, id`, machine)
}

// VolumeConnector finds one by its id.
func (s *Service) VolumeConnector(ctx context.Context, q db.Querier, id string) (*VolumeConnector, error) {
	found, err := db.List(ctx, q, scanConnector, `SELECT `+cardColumns+`, `+connectorColumns+` FROM machine_volume_connector WHERE id = $1`, id)
	return one(found, err, "Volume connector", id)
}

// SaveVolumeConnector makes a connector, or changes it.
func (s *Service) SaveVolumeConnector(ctx context.Context, tx *db.Tx, c *VolumeConnector) error {
	taken := fmt.Sprintf("A volume connector with UUID %s, or with type %s and connector ID %s, already exists.", c.ID, c.Type, c.ConnectorID)
	return s.write(ctx, tx, "machine_volume_connector", &c.Card, connectorColumns, []any{c.Machine, c.Type, c.ConnectorID}, taken)
}

// DeleteVolumeConnector forgets a connector.
func (s *Service) DeleteVolumeConnector(ctx context.Context, tx *db.Tx, c *VolumeConnector) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM machine_volume_connector WHERE id = $1`, c.ID)
	return err
}

// VolumeTargets of a machine, or of all with an empty id, oldest first.
func (s *Service) VolumeTargets(ctx context.Context, q db.Querier, machine string) ([]*VolumeTarget, error) {
	return db.List(ctx, q, scanTarget, `SELECT `+cardColumns+`, `+targetColumns+` FROM machine_volume_target
		WHERE machine = $1 OR $1 = '' ORDER BY created_at, id`, machine)
}

// VolumeTarget finds one by its id.
func (s *Service) VolumeTarget(ctx context.Context, q db.Querier, id string) (*VolumeTarget, error) {
	found, err := db.List(ctx, q, scanTarget, `SELECT `+cardColumns+`, `+targetColumns+` FROM machine_volume_target WHERE id = $1`, id)
	return one(found, err, "Volume target", id)
}

// SaveVolumeTarget makes a target, or changes it.
func (s *Service) SaveVolumeTarget(ctx context.Context, tx *db.Tx, t *VolumeTarget) error {
	taken := fmt.Sprintf("A volume target with UUID %s, or with boot index %d on node %s, already exists.", t.ID, t.BootIndex, t.Machine)
	values := []any{t.Machine, t.VolumeType, t.VolumeID, t.BootIndex, db.JSON(orEmpty(t.Properties))}
	return s.write(ctx, tx, "machine_volume_target", &t.Card, targetColumns, values, taken)
}

// DeleteVolumeTarget forgets a target.
func (s *Service) DeleteVolumeTarget(ctx context.Context, tx *db.Tx, t *VolumeTarget) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM machine_volume_target WHERE id = $1`, t.ID)
	return err
}

// OffFor fails with Invalid unless the machine is off: what its firmware is told of volumes changes only then.
func (m *Machine) OffFor(action string) error {
	if m.Power == PowerOff {
		return nil
	}
	return fault.New(fault.Invalid, "The requested action %q can not be performed on node %q while it is in state \"power %s\".", action, m.ID, m.Power)
}
