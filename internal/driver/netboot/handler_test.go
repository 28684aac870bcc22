package netboot

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat16"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
	"github.com/pin/tftp/v3"
	"pgregory.net/rapid"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/netns"
	"github.com/ingotcloud/ingot/internal/ramdisk"
)

// newSite serves a boot's artefacts over HTTP.
func newSite(t *testing.T, uki string, signing Signing) (*httptest.Server, *table, string) {
	t.Helper()
	source := newTable("token-" + randomHex(8))
	files := Artifacts{UKI: uki, RescueUKI: fakeUKI(t, 9<<20)}
	for path, content := range map[*string]string{&files.Kernel: "the kernel", &files.Initrd: "the RAM disk", &files.RescueInitrd: "the RAM disk and tools"} {
		*path = filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(*path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	folder := t.TempDir()
	h, err := NewHandler(source, files, signing, folder, testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	site := httptest.NewServer(h)
	t.Cleanup(func() {
		site.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
			t.Errorf("left in the folder: %v %v", left, err)
		}
	})
	return site, source, folder
}

func fetch(t *testing.T, method, url string, header ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, body
}

func TestArtefacts(t *testing.T) {
	template := fakeUKI(t, 5<<20+123)
	site, source, _ := newSite(t, template, Signing{})
	line := source.boots[testKey].Params.Cmdline()
	plain, err := os.ReadFile(template)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Clone(plain)
	if err := ramdisk.PatchCmdline(want, line); err != nil {
		t.Fatal(err)
	}
	url := func(name string) string { return site.URL + Path(testKey, name) }

	t.Run("script", func(t *testing.T) {
		_, body := fetch(t, "GET", url(Script))
		if got, want := string(body), "#!ipxe\nkernel vmlinuz initrd=initrd "+line+"\ninitrd initrd\nboot\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("kernel and RAM disk", func(t *testing.T) {
		for name, want := range map[string]string{Kernel: "the kernel", Initrd: "the RAM disk"} {
			if _, body := fetch(t, "GET", url(name)); string(body) != want {
				t.Errorf("%s is %q", name, body)
			}
		}
	})
	t.Run("UKI differs in its command line only", func(t *testing.T) {
		res, body := fetch(t, "GET", url(UKI))
		if !bytes.Equal(body, want) {
			t.Error("the image is not the template with the command line")
		}
		if res.Header.Get("Content-Type") != "application/efi" {
			t.Errorf("Content-Type %s", res.Header.Get("Content-Type"))
		}
		if after, err := os.ReadFile(template); err != nil || !bytes.Equal(after, plain) {
			t.Error("the template was changed")
		}
	})
	t.Run("HEAD", func(t *testing.T) {
		for _, name := range []string{Script, Kernel, Initrd, UKI, ISO} {
			head, _ := fetch(t, "HEAD", url(name))
			_, body := fetch(t, "GET", url(name))
			if head.StatusCode != 200 || head.ContentLength != int64(len(body)) || head.Header.Get("Accept-Ranges") != "bytes" {
				t.Errorf("%s: status %d, length %d of %d", name, head.StatusCode, head.ContentLength, len(body))
			}
		}
	})
	t.Run("ranges", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			from := rapid.OneOf(rapid.IntRange(0x1000, 0x1c00), rapid.IntRange(0, len(want)-1)).Draw(rt, "from")
			to := min(from+rapid.IntRange(0, 3000).Draw(rt, "length"), len(want)-1)
			res, body := fetch(t, "GET", url(UKI), "Range", fmt.Sprintf("bytes=%d-%d", from, to))
			if res.StatusCode != http.StatusPartialContent || !bytes.Equal(body, want[from:to+1]) {
				rt.Fatalf("status %d, %d bytes", res.StatusCode, len(body))
			}
		})
	})
	t.Run("ETag", func(t *testing.T) {
		first, _ := fetch(t, "HEAD", url(UKI))
		tag := first.Header.Get("ETag")
		if again, _ := fetch(t, "GET", url(UKI), "If-None-Match", tag); again.StatusCode != http.StatusNotModified {
			t.Errorf("unchanged, yet status %d", again.StatusCode)
		}
		other := *source.boots[testKey]
		other.Key, other.Params.Token = "other", "another"
		source.mu.Lock()
		source.boots["other"] = &other
		source.mu.Unlock()
		if second, _ := fetch(t, "HEAD", site.URL+Path("other", UKI)); second.Header.Get("ETag") == tag {
			t.Error("two boots have the same ETag")
		}
	})
	t.Run("ISO", func(t *testing.T) { checkISO(t, url(ISO), want) })
	t.Run("what is not there", func(t *testing.T) {
		for path, status := range map[string]int{
			Path("wrong", UKI): 404, Path(testKey, "passwd"): 404, "/boot/" + testKey + "/": 404, "/": 404,
			"/boot/../../etc/passwd": 404,
		} {
			if res, _ := fetch(t, "GET", site.URL+path); res.StatusCode != status {
				t.Errorf("%s: status %d, want %d", path, res.StatusCode, status)
			}
		}
		if res, _ := fetch(t, "POST", url(UKI)); res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST: status %d", res.StatusCode)
		}
	})
	t.Run("disarmed", func(t *testing.T) {
		source.disarm(testKey)
		for _, name := range []string{Script, Kernel, Initrd, UKI, ISO} {
			if res, body := fetch(t, "GET", url(name)); res.StatusCode != 404 || !strings.Contains(string(body), "no such boot") {
				t.Errorf("%s: status %d %q", name, res.StatusCode, body)
			}
		}
	})
}

// checkISO reads the image back by library and by independent programs.
func checkISO(t *testing.T, url string, uki []byte) {
	_, content := fetch(t, "GET", url)
	path := filepath.Join(t.TempDir(), "ingot.iso")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	disc, err := file.OpenFromPath(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer disc.Close()
	iso, err := iso9660.Read(disc, int64(len(content)), 0, 2048)
	if err != nil {
		t.Fatal(err)
	}
	image, err := iso.ReadFile(efiImage)
	if err != nil {
		t.Fatal(err)
	}
	imagePath := filepath.Join(t.TempDir(), "efi.img")
	if err := os.WriteFile(imagePath, image, 0o600); err != nil {
		t.Fatal(err)
	}
	volume, err := file.OpenFromPath(imagePath, true)
	if err != nil {
		t.Fatal(err)
	}
	defer volume.Close()
	fat, err := fat16.Read(volume, int64(len(image)), 0, 512)
	if err != nil {
		t.Fatal(err)
	}
	got, err := fat.ReadFile("/EFI/BOOT/BOOTX64.EFI")
	if err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(got) != sha256.Sum256(uki) {
		t.Error("the boot loader on the ISO is not the boot's unified kernel image")
	}
	for _, tool := range []struct {
		words []string
		want  string
	}{
		{[]string{"xorriso", "-indev", path, "-report_el_torito", "plain"}, "UEFI"},
		{[]string{"isoinfo", "-d", "-i", path}, "El Torito VD version 1 found"},
		{[]string{"mdir", "-i", imagePath, "::/EFI/BOOT"}, "BOOTX64"},
	} {
		if _, err := exec.LookPath(tool.words[0]); err != nil {
			t.Logf("not checked with %s: it is not installed", tool.words[0])
			continue
		}
		out, err := exec.CommandContext(t.Context(), tool.words[0], tool.words[1:]...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), tool.want) {
			t.Errorf("%v: %v\n%s", tool.words, err, out)
		}
	}
}

func TestSecureBootWithoutKey(t *testing.T) {
	site, source, _ := newSite(t, fakeUKI(t, 1<<20), Signing{})
	source.boots[testKey].SecureBoot = true
	for _, name := range []string{UKI, ISO, Script} {
		res, body := fetch(t, "GET", site.URL+Path(testKey, name))
		if res.StatusCode != http.StatusNotImplemented || !strings.Contains(string(body), "Secure Boot") {
			t.Errorf("%s: status %d %q", name, res.StatusCode, body)
		}
	}
}

// A boot that rescues gets the RAM disk with the tools by each of the ways, and others do not.
func TestRescue(t *testing.T) {
	site, source, _ := newSite(t, fakeUKI(t, 1<<20), Signing{})
	sizes := map[string]int{}
	for _, rescue := range []bool{false, true} {
		source.boots[testKey].Rescue = rescue
		for _, name := range []string{UKI, ISO, Initrd} {
			res, body := fetch(t, "GET", site.URL+Path(testKey, name))
			if res.StatusCode != http.StatusOK || rescue && len(body) <= sizes[name] {
				t.Errorf("%s, rescue %v: status %d, %d bytes after %d", name, rescue, res.StatusCode, len(body), sizes[name])
			}
			if name != Initrd && !bytes.Contains(body, []byte(source.boots[testKey].Params.Cmdline())) {
				t.Errorf("%s, rescue %v: the boot's command line is not in it", name, rescue)
			}
			sizes[name] = len(body)
		}
	}
}

func TestCommandLineMustFit(t *testing.T) {
	template, err := openFile(fakeUKI(t, 1<<20), "")
	if err != nil {
		t.Fatal(err)
	}
	defer template.Close()
	if _, err := cmdlinePatch(template, strings.Repeat("x", 2047)); err != nil {
		t.Error(err)
	}
	if _, err := cmdlinePatch(template, strings.Repeat("x", 2048)); !fault.Is(err, fault.Internal) {
		t.Errorf("a line that is too long: %v", err)
	}
	if _, err := cmdlinePatch(strings.NewReader("no PE file"), "x"); !fault.Is(err, fault.Internal) {
		t.Errorf("no PE file: %v", err)
	}
}

func TestImagesAreBounded(t *testing.T) {
	folder := t.TempDir()
	left := filepath.Join(folder, "netboot-left-by-a-crash")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	i, err := newImages(folder)
	if err != nil {
		t.Fatal(err)
	}
	built := 0
	get := func(key string) {
		t.Helper()
		path, err := i.of(key, signedUKI, func(to string) error { built++; return os.WriteFile(to, []byte(key), 0o600) })
		if err != nil {
			t.Fatal(err)
		}
		if content, err := os.ReadFile(path); err != nil || string(content) != key {
			t.Fatalf("%s: %q %v", key, content, err)
		}
	}
	for n := range maxImages {
		get(fmt.Sprint(n))
	}
	get("0")       // used again, so
	get("another") // 1 has to go
	get("0")
	if built != maxImages+1 {
		t.Errorf("built %d images", built)
	}
	get("1")
	if built != maxImages+2 {
		t.Error("the one used longest ago was not removed")
	}
	if _, err := i.of("fails", signedUKI, func(string) error { return io.ErrShortWrite }); err == nil {
		t.Error("a failed build gave an image")
	}
	if err := i.remove("0"); err != nil {
		t.Fatal(err)
	}
	found, err := os.ReadDir(folder)
	if err != nil || len(found) > maxImages {
		t.Errorf("%d images in the folder, %v", len(found), err)
	}
	for _, f := range found {
		if filepath.Join(folder, f.Name()) == left || filepath.Join(folder, f.Name()) == i.path("0", signedUKI) {
			t.Errorf("%s is still there", f.Name())
		}
	}
}

func TestTFTP(t *testing.T) {
	rig := newRig(t)
	rig.start(t, newTable("token"), Artifacts{})
	if err := netns.Do(rig.clients, func() error { return setUp("cli0", "10.99.0.10/24") }); err != nil {
		t.Fatal(err)
	}
	get := func(name string) (content []byte, err error) {
		err = netns.Do(rig.clients, func() error {
			client, err := tftp.NewClient(net.JoinHostPort(testServer.String(), "69"))
			if err != nil {
				return err
			}
			client.SetBlockSize(1400)
			from, err := client.Receive(name, "octet")
			if err != nil {
				return err
			}
			var buf bytes.Buffer
			_, err = from.WriteTo(&buf)
			content = buf.Bytes()
			return err
		})
		return content, err
	}
	for _, name := range []string{"undionly.kpxe", "snponly.efi", "ipxe.efi", "/snponly.efi"} {
		if content, err := get(name); err != nil || len(content) < 50_000 {
			t.Errorf("%s: %d bytes, %v", name, len(content), err)
		}
	}
	for _, name := range []string{"ipxe.lkrn", "../../../etc/passwd", "/etc/passwd", ""} {
		if content, err := get(name); err == nil {
			t.Errorf("%q was given out: %d bytes", name, len(content))
		}
	}
	err := netns.Do(rig.clients, func() error {
		client, err := tftp.NewClient(net.JoinHostPort(testServer.String(), "69"))
		if err != nil {
			return err
		}
		if to, err := client.Send("undionly.kpxe", "octet"); err == nil {
			_, err = to.ReadFrom(strings.NewReader("evil"))
			if err == nil {
				return fmt.Errorf("a write was taken")
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestStartFailsClearly(t *testing.T) {
	for name, o := range map[string]Options{
		"no such interface": {Interface: "nothere0", ServerAddr: testServer},
		"no such namespace": {Namespace: "ingot-nb-not-there", Interface: "lo", ServerAddr: testServer},
	} {
		o.Logger = slog.New(slog.DiscardHandler)
		if s, err := Start(t.Context(), o); err == nil {
			t.Errorf("%s: started %v", name, s)
		}
	}
}
