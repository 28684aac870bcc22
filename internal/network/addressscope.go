package network

import (
	"context"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// AddressScope is where an address means one thing only: the prefixes of its subnet pools do not overlap.
type AddressScope struct {
	ID, Project, Name string
	Version           int  // 4 or 6
	Shared            bool // the viewer may put subnet pools in it although it is another project's
	Created           time.Time
}

const addressScopeColumns = `id, project, name, version, created_at`

func scanAddressScope(row db.Scanner) (*AddressScope, error) {
	var a AddressScope
	err := row.Scan(&a.ID, &a.Project, &a.Name, &a.Version, &a.Created)
	return &a, err
}

// AddressScopes that the viewer sees, oldest first: its own, and those shared with it.
func (s *Service) AddressScopes(ctx context.Context, q db.Querier, v Viewer) ([]*AddressScope, error) {
	var where db.Where
	if !v.All {
		where.And(`project = ? OR `+sharedWith(`id`, SharedAddressScope), v.Project, v.Project)
	}
	found, err := db.List(ctx, q, scanAddressScope, `SELECT `+addressScopeColumns+` FROM network_address_scope`+where.String()+` ORDER BY created_at, id`, where.Args...)
	if err != nil {
		return nil, err
	}
	shared, err := s.SharedWith(ctx, q, SharedAddressScope, v.Project)
	for _, a := range found {
		a.Shared = slices.Contains(shared, a.ID)
	}
	return found, err
}

// AddressScope finds a scope that the viewer sees.
func (s *Service) AddressScope(ctx context.Context, q db.Querier, v Viewer, id string) (*AddressScope, error) {
	all, err := s.AddressScopes(ctx, q, v)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all, func(a *AddressScope) bool { return a.ID == id })
	if at < 0 {
		return nil, refuse(fault.NotFound, NoSuchAddressScope, "Address scope %s could not be found", id)
	}
	return all[at], nil
}

// CreateAddressScope makes a scope.
func (s *Service) CreateAddressScope(ctx context.Context, tx *db.Tx, a AddressScope) (*AddressScope, error) {
	a.ID, a.Created = uuid.NewString(), s.clock.Now()
	if a.Version != 4 && a.Version != 6 {
		return nil, invalid("ip_version", "'%d' is not in [4, 6]", a.Version)
	}
	if err := checkScopeName(a.Name); err != nil {
		return nil, err
	}
	if err := insert(ctx, tx, AddressScopeTable, addressScopeColumns, []any{a.ID, a.Project, a.Name, a.Version, a.Created}); err != nil {
		return nil, err
	}
	if a.Shared {
		return &a, s.share(ctx, tx, a.Project, SharedAddressScope, a.ID, AsShared)
	}
	return &a, nil
}

// ChangeAddressScope renames a scope (nil: leaves its name) and shares it with all projects. One that is shared stays so,
// as in Neutron.
func (s *Service) ChangeAddressScope(ctx context.Context, tx *db.Tx, v Viewer, id string, name *string, shared *bool) (*AddressScope, error) {
	a, err := s.AddressScope(ctx, tx, v, id)
	if err != nil {
		return nil, err
	}
	set(&a.Name, name)
	if err := checkScopeName(a.Name); err != nil {
		return nil, err
	}
	if shared != nil && a.Shared && !*shared {
		return nil, badInput("Unable to update address scope %s: A shared address scope can't be unshared", a.ID)
	}
	if shared != nil && *shared {
		a.Shared = true
		if err := s.share(ctx, tx, a.Project, SharedAddressScope, a.ID, AsShared); err != nil {
			return nil, err
		}
	}
	_, err = tx.ExecContext(ctx, `UPDATE network_address_scope SET name = $2 WHERE id = $1`, id, a.Name)
	return a, err
}

func checkScopeName(name string) error {
	if utf8.RuneCountInString(name) > 255 {
		return invalid("name", "'%s' exceeds maximum length of 255", name)
	}
	return nil
}

// DeleteAddressScope deletes a scope that no subnet pool is in.
func (s *Service) DeleteAddressScope(ctx context.Context, tx *db.Tx, id string) error {
	used, err := exists(ctx, tx, `SELECT 1 FROM network_subnetpool WHERE address_scope = $1 LIMIT 1`, id)
	if err != nil {
		return err
	}
	if used {
		return refuse(fault.Conflict, AddressScopeInUse, "Unable to complete operation on address scope %s. There are one or more subnet pools in use on the address scope", id)
	}
	if err := s.Unshare(ctx, tx, SharedAddressScope, id); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM network_address_scope WHERE id = $1`, id)
	return err
}
