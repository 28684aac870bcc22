package securitygroup

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/reconcile"
)

const addressGroupColumns = `id, project, name, description, revision, created_at, updated_at, addresses`

func scanAddressGroup(row db.Scanner) (*AddressGroup, error) {
	var g AddressGroup
	err := row.Scan(&g.ID, &g.Project, &g.Name, &g.Description, &g.Revision, &g.Created, &g.Updated, db.JSON(&g.Addresses))
	return &g, err
}

// AddressGroups that the viewer sees, oldest first.
func (s *Service) AddressGroups(ctx context.Context, q db.Querier, v Viewer, f Filter) ([]*AddressGroup, error) {
	where := f.where()
	shared, err := s.seen(ctx, q, &where, v, AddressGroupKind)
	if err != nil {
		return nil, err
	}
	if where, err = f.Page.Narrow(ctx, q, "address_group", where); err != nil {
		return nil, err
	}
	found, err := db.List(ctx, q, scanAddressGroup, `SELECT `+addressGroupColumns+` FROM address_group`+where.String()+` ORDER BY created_at, id`, where.Args...)
	for _, g := range found {
		g.Shared = slices.Contains(shared, g.ID)
	}
	return found, err
}

// AddressGroup finds an address group that the viewer sees.
func (s *Service) AddressGroup(ctx context.Context, q db.Querier, v Viewer, id string) (*AddressGroup, error) {
	found, err := s.AddressGroups(ctx, q, v, Filter{IDs: []string{id}})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, refuse(fault.NotFound, NoSuchAddressGroup, "Address group %s could not be found.", id)
	}
	return found[0], nil
}

// CreateAddressGroup makes one of Project, Name, Description and Addresses of g.
func (s *Service) CreateAddressGroup(ctx context.Context, tx *db.Tx, g AddressGroup) (*AddressGroup, error) {
	if err := checkNames(g.Name, g.Description); err != nil {
		return nil, err
	}
	g.ID, g.Revision, g.Created = uuid.NewString(), 1, s.clock.Now()
	g.Updated, g.Addresses = g.Created, sorted(g.Addresses)
	if _, err := tx.ExecContext(ctx, `INSERT INTO address_group (`+addressGroupColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		g.ID, g.Project, g.Name, g.Description, g.Revision, g.Created, g.Updated, db.JSON(g.Addresses)); err != nil {
		return nil, err
	}
	return &g, markAddresses(ctx, tx, g.ID)
}

// AddressGroupChange is what may change of an address group beside its addresses; nil leaves it.
type AddressGroupChange struct{ Name, Description *string }

// ChangeAddressGroup changes an address group.
func (s *Service) ChangeAddressGroup(ctx context.Context, tx *db.Tx, id string, c AddressGroupChange) (*AddressGroup, error) {
	g, err := s.AddressGroup(ctx, tx, Everything, id)
	if err != nil {
		return nil, err
	}
	set(&g.Name, c.Name)
	set(&g.Description, c.Description)
	if err := checkNames(g.Name, g.Description); err != nil {
		return nil, err
	}
	return g, s.saveAddressGroup(ctx, tx, g)
}

// AddAddresses fails with Invalid when one of them is in the group already.
func (s *Service) AddAddresses(ctx context.Context, tx *db.Tx, id string, addresses []netip.Prefix) (*AddressGroup, error) {
	g, err := s.AddressGroup(ctx, tx, Everything, id)
	if err != nil {
		return nil, err
	}
	addresses = sorted(addresses)
	if twice := common(addresses, g.Addresses, true); len(twice) > 0 {
		return nil, refuse(fault.Invalid, AddressesExist, "Addresses [%s] already exist in the address group %s.", strings.Join(twice, ", "), id)
	}
	g.Addresses = sorted(append(g.Addresses, addresses...))
	return g, s.saveAddressGroup(ctx, tx, g)
}

// RemoveAddresses fails with NotFound when one of them is not in the group.
func (s *Service) RemoveAddresses(ctx context.Context, tx *db.Tx, id string, addresses []netip.Prefix) (*AddressGroup, error) {
	g, err := s.AddressGroup(ctx, tx, Everything, id)
	if err != nil {
		return nil, err
	}
	addresses = sorted(addresses)
	if unknown := common(addresses, g.Addresses, false); len(unknown) > 0 {
		return nil, refuse(fault.NotFound, NoSuchAddresses, "Addresses [%s] not found in the address group %s.", strings.Join(unknown, ", "), id)
	}
	g.Addresses = slices.DeleteFunc(g.Addresses, func(p netip.Prefix) bool { return slices.Contains(addresses, p) })
	return g, s.saveAddressGroup(ctx, tx, g)
}

func (s *Service) saveAddressGroup(ctx context.Context, tx *db.Tx, g *AddressGroup) error {
	g.Revision++
	g.Updated = s.clock.Now()
	if _, err := tx.ExecContext(ctx, `UPDATE address_group SET name = $2, description = $3, revision = $4, updated_at = $5, addresses = $6 WHERE id = $1`,
		g.ID, g.Name, g.Description, g.Revision, g.Updated, db.JSON(g.Addresses)); err != nil {
		return err
	}
	return markAddresses(ctx, tx, g.ID)
}

// DeleteAddressGroup deletes an address group that no rule names, else Conflict.
func (s *Service) DeleteAddressGroup(ctx context.Context, tx *db.Tx, id string) error {
	var one int
	err := tx.QueryRowContext(ctx, `SELECT 1 FROM security_group_rule WHERE remote_address_group = $1
		UNION ALL SELECT 1 FROM security_group_default_rule WHERE remote_address_group = $1 LIMIT 1`, id).Scan(&one)
	if err == nil {
		return refuse(fault.Conflict, AddressGroupInUse, "Address group %s is in use on one or more security group rules.", id)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	changed, err := db.Changed(tx.ExecContext(ctx, `DELETE FROM address_group WHERE id = $1`, id))
	if err != nil {
		return err
	}
	if changed == 0 {
		return refuse(fault.NotFound, NoSuchAddressGroup, "Address group %s could not be found.", id)
	}
	if err := s.Shares.Unshare(ctx, tx, AddressGroupKind, id); err != nil {
		return err
	}
	return markAddresses(ctx, tx, id)
}

func markAddresses(ctx context.Context, tx *db.Tx, id string) error {
	return reconcile.Mark(ctx, tx, reconcile.Networks, "addressgroup/"+id)
}

// sorted are the prefixes without the bits behind them, sorted, once each.
func sorted(prefixes []netip.Prefix) []netip.Prefix {
	clean := []netip.Prefix{}
	for _, p := range prefixes {
		clean = append(clean, p.Masked())
	}
	slices.SortFunc(clean, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	return slices.Compact(clean)
}

// common names those of some that all has, or those that it has not.
func common(some, all []netip.Prefix, has bool) (names []string) {
	for _, p := range some {
		if slices.Contains(all, p) == has {
			names = append(names, p.String())
		}
	}
	return names
}
