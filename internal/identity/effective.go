package identity

import (
	"context"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Effective is one role that one user holds on one target, and why.
type Effective struct {
	Assignment            // of a user, never inherited
	Origin     Assignment // what was assigned
}

// Effective lists what follows from the assignments: groups are replaced by their members, inherited assignments by
// the projects that inherit, and roles are joined by what they imply. Roles of domains only imply others.
func (s *Service) Effective(ctx context.Context, f AssignmentFilter) ([]Effective, error) {
	return effective(ctx, s.db, f)
}

func effective(ctx context.Context, q db.Querier, f AssignmentFilter) ([]Effective, error) {
	if f.GroupID != "" {
		return nil, fault.New(fault.Invalid, "Combining effective and group filter will always result in an empty list.")
	}
	made, err := relevant(ctx, q, f)
	if err != nil || len(made) == 0 {
		return nil, err
	}
	x := expansion{ctx: ctx, q: q, groups: map[string][]string{}, projects: map[Target][]string{}}
	if err := x.loadRoles(); err != nil {
		return nil, err
	}
	var all []Effective
	seen := map[Assignment]bool{}
	for _, origin := range made {
		users, err := x.users(origin)
		if err != nil {
			return nil, err
		}
		targets, err := x.targets(origin)
		if err != nil {
			return nil, err
		}
		for _, user := range users {
			for _, target := range targets {
				for _, role := range x.roles(origin.RoleID) {
					a := Assignment{UserID: user, Target: target, RoleID: role}
					if f.fits(a) && !seen[a] {
						seen[a] = true
						all = append(all, Effective{a, origin})
					}
				}
			}
		}
	}
	return all, nil
}

func (f AssignmentFilter) fits(a Assignment) bool {
	return (f.UserID == "" || f.UserID == a.UserID) && (f.RoleID == "" || f.RoleID == a.RoleID) &&
		(f.Target.Kind == "" || f.Target.Kind == a.Target.Kind) && (f.Target.ID == "" || f.Target.ID == a.Target.ID)
}

// relevant are the assignments from which something may follow that the filter wants: a login reads only those of its
// user around its target.
func relevant(ctx context.Context, q db.Querier, f AssignmentFilter) ([]Assignment, error) {
	var where db.Where
	if f.UserID != "" {
		where.And("(user_id = ? OR group_id IN (SELECT group_id FROM identity_membership WHERE user_id = ?))", f.UserID, f.UserID)
	}
	if f.Target.Kind != "" && f.Target.Kind != OnProject {
		where.And("target_kind = ? AND inherited = ?", f.Target.Kind, false)
	}
	if f.Target.ID != "" && f.Target.Kind != OnProject {
		where.And("target_id = ?", f.Target.ID)
	}
	if f.Target.ID != "" && f.Target.Kind == OnProject {
		p, err := getProject(ctx, q, f.Target.ID)
		if fault.Is(err, fault.NotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		above, err := ancestors(ctx, q, p)
		if err != nil {
			return nil, err
		}
		condition, values := "(target_kind = 'project' AND target_id = ? AND inherited = ?) OR (target_kind = 'domain' AND target_id = ? AND inherited = ?)",
			[]any{p.ID, false, p.DomainID, true}
		for _, a := range above {
			condition += " OR (target_kind = 'project' AND target_id = ? AND inherited = ?)"
			values = append(values, a.ID, true)
		}
		where.And("("+condition+")", values...)
	}
	return orderedAssignments(ctx, q, where)
}

// expansion remembers what it looked up.
type expansion struct {
	ctx      context.Context
	q        db.Querier
	groups   map[string][]string // members
	projects map[Target][]string // below a target
	implied  map[string][]string
	private  map[string]bool // roles of domains
}

func (x *expansion) loadRoles() (err error) {
	if x.implied, err = implications(x.ctx, x.q); err != nil {
		return err
	}
	private, err := db.List(x.ctx, x.q, scanText, `SELECT id FROM identity_role WHERE domain_id IS NOT NULL`)
	x.private = map[string]bool{}
	for _, id := range private {
		x.private[id] = true
	}
	return err
}

// roles are the role and what it implies, without roles of domains, in a fixed order.
func (x *expansion) roles(id string) []string {
	var all []string
	for role := range expand([]string{id}, x.implied) {
		if !x.private[role] {
			all = append(all, role)
		}
	}
	slices.Sort(all)
	return all
}

func (x *expansion) users(a Assignment) (members []string, err error) {
	if a.GroupID == "" {
		return []string{a.UserID}, nil
	}
	members, known := x.groups[a.GroupID]
	if !known {
		members, err = membersOf(x.ctx, x.q, a.GroupID)
		x.groups[a.GroupID] = members
	}
	return members, err
}

func (x *expansion) targets(a Assignment) ([]Target, error) {
	if !a.Inherited {
		return []Target{a.Target}, nil
	}
	ids, known := x.projects[a.Target]
	if !known {
		var err error
		if ids, err = x.below(a.Target); err != nil {
			return nil, err
		}
		x.projects[a.Target] = ids
	}
	targets := make([]Target, len(ids))
	for i, id := range ids {
		targets[i] = Target{OnProject, id}
	}
	return targets, nil
}

func (x *expansion) below(t Target) (ids []string, err error) {
	if t.Kind == OnDomain {
		return db.List(x.ctx, x.q, scanText, `SELECT id FROM identity_project WHERE domain_id = $1 ORDER BY id`, t.ID)
	}
	p, err := getProject(x.ctx, x.q, t.ID)
	if err != nil {
		return nil, err
	}
	projects, err := subtree(x.ctx, x.q, p)
	for _, child := range projects {
		ids = append(ids, child.ID)
	}
	return ids, err
}
