package netboot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// dhcpSocket receives on UDP port 67 of one interface and sends in the four ways of RFC 2131 section 4.1. A client that
// has no address yet does not answer ARP, so its replies go out as frames of our own making.
type dhcpSocket struct {
	udp   *net.UDPConn
	conn  *ipv4.PacketConn
	frame int // a packet socket that only sends
	nic   *net.Interface
	self  netip.Addr
}

func openDHCP(nic *net.Interface, self netip.Addr) (*dhcpSocket, error) {
	udp, err := server4.NewIPv4UDPConn(nic.Name, &net.UDPAddr{Port: dhcpv4.ServerPort})
	if err != nil {
		return nil, err
	}
	// Protocol 0: it receives nothing.
	frame, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("packet socket: %w", err), udp.Close())
	}
	return &dhcpSocket{udp: udp, conn: ipv4.NewPacketConn(udp), frame: frame, nic: nic, self: self}, nil
}

// Read takes the next datagram.
func (s *dhcpSocket) Read(b []byte) (int, error) { return s.udp.Read(b) }

// Send delivers the reply to a request.
func (s *dhcpSocket) Send(request, reply *dhcpv4.DHCPv4) error {
	to := &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ClientPort}
	switch {
	case !request.GatewayIPAddr.IsUnspecified():
		to = &net.UDPAddr{IP: request.GatewayIPAddr, Port: dhcpv4.ServerPort}
	case reply.MessageType() == dhcpv4.MessageTypeNak: // broadcast, whatever the client believes to have
	case !request.ClientIPAddr.IsUnspecified():
		to.IP = request.ClientIPAddr
	case !request.IsBroadcast():
		return s.sendFrame(reply.YourIPAddr, reply.ClientHWAddr, reply.ToBytes())
	}
	_, err := s.conn.WriteTo(reply.ToBytes(), &ipv4.ControlMessage{Src: s.self.AsSlice(), IfIndex: s.nic.Index}, to)
	return err
}

// sendFrame sends a datagram to port 68 of an address that is not on the network yet.
func (s *dhcpSocket) sendFrame(ip net.IP, mac net.HardwareAddr, payload []byte) error {
	to := &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16([]byte{0x08, 0x00}), Ifindex: s.nic.Index, Halen: 6}
	copy(to.Addr[:], mac)
	return unix.Sendto(s.frame, udpPacket(s.self.AsSlice(), ip.To4(), dhcpv4.ServerPort, dhcpv4.ClientPort, payload), 0, to)
}

// Close ends Read too.
func (s *dhcpSocket) Close() error { return errors.Join(s.udp.Close(), unix.Close(s.frame)) }

// udpPacket is an IPv4 packet (RFC 791) with a UDP datagram (RFC 768).
func udpPacket(src, dst net.IP, srcPort, dstPort uint16, payload []byte) []byte {
	const ipLen, udpLen = 20, 8
	be := binary.BigEndian
	p := make([]byte, ipLen+udpLen, ipLen+udpLen+len(payload))
	p[0], p[8], p[9] = 0x45, 64, unix.IPPROTO_UDP // version 4, five words; hops
	be.PutUint16(p[2:], uint16(ipLen+udpLen+len(payload)))
	copy(p[12:], src)
	copy(p[16:], dst)
	be.PutUint16(p[10:], checksum(p[:ipLen], 0))
	udp := p[ipLen:]
	be.PutUint16(udp[0:], srcPort)
	be.PutUint16(udp[2:], dstPort)
	be.PutUint16(udp[4:], uint16(udpLen+len(payload)))
	p = append(p, payload...)
	// The pseudo header is the addresses, the protocol and the length.
	sum := checksum(p[12:], unix.IPPROTO_UDP+uint32(udpLen+len(payload)))
	if sum == 0 {
		sum = 0xffff // 0 means "none"
	}
	be.PutUint16(p[ipLen+6:], sum)
	return p
}

// checksum is the Internet checksum (RFC 1071) of b, begun with sum.
func checksum(b []byte, sum uint32) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
