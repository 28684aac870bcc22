package ovn

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/ovn-kubernetes/libovsdb/model"

	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Scope names what rows belong to and change together, such as "network/5f0c…". It must not contain spaces.
type Scope string

// Row is one row wanted.
type Row struct {
	// ID tells the row from the others of its table, for ever. It must not contain spaces.
	ID string
	// Model is a pointer to a struct of package nbdb. A reference to one other row (a port's DHCP options, a NAT's
	// gateway port) is that row's Ref.UUID. The UUID, our marks in ExternalIDs, and the columns that hold any number of
	// other rows (a switch's ports, a group's ACLs) are filled in by the driver. It is not changed.
	Model model.Model
	// In are the rows that hold this one: the switch of a port and its groups, the group of an ACL, the routers of a load
	// balancer. They may belong to other scopes, whose own Apply leaves this row where it is.
	In []Ref
}

// Ref names a row of ours.
type Ref struct{ Table, ID string }

// Switch names a row of Logical_Switch.
func Switch(id string) Ref { return Ref{nbdb.LogicalSwitchTable, id} }

// Port names a row of Logical_Switch_Port.
func Port(id string) Ref { return Ref{nbdb.LogicalSwitchPortTable, id} }

// Group names a row of Port_Group.
func Group(id string) Ref { return Ref{nbdb.PortGroupTable, id} }

// AddressSet names a row of Address_Set.
func AddressSet(id string) Ref { return Ref{nbdb.AddressSetTable, id} }

// DHCPOptions names a row of DHCP_Options.
func DHCPOptions(id string) Ref { return Ref{nbdb.DHCPOptionsTable, id} }

// Router names a row of Logical_Router.
func Router(id string) Ref { return Ref{nbdb.LogicalRouterTable, id} }

// RouterPort names a row of Logical_Router_Port.
func RouterPort(id string) Ref { return Ref{nbdb.LogicalRouterPortTable, id} }

// LoadBalancer names a row of Load_Balancer.
func LoadBalancer(id string) Ref { return Ref{nbdb.LoadBalancerTable, id} }

// ChassisGroup names a row of HA_Chassis_Group.
func ChassisGroup(id string) Ref { return Ref{nbdb.HAChassisGroupTable, id} }

// Meter names a row of Meter.
func Meter(id string) Ref { return Ref{nbdb.MeterTable, id} }

// BFD names a row of BFD.
func BFD(id string) Ref { return Ref{nbdb.BFDTable, id} }

// idSpace is the name space of our rows' UUIDs (RFC 9562, version 5). Changing it would make all rows new ones.
var idSpace = uuid.MustParse("6f1f1f43-9a3b-4a0e-8f3b-0b1f5f6c3a51")

// UUID is the UUID of the row, whether it exists or not.
func (r Ref) UUID() string { return uuid.NewSHA1(idSpace, []byte(r.String())).String() }

func (r Ref) String() string { return r.Table + "/" + r.ID }

// The keys of our marks in external_ids.
const (
	ownerKey = "ingot:owner" // which cloud's row it is
	scopeKey = "ingot:scope"
	idKey    = "ingot:id"
	inKey    = "ingot:in" // the Refs of the rows that we put it into, with spaces between
)

// wanted is a Row made ready to be compared: with UUID and marks, sets in order and without doubles.
type wanted struct {
	uuid  string
	table *table
	model model.Model
	in    []Ref
}

// prepare checks rows of one scope. Everything wrong with them is a mistake of ours, not of a user.
func prepare(owner string, scope Scope, rows []Row) ([]*wanted, error) {
	if err := checkName(string(scope)); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "The scope %q cannot be used.", scope)
	}
	prepared := make([]*wanted, len(rows))
	seen := make(map[string]bool, len(rows))
	for i, row := range rows {
		w, err := row.prepare(owner, scope)
		if err == nil && seen[w.uuid] {
			err = fmt.Errorf("it is there twice")
		}
		if err != nil {
			return nil, fault.Wrap(err, fault.Internal, "The row %q of %s (%T) cannot be used.", row.ID, scope, row.Model)
		}
		seen[w.uuid] = true
		prepared[i] = w
	}
	return prepared, nil
}

func (r Row) prepare(owner string, scope Scope) (*wanted, error) {
	t := tableOf(r.Model)
	if t == nil || reflect.ValueOf(r.Model).IsNil() {
		return nil, fmt.Errorf("it is no row of a table that we write")
	}
	if err := checkName(r.ID); err != nil {
		return nil, err
	}
	in := slices.Clone(r.In)
	slices.SortFunc(in, func(a, b Ref) int { return strings.Compare(a.String(), b.String()) })
	in = slices.Compact(in)
	names := make([]string, len(in))
	for i, holder := range in {
		if byName[holder.Table] == nil || byName[holder.Table].holds[t.name] == nil {
			return nil, fmt.Errorf("rows of %s hold none of %s", holder.Table, t.name)
		}
		if err := checkName(holder.ID); err != nil {
			return nil, err
		}
		names[i] = holder.String()
	}
	if !t.root && !slices.ContainsFunc(in, func(r Ref) bool { return byName[r.Table].holds[t.name].strong }) {
		return nil, fmt.Errorf("it is in no row that keeps it: the database would drop it")
	}

	w := &wanted{uuid: Ref{t.name, r.ID}.UUID(), table: t, model: model.Clone(r.Model), in: in}
	t.normalize(w.model)
	marks := t.marks(w.model)
	marks[ownerKey], marks[scopeKey], marks[idKey] = owner, string(scope), r.ID
	if len(names) > 0 {
		marks[inKey] = strings.Join(names, " ")
	}
	return w, nil
}

func checkName(name string) error {
	if name == "" || strings.ContainsAny(name, " \t\r\n\x00") {
		return fmt.Errorf("%q is no name: it is empty or has spaces", name)
	}
	return nil
}

// parseRefs reads the mark inKey. What it cannot read, somebody else wrote: it is left out.
func parseRefs(mark string) []Ref {
	var refs []Ref
	for name := range strings.FieldsSeq(mark) {
		if table, id, ok := strings.Cut(name, "/"); ok && byName[table] != nil {
			refs = append(refs, Ref{table, id})
		}
	}
	return refs
}
