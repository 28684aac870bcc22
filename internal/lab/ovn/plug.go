package ovn

import (
	"context"
	"fmt"
	"strconv"

	"github.com/vishvananda/netlink"

	"github.com/ingotcloud/ingot/internal/netns"
)

// PlugTap ensures a tap in the chassis' namespace, for a QEMU that runs there to open (vnet_hdr=on), and plugs it in.
func (c *Cluster) PlugTap(ctx context.Context, chassis, ifname, ifaceID string) error {
	ch, err := c.find(chassis)
	if err != nil {
		return err
	}
	if err := raiseTap(ch.netns, ifname, ifaceID); err != nil {
		return err
	}
	return c.Plug(ctx, chassis, ifname, ifaceID)
}

// raiseTap ensures a tap that is up; who holds it open comes and goes.
func raiseTap(namespace, name, alias string) error {
	err := netns.Do(namespace, func() error {
		tap, err := ensureLink(&netlink.Tuntap{
			LinkAttrs: netlink.LinkAttrs{Name: name},
			Mode:      netlink.TUNTAP_MODE_TAP,
			Flags:     netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR | netlink.TUNTAP_ONE_QUEUE,
		})
		if err != nil {
			return err
		}
		if err := netlink.LinkSetAlias(tap, alias); err != nil {
			return fmt.Errorf("alias of %s: %w", name, err)
		}
		return netlink.LinkSetUp(tap)
	})
	if err != nil {
		return fmt.Errorf("tap %s in %s: %w", name, namespace, err)
	}
	return nil
}

// Plug ensures that an interface of the chassis' namespace is on the integration bridge and is the logical port ifaceID.
func (c *Cluster) Plug(ctx context.Context, chassis, ifname, ifaceID string) error {
	ch, err := c.find(chassis)
	if err != nil {
		return err
	}
	if err := ch.plug(ctx, bridgeIntegration, ifname, "--", "set", "Interface", ifname, "external_ids:iface-id="+strconv.Quote(ifaceID)); err != nil {
		return fmt.Errorf("plug %s into chassis %s: %w", ifname, chassis, err)
	}
	return nil
}

// Unplug takes an interface off the integration bridge; one that is not on it is unplugged already. The interface stays.
func (c *Cluster) Unplug(ctx context.Context, chassis, ifname string) error {
	ch, err := c.find(chassis)
	if err != nil {
		return err
	}
	if _, err := ch.vsctl(ctx, "--if-exists", "del-port", bridgeIntegration, ifname); err != nil {
		return fmt.Errorf("unplug %s from chassis %s: %w", ifname, chassis, err)
	}
	return nil
}
