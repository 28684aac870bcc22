package nova

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
)

// Nova gave floating IPs up with 2.36, and leading them to servers with 2.44; until then it passes them on to the network.

// floatingViews shows floating IPs with the names of their networks and the servers that they lead to.
func (a *api) floatingViews(r *osapi.Request, list ...*router.FloatingIP) ([]object, error) {
	w := &wiring{names: map[string]string{}}
	var networks []string
	for _, f := range list {
		networks = append(networks, f.Network)
	}
	shown := make([]object, len(list))
	if len(list) == 0 {
		return shown, nil
	}
	if err := a.nameNetworks(r.Context(), w, networks); err != nil {
		return nil, err
	}
	ports, err := a.Routers.FixedPorts(r.Context(), a.DB, list)
	for n, f := range list {
		shown[n] = object{"id": f.ID, "ip": f.Addr.String(), "pool": w.names[f.Network], "fixed_ip": nil, "instance_id": nil}
		if port := ports[f.FixedPort]; port != nil {
			shown[n]["fixed_ip"], shown[n]["instance_id"] = f.FixedAddr.String(), null(port.DeviceID)
		}
	}
	return shown, err
}

func (a *api) listFloatingIPs(r *osapi.Request) (any, error) {
	all, err := a.Routers.FloatingIPs(r.Context(), a.DB, ofProject(r), router.FloatingIPFilter{})
	if err != nil {
		return nil, err
	}
	shown, err := a.floatingViews(r, all...)
	return object{"floating_ips": shown}, err
}

// floatingIP is the one of the path.
func (a *api) floatingIP(r *osapi.Request, q db.Querier) (*router.FloatingIP, error) {
	f, err := a.Routers.FloatingIP(r.Context(), q, ofProject(r), r.Path("id"))
	if fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "Floating IP not found for ID %s", clip(r.Path("id")))
	}
	return f, err
}

func (a *api) showFloatingIP(r *osapi.Request) (any, error) {
	f, err := a.floatingIP(r, a.DB)
	if err != nil {
		return nil, err
	}
	return a.oneFloatingIP(r, f)
}

func (a *api) oneFloatingIP(r *osapi.Request, f *router.FloatingIP) (any, error) {
	shown, err := a.floatingViews(r, f)
	if err != nil {
		return nil, err
	}
	return object{"floating_ip": shown[0]}, nil
}

func (a *api) createFloatingIP(r *osapi.Request) (any, error) {
	body := struct {
		Pool *string `json:"pool"`
	}{}
	if raw, err := r.Raw(); err != nil {
		return nil, err
	} else if len(raw) > 0 { // it may be left out
		if err := osapi.Strict(raw, &body); err != nil {
			return nil, err
		}
	}
	pool, err := a.floatingPool(r, pointed(body.Pool))
	if err != nil {
		return nil, err
	}
	var made *router.FloatingIP
	err = a.DB.Tx(r.Context(), func(tx *db.Tx) (err error) {
		made, err = a.Routers.CreateFloatingIP(r.Context(), tx, ofProject(r), router.NewFloatingIP{Project: r.Caller.ProjectID, Network: pool.ID})
		return err
	})
	switch {
	case fault.Is(err, fault.Exhausted):
		return nil, fault.Wrap(err, fault.NotFound, "No more floating IPs in pool %s.", pool.Name)
	case fault.Is(err, fault.Quota):
		return nil, fault.Wrap(err, fault.Quota, "IP allocation over quota in pool %s.", pool.Name)
	case err != nil:
		return nil, err
	}
	return a.oneFloatingIP(r, made)
}

// externals are the networks that floating IPs come from.
func (a *api) externals(r *osapi.Request) ([]*network.Network, error) {
	all, err := a.Networks.Networks(r.Context(), a.DB, ofProject(r), network.NetworkFilter{})
	return slices.DeleteFunc(all, func(n *network.Network) bool { return !n.External }), err
}

// floatingPool is the external network of that id or name; without one the default, or the only one.
func (a *api) floatingPool(r *osapi.Request, pool string) (*network.Network, error) {
	all, err := a.externals(r)
	if err != nil {
		return nil, err
	}
	meant := slices.DeleteFunc(slices.Clone(all), func(n *network.Network) bool {
		if pool == "" {
			return !n.Default && len(all) > 1
		}
		return n.ID != pool && n.Name != pool
	})
	switch len(meant) {
	case 0:
		return nil, fault.New(fault.NotFound, "Floating IP pool not found.")
	case 1:
		return meant[0], nil
	}
	return nil, fault.New(fault.Invalid, "Multiple floating IP pools matches found for name '%s'", clip(pool))
}

func (a *api) deleteFloatingIP(r *osapi.Request) (any, error) {
	return nil, a.DB.Tx(r.Context(), func(tx *db.Tx) error {
		f, err := a.floatingIP(r, tx)
		if err != nil {
			return err
		}
		return a.Routers.DeleteFloatingIP(r.Context(), tx, f.ID)
	})
}

func (a *api) listPools(r *osapi.Request) (any, error) {
	all, err := a.externals(r)
	shown := make([]object, len(all))
	for n, pool := range all {
		shown[n] = object{"name": pool.Name}
	}
	return object{"floating_ip_pools": shown}, err
}

// floatingIPAt finds the caller's floating IP with an address.
func (a *api) floatingIPAt(r *osapi.Request, q db.Querier, address netip.Addr) (*router.FloatingIP, error) {
	all, err := a.Routers.FloatingIPs(r.Context(), q, ofProject(r), router.FloatingIPFilter{})
	for _, f := range all {
		if f.Addr == address {
			return f, nil
		}
	}
	if err == nil {
		err = fault.New(fault.NotFound, "floating IP not found")
	}
	return nil, err
}

func (a *api) addFloatingIP(r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (any, error) {
	var to struct {
		Address string  `json:"address"`
		Fixed   *string `json:"fixed_address"`
	}
	if err := osapi.Strict(arguments, &to); err != nil {
		return nil, err
	}
	address, err := netip.ParseAddr(to.Address)
	if err != nil {
		return nil, invalid("address", strconv.Quote(clip(to.Address)), "It is not an IP address.")
	}
	return accepted(a.DB.Tx(r.Context(), func(tx *db.Tx) error {
		f, err := a.floatingIPAt(r, tx, address)
		if err != nil {
			return err
		}
		ports, err := a.Networks.PortsOf(r.Context(), tx, i.ID)
		if err != nil {
			return err
		}
		i.Order(ports)
		target, err := targetOf(ports, to.Fixed, f, i)
		if err != nil {
			return err
		}
		_, err = a.Routers.ChangeFloatingIP(r.Context(), tx, ofProject(r), f.ID, router.FloatingIPChange{Target: &target})
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) {
			return fault.Wrap(err, fault.Invalid, "Unable to associate floating IP %s to fixed IP %s for instance %s. Error: %s", f.Addr, target.Addr, i.ID, fault.Message(err))
		}
		return err
	}))
}

// targetOf is what a floating IP is to lead to: the address that was asked for, or the server's first IPv4 address.
func targetOf(ports []*network.Port, fixed *string, f *router.FloatingIP, i *instance.Instance) (router.Target, error) {
	any := false
	for _, p := range ports {
		for _, ip := range p.FixedIPs {
			any = true
			if fixed == nil && ip.Addr.Is4() || fixed != nil && ip.Addr.String() == *fixed {
				return router.Target{Port: p.ID, Addr: ip.Addr}, nil
			}
		}
	}
	words := "Unable to associate floating IP " + f.Addr.String() + " to any fixed IPs for instance " + i.ID + ". Instance has no fixed IPv4 addresses to associate."
	switch {
	case !any:
		words = "No fixed IPs associated to instance"
	case fixed != nil:
		words = "Specified fixed address not assigned to instance"
	}
	return router.Target{}, fault.New(fault.Invalid, "%s", words)
}

func (a *api) removeFloatingIP(r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (any, error) {
	address, err := addressOf(arguments)
	if err != nil {
		return nil, err
	}
	return accepted(a.DB.Tx(r.Context(), func(tx *db.Tx) error {
		f, err := a.floatingIPAt(r, tx, address)
		if err != nil {
			return err
		}
		ports, err := a.Networks.PortsOf(r.Context(), tx, i.ID)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(ports, func(p *network.Port) bool { return p.ID == f.FixedPort }) {
			return fault.New(fault.Conflict, "Floating IP %s is not associated with instance %s.", f.Addr, i.ID)
		}
		_, err = a.Routers.ChangeFloatingIP(r.Context(), tx, ofProject(r), f.ID, router.FloatingIPChange{Target: &router.Target{}})
		return err
	}))
}
