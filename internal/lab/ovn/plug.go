package ovn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

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

// Cable is an interface outside of the cluster. Its MAC is its own, its addresses are the caller's to give.
type Cable struct{ Namespace, Name, MAC string }

// PlugCable ensures the interface in its namespace, which is there, and plugs its other end into the chassis.
func (c *Cluster) PlugCable(ctx context.Context, chassis string, cable Cable, ifaceID string) error {
	ch, err := c.find(chassis)
	if err != nil {
		return err
	}
	far := plugEnd{ch.netns, interfaceName(ifaceID)}
	if err := cable.raise(far); err != nil {
		return fmt.Errorf("cable from %s in %s to chassis %s: %w", cable.Name, cable.Namespace, chassis, err)
	}
	return c.Plug(ctx, chassis, far.name, ifaceID)
}

func (cable Cable) raise(far plugEnd) error {
	mac, err := net.ParseMAC(cable.MAC)
	if err != nil {
		return err
	}
	whole, err := exists(far)
	if err != nil {
		return err
	}
	if !whole { // of a cable to a namespace that was removed this end may live on for a moment
		if err := remove(plugEnd{cable.Namespace, cable.Name}); err != nil {
			return err
		}
	}
	if err := raiseCable(plugEnd{cable.Namespace, cable.Name}, far, "", 0); err != nil {
		return err
	}
	return netns.Do(cable.Namespace, func() error {
		link, err := netlink.LinkByName(cable.Name)
		if err != nil || bytes.Equal(link.Attrs().HardwareAddr, mac) {
			return err
		}
		if err := netlink.LinkSetDown(link); err != nil { // its IPv6 address follows from the MAC that it comes up with
			return err
		}
		if err := netlink.LinkSetHardwareAddr(link, mac); err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	})
}

// exists says whether the namespace has the interface.
func exists(end plugEnd) (bool, error) {
	err := netns.Do(end.namespace, func() error { _, err := netlink.LinkByName(end.name); return err })
	var absent netlink.LinkNotFoundError
	if errors.As(err, &absent) {
		return false, nil
	}
	return err == nil, err
}

// remove removes an interface; one that is not there is removed already.
func remove(end plugEnd) error {
	err := netns.Do(end.namespace, func() error {
		link, err := netlink.LinkByName(end.name)
		if err != nil {
			return err
		}
		return netlink.LinkDel(link)
	})
	var absent netlink.LinkNotFoundError
	if errors.As(err, &absent) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
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
