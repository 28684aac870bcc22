package ovn

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	handles "github.com/vishvananda/netns"

	"github.com/ingotcloud/ingot/internal/netns"
)

// underlay is the namespace's part and the bridge in it. It has no rules: nothing there has an address, and machines'
// frames come by only inside of tunnels.
const underlay = "underlay"

// underlayMTU leaves room for Geneve around jumbo frames: tenants' networks may have up to 8942 bytes.
const underlayMTU = 9000

// underlayAddress of the chassis with that index. Nothing but the chassis sees the underlay, so its addresses collide
// with nobody's.
func underlayAddress(index int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 127, byte(index / 250), byte(index%250 + 1)}), 16)
}

// raiseNamespace ensures a namespace whose kernel forwards nothing, and answers only what the rules let in.
func raiseNamespace(name string, rules string) error {
	if !netns.Exists(name) {
		if err := netns.Create(name); err != nil {
			return err
		}
	}
	err := netns.Do(name, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			return err
		}
		if err := deafen(); err != nil {
			return err
		}
		return loadRules(rules)
	})
	if err != nil {
		return fmt.Errorf("namespace %s: %w", name, err)
	}
	return nil
}

// deafen turns off what a kernel does with frames of its own accord.
func deafen() error {
	for name, value := range map[string]string{
		"ipv4/ip_forward":                "0",
		"ipv4/conf/all/arp_ignore":       "1", // answer for an address only where it is
		"ipv6/conf/all/disable_ipv6":     "1",
		"ipv6/conf/default/disable_ipv6": "1",
	} {
		err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without IPv6 is as good
			return err
		}
	}
	return nil
}

// raiseBridge ensures a Linux bridge in a namespace, with addresses perhaps.
func raiseBridge(namespace string, bridge *netlink.Bridge, addresses ...netip.Prefix) error {
	err := netns.Do(namespace, func() error {
		snooping := false // nobody queries here, and a bridge that prunes multicast loses router advertisements
		bridge.MulticastSnooping = &snooping
		link, err := ensureLink(bridge)
		if err != nil {
			return err
		}
		if err := giveAddresses(link, addresses...); err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	})
	if err != nil {
		return fmt.Errorf("bridge %s in %s: %w", bridge.Name, namespace, err)
	}
	return nil
}

func giveAddresses(link netlink.Link, addresses ...netip.Prefix) error {
	for _, address := range addresses {
		a := &netlink.Addr{IPNet: &net.IPNet{IP: address.Addr().AsSlice(), Mask: net.CIDRMask(address.Bits(), address.Addr().BitLen())}}
		if address.Addr().Is6() {
			a.Flags = nodad // it is the only one there, and usable at once
		}
		if err := netlink.AddrReplace(link, a); err != nil {
			return fmt.Errorf("address %s on %s: %w", address, link.Attrs().Name, err)
		}
	}
	return nil
}

const nodad = 0x02 // IFA_F_NODAD, linux/if_addr.h

// plugEnd is one end of a cable.
type plugEnd struct{ namespace, name string }

// raiseCable ensures a veth pair between two namespaces, up at both ends; bridge is the Linux bridge that the first end is
// plugged into, "" for none.
func raiseCable(from, to plugEnd, bridge string, mtu int) error {
	err := netns.Do(from.namespace, func() error {
		far, err := handles.GetFromName(to.namespace)
		if err != nil {
			return err
		}
		defer far.Close()
		link, err := ensureLink(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: from.name, MTU: mtu},
			PeerName:  to.name, PeerNamespace: netlink.NsFd(far),
		})
		if err != nil {
			return err
		}
		if bridge != "" {
			if err := netlink.LinkSetMaster(link, &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}}); err != nil {
				return err
			}
		}
		return netlink.LinkSetUp(link)
	})
	if err != nil {
		return fmt.Errorf("cable from %s in %s to %s in %s: %w", from.name, from.namespace, to.name, to.namespace, err)
	}
	return setUp(to.namespace, to.name)
}

func setUp(namespace, name string) error {
	err := netns.Do(namespace, func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	})
	if err != nil {
		return fmt.Errorf("set %s in %s up: %w", name, namespace, err)
	}
	return nil
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
