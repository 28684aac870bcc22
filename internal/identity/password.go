package identity

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"regexp"
	"runtime"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// PasswordRules are what passwords must obey; the zero value asks for nothing. Users' options except them from some.
type PasswordRules struct {
	Lifetime    time.Duration  // a password expires after that; 0: never
	MinAge      time.Duration  // users may change a password only after that; administrators at any time
	History     int            // users may not take one of their last so many passwords again, the present one included
	Pattern     *regexp.Regexp // nil: any
	PatternHint string         // says to users what the pattern wants
	LockAfter   int            // wrong passwords in a row; 0: never
	LockFor     time.Duration  // how long a lock lasts; 0: for ever
	ChangeFirst bool           // a password that an administrator chose must be changed before anything else
}

// newHash hashes a password that fits the pattern. It takes long, so it is no work for a transaction.
func (s *Service) newHash(ctx context.Context, password string) (string, error) {
	if pattern := s.Passwords.Pattern; password != "" && pattern != nil && !pattern.MatchString(password) {
		return "", fault.New(fault.Invalid, "The password does not match the requirements: %s", s.Passwords.PatternHint)
	}
	return s.hash(ctx, password)
}

// setPassword gives the user a password, of its own choice or not; with an empty hash nobody can log in with one.
func (s *Service) setPassword(u *User, hash string, own bool) {
	now := s.Clock.Now()
	u.password, u.passwordSet, u.PasswordExpires, u.failures, u.failed = hash, now, time.Time{}, 0, time.Time{}
	if s.Passwords.Lifetime > 0 && !u.option("ignore_password_expiry") && hash != "" {
		u.PasswordExpires = now.Add(s.Passwords.Lifetime).Truncate(time.Second)
	}
	u.mustChange = s.Passwords.ChangeFirst && !own && hash != ""
}

// ChangePassword replaces a user's password by the user's own wish: it needs the old one, which may have expired. It
// fails with fault.Unauthorized alike for unknown users and wrong passwords.
func (s *Service) ChangePassword(ctx context.Context, id, old, password string) error {
	u, err := s.User(ctx, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err := s.tryPassword(ctx, u, old); err != nil {
		return err
	}
	if u.option("lock_password") {
		return fault.New(fault.Invalid, "The password of this user is locked: only an administrator may change it.")
	}
	if password == "" {
		return fault.New(fault.Invalid, "The new password is empty.")
	}
	if err := s.mayTake(ctx, u, password); err != nil {
		return err
	}
	hash, err := s.newHash(ctx, password)
	if err != nil {
		return err
	}
	_, err = s.changeUser(ctx, id, func(now *User) error {
		if now.password != u.password {
			return unauthorized(errors.New("the password was changed meanwhile"))
		}
		s.setPassword(now, hash, true)
		return nil
	})
	return err
}

// mayTake holds the rules about earlier passwords against the user's own choice.
func (s *Service) mayTake(ctx context.Context, u User, password string) error {
	now := s.Clock.Now()
	if open := u.passwordSet.Add(s.Passwords.MinAge); !u.mustChange && now.Before(open) {
		return fault.New(fault.Invalid, "Cannot change password before minimum age of %v is met; it can be changed at %s.",
			s.Passwords.MinAge, open.UTC().Format(time.RFC3339))
	}
	if s.Passwords.History == 0 {
		return nil
	}
	recent, err := db.List(ctx, s.db, scanText, `SELECT password FROM identity_old_password WHERE user_id = $1 ORDER BY retired_at DESC LIMIT $2`,
		u.ID, s.Passwords.History-1)
	if err != nil {
		return err
	}
	for _, hash := range append(recent, u.password) {
		same, err := s.compare(ctx, []byte(hash), password)
		if err != nil {
			return err
		}
		if same {
			return fault.New(fault.Invalid, "The new password cannot be identical to a previous password. The total number which includes the new password must be unique is: %d.", s.Passwords.History)
		}
	}
	return nil
}

// retire keeps a replaced password for the history, and forgets those that no rule asks about.
func (s *Service) retire(ctx context.Context, q db.Querier, u User) error {
	if u.password == "" || s.Passwords.History < 2 {
		return nil
	}
	if _, err := q.ExecContext(ctx, `INSERT INTO identity_old_password (user_id, password, retired_at) VALUES ($1, $2, $3)`, u.ID, u.password, s.Clock.Now()); err != nil {
		return err
	}
	_, err := q.ExecContext(ctx, `DELETE FROM identity_old_password WHERE user_id = $1 AND password NOT IN
		(SELECT password FROM identity_old_password WHERE user_id = $1 ORDER BY retired_at DESC LIMIT $2)`, u.ID, s.Passwords.History-1)
	return err
}

// tryPassword fails with fault.Unauthorized unless the password is the user's and the user is not locked out. It takes
// the same time for users that do not exist (the zero User).
func (s *Service) tryPassword(ctx context.Context, u User, password string) error {
	hash := []byte(u.password)
	if len(hash) == 0 {
		var err error
		if hash, err = s.dummyHash(); err != nil {
			return err
		}
	}
	same, err := s.compare(ctx, hash, password)
	if err != nil {
		return err
	}
	same = same && u.password != ""
	return s.judge(ctx, u, same, lock{s.Passwords.LockAfter, s.Passwords.LockFor})
}

// lock is after how many wrong proofs in a row, and for how long, a user is locked out; 0: never, and for ever.
type lock struct {
	after int
	span  time.Duration
}

// judge lets a right proof of the user pass and counts the wrong ones.
func (s *Service) judge(ctx context.Context, u User, right bool, l lock) error {
	wrong := unauthorized(errors.New("no such user, or a wrong password or passcode"))
	if u.ID == "" {
		return wrong
	}
	if l.after == 0 || u.option("ignore_lockout_failure_attempts") {
		if right {
			return nil
		}
		return wrong
	}
	now, err := s.User(ctx, u.ID) // what others tried while this one waited for a processor counts too
	if err != nil {
		return refused(err, "the user is gone")
	}
	since := time.Unix(0, 0).UTC() // failures before that are past
	if l.span > 0 {
		since = s.Clock.Now().Add(-l.span)
	}
	switch {
	case now.failures >= l.after && !now.failed.Before(since):
		return unauthorized(errors.New("too many wrong passwords or passcodes: the user is locked out"))
	case right && now.failures == 0:
		return nil
	case right:
		_, err = s.db.ExecContext(ctx, `UPDATE identity_user SET failures = 0, failed_at = NULL WHERE id = $1`, u.ID)
		return err
	}
	_, err = s.db.ExecContext(ctx, `UPDATE identity_user SET failures = CASE WHEN failed_at < $2 THEN 1 ELSE failures + 1 END, failed_at = $3 WHERE id = $1`,
		u.ID, since, s.Clock.Now())
	return errors.Join(err, wrong)
}

// usable fails when the right password is not good for a login any more; only who knows it learns why.
func (s *Service) usable(u User) error {
	if !u.PasswordExpires.IsZero() && !u.option("ignore_password_expiry") && !s.Clock.Now().Before(u.PasswordExpires) {
		return fault.New(fault.Unauthorized, "The password is expired and needs to be changed for user: %s.", u.ID)
	}
	if u.mustChange && !u.option("ignore_change_password_upon_first_use") {
		return fault.New(fault.Unauthorized, "The password must be changed before it can be used, for user: %s.", u.ID)
	}
	return nil
}

// hashers is how many passwords are hashed at once.
func hashers() int { return max(1, runtime.GOMAXPROCS(0)) }

// makeDummyHash is a quarter of a second of work, so it waits for the first login that needs it: the answer to that one
// is slower, and tells no more than that the process is young.
func (s *Service) makeDummyHash() ([]byte, error) {
	return bcrypt.GenerateFromPassword([]byte(newID()), s.BcryptCost)
}

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

// rehash stores the password, which was just shown, at today's cost where it has another: so operators who change the
// cost change it for everybody who logs in.
func (s *Service) rehash(ctx context.Context, u User, password string) error {
	if cost, err := bcrypt.Cost([]byte(u.password)); err != nil || cost == s.BcryptCost {
		return err
	}
	hash, err := s.hash(ctx, password)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, `UPDATE identity_user SET password = $3 WHERE id = $1 AND password = $2`, u.ID, u.password, hash) // unless it was changed meanwhile
	return err
}

// compare reports whether the hash is the password's. The error is the context's.
func (s *Service) compare(ctx context.Context, hash []byte, password string) (bool, error) {
	if err := s.enterHashing(ctx); err != nil {
		return false, err
	}
	defer s.leaveHashing()
	return bcrypt.CompareHashAndPassword(hash, forBcrypt(password)) == nil, nil
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
