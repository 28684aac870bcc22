package ovn

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"github.com/vishvananda/netlink"

	"github.com/ingotcloud/ingot/internal/netns"
)

// The bridges of a chassis. The underlay's carries the tunnels' address: Open vSwitch in userspace tunnels only through a
// bridge of its own.
const (
	bridgeIntegration = "br-int"
	bridgeUnderlay    = "br-phys"
	bridgeExternal    = "br-ex"
)

// PhysicalNetwork is the name under which OVN (a localnet port's network_name) knows what is behind the gateways.
const PhysicalNetwork = "external"

// chassis is one place where machines are plugged in.
type chassis struct {
	ChassisSpec
	vswitch
	index int
	off   atomic.Bool
}

// chassisPart is what the namespace and the folder of a chassis are called.
func chassisPart(name string) string { return "chassis-" + name }

// raise ensures the namespace and the cable to the underlay.
func (ch *chassis) raise() error {
	if err := raiseNamespace(ch.netns, tunnelsOnly); err != nil {
		return err
	}
	near := plugEnd{ch.cluster.namespace(underlay), fmt.Sprintf("chassis%d", ch.index)}
	return raiseCable(near, plugEnd{ch.netns, "nic"}, underlay, underlayMTU)
}

// start brings the daemons up. OVN's controller must be born in the chassis' namespace, as vswitchd must.
func (ch *chassis) start(ctx context.Context) error {
	if err := ch.vswitch.start(ctx, ch.configuration(), ch.addressUnderlay); err != nil {
		return err
	}
	controller, err := ch.cluster.daemon(ch.Name+"/controller", ch.part, "controller", "ovn-controller", ch.endpoint())
	if err != nil {
		return err
	}
	return ch.keep(ctx, controller)
}

// configuration says in one transaction what this chassis is.
func (ch *chassis) configuration() []string {
	args := append(ch.options(),
		"external_ids:system-id="+ch.Name,
		"external_ids:hostname="+ch.Name,
		`external_ids:ovn-remote="`+ch.cluster.SB()+`"`,
		"external_ids:ovn-encap-type=geneve",
		"external_ids:ovn-encap-ip="+underlayAddress(ch.index).Addr().String(),
		"external_ids:ovn-bridge-datapath-type="+ch.cluster.software.datapath(),
		"external_ids:ovn-monitor-all=true", // a small network: less work than choosing
	)
	if ch.Gateway {
		args = append(args,
			"external_ids:ovn-cms-options=enable-chassis-as-gw",
			"external_ids:ovn-bridge-mappings="+PhysicalNetwork+":"+bridgeExternal)
		args = append(args, ch.addBridge(bridgeExternal)...)
	}
	// Without a controller it forwards nothing, instead of everything.
	args = append(args, ch.addBridge(bridgeIntegration, "fail_mode=secure", "other_config:disable-in-band=true")...)
	args = append(args, ch.addBridge(bridgeUnderlay)...)
	return append(args, "--", "--may-exist", "add-port", bridgeUnderlay, "nic")
}

// addressUnderlay gives the tunnels' address to the underlay bridge's own interface, which vswitchd makes when it starts
// and takes along when it dies.
func (ch *chassis) addressUnderlay(ctx context.Context) error {
	own := plugEnd{ch.netns, bridgeUnderlay}
	if err := poll(ctx, func() (bool, error) { return exists(own) }); err != nil {
		return err
	}
	// The interface is there before vswitchd is through with making it. At the end of that it writes the interface's flags as
	// it found them: one that is set up meanwhile is down again, for ever, and the chassis has no tunnels. It answers after.
	if _, err := ch.cluster.run(ctx, ch.part, "ovs-appctl", "--timeout=20", "-t", ch.vswitchd.file(".ctl"), "version"); err != nil {
		return err
	}
	return netns.Do(ch.netns, func() error {
		link, err := netlink.LinkByName(bridgeUnderlay)
		if err != nil {
			return err
		}
		if err := giveAddresses(link, underlayAddress(ch.index)); err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	})
}

// hasFlows says whether vswitchd forwards what OVN told it. OVN itself counts a chassis with a dead vswitchd as done.
func (ch *chassis) hasFlows(ctx context.Context) bool {
	if ch.vswitchd.pid.Load() == 0 {
		return false
	}
	management := "unix:" + filepath.Join(ch.cluster.dir, ch.part, bridgeIntegration+".mgmt")
	out, err := ch.cluster.run(ctx, ch.part, "ovs-ofctl", "--timeout=5", "-O", "OpenFlow15", "dump-aggregate", management)
	if err != nil {
		return false // it is being started again
	}
	n, err := flowCount(out)
	return err == nil && n > 0
}

// PowerOff crashes a chassis: all its daemons die at once and stay dead. What OVN thinks of it meanwhile is OVN's affair.
func (c *Cluster) PowerOff(ctx context.Context, name string) error {
	ch, err := c.find(name)
	if err != nil {
		return err
	}
	ch.off.Store(true)
	for _, d := range ch.daemons {
		d.held.Store(true)
	}
	var errs []error
	for _, d := range ch.daemons {
		errs = append(errs, d.kill(ctx))
	}
	return errors.Join(errs...)
}

// PowerOn lets a chassis come back, and returns when its daemons have.
func (c *Cluster) PowerOn(ctx context.Context, name string) error {
	ch, err := c.find(name)
	if err != nil {
		return err
	}
	for _, d := range ch.daemons {
		d.held.Store(false)
	}
	for _, d := range ch.daemons {
		if err := poll(ctx, func() (bool, error) { return d.pid.Load() != 0, nil }); err != nil {
			return fmt.Errorf("power chassis %s on: %s is not up: %w", name, d.name, err)
		}
	}
	ch.off.Store(false)
	return nil
}
