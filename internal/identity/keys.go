package identity

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/secret"
)

// signingKeys are the Ed25519 keys that sign and verify tokens. They live in the database, sealed, so that all
// processes share them; each process keeps them in memory and looks again when it meets a kid that it does not know.
type signingKeys struct {
	db      *db.DB
	keyring *secret.Keyring
	clock   clock.Clock
	known   atomic.Pointer[keySet]

	mu     sync.Mutex
	looked time.Time // when an unknown kid last made us look: forged ones must not cost a query each
}

type keySet struct {
	public map[string]ed25519.PublicKey
	signer jose.Signer // of the newest key
}

func openKeys(ctx context.Context, d *db.DB, keyring *secret.Keyring, c clock.Clock) (*signingKeys, error) {
	k := &signingKeys{db: d, keyring: keyring, clock: c}
	err := d.Tx(ctx, func(tx *db.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM identity_token_key`).Scan(&n); err != nil || n > 0 {
			return err
		}
		return k.add(ctx, tx)
	})
	if err != nil {
		return nil, fmt.Errorf("token keys: %w", err)
	}
	return k, k.load(ctx)
}

func (k *signingKeys) add(ctx context.Context, q db.Querier) error {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails (crypto/rand)
	id := newID()[:8]
	_, err := q.ExecContext(ctx, `INSERT INTO identity_token_key (id, sealed, created_at) VALUES ($1, $2, $3)`,
		id, k.keyring.Seal(keyPurpose(id), seed), k.clock.Now())
	return err
}

func keyPurpose(id string) string { return "token-key " + id }

func (k *signingKeys) load(ctx context.Context) error {
	type row struct{ id, sealed string }
	rows, err := db.List(ctx, k.db, func(s db.Scanner) (r row, err error) { return r, s.Scan(&r.id, &r.sealed) },
		`SELECT id, sealed FROM identity_token_key ORDER BY created_at, id`)
	if err != nil {
		return fmt.Errorf("token keys: %w", err)
	}
	set := &keySet{public: map[string]ed25519.PublicKey{}}
	for _, r := range rows {
		seed, err := k.keyring.Unseal(keyPurpose(r.id), r.sealed)
		if err != nil {
			return fmt.Errorf("token key %s: %w", r.id, err)
		}
		private := ed25519.NewKeyFromSeed(seed)
		set.public[r.id] = private.Public().(ed25519.PublicKey)
		set.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: r.id}}, nil)
		if err != nil {
			return fmt.Errorf("token key %s: %w", r.id, err)
		}
	}
	if set.signer == nil {
		return errors.New("there is no token key")
	}
	k.known.Store(set)
	return nil
}

// RotateKeys makes a new key that signs from now on, when the one that signs is older than so long, and forgets those whose
// tokens have all expired. Other processes learn it from the first token they meet.
func (s *Service) RotateKeys(ctx context.Context, age time.Duration) error {
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		var young int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM identity_token_key WHERE created_at > $1`, s.Clock.Now().Add(-age)).Scan(&young); err != nil || young > 0 {
			return err
		}
		// A key signs until the next one is made, so it is the newer key's age that counts.
		if _, err := tx.ExecContext(ctx, `DELETE FROM identity_token_key WHERE EXISTS (SELECT 1 FROM identity_token_key newer
			WHERE newer.created_at > identity_token_key.created_at AND newer.created_at < $1)`, s.Clock.Now().Add(-2*s.TokenLifetime)); err != nil {
			return err
		}
		return s.keys.add(ctx, tx)
	})
	if err != nil {
		return err
	}
	return s.keys.load(ctx)
}

func (k *signingKeys) sign(payload []byte) (string, error) {
	signed, err := k.known.Load().signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (k *signingKeys) verify(ctx context.Context, token string) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, unauthorized(err)
	}
	kid := signed.Signatures[0].Header.KeyID
	key, ok := k.known.Load().public[kid]
	if !ok && k.mayLook() {
		if err := k.load(ctx); err != nil {
			return nil, err
		}
		key, ok = k.known.Load().public[kid]
	}
	if !ok {
		return nil, unauthorized(fmt.Errorf("no token key %q", kid))
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return nil, unauthorized(err)
	}
	return payload, nil
}

func (k *signingKeys) mayLook() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.clock.Now()
	if now.Sub(k.looked).Abs() < time.Second {
		return false
	}
	k.looked = now
	return true
}
