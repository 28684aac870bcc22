package lab

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/ingotcloud/ingot/internal/netns"
)

// bridge is the rack's switch inside its namespace. It carries the host's address.
const bridge = "rack"

// tapName is short, as interface names must be; the alias says whose it is.
func tapName(machine, nic int) string { return fmt.Sprintf("m%dn%d", machine, nic) }

// raiseNetwork ensures the bridge and the taps inside an existing namespace. Run again it changes nothing, so that
// QEMUs that survived keep their taps.
func raiseNetwork(ns string, rack *RackSpec) error {
	return netns.Do(ns, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			return err
		}
		snooping := false // no querier here, and a bridge that prunes multicast loses router advertisements
		br, err := ensureLink(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}, MulticastSnooping: &snooping})
		if err != nil {
			return err
		}
		address, err := netlink.ParseAddr(rack.Network.CIDR)
		if err != nil {
			return err
		}
		if err := netlink.AddrReplace(br, address); err != nil {
			return fmt.Errorf("address %s on bridge %s: %w", rack.Network.CIDR, bridge, err)
		}
		if err := netlink.LinkSetUp(br); err != nil {
			return err
		}
		for i, m := range rack.Machines {
			for n := range m.NICs {
				if err := raiseTap(tapName(i, n), fmt.Sprintf("%s nic%d", m.Name, n), br); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func raiseTap(name, alias string, br netlink.Link) error {
	tap, err := ensureLink(&netlink.Tuntap{
		LinkAttrs: netlink.LinkAttrs{Name: name},
		Mode:      netlink.TUNTAP_MODE_TAP,
		Flags:     netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR | netlink.TUNTAP_ONE_QUEUE,
	})
	if err != nil {
		return err
	}
	if err := netlink.LinkSetAlias(tap, alias); err != nil {
		return fmt.Errorf("alias of tap %s: %w", name, err)
	}
	if err := netlink.LinkSetMaster(tap, br); err != nil {
		return fmt.Errorf("tap %s on bridge %s: %w", name, bridge, err)
	}
	return netlink.LinkSetUp(tap)
}

func ensureLink(want netlink.Link) (netlink.Link, error) {
	name := want.Attrs().Name
	link, err := netlink.LinkByName(name)
	var absent netlink.LinkNotFoundError
	if errors.As(err, &absent) {
		if err := netlink.LinkAdd(want); err != nil {
			return nil, fmt.Errorf("make interface %s: %w", name, err)
		}
		return netlink.LinkByName(name)
	}
	return link, err
}
