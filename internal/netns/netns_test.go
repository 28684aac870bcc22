package netns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"testing"

	"github.com/vishvananda/netlink"
)

func namespace(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces: needs root")
	}
	name := fmt.Sprintf("ingot-test-%d", os.Getpid())
	if err := Create(name); errors.Is(err, os.ErrPermission) {
		t.Skipf("network namespaces: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Delete(name); err != nil {
			t.Error(err)
		}
		if Exists(name) {
			t.Error("the namespace is still there")
		}
	})
	return name
}

func TestAListenerIsReachableFromItsNamespaceOnly(t *testing.T) {
	ns := namespace(t)
	if err := Create(ns); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made twice: %v", err)
	}
	err := Do(ns, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(ns, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "hello")
			c.Close()
		}
	}()
	inside, err := Dial(context.Background(), ns, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	if got, _ := io.ReadAll(inside); string(got) != "hello" {
		t.Errorf("got %q", got)
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		got, _ := io.ReadAll(c)
		c.Close()
		if string(got) == "hello" {
			t.Error("the listener is reachable from the host's namespace")
		}
	}
	p, err := ListenPacket(ns, "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
}

func TestTheHostsThreadsStayWhereTheyWere(t *testing.T) {
	ns := namespace(t)
	self := func() string { s, _ := os.Readlink("/proc/thread-self/ns/net"); return s }
	before := self()
	var within string
	if err := Do(ns, func() error { within = self(); return nil }); err != nil {
		t.Fatal(err)
	}
	if within == before || within == "" {
		t.Errorf("inside: %s, outside: %s", within, before)
	}
	for range 50 {
		done := make(chan string)
		go func() { done <- self() }()
		if got := <-done; got != before {
			t.Fatalf("a goroutine found itself in %s, want %s", got, before)
		}
	}
}

func TestNamesAndAbsentNamespacesAreRefused(t *testing.T) {
	if _, err := Dial(context.Background(), "ingot-none", "tcp", "example.org:80"); err == nil {
		t.Error("a host name was taken to a namespace")
	}
	if _, err := Listen("ingot-none", "tcp", "127.0.0.1:0"); err == nil {
		t.Error("listening in a namespace that does not exist")
	}
	if err := Delete("ingot-none"); err != nil {
		t.Errorf("deleting what is not there: %v", err)
	}
	if l, err := Listen("", "tcp", "localhost:0"); err != nil {
		t.Errorf("the host's own network: %v", err)
	} else {
		l.Close()
	}
}
