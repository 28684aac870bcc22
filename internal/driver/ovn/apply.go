package ovn

import (
	"context"
	"slices"
	"time"

	"github.com/ingotcloud/ingot/internal/fault"
)

const (
	attempts     = 6                    // to settle
	firstPause   = 5 * time.Millisecond // after a refusal; doubled each time
	transactTime = 60 * time.Second     // for one transaction: the library cannot disconnect before it ends
	batchSize    = 2000                 // operations of one transaction of ApplyAll, unless one scope has more
)

// Apply makes the rows of one scope those wanted, in one transaction, and returns how many operations that took: 0 when
// they were that already. It returns when what is there has been seen to be right.
//
// It may be repeated at any time, but two calls for the same scope at once must want the same. Rows of other scopes stay
// as they are, with two exceptions that follow from OVN's model: a switch, router or group that is deleted takes the rows
// that only it held with it; and a row that is wanted here moves here from another scope.
//
// The faults: Unavailable (no connection, or it was lost; what was written is not known), Conflict (a row that these belong
// into or refer to is not there, is still in use, or somebody else has one of the same name), Internal (rows that OVN
// cannot have).
func (c *Client) Apply(ctx context.Context, scope Scope, rows []Row) (int, error) {
	want, err := prepare(c.owner, scope, rows)
	if err != nil {
		return 0, err
	}
	return c.settle(ctx, func(s *session, _ int) ([][]Op, error) {
		have, mine, err := s.haveOf(c.owner, scope, want)
		if err != nil {
			return nil, err
		}
		ops, err := plan(have, c.owner, mine, want, nil)
		return [][]Op{ops}, err
	})
}

// ApplyAll makes all our rows those wanted, scope by scope: it mends what was changed by hand, deletes what no scope wants,
// and fills a database that was lost. Large differences take several transactions, but those of one scope are in one. It
// returns how many operations it took.
//
// While it runs, changes that are newer than what it was given must not be applied: it would undo them. A caller that
// cannot stop them uses Differing, and applies each of those scopes with rows that it reads anew.
func (c *Client) ApplyAll(ctx context.Context, rows map[Scope][]Row) (int, error) {
	want, err := prepareAll(c.owner, rows)
	if err != nil {
		return 0, err
	}
	return c.settle(ctx, func(s *session, attempt int) ([][]Op, error) {
		units, err := s.units(c.owner, want)
		if err != nil {
			return nil, err
		}
		size := batchSize
		if attempt > 0 {
			// A batch was refused, such as for a name that an orphan in a later batch still has. Everything at once is
			// always right.
			size = 0
		}
		return batches(units, size), nil
	})
}

// Differing names the scopes whose rows are not those wanted, with those that exist and are not wanted at all.
func (c *Client) Differing(rows map[Scope][]Row) ([]Scope, error) {
	want, err := prepareAll(c.owner, rows)
	if err != nil {
		return nil, err
	}
	s, err := c.nb.session()
	if err != nil {
		return nil, err
	}
	units, err := s.units(c.owner, want)
	if err != nil {
		return nil, err
	}
	var scopes []Scope
	for _, u := range units {
		scopes = append(scopes, u.scope)
	}
	slices.Sort(scopes)
	return scopes, nil
}

func prepareAll(owner string, rows map[Scope][]Row) (map[Scope][]*wanted, error) {
	all := make(map[Scope][]*wanted, len(rows))
	seen := map[string]Scope{}
	for scope, rows := range rows {
		want, err := prepare(owner, scope, rows)
		if err != nil {
			return nil, err
		}
		for _, w := range want {
			if other, twice := seen[w.uuid]; twice {
				return nil, fault.New(fault.Internal, "The row %s is wanted by %s and by %s.", w.ref(), scope, other)
			}
			seen[w.uuid] = scope
		}
		all[scope] = want
	}
	return all, nil
}

// settle plans and transacts until there is nothing left to do. A server sends the changes of a transaction before its
// reply (RFC 7047, section 4.1.6), so each plan sees what the last one did. Refusals and missing rows can come from another
// process's change that is still on its way here: they are tried again, then returned.
func (c *Client) settle(ctx context.Context, next func(s *session, attempt int) ([][]Op, error)) (int, error) {
	done, pause := 0, firstPause
	var last error
	for attempt := range attempts {
		if attempt > 0 && last != nil {
			select {
			case <-ctx.Done():
				return done, fault.Wrap(ctx.Err(), fault.Unavailable, "OVN was not changed in time.")
			case <-time.After(pause):
			}
			pause *= 2
		}
		s, err := c.nb.session()
		if err != nil {
			return done, err
		}
		var transactions [][]Op
		if transactions, last = next(s, attempt); last == nil {
			n := 0
			for _, ops := range transactions {
				if len(ops) == 0 {
					continue
				}
				if last = s.transact(ctx, ops); last != nil {
					break
				}
				n += len(ops)
			}
			done += n
			if n == 0 && last == nil {
				return done, nil
			}
		}
		if last != nil && !fault.Is(last, fault.Conflict) {
			return done, last
		}
	}
	if last == nil {
		last = fault.New(fault.Conflict, "OVN's rows change as fast as they are written.")
	}
	return done, last
}
