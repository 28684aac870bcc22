package ovn

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Op is one operation of a transaction (RFC 7047, section 5.2).
type Op = ovsdb.Operation

// have is what the database has of the rows that a plan is about. It is only read.
type have struct {
	rows    map[string]model.Model // by UUID: those wanted, those that the plan answers for, and those that hold them or should
	targets map[string]bool        // UUIDs of rows, anybody's, that the wanted ones refer to
	doomed  map[string]bool        // UUIDs of our rows that nobody wants
	holders map[string][]string    // by UUID of the first two: the rows that hold them, of ours
}

func newHave() *have {
	return &have{map[string]model.Model{}, map[string]bool{}, map[string]bool{}, map[string][]string{}}
}

// find fills in who holds the rows about which the plan is.
func (h *have) find(owner string, about map[string]bool) {
	for uuid, row := range h.rows {
		t := tableOf(row)
		if t.foreign(row, owner) {
			continue
		}
		for _, c := range t.holds {
			for _, held := range c.rowsIn(row) {
				if about[held] {
					h.holders[held] = append(h.holders[held], uuid)
				}
			}
		}
	}
}

// foreign reports whether the row has another owner's mark. A row with a UUID of ours whose mark was wiped is ours.
func (t *table) foreign(row model.Model, owner string) bool {
	mark := t.marks(row)[ownerKey]
	return mark != "" && mark != owner
}

// changes is what a plan comes to. Its operations go into one transaction.
type changes struct {
	ops     []Op
	removes bool // rows vanish
	deletes bool // and some of them are of a root table, so that they may take rows of other scopes with them
}

// plan computes what makes the rows that are there into those that are wanted. Of the doomed rows it removes mine. The rows
// in coming count as there: an earlier transaction will have made them. It is a pure function, and gives no operations when
// there is nothing to do.
func plan(h *have, owner string, mine []string, want []*wanted, coming map[string]bool) (*changes, error) {
	p := &planning{have: h, want: map[string]*wanted{}, coming: coming,
		held: map[string]map[*column][]string{}, moves: map[place]*move{}}
	for _, w := range want {
		p.want[w.uuid] = w
	}
	for _, w := range want {
		for _, ref := range append([]Ref{w.ref()}, w.in...) {
			if row, there := h.rows[ref.UUID()]; there && tableOf(row).foreign(row, owner) {
				return nil, fault.New(fault.Conflict, "The row %s of OVN is another owner's.", ref)
			}
		}
		if err := p.place(w); err != nil {
			return nil, err
		}
	}
	done := &changes{removes: slices.ContainsFunc(mine, func(uuid string) bool { return h.doomed[uuid] })}
	for _, w := range want {
		if row, there := h.rows[w.uuid]; there {
			done.ops = append(done.ops, w.table.change(w.uuid, row, w.model)...)
		} else {
			done.ops = append(done.ops, w.table.insert(w.uuid, w.model, p.held[w.uuid]))
		}
	}
	deletions := p.remove(mine)
	done.deletes = len(deletions) > 0
	done.ops = slices.Concat(done.ops, p.moveOps(), deletions)
	return done, nil
}

func (w *wanted) ref() Ref { return Ref{w.table.name, w.table.marks(w.model)[idKey]} }

type planning struct {
	*have
	want   map[string]*wanted
	coming map[string]bool
	held   map[string]map[*column][]string // what new rows hold from the start
	moves  map[place]*move                 // what is put into rows that exist, and taken out of them
}

// place is the column of a row that holds others.
type place struct {
	holder string // UUID
	table  *table
	column *column
}

type move struct{ out, in []string }

func (p *planning) move(holder string, t, held *table) *move {
	at := place{holder, t, t.holds[held.name]}
	if p.moves[at] == nil {
		p.moves[at] = &move{}
	}
	return p.moves[at]
}

// place puts a wanted row into the rows that shall hold it, out of the others, and checks what it refers to: the database
// would drop a reference to a row that is not there, without an error where the reference is a weak one.
func (p *planning) place(w *wanted) error {
	for _, c := range w.table.columns {
		if c.target == "" {
			continue
		}
		for _, target := range c.rowsIn(w.model) {
			if !p.exists(target) {
				return fault.New(fault.Conflict, "The row %s of OVN refers in %s to a row that is not there (%s).", w.ref(), c.name, target)
			}
		}
	}
	shall := map[string]bool{}
	for _, ref := range w.in {
		holder := ref.UUID()
		shall[holder] = true
		_, there := p.rows[holder]
		switch {
		case !there && p.want[holder] != nil:
			if p.held[holder] == nil {
				p.held[holder] = map[*column][]string{}
			}
			c := byName[ref.Table].holds[w.table.name]
			p.held[holder][c] = append(p.held[holder][c], w.uuid)
		case !p.exists(holder):
			return fault.New(fault.Conflict, "The row %s of OVN belongs into %s, which is not there.", w.ref(), ref)
		case !slices.Contains(p.holders[w.uuid], holder):
			m := p.move(holder, byName[ref.Table], w.table)
			m.in = append(m.in, w.uuid)
		}
	}
	for _, holder := range p.holders[w.uuid] {
		if !shall[holder] {
			p.takeOut(w.uuid, w.table, holder)
		}
	}
	return nil
}

func (p *planning) exists(uuid string) bool {
	return !p.doomed[uuid] && (p.rows[uuid] != nil || p.targets[uuid] || p.want[uuid] != nil || p.coming[uuid])
}

func (p *planning) takeOut(uuid string, t *table, holder string) {
	m := p.move(holder, tableOf(p.rows[holder]), t)
	m.out = append(m.out, uuid)
}

// remove takes the rows out of all that hold them and deletes them. Only a row of a root table can be deleted; the others
// vanish when the last row that holds them lets go of them or is deleted itself.
//
// The database would take a row that vanishes out of the sets that refer to it weakly, but ovsdb-server (seen in 3.1.0 and
// 3.5.0) forgets to where the same transaction also changes the row with the set, and aborts later. So a transaction takes
// the rows out itself, of all sets that it may change.
func (p *planning) remove(mine []string) []Op {
	gone := map[string]bool{}
	var ops []Op
	for _, uuid := range mine {
		if t := tableOf(p.rows[uuid]); p.doomed[uuid] && t.root {
			gone[uuid] = true
			ops = append(ops, Op{Op: ovsdb.OperationDelete, Table: t.name, Where: only(uuid)})
		}
	}
	for _, uuid := range mine {
		for _, holder := range p.holders[uuid] {
			if p.doomed[uuid] && !gone[holder] {
				p.takeOut(uuid, tableOf(p.rows[uuid]), holder)
			}
		}
	}
	return ops
}

func (p *planning) moveOps() []Op {
	places := slices.SortedFunc(maps.Keys(p.moves), func(a, b place) int {
		return cmp.Or(strings.Compare(a.holder, b.holder), strings.Compare(a.column.name, b.column.name))
	})
	ops := make([]Op, len(places))
	for i, at := range places {
		m := p.moves[at]
		ops[i] = Op{Op: ovsdb.OperationMutate, Table: at.table.name, Where: only(at.holder), Mutations: at.column.mutations(m.out, m.in)}
	}
	return ops
}
