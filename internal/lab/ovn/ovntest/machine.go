package ovntest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	handles "github.com/vishvananda/netns"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/netns"
)

// NIC is a machine's interface, eth0 inside.
type NIC struct {
	ID      string         // of the logical port
	MAC     string         // empty: one that follows from the ID
	Address []netip.Prefix // none: it asks DHCP, or stays without
	Gateway []netip.Addr   // default routes
	MTU     int            // 0: 1500
}

// Machine is a network namespace with one interface.
type Machine struct {
	Namespace string
	Cable     string // the other end of eth0, where it is plugged in
	NIC
	index int // of eth0
}

// NewMachine makes a machine and plugs it into a chassis. It ends with the test.
func NewMachine(t testing.TB, cluster *ovn.Cluster, chassis string, nic NIC) *Machine {
	t.Helper()
	m := newMachine(t, cluster.Namespace(chassis), nic)
	if err := cluster.Plug(t.Context(), chassis, m.Cable, nic.ID); err != nil {
		t.Fatal(err)
	}
	// Before the interface goes: vswitchd would look for it. With a dead vswitchd the cluster's end does.
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if !netns.Exists(cluster.Namespace(chassis)) {
			return // the cluster ended first
		}
		if err := cluster.Unplug(ctx, chassis, m.Cable); err != nil {
			t.Log(err)
		}
	})
	return m
}

// FindMachine is one that another process, which died since, made of the same NIC and plugged in in that namespace. It
// ends with this test.
func FindMachine(t testing.TB, into string, nic NIC) *Machine {
	t.Helper()
	m := describe(into, nic)
	t.Cleanup(func() {
		if err := netns.Delete(m.Namespace); err != nil {
			t.Error(err)
		}
	})
	return m
}

// NewMachineOnToR makes a machine behind a plain switch.
func NewMachineOnToR(t testing.TB, tor *ovn.ToR, vlan uint16, chassis string, nic NIC) *Machine {
	t.Helper()
	m := newMachine(t, tor.Namespace, nic)
	if err := tor.Port(t.Context(), m.Cable, vlan, chassis); err != nil {
		t.Fatal(err)
	}
	return m
}

// describe fills in what follows from the NIC and the namespace that its cable leads into.
func describe(into string, nic NIC) *Machine {
	sum := crc32.ChecksumIEEE([]byte(nic.ID))
	if nic.MAC == "" {
		nic.MAC = fmt.Sprintf("52:54:%02x:%02x:%02x:%02x", byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
	}
	if nic.MTU == 0 {
		nic.MTU = 1500
	}
	cable := fmt.Sprintf("m%08x", sum)
	return &Machine{Namespace: into + "-" + cable, Cable: cable, NIC: nic}
}

// newMachine makes the namespace and the cable.
func newMachine(t testing.TB, into string, nic NIC) *Machine {
	t.Helper()
	m := describe(into, nic)
	if err := netns.Create(m.Namespace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netns.Delete(m.Namespace); err != nil {
			t.Error(err)
		}
	})
	if err := netns.Do(m.Namespace, func() error { return m.raise(into) }); err != nil {
		t.Fatalf("machine %s: %v", nic.ID, err)
	}
	// A namespace goes some time after its name has; its cable goes at once.
	t.Cleanup(func() {
		err := netns.Do(m.Namespace, func() error {
			return netlink.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: m.index}})
		})
		if err != nil {
			t.Error(err)
		}
	})
	return m
}

func (m *Machine) raise(into string) error {
	mac, err := net.ParseMAC(m.MAC)
	if err != nil {
		return err
	}
	peer, err := handles.GetFromName(into)
	if err != nil {
		return err
	}
	defer peer.Close()
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "eth0", HardwareAddr: mac, MTU: m.MTU},
		PeerName:  m.Cable, PeerNamespace: netlink.NsFd(peer),
	}
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	// A duplicate address is a test's business to make.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/eth0/accept_dad", []byte("0"), 0); err != nil {
		return err
	}
	for _, name := range []string{"lo", "eth0"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
		m.index = link.Attrs().Index
	}
	return m.configure()
}

// configure gives eth0 its addresses and routes.
func (m *Machine) configure() error {
	link, err := netlink.LinkByIndex(m.index)
	if err != nil {
		return err
	}
	for _, address := range m.Address {
		a, err := netlink.ParseAddr(address.String())
		if err != nil {
			return err
		}
		if err := netlink.AddrReplace(link, a); err != nil {
			return err
		}
	}
	for _, gateway := range m.Gateway {
		if err := netlink.RouteReplace(&netlink.Route{LinkIndex: m.index, Gw: gateway.AsSlice()}); err != nil {
			return err
		}
	}
	return nil
}

// Configure gives the machine addresses and gateways, as after DHCP.
func (m *Machine) Configure(t testing.TB, address []netip.Prefix, gateway ...netip.Addr) {
	t.Helper()
	m.Address, m.Gateway = address, gateway
	if err := netns.Do(m.Namespace, m.configure); err != nil {
		t.Fatal(err)
	}
}

// Serve answers on a TCP port with the text until the test ends.
func (m *Machine) Serve(t testing.TB, port int, text string) { ServeIn(t, m.Namespace, port, text) }

// ServeIn is Serve in any namespace.
func ServeIn(t testing.TB, namespace string, port int, text string) {
	t.Helper()
	listener, err := netns.Listen(namespace, "tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, text)
			conn.Close()
		}
	}()
}

// Get is what is served at an address such as 10.0.0.2:80; "" when nothing answers within the time.
func (m *Machine) Get(t testing.TB, address string, within time.Duration) string {
	t.Helper()
	return GetFrom(t, m.Namespace, address, within)
}

// GetFrom is Get from any namespace.
func GetFrom(t testing.TB, namespace, address string, within time.Duration) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	conn, err := netns.Dial(ctx, namespace, "tcp", address)
	if err != nil {
		return ""
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(within))
	text, err := io.ReadAll(conn)
	if err != nil {
		return ""
	}
	return string(text)
}

// Ping says whether an echo request is answered within the time.
func (m *Machine) Ping(t testing.TB, to string, within time.Duration) bool {
	t.Helper()
	address := netip.MustParseAddr(to)
	network, protocol := "ip4:icmp", 1
	var request, reply icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	if address.Is6() {
		network, protocol, request, reply = "ip6:ipv6-icmp", 58, ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	var conn *icmp.PacketConn
	err := netns.Do(m.Namespace, func() (err error) { conn, err = icmp.ListenPacket(network, ""); return err })
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	deadline := time.Now().Add(within)
	buffer := make([]byte, 1500)
	for seq := 1; time.Now().Before(deadline); seq++ {
		message := icmp.Message{Type: request, Body: &icmp.Echo{ID: m.index, Seq: seq, Data: []byte("ingot")}}
		packet, err := message.Marshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.WriteTo(packet, &net.IPAddr{IP: address.AsSlice()}); err != nil {
			time.Sleep(50 * time.Millisecond) // nobody answered ARP
			continue
		}
		conn.SetReadDeadline(time.Now().Add(min(200*time.Millisecond, time.Until(deadline))))
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				break
			}
			answer, err := icmp.ParseMessage(protocol, buffer[:n])
			if err == nil && answer.Type == reply && from.String() == to {
				return true
			}
		}
	}
	return false
}

// Send puts a whole Ethernet frame on the wire, whatever stands in it.
func (m *Machine) Send(t testing.TB, frame []byte) {
	t.Helper()
	err := netns.Do(m.Namespace, func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: m.index})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Capture collects the frames that come in until stop is called.
func (m *Machine) Capture(t testing.TB) (stop func() [][]byte) {
	t.Helper()
	fd := -1
	err := netns.Do(m.Namespace, func() (err error) {
		all := int(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)))
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: m.index, Protocol: uint16(all)})
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() (frames [][]byte) {
		defer unix.Close(fd)
		for { // the kernel has kept them
			buffer := make([]byte, 1<<16)
			n, from, err := unix.Recvfrom(fd, buffer, 0)
			if errors.Is(err, unix.EAGAIN) {
				return frames
			} else if err != nil {
				t.Fatal(err)
			}
			if sender, ok := from.(*unix.SockaddrLinklayer); ok && sender.Pkttype != unix.PACKET_OUTGOING {
				frames = append(frames, buffer[:n])
			}
		}
	}
}

// UDP is a frame with a datagram; what stands in it need not be true.
func UDP(srcMAC, dstMAC string, src, dst netip.AddrPort, payload string) []byte {
	length := 8 + len(payload)
	ip := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0}
	binary.BigEndian.PutUint16(ip[2:], uint16(20+length))
	ip = append(append(ip, src.Addr().AsSlice()...), dst.Addr().AsSlice()...)
	var sum uint32
	for i := 0; i < len(ip); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum+sum>>16))
	frame := ethernet(srcMAC, dstMAC, unix.ETH_P_IP, ip)
	for _, field := range []uint16{src.Port(), dst.Port(), uint16(length), 0} {
		frame = binary.BigEndian.AppendUint16(frame, field)
	}
	return append(frame, payload...)
}

// ARPRequest asks who has target.
func ARPRequest(srcMAC string, src, target netip.Addr) []byte {
	body := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	body = append(append(body, hardware(srcMAC)...), src.AsSlice()...)
	body = append(append(body, make([]byte, 6)...), target.AsSlice()...)
	return ethernet(srcMAC, "ff:ff:ff:ff:ff:ff", unix.ETH_P_ARP, body)
}

func ethernet(src, dst string, protocol uint16, body []byte) []byte {
	frame := append(hardware(dst), hardware(src)...)
	return append(binary.BigEndian.AppendUint16(frame, protocol), body...)
}

func hardware(mac string) []byte {
	hw, err := net.ParseMAC(strings.ToLower(mac))
	if err != nil {
		panic(err) // a test's literal
	}
	return hw
}
