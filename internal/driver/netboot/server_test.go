package netboot

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/ipv6"

	"github.com/ingotcloud/ingot/internal/netns"
)

// TestCloseFreesEverything starts twice on the same ports; the first is ended by its context.
func TestCloseFreesEverything(t *testing.T) {
	rig := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := Options{
		Namespace: rig.server, Interface: "srv0", ServerAddr: testServer, HTTPPort: 8080, Source: newTable("token"), Logger: testLogger(t),
		TFTPDir: bootPrograms(t),
	}
	first, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestArtefactsOnTheQuarantineNetwork fetches from where a machine would.
func TestArtefactsOnTheQuarantineNetwork(t *testing.T) {
	rig := newRig(t)
	server := rig.start(t, newTable("token-on-the-wire"), Artifacts{})
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return netns.Dial(ctx, rig.clients, network, addr)
		},
		DisableKeepAlives: true,
	}}
	if err := netns.Do(rig.clients, func() error { return setUp("cli0", "10.99.0.10/24") }); err != nil {
		t.Fatal(err)
	}
	res, err := client.Get(URL(server.HTTPAddr(), testKey, Script))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 {
		t.Errorf("%d %q %v", res.StatusCode, body, err)
	}
}

// TestRouterAdvertisement asks as iPXE does, and looks for what makes iPXE go on: no router, no DHCPv6, 255 hops.
func TestRouterAdvertisement(t *testing.T) {
	rig := newRig(t)
	rig.start(t, newTable("token"), Artifacts{})
	var conn *ipv6.PacketConn
	var nic *net.Interface
	err := netns.Do(rig.clients, func() (err error) {
		raw, err := net.ListenPacket("ip6:ipv6-icmp", "::")
		if err != nil {
			return err
		}
		t.Cleanup(func() { raw.Close() })
		conn = ipv6.NewPacketConn(raw)
		nic, err = net.InterfaceByName("cli0")
		return err
	})
	if err != nil {
		t.Skipf("asks for a router over IPv6: %v", err)
	}
	var filter ipv6.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv6.ICMPTypeRouterAdvertisement)
	if err := conn.SetICMPFilter(&filter); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetControlMessage(ipv6.FlagHopLimit, true); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1500)
	var last error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		// Until both sides have their link-local addresses, sending fails.
		_, last = conn.WriteTo([]byte{133, 7: 0}, &ipv6.ControlMessage{HopLimit: 255, IfIndex: nic.Index}, allRouters)
		if err := conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, how, _, err := conn.ReadFrom(buf)
		if err != nil {
			last = fmt.Errorf("send: %v, receive: %w", last, err)
			continue
		}
		const flags, lifetime, options = 5, 6, 16
		if how.HopLimit != 255 || n != options+8 || buf[flags] != 0 || buf[lifetime] != 0 || buf[lifetime+1] != 0 || buf[options] != 1 {
			t.Errorf("advertised with %d hops: % x", how.HopLimit, buf[:n])
		}
		return
	}
	t.Fatalf("no router advertisement: %v", last)
}
