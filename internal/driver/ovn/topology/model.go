package topology

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/qos"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/securitygroup"
	"github.com/ingotcloud/ingot/internal/trunk"
)

// Model is the values that rows are made of: of one scope, or of all.
type Model struct {
	Networks      []*network.Network
	Subnets       []*network.Subnet
	Ports         []*network.Port
	Policies      []*qos.Policy
	Trunks        []*trunk.Trunk
	Routers       []*router.Router
	FloatingIPs   []*router.FloatingIP
	Forwardings   []*router.Forwarding
	Groups        []*securitygroup.Group
	AddressGroups []*securitygroup.AddressGroup

	NICs     []*NIC    // those in quarantine
	Services *Services // of the quarantine; nil: there is none
	Uplinks  []string  // Edge.Interface of every NIC behind a plain switch, whatever it is used for

	NeedToFrag bool // routers tell senders of packets that are too long for the next network

	Gateways []Gateway // of OVN, not of the domains: the reconciler fills it in
}

// NIC is a machine's NIC in quarantine.
type NIC struct {
	ID   string
	MAC  string
	Addr netip.Addr // that DHCP gives it; zero: it sends from none
	Edge network.Edge
}

// Services is ingot's place on the quarantine: DHCP, boot, agents.
type Services struct {
	MAC   string
	Addrs []netip.Addr
}

// Kind is the first word of a scope.
type Kind string

// The kinds of scope, and the scopes that there is one of.
const (
	NetworkKind       Kind = "network"
	PortKind          Kind = "port"
	RouterKind        Kind = "router"
	FloatingIPKind    Kind = "floatingip"
	SecurityGroupKind Kind = "securitygroup"
	AddressGroupKind  Kind = "addressgroup"
	QoSKind           Kind = "qos" // has no rows
	NICKind           Kind = "nic"
	UplinkKind        Kind = "uplink"

	Quarantine ovn.Scope = "quarantine"
	Gateways   ovn.Scope = "gateways"
)

// Of is the scope of the thing with that id.
func (k Kind) Of(id string) ovn.Scope { return ovn.Scope(string(k) + "/" + id) }

func split(scope ovn.Scope) (Kind, string) {
	kind, id, _ := strings.Cut(string(scope), "/")
	return Kind(kind), id
}

// kinds in the order in which their rows need each other.
var kinds = []Kind{Kind(Gateways), UplinkKind, NetworkKind, Kind(Quarantine), AddressGroupKind, SecurityGroupKind, RouterKind, PortKind, NICKind, FloatingIPKind, QoSKind}

// Order sorts scopes so that rows come after those that they need (reconcile.Options.Order).
func Order(a, b string) int {
	kindA, _ := split(ovn.Scope(a))
	kindB, _ := split(ovn.Scope(b))
	return cmp.Or(slices.Index(kinds, kindA)-slices.Index(kinds, kindB), strings.Compare(a, b))
}

// Rows are the rows of one scope; none where the model does not have what the scope is about.
func (m *Model) Rows(scope ovn.Scope) []ovn.Row { return newCompiler(m).rows(scope) }

// All are the rows of every scope that the model has. A row that two scopes want, as when two ports are said to be on the
// same NIC, is given to one of them: to a port rather than to the quarantine.
func (m *Model) All() map[ovn.Scope][]ovn.Row {
	c := newCompiler(m)
	all := map[ovn.Scope][]ovn.Row{}
	seen := map[string]bool{}
	for _, scope := range m.scopes() {
		all[scope] = slices.DeleteFunc(c.rows(scope), func(row ovn.Row) bool {
			port := portRow(row)
			twice := port && seen[row.ID]
			seen[row.ID] = seen[row.ID] || port
			return twice
		})
	}
	return all
}

// scopes are all that the model has, sorted.
func (m *Model) scopes() []ovn.Scope {
	scopes := []ovn.Scope{Gateways}
	if m.Services != nil {
		scopes = append(scopes, Quarantine)
	}
	add := func(k Kind, id string) { scopes = append(scopes, k.Of(id)) }
	for _, name := range m.Uplinks {
		add(UplinkKind, name)
	}
	for _, n := range m.Networks {
		add(NetworkKind, n.ID)
	}
	for _, g := range m.AddressGroups {
		add(AddressGroupKind, g.ID)
	}
	for _, g := range m.Groups {
		add(SecurityGroupKind, g.ID)
	}
	for _, r := range m.Routers {
		add(RouterKind, r.ID)
	}
	for _, p := range m.Ports {
		add(PortKind, p.ID)
	}
	for _, n := range m.NICs {
		add(NICKind, n.ID)
	}
	for _, f := range m.FloatingIPs {
		add(FloatingIPKind, f.ID)
	}
	slices.SortFunc(scopes, func(a, b ovn.Scope) int { return Order(string(a), string(b)) })
	return slices.Compact(scopes)
}

// compiler is a model in which things are found by id.
type compiler struct {
	model         *Model
	networks      map[string]*network.Network
	subnets       map[string]*network.Subnet
	subnetsOf     map[string][]*network.Subnet // by network
	ports         map[string]*network.Port
	portsOf       map[string][]*network.Port // by router
	policies      map[string]*qos.Policy
	places        map[string]place // of subports
	routers       map[string]*router.Router
	floatingIPs   map[string]*router.FloatingIP
	forwardingsOf map[string][]*router.Forwarding // by floating IP
	groups        map[string]*securitygroup.Group
	addressGroups map[string]*securitygroup.AddressGroup
	nics          map[string]*NIC
}

// place is that of a subport in its trunk.
type place struct {
	parent string // port
	vlan   int
}

func newCompiler(m *Model) *compiler {
	c := &compiler{
		model:         m,
		networks:      byID(m.Networks, func(n *network.Network) string { return n.ID }),
		subnets:       byID(m.Subnets, func(s *network.Subnet) string { return s.ID }),
		subnetsOf:     map[string][]*network.Subnet{},
		ports:         byID(m.Ports, func(p *network.Port) string { return p.ID }),
		portsOf:       map[string][]*network.Port{},
		policies:      byID(m.Policies, func(p *qos.Policy) string { return p.ID }),
		places:        map[string]place{},
		routers:       byID(m.Routers, func(r *router.Router) string { return r.ID }),
		floatingIPs:   byID(m.FloatingIPs, func(f *router.FloatingIP) string { return f.ID }),
		forwardingsOf: map[string][]*router.Forwarding{},
		groups:        byID(m.Groups, func(g *securitygroup.Group) string { return g.ID }),
		addressGroups: byID(m.AddressGroups, func(g *securitygroup.AddressGroup) string { return g.ID }),
		nics:          byID(m.NICs, func(n *NIC) string { return n.ID }),
	}
	for _, s := range m.Subnets {
		c.subnetsOf[s.Network] = append(c.subnetsOf[s.Network], s)
	}
	for _, p := range m.Ports {
		if ofRouter(p) {
			c.portsOf[p.DeviceID] = append(c.portsOf[p.DeviceID], p)
		}
	}
	for _, t := range m.Trunks {
		for _, sub := range t.Subports {
			c.places[sub.Port] = place{t.Port, sub.VLAN}
		}
	}
	for _, f := range m.Forwardings {
		c.forwardingsOf[f.FloatingIP] = append(c.forwardingsOf[f.FloatingIP], f)
	}
	return c
}

func byID[T any](list []T, id func(T) string) map[string]T {
	m := make(map[string]T, len(list))
	for _, item := range list {
		m[id(item)] = item
	}
	return m
}

func (c *compiler) rows(scope ovn.Scope) []ovn.Row {
	switch scope {
	case Quarantine:
		return c.quarantine()
	case Gateways:
		return gatewayRows(c.model.Gateways)
	}
	switch kind, id := split(scope); kind {
	case NetworkKind:
		return compile(c.networks[id], c.network)
	case PortKind:
		return compile(c.ports[id], c.port)
	case RouterKind:
		return compile(c.routers[id], c.router)
	case FloatingIPKind:
		return compile(c.floatingIPs[id], c.floatingIP)
	case SecurityGroupKind:
		return compile(c.groups[id], securityGroup)
	case AddressGroupKind:
		return compile(c.addressGroups[id], addressGroup)
	case NICKind:
		return compile(c.nics[id], nic)
	case UplinkKind:
		if slices.Contains(c.model.Uplinks, id) {
			return uplink(id)
		}
	}
	return nil
}

func compile[T any](value *T, rows func(*T) []ovn.Row) []ovn.Row {
	if value == nil {
		return nil
	}
	return rows(value)
}
