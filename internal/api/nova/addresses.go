package nova

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

// wiring is what some servers have to do with networks: one look at all of them together.
type wiring struct {
	ports    map[string][]*network.Port      // by server
	names    map[string]string               // of networks and security groups, by id
	floating map[string][]*router.FloatingIP // by port
}

func (a *api) wiringOf(ctx context.Context, servers ...*instance.Instance) (*wiring, error) {
	w := &wiring{ports: map[string][]*network.Port{}, names: map[string]string{}, floating: map[string][]*router.FloatingIP{}}
	var ids []string
	for _, i := range servers {
		ids = append(ids, i.ID)
	}
	if len(ids) == 0 {
		return w, nil
	}
	all, err := a.Networks.Ports(ctx, a.DB, network.Everything, network.PortFilter{Devices: ids})
	if err != nil {
		return nil, err
	}
	var ports, networks, groups []string
	for _, p := range all {
		if p.OfServer() {
			w.ports[p.DeviceID] = append(w.ports[p.DeviceID], p)
			ports, networks, groups = append(ports, p.ID), append(networks, p.Network), append(groups, p.Groups...)
		}
	}
	for _, i := range servers {
		i.Order(w.ports[i.ID])
	}
	if len(ports) == 0 {
		return w, nil
	}
	if err := a.nameNetworks(ctx, w, networks); err != nil {
		return nil, err
	}
	if err := a.nameGroups(ctx, w, groups); err != nil {
		return nil, err
	}
	leading, err := a.Routers.FloatingIPs(ctx, a.DB, network.Everything, router.FloatingIPFilter{FixedPorts: ports})
	for _, f := range leading {
		w.floating[f.FixedPort] = append(w.floating[f.FixedPort], f)
	}
	return w, err
}

func (a *api) nameNetworks(ctx context.Context, w *wiring, ids []string) error {
	networks, err := a.Networks.Networks(ctx, a.DB, network.Everything, network.NetworkFilter{IDs: ids})
	for _, n := range networks {
		w.names[n.ID] = n.Name
	}
	return err
}

func (a *api) nameGroups(ctx context.Context, w *wiring, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	groups, err := a.Groups.Groups(ctx, a.DB, securitygroup.Everything, securitygroup.Filter{IDs: ids})
	for _, g := range groups {
		w.names[g.ID] = g.Name
	}
	return err
}

// addresses of a server by the name of their network, with what extensions added once or without. A floating IP stands
// with the port that it leads to.
func (w *wiring) addresses(server string, extended bool) map[string][]object {
	shown := map[string][]object{}
	for _, p := range w.ports[server] {
		name := w.names[p.Network]
		for _, ip := range p.FixedIPs {
			shown[name] = append(shown[name], addressView(ip.Addr, p.MAC, "fixed", extended))
		}
		for _, f := range w.floating[p.ID] {
			shown[name] = append(shown[name], addressView(f.Addr, p.MAC, "floating", extended))
		}
	}
	return shown
}

func addressView(addr netip.Addr, mac, kind string, extended bool) object {
	shown := object{"version": 6, "addr": addr.String()}
	if addr.Is4() {
		shown["version"] = 4
	}
	if extended {
		shown["OS-EXT-IPS:type"], shown["OS-EXT-IPS-MAC:mac_addr"] = kind, mac
	}
	return shown
}

// groups of a server's ports, each name once.
func (w *wiring) groups(server string) []object {
	var names []string
	for _, p := range w.ports[server] {
		for _, id := range p.Groups {
			names = append(names, w.names[id])
		}
	}
	slices.SortFunc(names, strings.Compare)
	var shown []object
	for _, name := range slices.Compact(names) {
		shown = append(shown, object{"name": name})
	}
	return shown
}

func (a *api) addresses(r *osapi.Request) (map[string][]object, error) {
	i, err := a.server(r, reader(r))
	if err != nil {
		return nil, err
	}
	w, err := a.wiringOf(r.Context(), i)
	if err != nil {
		return nil, err
	}
	return w.addresses(i.ID, false), nil
}

func (a *api) listAddresses(r *osapi.Request) (any, error) {
	shown, err := a.addresses(r)
	return object{"addresses": shown}, err
}

func (a *api) showAddresses(r *osapi.Request) (any, error) {
	shown, err := a.addresses(r)
	if err == nil && shown[r.Path("network")] == nil {
		err = fault.New(fault.NotFound, "Network name not found")
	}
	return object{r.Path("network"): shown[r.Path("network")]}, err
}
