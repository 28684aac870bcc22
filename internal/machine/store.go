package machine

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"net/netip"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/edge"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
)

const columns = `id, name, bmc, state, target, state_since, power, power_target, instance, handed_over, epoch, maintenance,
	maintenance_reason, fault, last_error, resource_class, owner, description, properties, extra, traits, abilities, identity,
	inventory, erased, inspected_at, created_at, updated_at, lessee, holder, allocation, chassis, protected, retired, notes`

func scan(row db.Scanner) (*Machine, error) {
	var m Machine
	err := row.Scan(&m.ID, &m.Name, db.JSON(&m.BMC), &m.State, &m.Target, &m.StateSince, &m.Power, &m.PowerTarget, &m.Instance,
		&m.HandedOver, &m.Epoch, &m.Maintenance, &m.MaintenanceReason, &m.Fault, &m.LastError, &m.ResourceClass, &m.Owner,
		&m.Description, db.JSON(&m.Properties), db.JSON(&m.Extra), db.JSON(&m.Traits), db.JSON(&m.Abilities), db.JSON(&m.Identity),
		db.JSON(&m.Inventory), db.JSON(&m.Erased), db.NullTime(&m.Inspected), &m.Created, &m.Updated,
		&m.Lessee, &m.Holder, &m.Allocation, &m.Chassis, &m.Protected, &m.Retired, db.JSON(&m.Notes))
	return &m, err
}

// Get finds a machine by id or name.
func (s *Service) Get(ctx context.Context, q db.Querier, ident string) (*Machine, error) {
	m, err := scan(q.QueryRowContext(ctx, `SELECT `+columns+` FROM machine WHERE id = $1 OR name = $1 ORDER BY id = $1 DESC LIMIT 1`, ident))
	if errors.Is(err, sql.ErrNoRows) || ident == "" {
		return nil, fault.New(fault.NotFound, "Node %s could not be found.", ident)
	}
	return m, err
}

// List gives all machines, oldest first.
func (s *Service) List(ctx context.Context, q db.Querier) ([]*Machine, error) {
	return db.List(ctx, q, scan, `SELECT `+columns+` FROM machine ORDER BY created_at, id`)
}

// ListFrom gives at most so many machines, oldest first, from the one with the id on; from the oldest with an empty id. An
// id of no machine gives none.
func (s *Service) ListFrom(ctx context.Context, q db.Querier, id string, most int) ([]*Machine, error) {
	return listFrom(ctx, q, columns, scan, id, most)
}

// BriefFrom is ListFrom with no more of each machine than its names, its states, and who has it.
func (s *Service) BriefFrom(ctx context.Context, q db.Querier, id string, most int) ([]*Machine, error) {
	return listFrom(ctx, q, `id, name, state, target, power, instance, holder, maintenance`, func(row db.Scanner) (*Machine, error) {
		var m Machine
		return &m, row.Scan(&m.ID, &m.Name, &m.State, &m.Target, &m.Power, &m.Instance, &m.Holder, &m.Maintenance)
	}, id, most)
}

func listFrom(ctx context.Context, q db.Querier, columns string, scan func(db.Scanner) (*Machine, error), id string, most int) ([]*Machine, error) {
	if id == "" {
		return db.List(ctx, q, scan, `SELECT `+columns+` FROM machine ORDER BY created_at, id LIMIT $1`, most)
	}
	return db.List(ctx, q, scan, `SELECT `+columns+` FROM machine
		WHERE (created_at, id) >= ((SELECT created_at FROM machine WHERE id = $1), $1) ORDER BY created_at, id LIMIT $2`, id, most)
}

// Create enrols a machine by its BMC. Only fake hardware may begin in another state than Enroll.
func (s *Service) Create(ctx context.Context, tx *db.Tx, m *Machine) error {
	now := s.clock.Now()
	if m.ID == "" {
		m.ID = uuid.NewString()
	}
	if !m.Fake() || m.State == "" {
		m.State = Enroll
	}
	m.StateSince, m.Created, m.Power = now, now, PowerUnknown
	_, err := tx.ExecContext(ctx, `INSERT INTO machine (id, name, bmc, bmc_password, state, target, state_since, power,
		power_target, instance, handed_over, epoch, maintenance, maintenance_reason, fault, last_error, resource_class, owner,
		description, properties, extra, traits, abilities, identity, inventory, erased, created_at, updated_at)
		VALUES ($1, $2, '{}', $3, $4, '', $5, $6, '', '', FALSE, 0, FALSE, '', '', '', '', '', '', '{}', '{}', '[]', '{}', '{}', 'null', 'null', $5, $5)`,
		m.ID, m.Name, s.secrets.Seal(passwordOf(m.ID), []byte(m.BMC.Password)), m.State, now, m.Power)
	if db.IsDuplicate(err) {
		return fault.New(fault.Conflict, "A node with UUID %s or name %s already exists.", m.ID, m.Name)
	}
	if err != nil {
		return err
	}
	return s.save(ctx, tx, m)
}

// Update saves what an operator changed. An empty BMC password leaves the one that is kept.
func (s *Service) Update(ctx context.Context, tx *db.Tx, m *Machine) error {
	if m.BMC.Password != "" {
		if _, err := tx.ExecContext(ctx, `UPDATE machine SET bmc_password = $2 WHERE id = $1`, m.ID,
			s.secrets.Seal(passwordOf(m.ID), []byte(m.BMC.Password))); err != nil {
			return err
		}
	}
	return s.save(ctx, tx, m)
}

func passwordOf(machine string) string { return "machine/" + machine + "/bmc" }

func (s *Service) save(ctx context.Context, tx *db.Tx, m *Machine) error {
	m.Updated = s.clock.Now()
	_, err := tx.ExecContext(ctx, `UPDATE machine SET name = $2, bmc = $3, state = $4, target = $5, state_since = $6, power = $7,
		power_target = $8, instance = $9, handed_over = $10, epoch = $11, maintenance = $12, maintenance_reason = $13, fault = $14,
		last_error = $15, resource_class = $16, owner = $17, description = $18, properties = $19, extra = $20, traits = $21,
		abilities = $22, identity = $23, inventory = $24, erased = $25, inspected_at = $26, updated_at = $27,
		lessee = $28, holder = $29, allocation = $30, chassis = $31, protected = $32, retired = $33, notes = $34 WHERE id = $1`,
		m.ID, m.Name, db.JSON(m.BMC), m.State, m.Target, m.StateSince, m.Power, m.PowerTarget, m.Instance, m.HandedOver, m.Epoch,
		m.Maintenance, m.MaintenanceReason, m.Fault, m.LastError, m.ResourceClass, m.Owner, m.Description,
		db.JSON(orEmpty(m.Properties)), db.JSON(orEmpty(m.Extra)), db.JSON(m.Traits), db.JSON(m.Abilities), db.JSON(m.Identity),
		db.JSON(m.Inventory), db.JSON(m.Erased), db.NullTime(&m.Inspected), m.Updated,
		m.Lessee, m.Holder, m.Allocation, m.Chassis, m.Protected, m.Retired, db.JSON(m.Notes))
	if db.IsDuplicate(err) {
		return fault.New(fault.Conflict, "A node with name %s already exists.", m.Name)
	}
	return err
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// Delete forgets a machine that nobody has and nothing works on. In maintenance it goes whoever has it.
func (s *Service) Delete(ctx context.Context, tx *db.Tx, m *Machine) error {
	if m.Protected {
		return protected(m, "deleted")
	}
	if had := cmp.Or(m.Instance, m.Holder); had != "" && !m.Maintenance {
		return fault.New(fault.Conflict, "Node %s is associated with instance %s.", m.ID, had)
	}
	running, err := workflow.ActiveOf(ctx, tx, Resource(m.ID))
	switch {
	case err != nil:
		return err
	case m.State == Verifying || m.State == Inspecting || m.State == Cleaning || m.State == Deploying || m.State == Active && !m.Maintenance:
		return fault.New(fault.Conflict, "Can not delete node %s while it is in provision state %q.", m.ID, m.State)
	case running != nil && running.Flow != "machine-warm":
		return fault.New(fault.Conflict, "Can not delete node %s while other work (%s) is under way on it.", m.ID, running.Flow)
	case running != nil:
		if err := s.engine.Cancel(ctx, tx, running.ID, "the machine is deleted"); err != nil {
			return err
		}
	}
	if err := s.Moved(ctx, tx, m.ID); err != nil {
		return err
	}
	if err := s.dropAllocation(ctx, tx, m); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM machine WHERE id = $1`, m.ID)
	return err
}

const nicColumns = `id, machine, mac, pxe, address, link, extra, created_at, updated_at, portgroup, physical_network, smart, vif`

func scanNIC(row db.Scanner) (*NIC, error) {
	var n NIC
	err := row.Scan(&n.ID, &n.Machine, &n.MAC, &n.PXE, &n.Address, db.JSON(&n.Link), db.JSON(&n.Extra), &n.Created, &n.Updated,
		&n.PortGroup, &n.PhysicalNetwork, &n.Smart, &n.VIF)
	return &n, err
}

// NICs of a machine, or of all with an empty id.
func (s *Service) NICs(ctx context.Context, q db.Querier, machine string) ([]*NIC, error) {
	return db.List(ctx, q, scanNIC, `SELECT `+nicColumns+` FROM machine_nic WHERE machine = $1 OR $1 = '' ORDER BY created_at, mac`, machine)
}

// NICByMAC finds a NIC; nil when the MAC is not ours.
func (s *Service) NICByMAC(ctx context.Context, q db.Querier, mac string) (*NIC, error) {
	nic, err := scanNIC(q.QueryRowContext(ctx, `SELECT `+nicColumns+` FROM machine_nic WHERE mac = $1`, mac))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return nic, err
}

// NIC finds a NIC by its id.
func (s *Service) NIC(ctx context.Context, q db.Querier, id string) (*NIC, error) {
	nic, err := scanNIC(q.QueryRowContext(ctx, `SELECT `+nicColumns+` FROM machine_nic WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "Port %s could not be found.", id)
	}
	return nic, err
}

// AddNIC adds a network card and gives it an address in quarantine.
func (s *Service) AddNIC(ctx context.Context, tx *db.Tx, n *NIC) error {
	taken, err := s.NICs(ctx, tx, "")
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, other := range taken {
		used[other.Address] = true
		if other.MAC == n.MAC {
			return fault.New(fault.Conflict, "A port with MAC address %s already exists.", n.MAC)
		}
	}
	addr := s.access.Quarantine.First
	for used[netip.PrefixFrom(addr, s.access.Quarantine.Bits).String()] {
		if addr = addr.Next(); addr.Compare(s.access.Quarantine.Last) > 0 {
			return fault.New(fault.Exhausted, "The quarantine network has no address left; make its range larger.")
		}
	}
	if n.ID == "" {
		n.ID = uuid.NewString()
	}
	n.Created = s.clock.Now()
	n.Updated, n.Address = n.Created, netip.PrefixFrom(addr, s.access.Quarantine.Bits).String()
	if _, err := edge.Of(n.Link); err != nil {
		return err
	}
	if err := s.checkMembership(ctx, tx, n); err != nil {
		return err
	}
	if _, err = tx.ExecContext(ctx, `INSERT INTO machine_nic (`+nicColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11, $12)`,
		n.ID, n.Machine, n.MAC, n.PXE, n.Address, db.JSON(orEmpty(n.Link)), db.JSON(orEmpty(n.Extra)), n.Created,
		n.PortGroup, n.PhysicalNetwork, n.Smart, n.VIF); err != nil {
		return err
	}
	return n.moved(ctx, tx)
}

// UpdateNIC saves what an operator changed of a network card.
func (s *Service) UpdateNIC(ctx context.Context, tx *db.Tx, n *NIC) error {
	if _, err := edge.Of(n.Link); err != nil {
		return err
	}
	if err := s.checkMembership(ctx, tx, n); err != nil {
		return err
	}
	n.Updated = s.clock.Now()
	_, err := tx.ExecContext(ctx, `UPDATE machine_nic SET mac = $2, pxe = $3, link = $4, extra = $5, updated_at = $6, portgroup = $7,
		physical_network = $8, smart = $9, vif = $10 WHERE id = $1`,
		n.ID, n.MAC, n.PXE, db.JSON(orEmpty(n.Link)), db.JSON(orEmpty(n.Extra)), n.Updated, n.PortGroup, n.PhysicalNetwork, n.Smart, n.VIF)
	if db.IsDuplicate(err) {
		return fault.New(fault.Conflict, "A port with MAC address %s already exists.", n.MAC)
	}
	if err != nil {
		return err
	}
	return n.moved(ctx, tx)
}

// DeleteNIC forgets a network card.
func (s *Service) DeleteNIC(ctx context.Context, tx *db.Tx, n *NIC) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM machine_nic WHERE id = $1`, n.ID); err != nil {
		return err
	}
	return n.moved(ctx, tx)
}
