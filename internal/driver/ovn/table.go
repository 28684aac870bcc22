package ovn

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
)

// table is what the schema says of a table that we write.
type table struct {
	name    string
	root    bool               // its rows exist by themselves; others vanish when no row holds them
	uuidAt  int                // the model's field of the UUID
	marksAt int                // and that of external_ids
	columns []*column          // those that a wanted row decides
	holds   map[string]*column // by table: columns with any number of that table's rows
}

type column struct {
	name   string
	field  int // of the model
	schema *ovsdb.ColumnSchema
	target string // the table whose rows it holds the UUIDs of; empty: none
	strong bool   // a row that it names cannot be deleted, and exists as long as something names it
}

// The columns of written tables that OVN fills in.
var ofOVN = map[string]bool{nbdb.LogicalSwitchPortTable + ".up": true}

// The tables that we write: all of the model but the one that holds OVN's own settings.
var (
	byName = describe()
	byType = func() map[reflect.Type]*table {
		types := map[reflect.Type]*table{}
		for name, modelType := range models().Types() {
			if t := byName[name]; t != nil {
				types[modelType] = t
			}
		}
		return types
	}()
	tables = slices.Sorted(maps.Keys(byName))
)

// tableOf is the table of a model; nil when we do not write it.
func tableOf(m model.Model) *table { return byType[reflect.TypeOf(m)] }

func models() model.ClientDBModel {
	m, err := nbdb.FullDatabaseModel()
	if err != nil {
		panic(err) // the generated models do not fit the library that generated them
	}
	return m
}

func describe() map[string]*table {
	schema := nbdb.Schema()
	found := map[string]*table{}
	for name, modelType := range models().Types() {
		if name == nbdb.NBGlobalTable {
			continue
		}
		t := &table{name: name, root: schema.Tables[name].IsRoot, marksAt: -1, holds: map[string]*column{}}
		for i := range modelType.Elem().NumField() {
			columnName := modelType.Elem().Field(i).Tag.Get("ovsdb")
			if columnName == "_uuid" {
				t.uuidAt = i
				continue
			}
			c := &column{name: columnName, field: i, schema: schema.Tables[name].Columns[columnName]}
			if object := c.schema.TypeObj; object != nil && object.Key.Type == ovsdb.TypeUUID {
				kind, _ := object.Key.RefType() // the errors are that it is no UUID
				c.strong = kind == ovsdb.Strong
				c.target, _ = object.Key.RefTable()
			}
			switch {
			case c.target != "" && c.schema.TypeObj.Max() != 1:
				t.holds[c.target] = c
			case ofOVN[name+"."+columnName]:
			default:
				t.columns = append(t.columns, c)
			}
			if columnName == "external_ids" {
				t.marksAt = i
			}
		}
		if t.marksAt < 0 {
			panic(fmt.Sprintf("ovn: rows of %s have no place for our marks", name))
		}
		found[name] = t
	}
	return found
}

func field(m model.Model, i int) reflect.Value { return reflect.ValueOf(m).Elem().Field(i) }

// marks is the row's external_ids.
func (t *table) marks(m model.Model) map[string]string {
	ids := field(m, t.marksAt)
	return ids.Interface().(map[string]string)
}

// normalize brings a row into the form that prepare promises, empties what is not the caller's to say, and makes a map
// for the marks.
func (t *table) normalize(m model.Model) {
	field(m, t.uuidAt).SetString("")
	for _, c := range t.holds {
		field(m, c.field).SetZero()
	}
	for _, c := range t.columns {
		if set, ok := c.of(m).([]string); ok {
			slices.Sort(set)
			field(m, c.field).Set(reflect.ValueOf(slices.Compact(set)))
		}
	}
	if t.marks(m) == nil {
		field(m, t.marksAt).Set(reflect.ValueOf(map[string]string{}))
	}
}

// of is the column's value in a row, in Go's types.
func (c *column) of(m model.Model) any { return field(m, c.field).Interface() }

// rowsIn is the UUIDs in a column that refers to rows.
func (c *column) rowsIn(m model.Model) []string {
	switch v := c.of(m).(type) {
	case []string:
		return v
	case *string:
		if v != nil {
			return []string{*v}
		}
	}
	return nil
}

// encode turns a value in Go's types into OVSDB's.
func (c *column) encode(value any) any {
	encoded, err := ovsdb.NativeToOvs(c.schema, value)
	if err != nil {
		panic(fmt.Sprintf("ovn: column %s: %v", c.name, err)) // the model has another type than the schema it was made of
	}
	return encoded
}

// insert is the operation that makes the row, with the rows that it holds from the start.
func (t *table) insert(uuid string, m model.Model, held map[*column][]string) Op {
	row := ovsdb.Row{}
	for _, c := range t.columns {
		if value := field(m, c.field); !value.IsZero() && (value.Kind() != reflect.Slice && value.Kind() != reflect.Map || value.Len() > 0) {
			row[c.name] = c.encode(value.Interface())
		}
	}
	for c, uuids := range held {
		row[c.name] = c.encode(uuids)
	}
	return Op{Op: ovsdb.OperationInsert, Table: t.name, UUID: uuid, Row: row}
}

// change is the operations that turn the row have into the row want; none when they are equal.
func (t *table) change(uuid string, have, want model.Model) []Op {
	row := ovsdb.Row{}
	var mutations []ovsdb.Mutation
	for _, c := range t.columns {
		switch want := c.of(want).(type) {
		case []string:
			mutations = append(mutations, c.changeSet(c.of(have).([]string), want)...)
		case map[string]string:
			mutations = append(mutations, changeMap(c, c.of(have).(map[string]string), want)...)
		case map[string]int:
			mutations = append(mutations, changeMap(c, c.of(have).(map[string]int), want)...)
		default:
			if !reflect.DeepEqual(c.of(have), want) {
				row[c.name] = c.encode(want)
			}
		}
	}
	var ops []Op
	if len(row) > 0 {
		ops = append(ops, Op{Op: ovsdb.OperationUpdate, Table: t.name, Where: only(uuid), Row: row})
	}
	if len(mutations) > 0 {
		ops = append(ops, Op{Op: ovsdb.OperationMutate, Table: t.name, Where: only(uuid), Mutations: mutations})
	}
	return ops
}

// changeSet says what comes and goes instead of the whole set: a set can be large, and its change is small.
func (c *column) changeSet(have, want []string) []ovsdb.Mutation {
	if len(have) == 0 && len(want) == 0 {
		return nil
	}
	there := make(map[string]bool, len(have))
	for _, v := range have {
		there[v] = true
	}
	var added, removed []string
	for _, v := range want {
		if !there[v] {
			added = append(added, v)
		}
		delete(there, v)
	}
	removed = slices.Sorted(maps.Keys(there))
	return c.mutations(removed, added)
}

func (c *column) mutations(removed, added []string) []ovsdb.Mutation {
	var m []ovsdb.Mutation
	if len(removed) > 0 {
		m = append(m, ovsdb.Mutation{Column: c.name, Mutator: ovsdb.MutateOperationDelete, Value: c.encode(removed)})
	}
	if len(added) > 0 {
		m = append(m, ovsdb.Mutation{Column: c.name, Mutator: ovsdb.MutateOperationInsert, Value: c.encode(added)})
	}
	return m
}

// changeMap does that for a map. An insertion does not replace a key's value, so a changed key is deleted first.
func changeMap[V comparable](c *column, have, want map[string]V) []ovsdb.Mutation {
	var gone []any
	added := map[string]V{}
	for key, value := range have {
		if w, ok := want[key]; !ok || w != value {
			gone = append(gone, key)
		}
	}
	for key, value := range want {
		if h, ok := have[key]; !ok || h != value {
			added[key] = value
		}
	}
	var m []ovsdb.Mutation
	if len(gone) > 0 {
		m = append(m, ovsdb.Mutation{Column: c.name, Mutator: ovsdb.MutateOperationDelete, Value: ovsdb.OvsSet{GoSet: gone}})
	}
	if len(added) > 0 {
		m = append(m, ovsdb.Mutation{Column: c.name, Mutator: ovsdb.MutateOperationInsert, Value: c.encode(added)})
	}
	return m
}

// only is the condition that selects one row.
func only(uuid string) []ovsdb.Condition {
	return []ovsdb.Condition{ovsdb.NewCondition("_uuid", ovsdb.ConditionEqual, ovsdb.UUID{GoUUID: uuid})}
}
