package lab

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/vishvananda/netlink"

	"github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/netns"
)

// door is the interface by which the control plane meets the machines, in the run's namespace. With FabricBridge it is
// the bridge itself.
const door = "rack"

// raiseNetwork ensures what the rack's machines are plugged into. Run again it changes nothing, so that QEMUs that survived
// keep their taps.
func (r *Rack) raiseNetwork(ctx context.Context, rack *RackSpec, old *Description) error {
	if err := netns.Do(r.description.Netns, raiseLoopback); err != nil {
		return err
	}
	if rack.Fabric == FabricOVN {
		return r.raiseOVN(ctx, rack, old)
	}
	if err := ovn.Sweep(filepath.Join(r.dir, folderOVN)); err != nil { // the folder had another fabric, and its lab was killed
		return err
	}
	return raiseBridge(r.description.Netns, rack)
}

func raiseLoopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// raiseBridge ensures a bridge with the control plane's address, and the taps on it.
func raiseBridge(ns string, rack *RackSpec) error {
	return netns.Do(ns, func() error {
		snooping := false // no querier here, and a bridge that prunes multicast loses router advertisements
		br, err := ensureLink(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: door}, MulticastSnooping: &snooping})
		if err != nil {
			return err
		}
		if err := giveAddress(br, rack); err != nil {
			return err
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

// giveAddress gives the control plane's address to its interface.
func giveAddress(link netlink.Link, rack *RackSpec) error {
	address, err := netlink.ParseAddr(rack.Network.CIDR)
	if err != nil {
		return err
	}
	if err := netlink.AddrReplace(link, address); err != nil {
		return fmt.Errorf("address %s on %s: %w", rack.Network.CIDR, link.Attrs().Name, err)
	}
	return nil
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
		return fmt.Errorf("tap %s on bridge %s: %w", name, door, err)
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
