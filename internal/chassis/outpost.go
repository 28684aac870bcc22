package chassis

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	handles "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
	"github.com/ingotcloud/ingot/internal/netns"
)

// outpost is a network's metadata service on this chassis.
type outpost struct {
	place  place
	server *http.Server
}

// inside is the name of an outpost's interface in its namespace.
const inside = "eth0"

// marked is in the names of all outposts' namespaces, between the runner's name and the network's id.
const marked = "-metadata-"

func (r *runner) namespaceOf(network string) string { return r.Name + marked + network }

// linkOf is the other end, which is plugged into the integration bridge. The kernel takes 15 characters.
func linkOf(network string) string {
	sum := sha256.Sum256([]byte(network))
	return "md-" + hex.EncodeToString(sum[:6])
}

// raise ensures an outpost, in an order in which nothing is ever reachable that should not be: rules, cable, plug, service.
func (r *runner) raise(ctx context.Context, network string, at place) error {
	ns, link := r.namespaceOf(network), linkOf(network)
	if !netns.Exists(ns) {
		r.hangUp(network) // it would listen in a namespace that nobody can name any more
		if err := netns.Create(ns); err != nil {
			return err
		}
	}
	v6 := false
	for _, a := range at.addresses {
		v6 = v6 || a.Is6()
	}
	if err := netns.Do(ns, func() error { return errors.Join(deafen(v6), loadRules(firewall(at.addresses))) }); err != nil {
		return fmt.Errorf("close namespace %s: %w", ns, err)
	}
	if err := r.raiseCable(ctx, ns, link, at); err != nil {
		return fmt.Errorf("cable %s to %s: %w", link, ns, err)
	}
	if err := netns.Do(ns, func() error { return configure(at) }); err != nil {
		return fmt.Errorf("%s in %s: %w", inside, ns, err)
	}
	if err := r.plug(ctx, link, topology.MetadataPort(network)); err != nil {
		return fmt.Errorf("plug %s: %w", link, err)
	}
	if o := r.outposts[network]; o != nil && o.place.equal(at) {
		return nil
	}
	r.hangUp(network)
	listeners, err := listen(ns, v6)
	if err != nil {
		return err
	}
	r.outposts[network] = &outpost{at, r.serve(network, listeners)}
	r.Logger.Info("a network has its metadata service here", "network", network, "namespace", ns)
	return nil
}

// listen names both families: what Go makes of a plain "tcp" depends on the namespace in which it was first asked for a socket.
func listen(ns string, v6 bool) (all []net.Listener, err error) {
	families := []string{"tcp4"}
	if v6 {
		families = append(families, "tcp6")
	}
	for _, family := range families {
		listener, err := netns.Listen(ns, family, fmt.Sprintf(":%d", servicePort))
		if err != nil {
			for _, l := range all {
				_ = l.Close() // never used
			}
			return nil, err
		}
		all = append(all, listener)
	}
	return all, nil
}

// remove takes an outpost away, or what is left of one.
func (r *runner) remove(ctx context.Context, network string) error {
	ns, link := r.namespaceOf(network), linkOf(network)
	r.hangUp(network)
	if err := r.unplug(ctx, link); err != nil { // first: vswitchd would look for its interface
		return fmt.Errorf("unplug %s: %w", link, err)
	}
	if err := netns.Do(r.Namespace, func() error { return deleteLink(link) }); err != nil {
		return err
	}
	if err := netns.Delete(ns); err != nil {
		return err
	}
	r.Logger.Info("a network needs no metadata service here any more", "network", network)
	return nil
}

// hangUp ends the service and leaves the rest.
func (r *runner) hangUp(network string) {
	if o := r.outposts[network]; o != nil {
		_ = o.server.Close() // cloud-init asks again
		delete(r.outposts, network)
	}
}

// leftovers are the networks of which anything stands, whoever made it.
func (r *runner) leftovers(ctx context.Context) ([]string, error) {
	networks, err := r.plugged(ctx)
	if err != nil {
		return nil, err
	}
	namespaces, err := netns.Names()
	if err != nil {
		return nil, err
	}
	for _, name := range namespaces {
		if network, ours := strings.CutPrefix(name, r.Name+marked); ours {
			networks = append(networks, network)
		}
	}
	return networks, nil
}

// raiseCable ensures a veth pair between the switch's namespace and the outpost's. vswitchd holds on to an interface that
// was deleted, also when it sees the index of its namesake; so what was plugged in is taken out before it is made anew, and
// a crash in between leaves nothing that looks whole.
func (r *runner) raiseCable(ctx context.Context, ns, name string, at place) error {
	mac, err := net.ParseMAC(at.mac)
	if err != nil {
		return err
	}
	near, err := hardwareOf(r.Namespace, name)
	if err != nil {
		return err
	}
	far, err := hardwareOf(ns, inside)
	if err != nil {
		return err
	}
	if near == nil || !bytes.Equal(far, mac) {
		if err := r.unplug(ctx, name); err != nil {
			return err
		}
		return netns.Do(r.Namespace, func() error {
			if err := deleteLink(name); err != nil {
				return err
			}
			return addCable(ns, name, mac)
		})
	}
	return nil
}

// hardwareOf is the hardware address of a namespace's interface; nil when there is none.
func hardwareOf(ns, name string) (mac net.HardwareAddr, err error) {
	err = netns.Do(ns, func() error {
		link, err := netlink.LinkByName(name)
		if err == nil {
			mac = link.Attrs().HardwareAddr
		}
		return absentIsFine(err)
	})
	return mac, err
}

// addCable makes the pair in the caller's namespace, with the far end in the other.
func addCable(ns, name string, mac net.HardwareAddr) error {
	far, err := handles.GetFromName(ns)
	if err != nil {
		return err
	}
	defer far.Close() //nolint:errcheck // a handle
	err = netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: inside, PeerNamespace: netlink.NsFd(far), PeerHardwareAddr: mac,
	})
	if err != nil {
		return err
	}
	// The kernel of this namespace is the switch's host, and has nothing to say on a tenant's wire.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// configure gives the interface its addresses, and a way to every address of the network, in the caller's namespace.
func configure(at place) error {
	link, err := netlink.LinkByName(inside)
	if err != nil {
		return err
	}
	want := map[string]bool{}
	for _, a := range at.addresses {
		bits := a.BitLen()
		if a.Is6() {
			bits = 64 // its neighbours are those of the link
		}
		address := &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, a.BitLen())}}
		want[address.IPNet.String()] = true
		if a.Is6() {
			address.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrReplace(link, address); err != nil {
			return fmt.Errorf("address %s: %w", a, err)
		}
	}
	have, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	for _, a := range have {
		if !want[a.IPNet.String()] {
			if err := netlink.AddrDel(link, &a); err != nil {
				return fmt.Errorf("remove address %s: %w", a.IPNet, err)
			}
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	// Machines have any address, and all of them are on the wire.
	all := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	return netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: all, Scope: netlink.SCOPE_LINK})
}

// deleteLink deletes an interface of the caller's namespace; one that is not there is deleted already.
func deleteLink(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return absentIsFine(err)
}

func absentIsFine(err error) error {
	var absent netlink.LinkNotFoundError
	if errors.As(err, &absent) {
		return nil
	}
	return err
}
