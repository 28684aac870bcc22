package qos

import (
	"context"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/reconcile"
)

// CreatePolicy makes one of Project, Name, Description, Tags, Shared and Default of p. A project has one default at most:
// Conflict.
func (s *Service) CreatePolicy(ctx context.Context, tx *db.Tx, p Policy) (*Policy, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := s.onlyDefault(ctx, tx, &p); err != nil {
		return nil, err
	}
	p.ID, p.Revision, p.Created, p.Rules = uuid.NewString(), 1, s.clock.Now(), nil
	p.Updated = p.Created
	_, err := tx.ExecContext(ctx, `INSERT INTO qos_policy (`+policyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, p.written()...)
	return &p, err
}

// onlyDefault fails when p would be its project's second default.
func (s *Service) onlyDefault(ctx context.Context, q db.Querier, p *Policy) error {
	if !p.Default {
		return nil
	}
	other, err := s.Default(ctx, q, p.Project)
	if err == nil && other != "" && other != p.ID {
		err = refuse(fault.Conflict, DefaultExists, "A default QoS policy exists for project %s.", p.Project)
	}
	return err
}

// PolicyChange is what may change of a policy; nil leaves it.
type PolicyChange struct {
	Name, Description *string
	Shared, Default   *bool
}

// ChangePolicy changes a policy and gives it as it is then.
func (s *Service) ChangePolicy(ctx context.Context, tx *db.Tx, id string, c PolicyChange) (*Policy, error) {
	p, err := s.Policy(ctx, tx, Everything, id)
	if err != nil {
		return nil, err
	}
	set(&p.Name, c.Name)
	set(&p.Description, c.Description)
	set(&p.Shared, c.Shared)
	set(&p.Default, c.Default)
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := s.onlyDefault(ctx, tx, p); err != nil {
		return nil, err
	}
	return p, s.save(ctx, tx, p)
}

// DeletePolicy deletes a policy that nothing names, else Conflict.
func (s *Service) DeletePolicy(ctx context.Context, tx *db.Tx, id string) error {
	users, err := s.usersOf(ctx, tx, id)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return refuse(fault.Conflict, PolicyInUse, "QoS Policy %s is used by %s %s.", id, users[0].Noun, users[0].ID)
	}
	changed, err := db.Changed(tx.ExecContext(ctx, `DELETE FROM qos_policy WHERE id = $1`, id))
	if err != nil {
		return err
	}
	if changed == 0 {
		return refuse(fault.NotFound, NoSuchPolicy, "QoS policy %s could not be found.", id)
	}
	return s.Shares.Unshare(ctx, tx, PolicyKind, id)
}

func (s *Service) usersOf(ctx context.Context, q db.Querier, id string) (all []User, err error) {
	for _, users := range s.Users {
		some, err := users.UsersOf(ctx, q, id)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// touch saves a policy of which a rule changed, and has the rows made anew that depend on it.
func (s *Service) touch(ctx context.Context, tx *db.Tx, p *Policy) error {
	if err := s.save(ctx, tx, p); err != nil {
		return err
	}
	users, err := s.usersOf(ctx, tx, p.ID)
	if err != nil {
		return err
	}
	for _, u := range users {
		for _, scope := range u.Scopes {
			if err := reconcile.Mark(ctx, tx, reconcile.Networks, scope); err != nil {
				return err
			}
		}
	}
	return nil
}
