package netboot

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// leaseTimes are options 51, 58 and 59: the lease, and when to renew and rebind it (RFC 2131 section 4.4.5). It is short: a
// machine is moved between networks more often than it forgets to renew.
var leaseTimes = map[uint8]time.Duration{51: time.Hour, 58: time.Hour / 2, 59: time.Hour * 7 / 8}

// lookupTimeout is how long a client waits before it asks again; a later answer is of no use to anybody.
const lookupTimeout = 4 * time.Second

// responder answers DHCP messages from static reservations. It has no state of its own.
type responder struct {
	source Source
	self   netip.Addr
	web    netip.AddrPort
	log    *slog.Logger
}

// answer decodes a datagram and makes the reply; both are nil for a malformed one, and the reply is nil where RFC 2131
// asks for silence.
func (r *responder) answer(ctx context.Context, datagram []byte) (request, reply *dhcpv4.DHCPv4) {
	request, err := dhcpv4.FromBytes(datagram)
	if err != nil || !wellFormed(request) {
		return nil, nil
	}
	mac := request.ClientHWAddr.String()
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	lease, err := r.source.Lease(ctx, mac)
	if err != nil {
		r.log.Error("A DHCP request went unanswered: the reservation could not be read", "mac", mac, "error", err)
		return request, nil
	}
	if lease == nil || !lease.Addr.Addr().Is4() {
		return request, nil
	}
	switch kind := r.verdict(request, lease); kind {
	case dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck:
		return request, r.grant(kind, request, lease)
	case dhcpv4.MessageTypeNak:
		return request, r.refuse(request)
	}
	return request, nil
}

// wellFormed holds for what an Ethernet client may send to a server. The codec lets more through.
func wellFormed(m *dhcpv4.DHCPv4) bool {
	for _, code := range []dhcpv4.OptionCode{dhcpv4.OptionRequestedIPAddress, dhcpv4.OptionServerIdentifier} {
		if m.Options.Has(code) && len(m.Options.Get(code)) != net.IPv4len {
			return false
		}
	}
	return m.OpCode == dhcpv4.OpcodeBootRequest && m.HWType == iana.HWTypeEthernet && len(m.ClientHWAddr) == 6 &&
		len(m.Options.Get(dhcpv4.OptionDHCPMessageType)) == 1
}

// verdict is the kind of message to reply with (RFC 2131 section 4.3), or none.
func (r *responder) verdict(m *dhcpv4.DHCPv4, lease *Lease) dhcpv4.MessageType {
	ours := net.IP(lease.Addr.Addr().AsSlice())
	server := m.ServerIdentifier()
	forUs := server == nil || server.Equal(r.self.AsSlice())
	switch m.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		return dhcpv4.MessageTypeOffer
	case dhcpv4.MessageTypeRequest:
		// After an offer and after a restart the address is in option 50, in renewing and rebinding it is in ciaddr.
		wanted := m.RequestedIPAddress()
		if wanted == nil {
			wanted = m.ClientIPAddr
		}
		switch {
		case !forUs, wanted.IsUnspecified():
			return dhcpv4.MessageTypeNone
		case wanted.Equal(ours):
			return dhcpv4.MessageTypeAck
		default:
			return dhcpv4.MessageTypeNak
		}
	case dhcpv4.MessageTypeInform:
		if m.ClientIPAddr.Equal(ours) {
			return dhcpv4.MessageTypeAck
		}
	case dhcpv4.MessageTypeDecline:
		if forUs {
			r.log.Warn("A machine found its reserved address in use by somebody else", "mac", m.ClientHWAddr.String(), "address", lease.Addr.Addr())
		}
	case dhcpv4.MessageTypeRelease:
		r.log.Debug("A machine gave its address back; the reservation stays", "mac", m.ClientHWAddr.String(), "address", lease.Addr.Addr())
	}
	return dhcpv4.MessageTypeNone
}

// grant makes an OFFER or ACK with the reservation's parameters and the boot file, where a boot is armed.
func (r *responder) grant(kind dhcpv4.MessageType, m *dhcpv4.DHCPv4, lease *Lease) *dhcpv4.DHCPv4 {
	reply := r.reply(kind, m)
	mask := net.CIDRMask(lease.Addr.Bits(), 32)
	reply.UpdateOption(dhcpv4.OptSubnetMask(mask))
	if lease.Hostname != "" {
		reply.UpdateOption(dhcpv4.OptHostName(lease.Hostname))
	}
	if m.MessageType() == dhcpv4.MessageTypeInform {
		reply.ClientIPAddr = m.ClientIPAddr // and neither yiaddr nor times: RFC 2131 section 4.3.5
	} else {
		if m.MessageType() == dhcpv4.MessageTypeRequest {
			reply.ClientIPAddr = m.ClientIPAddr
		}
		reply.YourIPAddr = lease.Addr.Addr().AsSlice()
		for code, after := range leaseTimes {
			reply.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), dhcpv4.Duration(after).ToBytes()))
		}
	}
	if p := programOf(m); p != nil && lease.BootKey != "" {
		p.boot(reply, m, r.self, r.web, lease.BootKey)
		r.log.Info("A machine asks what to boot", "mac", m.ClientHWAddr.String(), "program", p.name, "message", kind)
	}
	return reply
}

// refuse makes a NAK. A relay must broadcast it: the client's address is wrong (RFC 2131 section 4.3.2).
func (r *responder) refuse(m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	reply := r.reply(dhcpv4.MessageTypeNak, m)
	if !m.GatewayIPAddr.IsUnspecified() {
		reply.SetBroadcast()
	}
	r.log.Info("Refused a machine an address that is not its own", "mac", m.ClientHWAddr.String())
	return reply
}

// reply has what every reply has; option 82 and the client identifier come back as they came (RFC 3046, RFC 6842).
func (r *responder) reply(kind dhcpv4.MessageType, m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	reply := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: m.HWType, TransactionID: m.TransactionID, Flags: m.Flags,
		ClientHWAddr: m.ClientHWAddr, GatewayIPAddr: m.GatewayIPAddr, Options: dhcpv4.Options{},
	}
	reply.UpdateOption(dhcpv4.OptMessageType(kind))
	reply.UpdateOption(dhcpv4.OptServerIdentifier(r.self.AsSlice()))
	for _, code := range []dhcpv4.OptionCode{dhcpv4.OptionRelayAgentInformation, dhcpv4.OptionClientIdentifier} {
		dhcpv4.WithOptionCopied(m, code)(reply)
	}
	return reply
}

// serveDHCP answers until the socket is closed.
func serveDHCP(ctx context.Context, sock *dhcpSocket, r *responder, log *slog.Logger) {
	buf := make([]byte, 1<<16)
	for {
		n, err := sock.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // the interface is down, perhaps: it may come back
			log.Warn("Receiving DHCP failed", "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
				continue
			}
		}
		request, reply := r.answer(ctx, buf[:n])
		if reply == nil {
			continue
		}
		if err := sock.Send(request, reply); err != nil {
			log.Warn("Sending a DHCP reply failed", "mac", request.ClientHWAddr.String(), "error", err)
		}
	}
}
