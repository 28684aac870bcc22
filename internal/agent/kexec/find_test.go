package kexec

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

const rootUUID = "1d2c3b4a-0000-4000-8000-00000000abcd"

// volume makes a file system of names and contents.
func volume(partition int, kind, uuid string, files map[string]string) Volume {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return Volume{Partition: partition, Type: kind, UUID: uuid, FS: m}
}

func testdata(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func bytesOf(t *testing.T, sources ...Source) string {
	t.Helper()
	var all strings.Builder
	for _, s := range sources {
		f, err := s()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

func wantEntry(t *testing.T, volumes []Volume, linux, initrd, cmdline string) {
	t.Helper()
	e, err := Find(volumes)
	if err != nil {
		t.Fatal(err)
	}
	if got := bytesOf(t, e.Linux); got != linux {
		t.Errorf("kernel %q, want %q", got, linux)
	}
	if got := bytesOf(t, e.Initrd...); got != initrd {
		t.Errorf("initrd %q, want %q", got, initrd)
	}
	if e.Cmdline != cmdline {
		t.Errorf("command line %q, want %q", e.Cmdline, cmdline)
	}
	if e.From == "" || e.Title == "" {
		t.Errorf("nobody would know what this is: %+v", e)
	}
}

// debian is a disk as Debian's cloud images have it: a root, and an EFI partition whose boot loader is grub.
func debian(t *testing.T, grubenv string) []Volume {
	files := map[string]string{
		"boot/grub/grub.cfg":              testdata(t, "debian12.grub.cfg"),
		"boot/vmlinuz-6.1.0-25-amd64":     "new kernel",
		"boot/initrd.img-6.1.0-25-amd64":  "new initrd",
		"boot/vmlinuz-6.1.0-9-amd64":      "old kernel",
		"boot/initrd.img-6.1.0-9-amd64":   " old initrd",
		"boot/ucode.img":                  "microcode",
		"usr/share/doc/not-a-boot-loader": "",
	}
	if grubenv != "" {
		files["boot/grub/grubenv"] = grubenv
	}
	return []Volume{
		volume(1, "ext4", rootUUID, files),
		volume(15, "vfat", "ABCD-1234", map[string]string{
			"EFI/BOOT/BOOTX64.EFI": "not even a program",
			"EFI/debian/grub.cfg":  "search.fs_uuid " + rootUUID + " root hd0,gpt1\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n",
		}),
	}
}

func TestDebian(t *testing.T) {
	wantEntry(t, debian(t, ""), "new kernel", "new initrd",
		`root=PARTUUID=11 ro console=tty0 console=ttyS0,115200 "dyndbg=file a.c +p"`)
}

func TestDebianChosenInASubmenu(t *testing.T) {
	for _, choice := range []string{"gnulinux-advanced-1d2c>gnulinux-6.1.0-9", "1>1", "Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux 6.1.0-9-amd64"} {
		env := "# GRUB Environment Block\nnext_entry=" + choice + "\n####"
		wantEntry(t, debian(t, env), "old kernel", "microcode old initrd", "root=PARTUUID=11 ro old")
	}
}

func TestUnknownDefaultTakesTheFirstKernel(t *testing.T) {
	env := "# GRUB Environment Block\nnext_entry=nonsense\n"
	volumes := debian(t, env)
	if e, err := Find(volumes); err != nil || bytesOf(t, e.Linux) != "new kernel" {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestGrubOnlyOnTheESP(t *testing.T) {
	volumes := debian(t, "")
	root := volumes[0].FS.(fstest.MapFS)
	root["boot/elsewhere/grub.cfg"] = root["boot/grub/grub.cfg"]
	delete(root, "boot/grub/grub.cfg")
	esp := volumes[1].FS.(fstest.MapFS)
	esp["EFI/debian/grub.cfg"].Data = []byte("search --fs-uuid --set=dev " + rootUUID + "\nset prefix=($dev)/boot/elsewhere\nexport $prefix\nconfigfile $prefix/grub.cfg\n")
	if e, err := Find(volumes); err != nil || bytesOf(t, e.Linux) != "new kernel" {
		t.Errorf("got %+v, %v", e, err)
	}
}

// fedora is a disk with a boot partition of its own, whose grub.cfg refers to boot loader entries.
func fedora(saved string) []Volume {
	const entry = "title Fedora (%s)\nversion %s\nlinux /vmlinuz-%s\ninitrd /initramfs-%s.img $tuned_initrd\noptions $kernelopts %s\n# a comment\ngrub_users $grub_users\n"
	files := map[string]string{
		"grub2/grub.cfg": `
set pager=1
if [ -f ${config_directory}/grubenv ]; then
  load_env -f ${config_directory}/grubenv
elif [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
else
   set default="${saved_entry}"
fi
if [ -z "${kernelopts}" ]; then
  set kernelopts="root=UUID=wrong ro"
fi
insmod blscfg
blscfg
`,
		"grub2/grubenv": "# GRUB Environment Block\nsaved_entry=" + saved + "\nkernelopts=root=UUID=right ro quiet\n#####\n",
	}
	for _, version := range []string{"6.9.0", "6.10.1"} {
		files["loader/entries/id-"+version+".conf"] = strings.ReplaceAll(entry, "%s", version)
		files["vmlinuz-"+version] = "kernel " + version
		files["initramfs-"+version+".img"] = "initrd " + version
	}
	return []Volume{volume(2, "ext4", "b", files), volume(3, "xfs", "r", nil)}
}

func TestFedora(t *testing.T) {
	wantEntry(t, fedora(""), "kernel 6.10.1", "initrd 6.10.1", "root=UUID=right ro quiet 6.10.1")
	wantEntry(t, fedora("id-6.9.0"), "kernel 6.9.0", "initrd 6.9.0", "root=UUID=right ro quiet 6.9.0")
}

func TestSystemdBootEntries(t *testing.T) {
	files := map[string]string{
		"loader/entries/a.conf":    "title Old\nsort-key arch\nversion 6.9\nlinux /a/linux\ninitrd /ucode\ninitrd /a/initrd\noptions root=x\noptions quiet\n",
		"loader/entries/b.conf":    "title New\nsort-key arch\nversion 6.10\nlinux /b/linux\noptions new\n",
		"loader/entries/c.conf":    "title Broken\nsort-key arch\nversion 7\nlinux /missing\n",
		"loader/entries/d.conf":    "title No Linux\nsort-key arch\nversion 8\nefi /shell.efi\n",
		"a/linux":                  "kernel a",
		"b/linux":                  "kernel b",
		"ucode":                    "u",
		"a/initrd":                 "initrd a",
		"EFI/systemd/whatever.efi": "",
	}
	wantEntry(t, []Volume{volume(1, "vfat", "A", files)}, "kernel b", "", "new")
	files["loader/loader.conf"] = "timeout 3\ndefault a*.conf\n"
	wantEntry(t, []Volume{volume(1, "vfat", "A", files)}, "kernel a", "uinitrd a", "root=x quiet")
}

func TestUnifiedKernelImage(t *testing.T) {
	const stub = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
	if _, err := os.Stat(stub); err != nil {
		t.Skip("builds a unified kernel image: systemd-boot-efi is not installed")
	}
	if _, err := exec.LookPath("objcopy"); err != nil {
		t.Skip("builds a unified kernel image: objcopy is not installed")
	}
	dir := t.TempDir()
	args := []string{}
	address := 0x2000000
	for name, text := range map[string]string{".linux": "the kernel", ".initrd": "the initrd", ".cmdline": "root=LABEL=x console=ttyS0\n\x00", ".uname": "6.1.0-test"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--add-section", name+"="+file, "--change-section-vma", name+"="+hex(address))
		address += 0x100000
	}
	out, err := exec.Command("objcopy", append(args, stub, filepath.Join(dir, "uki"))...).CombinedOutput()
	if err != nil {
		t.Fatalf("objcopy: %v\n%s", err, out)
	}
	uki, err := os.ReadFile(filepath.Join(dir, "uki"))
	if err != nil {
		t.Fatal(err)
	}
	esp := volume(1, "vfat", "A", map[string]string{"EFI/BOOT/" + bootFile(): string(uki)})
	wantEntry(t, []Volume{volume(2, "ext4", "R", nil), esp}, "the kernel", "the initrd", "root=LABEL=x console=ttyS0")

	// The same as systemd-boot finds it, beside an older one, with a boot loader in the first place.
	boot, err := os.ReadFile(stub)
	if err != nil {
		t.Fatal(err)
	}
	esp = volume(1, "vfat", "A", map[string]string{
		"EFI/BOOT/" + bootFile():      string(boot),
		"EFI/Linux/debian-6.1.9.efi":  string(bytes.Replace(uki, []byte("the kernel"), []byte("old kernel"), 1)),
		"EFI/Linux/debian-6.1.10.efi": string(uki),
	})
	wantEntry(t, []Volume{esp}, "the kernel", "the initrd", "root=LABEL=x console=ttyS0")
	for n := 0; n < len(uki); n += 997 { // foreign bytes must not be the end of us
		Find([]Volume{volume(1, "vfat", "A", map[string]string{"EFI/BOOT/" + bootFile(): string(uki[:n])})})
	}
}

func hex(n int) string {
	const digits = "0123456789abcdef"
	s := ""
	for ; n > 0; n /= 16 {
		s = string(digits[n%16]) + s
	}
	return "0x" + s
}

func TestNothingToBoot(t *testing.T) {
	_, err := Find([]Volume{volume(1, "ext4", "R", map[string]string{"boot/grub/grub.cfg": "menuentry x {\n chainloader +1\n}\n"})})
	if err == nil || !strings.Contains(err.Error(), "partition 1: boot/grub/grub.cfg") {
		t.Errorf("got %v", err)
	}
}

func TestHostileScripts(t *testing.T) {
	for name, script := range map[string]string{
		"calls itself":     "function f { f; f; }\nf\n",
		"sources itself":   "source /boot/grub/grub.cfg\nsource /boot/grub/grub.cfg\n",
		"open if":          "if [ a ]; then\n",
		"open brace":       "menuentry x {\n",
		"deep":             strings.Repeat("if a; then ", 10000),
		"climbs out":       "menuentry x { linux /../../../../etc/passwd; }",
		"no device":        "menuentry x { linux (hd0,gpt7)/vmlinuz; }",
		"half a device":    "menuentry x { linux (hd0; }",
		"open quotes":      "menuentry \"x ${",
		"only a backslash": "\\",
		"stray words":      "} fi done then\n",
	} {
		if e, err := Find([]Volume{volume(1, "ext4", "R", map[string]string{"boot/grub/grub.cfg": script})}); err == nil {
			t.Errorf("%s: found %+v", name, e)
		}
	}
}

func TestGrubConditions(t *testing.T) {
	g := &grub{volumes: []Volume{volume(1, "ext4", "R", map[string]string{"full": "x", "empty": "", "dir/f": ""})}, variables: map[string]string{"root": "hd0,gpt1"}}
	for condition, want := range map[string]bool{
		"a = a": true, "a = b": false, "a != b": true, "! a = a": false, "3 -lt 4": true, "x -lt 4": false,
		"-n x": true, "-s /full": true, "-s /empty": false, "-f /empty": true, "-d /dir": true, "-e /none": false,
		"a = b -o c = c": true, "a = a -a c = d": false, "a = b -o c = c -a d = e": false,
	} {
		if got := g.test(append(strings.Fields(condition), "]")); got != want {
			t.Errorf("[ %s ] is %v", condition, got)
		}
	}
}

func TestCompareVersions(t *testing.T) {
	inOrder := []string{"", "5.9", "6.1.0-9", "6.1.0-10", "6.1.0-10-cloud", "6.2"}
	for i := range inOrder[1:] {
		if compareVersions(inOrder[i], inOrder[i+1]) >= 0 || compareVersions(inOrder[i+1], inOrder[i]) <= 0 {
			t.Errorf("%q is older than %q", inOrder[i], inOrder[i+1])
		}
	}
}

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		kind, tool string
		args       []string
		want       Volume
	}{
		{"ext4", "mkfs.ext4", []string{"-q", "-F", "-U", rootUUID, "-L", "cloud"}, Volume{Type: "ext4", UUID: rootUUID, Label: "cloud"}},
		{"vfat", "mkfs.vfat", []string{"-F", "32", "-i", "abcd1234", "-n", "UEFI"}, Volume{Type: "vfat", UUID: "ABCD-1234", Label: "UEFI"}},
		{"fat16", "mkfs.vfat", []string{"-F", "16", "-i", "abcd1234"}, Volume{Type: "vfat", UUID: "ABCD-1234"}},
		{"xfs", "mkfs.xfs", []string{"-q", "-m", "uuid=" + rootUUID, "-L", "big"}, Volume{Type: "xfs", UUID: rootUUID, Label: "big"}},
	} {
		t.Run(c.kind, func(t *testing.T) {
			tool, err := exec.LookPath(c.tool)
			if err != nil {
				if tool = "/usr/sbin/" + c.tool; exec.Command(tool, "-V").Run() != nil {
					t.Skip("reads a superblock of other people's making: " + c.tool + " is not installed")
				}
			}
			file := filepath.Join(t.TempDir(), "fs")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(file, 320<<20); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(tool, append(c.args, file)...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if got, err := probeDevice(file); err != nil || got != c.want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	if got, err := probe(bytes.NewReader(make([]byte, 100))); err != nil || got.Type != "" {
		t.Errorf("a tiny device: %+v, %v", got, err)
	}
}

func TestInMemoryIsReadOnly(t *testing.T) {
	text := func(s string) Source {
		return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
	}
	f, err := inMemory("test", []Source{text("12345"), text("67")})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := io.ReadAll(f)
	if err != nil || string(got) != "12345\x00\x00\x0067\x00\x00" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := f.Write([]byte("x")); err == nil {
		t.Error("the file can be written")
	}
}
