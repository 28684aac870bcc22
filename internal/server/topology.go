package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/config"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/netns"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/qos"
	"github.com/ingotcloud/ingot/internal/reconcile"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

// fabric keeps what carries the networks equal to what the domains say. It runs until ctx ends, in every process: one of
// them works.
func (p *parts) fabric(ctx context.Context) (func(), error) {
	c := p.config.OVN
	if c.Pretend {
		p.log.Warn("Nothing carries the tenants' networks; it is pretended.")
		return p.carry(ctx, &topology.Pretence{Reader: topologyReader{p, nil}, Up: p.portSeen}), nil
	}
	if c.NB == "" {
		p.log.Warn("No OVN is configured: nothing carries the tenants' networks.")
		return func() {}, nil
	}
	options := ovn.Options{NB: c.NB, SB: c.SB, Owner: c.Owner, Logger: p.log}
	var err error
	if options.TLS, err = c.TLS.Load(); err != nil {
		return nil, err
	}
	services, err := servicesOf(p.config.Machines)
	if err != nil {
		return nil, err
	}
	client, err := ovn.Connect(ctx, options)
	if err != nil {
		return nil, err
	}
	carry := p.carry(ctx, topology.New(topology.Options{OVN: client, Reader: topologyReader{p, services}, Log: p.log, Up: p.portSeen}))
	return func() {
		carry()
		client.Close()
	}, nil
}

// carrier makes networks be as the domains say (reconcile.Options has what each function must do).
type carrier interface {
	Work(ctx context.Context, key string) error
	All(ctx context.Context) ([]string, error)
	Run(ctx context.Context, look func())
}

// carry has the carrier told of every change until ctx ends.
func (p *parts) carry(ctx context.Context, by carrier) (run func()) {
	var loop *reconcile.Loop
	loop = reconcile.New(reconcile.Options{
		Queue: reconcile.Networks, DB: p.db, Clock: p.clock, Log: p.log, Order: topology.Order,
		Work: by.Work, All: by.All,
		Beside: func(ctx context.Context) { by.Run(ctx, loop.Look) },
	})
	return func() { loop.Run(ctx) }
}

// portSeen keeps what OVN says of a port, and wakes the server that waits for it.
func (p *parts) portSeen(ctx context.Context, id string, up bool) error {
	return p.db.Tx(ctx, func(tx *db.Tx) error {
		if err := p.networks.SetUp(ctx, tx, id, up); err != nil {
			return err
		}
		port, err := p.networks.Port(ctx, tx, network.Everything, id)
		if fault.Is(err, fault.NotFound) || err == nil && !port.OfServer() {
			return nil
		}
		if err != nil {
			return err
		}
		return p.instances.NetworkSeen(ctx, tx, port.DeviceID)
	})
}

// servicesOf is our own place on the quarantine; nil when no machine boots over the network.
func servicesOf(m config.Machines) (*topology.Services, error) {
	if m.Interface == "" {
		return nil, nil
	}
	services := &topology.Services{Addrs: []netip.Addr{m.Address.Addr()}}
	err := netns.Do(m.Namespace, func() error {
		link, err := net.InterfaceByName(m.Interface)
		if err == nil {
			services.MAC = link.HardwareAddr.String()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("machines.interface: %s: %w", m.Interface, err)
	}
	return services, nil
}

// topologyReader reads the model of the networks from the domains.
type topologyReader struct {
	*parts
	services *topology.Services
}

// Everything reads all of it. A change that comes in between is marked, and looked at again.
func (r topologyReader) Everything(ctx context.Context) (*topology.Model, error) {
	m := &topology.Model{Services: r.services, NeedToFrag: r.config.OVN.NeedToFrag}
	q, all := r.db, network.Everything
	var errs [10]error
	m.Networks, errs[0] = r.networks.Networks(ctx, q, all, network.NetworkFilter{})
	m.Subnets, errs[1] = r.networks.Subnets(ctx, q, all, network.SubnetFilter{})
	m.Ports, errs[2] = r.ports(ctx, network.PortFilter{})
	m.Policies, errs[3] = r.policies.Policies(ctx, q, qos.Everything)
	m.Trunks, errs[4] = r.trunks.Trunks(ctx, q, all)
	m.Routers, errs[5] = r.routers.Routers(ctx, q, all, router.RouterFilter{})
	m.Groups, errs[6] = r.groups.Groups(ctx, q, securitygroup.Everything, securitygroup.Filter{})
	m.AddressGroups, errs[7] = r.groups.AddressGroups(ctx, q, securitygroup.Everything, securitygroup.Filter{})
	errs[8] = r.addFloatingIPs(ctx, m, router.FloatingIPFilter{})
	nics, err := r.machines.NICs(ctx, q, "")
	errs[9] = err
	plugged := map[network.Edge]bool{}
	for _, p := range m.Ports {
		plugged[p.Edge] = true
	}
	for _, n := range nics {
		if edge := n.Edge(); r.services != nil && edge.Kind != network.NoEdge && !plugged[edge] {
			m.NICs = append(m.NICs, quarantined(n))
		}
	}
	m.Uplinks = uplinks(nics)
	return m, errors.Join(errs[:]...)
}

// uplinks are those of all plain switches.
func uplinks(nics []*machine.NIC) (names []string) {
	for _, n := range nics {
		if edge := n.Edge(); edge.Kind == network.EdgeTrunk {
			names = append(names, edge.Interface)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r topologyReader) ports(ctx context.Context, f network.PortFilter) ([]*network.Port, error) {
	ports, err := r.networks.Ports(ctx, r.db, network.Everything, f)
	return unplugged(ports), err
}

// unplugged takes the edges from ports whose NICs are only reserved: these are in quarantine still.
func unplugged(ports []*network.Port) []*network.Port {
	for _, p := range ports {
		if !p.Plugged {
			p.Edge = network.Edge{}
		}
	}
	return ports
}

func quarantined(n *machine.NIC) *topology.NIC {
	nic := &topology.NIC{ID: n.ID, MAC: n.MAC, Edge: n.Edge()}
	if prefix, err := netip.ParsePrefix(n.Address); err == nil {
		nic.Addr = prefix.Addr()
	}
	return nic
}

func (r topologyReader) addFloatingIPs(ctx context.Context, m *topology.Model, f router.FloatingIPFilter) error {
	found, err := r.routers.FloatingIPs(ctx, r.db, network.Everything, f)
	m.FloatingIPs = append(m.FloatingIPs, found...)
	for _, ip := range found {
		m.Forwardings = append(m.Forwardings, ip.Forwardings...)
	}
	return err
}

// Scope reads what the rows of one scope are made of.
func (r topologyReader) Scope(ctx context.Context, scope ovn.Scope) (*topology.Model, error) {
	kind, id, _ := strings.Cut(string(scope), "/")
	m := &topology.Model{NeedToFrag: r.config.OVN.NeedToFrag}
	var err error
	switch topology.Kind(kind) {
	case topology.NetworkKind:
		if err = r.addNetwork(ctx, m, id); err == nil {
			m.Subnets, err = r.networks.Subnets(ctx, r.db, network.Everything, network.SubnetFilter{Networks: []string{id}})
		}
	case topology.PortKind:
		err = r.addPort(ctx, m, id)
	case topology.RouterKind:
		err = r.addRouter(ctx, m, id)
	case topology.FloatingIPKind:
		err = r.addFloatingIP(ctx, m, id)
	case topology.SecurityGroupKind:
		m.Groups, err = r.groups.Groups(ctx, r.db, securitygroup.Everything, securitygroup.Filter{IDs: []string{id}})
	case topology.AddressGroupKind:
		m.AddressGroups, err = r.groups.AddressGroups(ctx, r.db, securitygroup.Everything, securitygroup.Filter{IDs: []string{id}})
	case topology.NICKind:
		err = r.addNIC(ctx, m, id)
	case topology.UplinkKind:
		var nics []*machine.NIC
		nics, err = r.machines.NICs(ctx, r.db, "")
		m.Uplinks = uplinks(nics)
	case topology.Kind(topology.Quarantine):
		m.Services = r.services
	default:
		err = fault.New(fault.Internal, "There is no scope %s.", scope)
	}
	if fault.Is(err, fault.NotFound) { // what does not exist is left out
		err = nil
	}
	return m, err
}

func (r topologyReader) addNetwork(ctx context.Context, m *topology.Model, id string) error {
	n, err := r.networks.Network(ctx, r.db, network.Everything, id)
	if err == nil && !slices.ContainsFunc(m.Networks, func(have *network.Network) bool { return have.ID == id }) {
		m.Networks = append(m.Networks, n)
	}
	return err
}

func (r topologyReader) addPolicy(ctx context.Context, m *topology.Model, id string) error {
	if id == "" {
		return nil
	}
	policy, err := r.policies.Policy(ctx, r.db, qos.Everything, id)
	if err == nil {
		m.Policies = append(m.Policies, policy)
	}
	return err
}

// addSurroundings adds the networks and the subnets of ports.
func (r topologyReader) addSurroundings(ctx context.Context, m *topology.Model, ports []*network.Port) error {
	var subnets []string
	for _, p := range ports {
		if err := r.addNetwork(ctx, m, p.Network); err != nil {
			return err
		}
		for _, ip := range p.FixedIPs {
			subnets = append(subnets, ip.Subnet)
		}
	}
	if len(subnets) == 0 {
		return nil
	}
	found, err := r.networks.Subnets(ctx, r.db, network.Everything, network.SubnetFilter{IDs: subnets})
	m.Subnets = append(m.Subnets, found...)
	return err
}

func (r topologyReader) addPort(ctx context.Context, m *topology.Model, id string) error {
	ports, err := r.ports(ctx, network.PortFilter{IDs: []string{id}})
	if err != nil || len(ports) == 0 {
		return err
	}
	if err := r.addSurroundings(ctx, m, ports); err != nil {
		return err
	}
	p := ports[0]
	if err := r.addPolicy(ctx, m, cmp.Or(p.QoS, m.Networks[0].QoS)); err != nil {
		return err
	}
	parents, err := r.trunks.OfParents(ctx, r.db, []string{id})
	if err != nil {
		return err
	}
	carrier, _, err := r.trunks.Carrier(ctx, r.db, id)
	if err != nil {
		return err
	}
	if parents[id] != nil {
		m.Trunks = append(m.Trunks, parents[id])
	}
	if carrier != nil {
		m.Trunks = append(m.Trunks, carrier)
		parent, err := r.ports(ctx, network.PortFilter{IDs: []string{carrier.Port}})
		if err != nil {
			return err
		}
		ports = append(ports, parent...)
	}
	m.Ports = ports
	return nil
}

func (r topologyReader) addRouter(ctx context.Context, m *topology.Model, id string) error {
	found, err := r.routers.Router(ctx, r.db, network.Everything, id)
	if err != nil {
		return err
	}
	m.Routers = []*router.Router{found}
	if m.Ports, err = r.ports(ctx, network.PortFilter{Devices: []string{id}}); err != nil {
		return err
	}
	return r.addSurroundings(ctx, m, m.Ports)
}

func (r topologyReader) addFloatingIP(ctx context.Context, m *topology.Model, id string) error {
	if err := r.addFloatingIPs(ctx, m, router.FloatingIPFilter{IDs: []string{id}}); err != nil {
		return err
	}
	for _, ip := range m.FloatingIPs {
		if err := r.addPolicy(ctx, m, ip.QoS); err != nil {
			return err
		}
		if ip.Router == "" {
			continue
		}
		found, err := r.routers.Router(ctx, r.db, network.Everything, ip.Router)
		if err != nil {
			return err
		}
		m.Routers = append(m.Routers, found)
	}
	return nil
}

func (r topologyReader) addNIC(ctx context.Context, m *topology.Model, id string) error {
	nic, err := r.machines.NIC(ctx, r.db, id)
	if err != nil || r.services == nil { // where we are not on the quarantine, nobody is
		return err
	}
	holder, err := r.Holder(ctx, nic.Edge())
	if err == nil && holder == topology.NICKind.Of(id) {
		m.NICs = []*topology.NIC{quarantined(nic)}
	}
	return err
}

// Holder is the scope that a NIC belongs to now.
func (r topologyReader) Holder(ctx context.Context, edge network.Edge) (ovn.Scope, error) {
	if edge.Kind == network.NoEdge {
		return "", nil
	}
	ports, err := r.ports(ctx, network.PortFilter{Edge: edge})
	if err != nil {
		return "", err
	}
	if len(ports) > 0 {
		return topology.PortKind.Of(ports[0].ID), nil
	}
	nics, err := r.machines.NICs(ctx, r.db, "")
	if err != nil {
		return "", err
	}
	for _, n := range nics {
		if n.Edge() == edge {
			return topology.NICKind.Of(n.ID), nil
		}
	}
	return "", nil
}
