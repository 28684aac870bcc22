package chassis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
)

// The rows of Open vSwitch's database that matter here (ovs-vswitchd.conf.db(5)).
type (
	vswitchRow struct {
		UUID        string            `ovsdb:"_uuid"`
		ExternalIDs map[string]string `ovsdb:"external_ids"`
		Next        int               `ovsdb:"next_cfg"` // raised by who wants to know when vswitchd has done it
		Done        int               `ovsdb:"cur_cfg"`  // what vswitchd has done
	}
	bridgeRow struct {
		UUID  string   `ovsdb:"_uuid"`
		Name  string   `ovsdb:"name"`
		Ports []string `ovsdb:"ports"`
	}
	portRow struct {
		UUID       string   `ovsdb:"_uuid"`
		Name       string   `ovsdb:"name"`
		Interfaces []string `ovsdb:"interfaces"`
	}
	interfaceRow struct {
		UUID        string            `ovsdb:"_uuid"`
		Name        string            `ovsdb:"name"`
		ExternalIDs map[string]string `ovsdb:"external_ids"`
	}
)

// vswitchColumns are theirs. Without names the library would ask for all columns, and fail at those that it does not know.
var vswitchColumns = []client.TableMonitor{
	{Table: "Open_vSwitch", Fields: []string{"external_ids", "next_cfg", "cur_cfg"}},
	{Table: "Bridge", Fields: []string{"name", "ports"}},
	{Table: "Port", Fields: []string{"name", "interfaces"}},
	{Table: "Interface", Fields: []string{"name", "external_ids"}},
}

var vswitchModel = map[string]model.Model{"Open_vSwitch": &vswitchRow{}, "Bridge": &bridgeRow{}, "Port": &portRow{}, "Interface": &interfaceRow{}}

// Keys of external_ids. By ours, outposts' interfaces are known to be a runner's.
const (
	ifaceIDKey = "iface-id"
	ownerKey   = "ingot-chassis"
)

// vswitchTime is how long the local database may take for anything.
const vswitchTime = 20 * time.Second

// withVswitch connects to the local database and reads what matters of it. Each use has a connection of its own: they are
// few, and one that was just made knows the truth.
func (r *runner) withVswitch(ctx context.Context, use func(context.Context, client.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, vswitchTime)
	defer cancel()
	models, err := model.NewClientDBModel("Open_vSwitch", vswitchModel)
	if err != nil {
		return err
	}
	quiet := logr.Discard()
	c, err := client.NewOVSDBClient(models, client.WithEndpoint(r.OVS), client.WithLogger(&quiet))
	if err != nil {
		return err
	}
	if err := c.Connect(ctx); err != nil {
		return fmt.Errorf("the local Open vSwitch's database %s: %w", r.OVS, err)
	}
	defer c.Close()
	monitor := c.NewMonitor()
	monitor.Method, monitor.Tables = ovsdb.ConditionalMonitorRPC, vswitchColumns // this method does not let errors of the cache pass
	if _, err := c.Monitor(ctx, monitor); err != nil {
		return fmt.Errorf("the local Open vSwitch's database %s: %w", r.OVS, err)
	}
	return use(ctx, c)
}

// identity reads who this chassis is (ovn-controller(8)).
func (r *runner) identity(ctx context.Context) (me local, err error) {
	err = r.withVswitch(ctx, func(ctx context.Context, c client.Client) error {
		row, err := find(ctx, c, func(*vswitchRow) bool { return true })
		if err != nil {
			return err
		}
		if row == nil {
			return errors.New("the local Open vSwitch is not configured")
		}
		ids := row.ExternalIDs
		me = local{chassis: ids["system-id"], southbound: ids["ovn-remote"], bridge: ids["ovn-bridge"]}
		if me.bridge == "" {
			me.bridge = "br-int"
		}
		if me.chassis == "" || me.southbound == "" {
			return errors.New("the local Open vSwitch is no chassis of an OVN: it has no system-id or no ovn-remote")
		}
		return nil
	})
	return me, err
}

// plug ensures that an interface is on the integration bridge as a logical port.
func (r *runner) plug(ctx context.Context, name, ifaceID string) error {
	ids := map[string]string{ifaceIDKey: ifaceID, ownerKey: r.Name}
	return r.withVswitch(ctx, func(ctx context.Context, c client.Client) error {
		iface, err := find(ctx, c, func(i *interfaceRow) bool { return i.Name == name })
		if err != nil {
			return err
		}
		if iface != nil && iface.ExternalIDs[ifaceIDKey] == ifaceID {
			return nil
		}
		if iface != nil {
			if err := drop(ctx, c, name); err != nil {
				return err
			}
		}
		bridge, err := find(ctx, c, func(b *bridgeRow) bool { return b.Name == r.local.bridge })
		if err != nil {
			return err
		}
		if bridge == nil {
			return fmt.Errorf("there is no bridge %s", r.local.bridge)
		}
		const newInterface, newPort = "interface", "port"
		ops, err := c.Create(&interfaceRow{UUID: newInterface, Name: name, ExternalIDs: ids})
		if err != nil {
			return err
		}
		wire, err := c.Create(&portRow{UUID: newPort, Name: name, Interfaces: []string{newInterface}})
		if err != nil {
			return err
		}
		hook, err := c.Where(bridge).Mutate(bridge, model.Mutation{Field: &bridge.Ports, Mutator: ovsdb.MutateOperationInsert, Value: []string{newPort}})
		if err != nil {
			return err
		}
		return transact(ctx, c, slices.Concat(ops, wire, hook))
	})
}

// unplug takes an interface out, and returns when vswitchd has let go of it; one that is not plugged in is out already.
func (r *runner) unplug(ctx context.Context, name string) error {
	return r.withVswitch(ctx, func(ctx context.Context, c client.Client) error { return drop(ctx, c, name) })
}

func drop(ctx context.Context, c client.Client, name string) error {
	port, err := find(ctx, c, func(p *portRow) bool { return p.Name == name })
	if err != nil || port == nil {
		return err
	}
	bridge, err := find(ctx, c, func(b *bridgeRow) bool { return slices.Contains(b.Ports, port.UUID) })
	if err != nil || bridge == nil {
		return err
	}
	ops, err := c.Where(bridge).Mutate(bridge, model.Mutation{Field: &bridge.Ports, Mutator: ovsdb.MutateOperationDelete, Value: []string{port.UUID}})
	if err != nil {
		return err
	}
	if err := transact(ctx, c, ops); err != nil { // the rows of port and interface go with their last reference
		return err
	}
	return settled(ctx, c)
}

// settled waits until vswitchd has done all that the database says.
func settled(ctx context.Context, c client.Client) error {
	row, err := find(ctx, c, func(*vswitchRow) bool { return true })
	if err != nil || row == nil {
		return err
	}
	ops, err := c.Where(row).Mutate(row, model.Mutation{Field: &row.Next, Mutator: ovsdb.MutateOperationAdd, Value: 1})
	if err != nil {
		return err
	}
	if err := transact(ctx, c, ops); err != nil {
		return err
	}
	want := row.Next + 1 // or more, where somebody else waits too
	for done := -1; done < want; {
		if sleep(ctx, 10*time.Millisecond); ctx.Err() != nil {
			return fmt.Errorf("vswitchd does not do what its database says: %w", ctx.Err())
		}
		if row, err = find(ctx, c, func(*vswitchRow) bool { return true }); err != nil || row == nil {
			return err
		}
		done = row.Done
	}
	return nil
}

// plugged are the networks whose outposts are plugged in.
func (r *runner) plugged(ctx context.Context) (networks []string, err error) {
	err = r.withVswitch(ctx, func(ctx context.Context, c client.Client) error {
		var all []interfaceRow
		if err := c.List(ctx, &all); err != nil {
			return err
		}
		for _, i := range all {
			network, metadata := topology.MetadataNetwork(i.ExternalIDs[ifaceIDKey])
			if metadata && i.ExternalIDs[ownerKey] == r.Name {
				networks = append(networks, network)
			}
		}
		return nil
	})
	return networks, err
}

// find gives the first row that fits; nil where none does.
func find[T any](ctx context.Context, c client.Client, fits func(*T) bool) (*T, error) {
	var all []T
	if err := c.List(ctx, &all); err != nil {
		return nil, err
	}
	for i := range all {
		if fits(&all[i]) {
			return &all[i], nil
		}
	}
	return nil, nil
}

func transact(ctx context.Context, c client.Client, ops []ovsdb.Operation) error {
	results, err := c.Transact(ctx, ops...)
	if err != nil {
		return err
	}
	_, err = ovsdb.CheckOperationResults(results, ops)
	return err
}
