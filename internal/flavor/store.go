package flavor

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Store keeps flavors in the database.
type Store struct {
	db    *db.DB
	clock clock.Clock
}

// NewStore opens the flavors of a migrated database.
func NewStore(d *db.DB, c clock.Clock) *Store { return &Store{d, c} }

const columns = `SELECT id, name, ram_mb, vcpus, disk_gb, ephemeral_gb, swap_mb, rxtx_factor, public, disabled, description, extra_specs, created_at FROM flavor`

func scan(row db.Scanner) (f Flavor, err error) {
	err = row.Scan(&f.ID, &f.Name, &f.RAM, &f.VCPUs, &f.Disk, &f.Ephemeral, &f.Swap, &f.RxTxFactor, &f.Public, &f.Disabled, &f.Description,
		db.JSON(&f.ExtraSpecs), &f.CreatedAt)
	f.CreatedAt = f.CreatedAt.UTC()
	return f, err
}

// Create stores a new flavor. An empty id is drawn; a RxTxFactor of 0 is 1. It fails with fault.Conflict when id or
// name is taken.
func (s *Store) Create(ctx context.Context, f Flavor) (Flavor, error) {
	if f.ID == "" {
		f.ID = uuid.NewString()
	}
	if f.RxTxFactor == 0 {
		f.RxTxFactor = 1
	}
	if f.ExtraSpecs == nil {
		f.ExtraSpecs = map[string]string{}
	}
	if err := f.check(); err != nil {
		return Flavor{}, err
	}
	f.CreatedAt = s.clock.Now()
	_, err := s.db.ExecContext(ctx, `INSERT INTO flavor (id, name, ram_mb, vcpus, disk_gb, ephemeral_gb, swap_mb, rxtx_factor, public, disabled, description, extra_specs, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		f.ID, f.Name, f.RAM, f.VCPUs, f.Disk, f.Ephemeral, f.Swap, f.RxTxFactor, f.Public, f.Disabled, f.Description, db.JSON(f.ExtraSpecs), f.CreatedAt)
	if db.IsDuplicate(err) {
		return Flavor{}, fault.Wrap(err, fault.Conflict, "Flavor with name %s or ID %s already exists.", f.Name, f.ID)
	}
	return f, err
}

// Viewer says whose eyes look: an admin sees every flavor, a project the public ones and those it has access to.
type Viewer struct {
	ProjectID string
	Admin     bool
}

// Get finds a flavor that the viewer may see.
func (s *Store) Get(ctx context.Context, v Viewer, id string) (Flavor, error) {
	var where db.Where
	where.And("id = ?", id)
	v.narrow(&where)
	f, err := scan(s.db.QueryRowContext(ctx, columns+where.String(), where.Args...))
	return f, missing(err, id)
}

func (v Viewer) narrow(where *db.Where) {
	if !v.Admin {
		where.And("public OR id IN (SELECT flavor_id FROM flavor_access WHERE project_id = ?)", v.ProjectID)
	}
}

func missing(err error, id string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, "Flavor %s could not be found.", id)
	}
	return err
}

// Filter narrows a list; zero fields do not.
type Filter struct {
	Public          *bool // for admins; others always see what they may see
	MinRAM, MinDisk int   // MiB, GiB
}

// List gives the flavors that the viewer may see, by id.
func (s *Store) List(ctx context.Context, v Viewer, f Filter) ([]Flavor, error) {
	var where db.Where
	v.narrow(&where)
	if f.Public != nil && v.Admin {
		where.And("public = ?", *f.Public)
	}
	if f.MinRAM > 0 {
		where.And("ram_mb >= ?", f.MinRAM)
	}
	if f.MinDisk > 0 {
		where.And("disk_gb >= ?", f.MinDisk)
	}
	return db.List(ctx, s.db, scan, columns+where.String()+" ORDER BY id", where.Args...)
}

// Describe changes the description, the one thing of a flavor that may change beside its extra specs.
func (s *Store) Describe(ctx context.Context, id string, description *string) (Flavor, error) {
	return s.change(ctx, id, func(f *Flavor) error { f.Description = description; return nil })
}

// SetExtraSpecs adds specs, replaces those that are there, and keeps the others.
func (s *Store) SetExtraSpecs(ctx context.Context, id string, specs map[string]string) (Flavor, error) {
	return s.change(ctx, id, func(f *Flavor) error { maps.Copy(f.ExtraSpecs, specs); return nil })
}

// UnsetExtraSpec removes a spec; it fails with fault.NotFound when the flavor does not have it.
func (s *Store) UnsetExtraSpec(ctx context.Context, id, key string) error {
	_, err := s.change(ctx, id, func(f *Flavor) error {
		if _, ok := f.ExtraSpecs[key]; !ok {
			return fault.New(fault.NotFound, "Flavor %s has no extra specs with key %s.", id, key)
		}
		delete(f.ExtraSpecs, key)
		return nil
	})
	return err
}

func (s *Store) change(ctx context.Context, id string, edit func(*Flavor) error) (Flavor, error) {
	var result Flavor
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		f, err := scan(tx.QueryRowContext(ctx, columns+" WHERE id = $1", id))
		if err != nil {
			return missing(err, id)
		}
		if err := edit(&f); err != nil {
			return err
		}
		if err := f.check(); err != nil {
			return err
		}
		result = f
		_, err = tx.ExecContext(ctx, `UPDATE flavor SET description = $2, extra_specs = $3 WHERE id = $1`, id, f.Description, db.JSON(f.ExtraSpecs))
		return err
	})
	return result, err
}

// Delete deletes a flavor; instances keep their copies.
func (s *Store) Delete(ctx context.Context, id string) error {
	n, err := db.Changed(s.db.ExecContext(ctx, `DELETE FROM flavor WHERE id = $1`, id))
	if err == nil && n == 0 {
		return missing(sql.ErrNoRows, id)
	}
	return err
}

// Access lists the projects that may use a flavor that is not public, sorted; a public flavor has no such list and
// fails with fault.NotFound, as Nova does.
func (s *Store) Access(ctx context.Context, id string) ([]string, error) {
	f, err := s.Get(ctx, Viewer{Admin: true}, id)
	if err != nil {
		return nil, err
	}
	if f.Public {
		return nil, fault.New(fault.NotFound, "Access list not available for public flavors.")
	}
	return s.access(ctx, s.db, id)
}

func (s *Store) access(ctx context.Context, q db.Querier, id string) ([]string, error) {
	return db.List(ctx, q, func(row db.Scanner) (project string, err error) { return project, row.Scan(&project) },
		`SELECT project_id FROM flavor_access WHERE flavor_id = $1 ORDER BY project_id`, id)
}

// Allow lets a project use a flavor that is not public. It gives the whole list.
func (s *Store) Allow(ctx context.Context, id, projectID string) ([]string, error) {
	return s.changeAccess(ctx, id, func(tx *db.Tx, public bool, list []string) error {
		if public {
			return fault.New(fault.Conflict, "Can not add access to a public flavor.")
		}
		if slices.Contains(list, projectID) {
			return fault.New(fault.Conflict, "Flavor access already exists for flavor %s and project %s combination.", id, projectID)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO flavor_access (flavor_id, project_id) VALUES ($1, $2)`, id, projectID)
		return err
	})
}

// Deny takes a project's access away. It gives the list that is left.
func (s *Store) Deny(ctx context.Context, id, projectID string) ([]string, error) {
	return s.changeAccess(ctx, id, func(tx *db.Tx, public bool, list []string) error {
		if public {
			return fault.New(fault.Conflict, "Can not remove access from a public flavor.")
		}
		if !slices.Contains(list, projectID) {
			return fault.New(fault.NotFound, "Flavor access not found for %s / %s combination.", id, projectID)
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM flavor_access WHERE flavor_id = $1 AND project_id = $2`, id, projectID)
		return err
	})
}

func (s *Store) changeAccess(ctx context.Context, id string, edit func(tx *db.Tx, public bool, list []string) error) ([]string, error) {
	var list []string
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		f, err := scan(tx.QueryRowContext(ctx, columns+" WHERE id = $1", id))
		if err != nil {
			return missing(err, id)
		}
		if list, err = s.access(ctx, tx, id); err != nil {
			return err
		}
		if err := edit(tx, f.Public, list); err != nil {
			return err
		}
		list, err = s.access(ctx, tx, id)
		return err
	})
	return list, err
}
