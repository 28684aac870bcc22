package netboot

import (
	"errors"
	"log/slog"
	"net"
	"time"

	"golang.org/x/net/ipv6"
)

// advertiser answers IPv6 router solicitations with "there is no router here". iPXE configures IPv4 and IPv6 side by
// side and goes on when both have ended; without an answer its IPv6 half gives up only after some 13 s.
type advertiser struct {
	raw  net.PacketConn
	conn *ipv6.PacketConn
	nic  *net.Interface
}

var (
	allNodes   = &net.IPAddr{IP: net.IPv6linklocalallnodes}
	allRouters = &net.IPAddr{IP: net.IPv6linklocalallrouters}
)

func openAdvertiser(nic *net.Interface) (*advertiser, error) {
	raw, err := net.ListenPacket("ip6:ipv6-icmp", "::")
	if err != nil {
		return nil, err
	}
	a := &advertiser{raw: raw, conn: ipv6.NewPacketConn(raw), nic: nic}
	var solicitations ipv6.ICMPFilter
	solicitations.SetAll(true)
	solicitations.Accept(ipv6.ICMPTypeRouterSolicitation)
	if err := errors.Join(
		a.conn.SetICMPFilter(&solicitations),
		a.conn.JoinGroup(nic, allRouters),
		a.conn.SetControlMessage(ipv6.FlagInterface, true),
	); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return a, nil
}

// serve answers until the socket is closed.
func (a *advertiser) serve(log *slog.Logger) {
	// RFC 4861 section 4.2: type, code, checksum (the kernel's), hop limit, flags, router lifetime (0: not a default
	// router), reachable and retransmission time; then the option with our link-layer address. No flags: no DHCPv6.
	message := append([]byte{134, 15: 0}, 1, 1)
	message = append(message, a.nic.HardwareAddr...)
	buf := make([]byte, 1500)
	for {
		_, from, src, err := a.conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			log.Warn("Receiving router solicitations failed", "error", err)
			time.Sleep(time.Second)
			continue
		}
		if from == nil || from.IfIndex != a.nic.Index {
			continue
		}
		// 255 hops prove to the receiver that we are on its link.
		if _, err := a.conn.WriteTo(message, &ipv6.ControlMessage{HopLimit: 255, IfIndex: a.nic.Index}, allNodes); err != nil {
			// Our own link-local address is new, perhaps, and not yet ours to use; solicitations are repeated.
			log.Info("Sending a router advertisement failed", "to", src.String(), "error", err)
		}
	}
}

// Close ends serve.
func (a *advertiser) Close() error { return a.raw.Close() }
