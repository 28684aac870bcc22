package ovn

import (
	"context"
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/ingotcloud/ingot/internal/netns"
)

// ToR is a plain VLAN switch at the top of a rack: every server port has a VLAN of its own, and the uplinks are trunked
// into chassis. It is a Linux bridge in a namespace of its own.
type ToR struct {
	Namespace string // the servers' taps are opened here

	name    string
	cluster *Cluster
	uplinks map[string]string // by chassis: the switch's interface
}

const torBridge = "switch"

// ToR ensures a switch. Its uplinks and ports are what is called for after each Start.
func (c *Cluster) ToR(name string) (*ToR, error) {
	if !nameAllowed.MatchString(name) {
		return nil, fmt.Errorf("a switch's name is %s, not %q", nameRule, name)
	}
	t := &ToR{Namespace: c.namespace("tor-" + name), name: name, cluster: c, uplinks: map[string]string{}}
	if err := c.record(t.Namespace); err != nil {
		return nil, err
	}
	if err := raiseNamespace(t.Namespace, silence); err != nil {
		return nil, err
	}
	filtering := true
	none := uint16(0) // a port without a VLAN carries nothing
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: torBridge}, VlanFiltering: &filtering, VlanDefaultPVID: &none}
	return t, raiseBridge(t.Namespace, bridge)
}

// Uplink ensures the trunk into a chassis, which is the logical parent port ifaceID there. Each chassis needs a parent
// port of its own: one that is claimed by two breaks replies.
func (t *ToR) Uplink(ctx context.Context, chassis, ifaceID string) error {
	ch, err := t.cluster.find(chassis)
	if err != nil {
		return err
	}
	near := plugEnd{t.Namespace, fmt.Sprintf("uplink%d", ch.index)}
	far := plugEnd{ch.netns, interfaceName("tor-" + t.name)}
	if err := raiseCable(near, far, torBridge, 0); err != nil {
		return err
	}
	t.uplinks[chassis] = near.name
	return t.cluster.Plug(ctx, chassis, far.name, ifaceID)
}

// Port ensures a tap for a server in the switch's namespace, alone in its VLAN (1 to 4094), and that the VLAN goes up to
// that chassis and to no other, where the child port with that tag is bound.
func (t *ToR) Port(ifname string, vlan uint16, chassis string) error {
	if vlan < 1 || vlan > 4094 {
		return fmt.Errorf("a VLAN is 1 to 4094, not %d", vlan)
	}
	if _, ok := t.uplinks[chassis]; !ok {
		return fmt.Errorf("switch %s has no uplink to chassis %q", t.name, chassis)
	}
	if err := raiseTap(t.Namespace, ifname, fmt.Sprintf("vlan %d", vlan)); err != nil {
		return err
	}
	return t.Attach(ifname, vlan, chassis)
}

// Attach is Port for an interface that is in the switch's namespace already.
func (t *ToR) Attach(ifname string, vlan uint16, chassis string) error {
	err := netns.Do(t.Namespace, func() error {
		link, err := netlink.LinkByName(ifname)
		if err != nil {
			return err
		}
		bridge, err := netlink.LinkByName(torBridge)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetMaster(link, bridge); err != nil {
			return err
		}
		members, err := netlink.BridgeVlanList()
		if err != nil {
			return err
		}
		for _, member := range members[int32(link.Attrs().Index)] {
			if member.Vid != vlan {
				if err := netlink.BridgeVlanDel(link, member.Vid, false, false, false, false); err != nil {
					return err
				}
			}
		}
		if err := netlink.BridgeVlanAdd(link, vlan, true, true, false, false); err != nil {
			return err
		}
		for to, name := range t.uplinks {
			uplink, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			carries := false
			for _, member := range members[int32(uplink.Attrs().Index)] {
				carries = carries || member.Vid == vlan
			}
			switch {
			case to == chassis && !carries:
				err = netlink.BridgeVlanAdd(uplink, vlan, false, false, false, false)
			case to != chassis && carries:
				err = netlink.BridgeVlanDel(uplink, vlan, false, false, false, false)
			}
			if err != nil {
				return err
			}
		}
		return netlink.LinkSetUp(link)
	})
	if err != nil {
		return fmt.Errorf("port %s of switch %s: %w", ifname, t.name, err)
	}
	return nil
}
