package ovn

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/ingotcloud/ingot/internal/fault"
)

// haveOf collects what a plan for one scope needs, and the UUIDs of the rows that it answers for. It looks rows up by UUID
// and by scope only.
func (s *session) haveOf(owner string, scope Scope, want []*wanted) (*have, []string, error) {
	h, about := newHave(), map[string]bool{}
	load := func(table, uuid string) {
		if h.rows[uuid] == nil {
			if row := s.rows.Table(table).Row(uuid); row != nil {
				h.rows[uuid] = row
			}
		}
	}
	for _, name := range tables {
		found, err := s.rows.Table(name).RowsByCondition(inScope(scope))
		if err != nil {
			return nil, nil, fault.Wrap(err, fault.Internal, "The rows of %s in OVN's table %s cannot be found.", scope, name)
		}
		for uuid, row := range found {
			if byName[name].marks(row)[ownerKey] == owner {
				h.rows[uuid], about[uuid] = row, true
			}
		}
	}
	mine := sortedKeys(about)
	for _, uuid := range mine {
		h.doomed[uuid] = true
	}
	for _, w := range want {
		about[w.uuid] = true
		delete(h.doomed, w.uuid)
		load(w.table.name, w.uuid)
		for _, ref := range w.in {
			load(ref.Table, ref.UUID())
		}
		s.loadTargets(h, w)
	}
	for _, uuid := range sortedKeys(about) {
		if row := h.rows[uuid]; row != nil {
			for _, ref := range parseRefs(tableOf(row).marks(row)[inKey]) {
				load(ref.Table, ref.UUID())
			}
		}
	}
	h.find(owner, about)
	return h, mine, nil
}

// loadTargets notes which of the rows exist that a wanted row refers to. They may be of other people.
func (s *session) loadTargets(h *have, w *wanted) {
	for _, c := range w.table.columns {
		if c.target == "" || byName[c.target] == nil {
			continue
		}
		for _, uuid := range c.rowsIn(w.model) {
			if s.rows.Table(c.target).HasRow(uuid) {
				h.targets[uuid] = true
			}
		}
	}
}

// inScope is the condition that the index of scopeIndexes answers.
func inScope(scope Scope) []ovsdb.Condition {
	mark := ovsdb.OvsMap{GoMap: map[any]any{scopeKey: string(scope)}}
	return []ovsdb.Condition{ovsdb.NewCondition("external_ids", ovsdb.ConditionIncludes, mark)}
}

// unit is what has to be done for one scope, in one transaction.
type unit struct {
	scope Scope
	ops   []Op
	last  int            // 1: it only removes rows; 2: and deletes rows that others may be in
	needs map[Scope]bool // the scopes with rows that have to be there before
}

// units compares all our rows with those wanted. Scopes with nothing to do have none.
func (s *session) units(owner string, want map[Scope][]*wanted) ([]*unit, error) {
	h, about, coming := newHave(), map[string]bool{}, map[string]bool{}
	scopeOf := map[string]Scope{} // of the wanted rows
	for scope, rows := range want {
		for _, w := range rows {
			scopeOf[w.uuid] = scope
			about[w.uuid] = true
			s.loadTargets(h, w)
		}
	}
	mine := map[Scope][]string{}
	for scope := range want {
		mine[scope] = nil
	}
	for _, name := range tables {
		t := byName[name]
		for uuid, row := range s.rows.Table(name).RowsShallow() {
			marks := t.marks(row)
			_, wantedSomewhere := scopeOf[uuid]
			if marks[ownerKey] != owner && !wantedSomewhere {
				continue
			}
			h.rows[uuid], about[uuid] = row, true
			if !wantedSomewhere {
				scope := Scope(marks[scopeKey])
				mine[scope] = append(mine[scope], uuid)
				h.doomed[uuid] = true
			}
		}
	}
	for uuid := range scopeOf {
		if h.rows[uuid] == nil {
			coming[uuid] = true
		}
	}
	h.find(owner, about)

	var units []*unit
	for _, scope := range sortedKeys(mine) {
		slices.Sort(mine[scope])
		ops, err := plan(h, owner, mine[scope], want[scope], coming)
		if err != nil {
			return nil, err
		}
		if len(ops) == 0 {
			continue
		}
		u := &unit{scope: scope, ops: ops, needs: map[Scope]bool{}}
		if len(want[scope]) == 0 {
			u.last = 1
			if slices.ContainsFunc(ops, func(o Op) bool { return o.Op == ovsdb.OperationDelete }) {
				u.last = 2
			}
		}
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

// batches puts the units in an order in which each finds what it needs, deletions last, and packs them into transactions of
// about that many operations; 0: into one. Units that need each other share one, which is then larger.
func batches(units []*unit, size int) [][]Op {
	rest := map[Scope]bool{}
	for _, u := range units {
		rest[u.scope] = true
	}
	slices.SortFunc(units, func(a, b *unit) int {
		return cmp.Or(a.last-b.last, strings.Compare(string(a.scope), string(b.scope)))
	})
	var packed [][]Op
	add := func(ops []Op, apart bool) {
		if n := len(packed) - 1; n >= 0 && (size == 0 || !apart && len(packed[n])+len(ops) <= size) {
			packed[n] = append(packed[n], ops...)
			return
		}
		packed = append(packed, slices.Clone(ops))
	}
	for len(units) > 0 {
		var ready, waiting []*unit
		for _, u := range units {
			if needsAny(u, rest) {
				waiting = append(waiting, u)
			} else {
				ready = append(ready, u)
			}
		}
		if len(ready) == 0 {
			var together []Op
			for _, u := range waiting {
				together = append(together, u.ops...)
			}
			add(together, true)
			break
		}
		for _, u := range ready {
			add(u.ops, false)
			delete(rest, u.scope)
		}
		units = waiting
	}
	return packed
}

func needsAny(u *unit, of map[Scope]bool) bool {
	for scope := range u.needs {
		if of[scope] {
			return true
		}
	}
	return false
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
