package lab

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/netns"
)

// tap is the network's end of a NIC's cable. It stays when its machine is off.
type tap struct{ netns, name string }

// tapName is short, as interface names must be; the alias says whose it is.
func tapName(machine, nic int) string { return fmt.Sprintf("m%dn%d", machine, nic) }

// open plugs a machine in: what is written to the file comes out of the tap, each frame behind a header of
// virtio-net (tun.txt of the kernel). The file keeps its namespace wherever it is used.
func (t tap) open() (*os.File, error) {
	var file *os.File
	err := netns.Do(t.netns, func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		request, err := unix.NewIfreq(t.name)
		if err == nil {
			request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		}
		if err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		file = os.NewFile(uintptr(fd), t.name) // not before: the runtime's poller takes one without a tap for broken
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open tap %s in %s: %w", t.name, t.netns, err)
	}
	return file, nil
}

// held says whether a machine has it open, which the kernel shows as the carrier.
func (t tap) held() (held bool, err error) {
	err = netns.Do(t.netns, func() error {
		link, err := netlink.LinkByName(t.name)
		if err != nil {
			return err
		}
		held = link.Attrs().RawFlags&unix.IFF_LOWER_UP != 0
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("tap %s in %s: %w", t.name, t.netns, err)
	}
	return held, nil
}
