package identity

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// revocations is this process's picture of the table identity_revocation, never older than a second.
type revocations struct {
	db      *db.DB
	clock   clock.Clock
	picture atomic.Pointer[picture]
	wrong   atomic.Int64 // how often this process made its own picture wrong
	reading singleflight.Group
}

// picture is immutable.
type picture struct {
	at    time.Time       // when it was read
	wrong int64           // what the count above was before that
	known time.Time       // the newest record in it
	void  map[string]void // by subject
}

type void struct {
	until   time.Time // tokens issued until then are void
	expires time.Time // and all of them have expired then
}

const (
	maxAge = time.Second
	// overlap is how far back a reading goes behind the newest known record: for transactions that committed late and
	// clocks that differ between processes.
	overlap = time.Minute
)

// revoke voids the subject's tokens that exist now, in the caller's transaction.
func (s *Service) revoke(ctx context.Context, q db.Querier, subject string) error {
	now := s.Clock.Now()
	if _, err := q.ExecContext(ctx, `DELETE FROM identity_revocation WHERE expires_at < $1`, now.Add(-overlap)); err != nil {
		return err
	}
	_, err := q.ExecContext(ctx, `INSERT INTO identity_revocation (id, subject, issued_until, recorded_at, expires_at) VALUES ($1, $2, $3, $4, $5)`,
		newID(), subject, now, now, now.Add(s.TokenLifetime+overlap))
	return err
}

// forget makes the next validation in this process read again: who revokes sees it at once.
func (r *revocations) forget() { r.wrong.Add(1) }

func (r *revocations) current(p *picture) bool {
	return p != nil && p.wrong == r.wrong.Load() && r.clock.Now().Sub(p.at).Abs() < maxAge
}

// covers reports whether the token is void.
func (r *revocations) covers(ctx context.Context, t *Token) (bool, error) {
	p := r.picture.Load()
	for !r.current(p) {
		var err error
		if p, err = r.read(ctx); err != nil {
			return false, err
		}
	}
	if len(p.void) == 0 {
		return false, nil
	}
	for _, subject := range t.subjects() {
		if v, ok := p.void[subject]; ok && !t.Issued.After(v.until) {
			return true, nil
		}
	}
	return false, nil
}

// read brings the picture up to date; callers that come at once share one query, which the first one's leaving does
// not end.
func (r *revocations) read(ctx context.Context) (*picture, error) {
	result := r.reading.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return r.query(ctx)
	})
	select {
	case got := <-result:
		if got.Err != nil {
			return nil, fault.Wrap(got.Err, fault.Unavailable, "Tokens cannot be validated at the moment; try again.")
		}
		return got.Val.(*picture), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *revocations) query(ctx context.Context) (*picture, error) {
	old := r.picture.Load()
	if old == nil {
		old = &picture{}
	}
	next := &picture{at: r.clock.Now(), wrong: r.wrong.Load(), known: old.known, void: old.void}
	type record struct {
		subject  string
		recorded time.Time
		void
	}
	records, err := db.List(ctx, r.db, func(row db.Scanner) (x record, err error) {
		return x, row.Scan(&x.subject, &x.until, &x.recorded, &x.expires)
	}, `SELECT subject, issued_until, recorded_at, expires_at FROM identity_revocation WHERE recorded_at >= $1 AND expires_at > $2`,
		old.known.Add(-overlap), next.at)
	if err != nil {
		return nil, err
	}
	if len(records) > 0 {
		next.void = map[string]void{}
		for subject, v := range old.void {
			if v.expires.After(next.at) {
				next.void[subject] = v
			}
		}
	}
	for _, x := range records {
		if x.recorded.After(next.known) {
			next.known = x.recorded
		}
		if x.until.After(next.void[x.subject].until) {
			next.void[x.subject] = x.void
		}
	}
	r.picture.Store(next)
	return next, nil
}
