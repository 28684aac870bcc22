package identity

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"github.com/google/uuid"
	"golang.org/x/crypto/bcrypt"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/secret"
)

// Config are the knobs of a Service; the zero value is right for production.
type Config struct {
	TokenLifetime time.Duration // 0: one hour
	BcryptCost    int           // 0: 12, as Keystone has it
	Clock         clock.Clock   // nil: the machine's
}

// Service is the identity of one cloud. It is safe for concurrent use, and several processes may share a database.
type Service struct {
	Config
	db        *db.DB
	keys      *signingKeys
	revoked   *revocations
	hashing   chan struct{} // a place for each processor: bcrypt must not starve everything else
	dummyHash []byte        // compared with when there is no such user, so that time tells nothing
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
	dummy, err := bcrypt.GenerateFromPassword([]byte(newID()), config.BcryptCost)
	if err != nil {
		return nil, err
	}
	s := &Service{Config: config, db: d, dummyHash: dummy, hashing: make(chan struct{}, hashers())}
	s.revoked = &revocations{db: d, clock: config.Clock}
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
	DefaultProject     string // empty: none
	Options, Extra     Extra

	password string
}

// Role is a name that policies know.
type Role struct {
	ID, Name       string
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

func checkName(noun, name string) error {
	if name == "" || len(name) > 255 {
		return fault.New(fault.Invalid, "Invalid input for field 'name': a %s's name has 1 to 255 characters.", noun)
	}
	return nil
}

// immutable refuses to change or delete what carries the option "immutable".
func immutable(options Extra, noun, id string) error {
	if on, _ := options["immutable"].(bool); on {
		return fault.New(fault.Forbidden, "Cannot change or delete %s %s: it is immutable.", noun, id)
	}
	return nil
}
