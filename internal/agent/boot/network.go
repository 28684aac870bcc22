package boot

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"

	"github.com/ingotcloud/ingot/internal/agentapi"
)

// Network brings all NICs up (LLDP and the inventory want their links) and gives the one of the boot parameters its
// address: the fixed one, else by DHCP, whose lease is kept until ctx ends. It waits for the NIC for as long as ctx
// lasts.
func Network(ctx context.Context, boot agentapi.Boot, log *slog.Logger) error {
	link, err := waitForNIC(ctx, boot.MAC, log)
	if err != nil {
		return err
	}
	log.Info("using the NIC", "nic", link.Attrs().Name, "mac", link.Attrs().HardwareAddr.String())
	if boot.CIDR != "" {
		address, err := netlink.ParseAddr(boot.CIDR)
		if err != nil {
			return fmt.Errorf("address %s: %w", boot.CIDR, err)
		}
		if err := netlink.AddrReplace(link, address); err != nil {
			return fmt.Errorf("giving %s the address %s: %w", link.Attrs().Name, boot.CIDR, err)
		}
		return nil
	}
	return lease(ctx, link, log)
}

// waitForNIC gives the NIC with that address, or without one the first NIC with a link.
func waitForNIC(ctx context.Context, mac string, log *slog.Logger) (netlink.Link, error) {
	for told := false; ; told = true {
		links, err := netlink.LinkList()
		if err != nil {
			return nil, fmt.Errorf("listing the NICs: %w", err)
		}
		var macs []string
		for _, link := range links {
			attrs := link.Attrs()
			if err := netlink.LinkSetUp(link); err != nil && !told {
				log.Warn("a NIC does not come up", "nic", attrs.Name, "error", err)
			}
			if attrs.Flags&net.FlagLoopback != 0 || link.Type() != "device" {
				continue
			}
			macs = append(macs, attrs.HardwareAddr.String())
			if mac != "" && strings.EqualFold(attrs.HardwareAddr.String(), mac) ||
				mac == "" && (attrs.OperState == netlink.OperUp || attrs.OperState == netlink.OperUnknown) {
				return link, nil
			}
		}
		if !told {
			log.Info("waiting for the NIC", "mac", mac, "there", macs)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no NIC %s, only %v: %w", mac, macs, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// lease gets an address by DHCP, tries until there is one, and renews it in the background.
func lease(ctx context.Context, link netlink.Link, log *slog.Logger) error {
	client, err := nclient4.New(link.Attrs().Name, nclient4.WithTimeout(3*time.Second), nclient4.WithRetry(4))
	if err != nil {
		return fmt.Errorf("DHCP on %s: %w", link.Attrs().Name, err)
	}
	for {
		got, err := client.Request(ctx)
		if err == nil {
			if err := apply(link, got.ACK, nil); err != nil {
				return err
			}
			log.Info("leased an address", "address", got.ACK.YourIPAddr.String())
			go renew(ctx, client, link, got, log)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		log.Warn("no answer by DHCP, asking again", "error", err)
		if !pause(ctx, time.Second) {
			return ctx.Err()
		}
	}
}

// renew asks for the same address at half of the lease's time, and for a new one when that is refused.
func renew(ctx context.Context, client *nclient4.Client, link netlink.Link, held *nclient4.Lease, log *slog.Logger) {
	defer client.Close()
	for {
		half := max(held.ACK.IPAddressLeaseTime(time.Hour)/2, 10*time.Second)
		if !pause(ctx, half) {
			return
		}
		next, err := client.Renew(ctx, held)
		if err != nil {
			log.Warn("renewing the address failed, asking for a new one", "error", err)
			if next, err = client.Request(ctx); err != nil {
				log.Warn("no answer by DHCP", "error", err)
				continue
			}
		}
		if err := apply(link, next.ACK, held.ACK); err != nil {
			log.Error("taking the renewed address failed", "error", err)
			continue
		}
		held = next
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

// apply sets the address and the default route of a lease and drops the address of the one before, if it is another.
func apply(link netlink.Link, ack, before *dhcpv4.DHCPv4) error {
	mask := ack.SubnetMask()
	if mask == nil {
		mask = ack.YourIPAddr.DefaultMask()
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: ack.YourIPAddr, Mask: mask}}
	if err := netlink.AddrReplace(link, address); err != nil {
		return fmt.Errorf("giving %s the address %s: %w", link.Attrs().Name, address.IPNet, err)
	}
	if before != nil && !before.YourIPAddr.Equal(ack.YourIPAddr) {
		old := &netlink.Addr{IPNet: &net.IPNet{IP: before.YourIPAddr, Mask: before.SubnetMask()}}
		if err := netlink.AddrDel(link, old); err != nil {
			return fmt.Errorf("dropping the address %s: %w", old.IPNet, err)
		}
	}
	if routers := ack.Router(); len(routers) > 0 {
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: routers[0]}
		if err := netlink.RouteReplace(route); err != nil {
			return fmt.Errorf("setting the default route by %s: %w", routers[0], err)
		}
	}
	return nil
}
