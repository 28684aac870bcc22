package identity

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
)

const userColumns = `SELECT id, domain_id, name, description, enabled, default_project, password, password_set_at, password_expires_at,
	must_change, failures, failed_at, options, extra FROM identity_user`

func scanUser(row db.Scanner) (u User, err error) {
	return u, row.Scan(&u.ID, &u.DomainID, &u.Name, &u.Description, &u.Enabled, &u.DefaultProject, &u.password, db.NullTime(&u.passwordSet),
		db.NullTime(&u.PasswordExpires), &u.mustChange, &u.failures, db.NullTime(&u.failed), db.JSON(&u.Options), db.JSON(&u.Extra))
}

// CreateUser stores a new user. An empty id is drawn, an empty domain is the default one; without a password nobody can
// log in with one.
func (s *Service) CreateUser(ctx context.Context, u User, password string) (User, error) {
	if err := checkName("user", u.Name, maxName); err != nil {
		return User{}, err
	}
	if u.ID == "" {
		u.ID = newID()
	}
	if u.DomainID == "" {
		u.DomainID = DefaultDomain
	}
	hash, err := s.newHash(ctx, password)
	if err != nil {
		return User{}, err
	}
	s.setPassword(&u, hash, false)
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := getDomain(ctx, tx, "id", u.DomainID); err != nil {
			return err
		}
		return insertUser(ctx, tx, u)
	})
	return u, err
}

func insertUser(ctx context.Context, q db.Querier, u User) error {
	_, err := q.ExecContext(ctx, `INSERT INTO identity_user (id, domain_id, name, description, enabled, default_project, password,
		password_set_at, password_expires_at, must_change, failures, failed_at, options, extra)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		u.ID, u.DomainID, u.Name, u.Description, u.Enabled, u.DefaultProject, u.password,
		db.NullTime(&u.passwordSet), db.NullTime(&u.PasswordExpires), u.mustChange, u.failures, db.NullTime(&u.failed), db.JSON(u.Options), db.JSON(u.Extra))
	return taken(err, "user", u.Name)
}

// User finds a user by id.
func (s *Service) User(ctx context.Context, id string) (User, error) { return getUser(ctx, s.db, id) }

func getUser(ctx context.Context, q db.Querier, id string) (User, error) {
	u, err := scanUser(q.QueryRowContext(ctx, userColumns+" WHERE id = $1", id))
	return u, missing(err, "user", id)
}

// UserFilter narrows a list; empty fields do not.
type UserFilter struct {
	Name, DomainID string
	GroupID        string // members of this group
	Enabled        *bool
}

// Users lists users by id.
func (s *Service) Users(ctx context.Context, f UserFilter) ([]User, error) {
	var where db.Where
	if f.Name != "" {
		where.And("name = ?", f.Name)
	}
	if f.DomainID != "" {
		where.And("domain_id = ?", f.DomainID)
	}
	if f.GroupID != "" {
		where.And("id IN (SELECT user_id FROM identity_membership WHERE group_id = ?)", f.GroupID)
	}
	if f.Enabled != nil {
		where.And("enabled = ?", *f.Enabled)
	}
	return db.List(ctx, s.db, scanUser, userColumns+where.String()+" ORDER BY id", where.Args...)
}

// UpdateUser changes a user as an administrator may; its domain stays. A non-nil password replaces the old one.
// Disabling the user and a new password void the user's tokens.
func (s *Service) UpdateUser(ctx context.Context, id string, password *string, change func(*User) error) (User, error) {
	hash := ""
	if password != nil {
		var err error
		if hash, err = s.newHash(ctx, *password); err != nil {
			return User{}, err
		}
	}
	return s.changeUser(ctx, id, func(u *User) error {
		if err := change(u); err != nil {
			return err
		}
		if password != nil {
			s.setPassword(u, hash, false)
		}
		return checkName("user", u.Name, maxName)
	})
}

func (s *Service) changeUser(ctx context.Context, id string, change func(*User) error) (User, error) {
	defer s.revoked.forget()
	var before User
	return amend(ctx, s.db,
		func(q db.Querier) (u User, err error) { before, err = getUser(ctx, q, id); return before, err }, change,
		func(q db.Querier, u User) error {
			if u.password != before.password {
				if err := s.retire(ctx, q, before); err != nil {
					return err
				}
			}
			if u.password != before.password || !u.Enabled {
				if err := s.revoke(ctx, q, "user:"+id); err != nil {
					return err
				}
			}
			_, err := q.ExecContext(ctx, `UPDATE identity_user SET name = $2, description = $3, enabled = $4, default_project = $5, password = $6,
				password_set_at = $7, password_expires_at = $8, must_change = $9, failures = $10, failed_at = $11, options = $12, extra = $13 WHERE id = $1`,
				id, u.Name, u.Description, u.Enabled, u.DefaultProject, u.password, db.NullTime(&u.passwordSet), db.NullTime(&u.PasswordExpires),
				u.mustChange, u.failures, db.NullTime(&u.failed), db.JSON(u.Options), db.JSON(u.Extra))
			return taken(err, "user", u.Name)
		})
}

// DeleteUser deletes a user with its assignments, and voids its tokens.
func (s *Service) DeleteUser(ctx context.Context, id string) error {
	defer s.revoked.forget()
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.revoke(ctx, tx, "user:"+id); err != nil {
			return err
		}
		return remove(ctx, tx, "identity_user", "user", id)
	})
}
