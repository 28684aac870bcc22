package identity

import (
	"context"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Target is what a role is assigned on: a project, a domain, or the system.
type Target struct{ Kind, ID string }

// The kinds of target.
const (
	OnProject = "project"
	OnDomain  = "domain"
	OnSystem  = "system"
)

// OnTheSystem is the one target of kind system.
var OnTheSystem = Target{OnSystem, System}

// Assignment gives a user a role on a target.
type Assignment struct {
	UserID string
	Target Target
	RoleID string
}

func scanAssignment(row db.Scanner) (a Assignment, err error) {
	return a, row.Scan(&a.UserID, &a.Target.Kind, &a.Target.ID, &a.RoleID)
}

// Assign gives the role; giving it twice is the same as once. User, target and role must exist.
func (s *Service) Assign(ctx context.Context, a Assignment) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := checkAssignment(ctx, tx, a); err != nil {
			return err
		}
		return assign(ctx, tx, a)
	})
}

func assign(ctx context.Context, q db.Querier, a Assignment) error {
	_, err := q.ExecContext(ctx, `INSERT INTO identity_assignment (user_id, target_kind, target_id, role_id) VALUES ($1, $2, $3, $4)
		ON CONFLICT (user_id, target_kind, target_id, role_id) DO NOTHING`, a.UserID, a.Target.Kind, a.Target.ID, a.RoleID)
	return err
}

func checkAssignment(ctx context.Context, q db.Querier, a Assignment) error {
	if _, err := getUser(ctx, q, a.UserID); err != nil {
		return err
	}
	var err error
	switch a.Target.Kind {
	case OnProject:
		_, err = getProject(ctx, q, a.Target.ID)
	case OnDomain:
		_, err = getDomain(ctx, q, "id", a.Target.ID)
	}
	if err == nil && a.RoleID != "" {
		_, err = getRole(ctx, q, "id", a.RoleID)
	}
	return err
}

// Unassign takes the role away and voids the user's tokens on the target.
func (s *Service) Unassign(ctx context.Context, a Assignment) error {
	defer s.revoked.forget()
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := db.Changed(tx.ExecContext(ctx, `DELETE FROM identity_assignment WHERE user_id = $1 AND target_kind = $2 AND target_id = $3 AND role_id = $4`,
			a.UserID, a.Target.Kind, a.Target.ID, a.RoleID))
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.NotFound, "Could not find role assignment with role: %s, user: %s, %s: %s.", a.RoleID, a.UserID, a.Target.Kind, a.Target.ID)
		}
		return s.revoke(ctx, tx, grantSubject(a.UserID, a.Target))
	})
}

// Assigned fails with fault.NotFound when the user does not have exactly this assignment.
func (s *Service) Assigned(ctx context.Context, a Assignment) error {
	found, err := s.Assignments(ctx, AssignmentFilter{UserID: a.UserID, Target: a.Target, RoleID: a.RoleID})
	if err == nil && len(found) == 0 {
		err = fault.New(fault.NotFound, "Could not find role assignment with role: %s, user: %s, %s: %s.", a.RoleID, a.UserID, a.Target.Kind, a.Target.ID)
	}
	return err
}

// AssignmentFilter narrows a list; empty fields do not.
type AssignmentFilter struct {
	UserID, RoleID string
	Target         Target // Kind alone narrows too
	Effective      bool   // with implied roles as assignments of their own
}

// Assignments lists assignments.
func (s *Service) Assignments(ctx context.Context, f AssignmentFilter) ([]Assignment, error) {
	return assignments(ctx, s.db, f)
}

func assignments(ctx context.Context, q db.Querier, f AssignmentFilter) ([]Assignment, error) {
	var where db.Where
	if f.UserID != "" {
		where.And("user_id = ?", f.UserID)
	}
	if f.Target.Kind != "" {
		where.And("target_kind = ?", f.Target.Kind)
	}
	if f.Target.ID != "" {
		where.And("target_id = ?", f.Target.ID)
	}
	if f.RoleID != "" && !f.Effective {
		where.And("role_id = ?", f.RoleID)
	}
	list, err := db.List(ctx, q, scanAssignment, `SELECT user_id, target_kind, target_id, role_id FROM identity_assignment`+
		where.String()+` ORDER BY target_kind, target_id, user_id, role_id`, where.Args...)
	if err != nil || !f.Effective {
		return list, err
	}
	implied, err := implications(ctx, q)
	if err != nil {
		return nil, err
	}
	var all []Assignment
	seen := map[Assignment]bool{}
	for _, a := range list {
		for role := range expand([]string{a.RoleID}, implied) {
			b := Assignment{a.UserID, a.Target, role}
			if (f.RoleID == "" || role == f.RoleID) && !seen[b] {
				seen[b] = true
				all = append(all, b)
			}
		}
	}
	return all, nil
}

// RolesOn are the roles that the user holds on the target, implied ones included, sorted by name.
func (s *Service) RolesOn(ctx context.Context, userID string, t Target) ([]Role, error) {
	held, err := assignments(ctx, s.db, AssignmentFilter{UserID: userID, Target: t, Effective: true})
	if err != nil || len(held) == 0 {
		return nil, err
	}
	roles, err := db.List(ctx, s.db, scanRole, roleColumns+" ORDER BY name")
	return slices.DeleteFunc(roles, func(r Role) bool {
		return !slices.ContainsFunc(held, func(a Assignment) bool { return a.RoleID == r.ID })
	}), err
}
