package identity

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/secret"
)

// Config are the knobs of a Service; the zero value is right for production.
type Config struct {
	TokenLifetime time.Duration // 0: one hour
	BcryptCost    int           // 0: 12, as Keystone has it
	Passwords     PasswordRules // zero: none
	Clock         clock.Clock   // nil: the machine's
}

// Service is the identity of one cloud. It is safe for concurrent use, and several processes may share a database.
type Service struct {
	Config
	db        *db.DB
	keyring   *secret.Keyring
	keys      *signingKeys
	verified  verified
	revoked   *revocations
	catalogs  *catalogPictures
	hashing   chan struct{}                 // a place for each processor: bcrypt must not starve everything else
	dummyHash func() (hash []byte, e error) // compared with when there is no such user, so that time tells nothing
}

// New opens the identity in a migrated database. The keyring seals the token keys.
func New(ctx context.Context, d *db.DB, keyring *secret.Keyring, config Config) (*Service, error) {
	if config.TokenLifetime == 0 {
		config.TokenLifetime = time.Hour
	}
	if config.BcryptCost == 0 {
		config.BcryptCost = 12
	}
	if config.Clock == nil {
		config.Clock = clock.Real{}
	}
	s := &Service{Config: config, db: d, keyring: keyring, hashing: make(chan struct{}, hashers())}
	s.dummyHash = sync.OnceValues(s.makeDummyHash)
	s.revoked = &revocations{db: d, clock: config.Clock}
	s.catalogs = &catalogPictures{db: d, clock: config.Clock}
	var err error
	if s.keys, err = openKeys(ctx, d, keyring, config.Clock); err != nil {
		return nil, err
	}
	return s, nil
}

// Extra holds the attributes that clients add to a thing beside the known ones; Keystone stores and shows them.
type Extra = map[string]any

// Domain owns projects and users.
type Domain struct {
	ID, Name, Description string
	Enabled               bool
	Tags                  []string
	Options, Extra        Extra
}

// Project owns what tenants make.
type Project struct {
	ID, DomainID      string
	ParentID          string // another project, or the domain
	Name, Description string
	Enabled           bool
	Tags              []string
	Options, Extra    Extra
}

// User may log in. Its password's hash never leaves the package.
type User struct {
	ID, DomainID, Name string
	Description        *string
	Enabled            bool
	DefaultProject     string    // empty: none
	PasswordExpires    time.Time // zero: never
	Options, Extra     Extra

	password    string
	passwordSet time.Time // zero: before this was kept
	mustChange  bool      // the password is an administrator's choice and good for one thing only: changing it
	failures    int       // wrong passwords in a row
	failed      time.Time // the last of them
}

// Role is a name that policies know. A role of a domain is known to nobody but this service: it implies roles of the
// cloud, and tokens carry those.
type Role struct {
	ID, Name       string
	DomainID       string // empty: of the whole cloud
	Description    *string
	Options, Extra Extra
}

// The domain and the target that always exist.
const (
	DefaultDomain = "default"
	System        = "all" // the only target of kind system
)

// newID is an id as Keystone makes them: a UUID without dashes.
func newID() string {
	id := uuid.New()
	return hex.EncodeToString(id[:])
}

// errNoRow is for statements that found nothing to do.
var errNoRow = sql.ErrNoRows

// missing turns "no row" into the fault that names what was not found.
func missing(err error, noun, id string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, "Could not find %s: %s.", noun, id)
	}
	return err
}

func taken(err error, noun, name string) error {
	if db.IsDuplicate(err) {
		return fault.Wrap(err, fault.Conflict, "Conflict occurred attempting to store %s - it is not permitted to have two of the same name: %s.", noun, name)
	}
	return err
}

// amend loads a thing, lets change work on it and stores it, in one transaction.
func amend[T any](ctx context.Context, d *db.DB, load func(db.Querier) (T, error), change func(*T) error, save func(db.Querier, T) error) (T, error) {
	var result T
	err := d.Tx(ctx, func(tx *db.Tx) error {
		thing, err := load(tx)
		if err != nil {
			return err
		}
		if err := change(&thing); err != nil {
			return err
		}
		result = thing
		return save(tx, thing)
	})
	return result, err
}

// remove deletes one row by id.
func remove(ctx context.Context, q db.Querier, table, noun, id string) error {
	n, err := db.Changed(q.ExecContext(ctx, "DELETE FROM "+table+" WHERE id = $1", id))
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "Could not find %s: %s.", noun, id)
	}
	return err
}

// The lengths of names, in characters, as Keystone has them.
const (
	maxName      = 255
	maxScopeName = 64 // of domains and projects
)

func checkName(noun, name string, limit int) error {
	if strings.TrimSpace(name) == "" || utf8.RuneCountInString(name) > limit {
		return fault.New(fault.Invalid, "Invalid input for field 'name': a %s's name has 1 to %d characters.", noun, limit)
	}
	return nil
}
