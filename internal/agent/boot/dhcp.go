package boot

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
)

// wanted is what we ask for beside address and mask.
var wanted = dhcpv4.WithRequestedOptions(
	dhcpv4.OptionRouter, dhcpv4.OptionClasslessStaticRoute, dhcpv4.OptionInterfaceMTU, dhcpv4.OptionDomainNameServer)

// Lease gets a NIC an address by DHCP, with routes and MTU: it tries until there is one, and renews it in the background
// until ctx ends. Each new answer is told.
func Lease(ctx context.Context, link netlink.Link, log *slog.Logger, told func(*dhcpv4.DHCPv4)) error {
	// The second try waits twice as long. A network that comes up later is noticed within some seconds.
	client, err := nclient4.New(link.Attrs().Name, nclient4.WithTimeout(2*time.Second), nclient4.WithRetry(2))
	if err != nil {
		return fmt.Errorf("DHCP on %s: %w", link.Attrs().Name, err)
	}
	for first := true; ; first = false {
		got, err := client.Request(ctx, wanted)
		if err == nil {
			if err := apply(link, got.ACK, nil); err != nil {
				return err
			}
			log.Info("leased an address", "nic", link.Attrs().Name, "address", got.ACK.YourIPAddr.String())
			told(got.ACK)
			go renew(ctx, client, link, got, log, told)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if first {
			log.Warn("no answer by DHCP, asking again", "nic", link.Attrs().Name, "error", err)
		}
		if !pause(ctx, time.Second) {
			return ctx.Err()
		}
	}
}

// renew asks for the same address at half of the lease's time, and for a new one when that is refused.
func renew(ctx context.Context, client *nclient4.Client, link netlink.Link, held *nclient4.Lease, log *slog.Logger, told func(*dhcpv4.DHCPv4)) {
	defer client.Close()
	for {
		half := max(held.ACK.IPAddressLeaseTime(time.Hour)/2, 10*time.Second)
		if !pause(ctx, half) {
			return
		}
		next, err := client.Renew(ctx, held, wanted)
		if err != nil {
			log.Warn("renewing the address failed, asking for a new one", "error", err)
			if next, err = client.Request(ctx, wanted); err != nil {
				log.Warn("no answer by DHCP", "error", err)
				continue
			}
		}
		if err := apply(link, next.ACK, held.ACK); err != nil {
			log.Error("taking the renewed address failed", "error", err)
			continue
		}
		held = next
		told(held.ACK)
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// apply sets the address, the MTU and the routes of a lease and drops the address of the one before, if it is another.
func apply(link netlink.Link, ack, before *dhcpv4.DHCPv4) error {
	name := link.Attrs().Name
	mask := ack.SubnetMask()
	if mask == nil {
		mask = ack.YourIPAddr.DefaultMask()
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: ack.YourIPAddr, Mask: mask}}
	if err := netlink.AddrReplace(link, address); err != nil {
		return fmt.Errorf("giving %s the address %s: %w", name, address.IPNet, err)
	}
	if before != nil && !before.YourIPAddr.Equal(ack.YourIPAddr) {
		old := &netlink.Addr{IPNet: &net.IPNet{IP: before.YourIPAddr, Mask: before.SubnetMask()}}
		if err := netlink.AddrDel(link, old); err != nil {
			return fmt.Errorf("dropping the address %s: %w", old.IPNet, err)
		}
	}
	if mtu, err := dhcpv4.GetUint16(dhcpv4.OptionInterfaceMTU, ack.Options); err == nil && mtu >= 576 { // RFC 2132 5.1: at least 68; IPv4 wants 576
		if err := netlink.LinkSetMTU(link, int(mtu)); err != nil {
			return fmt.Errorf("setting the MTU of %s to %d: %w", name, mtu, err)
		}
	}
	for _, route := range routes(ack) {
		// NICs have default routes of their own: the first one's is the best.
		route.LinkIndex, route.Priority = link.Attrs().Index, link.Attrs().Index
		if err := netlink.RouteReplace(&route); err != nil {
			return fmt.Errorf("setting the route %s: %w", route, err)
		}
	}
	return nil
}

// routes of a lease: with classless routes there, the router is none (RFC 3442).
func routes(ack *dhcpv4.DHCPv4) (all []netlink.Route) {
	for _, r := range ack.ClasslessStaticRoute() {
		route := netlink.Route{Dst: r.Dest, Gw: r.Router}
		if r.Router.IsUnspecified() {
			route.Gw, route.Scope = nil, netlink.SCOPE_LINK
		}
		all = append(all, route)
	}
	if routers := ack.Router(); len(all) == 0 && len(routers) > 0 {
		all = append(all, netlink.Route{Gw: routers[0]})
	}
	return all
}
