package ovn

import (
	"context"
	"log/slog"
	"sync"

	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/model"

	"github.com/ingotcloud/ingot/internal/driver/ovn/sbdb"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Southbound reads the southbound database alone, as what runs on a chassis does.
type Southbound struct {
	sb      *link
	cancel  context.CancelFunc
	ended   sync.WaitGroup
	changed chan struct{} // holds one
}

// ConnectSouthbound is Connect for a chassis: of the options only SB, TLS and Logger matter.
func ConnectSouthbound(ctx context.Context, o Options) (*Southbound, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	models, err := sbdb.FullDatabaseModel()
	if err != nil {
		return nil, err
	}
	s := &Southbound{changed: make(chan struct{}, 1)}
	if s.sb, err = newLink("southbound", models, sbdb.Schema(), o.SB, o); err != nil {
		return nil, err
	}
	s.sb.connected = s.tell
	s.sb.handler = &cache.EventHandlerFuncs{
		AddFunc:    func(string, model.Model) { s.tell() },
		UpdateFunc: func(string, model.Model, model.Model) { s.tell() },
		DeleteFunc: func(string, model.Model) { s.tell() },
	}
	ctx, s.cancel = context.WithCancel(ctx)
	s.ended.Go(func() { s.sb.run(ctx) })
	return s, nil
}

// Close ends the connection and waits until nothing of it runs any more.
func (s *Southbound) Close() {
	s.cancel()
	s.ended.Wait()
}

func (s *Southbound) tell() {
	select {
	case s.changed <- struct{}{}:
	default: // somebody will look anyway
	}
}

// Wait waits until the database is connected, or else until the end of ctx, which is the fault Unavailable.
func (s *Southbound) Wait(ctx context.Context) error { return s.sb.wait(ctx) }

// Changed receives when something has changed, or was connected anew, since it was last received from.
func (s *Southbound) Changed() <-chan struct{} { return s.changed }

// Localports are the localports of those switches that have a machine's port on the chassis with that name (its system-id):
// the addresses of each, its MAC first, by the port's name. It is Unavailable while the database is away.
func (s *Southbound) Localports(chassis string) (map[string][]string, error) {
	now, err := s.sb.session()
	if err != nil {
		return nil, err
	}
	id := ""
	for uuid, row := range now.rows.Table(sbdb.ChassisTable).RowsShallow() {
		if row.(*sbdb.Chassis).Name == chassis {
			id = uuid
		}
	}
	if id == "" {
		return nil, fault.New(fault.Unavailable, "OVN does not know the chassis %s: does its ovn-controller run?", chassis)
	}
	here := map[string]bool{} // datapaths
	bindings := now.rows.Table(sbdb.PortBindingTable).RowsShallow()
	for _, row := range bindings {
		if b := row.(*sbdb.PortBinding); b.Type == "" && b.Chassis != nil && *b.Chassis == id {
			here[b.Datapath] = true
		}
	}
	ports := map[string][]string{}
	for _, row := range bindings {
		if b := row.(*sbdb.PortBinding); b.Type == "localport" && here[b.Datapath] {
			ports[b.LogicalPort] = b.MAC
		}
	}
	return ports, nil
}
