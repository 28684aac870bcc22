package qos

import (
	"context"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Rule finds a rule of a kind; of one policy, unless policy is empty. The viewer must see its policy.
func (s *Service) Rule(ctx context.Context, q db.Querier, v Viewer, policy string, kind RuleKind, id string) (*Policy, *Rule, error) {
	missing := refuse(fault.NotFound, NoSuchRule, "QoS rule %s for policy %s could not be found.", id, policy)
	alone := policy == ""
	if alone {
		found, err := db.List(ctx, q, scanRule, `SELECT `+ruleColumns+` FROM qos_rule WHERE id = $1`, id)
		if err != nil {
			return nil, nil, err
		}
		if len(found) == 0 {
			return nil, nil, missing
		}
		policy = found[0].Policy
	}
	p, err := s.Policy(ctx, q, v, policy)
	if alone && fault.Is(err, fault.NotFound) { // whose rule it is, the viewer did not know
		return nil, nil, missing
	}
	if err != nil {
		return nil, nil, err
	}
	for _, r := range p.Rules {
		if r.ID == id && r.Kind == kind {
			return p, r, nil
		}
	}
	return nil, nil, missing
}

// CreateRule adds a rule to r.Policy. A policy has one rule of a kind and a direction at most: Conflict.
func (s *Service) CreateRule(ctx context.Context, tx *db.Tx, r Rule) (*Rule, error) {
	p, err := s.Policy(ctx, tx, Everything, r.Policy)
	if err != nil {
		return nil, err
	}
	r.ID = uuid.NewString()
	if err := p.fits(&r); err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO qos_rule (`+ruleColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		r.ID, r.Policy, r.Kind, r.Egress, r.Rate, r.Burst, r.DSCP); err != nil {
		return nil, err
	}
	return &r, s.touch(ctx, tx, p)
}

// fits finds what keeps a rule from being one of the policy's.
func (p *Policy) fits(r *Rule) error {
	if err := r.check(); err != nil {
		return err
	}
	for _, other := range p.Rules {
		if other.ID != r.ID && other.Kind == r.Kind && other.Egress == r.Egress {
			return refuse(fault.Conflict, RuleConflicts, "Rule %s conflicts with rule %s which already exists in QoS Policy %s.", r.Kind, other.ID, p.ID)
		}
	}
	return nil
}

// RuleChange is what may change of a rule; nil leaves it.
type RuleChange struct {
	Egress            *bool
	Rate, Burst, DSCP *int
}

// ChangeRule changes a rule and gives it as it is then.
func (s *Service) ChangeRule(ctx context.Context, tx *db.Tx, policy string, kind RuleKind, id string, c RuleChange) (*Rule, error) {
	p, r, err := s.Rule(ctx, tx, Everything, policy, kind, id)
	if err != nil {
		return nil, err
	}
	set(&r.Egress, c.Egress)
	set(&r.Rate, c.Rate)
	set(&r.Burst, c.Burst)
	set(&r.DSCP, c.DSCP)
	if err := p.fits(r); err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE qos_rule SET egress = $2, rate = $3, burst = $4, dscp = $5 WHERE id = $1`,
		r.ID, r.Egress, r.Rate, r.Burst, r.DSCP); err != nil {
		return nil, err
	}
	return r, s.touch(ctx, tx, p)
}

// DeleteRule takes a rule from its policy.
func (s *Service) DeleteRule(ctx context.Context, tx *db.Tx, policy string, kind RuleKind, id string) error {
	p, r, err := s.Rule(ctx, tx, Everything, policy, kind, id)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM qos_rule WHERE id = $1`, r.ID); err != nil {
		return err
	}
	return s.touch(ctx, tx, p)
}
