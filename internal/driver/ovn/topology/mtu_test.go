package topology_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	lab "github.com/ingotcloud/ingot/internal/lab/ovn"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/netns"
)

// A router tells the machine of a wide network that its packets are too long for the narrow one behind the router.
func TestPacketsTooLongForTheNextNetwork(t *testing.T) {
	cluster := ovntest.Start(t, lab.ChassisSpec{Name: "one"})
	c := connect(t, cluster)
	m := &cloud{}
	m.NeedToFrag = true
	m.network("wide", "10.0.0.0/24", "2001:db8:1::/64")
	m.network("narrow", "10.0.1.0/24", "2001:db8:2::/64").MTU = 1300
	m.group("open", "out v4", "out v6", "in v4", "in v6")
	m.router("r", "wide", "narrow")
	a, b := m.port("a", "wide", "10.0.0.10", "2001:db8:1::a"), m.port("b", "narrow", "10.0.1.10", "2001:db8:2::b")
	a.Groups, b.Groups = []string{"open"}, []string{"open"}
	run(t, c, &m.Model).settled(t, c)
	from := plugged(t, cluster, "one", a, addrs("10.0.0.1", "2001:db8:1::1")...)
	to := plugged(t, cluster, "one", b, addrs("10.0.1.1", "2001:db8:2::1")...)
	ovntest.Sync(t, cluster)
	for _, ip := range b.FixedIPs {
		if !from.Ping(t, ip.Addr.String(), ovntest.Patience) {
			t.Fatalf("%s is not reached", ip.Addr)
		}
		conn := undivided(t, from, ip.Addr)
		ovntest.Eventually(t, "the way to "+ip.Addr.String()+" is known to be narrow", func() bool {
			_, err := conn.Write([]byte(strings.Repeat("too long", 168))) // and its headers: more than 1300, less than 1442
			return errors.Is(err, syscall.EMSGSIZE)
		})
		if mtu := pathMTU(t, conn, ip.Addr); mtu != 1300 {
			t.Errorf("the way to %s is said to take %d bytes", ip.Addr, mtu)
		}
		seen := heard(t, to, []string{"short enough"}, func() {
			_, _ = conn.Write([]byte(strings.Repeat("short enough", 100))) // it may fail with an answer to one before
		})
		if strings.Contains(seen, strings.Repeat("too long", 100)) {
			t.Error("what is too long arrived, too")
		}
	}
}

// undivided is a UDP connection whose packets are sent whole or not at all.
func undivided(t *testing.T, from *ovntest.Machine, to netip.Addr) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	err := netns.Do(from.Namespace, func() (err error) {
		conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	onSocket(t, conn, func(fd int) error {
		if to.Is6() {
			return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO)
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
	})
	return conn
}

// pathMTU is what the kernel knows of the way, in bytes.
func pathMTU(t *testing.T, conn *net.UDPConn, to netip.Addr) (mtu int) {
	t.Helper()
	onSocket(t, conn, func(fd int) (err error) {
		if to.Is6() {
			mtu, err = unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU)
		} else {
			mtu, err = unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU)
		}
		return err
	})
	return mtu
}

func onSocket(t *testing.T, conn *net.UDPConn, do func(fd int) error) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}
