package inventory

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/agentapi"
)

// etherLLDP is LLDP's EtherType, nearestBridge the address that switches send it to (IEEE 802.1AB, 7.1).
const etherLLDP = 0x88cc

var nearestBridge = net.HardwareAddr{0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e}

// Listener hears LLDP on NICs from its start: switches speak only every half minute, so an inspection could wait long.
type Listener struct {
	until time.Time // after which nobody waits

	mu    sync.Mutex
	heard map[string]agentapi.LLDP
}

// Listen starts to listen on the NICs until ctx ends; Neighbour waits for the first patience of it only. A NIC that cannot be listened on is left out and told of in err,
// beside a listener for the others.
func Listen(ctx context.Context, nics []string, patience time.Duration) (*Listener, error) {
	l := &Listener{until: time.Now().Add(patience), heard: map[string]agentapi.LLDP{}}
	var errs []error
	for _, nic := range nics {
		socket, err := openLLDP(nic)
		if err != nil {
			errs = append(errs, fmt.Errorf("listening for LLDP on %s: %w", nic, err))
			continue
		}
		context.AfterFunc(ctx, func() { socket.Close() })
		go l.hear(nic, socket)
	}
	return l, errors.Join(errs...)
}

// Neighbour of a NIC; nil when it stays silent.
func (l *Listener) Neighbour(nic string) *agentapi.LLDP {
	for {
		l.mu.Lock()
		neighbour, ok := l.heard[nic]
		l.mu.Unlock()
		if ok {
			return &neighbour
		}
		if time.Now().After(l.until) {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func openLLDP(nic string) (*os.File, error) {
	link, err := net.InterfaceByName(nic)
	if err != nil {
		return nil, err
	}
	etherType := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, etherLLDP))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(etherType))
	if err != nil {
		return nil, err
	}
	member := unix.PacketMreq{Ifindex: int32(link.Index), Type: unix.PACKET_MR_MULTICAST, Alen: 6}
	copy(member.Address[:], nearestBridge)
	err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: etherType, Ifindex: link.Index})
	if err == nil {
		err = unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &member)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "lldp-"+nic), nil
}

func (l *Listener) hear(nic string, socket *os.File) {
	frame := make([]byte, 2048)
	for {
		n, err := socket.Read(frame)
		if errors.Is(err, os.ErrClosed) || n == 0 && err == nil {
			return
		}
		if err != nil { // the link went down: it may come back
			time.Sleep(time.Second)
			continue
		}
		if neighbour, ok := parseLLDP(frame[:n]); ok {
			l.mu.Lock()
			l.heard[nic] = neighbour
			l.mu.Unlock()
		}
	}
}

// parseLLDP reads an Ethernet frame: after its header come TLVs of 7 bits of type and 9 of length (IEEE 802.1AB, 8.4).
func parseLLDP(frame []byte) (agentapi.LLDP, bool) {
	const header = 14
	var found agentapi.LLDP
	if len(frame) < header || binary.BigEndian.Uint16(frame[12:]) != etherLLDP {
		return found, false
	}
	for rest := frame[header:]; len(rest) >= 2; {
		kind, length := rest[0]>>1, int(binary.BigEndian.Uint16(rest)&0x1ff)
		if len(rest) < 2+length {
			return found, false
		}
		value := rest[2 : 2+length]
		rest = rest[2+length:]
		switch kind {
		case 0: // end
			return found, found.ChassisID != "" && found.PortID != ""
		case 1:
			found.ChassisID = lldpID(value, 4, 5)
		case 2:
			found.PortID = lldpID(value, 3, 4)
		case 5:
			found.System = string(value)
		}
	}
	return found, found.ChassisID != "" && found.PortID != ""
}

// lldpID writes a chassis or port ID: a subtype, which says MAC, network address or text, and the bytes.
func lldpID(value []byte, macSubtype, addressSubtype byte) string {
	if len(value) < 2 {
		return ""
	}
	subtype, id := value[0], value[1:]
	switch {
	case subtype == macSubtype && len(id) == 6:
		return net.HardwareAddr(id).String()
	case subtype == addressSubtype:
		if address, ok := netip.AddrFromSlice(id[1:]); ok { // after the address family
			return address.String()
		}
		return hex.EncodeToString(id)
	}
	return string(id)
}
