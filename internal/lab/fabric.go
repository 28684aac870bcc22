package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/ingotcloud/ingot/internal/edge"
	"github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/netns"
)

// folderOVN in the rack's folder is OVN's; no machine can have its name.
const folderOVN = "lab.ovn"

// door is the interface by which the control plane meets the machines, in the run's namespace.
const door = "rack"

// ServicesPort is the logical port that the control plane's interface is.
const ServicesPort = "ingot-services"

// chassis of a rack. Both are gateways, so that one may die; machines are spread over them, so that networks span both.
var chassis = []ovn.ChassisSpec{{Name: "one", Gateway: true}, {Name: "two", Gateway: true}}

// The plain switch for the NICs that want one, the chassis that its uplink goes to, and the logical port that the uplink is.
const (
	torName    = "top"
	torChassis = "two"
	torUplink  = "uplink-" + torName
)

// The Internet's network, which nobody has (RFC 5737), and its gateway's address in it.
var (
	internetNetwork = netip.MustParsePrefix("203.0.113.0/24")
	internetGateway = netip.MustParsePrefix("203.0.113.1/24")
)

// place is where a NIC is plugged in.
type place struct {
	chassis string // the trunk's: where its VLAN goes
	edge.Edge
}

// places of all NICs by MAC. What the control plane is told of a NIC follows from its MAC alone, so that it stays true when
// the rack file changes; two NICs whose VLANs collide are the exception.
func places(rack *RackSpec) map[string]place {
	all, taken := map[string]place{}, map[int]bool{}
	for i, m := range rack.Machines {
		for _, nic := range m.NICs {
			if nic.Edge == edge.OVS {
				all[nic.MAC] = place{chassis[i%len(chassis)].Name, edge.Edge{Kind: edge.OVS, Interface: "nic-" + strings.ReplaceAll(nic.MAC, ":", "")}}
				continue
			}
			vlan := deriveVLAN(nic.MAC)
			for taken[vlan] {
				vlan = firstVLAN + (vlan-firstVLAN+1)%vlans
			}
			taken[vlan] = true
			all[nic.MAC] = place{torChassis, edge.Edge{Kind: edge.Trunk, Interface: torUplink, VLAN: vlan}}
		}
	}
	return all
}

// namespace is where the NIC's tap is.
func (p place) namespace(run string) string {
	if p.Kind == edge.Trunk {
		return ovn.ToRNamespace(run, torName)
	}
	return ovn.ChassisNamespace(run, p.chassis)
}

// link is what the control plane is told.
func (p place) link(rack string) Link {
	at := p.chassis
	if p.Kind == edge.Trunk {
		at = torName
	}
	info, port := p.Link()
	return Link{SwitchID: deriveSwitchID(rack, at), SwitchInfo: info, PortID: port}
}

// fabric is an OVN with a rack plugged in.
type fabric struct {
	*ovn.Cluster
	rack        *RackSpec
	description *Description
}

// raiseNetwork ensures an OVN with the control plane, the machines and the Internet plugged in. Which of them reach each
// other is up to the northbound database, which is empty at first: nobody reaches anybody. Run again it changes nothing, so
// that QEMUs that survived keep their taps.
func (r *Rack) raiseNetwork(ctx context.Context, rack *RackSpec, old *Description) error {
	if err := netns.Do(r.description.Netns, raiseLoopback); err != nil {
		return err
	}
	f, err := raiseFabric(ctx, r.dir, rack, r.description, old, r.log)
	if f != nil {
		r.ovn, r.undo = f, append(r.undo, f.Close)
	}
	if err != nil {
		return err
	}
	r.description.OVN.ServicesPort, r.description.OVN.ServicesMAC = ServicesPort, deriveServicesMAC(rack.Name)
	if err := f.raiseDoor(ctx); err != nil {
		return fmt.Errorf("the control plane's interface: %w", err)
	}
	return nil
}

func raiseLoopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// RaiseFabric ensures an OVN with the NICs of a rack and the Internet plugged in, for machines that have no other network:
// there is no interface for a control plane. Close takes it down.
func RaiseFabric(ctx context.Context, dir string, rack *RackSpec, description *Description, log *slog.Logger) (io.Closer, error) {
	old, _ := ReadDescription(dir) // unreadable is told by Describe
	f, err := raiseFabric(ctx, dir, rack, description, old, log)
	if err != nil && f != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, err
}

// raiseFabric may give what is to be closed together with an error.
func raiseFabric(ctx context.Context, dir string, rack *RackSpec, description, old *Description, log *slog.Logger) (*fabric, error) {
	dir = filepath.Join(dir, folderOVN)
	if old != nil && !sameWiring(old, description) {
		// An interface that is still where it was would claim its logical port against the new one.
		if err := ovn.Sweep(dir); err != nil {
			return nil, err
		}
	}
	cluster, err := ovn.Start(ctx, ovn.Config{Name: description.Run, Dir: dir, Chassis: chassis, Logger: log})
	if err != nil {
		return nil, err
	}
	f := &fabric{cluster, rack, description}
	internet, err := cluster.Internet(ctx, internetGateway)
	if err != nil {
		return f, err
	}
	description.OVN.NB, description.OVN.SB, description.OVN.InternetNetns = cluster.NB(), cluster.SB(), internet.Namespace
	description.OVN.UserspaceTSO = cluster.UserspaceTSO()
	for _, ch := range chassis {
		description.OVN.Chassis = append(description.OVN.Chassis, ChassisDescription{ch.Name, cluster.Namespace(ch.Name), cluster.OVS(ch.Name)})
	}
	return f, f.plugMachines(ctx)
}

// sameWiring says whether every NIC of one description is where it is in the other, and no other NIC is.
func sameWiring(a, b *Description) bool {
	nics := func(d *Description) (all [][]NICDescription) {
		for _, m := range d.Machines {
			all = append(all, m.NICs)
		}
		return all
	}
	return reflect.DeepEqual(nics(a), nics(b))
}

// raiseDoor ensures the control plane's interface.
func (f *fabric) raiseDoor(ctx context.Context) error {
	cable := ovn.Cable{Namespace: f.description.Netns, Name: door, MAC: f.description.OVN.ServicesMAC}
	if err := f.PlugCable(ctx, chassis[0].Name, cable, ServicesPort); err != nil {
		return err
	}
	return netns.Do(f.description.Netns, func() error {
		link, err := netlink.LinkByName(door)
		if err != nil {
			return err
		}
		address, err := netlink.ParseAddr(f.rack.Network.CIDR)
		if err != nil {
			return err
		}
		if err := netlink.AddrReplace(link, address); err != nil {
			return fmt.Errorf("address %s on %s: %w", address, door, err)
		}
		return nil
	})
}

// plugMachines ensures the taps.
func (f *fabric) plugMachines(ctx context.Context) error {
	all := places(f.rack)
	for i, m := range f.rack.Machines {
		for n, nic := range m.NICs {
			at := all[nic.MAC]
			plug := func() error { return f.PlugTap(ctx, at.chassis, tapName(i, n), at.Interface) }
			if at.Kind == edge.Trunk {
				plug = func() error { return f.plugTrunk(ctx, tapName(i, n), at) }
			}
			if err := plug(); err != nil {
				return fmt.Errorf("machine %s: nic%d: %w", m.Name, n, err)
			}
		}
	}
	return nil
}

// plugTrunk ensures the plain switch, which a rack without such a NIC does not have, and the tap on it.
func (f *fabric) plugTrunk(ctx context.Context, tap string, at place) error {
	tor, err := f.ToR(ctx, torName)
	if err != nil {
		return err
	}
	if err := tor.Uplink(ctx, at.chassis, at.Interface); err != nil {
		return err
	}
	return tor.PortTap(ctx, tap, uint16(at.VLAN), at.chassis)
}

// route is the network namespace from which an address is dialled: the control plane's for one of the machines' network,
// the Internet's for any other.
func (r *Rack) route(to netip.Addr) string {
	if netip.MustParsePrefix(r.description.Network).Contains(to) {
		return r.description.Netns
	}
	return r.description.OVN.InternetNetns
}
