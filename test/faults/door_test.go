package faults

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/ingotcloud/ingot/internal/netns"
)

const serverAddress = "10.77.0.1"

// newNamespace makes a quarantine network: a namespace with a bridge that has the control plane's address.
func newNamespace(t *testing.T, name string) string {
	t.Helper()
	if err := netns.Create(name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netns.Delete(name); err != nil {
			t.Error(err)
		}
	})
	err := netns.Do(name, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			return err
		}
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "rack"}}
		if err := netlink.LinkAdd(bridge); err != nil {
			return err
		}
		address, err := netlink.ParseAddr(serverAddress + "/24")
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(bridge, address); err != nil {
			return err
		}
		return netlink.LinkSetUp(bridge)
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// door leads agents into the quarantine networks, whose address for the control plane is one and the same: whichever
// process answers there gets the connection, in turn, as behind a balancer.
type door struct {
	listener net.Listener
	networks []string
	turn     atomic.Int64
	open     sync.WaitGroup
}

func newDoor(t *testing.T, networks ...string) *door {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{listener: listener, networks: networks}
	ctx, cancel := context.WithCancel(context.Background())
	d.open.Go(func() {
		for {
			agent, err := listener.Accept()
			if err != nil {
				return // closed by the cleanup
			}
			d.open.Go(func() { d.lead(ctx, agent) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		d.open.Wait()
	})
	return d
}

func (d *door) url() string { return "https://" + d.listener.Addr().String() }

func (d *door) lead(ctx context.Context, agent net.Conn) {
	defer agent.Close()
	turn := int(d.turn.Add(1))
	for i := range d.networks {
		network := d.networks[(turn+i)%len(d.networks)]
		dialing, cancel := context.WithTimeout(ctx, 5*time.Second)
		server, err := netns.Dial(dialing, network, "tcp", serverAddress+":8443")
		cancel()
		if err != nil {
			continue
		}
		defer server.Close()
		defer context.AfterFunc(ctx, func() { _ = server.Close(); _ = agent.Close() })()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(server, agent) // either side may leave at any time
			_ = server.Close()
		}()
		_, _ = io.Copy(agent, server)
		_ = agent.Close()
		<-done
		return
	}
}
