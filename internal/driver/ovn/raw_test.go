package ovn_test

import (
	"encoding/json"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/driver/ovn/ovntest"
)

// raw speaks to the database without the driver or its library: it is the operator's hand, and the judge's eye.
type raw struct {
	t   testing.TB
	enc *json.Encoder
	dec *json.Decoder
}

func dial(t testing.TB, db *ovntest.Database) *raw {
	t.Helper()
	c, err := net.Dial("unix", strings.TrimPrefix(db.Endpoint(), "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &raw{t, json.NewEncoder(c), json.NewDecoder(c)}
}

type op map[string]any

type result struct {
	Rows           []map[string]any
	Error, Details string
	UUID           []string
}

// transact carries out the operations. The error is the database's.
func (r *raw) transact(ops ...op) ([]result, error) {
	params := []any{"OVN_Northbound"}
	for _, o := range ops {
		params = append(params, o)
	}
	if err := r.enc.Encode(map[string]any{"method": "transact", "params": params, "id": 1}); err != nil {
		r.t.Fatal(err)
	}
	var answer struct {
		Method string
		Result []result
		Error  any
	}
	if err := r.dec.Decode(&answer); err != nil {
		r.t.Fatal(err)
	}
	if answer.Error != nil || answer.Method != "" {
		r.t.Fatalf("transact: %+v", answer)
	}
	for _, result := range answer.Result {
		if result.Error != "" {
			return answer.Result, fmt.Errorf("%s: %s", result.Error, result.Details)
		}
	}
	return answer.Result, nil
}

// row is one row as a test compares it: columns that are empty left out, references by the names of rows, sets in order.
type row map[string]any

// dump reads all rows of the tables that the driver writes: ours by Ref, the others by UUID.
func (r *raw) dump() (ours, others map[string]row, uuids map[string]string) {
	r.t.Helper()
	schema := nbdb.Schema()
	var names []string
	var selects []op
	for name, table := range schema.Tables {
		columns := []string{"_uuid"}
		for column := range table.Columns {
			columns = append(columns, column)
		}
		names = append(names, name)
		selects = append(selects, op{"op": "select", "table": name, "where": []any{}, "columns": columns})
	}
	results, err := r.transact(selects...)
	if err != nil {
		r.t.Fatal(err)
	}
	ours, others, uuids = map[string]row{}, map[string]row{}, map[string]string{}
	name := map[string]string{} // by UUID
	for i, result := range results {
		for _, cells := range result.Rows {
			uuid := canonical(cells["_uuid"], nil).(string)
			name[uuid] = uuid
			if marks, _ := canonical(cells["external_ids"], nil).(map[string]any); marks["ingot:owner"] == "ingot" {
				name[uuid] = fmt.Sprint(names[i], "/", marks["ingot:id"])
			}
			if _, twice := uuids[name[uuid]]; twice {
				r.t.Errorf("two rows are %s", name[uuid])
			}
			uuids[name[uuid]] = uuid
		}
	}
	for i, result := range results {
		if names[i] == nbdb.NBGlobalTable {
			continue
		}
		for _, cells := range result.Rows {
			uuid := canonical(cells["_uuid"], nil).(string)
			clean := row{}
			for column, cell := range cells {
				if value := canonical(cell, name); column != "_uuid" && value != nil {
					clean[column] = value
				}
			}
			if name[uuid] == uuid {
				others[uuid] = clean
			} else {
				ours[name[uuid]] = clean
			}
		}
	}
	return ours, others, uuids
}

// canonical turns a value of OVSDB's JSON into one that can be compared; nil: empty.
func canonical(cell any, name map[string]string) any {
	switch v := cell.(type) {
	case []any:
		switch v[0] {
		case "uuid":
			if name != nil && name[v[1].(string)] != "" {
				return name[v[1].(string)]
			}
			return v[1]
		case "set":
			var set []string
			for _, element := range v[1].([]any) {
				set = append(set, fmt.Sprint(canonical(element, name)))
			}
			return oneOrSet(set)
		case "map":
			m := map[string]any{}
			for _, pair := range v[1].([]any) {
				m[fmt.Sprint(pair.([]any)[0])] = fmt.Sprint(pair.([]any)[1])
			}
			if len(m) == 0 {
				return nil
			}
			return m
		}
	case string:
		if v == "" {
			return nil
		}
	case float64:
		if v == 0 {
			return nil
		}
		return fmt.Sprint(v)
	case bool:
		return fmt.Sprint(v)
	}
	return cell
}

// oneOrSet is a set's form: OVSDB writes a set of one element as that element.
func oneOrSet(set []string) any {
	slices.Sort(set)
	set = slices.Compact(set)
	switch len(set) {
	case 0:
		return nil
	case 1:
		return set[0]
	}
	return strings.Join(set, " | ")
}

// expected is what dump shall find of wanted rows, computed from them in another way than the driver's.
func expected(want map[ovn.Scope][]ovn.Row) map[string]row {
	rows, members, name := map[string]row{}, map[string][]string{}, map[string]string{}
	nameOf := map[reflect.Type]string{}
	models, _ := nbdb.FullDatabaseModel()
	for table, modelType := range models.Types() {
		nameOf[modelType] = table
	}
	for _, list := range want {
		for _, r := range list {
			ref := ovn.Ref{Table: nameOf[reflect.TypeOf(r.Model)], ID: r.ID}
			name[ref.UUID()] = ref.String()
		}
	}
	sets := map[string]string{"Logical_Switch_Port": "ports", "Logical_Router_Port": "ports", "ACL": "acls", "QoS": "qos_rules",
		"DNS": "dns_records", "Load_Balancer": "load_balancer", "NAT": "nat", "Logical_Router_Static_Route": "static_routes",
		"Logical_Router_Policy": "policies", "Load_Balancer_Health_Check": "health_check", "Meter_Band": "bands",
		"HA_Chassis": "ha_chassis", "Gateway_Chassis": "gateway_chassis"}
	for scope, list := range want {
		for _, r := range list {
			table := nameOf[reflect.TypeOf(r.Model)]
			clean := row{}
			v := reflect.ValueOf(r.Model).Elem()
			for i := range v.NumField() {
				if value := plain(v.Field(i), name); value != nil {
					clean[v.Type().Field(i).Tag.Get("ovsdb")] = value
				}
			}
			marks, _ := clean["external_ids"].(map[string]any)
			if marks == nil {
				marks = map[string]any{}
			}
			marks["ingot:owner"], marks["ingot:scope"], marks["ingot:id"] = "ingot", string(scope), r.ID
			var in []string
			for _, holder := range r.In {
				in = append(in, holder.String())
				key := holder.String() + " " + sets[table]
				members[key] = append(members[key], table+"/"+r.ID)
			}
			slices.Sort(in)
			if in = slices.Compact(in); len(in) > 0 {
				marks["ingot:in"] = strings.Join(in, " ")
			}
			clean["external_ids"] = marks
			rows[table+"/"+r.ID] = clean
		}
	}
	for key, list := range members {
		holder, column, _ := strings.Cut(key, " ")
		rows[holder][column] = oneOrSet(list)
	}
	return rows
}

// plain gives a field of a model the form that canonical gives to what OVSDB has.
func plain(v reflect.Value, name map[string]string) any {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		if s, ok := v.Elem().Interface().(string); ok {
			if name[s] != "" {
				return name[s]
			}
			return s
		}
		return fmt.Sprint(v.Elem().Interface())
	case reflect.Slice:
		return oneOrSet(slices.Clone(v.Interface().([]string)))
	case reflect.Map:
		if v.Len() == 0 {
			return nil
		}
		m := map[string]any{}
		for _, key := range v.MapKeys() {
			m[fmt.Sprint(key.Interface())] = fmt.Sprint(v.MapIndex(key).Interface())
		}
		return m
	case reflect.String:
		if v.Len() == 0 {
			return nil
		}
		return v.String()
	case reflect.Int:
		if v.Int() == 0 {
			return nil
		}
		return fmt.Sprint(v.Int())
	default:
		return fmt.Sprint(v.Interface())
	}
}
