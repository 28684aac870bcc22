package tenantimage

import (
	"bufio"
	"debug/pe"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/ramdisk/qemutest"
)

const mac = "52:54:00:12:34:56"

func TestImageIsSmallAndSparse(t *testing.T) {
	for _, loader := range []Loader{Unified, GRUB} {
		image := buildWith(t, loader)
		info, err := os.Stat(image)
		if err != nil {
			t.Fatal(err)
		}
		data := info.Sys().(*syscall.Stat_t).Blocks * 512
		if info.Size() != diskMiB<<20 || data > 60<<20 {
			t.Errorf("the image (%s) has %d bytes with %d of data, want %d with at most %d", loader, info.Size(), data, diskMiB<<20, 60<<20)
		}
		t.Logf("%s: %d MiB, %.1f MB of data", loader, info.Size()>>20, float64(data)/1e6)
	}
}

// The life of a server: first boot by firmware with a config drive partition behind the root partition, then a boot of
// the same disk by its kernel alone, as after kexec, ended by the power button.
func TestServerFromImage(t *testing.T) {
	key := newKey(t)
	disk := largerDisk(t, configDrive(t, map[string]any{
		"meta_data.json": map[string]any{
			"uuid": "8a0e66f4-7c15-4d0b-9a4c-1d7e5b2f6a00", "hostname": "web-1.example.org",
			"public_keys": map[string]string{"mine": key.public},
		},
		"network_data.json": map[string]any{
			"links": []any{map[string]any{"id": "nic", "type": "phy", "ethernet_mac_address": strings.ToUpper(mac), "mtu": 1400}},
			"networks": []any{map[string]any{
				"id": "net", "type": "ipv4", "link": "nic", "ip_address": "10.0.2.77", "netmask": "255.255.255.0",
				"routes": []any{map[string]any{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.2.2"}},
			}},
			"services": []any{map[string]any{"type": "dns", "address": "10.0.2.3"}},
		},
		"user_data": "#!/bin/sh\necho once >>/root/user-data\n",
	}))

	nic, ssh := network(t, key, "10.0.2.77")
	vm := qemutest.Start(t, append(append(qemutest.Firmware(t), nic...),
		"-drive", "if=none,id=disk,format=raw,file="+disk, "-device", "nvme,drive=disk,serial=disk,bootindex=0")...)
	vm.WaitFor("Linux version")
	firmware := vm.CPUSeconds()
	vm.WaitFor("web-1 login:")
	t.Logf("by firmware: %.1f CPU seconds from kernel to login prompt, %.1f before", vm.CPUSeconds()-firmware, firmware)

	ssh.wait(t, "ingot", "test -e /var/lib/ingot/boot-finished")
	for command, want := range map[string]string{
		"id -un":                            "ingot",
		"hostname":                          "web-1",
		"cat /sys/class/net/eth0/mtu":       "1400",
		"cat /etc/resolv.conf":              "nameserver 10.0.2.3",
		"ip route show default | head -n 1": "default via 10.0.2.2 dev eth0",
		"stat -c %u:%g:%a ~/.ssh /root":     "1000:1000:700\n0:0:700",
	} {
		if got := ssh.run(t, "ingot", command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	if got := ssh.run(t, "root", "cat /root/user-data"); got != "once" {
		t.Errorf("the user data left %q", got)
	}
	// The config drive's partition begins 64 MiB before the end of 1 GiB.
	if mib := rootSize(t, ssh); mib < 850 || mib > 1024-64-rootStartMiB {
		t.Errorf("the root file system has %d MiB, want nearly %d", mib, 1024-64-rootStartMiB)
	}
	ssh.start(t, "root", "reboot")
	vm.WaitOff()
	expectCleanShutdown(t, vm, disk, "reboot: Restarting system")
	if out := command(t, "sgdisk", "--verify", disk); !strings.Contains(out, "No problems found") {
		t.Errorf("the partition table after growing: %s", out)
	}

	kernel, initrd, cmdline := partsOfUKI(t, disk)
	monitor := filepath.Join(t.TempDir(), "monitor")
	vm = qemutest.Start(t, append(nic, "-kernel", kernel, "-initrd", initrd, "-append", cmdline,
		"-drive", "if=none,id=disk,format=raw,file="+disk, "-device", "virtio-blk-pci,drive=disk",
		"-monitor", "unix:"+monitor+",server=on,wait=off")...)
	vm.WaitFor("web-1 login:")
	t.Logf("by kernel: %.1f CPU seconds from start to login prompt", vm.CPUSeconds())
	ssh.wait(t, "root", "true")
	if got := ssh.run(t, "root", "cat /root/user-data"); got != "once" {
		t.Errorf("after the second boot the user data left %q", got)
	}
	pressPowerButton(t, monitor)
	vm.WaitOff()
	expectCleanShutdown(t, vm, disk, "reboot: Power down")
}

// The config drive may be a CD, and without network data the image asks DHCP.
func TestConfigDriveOnCDAndDHCP(t *testing.T) {
	key := newKey(t)
	drive := configDrive(t, map[string]any{
		"meta_data.json": map[string]any{"uuid": "1", "hostname": "db-1", "public_keys": map[string]string{"mine": key.public}},
		"user_data":      "#cloud-config\nruncmd:\n- echo line >/tmp/line\n- [sh, -c, 'echo \"$0\" >/tmp/words', \"it's\"]\n",
	})
	disk := filepath.Join(t.TempDir(), "disk.raw")
	command(t, "cp", "--sparse=always", build(t), disk)
	kernel, initrd, cmdline := partsOfUKI(t, disk)
	nic, ssh := network(t, key, "10.0.2.15")
	vm := qemutest.Start(t, append(nic, "-kernel", kernel, "-initrd", initrd, "-append", cmdline, "-device", "virtio-scsi-pci",
		"-drive", "if=none,id=disk,format=raw,file="+disk, "-device", "scsi-hd,drive=disk",
		"-drive", "if=none,id=cd,media=cdrom,format=raw,readonly=on,file="+drive, "-device", "scsi-cd,drive=cd")...)
	vm.WaitFor("db-1 login:")
	ssh.wait(t, "ingot", "test -e /var/lib/ingot/boot-finished")
	if got := ssh.run(t, "ingot", "cat /tmp/line /tmp/words"); got != "line\nit's" {
		t.Errorf("the cloud-config's commands left %q", got)
	}
}

func build(t *testing.T) string {
	t.Helper()
	return buildWith(t, Unified)
}

func buildWith(t *testing.T, loader Loader) string {
	t.Helper()
	image, err := Build(t.Context(), Options{Loader: loader})
	if fault.Is(err, fault.Unavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// command runs a tool and gives what it printed. Where it is not installed the test is skipped.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// configDrive makes an ISO 9660 image labelled config-2 with the files, JSON but for strings, in openstack/latest.
func configDrive(t *testing.T, files map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	latest := filepath.Join(dir, "drive/openstack/latest")
	if err := os.MkdirAll(latest, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, value := range files {
		content, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := value.(string); ok {
			content = []byte(text)
		}
		if err := os.WriteFile(filepath.Join(latest, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	iso := filepath.Join(dir, "config.iso")
	command(t, "xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "config-2", "-o", iso, filepath.Join(dir, "drive"))
	return iso
}

// largerDisk writes the image to a disk of 1 GiB and the config drive to a partition in its last 64 MiB.
func largerDisk(t *testing.T, drive string) string {
	t.Helper()
	disk := filepath.Join(t.TempDir(), "disk.raw")
	command(t, "cp", "--sparse=always", build(t), disk)
	command(t, "truncate", "--size=1G", disk)
	command(t, "sgdisk", "--move-second-header", "--new=3:960M:0", disk)
	command(t, "dd", "conv=notrunc", "bs=1M", "seek=960", "status=none", "if="+drive, "of="+disk)
	return disk
}

// partsOfUKI reads from the disk's ESP what a loader would: files of the kernel and the initrd, and the command line.
func partsOfUKI(t *testing.T, disk string) (kernel, initrd, cmdline string) {
	t.Helper()
	dir := t.TempDir()
	efi := filepath.Join(dir, "boot.efi")
	command(t, "mcopy", "-i", fmt.Sprintf("%s@@%dM", disk, espStartMiB), "::EFI/BOOT/BOOTX64.EFI", efi)
	file, err := pe.Open(efi)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	part := func(name string) []byte {
		section := file.Section(name)
		if section == nil {
			t.Fatalf("the unified kernel image has no %s", name)
		}
		data, err := section.Data()
		if err != nil {
			t.Fatal(err)
		}
		return data[:section.VirtualSize]
	}
	kernel, initrd = filepath.Join(dir, "vmlinuz"), filepath.Join(dir, "initrd")
	for path, name := range map[string]string{kernel: ".linux", initrd: ".initrd"} {
		if err := os.WriteFile(path, part(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return kernel, initrd, strings.TrimRight(string(part(".cmdline")), "\x00")
}

type key struct{ file, public string }

func newKey(t *testing.T) key {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	command(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file)
	public, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return key{file, strings.TrimSpace(string(public))}
}

// client reaches the guest's SSH server through QEMU's user network.
type client struct {
	key  key
	port int
}

// network is the arguments for a NIC, and the way to the address that the guest will have there.
func network(t *testing.T, key key, address string) ([]string, client) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0") // QEMU cannot choose a port and tell
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	return []string{
		"-netdev", fmt.Sprintf("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:%d-%s:22", port, address),
		"-device", "virtio-net-pci,netdev=net,romfile=,mac=" + mac,
	}, client{key, port}
}

func (c client) command(user, line string) *exec.Cmd {
	return exec.Command("ssh", "-F", "none", "-i", c.key.file, "-p", strconv.Itoa(c.port), "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"-o", "ConnectTimeout=20", user+"@127.0.0.1", line)
}

// wait tries until the line succeeds.
func (c client) wait(t *testing.T, user, line string) {
	t.Helper()
	for deadline := time.Now().Add(qemutest.Patience); ; time.Sleep(500 * time.Millisecond) {
		out, err := c.command(user, line).CombinedOutput()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s as %s: %v\n%s", line, user, err, out)
		}
	}
}

func (c client) run(t *testing.T, user, line string) string {
	t.Helper()
	out, err := c.command(user, line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s as %s: %v\n%s", line, user, err, out)
	}
	return strings.TrimSpace(string(out))
}

// start runs a line that cuts the connection it came by.
func (c client) start(t *testing.T, user, line string) {
	t.Helper()
	if err := c.command(user, line).Start(); err != nil {
		t.Fatal(err)
	}
}

// expectCleanShutdown demands the kernel's last words and a root file system that needs no recovery.
func expectCleanShutdown(t *testing.T, vm *qemutest.VM, disk, lastWords string) {
	t.Helper()
	if !strings.Contains(vm.Console(), lastWords) {
		t.Errorf("the machine went off without saying %q:\n%s", lastWords, vm.Console())
	}
	features := command(t, "dumpe2fs", "-h", fmt.Sprintf("%s?offset=%d", disk, rootStartMiB<<20))
	if strings.Contains(features, "needs_recovery") {
		t.Errorf("the root file system was not left clean after %q:\n%s", lastWords, vm.Console())
	}
}

func rootSize(t *testing.T, ssh client) int {
	t.Helper()
	fields := strings.Fields(ssh.run(t, "root", "df -m / | tail -n 1"))
	if len(fields) < 2 {
		t.Fatalf("df said %q", fields)
	}
	mib, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	return mib
}

func pressPowerButton(t *testing.T, monitor string) {
	t.Helper()
	conn, err := net.Dial("unix", monitor)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("system_powerdown\n")); err != nil {
		t.Fatal(err)
	}
	// QEMU forgets an order whose giver has hung up: wait for the prompt before it and the one after it.
	prompts, answer := 0, bufio.NewReader(conn)
	for prompts < 2 {
		if _, err := answer.ReadString(')'); err != nil {
			t.Fatal(err)
		}
		prompts++
	}
}
