package netboot

import (
	"errors"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

func createNamespace(name string) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		ns, err := netns.NewNamed(name)
		if err == nil {
			err = ns.Close()
		}
		done <- err
	}()
	return <-done
}

func deleteNamespace(name string) error { return netns.DeleteNamed(name) }

func moveLink(link, namespace string) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	ns, err := netns.GetFromName(namespace)
	if err != nil {
		return err
	}
	return errors.Join(netlink.LinkSetNsFd(l, int(ns)), ns.Close())
}
