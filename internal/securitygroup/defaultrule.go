package securitygroup

import (
	"context"
	"database/sql"
	"errors"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// DefaultRule is a rule that new groups begin with. It has no project and no group; what is made of it belongs to the new
// group and changes with that alone.
type DefaultRule struct {
	Rule
	InDefault bool // projects' default groups begin with it
	InOthers  bool // all other groups do
}

// Parent stands for the new group itself as the other end of a DefaultRule.
const Parent = "PARENT"

const defaultRuleColumns = `id, description, egress, version, protocol, spelling, first_port, last_port, remote_cidr, remote_group, remote_address_group, in_default, in_others`

func scanDefaultRule(row db.Scanner) (*DefaultRule, error) {
	var r DefaultRule
	err := row.Scan(&r.ID, &r.Description, &r.Egress, &r.Version, &r.Protocol, &r.Spelling, &r.First, &r.Last, text{&r.RemoteCIDR}, &r.RemoteGroup, &r.RemoteAddressGroup,
		&r.InDefault, &r.InOthers)
	return &r, err
}

// DefaultRules are all of them: first those from ports, then those to them.
func (s *Service) DefaultRules(ctx context.Context, q db.Querier) ([]*DefaultRule, error) {
	return db.List(ctx, q, scanDefaultRule, `SELECT `+defaultRuleColumns+` FROM security_group_default_rule ORDER BY egress DESC, version, id`)
}

// DefaultRule finds one of them.
func (s *Service) DefaultRule(ctx context.Context, q db.Querier, id string) (*DefaultRule, error) {
	r, err := scanDefaultRule(q.QueryRowContext(ctx, `SELECT `+defaultRuleColumns+` FROM security_group_default_rule WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, noSuchDefaultRule(id)
	}
	return r, err
}

func noSuchDefaultRule(id string) error {
	return refuse(fault.NotFound, NoSuchDefaultRule, "Default Security Group rule %s does not exist", id)
}

// CreateDefaultRule adds a rule to those that new groups begin with; spec.Group means nothing. It fails with Conflict for
// a rule that means the same as another one. Groups that are there already stay as they are.
func (s *Service) CreateDefaultRule(ctx context.Context, tx *db.Tx, spec NewRule, inDefault, inOthers bool) (*DefaultRule, error) {
	rule, err := s.checkedRule(ctx, tx, Everything, &Group{}, spec)
	if err != nil {
		return nil, err
	}
	var other string
	err = tx.QueryRowContext(ctx, `SELECT id FROM security_group_default_rule WHERE same = $1`, rule.meaning()).Scan(&other)
	if err == nil {
		return nil, refuse(fault.Conflict, DefaultRuleExists, "Default Security group rule already exists. Rule id is %s.", other)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	r := &DefaultRule{*rule, inDefault, inOthers}
	_, err = tx.ExecContext(ctx, `INSERT INTO security_group_default_rule (`+defaultRuleColumns+`, same) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		r.ID, r.Description, r.Egress, r.Version, r.Protocol, r.Spelling, r.First, r.Last, text{&r.RemoteCIDR}, r.RemoteGroup, r.RemoteAddressGroup, r.InDefault, r.InOthers, r.meaning())
	return r, err
}

// DeleteDefaultRule takes a rule from those that new groups begin with.
func (s *Service) DeleteDefaultRule(ctx context.Context, tx *db.Tx, id string) error {
	if _, err := s.DefaultRule(ctx, tx, id); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM security_group_default_rule WHERE id = $1`, id)
	return err
}

// insertDefaultRules gives a new group the rules that it begins with.
func (s *Service) insertDefaultRules(ctx context.Context, tx *db.Tx, g *Group) error {
	all, err := s.DefaultRules(ctx, tx)
	if err != nil {
		return err
	}
	for _, d := range all {
		if g.Name == Default && !d.InDefault || g.Name != Default && !d.InOthers {
			continue
		}
		r := s.newRule(g, NewRule{
			Description: d.Description, Egress: d.Egress, Version: d.Version, First: &d.First, Last: &d.Last,
			RemoteCIDR: d.RemoteCIDR, RemoteGroup: d.RemoteGroup, RemoteAddressGroup: d.RemoteAddressGroup,
		})
		r.Protocol, r.Spelling = d.Protocol, d.Spelling
		if r.RemoteGroup == Parent {
			r.RemoteGroup = g.ID
		}
		if err := insertRule(ctx, tx, r); err != nil {
			return err
		}
		g.Rules = append(g.Rules, r)
	}
	return nil
}
