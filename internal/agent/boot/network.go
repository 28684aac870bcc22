package boot

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
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
	return Lease(ctx, link, log, func(*dhcpv4.DHCPv4) {})
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
