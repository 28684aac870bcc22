package metadef

import (
	"context"
	"database/sql"
	"errors"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Store keeps definitions in the database.
type Store struct {
	db    *db.DB
	clock clock.Clock
}

// NewStore opens the definitions of a migrated database.
func NewStore(d *db.DB, c clock.Clock) *Store { return &Store{d, c} }

const columns = `SELECT name, display_name, description, owner, public, protected, created_at, updated_at FROM metadef_namespace`

func scan(row db.Scanner) (n Namespace, err error) {
	err = row.Scan(&n.Name, &n.DisplayName, &n.Description, &n.Owner, &n.Public, &n.Protected, &n.Created, &n.Updated)
	return n, err
}

func noNamespace(name string) error {
	return fault.New(fault.NotFound, "Metadata definition namespace=%.80s was not found.", name)
}

// List gives the namespaces that the viewer sees, by name.
func (s *Store) List(ctx context.Context, v Viewer) ([]Namespace, error) {
	var where db.Where
	if !v.All {
		where.And("public OR owner = ?", v.Project)
	}
	return db.List(ctx, s.db, scan, columns+where.String()+` ORDER BY name`, where.Args...)
}

// Get finds a namespace that the viewer sees.
func (s *Store) Get(ctx context.Context, v Viewer, name string) (Namespace, error) {
	return get(ctx, s.db, v, name)
}

func get(ctx context.Context, q db.Querier, v Viewer, name string) (Namespace, error) {
	n, err := scan(q.QueryRowContext(ctx, columns+` WHERE name = $1`, name))
	if errors.Is(err, sql.ErrNoRows) || err == nil && !v.All && !n.Public && n.Owner != v.Project {
		return n, noNamespace(name)
	}
	return n, err
}

// Create stores a namespace with its items: all of it or nothing. It fails with Conflict when the name is taken.
func (s *Store) Create(ctx context.Context, n Namespace, items []Item) (Namespace, error) {
	if err := n.check(); err != nil {
		return n, err
	}
	n.Created = s.clock.Now()
	n.Updated = n.Created
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO metadef_namespace (name, display_name, description, owner, public, protected, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, n.Name, n.DisplayName, n.Description, n.Owner, n.Public, n.Protected, n.Created, n.Updated)
		if db.IsDuplicate(err) {
			return fault.Wrap(err, fault.Conflict, "The metadata definition namespace=%s already exists.", n.Name)
		}
		for at := 0; err == nil && at < len(items); at++ {
			err = s.put(ctx, tx, n.Name, &items[at])
		}
		return err
	})
	return n, err
}

// Update edits a namespace, its name too.
func (s *Store) Update(ctx context.Context, name string, edit func(*Namespace) error) (n Namespace, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if n, err = get(ctx, tx, Viewer{All: true}, name); err != nil {
			return err
		}
		if err := edit(&n); err != nil {
			return err
		}
		if err := n.check(); err != nil {
			return err
		}
		n.Updated = s.clock.Now()
		_, err := tx.ExecContext(ctx, `UPDATE metadef_namespace SET name = $2, display_name = $3, description = $4, owner = $5, public = $6, protected = $7,
			updated_at = $8 WHERE name = $1`, name, n.Name, n.DisplayName, n.Description, n.Owner, n.Public, n.Protected, n.Updated)
		if db.IsDuplicate(err) {
			return fault.Wrap(err, fault.Conflict, "The metadata definition namespace=%s already exists.", n.Name)
		}
		return err
	})
	return n, err
}

// Delete removes a namespace and what is in it. It fails with Forbidden when it is protected.
func (s *Store) Delete(ctx context.Context, name string) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := deletable(ctx, tx, name); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM metadef_namespace WHERE name = $1`, name)
		return err
	})
}

func deletable(ctx context.Context, tx *db.Tx, name string) error {
	n, err := get(ctx, tx, Viewer{All: true}, name)
	if err == nil && n.Protected {
		err = fault.New(fault.Forbidden, "Metadata definition namespace=%s is protected and cannot be deleted.", name)
	}
	return err
}

const itemColumns = `SELECT kind, name, body, created_at, updated_at FROM metadef_item WHERE namespace = $1`

func scanItem(row db.Scanner) (i Item, err error) {
	err = row.Scan(&i.Kind, &i.Name, db.JSON(&i.Body), &i.Created, &i.Updated)
	return i, err
}

// Items of a namespace that the viewer sees, of one kind, or of all with an empty one, by name.
func (s *Store) Items(ctx context.Context, v Viewer, namespace string, kind Kind) ([]Item, error) {
	if _, err := s.Get(ctx, v, namespace); err != nil {
		return nil, err
	}
	return db.List(ctx, s.db, scanItem, itemColumns+` AND (kind = $2 OR $2 = '') ORDER BY kind, name`, namespace, kind)
}

func noItem(namespace string, kind Kind, name string) error {
	return fault.New(fault.NotFound, "The metadata definition %s with name=%.80s was not found in namespace=%.80s.", kind, name, namespace)
}

// Item finds one.
func (s *Store) Item(ctx context.Context, v Viewer, namespace string, kind Kind, name string) (Item, error) {
	if _, err := s.Get(ctx, v, namespace); err != nil {
		return Item{}, err
	}
	return item(ctx, s.db, namespace, kind, name)
}

func item(ctx context.Context, q db.Querier, namespace string, kind Kind, name string) (Item, error) {
	i, err := scanItem(q.QueryRowContext(ctx, itemColumns+` AND kind = $2 AND name = $3`, namespace, kind, name))
	if errors.Is(err, sql.ErrNoRows) {
		err = noItem(namespace, kind, name)
	}
	return i, err
}

// Add puts items into a namespace: all or none. It fails with Conflict when a name is taken. With replace those of the
// kind that were there go first.
func (s *Store) Add(ctx context.Context, namespace string, kind Kind, replace bool, items ...Item) ([]Item, error) {
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := get(ctx, tx, Viewer{All: true}, namespace); err != nil {
			return err
		}
		if replace {
			if _, err := tx.ExecContext(ctx, `DELETE FROM metadef_item WHERE namespace = $1 AND kind = $2`, namespace, kind); err != nil {
				return err
			}
		}
		for at := range items {
			items[at].Kind = kind
			if err := s.put(ctx, tx, namespace, &items[at]); err != nil {
				return err
			}
		}
		return nil
	})
	return items, err
}

func (s *Store) put(ctx context.Context, tx *db.Tx, namespace string, i *Item) error {
	if err := i.check(); err != nil {
		return err
	}
	i.Created = s.clock.Now()
	i.Updated = i.Created
	_, err := tx.ExecContext(ctx, `INSERT INTO metadef_item (namespace, kind, name, body, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		namespace, i.Kind, i.Name, db.JSON(i.Body), i.Created, i.Updated)
	if db.IsDuplicate(err) {
		return fault.Wrap(err, fault.Conflict, "A metadata definition %s with name=%s already exists in namespace=%s.", i.Kind, i.Name, namespace)
	}
	return err
}

// Replace gives an item another name and body.
func (s *Store) Replace(ctx context.Context, namespace string, kind Kind, name string, with Item) (Item, error) {
	if err := with.check(); err != nil {
		return with, err
	}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		was, err := item(ctx, tx, namespace, kind, name)
		if err != nil {
			return err
		}
		with.Kind, with.Created, with.Updated = kind, was.Created, s.clock.Now()
		_, err = tx.ExecContext(ctx, `UPDATE metadef_item SET name = $4, body = $5, updated_at = $6 WHERE namespace = $1 AND kind = $2 AND name = $3`,
			namespace, kind, name, with.Name, db.JSON(with.Body), with.Updated)
		if db.IsDuplicate(err) {
			return fault.Wrap(err, fault.Conflict, "A metadata definition %s with name=%s already exists in namespace=%s.", kind, with.Name, namespace)
		}
		return err
	})
	return with, err
}

// Remove takes an item out of a namespace, or all of the kind with an empty name. It fails with Forbidden in a protected
// one.
func (s *Store) Remove(ctx context.Context, namespace string, kind Kind, name string) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := deletable(ctx, tx, namespace); err != nil {
			return err
		}
		gone, err := db.Changed(tx.ExecContext(ctx, `DELETE FROM metadef_item WHERE namespace = $1 AND kind = $2 AND (name = $3 OR $3 = '')`, namespace, kind, name))
		if err == nil && gone == 0 && name != "" {
			err = noItem(namespace, kind, name)
		}
		return err
	})
}
