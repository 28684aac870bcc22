package qos

import (
	"context"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

const policyColumns = `id, project, name, description, tags, revision, created_at, updated_at, shared, is_default`

func scanPolicy(row db.Scanner) (*Policy, error) {
	var p Policy
	err := row.Scan(&p.ID, &p.Project, &p.Name, &p.Description, db.JSON(&p.Tags), &p.Revision, &p.Created, &p.Updated, &p.Shared, &p.Default)
	return &p, err
}

func (p *Policy) written() []any {
	return []any{p.ID, p.Project, p.Name, p.Description, db.JSON(p.Tags), p.Revision, p.Created, p.Updated, p.Shared, p.Default}
}

const ruleColumns = `id, policy, kind, egress, rate, burst, dscp`

func scanRule(row db.Scanner) (*Rule, error) {
	var r Rule
	err := row.Scan(&r.ID, &r.Policy, &r.Kind, &r.Egress, &r.Rate, &r.Burst, &r.DSCP)
	return &r, err
}

// Policies that the viewer sees, oldest first, each with its rules.
func (s *Service) Policies(ctx context.Context, q db.Querier, v Viewer) ([]*Policy, error) {
	var where db.Where
	return s.policies(ctx, q, v, where)
}

// Policy finds a policy that the viewer sees.
func (s *Service) Policy(ctx context.Context, q db.Querier, v Viewer, id string) (*Policy, error) {
	var where db.Where
	where.And(`id = ?`, id)
	found, err := s.policies(ctx, q, v, where)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, refuse(fault.NotFound, NoSuchPolicy, "QoS policy %s could not be found.", id)
	}
	return found[0], nil
}

func (s *Service) policies(ctx context.Context, q db.Querier, v Viewer, where db.Where) ([]*Policy, error) {
	var shared []string
	if v.Project != "" {
		var err error
		if shared, err = s.Shares.SharedWith(ctx, q, PolicyKind, v.Project); err != nil {
			return nil, err
		}
	}
	if !v.All {
		args := []any{v.Project}
		for _, id := range shared {
			args = append(args, id)
		}
		where.And(`shared OR project = ?`+strings.Repeat(` OR id = ?`, len(shared)), args...)
	}
	found, err := db.List(ctx, q, scanPolicy, `SELECT `+policyColumns+` FROM qos_policy`+where.String()+` ORDER BY created_at, id`, where.Args...)
	if err != nil {
		return nil, err
	}
	byID := map[string]*Policy{}
	for _, p := range found {
		p.Shared = p.Shared || slices.Contains(shared, p.ID)
		byID[p.ID] = p
	}
	rules, err := db.List(ctx, q, scanRule, `SELECT `+ruleColumns+` FROM qos_rule WHERE policy IN
		(SELECT id FROM qos_policy`+where.String()+`) ORDER BY kind, egress DESC`, where.Args...)
	for _, r := range rules {
		if p := byID[r.Policy]; p != nil { // outside a transaction a policy may come in between the two queries
			p.Rules = append(p.Rules, r)
		}
	}
	return found, err
}

// Owner is the project that a policy belongs to; NotFound where there is none of that id.
func (s *Service) Owner(ctx context.Context, q db.Querier, id string) (string, error) {
	p, err := s.Policy(ctx, q, Everything, id)
	if err != nil {
		return "", err
	}
	return p.Project, nil
}

// Check fails with NotFound for a policy that the project has neither of its own nor shared with it.
func (s *Service) Check(ctx context.Context, q db.Querier, project, id string) error {
	_, err := s.Policy(ctx, q, Viewer{Project: project}, id)
	return err
}

// Default is the id of the policy that the project's new networks have; empty: none.
func (s *Service) Default(ctx context.Context, q db.Querier, project string) (string, error) {
	found, err := db.List(ctx, q, func(row db.Scanner) (id string, err error) { return id, row.Scan(&id) },
		`SELECT id FROM qos_policy WHERE project = $1 AND is_default`, project)
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0], nil
}

func (s *Service) save(ctx context.Context, tx *db.Tx, p *Policy) error {
	p.Revision++
	p.Updated = s.clock.Now()
	_, err := tx.ExecContext(ctx, `UPDATE qos_policy SET project = $2, name = $3, description = $4, tags = $5, revision = $6,
		created_at = $7, updated_at = $8, shared = $9, is_default = $10 WHERE id = $1`, p.written()...)
	return err
}
