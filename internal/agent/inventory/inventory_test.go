package inventory

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"

	"github.com/ingotcloud/ingot/internal/agentapi"
)

// tree makes files, and links where the value begins with "->".
func tree(t *testing.T, files map[string]string) *Reader {
	t.Helper()
	root := t.TempDir()
	for name, value := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if len(value) > 2 && value[:2] == "->" {
			target := filepath.Join(root, value[2:])
			if err = os.MkdirAll(target, 0o755); err == nil {
				err = os.Symlink(target, path)
			}
		} else {
			err = os.WriteFile(path, []byte(value), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return &Reader{Sys: filepath.Join(root, "sys"), Proc: filepath.Join(root, "proc"), Dev: "/dev"}
}

func TestReadsAMachine(t *testing.T) {
	const (
		nvme   = "sys/devices/pci0000:00/0000:00:1c.0/0000:01:00.0/nvme/nvme0/nvme0n1"
		sata   = "sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda"
		virtio = "sys/devices/pci0000:00/0000:00:03.0/virtio1/block/vda"
		stick  = "sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/host9/target9:0:0/9:0:0:0/block/sdb"
		cd     = "sys/devices/pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0/block/sr0"
		nic    = "sys/devices/pci0000:00/0000:00:19.0/net/eth0"
	)
	r := tree(t, map[string]string{
		"sys/class/dmi/id/product_uuid":                                            "ABCDEF00-1111-2222-3333-444455556666\n",
		"sys/class/dmi/id/sys_vendor":                                              "ACME\n",
		"sys/class/dmi/id/product_name":                                            "Anvil 9\n",
		"sys/class/dmi/id/product_serial":                                          "S3R\n",
		"sys/class/dmi/id/bios_vendor":                                             "Foo\n",
		"sys/class/dmi/id/bios_date":                                               "01/02/2026\n",
		"sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c": "\x06\x00\x00\x00\x01",
		"sys/firmware/dmi/tables/DMI":                                              string(memoryDevices(16<<10, 0x7fff)),

		"sys/devices/system/cpu/cpu0/topology/physical_package_id": "0\n",
		"sys/devices/system/cpu/cpu0/topology/core_id":             "0\n",
		"sys/devices/system/cpu/cpu1/topology/physical_package_id": "0\n",
		"sys/devices/system/cpu/cpu1/topology/core_id":             "0\n",
		"sys/devices/system/cpu/cpu2/topology/physical_package_id": "1\n",
		"sys/devices/system/cpu/cpu2/topology/core_id":             "0\n",
		"sys/devices/system/cpu/cpufreq/x":                         "",
		"sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq":     "3500000\n",
		"sys/devices/system/node/node0/cpulist":                    "0-1\n",
		"sys/devices/system/node/node0/meminfo":                    "Node 0 MemTotal:       1024 kB\nNode 0 MemFree: 5 kB\n",
		"sys/devices/system/node/node1/cpulist":                    "2\n",
		"sys/devices/system/node/node1/meminfo":                    "Node 1 MemTotal:       2048 kB\n",
		"proc/cpuinfo":                                             "processor\t: 0\nmodel name\t: Forge 5\ncpu MHz\t\t: 1200.5\nflags\t\t: fpu vme\n\nprocessor\t: 1\nmodel name\t: Other\n",
		"proc/meminfo":                                             "MemTotal:        3000 kB\n",

		nvme + "/size":                     "2048\n",
		nvme + "/wwid":                     "eui.0025\n",
		nvme + "/device/serial":            "NV1   \n",
		nvme + "/device/model":             "Fast SSD  \n",
		nvme + "/queue/rotational":         "0\n",
		nvme + "/queue/logical_block_size": "4096\n",
		"sys/block/nvme0n1":                "->" + nvme,
		sata + "/size":                     "4096\n",
		sata + "/device/vendor":            "ATA     \n",
		sata + "/device/model":             "Slow Disk\n",
		sata + "/device/vpd_pg80":          "\x00\x80\x00\x08  SATA42",
		sata + "/queue/rotational":         "1\n",
		"sys/block/sda":                    "->" + sata,
		virtio + "/size":                   "1000\n",
		virtio + "/device/vendor":          "0x1af4\n",
		"sys/block/vda":                    "->" + virtio,
		stick + "/size":                    "1000\n",
		stick + "/removable":               "1\n",
		"sys/block/sdb":                    "->" + stick,
		cd + "/size":                       "1000\n",
		"sys/block/sr0":                    "->" + cd,
		"sys/block/loop0/size":             "1000\n",
		"sys/block/sdc/size":               "0\n",

		nic + "/address": "52:54:00:00:00:01\n",
		nic + "/carrier": "1\n",
		nic + "/speed":   "25000\n",
		nic + "/device":  "->sys/devices/pci0000:00/0000:00:19.0",
		"sys/devices/pci0000:00/0000:00:19.0/driver": "->sys/bus/pci/drivers/mlx5_core",
		"sys/class/net/eth0":                         "->" + nic,
		"sys/class/net/lo/address":                   "00:00:00:00:00:00\n",
	})
	neighbour := agentapi.LLDP{ChassisID: "c", PortID: "p"}
	r.Neighbour = func(string) *agentapi.LLDP { return &neighbour }
	want := agentapi.Inventory{
		UUID: "abcdef00-1111-2222-3333-444455556666", Vendor: "ACME", Product: "Anvil 9", Serial: "S3R", BIOS: "Foo 01/02/2026",
		BootMode: "uefi", Secure: true, Arch: architecture(),
		CPU:    agentapi.CPU{Model: "Forge 5", Sockets: 2, Cores: 2, Threads: 3, MHz: 3500, Flags: []string{"fpu", "vme"}},
		Memory: 16<<30 + 64<<30,
		NUMA:   []agentapi.NUMA{{ID: 0, CPUs: []int{0, 1}, Memory: 1 << 20}, {ID: 1, CPUs: []int{2}, Memory: 2 << 20}},
		Disks: []agentapi.Disk{
			{ID: "eui.0025", Name: "/dev/nvme0n1", Model: "Fast SSD", Serial: "NV1", WWN: "eui.0025", Bus: "nvme", Size: 1 << 20, Block: 4096},
			{ID: "SATA42", Name: "/dev/sda", Model: "Slow Disk", Serial: "SATA42", Bus: "ata", Size: 2 << 20, Rotational: true, Block: 512},
			{ID: "pci-0000:00:03.0-vda", Name: "/dev/vda", Model: "virtio", Bus: "virtio", Size: 512000, Block: 512},
		},
		NICs: []agentapi.NIC{{Name: "eth0", MAC: "52:54:00:00:00:01", Driver: "mlx5_core", PCI: "0000:00:19.0", Carrier: true, Speed: 25000, LLDP: &neighbour}},
	}
	if diff := cmp.Diff(want, r.Read()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// memoryDevices is an SMBIOS table with a type 0, two type 17 of the sizes in MiB (the second by its extended size of
// 64 GiB when 0x7fff), and the end.
func memoryDevices(sizes ...uint16) []byte {
	table := []byte{0, 5, 0, 0, 1, 'v', 0, 0}
	for _, size := range sizes {
		s := make([]byte, 0x22)
		s[0], s[1] = 17, byte(len(s))
		binary.LittleEndian.PutUint16(s[0x0c:], size)
		binary.LittleEndian.PutUint32(s[0x1c:], 64<<10)
		table = append(append(table, s...), "DIMM\x00\x00"...)
	}
	return append(table, 127, 4, 0, 0, 0, 0)
}

func TestBrokenSMBIOSTables(t *testing.T) {
	good := memoryDevices(1024)
	for n := range good {
		pluggedIn(good[:n]) // must not panic
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] = 0xff
		pluggedIn(bad)
	}
	r := tree(t, map[string]string{"proc/meminfo": "MemTotal:        3000 kB\n"})
	if got := r.memory(); got != 3000<<10 {
		t.Errorf("without tables: %d", got)
	}
}

func TestParseLLDP(t *testing.T) {
	frame := append([]byte{0x01, 0x80, 0xc2, 0, 0, 0x0e, 2, 2, 2, 2, 2, 2, 0x88, 0xcc},
		2, 7, 4, 0x52, 0x54, 0, 0, 0, 9, // chassis: a MAC
		4, 5, 5, 'e', 't', 'h', '7', // port: an interface name
		6, 2, 0, 120, // time to live
		10, 3, 's', 'w', '1', // system name
		0, 0)
	got, ok := parseLLDP(frame)
	if want := (agentapi.LLDP{ChassisID: "52:54:00:00:00:09", PortID: "eth7", System: "sw1"}); !ok || got != want {
		t.Errorf("got %+v, %v", got, ok)
	}
	for n := range frame {
		parseLLDP(frame[:n]) // must not panic
	}
	for i := 14; i < len(frame); i++ {
		bad := append([]byte(nil), frame...)
		bad[i] = 0xff
		parseLLDP(bad)
	}
	if got := lldpID([]byte{5, 1, 10, 0, 0, 1}, 4, 5); got != "10.0.0.1" {
		t.Errorf("a chassis by address: %q", got)
	}
}

func TestTPM(t *testing.T) {
	if _, err := exec.LookPath("swtpm"); err != nil {
		t.Skip("reads a software TPM: swtpm is not installed")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "tpm")
	swtpm := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir, "--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	if err := swtpm.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { swtpm.Process.Kill(); swtpm.Wait() })
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break
		}
	}
	device, err := linuxudstpm.Open(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if maker, err := tpmManufacturer(device); err != nil || maker != "IBM" {
		t.Errorf("manufacturer %q, %v", maker, err)
	}
	values, err := tpmPCRs(device)
	if err != nil || len(values) != pcrs || len(values["0"]) != 64 {
		t.Errorf("PCRs %v, %v", values, err)
	}
}

func TestThisMachine(t *testing.T) {
	inv := New(nil).Read()
	if inv.CPU.Threads == 0 || inv.Memory == 0 {
		t.Errorf("a Linux machine without CPU or memory: %+v", inv)
	}
}
