package identity_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
	"github.com/ingotcloud/ingot/internal/identity/identitytest"
)

// strict is the same cloud under rules for passwords, with the user rita whose password is "first-1".
func strict(t *testing.T, d *db.DB, rules identity.PasswordRules) (*identitytest.Cloud, *identity.Service, identity.User) {
	t.Helper()
	c := identitytest.New(t, d, clock.NewFake())
	s, err := identity.New(t.Context(), d, c.Keyring, identity.Config{BcryptCost: bcrypt.MinCost, Clock: c.Clock, Passwords: rules})
	ok(t, err)
	return c, s, must(s.CreateUser(t.Context(), identity.User{Name: "rita", Enabled: true}, "first-1"))
}

func login(t *testing.T, s *identity.Service, pass string) error {
	_, _, err := s.Login(t.Context(), password("rita", pass, identity.Scope{Unscoped: true}))
	return err
}

func TestPasswordHistoryAndAge(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, s, rita := strict(t, d, identity.PasswordRules{
			History: 3, MinAge: time.Hour, Pattern: regexp.MustCompile(`^.*-\d$`), PatternHint: "it ends with a dash and a digit",
		})
		change := func(old, next string) error { return s.ChangePassword(t.Context(), rita.ID, old, next) }
		if err := change("first-1", "second-1"); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), "minimum age") {
			t.Errorf("too soon: %v", err)
		}
		c.Clock.Step(time.Hour)
		if err := change("first-1", "weak"); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), "dash and a digit") {
			t.Errorf("against the pattern: %v", err)
		}
		for _, next := range []string{"second-1", "third-1"} {
			ok(t, change(map[string]string{"second-1": "first-1", "third-1": "second-1"}[next], next))
			c.Clock.Step(time.Hour)
		}
		for _, used := range []string{"first-1", "second-1", "third-1"} {
			if err := change("third-1", used); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s was taken again: %v", used, err)
			}
		}
		ok(t, change("third-1", "fourth-1"))
		c.Clock.Step(time.Hour)
		ok(t, change("fourth-1", "first-1")) // it is the fourth last now
		again := "first-1"
		must(s.UpdateUser(t.Context(), rita.ID, &again, func(*identity.User) error { return nil })) // administrators may
		ok(t, login(t, s, "first-1"))
		for name, err := range map[string]error{"a wrong one": change("x", "fifth-1"), "an unknown user": s.ChangePassword(t.Context(), "x", "first-1", "fifth-1")} {
			if !fault.Is(err, fault.Unauthorized) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestPasswordsExpire(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, s, rita := strict(t, d, identity.PasswordRules{Lifetime: 24 * time.Hour, ChangeFirst: true})
		if err := login(t, s, "first-1"); !fault.Is(err, fault.Unauthorized) || !strings.Contains(fault.Message(err), "must be changed") {
			t.Errorf("an administrator's choice: %v", err)
		}
		ok(t, s.ChangePassword(t.Context(), rita.ID, "first-1", "own"))
		_, token, err := s.Login(t.Context(), password("rita", "own", identity.Scope{Unscoped: true}))
		if err != nil || !token.PasswordExpires.Equal(c.Clock.Now().Add(24*time.Hour)) {
			t.Errorf("%+v, %v", token, err)
		}
		c.Clock.Step(24 * time.Hour)
		if err := login(t, s, "own"); !fault.Is(err, fault.Unauthorized) || !strings.Contains(fault.Message(err), "expired") {
			t.Errorf("an expired password: %v", err)
		}
		if err := login(t, s, "wrong"); strings.Contains(fault.Message(err), "expired") {
			t.Errorf("who does not know it learns that it expired: %v", err)
		}
		must(s.UpdateUser(t.Context(), rita.ID, nil, func(u *identity.User) error { return u.SetOptions(identity.Extra{"ignore_password_expiry": true}) }))
		ok(t, login(t, s, "own"))
		must(s.UpdateUser(t.Context(), rita.ID, nil, func(u *identity.User) error { return u.SetOptions(identity.Extra{"ignore_password_expiry": nil}) }))
		ok(t, s.ChangePassword(t.Context(), rita.ID, "own", "fresh"))
		ok(t, login(t, s, "fresh"))
	})
}

// Who logs in after the cost was changed has a hash of the new cost from then on, and whoever does not, keeps the old one.
func TestLoginRehashesAtTheCostOfToday(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, _, rita := strict(t, d, identity.PasswordRules{})
		cost := func() int {
			var hash string
			ok(t, d.QueryRowContext(t.Context(), `SELECT password FROM identity_user WHERE id = $1`, rita.ID).Scan(&hash))
			return must(bcrypt.Cost([]byte(hash)))
		}
		dearer := must(identity.New(t.Context(), d, c.Keyring, identity.Config{BcryptCost: bcrypt.MinCost + 1, Clock: c.Clock}))
		if err := login(t, dearer, "wrong"); !fault.Is(err, fault.Unauthorized) {
			t.Fatal(err)
		}
		if got := cost(); got != bcrypt.MinCost {
			t.Errorf("a wrong password was hashed at cost %d", got)
		}
		token, _, err := dearer.Login(t.Context(), password("rita", "first-1", identity.Scope{Unscoped: true}))
		ok(t, err)
		if got := cost(); got != bcrypt.MinCost+1 {
			t.Errorf("after a login at cost %d the hash has cost %d", bcrypt.MinCost+1, got)
		}
		ok(t, login(t, dearer, "first-1"))
		if _, err := dearer.Authenticate(t.Context(), token); err != nil {
			t.Errorf("the first token is void: %v", err)
		}
	})
}

func TestLockout(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, s, rita := strict(t, d, identity.PasswordRules{LockAfter: 3, LockFor: time.Minute})
		for round := range 2 {
			for range 2 {
				if err := login(t, s, "wrong"); !fault.Is(err, fault.Unauthorized) {
					t.Fatal(err)
				}
			}
			if round == 0 {
				ok(t, login(t, s, "first-1")) // forgets the two
			}
		}
		for range 2 {
			if err := login(t, s, "wrong"); !fault.Is(err, fault.Unauthorized) {
				t.Fatal(err)
			}
		}
		if err := login(t, s, "first-1"); !fault.Is(err, fault.Unauthorized) || fault.Message(err) != "The request you have made requires authentication." {
			t.Errorf("a locked user: %v", err)
		}
		if err := s.ChangePassword(t.Context(), rita.ID, "first-1", "another"); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("a locked user changes the password: %v", err)
		}
		c.Clock.Step(61 * time.Second)
		ok(t, login(t, s, "first-1"))
		must(s.UpdateUser(t.Context(), rita.ID, nil, func(u *identity.User) error {
			return u.SetOptions(identity.Extra{"ignore_lockout_failure_attempts": true})
		}))
		for range 5 {
			if err := login(t, s, "wrong"); !fault.Is(err, fault.Unauthorized) {
				t.Fatal(err)
			}
		}
		ok(t, login(t, s, "first-1"))
		for name, wrong := range map[string]identity.Extra{"unknown": {"x": true}, "no boolean": {"lock_password": "yes"}, "no rules": {"multi_factor_auth_rules": "x"}} {
			if err := new(identity.User).SetOptions(wrong); !fault.Is(err, fault.Invalid) {
				t.Errorf("option %s: %v", name, err)
			}
		}
	})
}

// The key and the passcodes are those of RFC 6238, appendix B (SHA-1, the last six digits).
func TestPasscodes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, _, rita := strict(t, d, identity.PasswordRules{})
		c.Clock.Step(time.Unix(1111111109, 0).Sub(c.Clock.Now()))
		s := rebuilt(t, c, d)
		must(s.CreateCredential(t.Context(), identity.Credential{UserID: rita.ID, Type: "totp", Blob: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}))
		enter := func(code string) error {
			_, _, err := s.Login(t.Context(), identity.Login{TOTP: &identity.PasscodeProof{User: identity.Naming{ID: rita.ID}, Passcode: code}, Scope: identity.Scope{Unscoped: true}})
			return err
		}
		ok(t, enter("081804"))
		if err := enter("081804"); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("a passcode is good twice: %v", err)
		}
		c.Clock.Step(2 * time.Second) // 1111111111
		ok(t, enter("050471"))
		rules := identity.Extra{"multi_factor_auth_enabled": true, "multi_factor_auth_rules": []any{[]any{"password", "totp"}}}
		must(s.UpdateUser(t.Context(), rita.ID, nil, func(u *identity.User) error { return u.SetOptions(rules) }))
		if err := login(t, s, "first-1"); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("one factor is enough: %v", err)
		}
		c.Clock.Step(time.Unix(1234567890, 0).Sub(c.Clock.Now()))
		both := password("rita", "first-1", identity.Scope{Unscoped: true})
		both.TOTP = &identity.PasscodeProof{User: identity.Naming{ID: rita.ID}, Passcode: "005924"}
		if _, token, err := s.Login(t.Context(), both); err != nil || len(token.Methods) != 2 {
			t.Errorf("%+v, %v", token, err)
		}
		c.Clock.Step(time.Unix(2000000000, 0).Sub(c.Clock.Now()))
		for range 10 {
			if err := enter("000000"); !fault.Is(err, fault.Unauthorized) {
				t.Fatal(err)
			}
		}
		both.TOTP.Passcode = "279037"
		if _, _, err := s.Login(t.Context(), both); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("passcodes can be guessed for ever: %v", err)
		}
	})
}

// rebuilt opens the service anew at the clock's time: its picture of the past is of another one.
func rebuilt(t *testing.T, c *identitytest.Cloud, d *db.DB) *identity.Service {
	t.Helper()
	return must(identity.New(t.Context(), d, c.Keyring, identity.Config{BcryptCost: bcrypt.MinCost, Clock: c.Clock}))
}

func TestCredentialsAreSealed(t *testing.T) {
	d := dbtest.SQLite(t)
	c := identitytest.New(t, d, clock.NewFake())
	made := must(c.CreateCredential(t.Context(), identity.Credential{UserID: c.Demo.ID, Type: "cert", Blob: "very-secret", Extra: identity.Extra{}}))
	if got := must(c.Credential(t.Context(), made.ID)); got.Blob != "very-secret" {
		t.Errorf("%+v", got)
	}
	var stored string
	ok(t, d.QueryRowContext(t.Context(), `SELECT sealed FROM identity_credential`).Scan(&stored))
	if strings.Contains(stored, "secret") {
		t.Errorf("stored: %s", stored)
	}
	for name, wrong := range map[string]identity.Credential{
		"no type": {UserID: c.Demo.ID, Blob: "x"}, "ec2 without a project": {UserID: c.Demo.ID, Type: "ec2", Blob: `{"access": "a"}`},
		"ec2 without a key": {UserID: c.Demo.ID, Type: "ec2", Blob: `{}`, ProjectID: &c.DemoProject.ID}, "ec2 with numbers": {UserID: c.Demo.ID, Type: "ec2", Blob: `{"access": 1, "secret": 2}`, ProjectID: &c.DemoProject.ID},
		"totp without base32": {UserID: c.Demo.ID, Type: "totp", Blob: "1!"},
	} {
		if _, err := c.CreateCredential(t.Context(), wrong); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
