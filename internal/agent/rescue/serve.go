package rescue

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/vishvananda/netlink"
	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/agent/boot"
	"github.com/ingotcloud/ingot/internal/agent/inventory"
)

// Serve sets the system up, tells at the console how to get in, and lets the tenant in until it fails.
func Serve() error {
	console := boot.OpenConsole()
	log := slog.New(slog.NewTextHandler(console, nil))
	s, err := readState()
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { console.Status("rescue: " + fmt.Sprintf(format, args...)) }
	if err := setUp(s.Hostname); err != nil {
		log.Error("the rescue system is not complete", "error", err)
	}
	signer, err := gossh.NewSignerFromKey(ed25519.NewKeyFromSeed(s.HostKey))
	if err != nil {
		return err
	}
	found := look()
	if err := os.WriteFile("/etc/motd", []byte(strings.Join(append(greeting(s.Hostname), found...), "\n")+"\n"), 0o644); err != nil {
		log.Error("no greeting", "error", err)
	}
	say("the rescue system of %s; its host key is %s", s.Hostname, gossh.FingerprintSHA256(signer.PublicKey()))
	for _, line := range found {
		say("%s", line)
	}
	if err := network(context.Background(), log, func(address net.IP) { say("ssh root@%s", address) }); err != nil {
		return err
	}
	return newServer(s.Rescue, signer, log).ListenAndServe()
}

func greeting(hostname string) []string {
	return []string{
		"", "Rescue system of " + hostname + ". It lives in memory; nothing of the disks is mounted. For example:",
		"  mount /dev/… /mnt && chroot /mnt /bin/sh     umount /mnt before the rescue ends", "",
	}
}

// setUp makes a system of the RAM disk: programs' names, users, terminals. Doing it again is harmless.
func setUp(hostname string) error {
	var errs []error
	for _, dir := range []string{"/dev/pts", "/dev/shm", "/mnt", "/root", "/tmp", "/var/log", "/var/run", "/etc"} {
		errs = append(errs, os.MkdirAll(dir, 0o755))
	}
	for file, text := range map[string]string{
		"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "/etc/group": "root:x:0:\n", "/etc/hosts": "127.0.0.1 localhost\n127.0.1.1 " + hostname + "\n",
		"/etc/hostname": hostname + "\n", "/etc/profile": "cat /etc/motd\nPS1='rescue \\w # '\n",
	} {
		errs = append(errs, os.WriteFile(file, []byte(text), 0o644))
	}
	if err := unix.Mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "ptmxmode=666"); err != nil && !errors.Is(err, unix.EBUSY) {
		errs = append(errs, fmt.Errorf("mounting /dev/pts: %w", err))
	}
	if err := os.Symlink("/proc/self/mounts", "/etc/mtab"); err != nil && !errors.Is(err, os.ErrExist) {
		errs = append(errs, err)
	}
	if out, err := exec.Command(busybox, "--install", "-s").CombinedOutput(); err != nil {
		errs = append(errs, fmt.Errorf("installing busybox: %w: %s", err, out))
	}
	return errors.Join(append(errs, unix.Sethostname([]byte(hostname)))...)
}

// look finds the disks and what is on them.
func look() (lines []string) {
	for _, d := range inventory.New(nil).Disks() {
		lines = append(lines, fmt.Sprintf("%s: %s, %d GB, serial %s", d.Name, d.Model, d.Size/1e9, d.Serial))
	}
	out, err := exec.Command("/sbin/blkid").Output() // fails when there is nothing
	if text := strings.TrimSpace(string(out)); err == nil && text != "" {
		lines = append(lines, strings.Split(text, "\n")...)
	}
	return lines
}

// network forgets the quarantine's address and has each NIC ask for one of its own: the tenant's networks carry the machine
// from some moment on. Addresses of IPv6 the kernel makes itself of what routers advertise.
func network(ctx context.Context, log *slog.Logger, told func(net.IP)) error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	var names names
	for _, link := range links {
		attrs := link.Attrs()
		if err := netlink.LinkSetUp(link); err != nil {
			log.Warn("a NIC does not come up", "nic", attrs.Name, "error", err)
		}
		if attrs.Flags&net.FlagLoopback != 0 || link.Type() != "device" {
			continue
		}
		addresses, err := netlink.AddrList(link, netlink.FAMILY_V4)
		for _, address := range addresses {
			err = errors.Join(err, netlink.AddrDel(link, &address))
		}
		if err != nil {
			return fmt.Errorf("taking the addresses from %s: %w", attrs.Name, err)
		}
		go func() {
			err := boot.Lease(ctx, link, log, func(ack *dhcpv4.DHCPv4) {
				if err := names.set(attrs.Name, ack.DNS()); err != nil {
					log.Warn("the name servers are not kept", "error", err)
				}
				told(ack.YourIPAddr)
			})
			if err != nil {
				log.Error("no network", "nic", attrs.Name, "error", err)
			}
		}()
	}
	return nil
}

// names are the name servers that networks told, by NIC.
type names struct {
	mu sync.Mutex
	of map[string][]net.IP
}

func (n *names) set(nic string, servers []net.IP) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[string][]net.IP{}
	}
	n.of[nic] = servers
	var text strings.Builder
	for _, servers := range n.of {
		for _, server := range servers {
			fmt.Fprintf(&text, "nameserver %s\n", server)
		}
	}
	return os.WriteFile("/etc/resolv.conf", []byte(text.String()), 0o644)
}
