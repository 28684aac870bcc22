package ovn

import (
	"context"
	"time"

	"github.com/ingotcloud/ingot/internal/fault"
)

const (
	attempts     = 6                    // to settle
	firstPause   = 5 * time.Millisecond // after a refusal; doubled each time
	transactTime = 60 * time.Second     // for one transaction: the library cannot disconnect before it ends
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
	return c.settle(ctx, func(s *session, _ int) (int, error) {
		h, mine, err := s.haveOf(c.owner, scope, want)
		if err != nil {
			return 0, err
		}
		done, err := plan(h, c.owner, mine, want, nil)
		if err != nil || len(done.ops) == 0 {
			return 0, err
		}
		if err := s.transact(ctx, done.ops); err != nil {
			return 0, err
		}
		return len(done.ops), nil
	})
}

// RowsOf names the rows that a scope has in the database now.
func (c *Client) RowsOf(scope Scope) ([]Ref, error) {
	s, err := c.nb.session()
	if err != nil {
		return nil, err
	}
	var refs []Ref
	for _, name := range tables {
		found, err := s.rows.Table(name).RowsByCondition(inScope(scope))
		if err != nil {
			return nil, fault.Wrap(err, fault.Internal, "The rows of %s in OVN's table %s cannot be found.", scope, name)
		}
		for _, row := range found {
			if marks := byName[name].marks(row); marks[ownerKey] == c.owner {
				refs = append(refs, Ref{name, marks[idKey]})
			}
		}
	}
	return refs, nil
}

// settle calls next, which plans and transacts and returns how many operations that took, until there is nothing left to
// do. A server sends the changes of a transaction before its reply (RFC 7047, section 4.1.6), so each call sees what the
// last one did. A conflict can come from another process's change that is still on its way here: it is tried again, then
// returned.
func (c *Client) settle(ctx context.Context, next func(s *session, attempt int) (int, error)) (int, error) {
	total, pause := 0, firstPause
	var conflict error
	for attempt := range attempts {
		if conflict != nil {
			select {
			case <-ctx.Done():
				return total, fault.Wrap(ctx.Err(), fault.Unavailable, "OVN was not changed in time.")
			case <-time.After(pause):
			}
			pause *= 2
		}
		s, err := c.nb.session()
		if err != nil {
			return total, err
		}
		n, err := next(s, attempt)
		total += n
		switch conflict = nil; {
		case fault.Is(err, fault.Conflict):
			conflict = err
		case err != nil:
			return total, err
		case n == 0:
			return total, nil
		}
	}
	if conflict == nil {
		conflict = fault.New(fault.Conflict, "OVN's rows change as fast as they are written.")
	}
	return total, conflict
}
