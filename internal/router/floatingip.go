package router

import (
	"context"
	"net/netip"
	"slices"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// Target is what a floating IP leads to.
type Target struct {
	Port string     // empty: nothing
	Addr netip.Addr // zero: the only IPv4 address of the port
}

// NewFloatingIP says what floating IP is wanted. Only Project and Network are required.
type NewFloatingIP struct {
	Project, Network, Description string
	Addr                          netip.Addr // zero: a free one
	Subnet                        string     // that the address is of; empty: any
	Target                        Target
	QoS, DNSName, DNSDomain       string
	Tags                          []string
}

// CreateFloatingIP takes an address of an external network that the viewer sees. It fails with Quota when the project
// has as many as it may, with Exhausted when there is no address left, with Conflict for one that is somebody's, and as
// ChangeFloatingIP does for what it is to lead to.
func (s *Service) CreateFloatingIP(ctx context.Context, tx *db.Tx, v network.Viewer, spec NewFloatingIP) (*FloatingIP, error) {
	n, err := s.external(ctx, tx, v, spec.Network)
	if err != nil {
		return nil, err
	}
	if n == nil {
		return nil, bad("floatingip", "Network %s is not a valid external network", spec.Network)
	}
	subnets, err := s.subnets(ctx, tx, n.Subnets)
	if err != nil {
		return nil, err
	}
	four := func(id string) bool { return subnets[id] != nil && subnets[id].Version() == 4 }
	switch {
	case !slices.ContainsFunc(n.Subnets, four):
		return nil, bad("floatingip", "Network %s does not contain any IPv4 subnet", n.ID)
	case spec.Subnet != "" && !four(spec.Subnet):
		return nil, bad("floatingip", "Subnet %s is not an IPv4 subnet of network %s", spec.Subnet, n.ID)
	}
	if err := s.networks.WithinQuota(ctx, tx, spec.Project, floatingIPResource); err != nil {
		return nil, err
	}
	f := &FloatingIP{Network: n.ID, QoS: spec.QoS, DNSName: spec.DNSName, DNSDomain: spec.DNSDomain}
	f.Meta = s.meta(spec.Project, spec.Tags)
	f.Description = spec.Description
	if err := s.checkFloatingIP(ctx, tx, f); err != nil {
		return nil, err
	}
	if err := s.takeAddress(ctx, tx, n, f, spec); err != nil {
		return nil, err
	}
	if err := s.aim(ctx, tx, v, f, spec.Target); err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO floatingip (`+floatingIPColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`, f.values()...)
	if err != nil {
		return nil, err
	}
	return f, markFloatingIP(ctx, tx, f.ID)
}

// takeAddress makes the port that holds the address. It belongs to no project, so that tenants do not meet it.
func (s *Service) takeAddress(ctx context.Context, tx *db.Tx, n *network.Network, f *FloatingIP, spec NewFloatingIP) error {
	var wanted []network.FixedIP
	if spec.Addr.IsValid() || spec.Subnet != "" {
		wanted = []network.FixedIP{{Subnet: spec.Subnet, Addr: spec.Addr}}
	}
	if hop, err := s.nextHop(ctx, tx, n, wanted); err != nil {
		return err
	} else if hop.IsValid() || spec.Addr.Is6() {
		return bad("floatingip", "%s is the network's gateway, or not an IPv4 address", spec.Addr)
	}
	p, err := s.networks.CreatePort(ctx, tx, network.NewPort{Network: n.ID, FixedIPs: wanted, DeviceID: f.ID, DeviceOwner: FloatingIPOwner})
	if err != nil {
		return err
	}
	f.Port = p.ID
	for _, ip := range p.FixedIPs {
		if ip.Addr.Is4() {
			f.Addr = ip.Addr
		}
	}
	return nil
}

// FloatingIPChange is what may change of a floating IP; nil leaves it.
type FloatingIPChange struct {
	Description *string
	Target      *Target
	QoS         *string
}

// ChangeFloatingIP changes a floating IP and gives it as it is then. What it is to lead to must be a port that the viewer
// sees, behind a router whose gateway is on the external network (else NotFound), and have no other floating IP of
// that network (else Conflict).
func (s *Service) ChangeFloatingIP(ctx context.Context, tx *db.Tx, v network.Viewer, id string, c FloatingIPChange) (*FloatingIP, error) {
	f, err := s.FloatingIP(ctx, tx, v, id)
	if err != nil {
		return nil, err
	}
	set(&f.Description, c.Description)
	set(&f.QoS, c.QoS)
	if err := s.checkFloatingIP(ctx, tx, f); err != nil {
		return nil, err
	}
	if c.Target != nil {
		if err := s.aim(ctx, tx, v, f, *c.Target); err != nil {
			return nil, err
		}
	}
	return f, s.saveFloatingIP(ctx, tx, f)
}

func (s *Service) checkFloatingIP(ctx context.Context, q db.Querier, f *FloatingIP) error {
	if err := check("", f.Description); err != nil {
		return err
	}
	if (f.DNSName == "") != (f.DNSDomain == "") {
		return bad("floatingip", "dns_name and dns_domain go together")
	}
	return s.networks.CheckPolicy(ctx, q, f.Project, f.QoS)
}

// DeleteFloatingIP gives the address back. It fails with Conflict while the floating IP has forwardings.
func (s *Service) DeleteFloatingIP(ctx context.Context, tx *db.Tx, id string) error {
	f, err := s.FloatingIP(ctx, tx, network.Everything, id)
	if err != nil {
		return err
	}
	if len(f.Forwardings) > 0 {
		return f.forwards()
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM floatingip WHERE id = $1`, id); err != nil {
		return err
	}
	if err := s.networks.DeletePort(ctx, tx, f.Port); err != nil {
		return err
	}
	return markFloatingIP(ctx, tx, id)
}

func (f *FloatingIP) forwards() error {
	return refuse(fault.Conflict, FloatingIPForwards, "Floating IP %s in use by Port Forwarding resources.", f.ID)
}

// aim makes the floating IP lead to the target, or to nothing.
func (s *Service) aim(ctx context.Context, tx *db.Tx, v network.Viewer, f *FloatingIP, to Target) error {
	if to.Port == "" && to.Addr.IsValid() {
		return bad("floatingip", "fixed_ip_address cannot be specified without a port_id")
	}
	if to.Port == "" {
		if len(f.Forwardings) == 0 { // a floating IP with forwardings keeps the router that they need
			f.FixedPort, f.FixedAddr, f.Router = "", netip.Addr{}, ""
		}
		return nil
	}
	if len(f.Forwardings) > 0 {
		return f.forwards()
	}
	p, err := s.networks.Port(ctx, tx, v, to.Port)
	if err != nil {
		return err
	}
	if !v.All && p.Project != f.Project {
		return bad("floatingip", "Cannot process floating IP association with Port %s, since that port is owned by a different tenant", p.ID)
	}
	ip, err := inside(p, to.Addr)
	if err != nil {
		return err
	}
	if err := s.free(ctx, tx, f, p, ip); err != nil {
		return err
	}
	if f.Router, err = s.between(ctx, tx, p, ip.Subnet, f.Network); err != nil {
		return err
	}
	f.FixedPort, f.FixedAddr = p.ID, ip.Addr
	return nil
}

// inside picks the address of the port that a floating IP leads to.
func inside(p *network.Port, asked netip.Addr) (network.FixedIP, error) {
	var none network.FixedIP
	if asked.Is6() {
		return none, bad("floatingip", "Cannot process floating IP association with %s, since that is not an IPv4 address", asked)
	}
	four := slices.DeleteFunc(slices.Clone(p.FixedIPs), func(ip network.FixedIP) bool {
		return ip.Addr.Is6() || asked.IsValid() && ip.Addr != asked
	})
	switch {
	case len(four) == 0 && asked.IsValid():
		return none, bad("floatingip", "Port %s does not have fixed ip %s", p.ID, asked)
	case len(four) == 0:
		return none, bad("floatingip", "Cannot add floating IP to port %s that has no fixed IPv4 addresses", p.ID)
	case len(four) > 1:
		return none, bad("floatingip", "Port %s has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a floating IP", p.ID)
	}
	return four[0], nil
}

// free fails for an address that another floating IP of the external network, or a forwarding, leads to. The
// transaction is serializable: of two at once, one sees the other.
func (s *Service) free(ctx context.Context, q db.Querier, f *FloatingIP, p *network.Port, ip network.FixedIP) error {
	others, err := s.FloatingIPs(ctx, q, network.Everything, FloatingIPFilter{FixedPorts: []string{p.ID}})
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.ID != f.ID && other.FixedAddr == ip.Addr && other.Network == f.Network {
			return f.associated(p.ID, ip.Addr)
		}
	}
	forwardings, err := s.forwardingsTo(ctx, q, p.ID)
	if slices.ContainsFunc(forwardings, func(f *Forwarding) bool { return f.Addr == ip.Addr }) {
		return refuse(fault.Invalid, PortForwards, "Cannot associate floating IP to port %s because it already has a Port Forwarding binding.", p.ID)
	}
	return err
}

func (f *FloatingIP) associated(port string, addr netip.Addr) error {
	return refuse(fault.Conflict, AlreadyAssociated, "Cannot associate floating IP %s (%s) with port %s using fixed IP %s, as that fixed IP already has a floating IP on external network %s.", f.Addr, f.ID, port, addr, f.Network)
}

// between finds the router that joins a port's subnet with an external network: first the one that is the subnet's
// gateway.
func (s *Service) between(ctx context.Context, q db.Querier, p *network.Port, subnet, external string) (string, error) {
	subnets, err := s.subnets(ctx, q, []string{subnet})
	if err != nil {
		return "", err
	}
	interfaces, err := s.networks.Ports(ctx, q, network.Everything, network.PortFilter{Networks: []string{p.Network}, Owners: []string{InterfaceOwner}})
	if err != nil {
		return "", err
	}
	var routers []string
	for _, at := range interfaces {
		for _, ip := range at.FixedIPs {
			switch {
			case ip.Subnet != subnet:
			case ip.Addr == subnets[subnet].Gateway:
				routers = slices.Insert(routers, 0, at.DeviceID)
			default:
				routers = append(routers, at.DeviceID)
			}
		}
	}
	gateways, err := s.portsOf(ctx, q, GatewayOwner, routers)
	for _, router := range routers {
		if slices.ContainsFunc(gateways[router], func(g *network.Port) bool { return g.Network == external }) {
			return router, err
		}
	}
	if err != nil {
		return "", err
	}
	return "", refuse(fault.NotFound, NotReachable, "External network %s is not reachable from subnet %s.  Therefore, cannot associate Port %s with a Floating IP.", external, subnet, p.ID)
}

// FixedPorts are the ports that floating IPs lead to, by id.
func (s *Service) FixedPorts(ctx context.Context, q db.Querier, of []*FloatingIP) (map[string]*network.Port, error) {
	var ids []string
	for _, f := range of {
		if f.FixedPort != "" {
			ids = append(ids, f.FixedPort)
		}
	}
	byID := map[string]*network.Port{}
	for some := range slices.Chunk(ids, inOne) {
		found, err := s.networks.Ports(ctx, q, network.Everything, network.PortFilter{IDs: some})
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			byID[p.ID] = p
		}
	}
	return byID, nil
}

// Pool is an IPv4 subnet that floating IPs come from.
type Pool struct {
	Subnet  *network.Subnet
	Network *network.Network
}

// Pools are the subnets of the external networks that the viewer sees.
func (s *Service) Pools(ctx context.Context, q db.Querier, v network.Viewer) ([]Pool, error) {
	networks, err := s.networks.Networks(ctx, q, v, network.NetworkFilter{})
	if err != nil {
		return nil, err
	}
	var pools []Pool
	for _, n := range networks {
		if !n.External {
			continue
		}
		subnets, err := s.subnets(ctx, q, n.Subnets)
		if err != nil {
			return nil, err
		}
		for _, id := range n.Subnets {
			if subnets[id].Version() == 4 {
				pools = append(pools, Pool{subnets[id], n})
			}
		}
	}
	return pools, nil
}
