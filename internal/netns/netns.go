// Package netns listens, dials and runs functions inside named network namespaces (ip-netns(8)), so that one process
// can serve several networks that share addresses.
//
// Everywhere an empty name is the host's own network. Sockets keep the namespace that they were made in, so only
// making them happens here; reading and writing needs no care. Hosts in addresses must be IP addresses: a resolver
// would ask the host's network.
package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netns"
)

// directory is where ip-netns keeps its names.
const directory = "/run/netns"

// Do runs f on a thread of its own inside the namespace. Processes that f starts are born there. Goroutines that f
// starts are not: they run in the host's namespace.
func Do(ns string, f func() error) error {
	if ns == "" {
		return f()
	}
	handle, err := netns.GetFromName(ns)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", ns, err)
	}
	defer handle.Close()
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the runtime ends the thread with the goroutine, so that no other goroutine can ever find
		// itself in a foreign namespace.
		runtime.LockOSThread()
		if err := netns.Set(handle); err != nil {
			done <- fmt.Errorf("enter network namespace %s: %w", ns, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// Listen is net.Listen inside the namespace.
func Listen(ns, network, addr string) (l net.Listener, err error) {
	if err := checkLiteral(ns, network, addr); err != nil {
		return nil, err
	}
	err = Do(ns, func() (err error) { l, err = net.Listen(network, addr); return err })
	return l, err
}

// ListenPacket is net.ListenPacket inside the namespace.
func ListenPacket(ns, network, addr string) (c net.PacketConn, err error) {
	if err := checkLiteral(ns, network, addr); err != nil {
		return nil, err
	}
	err = Do(ns, func() (err error) { c, err = net.ListenPacket(network, addr); return err })
	return c, err
}

// Dial is net.Dialer.DialContext inside the namespace.
func Dial(ctx context.Context, ns, network, addr string) (c net.Conn, err error) {
	if err := checkLiteral(ns, network, addr); err != nil {
		return nil, err
	}
	err = Do(ns, func() (err error) { c, err = new(net.Dialer).DialContext(ctx, network, addr); return err })
	return c, err
}

// checkLiteral keeps names out of namespaces: the dialer resolves and tries several addresses on goroutines of its own,
// which are outside.
func checkLiteral(ns, network, addr string) error {
	if ns == "" || strings.HasPrefix(network, "unix") {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if host == "" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf("inside network namespace %s an address is needed, not the name %q", ns, host)
	}
	return nil
}

// Create makes a named namespace whose loopback is still down. It fails with fs.ErrExist when the name is taken.
func Create(name string) error {
	if Exists(name) {
		return fmt.Errorf("network namespace %s: %w", name, fs.ErrExist)
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // making it also enters it: this thread must end
		handle, err := netns.NewNamed(name)
		if err != nil {
			done <- fmt.Errorf("make network namespace %s: %w", name, err)
			return
		}
		done <- handle.Close()
	}()
	return <-done
}

// Exists says whether the name is taken.
func Exists(name string) bool {
	_, err := os.Stat(filepath.Join(directory, name))
	return err == nil
}

// Names of all namespaces that have one.
func Names() ([]string, error) {
	entries, err := os.ReadDir(directory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // none was ever made
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, err
}

// Delete removes the name; the namespace with its interfaces goes when its last process and socket do. A name that
// is not there is deleted already.
func Delete(name string) error {
	if err := netns.DeleteNamed(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete network namespace %s: %w", name, err)
	}
	return nil
}
