package machine

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// PortGroup is a bond of NICs of one machine.
type PortGroup struct {
	Card
	Machine, Name string
	MAC           string // empty: the first member's
	Mode          string // as Linux names it: active-backup
	Properties    map[string]any
	Standalone    bool   // its members may be used apart
	VIF           string // the network port on it
}

const portGroupColumns = `machine, name, mac, mode, properties, standalone, vif`

func scanPortGroup(row db.Scanner) (*PortGroup, error) {
	var g PortGroup
	return &g, row.Scan(append(g.scanned(), &g.Machine, &g.Name, &g.MAC, &g.Mode, db.JSON(&g.Properties), &g.Standalone, &g.VIF)...)
}

// PortGroups of a machine, or of all with an empty id, oldest first.
func (s *Service) PortGroups(ctx context.Context, q db.Querier, machine string) ([]*PortGroup, error) {
	return db.List(ctx, q, scanPortGroup, `SELECT `+cardColumns+`, `+portGroupColumns+` FROM machine_portgroup
		WHERE machine = $1 OR $1 = '' ORDER BY created_at, id`, machine)
}

// PortGroup finds one by its id or name.
func (s *Service) PortGroup(ctx context.Context, q db.Querier, ident string) (*PortGroup, error) {
	found, err := db.List(ctx, q, scanPortGroup, `SELECT `+cardColumns+`, `+portGroupColumns+` FROM machine_portgroup
		WHERE id = $1 OR name = $1 ORDER BY id = $1 DESC LIMIT 1`, ident)
	return one(found, err, "Portgroup", ident)
}

// SavePortGroup makes a port group, or changes it.
func (s *Service) SavePortGroup(ctx context.Context, tx *db.Tx, g *PortGroup) error {
	values := []any{g.Machine, g.Name, g.MAC, g.Mode, db.JSON(orEmpty(g.Properties)), g.Standalone, g.VIF}
	return s.write(ctx, tx, "machine_portgroup", &g.Card, portGroupColumns, values, "A portgroup with this UUID, name or MAC address already exists.")
}

// DeletePortGroup forgets a port group. It fails with Invalid when it has members.
func (s *Service) DeletePortGroup(ctx context.Context, tx *db.Tx, g *PortGroup) error {
	var members int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM machine_nic WHERE portgroup = $1`, g.ID).Scan(&members); err != nil {
		return err
	}
	if members > 0 {
		return fault.New(fault.Invalid, "Cannot delete portgroup %s: it has %d ports.", g.ID, members)
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM machine_portgroup WHERE id = $1`, g.ID)
	return err
}

// checkMembership fails with Invalid when a NIC's port group is not its machine's, and with Conflict when the group's
// other members are on another physical network.
func (s *Service) checkMembership(ctx context.Context, q db.Querier, n *NIC) error {
	if n.PortGroup == "" {
		return nil
	}
	g, err := s.PortGroup(ctx, q, n.PortGroup)
	if fault.Is(err, fault.NotFound) {
		return fault.Wrap(err, fault.Invalid, "%s", fault.Message(err))
	}
	if err != nil {
		return err
	}
	if g.Machine != n.Machine {
		return fault.New(fault.Invalid, "Port group %s is another node's.", g.ID)
	}
	n.PortGroup = g.ID
	nics, err := s.NICs(ctx, q, n.Machine)
	for _, other := range nics {
		if other.PortGroup == g.ID && other.ID != n.ID && other.PhysicalNetwork != n.PhysicalNetwork {
			return fault.New(fault.Conflict, "Port with physical network %q cannot become a member of port group %s which has ports in physical network %q.",
				n.PhysicalNetwork, g.ID, other.PhysicalNetwork)
		}
	}
	return err
}
