package ovn

import (
	"cmp"
	"slices"

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

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
