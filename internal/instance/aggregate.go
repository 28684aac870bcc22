package instance

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Aggregate is a set of machines that an operator names: a rack, a room, a generation. One with a zone is a part of that
// availability zone. A machine may be in many aggregates, and in one zone at most.
type Aggregate struct {
	ID               int // Nova shows a number
	UUID, Name, Zone string
	Metadata         map[string]string // without the zone
	Machines         []string          // ids, in the order in which they were added
	Created, Updated time.Time         // Updated zero: never
}

const aggregateColumns = `SELECT id, uuid, name, zone, metadata, created_at, updated_at FROM aggregate`

func scanAggregate(row db.Scanner) (*Aggregate, error) {
	var a Aggregate
	err := row.Scan(&a.ID, &a.UUID, &a.Name, &a.Zone, db.JSON(&a.Metadata), &a.Created, db.NullTime(&a.Updated))
	return &a, err
}

// Aggregates gives all of them, oldest first.
func (s *Service) Aggregates(ctx context.Context, q db.Querier) ([]*Aggregate, error) {
	all, err := db.List(ctx, q, scanAggregate, aggregateColumns+` ORDER BY id`)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	byID := map[int]*Aggregate{}
	for _, a := range all {
		byID[a.ID] = a
	}
	type member struct {
		aggregate int
		machine   string
	}
	members, err := db.List(ctx, q, func(row db.Scanner) (m member, err error) { return m, row.Scan(&m.aggregate, &m.machine) },
		`SELECT aggregate, machine FROM aggregate_machine ORDER BY added_at, machine`)
	for _, m := range members {
		if a := byID[m.aggregate]; a != nil { // outside a transaction one may come in between the queries
			a.Machines = append(a.Machines, m.machine)
		}
	}
	return all, err
}

// Aggregate finds one by its number.
func (s *Service) Aggregate(ctx context.Context, q db.Querier, id int) (*Aggregate, error) {
	all, err := s.Aggregates(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if a.ID == id {
			return a, nil
		}
	}
	return nil, fault.New(fault.NotFound, "Aggregate %d could not be found.", id)
}

// CreateAggregate makes one without machines. It fails with Conflict for a name that another one has.
func (s *Service) CreateAggregate(ctx context.Context, name, zone string) (*Aggregate, error) {
	a := &Aggregate{UUID: uuid.NewString(), Name: name, Zone: zone, Metadata: map[string]string{}, Created: s.clock.Now()}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.aggregateNameFree(ctx, tx, a); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) + 1 FROM aggregate`).Scan(&a.ID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO aggregate (id, uuid, name, zone, metadata, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			a.ID, a.UUID, a.Name, a.Zone, db.JSON(a.Metadata), a.Created)
		return err
	})
	return a, err
}

func (s *Service) aggregateNameFree(ctx context.Context, q db.Querier, a *Aggregate) error {
	var one int
	err := q.QueryRowContext(ctx, `SELECT 1 FROM aggregate WHERE name = $1 AND id <> $2`, a.Name, a.ID).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = fault.New(fault.Conflict, "Aggregate %s already exists.", a.Name)
	}
	return err
}

// ChangeAggregate edits name, zone and metadata. It fails with Conflict for a name that another one has, and for a zone
// that its machines cannot be in: see rezone.
func (s *Service) ChangeAggregate(ctx context.Context, id int, edit func(*Aggregate) error) (*Aggregate, error) {
	return s.rezone(ctx, id, "update aggregate", func(tx *db.Tx, a *Aggregate) error {
		if err := edit(a); err != nil {
			return err
		}
		if err := s.aggregateNameFree(ctx, tx, a); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE aggregate SET name = $2, zone = $3, metadata = $4 WHERE id = $1`, a.ID, a.Name, a.Zone, db.JSON(a.Metadata))
		return err
	})
}

// DeleteAggregate deletes one that has no machines; Invalid otherwise, as Nova says.
func (s *Service) DeleteAggregate(ctx context.Context, id int) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		a, err := s.Aggregate(ctx, tx, id)
		if err != nil {
			return err
		}
		if len(a.Machines) > 0 {
			return fault.New(fault.Invalid, "Cannot remove host from aggregate %d. Reason: Host aggregate is not empty.", id)
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM aggregate WHERE id = $1`, id)
		return err
	})
}

// AddMachine puts a machine, by its id or name, into an aggregate. It fails with NotFound for a machine that there is not,
// and with Conflict for one that is in it already or would be in two zones.
func (s *Service) AddMachine(ctx context.Context, id int, ident string) (*Aggregate, error) {
	return s.rezone(ctx, id, "add host to aggregate", func(tx *db.Tx, a *Aggregate) error {
		m, err := s.machines.Get(ctx, tx, ident)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.NotFound, "Compute host %.80s could not be found.", ident)
		}
		if err != nil {
			return err
		}
		if slices.Contains(a.Machines, m.ID) {
			return fault.New(fault.Conflict, "Aggregate %d already has host %s.", id, m.ID)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO aggregate_machine (aggregate, machine, added_at) VALUES ($1, $2, $3)`, id, m.ID, s.clock.Now())
		return err
	})
}

// RemoveMachine takes a machine, by its id or name, out of an aggregate; NotFound when it is not in it.
func (s *Service) RemoveMachine(ctx context.Context, id int, ident string) (*Aggregate, error) {
	return s.rezone(ctx, id, "remove host from aggregate", func(tx *db.Tx, a *Aggregate) error {
		m, err := s.machines.Get(ctx, tx, ident)
		if fault.Is(err, fault.NotFound) || err == nil && !slices.Contains(a.Machines, m.ID) {
			return fault.New(fault.NotFound, "Cannot remove host %.80s in aggregate %d: it is not there.", ident, id)
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM aggregate_machine WHERE aggregate = $1 AND machine = $2`, id, m.ID)
		return err
	})
}

// rezone changes an aggregate and gives it as it is then, if afterwards no machine is in two zones, and no server that
// asked for a zone is in another one; otherwise it fails with Conflict.
func (s *Service) rezone(ctx context.Context, id int, action string, change func(*db.Tx, *Aggregate) error) (a *Aggregate, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if a, err = s.Aggregate(ctx, tx, id); err != nil {
			return err
		}
		before, err := s.Zones(ctx, tx)
		if err != nil {
			return err
		}
		if err := change(tx, a); err != nil {
			return err
		}
		if err := s.zonesHold(ctx, tx, before, action, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE aggregate SET updated_at = $2 WHERE id = $1`, id, s.clock.Now()); err != nil {
			return err
		}
		a, err = s.Aggregate(ctx, tx, id)
		return err
	})
	return a, err
}

func (s *Service) zonesHold(ctx context.Context, tx *db.Tx, before Zones, action string, id int) error {
	all, err := s.Aggregates(ctx, tx)
	if err != nil {
		return err
	}
	after := Zones{}
	for _, a := range all {
		for _, machine := range a.Machines {
			if other := after[machine]; a.Zone != "" && other != "" && other != a.Zone {
				return fault.New(fault.Conflict, "Cannot %s %d. Reason: One or more hosts already in availability zone(s) [%q].", action, id, other)
			} else if a.Zone != "" {
				after[machine] = a.Zone
			}
		}
	}
	servers, err := s.List(ctx, "", false)
	for _, i := range servers {
		if was, is := before.Of(i.Machine), after.Of(i.Machine); i.Machine != "" && i.Zone == was && was != is {
			return fault.New(fault.Conflict, "Cannot %s %d. Reason: One or more hosts contain instances in this zone.", action, id)
		}
	}
	return err
}

// Zones tells the availability zone of each machine that is in one of an aggregate's.
type Zones map[string]string

// Of is the zone of a machine.
func (z Zones) Of(machine string) string {
	if zone := z[machine]; zone != "" {
		return zone
	}
	return DefaultZone
}

// OfInstance is where an instance is, or where it asked to be; empty: neither.
func (z Zones) OfInstance(i *Instance) string {
	if i.Machine != "" {
		return z.Of(i.Machine)
	}
	return i.Zone
}

// Zones of the machines.
func (s *Service) Zones(ctx context.Context, q db.Querier) (Zones, error) {
	type row struct{ machine, zone string }
	rows, err := db.List(ctx, q, func(r db.Scanner) (x row, err error) { return x, r.Scan(&x.machine, &x.zone) },
		`SELECT m.machine, a.zone FROM aggregate_machine m JOIN aggregate a ON a.id = m.aggregate WHERE a.zone <> ''`)
	zones := Zones{}
	for _, r := range rows {
		zones[r.machine] = r.zone
	}
	return zones, err
}

// zoneExists fails with Invalid for a zone that no machine is in. The default one always is.
func (s *Service) zoneExists(ctx context.Context, q db.Querier, zone string) error {
	if zone == "" || zone == DefaultZone {
		return nil
	}
	zones, err := s.Zones(ctx, q)
	if err == nil && !slices.Contains(slices.Collect(maps.Values(zones)), zone) {
		err = fault.New(fault.Invalid, "The requested availability zone is not available")
	}
	return err
}
