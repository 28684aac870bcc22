package ovn

import (
	"context"
	"fmt"
	"strconv"
)

// ToR is a plain VLAN switch at the top of a rack: every server port has a VLAN of its own, and the uplinks are trunked
// into chassis. It learns addresses and knows nothing of OVN.
type ToR struct {
	Namespace string // the servers' taps are opened here

	name    string
	vswitch vswitch
	uplinks map[string]string // by chassis: the switch's interface
}

const (
	torBridge = "switch"
	// noVLAN is a VLAN that no port is in: an empty list would trunk all of them.
	noVLAN = "4095"
)

// torPart is what the namespace and the folder of a plain switch are called.
func torPart(name string) string { return "tor-" + name }

// ToR ensures a switch; one goroutine at a time may. Its uplinks and ports are what is called for after each Start.
func (c *Cluster) ToR(ctx context.Context, name string) (*ToR, error) {
	if !nameAllowed.MatchString(name) {
		return nil, fmt.Errorf("a switch's name is %s, not %q", nameRule, name)
	}
	c.mu.Lock()
	t := c.tors[name]
	c.mu.Unlock()
	if t != nil {
		return t, nil
	}
	part := torPart(name)
	t = &ToR{name: name, vswitch: c.newVswitch(part, part), Namespace: c.namespace(part), uplinks: map[string]string{}}
	if err := c.claim(part); err != nil {
		return nil, err
	}
	if err := raiseNamespace(t.Namespace, silence); err != nil {
		return nil, err
	}
	if err := t.vswitch.start(ctx, append(t.vswitch.options(), t.vswitch.addBridge(torBridge)...), nil); err != nil {
		return nil, fmt.Errorf("switch %s: %w", name, err)
	}
	c.mu.Lock()
	c.tors[name] = t
	c.mu.Unlock()
	return t, nil
}

// Uplink ensures the trunk into a chassis, which is the logical parent port ifaceID there. Each chassis needs a parent
// port of its own: one that is claimed by two breaks replies.
func (t *ToR) Uplink(ctx context.Context, chassis, ifaceID string) error {
	c := t.vswitch.cluster
	ch, err := c.find(chassis)
	if err != nil {
		return err
	}
	near := plugEnd{t.Namespace, fmt.Sprintf("uplink%d", ch.index)}
	far := plugEnd{ch.netns, interfaceName("tor-" + t.name)}
	if err := raiseCable(near, far, "", 0); err != nil {
		return err
	}
	err = t.vswitch.plug(ctx, torBridge, near.name, "--", "set", "Port", near.name, "vlan_mode=trunk",
		"--", "add", "Port", near.name, "trunks", noVLAN)
	if err != nil {
		return fmt.Errorf("uplink of switch %s: %w", t.name, err)
	}
	t.uplinks[chassis] = near.name
	return c.Plug(ctx, chassis, far.name, ifaceID)
}

// PortTap ensures a tap for a server in the switch's namespace and attaches it.
func (t *ToR) PortTap(ctx context.Context, ifname string, vlan uint16, chassis string) error {
	if err := raiseTap(t.Namespace, ifname, fmt.Sprintf("vlan %d", vlan)); err != nil {
		return err
	}
	return t.Port(ctx, ifname, vlan, chassis)
}

// Port ensures that an interface of the switch's namespace is alone in its VLAN (1 to 4094), and that the VLAN goes up to
// that chassis, where the child port with that tag is bound, and to no other. All of it changes at once.
func (t *ToR) Port(ctx context.Context, ifname string, vlan uint16, chassis string) error {
	if vlan < 1 || vlan > 4094 {
		return fmt.Errorf("a VLAN is 1 to 4094, not %d", vlan)
	}
	if t.uplinks[chassis] == "" {
		return fmt.Errorf("switch %s has no uplink to chassis %q", t.name, chassis)
	}
	tag := strconv.Itoa(int(vlan))
	settings := []string{"--", "set", "Port", ifname, "vlan_mode=access", "tag=" + tag}
	old, err := t.vswitch.vsctl(ctx, "--if-exists", "get", "Port", ifname, "tag")
	if err != nil {
		return fmt.Errorf("port %s of switch %s: %w", ifname, t.name, err)
	}
	for to, uplink := range t.uplinks {
		if old != "" && old != "[]" && old != tag {
			settings = append(settings, "--", "remove", "Port", uplink, "trunks", old)
		}
		change := "remove"
		if to == chassis {
			change = "add"
		}
		settings = append(settings, "--", change, "Port", uplink, "trunks", tag)
	}
	if err := t.vswitch.plug(ctx, torBridge, ifname, settings...); err != nil {
		return fmt.Errorf("port %s of switch %s: %w", ifname, t.name, err)
	}
	return nil
}
