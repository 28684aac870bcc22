// Package keypair keeps the public keys of users; they are put into instances at their first boot. A private key made
// here is given to its user once and is not stored.
package keypair

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Keypair is a user's public key under a name of the user's choice.
type Keypair struct {
	ID          int64 // a number, because Nova shows one
	UserID      string
	Name        string // unique for the user
	Type        string // TypeSSH or TypeX509
	Fingerprint string // as in "c3:d2:…": MD5, of a certificate SHA-1
	PublicKey   string // one line of authorized_keys, or a certificate in PEM
	CreatedAt   time.Time
}

// The types of key pairs that the wire knows.
const (
	TypeSSH  = "ssh"
	TypeX509 = "x509" // for Windows: who has the key logs in over WinRM
)

// Algorithm says which key Generate makes.
type Algorithm string

// The algorithms.
const (
	Ed25519 Algorithm = "ed25519"
	RSA     Algorithm = "rsa" // 2048 bits: what Nova made until microversion 2.92
)

// Store keeps key pairs in the database.
type Store struct {
	db    *db.DB
	clock clock.Clock
}

// NewStore opens the key pairs of a migrated database.
func NewStore(d *db.DB, c clock.Clock) *Store { return &Store{d, c} }

// New says what key pair is wanted.
type New struct {
	UserID, Name string
	Type         string // TypeSSH or TypeX509
	Most         int    // key pairs that the user may have with this one; negative: any number
}

// Import stores a public key that the user brings: a line of authorized_keys, or a certificate in PEM. It fails with
// fault.Conflict when the user has the name already, fault.Invalid for a name or key that is none, fault.Quota for one
// key too many.
func (s *Store) Import(ctx context.Context, n New, publicKey string) (Keypair, error) {
	k := Keypair{UserID: n.UserID, Name: n.Name, Type: n.Type}
	if err := k.check(); err != nil {
		return Keypair{}, err
	}
	if k.Type == TypeX509 {
		var err error
		if k.PublicKey, k.Fingerprint, err = readCertificate(publicKey); err != nil {
			return Keypair{}, err
		}
		return s.insert(ctx, k, n.Most)
	}
	key, comment, _, rest, err := ssh.ParseAuthorizedKey([]byte(publicKey))
	if err != nil || len(rest) > 0 {
		return Keypair{}, fault.Wrap(err, fault.Invalid, "Keypair data is invalid: failed to generate fingerprint: the public key must be one line of an authorized_keys file.")
	}
	k.Fingerprint = ssh.FingerprintLegacyMD5(key)
	k.PublicKey = line(key, comment)
	return s.insert(ctx, k, n.Most)
}

// Generate makes a key, stores its public half and gives the private one, which is nowhere else, in PEM. The algorithm is
// that of keys for SSH; certificates have RSA. The errors are those of Import.
func (s *Store) Generate(ctx context.Context, n New, algorithm Algorithm) (k Keypair, private string, err error) {
	k = Keypair{UserID: n.UserID, Name: n.Name, Type: n.Type}
	if err := k.check(); err != nil {
		return Keypair{}, "", err
	}
	if k.Type == TypeX509 {
		certificate, private, err := makeCertificate(k.UserID, s.clock.Now())
		if err != nil {
			return Keypair{}, "", err
		}
		k, err = s.Import(ctx, n, certificate)
		return k, private, err
	}
	signer, block, err := generate(algorithm)
	if err != nil {
		return Keypair{}, "", err
	}
	key, err := ssh.NewPublicKey(signer.Public())
	if err != nil {
		return Keypair{}, "", err
	}
	k.Fingerprint = ssh.FingerprintLegacyMD5(key)
	k.PublicKey = line(key, "Generated-by-Ingot")
	k, err = s.insert(ctx, k, n.Most)
	return k, string(pem.EncodeToMemory(block)), err
}

// generate makes a key: RSA in the old PEM form that every client reads, Ed25519 in OpenSSH's, which has no other.
func generate(algorithm Algorithm) (crypto.Signer, *pem.Block, error) {
	switch algorithm {
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		block, err := ssh.MarshalPrivateKey(key, "")
		return key, block, err
	case RSA:
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, nil, err
		}
		return key, &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}, nil
	}
	return nil, nil, fmt.Errorf("keypair: no algorithm %q", algorithm)
}

func line(key ssh.PublicKey, comment string) string {
	text := strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(key)), "\n")
	if comment != "" {
		text += " " + comment
	}
	return text
}

// nameForm is Nova's since microversion 2.92; the wire narrows it for older ones.
var nameForm = regexp.MustCompile(`^[a-zA-Z0-9 _@.-]{1,255}$`)

func (k *Keypair) check() error {
	switch k.Type {
	case TypeSSH, TypeX509:
	default:
		return fault.New(fault.Invalid, "Invalid input for field/attribute type. %q is not one of ssh, x509.", k.Type)
	}
	if !nameForm.MatchString(k.Name) || strings.TrimSpace(k.Name) != k.Name {
		return fault.New(fault.Invalid, "Keypair data is invalid: the name must be 1 to 255 letters, digits, spaces (not at the ends), dashes, underscores, dots or at signs.")
	}
	return nil
}

const columns = `SELECT id, user_id, name, type, fingerprint, public_key, created_at FROM keypair`

func scan(row db.Scanner) (k Keypair, err error) {
	err = row.Scan(&k.ID, &k.UserID, &k.Name, &k.Type, &k.Fingerprint, &k.PublicKey, &k.CreatedAt)
	k.CreatedAt = k.CreatedAt.UTC()
	return k, err
}

func (s *Store) insert(ctx context.Context, k Keypair, most int) (Keypair, error) {
	k.CreatedAt = s.clock.Now()
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		var have int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM keypair WHERE user_id = $1`, k.UserID).Scan(&have); err != nil {
			return err
		}
		if most >= 0 && have >= most {
			return fault.New(fault.Quota, "Quota exceeded, too many key pairs.")
		}
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) + 1 FROM keypair`).Scan(&k.ID); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO keypair (id, user_id, name, type, fingerprint, public_key, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			k.ID, k.UserID, k.Name, k.Type, k.Fingerprint, k.PublicKey, k.CreatedAt)
		if db.IsDuplicate(err) {
			return fault.Wrap(err, fault.Conflict, "Key pair '%s' already exists.", k.Name)
		}
		return err
	})
	if err != nil {
		return Keypair{}, err
	}
	return k, nil
}

// Get finds a user's key pair.
func (s *Store) Get(ctx context.Context, userID, name string) (Keypair, error) {
	k, err := scan(s.db.QueryRowContext(ctx, columns+" WHERE user_id = $1 AND name = $2", userID, name))
	return k, missing(err, userID, name)
}

func missing(err error, userID, name string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, "Keypair %s not found for user %s", name, userID)
	}
	return err
}

// List gives a user's key pairs by name.
func (s *Store) List(ctx context.Context, userID string) ([]Keypair, error) {
	return db.List(ctx, s.db, scan, columns+" WHERE user_id = $1 ORDER BY name", userID)
}

// Delete deletes a user's key pair; instances that were made with it keep it.
func (s *Store) Delete(ctx context.Context, userID, name string) error {
	n, err := db.Changed(s.db.ExecContext(ctx, `DELETE FROM keypair WHERE user_id = $1 AND name = $2`, userID, name))
	if err == nil && n == 0 {
		return missing(sql.ErrNoRows, userID, name)
	}
	return err
}
