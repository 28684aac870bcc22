package identity

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Group gathers users; what it may do, its members may.
type Group struct {
	ID, DomainID, Name, Description string
	Extra                           Extra
}

const groupColumns = `SELECT id, domain_id, name, description, extra FROM identity_group`

func scanGroup(row db.Scanner) (g Group, err error) {
	return g, row.Scan(&g.ID, &g.DomainID, &g.Name, &g.Description, db.JSON(&g.Extra))
}

// CreateGroup stores a new group. An empty id is drawn, an empty domain is the default one.
func (s *Service) CreateGroup(ctx context.Context, g Group) (Group, error) {
	if err := checkName("group", g.Name, maxName); err != nil {
		return Group{}, err
	}
	if g.ID == "" {
		g.ID = newID()
	}
	if g.DomainID == "" {
		g.DomainID = DefaultDomain
	}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := getDomain(ctx, tx, "id", g.DomainID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO identity_group (id, domain_id, name, description, extra) VALUES ($1, $2, $3, $4, $5)`,
			g.ID, g.DomainID, g.Name, g.Description, db.JSON(g.Extra))
		return taken(err, "group", g.Name)
	})
	return g, err
}

// Group finds a group by id.
func (s *Service) Group(ctx context.Context, id string) (Group, error) {
	return getGroup(ctx, s.db, id)
}

func getGroup(ctx context.Context, q db.Querier, id string) (Group, error) {
	g, err := scanGroup(q.QueryRowContext(ctx, groupColumns+" WHERE id = $1", id))
	return g, missing(err, "group", id)
}

// GroupFilter narrows a list; empty fields do not.
type GroupFilter struct {
	Name, DomainID string
	UserID         string // groups that this user is in
}

// Groups lists groups by id.
func (s *Service) Groups(ctx context.Context, f GroupFilter) ([]Group, error) {
	var where db.Where
	if f.Name != "" {
		where.And("name = ?", f.Name)
	}
	if f.DomainID != "" {
		where.And("domain_id = ?", f.DomainID)
	}
	if f.UserID != "" {
		where.And("id IN (SELECT group_id FROM identity_membership WHERE user_id = ?)", f.UserID)
	}
	return db.List(ctx, s.db, scanGroup, groupColumns+where.String()+" ORDER BY id", where.Args...)
}

// UpdateGroup changes a group; its domain stays.
func (s *Service) UpdateGroup(ctx context.Context, id string, change func(*Group) error) (Group, error) {
	return amend(ctx, s.db,
		func(q db.Querier) (Group, error) { return getGroup(ctx, q, id) }, change,
		func(q db.Querier, g Group) error {
			if err := checkName("group", g.Name, maxName); err != nil {
				return err
			}
			_, err := q.ExecContext(ctx, `UPDATE identity_group SET name = $2, description = $3, extra = $4 WHERE id = $1`,
				id, g.Name, g.Description, db.JSON(g.Extra))
			return taken(err, "group", g.Name)
		})
}

// DeleteGroup deletes a group with its assignments, and voids the tokens of its members.
func (s *Service) DeleteGroup(ctx context.Context, id string) error {
	defer s.revoked.forget()
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.revokeMembers(ctx, tx, id); err != nil {
			return err
		}
		return remove(ctx, tx, "identity_group", "group", id)
	})
}

func (s *Service) revokeMembers(ctx context.Context, q db.Querier, groupID string) error {
	members, err := membersOf(ctx, q, groupID)
	if err != nil {
		return err
	}
	for _, user := range members {
		if err := s.revoke(ctx, q, "user:"+user); err != nil {
			return err
		}
	}
	return nil
}

func membersOf(ctx context.Context, q db.Querier, groupID string) ([]string, error) {
	return db.List(ctx, q, scanText, `SELECT user_id FROM identity_membership WHERE group_id = $1 ORDER BY user_id`, groupID)
}

func scanText(row db.Scanner) (text string, err error) { return text, row.Scan(&text) }

// AddToGroup makes the user a member; doing it twice is the same as once. Both must exist.
func (s *Service) AddToGroup(ctx context.Context, groupID, userID string) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := checkMembership(ctx, tx, groupID, userID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO identity_membership (group_id, user_id) VALUES ($1, $2) ON CONFLICT (group_id, user_id) DO NOTHING`, groupID, userID)
		return err
	})
}

func checkMembership(ctx context.Context, q db.Querier, groupID, userID string) error {
	if _, err := getGroup(ctx, q, groupID); err != nil {
		return err
	}
	_, err := getUser(ctx, q, userID)
	return err
}

// InGroup fails with fault.NotFound when the user is not a member.
func (s *Service) InGroup(ctx context.Context, groupID, userID string) error {
	if err := checkMembership(ctx, s.db, groupID, userID); err != nil {
		return err
	}
	var n int
	err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM identity_membership WHERE group_id = $1 AND user_id = $2`, groupID, userID).Scan(&n)
	if err == nil && n == 0 {
		return notMember(groupID, userID)
	}
	return err
}

func notMember(groupID, userID string) error {
	return fault.New(fault.NotFound, "User '%s' not found in group '%s'.", userID, groupID)
}

// RemoveFromGroup ends a membership and voids the user's tokens.
func (s *Service) RemoveFromGroup(ctx context.Context, groupID, userID string) error {
	defer s.revoked.forget()
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := checkMembership(ctx, tx, groupID, userID); err != nil {
			return err
		}
		n, err := db.Changed(tx.ExecContext(ctx, `DELETE FROM identity_membership WHERE group_id = $1 AND user_id = $2`, groupID, userID))
		if err == nil && n == 0 {
			err = notMember(groupID, userID)
		}
		if err != nil {
			return err
		}
		return s.revoke(ctx, tx, "user:"+userID)
	})
}
