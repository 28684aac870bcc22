package instance

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Policy of a group. Every server has a machine of its own, so anti-affinity holds by itself, and affinity cannot hold
// for a second member.
type Policy string

// The policies.
const (
	Affinity         Policy = "affinity"
	AntiAffinity     Policy = "anti-affinity"
	SoftAffinity     Policy = "soft-affinity"
	SoftAntiAffinity Policy = "soft-anti-affinity"
)

// Group is a server group.
type Group struct {
	ID, Project, Owner, Name string
	Policy                   Policy
	Rules                    map[string]int
	Members                  []string // instances, oldest first
	Created                  time.Time
}

const groupColumns = `SELECT id, project, owner, name, policy, rules, created_at FROM instance_group`

func scanGroup(row db.Scanner) (*Group, error) {
	var g Group
	err := row.Scan(&g.ID, &g.Project, &g.Owner, &g.Name, &g.Policy, db.JSON(&g.Rules), &g.Created)
	return &g, err
}

// CreateGroup makes a group in the asker's project. It fails with Quota.
func (s *Service) CreateGroup(ctx context.Context, by By, name string, policy Policy, rules map[string]int) (*Group, error) {
	g := &Group{ID: uuid.NewString(), Project: by.Project, Owner: by.User, Name: name, Policy: policy, Rules: rules, Created: s.clock.Now()}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.allow(ctx, tx, by.Project, Limits{"server_groups": 1}); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO instance_group (id, project, owner, name, policy, rules, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			g.ID, g.Project, g.Owner, g.Name, g.Policy, db.JSON(g.Rules), g.Created)
		return err
	})
	return g, err
}

// Groups of a project, or of all with an empty one, oldest first.
func (s *Service) Groups(ctx context.Context, project string) ([]*Group, error) {
	var where db.Where
	if project != "" {
		where.And("project = ?", project)
	}
	groups, err := db.List(ctx, s.db, scanGroup, groupColumns+where.String()+` ORDER BY created_at, id`, where.Args...)
	for at := 0; err == nil && at < len(groups); at++ {
		err = s.members(ctx, s.db, groups[at])
	}
	return groups, err
}

// Group finds one that the viewer sees.
func (s *Service) Group(ctx context.Context, q db.Querier, v Viewer, id string) (*Group, error) {
	g, err := scanGroup(q.QueryRowContext(ctx, groupColumns+` WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) || err == nil && !v.All && g.Project != v.Project {
		return nil, fault.New(fault.NotFound, "Instance group %.80s could not be found.", id)
	}
	if err != nil {
		return nil, err
	}
	return g, s.members(ctx, q, g)
}

func (s *Service) members(ctx context.Context, q db.Querier, g *Group) (err error) {
	g.Members, err = db.List(ctx, q, func(row db.Scanner) (id string, err error) { return id, row.Scan(&id) },
		`SELECT id FROM instance WHERE server_group = $1 AND deleted_at IS NULL ORDER BY created_at, launch_index, id`, g.ID)
	return err
}

// DeleteGroup dissolves a group; its members stay.
func (s *Service) DeleteGroup(ctx context.Context, v Viewer, id string) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := s.Group(ctx, tx, v, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE instance SET server_group = '' WHERE server_group = $1`, id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM instance_group WHERE id = $1`, id)
		return err
	})
}

// join checks that a project's group takes so many new members.
func (s *Service) join(ctx context.Context, tx *db.Tx, project, group string, count int) error {
	g, err := s.Group(ctx, tx, Viewer{Project: project}, group)
	if fault.Is(err, fault.NotFound) {
		return fault.Wrap(err, fault.Invalid, "%s", fault.Message(err))
	}
	if err != nil {
		return err
	}
	limits, err := s.Limits(ctx, tx, project)
	if err != nil {
		return err
	}
	total := len(g.Members) + count
	switch most := limits["server_group_members"]; {
	case g.Policy == Affinity && total > 1:
		return fault.New(fault.Invalid, "Each server has a machine of its own, so a group with the policy affinity takes one server; group %s would have %d.", g.ID, total)
	case most != Unlimited && total > most:
		return fault.New(fault.Quota, "Quota exceeded, too many servers in group")
	}
	return nil
}
