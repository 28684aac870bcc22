package topology

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/router"
)

// floatingIP is the address's translation on its router, on the chassis that has the router's gateway.
func (c *compiler) floatingIP(f *router.FloatingIP) []ovn.Row {
	r := c.routers[f.Router]
	if r == nil || r.Gateway == nil {
		return nil
	}
	var rows []ovn.Row
	in := []ovn.Ref{ovn.Router(r.ID)}
	if f.FixedPort != "" {
		rows = append(rows, ovn.Row{ID: f.ID, In: in, Model: &nbdb.NAT{Type: nbdb.NATTypeDNATAndSNAT,
			ExternalIP: f.Addr.String(), LogicalIP: f.FixedAddr.String(), GatewayPort: new(ovn.RouterPort(r.Gateway.Port).UUID())}})
	}
	forwardings := slices.SortedFunc(slices.Values(c.forwardingsOf[f.ID]), func(a, b *router.Forwarding) int { return cmp.Compare(a.ID, b.ID) })
	for _, protocol := range []string{nbdb.LoadBalancerProtocolTCP, nbdb.LoadBalancerProtocolUDP, nbdb.LoadBalancerProtocolSCTP} {
		vips := map[string]string{}
		for _, forwarding := range forwardings {
			if forwarding.Protocol == protocol {
				forward(vips, f, forwarding)
			}
		}
		if len(vips) > 0 {
			id := f.ID + "/" + protocol
			rows = append(rows, ovn.Row{ID: id, In: in, Model: &nbdb.LoadBalancer{Name: id, Protocol: new(protocol), Vips: vips}})
		}
	}
	return append(rows, c.floatingQoS(f, r.Gateway.Port)...)
}

// forward adds a forwarding's ports, each outside to its own inside.
func forward(vips map[string]string, f *router.FloatingIP, g *router.Forwarding) {
	for i := 0; g.Outside.First+i <= g.Outside.Last; i++ {
		inside := min(g.Inside.First+i, g.Inside.Last)
		vips[fmt.Sprintf("%s:%d", f.Addr, g.Outside.First+i)] = fmt.Sprintf("%s:%d", g.Addr, inside)
	}
}
