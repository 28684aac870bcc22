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

// Assignment gives a user, or a group's members, a role on a target. An inherited one does not hold on the target itself
// but on every project below it.
type Assignment struct {
	UserID    string // either this
	GroupID   string // … or this
	Target    Target
	RoleID    string
	Inherited bool
}

const assignmentColumns = `SELECT COALESCE(user_id, ''), COALESCE(group_id, ''), target_kind, target_id, role_id, inherited FROM identity_assignment`

func scanAssignment(row db.Scanner) (a Assignment, err error) {
	return a, row.Scan(&a.UserID, &a.GroupID, &a.Target.Kind, &a.Target.ID, &a.RoleID, &a.Inherited)
}

// where selects exactly this assignment.
func (a Assignment) where() (w db.Where) {
	w.And("COALESCE(user_id, '') = ? AND COALESCE(group_id, '') = ? AND target_kind = ? AND target_id = ? AND role_id = ? AND inherited = ?",
		a.UserID, a.GroupID, a.Target.Kind, a.Target.ID, a.RoleID, a.Inherited)
	return w
}

// Assign gives the role; giving it twice is the same as once. Actor, target and role must exist.
func (s *Service) Assign(ctx context.Context, a Assignment) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := checkAssignment(ctx, tx, a); err != nil {
			return err
		}
		return assign(ctx, tx, a)
	})
}

func assign(ctx context.Context, q db.Querier, a Assignment) error {
	_, err := q.ExecContext(ctx, `INSERT INTO identity_assignment (user_id, group_id, target_kind, target_id, role_id, inherited)
		VALUES (NULLIF($1, ''), NULLIF($2, ''), $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		a.UserID, a.GroupID, a.Target.Kind, a.Target.ID, a.RoleID, a.Inherited)
	return err
}

// checkAssignment: everything exists, and a role of a domain stays in it.
func checkAssignment(ctx context.Context, q db.Querier, a Assignment) (err error) {
	if a.GroupID != "" {
		_, err = getGroup(ctx, q, a.GroupID)
	} else {
		_, err = getUser(ctx, q, a.UserID)
	}
	if err != nil {
		return err
	}
	domain := ""
	switch a.Target.Kind {
	case OnProject:
		var p Project
		p, err = getProject(ctx, q, a.Target.ID)
		domain = p.DomainID
	case OnDomain:
		_, err = getDomain(ctx, q, "id", a.Target.ID)
		domain = a.Target.ID
	}
	if err != nil {
		return err
	}
	role, err := getRole(ctx, q, a.RoleID)
	if err == nil && role.DomainID != "" && role.DomainID != domain {
		return fault.New(fault.Forbidden, "Domain specific roles can only be assigned within their own domain.")
	}
	return err
}

func noAssignment(a Assignment) error {
	actor, id := "user", a.UserID
	if a.GroupID != "" {
		actor, id = "group", a.GroupID
	}
	return fault.New(fault.NotFound, "Could not find role assignment with role: %s, %s: %s, %s: %s.", a.RoleID, actor, id, a.Target.Kind, a.Target.ID)
}

// Unassign takes the role away and voids the tokens that may carry it.
func (s *Service) Unassign(ctx context.Context, a Assignment) error {
	defer s.revoked.forget()
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		where := a.where()
		n, err := db.Changed(tx.ExecContext(ctx, `DELETE FROM identity_assignment`+where.String(), where.Args...))
		if err == nil && n == 0 {
			err = noAssignment(a)
		}
		if err != nil {
			return err
		}
		return s.revokeAssigned(ctx, tx, a)
	})
}

// revokeAssigned voids the tokens that exist by virtue of the assignment.
func (s *Service) revokeAssigned(ctx context.Context, q db.Querier, a Assignment) (err error) {
	users := []string{a.UserID}
	if a.GroupID != "" {
		if users, err = membersOf(ctx, q, a.GroupID); err != nil {
			return err
		}
	}
	for _, user := range users {
		subject := grantSubject(user, a.Target)
		if a.Inherited { // on any of the projects below
			subject = "user:" + user
		}
		if err := s.revoke(ctx, q, subject); err != nil {
			return err
		}
	}
	return nil
}

// Assigned fails with fault.NotFound when there is no such assignment.
func (s *Service) Assigned(ctx context.Context, a Assignment) error {
	where := a.where()
	found, err := db.List(ctx, s.db, scanAssignment, assignmentColumns+where.String(), where.Args...)
	if err == nil && len(found) == 0 {
		err = noAssignment(a)
	}
	return err
}

// AssignmentFilter narrows a list; empty fields do not.
type AssignmentFilter struct {
	UserID, GroupID, RoleID string
	Target                  Target // Kind alone narrows too
	Inherited               *bool
}

// Assignments lists assignments as they were made.
func (s *Service) Assignments(ctx context.Context, f AssignmentFilter) ([]Assignment, error) {
	return assignments(ctx, s.db, f)
}

func assignments(ctx context.Context, q db.Querier, f AssignmentFilter) ([]Assignment, error) {
	var where db.Where
	for column, value := range map[string]string{
		"user_id": f.UserID, "group_id": f.GroupID, "role_id": f.RoleID, "target_kind": f.Target.Kind, "target_id": f.Target.ID,
	} {
		if value != "" {
			where.And(column+" = ?", value)
		}
	}
	if f.Inherited != nil {
		where.And("inherited = ?", *f.Inherited)
	}
	return orderedAssignments(ctx, q, where)
}

func orderedAssignments(ctx context.Context, q db.Querier, where db.Where) ([]Assignment, error) {
	return db.List(ctx, q, scanAssignment, assignmentColumns+where.String()+
		` ORDER BY target_kind, target_id, COALESCE(user_id, ''), COALESCE(group_id, ''), role_id, inherited`, where.Args...)
}

// RolesOn are the roles that the user holds on the target: also through groups, by inheritance and by implication;
// sorted by name. Roles of domains are not among them, but what they imply is.
func (s *Service) RolesOn(ctx context.Context, userID string, t Target) ([]Role, error) {
	return rolesOn(ctx, s.db, userID, t)
}

func rolesOn(ctx context.Context, q db.Querier, userID string, t Target) ([]Role, error) {
	held, err := effective(ctx, q, AssignmentFilter{UserID: userID, Target: t})
	if err != nil || len(held) == 0 {
		return nil, err
	}
	roles, err := db.List(ctx, q, scanRole, roleColumns+" ORDER BY name")
	return slices.DeleteFunc(roles, func(r Role) bool {
		return !slices.ContainsFunc(held, func(a Effective) bool { return a.RoleID == r.ID })
	}), err
}

// HoldsAdmin reports whether the user, or the group, holds the role admin on anything.
func (s *Service) HoldsAdmin(ctx context.Context, who AssignmentFilter) (bool, error) {
	admin, err := getCloudRole(ctx, s.db, RoleAdmin)
	if err != nil {
		return false, err
	}
	held, err := relevant(ctx, s.db, AssignmentFilter{UserID: who.UserID})
	return slices.ContainsFunc(held, func(a Assignment) bool { // no role implies admin
		return a.RoleID == admin.ID && (who.GroupID == "" || a.GroupID == who.GroupID)
	}), err
}
