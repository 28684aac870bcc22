package deploy

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/agent/disk"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/deployimage"
)

func job(s *store, d *disk.Disk) Job {
	return Job{Image: "i", Manifest: s.manifest, Images: s, Disk: d, Patience: time.Minute, Pause: time.Millisecond}
}

func wantOnDisk(t *testing.T, d *disk.Disk, raw []byte) {
	t.Helper()
	got, err := os.ReadFile(d.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[:len(raw)], raw) {
		for i := range raw {
			if got[i] != raw[i] {
				t.Fatalf("the disk differs from the image at byte %d", i)
			}
		}
	}
}

func TestWritesEveryByteAndHole(t *testing.T) {
	raw := contents(41)
	raw = raw[:len(raw)-mib+12345] // not even whole blocks
	s, d := pack(t, raw), dirtyDisk(t, 48*mib)
	t.Logf("direct I/O: %v", d.Direct)
	var mu sync.Mutex
	var last agentapi.Progress
	j := job(s, d)
	j.Progress = func(p agentapi.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if p.Step == "Writing the image" && p.Done > last.Done {
			last = p
		}
	}
	result, err := j.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	wantOnDisk(t, d, raw)
	if result.Written != s.manifest.DataSize || result.Discarded != d.Size || result.RawBytesPerSec <= 0 || result.Verified < 10*mib {
		t.Errorf("result %+v", result)
	}
	if last.Done != s.manifest.DataSize || last.Total != s.manifest.DataSize {
		t.Errorf("last progress %+v", last)
	}
}

func TestGoesOnWhereTheNetworkBroke(t *testing.T) {
	raw := make([]byte, 40*mib)
	rand.NewChaCha8([32]byte{2}).Read(raw)
	s, d := pack(t, raw), dirtyDisk(t, 40*mib)
	s.refuse, s.cut = 3, 3*mib/2 // about 40 cuts: more than there are buffers
	if _, err := job(s, d).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantOnDisk(t, d, raw)
}

func TestSpoiltOnceIsFetchedAgain(t *testing.T) {
	raw := contents(8)
	s, d := pack(t, raw), dirtyDisk(t, 8*mib)
	s.spoil[10] = 1                          // stored as it is
	s.spoil[s.manifest.Extents[1].Start] = 1 // zstd's own magic
	if _, err := job(s, d).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantOnDisk(t, d, raw)
}

func TestSpoiltTwiceIsTheImagesFault(t *testing.T) {
	for _, extent := range []int{0, 1} {
		s, d := pack(t, contents(8)), dirtyDisk(t, 8*mib)
		s.spoil[s.manifest.Extents[extent].Start+20] = 2
		_, err := job(s, d).Run(context.Background())
		wantFault(t, err, agentapi.FaultRequest)
	}
}

func TestAnExtentThatUnpacksToMoreIsRefused(t *testing.T) {
	s := pack(t, bytes.Repeat([]byte("x"), mib))
	d := dirtyDisk(t, 4*mib)
	s.manifest.Extents[0].Length = mib / 2
	s.manifest.VirtualSize, s.manifest.DataSize = mib/2, mib/2
	_, err := job(s, d).Run(context.Background())
	wantFault(t, err, agentapi.FaultRequest)
}

func TestTruncatedBlob(t *testing.T) {
	s, d := pack(t, contents(16)), dirtyDisk(t, 16*mib)
	s.blob = s.blob[:len(s.blob)-1000]
	_, err := job(s, d).Run(context.Background())
	wantFault(t, err, agentapi.FaultRequest)
}

func TestNetworkGoneForGood(t *testing.T) {
	s, d := pack(t, contents(4)), dirtyDisk(t, 4*mib)
	s.refuse = 1 << 30
	j := job(s, d)
	j.Patience = time.Millisecond
	_, err := j.Run(context.Background())
	wantFault(t, err, agentapi.FaultRetry)
	_, err = Fetch(context.Background(), s, "i", time.Millisecond)
	wantFault(t, err, agentapi.FaultRetry)
}

func TestTooSmallDiskIsNotTouched(t *testing.T) {
	s, d := pack(t, contents(8)), dirtyDisk(t, 8*mib)
	j := job(s, d)
	j.ConfigDrive = make([]byte, 1000)
	_, err := j.Run(context.Background())
	wantFault(t, err, agentapi.FaultTooSmall)
	wantOnDisk(t, d, bytes.Repeat([]byte{0xAA}, 8*mib))
}

func TestCancelledAndStartedAgain(t *testing.T) {
	raw := contents(64)
	s, d := pack(t, raw), dirtyDisk(t, 64*mib)
	ctx, cancel := context.WithCancel(context.Background())
	s.onRange = func(n int) {
		if n == 2 {
			cancel()
		}
	}
	if _, err := job(s, d).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if _, err := job(s, d).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantOnDisk(t, d, raw)
}

func TestFetchChecksTheManifest(t *testing.T) {
	s := pack(t, contents(8))
	s.refuse = 2
	if _, err := Fetch(context.Background(), s, "i", time.Minute); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(m *deployimage.Manifest){
		"version":           func(m *deployimage.Manifest) { m.Version = 2 },
		"no size":           func(m *deployimage.Manifest) { m.VirtualSize = 0 },
		"past the disk":     func(m *deployimage.Manifest) { m.VirtualSize = 3 * mib },
		"negative offset":   func(m *deployimage.Manifest) { m.Extents[0].Offset = -mib },
		"not aligned":       func(m *deployimage.Manifest) { m.Extents[1].Offset += 512 },
		"overlap":           func(m *deployimage.Manifest) { m.Extents[1].Offset = m.Extents[0].Offset },
		"order":             func(m *deployimage.Manifest) { m.Extents[0], m.Extents[1] = m.Extents[1], m.Extents[0] },
		"short":             func(m *deployimage.Manifest) { m.Extents[1].Length = 512 },
		"huge":              func(m *deployimage.Manifest) { m.Extents[1].Length = 1 << 40 },
		"past the blob":     func(m *deployimage.Manifest) { m.BlobSize -= 1 },
		"negative start":    func(m *deployimage.Manifest) { m.Extents[0].Start = -1 },
		"start overflow":    func(m *deployimage.Manifest) { m.Extents[0].Start = 1<<63 - 1 },
		"size overflow":     func(m *deployimage.Manifest) { m.Extents[1].Size = 1<<63 - 1 },
		"empty":             func(m *deployimage.Manifest) { m.Extents[1].Size = 0 },
		"raw of other size": func(m *deployimage.Manifest) { m.Extents[1].Raw = true },
		"hash":              func(m *deployimage.Manifest) { m.Extents[0].SHA256 = "abcd" },
		"data size":         func(m *deployimage.Manifest) { m.DataSize++ },
	} {
		s := pack(t, contents(8))
		spoil(&s.manifest)
		_, err := Fetch(context.Background(), s, "i", time.Minute)
		if t.Run(name, func(t *testing.T) { wantFault(t, err, agentapi.FaultRequest) }); err == nil {
			t.Errorf("%s passed", name)
		}
	}
}

func TestChoose(t *testing.T) {
	disks := []agentapi.Disk{
		{ID: "big", Name: "/dev/sda", Serial: "B", Size: 100 * mib, Bus: "ata"},
		{ID: "small", Name: "/dev/nvme0n1", Serial: "S", WWN: "eui.1", Size: 50 * mib, Bus: "nvme"},
		{ID: "stick", Name: "/dev/sdb", Serial: "U", Size: 10 * mib, Bus: "usb"},
	}
	for _, c := range []struct {
		hint  agentapi.RootHint
		need  int64
		want  string
		fault agentapi.Fault
	}{
		{need: mib, want: "small"},
		{need: 60 * mib, want: "big"},
		{need: 600 * mib, fault: agentapi.FaultTooSmall},
		{hint: agentapi.RootHint{MinSize: 60 * mib}, need: mib, want: "big"},
		{hint: agentapi.RootHint{Serial: "B"}, need: mib, want: "big"},
		{hint: agentapi.RootHint{WWN: "eui.1"}, need: mib, want: "small"},
		{hint: agentapi.RootHint{WWN: "eui.1"}, need: 60 * mib, fault: agentapi.FaultTooSmall},
		{hint: agentapi.RootHint{Name: "/dev/sdb"}, need: mib, want: "stick"},
		{hint: agentapi.RootHint{Serial: "X"}, need: mib, fault: agentapi.FaultRequest},
	} {
		got, err := Choose(disks, c.hint, c.need)
		if c.fault != "" {
			wantFault(t, err, c.fault)
		} else if err != nil || got.ID != c.want {
			t.Errorf("%+v for %d: got %q, %v", c.hint, c.need, got.ID, err)
		}
	}
	_, err := Choose(disks[2:], agentapi.RootHint{}, mib)
	wantFault(t, err, agentapi.FaultMachine)
}

// run runs a tool that the test needs and gives what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = "/usr/sbin/" + name
		if _, err := os.Stat(path); err != nil {
			t.Skip("checks the partition table with other people's tools: " + name + " is not installed")
		}
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// configISO is a config drive that holds little but its label.
func configISO(t *testing.T) []byte {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "in/openstack/latest"), 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "xorriso", "-as", "mkisofs", "-quiet", "-V", "config-2", "-o", filepath.Join(dir, "iso"), filepath.Join(dir, "in"))
	iso, err := os.ReadFile(filepath.Join(dir, "iso"))
	if err != nil {
		t.Fatal(err)
	}
	return iso
}

func TestConfigDriveOnGPT(t *testing.T) {
	iso := configISO(t)
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, append([]byte("boot code"), make([]byte, 32*mib-9)...), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "sgdisk", "-n", "1:2048:4095", "-t", "1:ef00", "-n", "14:4096:0", "-c", "14:root", image)
	raw, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	d := dirtyDisk(t, 64*mib)
	j := job(pack(t, raw), d)
	j.ConfigDrive = iso
	if _, err := j.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if out := run(t, "sgdisk", "-v", d.Name()); !strings.Contains(out, "No problems found") {
		t.Errorf("sgdisk is not content:\n%s", out)
	}
	if out := run(t, "sgdisk", "-p", d.Name()); !strings.Contains(out, "config-2") || !strings.Contains(out, "root") {
		t.Errorf("partitions:\n%s", out)
	}
	if out := run(t, "sgdisk", "-i", "15", d.Name()); !strings.Contains(out, "First sector: 12") { // in the last 4 MiB
		t.Errorf("the config drive is not at the end:\n%s", out)
	}
	got, err := os.ReadFile(d.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(got, []byte("boot code")) {
		t.Error("the boot code in the first sector is gone")
	}
	wantLabel(t, d.Name(), bytes.Index(got, iso))
}

func TestConfigDriveOnMBR(t *testing.T) {
	iso := configISO(t)
	raw := make([]byte, 16*mib)
	copy(raw[446:], []byte{0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0x60, 0, 0}) // 2048 + 24576 sectors
	copy(raw[510:], []byte{0x55, 0xaa})
	d := dirtyDisk(t, 40*mib)
	j := job(pack(t, raw), d)
	j.ConfigDrive = iso
	if _, err := j.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(d.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[446:462], raw[446:462]) {
		t.Errorf("the image's own partition changed: %x", got[446:462])
	}
	wantLabel(t, d.Name(), bytes.Index(got, iso))
	if out := run(t, "blkid", "-p", "-o", "export", d.Name()); !strings.Contains(out, "PTTYPE=dos") {
		t.Errorf("blkid sees %s", out)
	}

	full := bytes.Clone(raw)
	for i := range 3 {
		copy(full[462+16*i:], raw[446:462])
	}
	j = job(pack(t, full), d)
	j.ConfigDrive = iso
	_, err = j.Run(context.Background())
	wantFault(t, err, agentapi.FaultRequest)
}

// wantLabel checks the config drive's place and label with blkid.
func wantLabel(t *testing.T, name string, at int) {
	t.Helper()
	if at < 0 || at%mib != 0 {
		t.Fatalf("the config drive is at byte %d", at)
	}
	dump := filepath.Join(t.TempDir(), "drive")
	all, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dump, all[at:], 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(t, "blkid", "-p", "-o", "export", dump); !strings.Contains(out, "LABEL=config-2") || !strings.Contains(out, "TYPE=iso9660") {
		t.Errorf("blkid sees %s", out)
	}
}

func TestConfigDriveNeedsAPartitionTable(t *testing.T) {
	d := dirtyDisk(t, 40*mib)
	s := pack(t, contents(8))
	j := job(s, d)
	if _, err := j.Run(context.Background()); err != nil {
		t.Fatalf("without a config drive any bytes will do: %v", err)
	}
	j.ConfigDrive = []byte("drive")
	_, err := j.Run(context.Background())
	wantFault(t, err, agentapi.FaultRequest)
}

func TestImageForOtherBlocksIsRefused(t *testing.T) {
	raw := make([]byte, 8*mib)
	copy(raw[4096:], "EFI PART")
	_, err := job(pack(t, raw), dirtyDisk(t, 40*mib)).Run(context.Background())
	wantFault(t, err, agentapi.FaultRequest)
}
