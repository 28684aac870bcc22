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
		all, err := s.compare(c.owner, want)
		if err != nil {
			return 0, err
		}
		size := batchSize
		if attempt > 0 {
			// Something was refused, perhaps for a name that a row still has which goes later. Do what can be done.
			size = 0
		}
		return s.transactUnits(ctx, c.owner, all, pack(order(all.units), size))
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
	all, err := s.compare(c.owner, want)
	if err != nil {
		return nil, err
	}
	var scopes []Scope
	for _, u := range all.units {
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

// comparison is all our rows beside those wanted.
type comparison struct {
	have   *have
	mine   map[Scope][]string // UUIDs of the doomed rows
	want   map[Scope][]*wanted
	coming map[string]bool // UUIDs of the wanted rows that are not there
	units  []*unit         // what differs
}

// unit is what has to be done in one transaction: for one scope, or for several that need each other or nothing special.
type unit struct {
	scopes  []Scope
	size    int            // operations
	removes bool           // as in changes
	deletes bool           // as in changes
	last    bool           // nothing is wanted of it
	needs   map[Scope]bool // the scopes with rows that have to be there before
}

// compare compares all our rows with those wanted, scope by scope. Scopes with nothing to do have no unit.
func (s *session) compare(owner string, want map[Scope][]*wanted) (*comparison, error) {
	all := &comparison{newHave(), map[Scope][]string{}, want, map[string]bool{}, nil}
	about := map[string]bool{}
	scopeOf := map[string]Scope{} // of the wanted rows
	for scope, rows := range want {
		all.mine[scope] = nil
		for _, w := range rows {
			scopeOf[w.uuid] = scope
			about[w.uuid] = true
			s.loadTargets(all.have, w)
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
			all.have.rows[uuid], about[uuid] = row, true
			if !isWanted {
				scope := Scope(marks[scopeKey])
				all.mine[scope] = append(all.mine[scope], uuid)
				all.have.doomed[uuid] = true
			}
		}
	}
	for uuid := range scopeOf {
		all.coming[uuid] = all.have.rows[uuid] == nil
	}
	all.have.find(owner, about)

	for _, scope := range sortedKeys(all.mine) {
		slices.Sort(all.mine[scope])
		done, err := all.plan(owner, scope)
		if err != nil {
			return nil, err
		}
		if len(done.ops) == 0 {
			continue
		}
		u := &unit{[]Scope{scope}, len(done.ops), done.removes, done.deletes, len(want[scope]) == 0, map[Scope]bool{}}
		for _, w := range want[scope] {
			for _, uuid := range w.uses() {
				if from := scopeOf[uuid]; all.coming[uuid] && from != scope {
					u.needs[from] = true
				}
			}
		}
		all.units = append(all.units, u)
	}
	return all, nil
}

// plan plans for several scopes at once.
func (all *comparison) plan(owner string, scopes ...Scope) (*changes, error) {
	var mine []string
	var want []*wanted
	for _, scope := range scopes {
		mine = append(mine, all.mine[scope]...)
		want = append(want, all.want[scope]...)
	}
	return plan(all.have, owner, mine, want, all.coming)
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

// order puts the units in an order in which each finds what it needs, and has that near. Removals come last, of rows in
// others before those of the others. Where units need each other in a circle, all that are wanted become one.
func order(units []*unit) []*unit {
	of := map[Scope]*unit{}
	needed := map[Scope]bool{}
	for _, u := range units {
		of[u.scopes[0]] = u
		maps.Copy(needed, u.needs)
	}
	rank := func(u *unit) int {
		switch {
		case !u.last && !needed[u.scopes[0]]: // these bring what they need
			return 0
		case !u.last:
			return 1
		case !u.deletes:
			return 2
		default:
			return 3
		}
	}
	sorted := slices.SortedFunc(slices.Values(units), func(a, b *unit) int {
		return cmp.Or(rank(a)-rank(b), strings.Compare(string(a.scopes[0]), string(b.scopes[0])))
	})
	const visiting, placed = 1, 2
	state := map[*unit]int{}
	circle := false
	var list []*unit
	var place func(u *unit)
	place = func(u *unit) {
		circle = circle || state[u] == visiting
		if state[u] != 0 {
			return
		}
		state[u] = visiting
		for _, scope := range sortedKeys(u.needs) {
			place(of[scope])
		}
		state[u] = placed
		list = append(list, u)
	}
	for _, u := range sorted {
		place(u)
	}
	if circle {
		n := slices.IndexFunc(list, func(u *unit) bool { return u.last })
		if n < 0 {
			n = len(list)
		}
		list = append([]*unit{merge(list[:n])}, list[n:]...)
	}
	return list
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
		one.size += u.size
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
		n, ops := 1, rest[0].size
		for !rest[0].removes && n < len(rest) && !rest[n].removes && ops+rest[n].size <= size {
			ops += rest[n].size
			n++
		}
		packed = append(packed, merge(rest[:n]))
		rest = rest[n:]
	}
	return packed
}

// transactUnits carries out the units, and goes on after a conflict with those that need nothing of the unit that had it. It
// returns how many operations it carried out and the last conflict.
func (s *session) transactUnits(ctx context.Context, owner string, all *comparison, units []*unit) (int, error) {
	failed := map[Scope]bool{}
	var conflict error
	n := 0
	for _, u := range units {
		if !needsAny(u, failed) {
			done, err := all.plan(owner, u.scopes...)
			if err == nil {
				err = s.transact(ctx, done.ops)
			}
			if err == nil {
				n += len(done.ops)
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
