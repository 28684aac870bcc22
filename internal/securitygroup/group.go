package securitygroup

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// NewGroup says what group is wanted. Only Project is required.
type NewGroup struct {
	Project           string
	Name, Description string
	Stateless         bool
	Tags              []string
}

// CreateGroup makes a group. Unless operators have changed the default rules, its ports may send anything and receive
// nothing but the answers. It fails with Conflict for
// the name "default", which is taken, and Quota when the project has as many groups as it may.
func (s *Service) CreateGroup(ctx context.Context, tx *db.Tx, spec NewGroup) (*Group, error) {
	if strings.EqualFold(spec.Name, Default) {
		return nil, refuse(fault.Conflict, DefaultExists, "Default security group already exists.")
	}
	if _, err := s.Default(ctx, tx, spec.Project); err != nil {
		return nil, err
	}
	if err := s.Quotas.WithinQuota(ctx, tx, spec.Project, GroupKind); err != nil {
		return nil, err
	}
	return s.insertGroup(ctx, tx, spec)
}

// Default is the id of the project's default group, which is made here the first time: unless operators have changed the
// default rules, its ports may send anything, and receive from each other.
func (s *Service) Default(ctx context.Context, tx *db.Tx, project string) (id string, err error) {
	err = tx.QueryRowContext(ctx, `SELECT id FROM security_group WHERE project = $1 AND name = $2`, project, Default).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	g, err := s.insertGroup(ctx, tx, NewGroup{Project: project, Name: Default, Description: "Default security group"})
	if err != nil {
		return "", err
	}
	return g.ID, nil
}

// EnsureDefault makes the project's default group, if it has none yet, in a transaction of its own: lists begin with it.
func (s *Service) EnsureDefault(ctx context.Context, d *db.DB, project string) error {
	var one int
	err := d.QueryRowContext(ctx, `SELECT 1 FROM security_group WHERE project = $1 AND name = $2`, project, Default).Scan(&one)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return d.Tx(ctx, func(tx *db.Tx) error {
		_, err := s.Default(ctx, tx, project)
		return err
	})
}

// insertGroup makes a group with the rules that each has at first.
func (s *Service) insertGroup(ctx context.Context, tx *db.Tx, spec NewGroup) (*Group, error) {
	if err := checkNames(spec.Name, spec.Description); err != nil {
		return nil, err
	}
	tags, err := cleanTags(spec.Tags)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	g := &Group{ID: uuid.NewString(), Project: spec.Project, Name: spec.Name, Description: spec.Description, Tags: tags, Revision: 1, Created: now, Updated: now, Stateful: !spec.Stateless}
	if _, err := tx.ExecContext(ctx, `INSERT INTO security_group (`+groupColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		g.ID, g.Project, g.Name, g.Description, db.JSON(g.Tags), g.Revision, g.Created, g.Updated, g.Stateful); err != nil {
		return nil, err
	}
	if err := s.insertDefaultRules(ctx, tx, g); err != nil {
		return nil, err
	}
	return g, mark(ctx, tx, g.ID)
}

// GroupChange is what may change of a group; nil leaves it.
type GroupChange struct {
	Name, Description *string
	Stateful          *bool
}

// ChangeGroup changes a group and gives it as it is then. The default group keeps its name, and a group that ports are
// in stays stateful or stateless: Conflict.
func (s *Service) ChangeGroup(ctx context.Context, tx *db.Tx, id string, c GroupChange) (*Group, error) {
	g, err := s.Group(ctx, tx, Everything, id)
	if err != nil {
		return nil, err
	}
	if c.Name != nil && *c.Name != g.Name {
		if err := checkNames(*c.Name, ""); err != nil {
			return nil, err
		}
		if g.Name == Default {
			return nil, refuse(fault.Conflict, DefaultKeepsName, "Updating default security group not allowed.")
		}
		if strings.EqualFold(*c.Name, Default) {
			return nil, refuse(fault.Conflict, DefaultExists, "Default security group already exists.")
		}
	}
	if c.Stateful != nil && *c.Stateful != g.Stateful {
		if err := s.unused(ctx, tx, id); err != nil {
			return nil, err
		}
	}
	set(&g.Name, c.Name)
	set(&g.Description, c.Description)
	set(&g.Stateful, c.Stateful)
	if err := checkNames(g.Name, g.Description); err != nil {
		return nil, err
	}
	g.Revision++
	g.Updated = s.clock.Now()
	if _, err := tx.ExecContext(ctx, `UPDATE security_group SET name = $2, description = $3, stateful = $4, revision = $5, updated_at = $6 WHERE id = $1`,
		g.ID, g.Name, g.Description, g.Stateful, g.Revision, g.Updated); err != nil {
		return nil, err
	}
	return g, mark(ctx, tx, g.ID)
}

// DeleteGroup deletes a group that no port is in (else Conflict), and with it the rules of other groups that let its ports
// through. A project's default group goes only where evenDefault says so: it is an admin's right.
func (s *Service) DeleteGroup(ctx context.Context, tx *db.Tx, id string, evenDefault bool) error {
	g, err := s.Group(ctx, tx, Everything, id)
	if err != nil {
		return err
	}
	if err := s.unused(ctx, tx, id); err != nil {
		return err
	}
	if g.Name == Default && !evenDefault {
		return refuse(fault.Conflict, DefaultStays, "Insufficient rights for removing default security group.")
	}
	others, err := db.List(ctx, tx, scanText, `DELETE FROM security_group_rule WHERE remote_group = $1 AND security_group <> $1 RETURNING security_group`, id)
	if err != nil {
		return err
	}
	slices.Sort(others)
	for _, other := range slices.Compact(others) {
		if err := s.touch(ctx, tx, other); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM security_group_default_rule WHERE remote_group = $1`, id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM security_group WHERE id = $1`, id); err != nil {
		return err
	}
	if err := s.Shares.Unshare(ctx, tx, GroupKind, id); err != nil {
		return err
	}
	return mark(ctx, tx, id)
}

// unused fails when ports are in the group.
func (s *Service) unused(ctx context.Context, q db.Querier, id string) error {
	var one int
	err := q.QueryRowContext(ctx, `SELECT 1 FROM security_group_port WHERE security_group = $1 LIMIT 1`, id).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = refuse(fault.Conflict, GroupInUse, "Security Group %s in use.", id)
	}
	return err
}

func scanText(row db.Scanner) (s string, err error) { return s, row.Scan(&s) }
