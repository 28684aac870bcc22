package ovn

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/fault"
)

// batchSize is about how many operations of ApplyAll share a transaction. Those of one scope always do.
const batchSize = 2000

// ApplyAll makes all our rows those wanted: it mends what was changed by hand, deletes what no scope wants, and fills a
// database that was lost. The rows of one scope change in one transaction; scopes where rows vanish have one of their own,
// the others share some. It returns how many operations it took.
//
// While it runs, changes that are newer than what it was given must not be applied: it would undo them. A caller that
// cannot stop them uses Differing, and applies each of those scopes with rows that it reads anew.
//
// The faults are those of Apply.
func (c *Client) ApplyAll(ctx context.Context, rows map[Scope][]Row) (int, error) {
	want, err := prepareAll(c.owner, rows)
	if err != nil {
		return 0, err
	}
	return c.settle(ctx, func(s *session, attempt int) (int, error) {
		units, err := s.units(c.owner, want)
		if err != nil {
			return 0, err
		}
		size := batchSize
		if attempt > 0 {
			// Something was refused, perhaps for a name that a row still has which goes later. Do what can be done.
			size = 0
		}
		return s.transactUnits(ctx, pack(order(units), size))
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
		scopes = append(scopes, u.scopes...)
	}
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

// unit is what has to be done in one transaction: for one scope, or for several that need each other or nothing special.
type unit struct {
	changes
	scopes []Scope
	last   bool           // nothing is wanted of it
	needs  map[Scope]bool // the scopes with rows that have to be there before
}

// units compares all our rows with those wanted, scope by scope. Scopes with nothing to do have none.
func (s *session) units(owner string, want map[Scope][]*wanted) ([]*unit, error) {
	h, about, coming := newHave(), map[string]bool{}, map[string]bool{}
	scopeOf := map[string]Scope{} // of the wanted rows
	mine := map[Scope][]string{}
	for scope, rows := range want {
		mine[scope] = nil
		for _, w := range rows {
			scopeOf[w.uuid] = scope
			about[w.uuid] = true
			s.loadTargets(h, w)
		}
	}
	for _, name := range tables {
		t := byName[name]
		for uuid, row := range s.rows.Table(name).RowsShallow() {
			marks := t.marks(row)
			_, isWanted := scopeOf[uuid]
			if !isWanted && marks[ownerKey] != owner {
				continue
			}
			h.rows[uuid], about[uuid] = row, true
			if !isWanted {
				scope := Scope(marks[scopeKey])
				mine[scope] = append(mine[scope], uuid)
				h.doomed[uuid] = true
			}
		}
	}
	for uuid := range scopeOf {
		coming[uuid] = h.rows[uuid] == nil
	}
	h.find(owner, about)

	var units []*unit
	for _, scope := range sortedKeys(mine) {
		slices.Sort(mine[scope])
		done, err := plan(h, owner, mine[scope], want[scope], coming)
		if err != nil {
			return nil, err
		}
		if len(done.ops) == 0 {
			continue
		}
		u := &unit{changes: *done, scopes: []Scope{scope}, last: len(want[scope]) == 0, needs: map[Scope]bool{}}
		for _, w := range want[scope] {
			for _, uuid := range w.uses() {
				if from := scopeOf[uuid]; coming[uuid] && from != scope {
					u.needs[from] = true
				}
			}
		}
		units = append(units, u)
	}
	return units, nil
}

// uses is the UUIDs of the rows that hold this one and that it refers to.
func (w *wanted) uses() []string {
	var uuids []string
	for _, ref := range w.in {
		uuids = append(uuids, ref.UUID())
	}
	for _, c := range w.table.columns {
		if c.target != "" {
			uuids = append(uuids, c.rowsIn(w.model)...)
		}
	}
	return uuids
}

// order puts the units in an order in which each finds what it needs; those that need each other become one. Removals come
// last, of rows in others before those of the others.
func order(units []*unit) []*unit {
	rank := func(u *unit) int {
		switch {
		case !u.last:
			return 0
		case !u.deletes:
			return 1
		default:
			return 2
		}
	}
	waiting := slices.SortedFunc(slices.Values(units), func(a, b *unit) int {
		return cmp.Or(rank(a)-rank(b), strings.Compare(string(a.scopes[0]), string(b.scopes[0])))
	})
	unplaced := map[Scope]bool{}
	for _, u := range units {
		unplaced[u.scopes[0]] = true
	}
	var placed []*unit
	for len(waiting) > 0 {
		var ready, rest []*unit
		for _, u := range waiting {
			if needsAny(u, unplaced) {
				rest = append(rest, u)
			} else {
				ready = append(ready, u)
			}
		}
		if len(ready) == 0 {
			return append(placed, merge(rest))
		}
		for _, u := range ready {
			delete(unplaced, u.scopes[0])
		}
		placed = append(placed, ready...)
		waiting = rest
	}
	return placed
}

func needsAny(u *unit, of map[Scope]bool) bool {
	for scope := range u.needs {
		if of[scope] {
			return true
		}
	}
	return false
}

// merge makes one unit of several. It needs what they need of others.
func merge(units []*unit) *unit {
	one := &unit{needs: map[Scope]bool{}}
	for _, u := range units {
		one.scopes = append(one.scopes, u.scopes...)
		one.ops = append(one.ops, u.ops...)
		one.removes = one.removes || u.removes
		one.deletes = one.deletes || u.deletes
		maps.Copy(one.needs, u.needs)
	}
	for _, scope := range one.scopes {
		delete(one.needs, scope)
	}
	return one
}

// pack merges neighbours that remove nothing up to about that many operations.
func pack(units []*unit, size int) []*unit {
	var packed []*unit
	for rest := units; len(rest) > 0; {
		n, ops := 1, len(rest[0].ops)
		for !rest[0].removes && n < len(rest) && !rest[n].removes && ops+len(rest[n].ops) <= size {
			ops += len(rest[n].ops)
			n++
		}
		packed = append(packed, merge(rest[:n]))
		rest = rest[n:]
	}
	return packed
}

// transactUnits carries out the units, and goes on after a conflict with those that need nothing of the unit that had it. It
// returns how many operations it carried out and the last conflict.
func (s *session) transactUnits(ctx context.Context, units []*unit) (int, error) {
	failed := map[Scope]bool{}
	var conflict error
	n := 0
	for _, u := range units {
		if !needsAny(u, failed) {
			err := s.transact(ctx, u.ops)
			if err == nil {
				n += len(u.ops)
				continue
			}
			if conflict = err; !fault.Is(err, fault.Conflict) {
				return n, err
			}
		}
		for _, scope := range u.scopes {
			failed[scope] = true
		}
	}
	return n, conflict
}
