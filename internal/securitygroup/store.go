package securitygroup

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/reconcile"
)

// Filter narrows a list; an empty field does not.
type Filter struct {
	IDs, Projects, Names []string
	Page                 db.Page
}

func (f Filter) where() (where db.Where) {
	in(&where, `id`, f.IDs)
	in(&where, `project`, f.Projects)
	in(&where, `name`, f.Names)
	return where
}

// in adds that the column has one of the values, if there are any.
func in(where *db.Where, column string, values []string) {
	if len(values) == 0 {
		return
	}
	where.And(column+` IN (?`+strings.Repeat(`, ?`, len(values)-1)+`)`, anys(values)...)
}

func anys(values []string) []any {
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	return args
}

// seen adds that the viewer sees the thing, and gives the ids of those that are shared with it.
func (s *Service) seen(ctx context.Context, q db.Querier, where *db.Where, v Viewer, kind string) (shared []string, err error) {
	if v.Project != "" {
		if shared, err = s.Shares.SharedWith(ctx, q, kind, v.Project); err != nil {
			return nil, err
		}
	}
	if !v.All {
		where.And(`project = ?`+orIn(shared), append([]any{v.Project}, anys(shared)...)...)
	}
	return shared, nil
}

func orIn(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return ` OR id IN (?` + strings.Repeat(`, ?`, len(ids)-1) + `)`
}

const groupColumns = `id, project, name, description, tags, revision, created_at, updated_at, stateful`

func scanGroup(row db.Scanner) (*Group, error) {
	var g Group
	err := row.Scan(&g.ID, &g.Project, &g.Name, &g.Description, db.JSON(&g.Tags), &g.Revision, &g.Created, &g.Updated, &g.Stateful)
	return &g, err
}

// Groups that the viewer sees, oldest first, each with its rules.
func (s *Service) Groups(ctx context.Context, q db.Querier, v Viewer, f Filter) ([]*Group, error) {
	where := f.where()
	shared, err := s.seen(ctx, q, &where, v, GroupKind)
	if err != nil {
		return nil, err
	}
	if where, err = f.Page.Narrow(ctx, q, "security_group", where); err != nil {
		return nil, err
	}
	found, err := db.List(ctx, q, scanGroup, `SELECT `+groupColumns+` FROM security_group`+where.String()+` ORDER BY created_at, id`, where.Args...)
	if err != nil {
		return nil, err
	}
	byID := map[string]*Group{}
	for _, g := range found {
		g.Shared = slices.Contains(shared, g.ID)
		byID[g.ID] = g
	}
	rules, err := db.List(ctx, q, scanRule, `SELECT `+ruleColumns+` FROM security_group_rule WHERE security_group IN
		(SELECT id FROM security_group`+where.String()+`) ORDER BY created_at, id`, where.Args...)
	for _, r := range rules {
		if g := byID[r.Group]; g != nil { // outside a transaction a group may come in between the two queries
			g.Rules = append(g.Rules, r)
		}
	}
	return found, err
}

// Group finds a group that the viewer sees.
func (s *Service) Group(ctx context.Context, q db.Querier, v Viewer, id string) (*Group, error) {
	found, err := s.Groups(ctx, q, v, Filter{IDs: []string{id}})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, noSuchGroup(id)
	}
	return found[0], nil
}

func noSuchGroup(id string) error {
	return refuse(fault.NotFound, NoSuchGroup, "Security group %s does not exist", id)
}

const ruleColumns = `id, project, security_group, description, revision, created_at, updated_at, egress, version, protocol, spelling,
	first_port, last_port, remote_cidr, remote_group, remote_address_group`

func scanRule(row db.Scanner) (*Rule, error) {
	var r Rule
	err := row.Scan(&r.ID, &r.Project, &r.Group, &r.Description, &r.Revision, &r.Created, &r.Updated, &r.Egress, &r.Version, &r.Protocol, &r.Spelling,
		&r.First, &r.Last, text{&r.RemoteCIDR}, &r.RemoteGroup, &r.RemoteAddressGroup)
	return &r, err
}

func insertRule(ctx context.Context, tx *db.Tx, r *Rule) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO security_group_rule (`+ruleColumns+`, same)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
		r.ID, r.Project, r.Group, r.Description, r.Revision, r.Created, r.Updated, r.Egress, r.Version, r.Protocol, r.Spelling,
		r.First, r.Last, text{&r.RemoteCIDR}, r.RemoteGroup, r.RemoteAddressGroup, r.meaning())
	return err
}

// Rule finds a rule of a group that the viewer sees, and the group.
func (s *Service) Rule(ctx context.Context, q db.Querier, v Viewer, id string) (*Group, *Rule, error) {
	missing := refuse(fault.NotFound, NoSuchRule, "Security group rule %s does not exist", id)
	r, err := scanRule(q.QueryRowContext(ctx, `SELECT `+ruleColumns+` FROM security_group_rule WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, missing
	}
	if err != nil {
		return nil, nil, err
	}
	g, err := s.Group(ctx, q, v, r.Group)
	if fault.Is(err, fault.NotFound) {
		return nil, nil, missing
	}
	return g, r, err
}

// touch raises a group's revision, because something of it changed, and has its rows made anew.
func (s *Service) touch(ctx context.Context, tx *db.Tx, group string) error {
	if _, err := tx.ExecContext(ctx, `UPDATE security_group SET revision = revision + 1, updated_at = $2 WHERE id = $1`, group, s.clock.Now()); err != nil {
		return err
	}
	return mark(ctx, tx, group)
}

func mark(ctx context.Context, tx *db.Tx, group string) error {
	return reconcile.Mark(ctx, tx, reconcile.Networks, "securitygroup/"+group)
}

// GroupOwner is the project that a group belongs to; NotFound where there is none of that id.
func (s *Service) GroupOwner(ctx context.Context, q db.Querier, id string) (string, error) {
	g, err := s.Group(ctx, q, Everything, id)
	if err != nil {
		return "", err
	}
	return g.Project, nil
}

// AddressGroupOwner is the same for an address group.
func (s *Service) AddressGroupOwner(ctx context.Context, q db.Querier, id string) (string, error) {
	g, err := s.AddressGroup(ctx, q, Everything, id)
	if err != nil {
		return "", err
	}
	return g.Project, nil
}

// CountGroups is how many groups a project has.
func (s *Service) CountGroups(ctx context.Context, q db.Querier, project string) (n int, err error) {
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM security_group WHERE project = $1`, project).Scan(&n)
	return n, err
}

// CountRules is how many rules a project has.
func (s *Service) CountRules(ctx context.Context, q db.Querier, project string) (n int, err error) {
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM security_group_rule WHERE project = $1`, project).Scan(&n)
	return n, err
}

// text is a column that holds a prefix; empty: the zero one.
type text struct {
	v interface {
		encoding.TextMarshaler
		encoding.TextUnmarshaler
	}
}

func (t text) Value() (driver.Value, error) {
	b, err := t.v.MarshalText()
	return string(b), err
}

func (t text) Scan(src any) error {
	switch src := src.(type) {
	case string:
		return t.v.UnmarshalText([]byte(src))
	case []byte:
		return t.v.UnmarshalText(src)
	}
	return fmt.Errorf("a column of prefixes holds %T", src)
}
