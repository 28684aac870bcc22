package netboot

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
)

// inNamespace runs f on a thread inside the named network namespace; an empty name is where we are.
func inNamespace(name string, f func() error) error {
	if name == "" {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		done <- func() (err error) {
			// Never unlocked: the thread ends with the goroutine, and nothing else ever runs in the wrong namespace.
			runtime.LockOSThread()
			ns, err := netns.GetFromName(name)
			if err != nil {
				return fmt.Errorf("network namespace %s: %w", name, err)
			}
			err = netns.Set(ns)
			if err = errors.Join(err, ns.Close()); err != nil {
				return fmt.Errorf("network namespace %s: %w", name, err)
			}
			return f()
		}()
	}()
	return <-done
}
