package ovn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/ingotcloud/ingot/internal/netns"
)

// Internet is what lies behind the gateways: a namespace with addresses in the external network, on the other side of
// every gateway's provider bridge. Servers for machines to reach listen in it (internal/netns).
type Internet struct{ Namespace string }

// Internet ensures it. Each of the prefixes, such as 203.0.113.1/24, is the Internet's own address in an external
// network with the network's length. Routers reach it through a localnet port of the PhysicalNetwork.
func (c *Cluster) Internet(ctx context.Context, addresses ...netip.Prefix) (*Internet, error) {
	const bridge = "internet"
	const part = "inet"
	i := &Internet{Namespace: c.namespace(part)}
	if err := c.claim(part); err != nil {
		return nil, err
	}
	if !netns.Exists(i.Namespace) {
		if err := netns.Create(i.Namespace); err != nil {
			return nil, err
		}
	}
	if err := setUp(i.Namespace, "lo"); err != nil {
		return nil, err
	}
	if err := raiseBridge(i.Namespace, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}}, addresses...); err != nil {
		return nil, err
	}
	gateways := 0
	for _, ch := range c.chassis {
		if !ch.Gateway {
			continue
		}
		gateways++
		near := plugEnd{i.Namespace, fmt.Sprintf("gateway%d", ch.index)}
		if err := raiseCable(near, plugEnd{ch.netns, "ext"}, bridge, 0); err != nil {
			return nil, err
		}
		if err := ch.plug(ctx, bridgeExternal, "ext"); err != nil {
			return nil, fmt.Errorf("the Internet's cable to chassis %s: %w", ch.Name, err)
		}
	}
	if gateways == 0 {
		return nil, errors.New("no chassis is a gateway: the Internet leads nowhere")
	}
	return i, nil
}

// Dial is net.Dialer.DialContext from inside.
func (i *Internet) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return netns.Dial(ctx, i.Namespace, network, address)
}
