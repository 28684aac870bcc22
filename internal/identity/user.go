package identity

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"runtime"

	"golang.org/x/crypto/bcrypt"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

const userColumns = `SELECT id, domain_id, name, description, enabled, default_project, password, options, extra FROM identity_user`

func scanUser(row db.Scanner) (u User, err error) {
	return u, row.Scan(&u.ID, &u.DomainID, &u.Name, &u.Description, &u.Enabled, &u.DefaultProject, &u.password, db.JSON(&u.Options), db.JSON(&u.Extra))
}

// CreateUser stores a new user. An empty id is drawn, an empty domain is the default one; without a password nobody can
// log in with one.
func (s *Service) CreateUser(ctx context.Context, u User, password string) (User, error) {
	if err := checkName("user", u.Name); err != nil {
		return User{}, err
	}
	if u.ID == "" {
		u.ID = newID()
	}
	if u.DomainID == "" {
		u.DomainID = DefaultDomain
	}
	var err error
	if u.password, err = s.hash(ctx, password); err != nil {
		return User{}, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := getDomain(ctx, tx, "id", u.DomainID); err != nil {
			return err
		}
		return insertUser(ctx, tx, u)
	})
	return u, err
}

func insertUser(ctx context.Context, q db.Querier, u User) error {
	_, err := q.ExecContext(ctx, `INSERT INTO identity_user (id, domain_id, name, description, enabled, default_project, password, options, extra)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		u.ID, u.DomainID, u.Name, u.Description, u.Enabled, u.DefaultProject, u.password, db.JSON(u.Options), db.JSON(u.Extra))
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
	if f.Enabled != nil {
		where.And("enabled = ?", *f.Enabled)
	}
	return db.List(ctx, s.db, scanUser, userColumns+where.String()+" ORDER BY id", where.Args...)
}

// UpdateUser changes a user; its domain stays. A non-nil password replaces the old one. Disabling the user and a new
// password void the user's tokens.
func (s *Service) UpdateUser(ctx context.Context, id string, password *string, change func(*User) error) (User, error) {
	hash := ""
	if password != nil {
		var err error
		if hash, err = s.hash(ctx, *password); err != nil {
			return User{}, err
		}
	}
	defer s.revoked.forget()
	return amend(ctx, s.db,
		func(q db.Querier) (User, error) { return getUser(ctx, q, id) }, change,
		func(q db.Querier, u User) error {
			if err := checkName("user", u.Name); err != nil {
				return err
			}
			if hash != "" {
				u.password = hash
			}
			if hash != "" || !u.Enabled {
				if err := s.revoke(ctx, q, "user:"+id); err != nil {
					return err
				}
			}
			_, err := q.ExecContext(ctx, `UPDATE identity_user SET name = $2, description = $3, enabled = $4, default_project = $5, password = $6, options = $7, extra = $8 WHERE id = $1`,
				id, u.Name, u.Description, u.Enabled, u.DefaultProject, u.password, db.JSON(u.Options), db.JSON(u.Extra))
			return taken(err, "user", u.Name)
		})
}

// ChangePassword replaces a user's password by the user's own wish: it needs the old one.
func (s *Service) ChangePassword(ctx context.Context, id, old, password string) error {
	u, err := s.User(ctx, id)
	if err != nil {
		return err
	}
	if locked, _ := u.Options["lock_password"].(bool); locked {
		return fault.New(fault.Invalid, "The password of this user is locked: only an administrator may change it.")
	}
	if !s.passwordIs(ctx, u, old) {
		return unauthorized(errors.New("the old password is wrong"))
	}
	_, err = s.UpdateUser(ctx, id, &password, func(*User) error { return nil })
	return err
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

// hashers is how many passwords are hashed at once.
func hashers() int { return max(1, runtime.GOMAXPROCS(0)) }

// hash gives bcrypt's text for a password; the empty password has none.
func (s *Service) hash(ctx context.Context, password string) (string, error) {
	if password == "" {
		return "", nil
	}
	if len(password) > 4096 {
		return "", fault.New(fault.Invalid, "The password is longer than 4096 bytes.")
	}
	if err := s.enterHashing(ctx); err != nil {
		return "", err
	}
	defer s.leaveHashing()
	hash, err := bcrypt.GenerateFromPassword(forBcrypt(password), s.BcryptCost)
	return string(hash), err
}

// passwordIs compares in a time that tells nothing about whether the user exists (a zero user does not).
func (s *Service) passwordIs(ctx context.Context, u User, password string) bool {
	hash := []byte(u.password)
	if len(hash) == 0 {
		hash = s.dummyHash
	}
	if s.enterHashing(ctx) != nil {
		return false
	}
	defer s.leaveHashing()
	same := bcrypt.CompareHashAndPassword(hash, forBcrypt(password)) == nil
	return same && u.password != ""
}

func (s *Service) enterHashing(ctx context.Context) error {
	select {
	case s.hashing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Service) leaveHashing() { <-s.hashing }

// forBcrypt shortens a password that is longer than the 72 bytes that bcrypt reads, without losing any of it.
func forBcrypt(password string) []byte {
	if len(password) <= 72 {
		return []byte(password)
	}
	sum := sha512.Sum384([]byte(password))
	return []byte(base64.StdEncoding.EncodeToString(sum[:]))
}
