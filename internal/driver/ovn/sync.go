package ovn

import (
	"context"
	"strings"
	"time"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/driver/ovn/sbdb"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Sync waits until all chassis have carried out what was written before. A chassis that is dead never has: then it returns
// at the end of ctx, with a fault that names it. It is no proof that packets flow: a chassis whose Open vSwitch is down says
// that it has carried things out.
func (c *Client) Sync(ctx context.Context) error {
	s, err := c.nb.session()
	if err != nil {
		return err
	}
	global, err := s.global()
	if err != nil {
		return err
	}
	results, err := s.results(ctx, []Op{
		{Op: ovsdb.OperationMutate, Table: nbdb.NBGlobalTable, Where: only(global.UUID),
			Mutations: []ovsdb.Mutation{{Column: "nb_cfg", Mutator: ovsdb.MutateOperationAdd, Value: 1}}},
		{Op: ovsdb.OperationSelect, Table: nbdb.NBGlobalTable, Where: only(global.UUID), Columns: []string{"nb_cfg"}},
	})
	if err != nil {
		return err
	}
	if len(results[1].Rows) != 1 {
		return fault.New(fault.Unavailable, "OVN's northbound database has just been made anew.")
	}
	number, ok := results[1].Rows[0]["nb_cfg"].(float64)
	if !ok {
		return fault.New(fault.Internal, "OVN's nb_cfg is no number.")
	}
	target := int(number)
	look := time.NewTicker(lookEvery) // should an event be lost
	defer look.Stop()
	for {
		changed := c.globalChange()
		if global, err = s.global(); err != nil {
			return err
		}
		if global.HvCfg >= target {
			return nil
		}
		select {
		case <-changed:
		case <-look.C:
		case <-s.gone:
			return fault.New(fault.Unavailable, "OVN's northbound database was lost while its chassis carried out the change.")
		case <-ctx.Done():
			return fault.Wrap(ctx.Err(), fault.Unavailable, "OVN has not carried out the change yet%s.", c.behind(target))
		}
	}
}

// global is the row of OVN's own state.
func (s *session) global() (*nbdb.NBGlobal, error) {
	for _, row := range s.rows.Table(nbdb.NBGlobalTable).Rows() {
		return row.(*nbdb.NBGlobal), nil
	}
	return nil, fault.New(fault.Unavailable, "OVN's northbound database was never used: ovn-northd does not run.")
}

// behind names the chassis that have not reached a number of nb_cfg.
func (c *Client) behind(target int) string {
	chassis, err := c.Chassis()
	if err != nil {
		return ""
	}
	var late []string
	for _, ch := range chassis {
		if ch.Reached < target {
			late = append(late, ch.Name)
		}
	}
	if len(late) == 0 {
		return " (ovn-northd)"
	}
	return " (" + strings.Join(late, ", ") + ")"
}

// PortUp reports whether the port (the ID of its row) is up: a chassis has it, and its flows are there. The fault of a port
// that is not in OVN is NotFound.
func (c *Client) PortUp(id string) (bool, error) {
	s, err := c.nb.session()
	if err != nil {
		return false, err
	}
	port, ok := s.rows.Table(nbdb.LogicalSwitchPortTable).Row(Port(id).UUID()).(*nbdb.LogicalSwitchPort)
	if !ok {
		return false, fault.New(fault.NotFound, "The port %s is not in OVN.", id)
	}
	return isUp(port), nil
}

func isUp(port *nbdb.LogicalSwitchPort) bool { return port.Up != nil && *port.Up }

// Chassis is a host (a DPU, a gateway) that carries ports out.
type Chassis struct {
	Name     string // its system-id
	Hostname string
	Gateway  bool      // it says that routers' gateways may be on it (ovn-cms-options of ovn-controller(8))
	Reached  int       // the nb_cfg that it has carried out
	At       time.Time // when it said so; zero: never. Sync makes every living chassis say something.
}

// Chassis are all that there are, by name. A dead one stays until it is deleted: its Reached stands still.
func (c *Client) Chassis() ([]Chassis, error) {
	s, err := c.southbound()
	if err != nil {
		return nil, err
	}
	said := map[string]*sbdb.ChassisPrivate{}
	for _, row := range s.rows.Table(sbdb.ChassisPrivateTable).Rows() {
		private := row.(*sbdb.ChassisPrivate)
		said[private.Name] = private
	}
	byName := map[string]Chassis{}
	for _, row := range s.rows.Table(sbdb.ChassisTable).Rows() {
		chassis := row.(*sbdb.Chassis)
		ch := Chassis{Name: chassis.Name, Hostname: chassis.Hostname, Gateway: mayBeGateway(chassis)}
		if private := said[ch.Name]; private != nil {
			ch.Reached = private.NbCfg
			if private.NbCfgTimestamp > 0 {
				ch.At = time.UnixMilli(int64(private.NbCfgTimestamp))
			}
		}
		byName[ch.Name] = ch
	}
	list := make([]Chassis, 0, len(byName))
	for _, name := range sortedKeys(byName) {
		list = append(list, byName[name])
	}
	return list, nil
}

func mayBeGateway(chassis *sbdb.Chassis) bool {
	for option := range strings.SplitSeq(chassis.OtherConfig["ovn-cms-options"], ",") {
		if strings.TrimSpace(option) == "enable-chassis-as-gw" {
			return true
		}
	}
	return false
}

// Binding is where a port is.
type Binding struct {
	Chassis string // the name; empty: nowhere
	Up      bool
}

// Binding tells where a port is, by its name (not the ID of its row). The fault of a port that OVN does not have is NotFound.
func (c *Client) Binding(port string) (Binding, error) {
	s, err := c.southbound()
	if err != nil {
		return Binding{}, err
	}
	_, row, err := s.rows.Table(sbdb.PortBindingTable).RowByModel(&sbdb.PortBinding{LogicalPort: port})
	if err != nil {
		return Binding{}, fault.Wrap(err, fault.Internal, "OVN's bindings cannot be read.")
	}
	binding, ok := row.(*sbdb.PortBinding)
	if !ok {
		return Binding{}, fault.New(fault.NotFound, "OVN has no port %s.", port)
	}
	return Binding{Chassis: s.chassisName(binding.Chassis), Up: binding.Up != nil && *binding.Up}, nil
}

// Gateway names the chassis that a gateway port of a router (its name) is on now; empty: none.
func (c *Client) Gateway(routerPort string) (string, error) {
	binding, err := c.Binding(gatewayPrefix + routerPort)
	return binding.Chassis, err
}

// gatewayPrefix and the name of a gateway port make the name of the port that OVN binds to the gateway's chassis.
const (
	gatewayPrefix = "cr-"
	gatewayType   = "chassisredirect"
)

func (c *Client) southbound() (*session, error) {
	if c.sb == nil {
		return nil, fault.New(fault.Unsupported, "OVN's southbound database was not given, so nothing is known of chassis and bindings.")
	}
	return c.sb.session()
}

func (s *session) chassisName(uuid *string) string {
	if uuid == nil {
		return ""
	}
	chassis, ok := s.rows.Table(sbdb.ChassisTable).Row(*uuid).(*sbdb.Chassis)
	if !ok {
		return ""
	}
	return chassis.Name
}
