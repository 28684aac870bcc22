package image_test

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // Glance's checksum
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/deployimage"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/image"
)

// disk is a small disk with data, holes and an odd end.
func disk() []byte {
	d := make([]byte, 3<<20+1024)
	copy(d[100<<10:], random(300<<10))
	copy(d[2<<20:], bytes.Repeat([]byte("ingot"), 20_000))
	copy(d[len(d)-512:], random(512))
	return d
}

// qemuImg makes an image of the disk in another format.
func qemuImg(t testing.TB, data []byte, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("qemu-img"); err != nil {
		t.Skip("qemu-img is not installed")
	}
	dir := t.TempDir()
	raw, out := filepath.Join(dir, "raw"), filepath.Join(dir, "out")
	if err := os.WriteFile(raw, data, 0o600); err != nil {
		t.Fatal(err)
	}
	args = append(append([]string{"convert", "-f", "raw"}, args...), raw, out)
	if text, err := exec.Command("qemu-img", args...).CombinedOutput(); err != nil {
		t.Skipf("this qemu-img cannot do %v: %s", args, text)
	}
	made, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// deployed reads the disk as the agent gets it.
func (w *world) deployed(id string) []byte {
	w.t.Helper()
	manifest, err := w.DeployManifest(w.t.Context(), id)
	w.must(err)
	blob, err := w.OpenBlob(w.t.Context(), id)
	w.must(err)
	defer blob.Close() //nolint:errcheck // read only
	d, err := deployimage.Open(manifest, blob)
	w.must(err)
	back, err := io.ReadAll(io.NewSectionReader(d, 0, d.Size()))
	w.must(err)
	return back
}

func (w *world) upload(format string, data []byte) (image.Image, error) {
	w.t.Helper()
	img := w.create(demo, image.Image{DiskFormat: format, ContainerFormat: "bare"})
	err := w.Upload(w.t.Context(), demo, img.ID, bytes.NewReader(data), image.Expect{})
	return w.get(img.ID), err
}

func TestUploadsOfEveryKind(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t), image.Config{})
	iso := make([]byte, 64<<10)
	copy(iso[32769:], "CD001")
	for name, row := range map[string]struct {
		format     string
		data, disk []byte
	}{
		"raw":                     {"raw", disk(), disk()},
		"one byte":                {"raw", []byte{7}, []byte{7}},
		"all zero":                {"raw", make([]byte, 5000), make([]byte, 5000)},
		"ISO":                     {"iso", iso, iso},
		"hybrid ISO called raw":   {"raw", iso, iso},
		"qcow2":                   {"qcow2", qemuImg(t, disk(), "-O", "qcow2"), disk()},
		"qcow2 of version 2":      {"qcow2", qemuImg(t, disk(), "-O", "qcow2", "-o", "compat=0.10"), disk()},
		"qcow2 deflated":          {"qcow2", qemuImg(t, disk(), "-O", "qcow2", "-c"), disk()},
		"qcow2 with zstd":         {"qcow2", qemuImg(t, disk(), "-O", "qcow2", "-c", "-o", "compression_type=zstd"), disk()},
		"qcow2, small clusters":   {"qcow2", qemuImg(t, disk(), "-O", "qcow2", "-o", "cluster_size=512"), disk()},
		"qcow2, large clusters":   {"qcow2", qemuImg(t, disk(), "-O", "qcow2", "-o", "cluster_size=2M"), disk()},
		"qcow2, preallocated":     {"qcow2", qemuImg(t, disk(), "-O", "qcow2", "-o", "preallocation=metadata"), disk()},
		"qcow2 of nothing":        {"qcow2", qemuImg(t, make([]byte, 1<<20), "-O", "qcow2"), make([]byte, 1<<20)},
		"qcow2, dense and packed": {"qcow2", qemuImg(t, bytes.Repeat([]byte{1}, 4<<20), "-O", "qcow2", "-c"), bytes.Repeat([]byte{1}, 4<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			img, err := w.upload(row.format, row.data)
			if err != nil {
				t.Fatal(err)
			}
			sum := md5.Sum(row.data) //nolint:gosec // Glance's checksum
			if img.Status != image.Active || img.Size != int64(len(row.data)) || img.VirtualSize != int64(len(row.disk)) || img.Checksum != hex.EncodeToString(sum[:]) || len(img.Hash) != 128 {
				t.Errorf("got %+v", img)
			}
			if back, err := w.download(demo, img.ID); err != nil || !bytes.Equal(back, row.data) {
				t.Errorf("the download has %d bytes (%v), not what was uploaded", len(back), err)
			}
			if !bytes.Equal(w.deployed(img.ID), row.disk) {
				t.Error("the deployed disk is another one")
			}
		})
	}
}

// patched is a copy with other bytes at some place.
func patched(data []byte, at int, with ...byte) []byte {
	data = bytes.Clone(data)
	copy(data[at:], with)
	return data
}

func gpt(lastLBA uint64) []byte {
	d := make([]byte, 64<<10)
	d[510], d[511], d[450] = 0x55, 0xaa, 0xee
	copy(d[512:], "EFI PART")
	binary.LittleEndian.PutUint64(d[512+72:], 2)
	binary.LittleEndian.PutUint32(d[512+80:], 128)
	binary.LittleEndian.PutUint32(d[512+84:], 128)
	d[1024] = 1 // a type
	binary.LittleEndian.PutUint64(d[1024+32:], 40)
	binary.LittleEndian.PutUint64(d[1024+40:], lastLBA)
	return d
}

func TestWhatIsNotWhatItSaysIsRefused(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t), image.Config{MaxSize: 16 << 20, MaxVirtualSize: 64 << 20})
	qcow2 := qemuImg(t, disk(), "-O", "qcow2")
	packed := qemuImg(t, disk(), "-O", "qcow2", "-c")
	l1 := int(binary.BigEndian.Uint64(qcow2[40:]))
	l2 := int(binary.BigEndian.Uint64(qcow2[l1:]) & 0x00fffffffffffe00)
	huge := bytes.Clone(qcow2)
	binary.BigEndian.PutUint64(huge[24:], 1<<40)
	twice := make([]byte, 0, 16)
	twice = append(append(twice, qcow2[l2+8:l2+16]...), qcow2[l2+8:l2+16]...)
	shared := bytes.Clone(qcow2)
	for i := range 52 { // every cluster of the disk is the same one
		copy(shared[l2+8*i:], twice[:8])
	}
	mbr := make([]byte, 4096)
	mbr[510], mbr[511], mbr[450], mbr[454], mbr[458] = 0x55, 0xaa, 0x83, 1, 200
	for name, row := range map[string]struct {
		format string
		data   []byte
		words  string
	}{
		"empty":                 {"raw", nil, "empty"},
		"qcow2 called raw":      {"raw", qcow2, "contents are qcow2"},
		"raw called qcow2":      {"qcow2", disk(), "contents are raw"},
		"raw called iso":        {"iso", disk(), "contents are raw"},
		"vmdk":                  {"vmdk", qemuImg(t, disk(), "-O", "vmdk"), "qemu-img convert"},
		"vmdk called raw":       {"raw", qemuImg(t, disk(), "-O", "vmdk"), "contents are vmdk"},
		"vhdx":                  {"vhdx", qemuImg(t, disk(), "-O", "vhdx"), "qemu-img convert"},
		"vhd":                   {"vhd", qemuImg(t, disk(), "-O", "vpc"), "qemu-img convert"},
		"fixed vhd called raw":  {"raw", qemuImg(t, disk(), "-O", "vpc", "-o", "subformat=fixed"), "contents are vhd"},
		"vdi called raw":        {"raw", qemuImg(t, disk(), "-O", "vdi"), "contents are vdi"},
		"xz called raw":         {"raw", []byte("\xfd7zXZ\x00 and so on"), "contents are xz"},
		"over the limit":        {"raw", bytes.Repeat([]byte{1}, 16<<20+1), "larger than the limit"},
		"GPT behind the end":    {"raw", gpt(128), "truncated"},
		"MBR behind the end":    {"raw", mbr, "truncated"},
		"qcow2 header only":     {"qcow2", qcow2[:40], "cut off"},
		"qcow2 truncated":       {"qcow2", qcow2[:len(qcow2)-65_000], "truncated"},
		"qcow2 without tables":  {"qcow2", qcow2[:l1+4], "truncated"},
		"qcow2 packed, cut":     {"qcow2", packed[:len(packed)-512], ""},
		"qcow2 version 9":       {"qcow2", patched(qcow2, 7, 9), "version 9"},
		"qcow2 backing file":    {"qcow2", patched(qcow2, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 11), "backing file"},
		"qcow2 encrypted":       {"qcow2", patched(qcow2, 35, 2), "encrypted"},
		"qcow2 data file bit":   {"qcow2", patched(qcow2, 79, 4), "another file"},
		"qcow2 raw external":    {"qcow2", patched(qcow2, 95, 2), "another file"},
		"qcow2 data file name":  {"qcow2", patched(qcow2, int(binary.BigEndian.Uint32(qcow2[100:])), 0x44, 0x41, 0x54, 0x41), "another file"},
		"qcow2 corrupt bit":     {"qcow2", patched(qcow2, 79, 2), "corrupt"},
		"qcow2 unknown feature": {"qcow2", patched(qcow2, 72, 1), "not known"},
		"qcow2 extended L2":     {"qcow2", patched(qcow2, 79, 16), "extended L2"},
		"qcow2 cluster bits":    {"qcow2", patched(qcow2, 23, 63), "clusters"},
		"qcow2 huge":            {"qcow2", huge, "larger than the limit"},
		"qcow2 no disk":         {"qcow2", patched(qcow2, 24, 0, 0, 0, 0, 0, 0, 0, 0), "0 bytes"},
		"qcow2 L1 too short":    {"qcow2", patched(qcow2, 36, 0, 0, 0, 0), "L1 table"},
		"qcow2 L1 enormous":     {"qcow2", patched(qcow2, 36, 255, 255, 255, 255), "L1 table"},
		"qcow2 L1 elsewhere":    {"qcow2", patched(qcow2, 40, 127, 255, 255, 255, 255, 255, 0, 0), "truncated"},
		"qcow2 L2 elsewhere":    {"qcow2", patched(qcow2, l1, 0, 127, 255, 255, 255, 255, 0, 0), "truncated"},
		"qcow2 L2 askew":        {"qcow2", patched(qcow2, l1+6, 2), "aligned"},
		"qcow2 cluster askew":   {"qcow2", patched(qcow2, l2+8+6, 2), "aligned"},
		"qcow2 shared clusters": {"qcow2", shared, "share"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(w.keys())
			img, err := w.upload(row.format, row.data)
			kind := fault.Invalid
			if strings.Contains(row.words, "limit") {
				kind = fault.TooLarge
			}
			if !fault.Is(err, kind) || !strings.Contains(fault.Message(err), row.words) {
				t.Errorf("got %v", err)
			}
			t.Log(fault.Message(err))
			if img.Status != image.Queued || img.Size != 0 || img.Checksum != "" || len(w.keys()) != before {
				t.Errorf("left %+v, blobs %v", img, w.keys())
			}
		})
	}
	if _, err := w.upload("raw", gpt(127)); err != nil {
		t.Errorf("a partition up to the last byte: %v", err)
	}
}

// TestABrokenQcow2NeverPassesForWhole flips bytes of the metadata: an upload ends in an error or in a disk that reads.
func TestABrokenQcow2NeverPassesForWhole(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t), image.Config{MaxVirtualSize: 64 << 20})
	whole := qemuImg(t, disk(), "-O", "qcow2", "-c")
	l1 := int(binary.BigEndian.Uint64(whole[40:]))
	l2 := int(binary.BigEndian.Uint64(whole[l1:]) & 0x00fffffffffffe00)
	rapid.Check(t, func(rt *rapid.T) {
		broken := bytes.Clone(whole)
		for range rapid.IntRange(1, 4).Draw(rt, "flips") {
			area := rapid.SampledFrom([][2]int{{0, 112}, {l1, 8}, {l2, 52 * 8}}).Draw(rt, "area")
			broken[area[0]+rapid.IntRange(0, area[1]-1).Draw(rt, "at")] = rapid.Byte().Draw(rt, "byte")
		}
		img, err := w.upload("qcow2", broken)
		switch {
		case err == nil && int64(len(w.deployed(img.ID))) == img.VirtualSize:
		case fault.Is(err, fault.Invalid), fault.Is(err, fault.TooLarge):
		default:
			rt.Fatalf("got %v", err)
		}
	})
}

func TestWhatTheClientAnnouncesIsCompared(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t), image.Config{})
	data := []byte("data")
	sum := md5.Sum(data) //nolint:gosec // Glance's checksum
	for i, row := range []struct {
		expect image.Expect
		sha256 string
		words  string
	}{
		{image.Expect{Size: 4, MD5: strings.ToUpper(hex.EncodeToString(sum[:]))}, "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7", ""},
		{image.Expect{Size: 5}, "", "instead of the 5"},
		{image.Expect{MD5: "00"}, "", "MD5"},
		{image.Expect{}, "00", "SHA-256"},
	} {
		img := w.create(demo, image.Image{Properties: map[string]string{"owner_specified.openstack.sha256": row.sha256}})
		err := w.Upload(t.Context(), demo, img.ID, bytes.NewReader(data), row.expect)
		if row.words == "" {
			w.must(err)
			continue
		}
		w.is(err, fault.Invalid, row.words)
		if got := w.get(img.ID); got.Status != image.Queued {
			t.Errorf("row %d left %+v", i, got)
		}
	}
}

func TestAnUploadThatBreaksOffCanBeTriedAgain(t *testing.T) {
	each(t, func(w *world) {
		img := w.create(demo, image.Image{})
		for _, cut := range []error{io.ErrUnexpectedEOF, errors.New("connection reset")} {
			body := io.MultiReader(bytes.NewReader(random(3<<20)), broken{cut})
			w.is(w.Upload(w.t.Context(), demo, img.ID, body, image.Expect{}), fault.Invalid, "broke off after 3145728 bytes")
		}
		if got := w.get(img.ID); got.Status != image.Queued || len(w.keys()) != 0 {
			w.t.Errorf("left %+v %v", got, w.keys())
		}
		w.must(w.Upload(w.t.Context(), demo, img.ID, bytes.NewReader(random(5)), image.Expect{}))
		w.is(w.Upload(w.t.Context(), demo, img.ID, bytes.NewReader(random(5)), image.Expect{}), fault.Conflict, "active")
	})
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func TestAnImageWithoutFormatsTakesNoData(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t), image.Config{})
	img, err := w.Create(t.Context(), demo, image.Image{})
	w.must(err)
	w.is(w.Upload(t.Context(), demo, img.ID, bytes.NewReader([]byte("x")), image.Expect{}), fault.Invalid, "disk_format")
	if got := w.get(img.ID); got.Status != image.Queued {
		t.Errorf("left %+v", got)
	}
}

func TestAFullDiskIsSaidAndLeftClean(t *testing.T) {
	small := t.TempDir()
	if err := unix.Mount("ingot-test", small, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("a small file system for the test cannot be mounted: %v", err)
	}
	defer unix.Unmount(small, unix.MNT_DETACH) //nolint:errcheck // the namespace's end would do it
	w := newWorld(t, dbtest.SQLite(t), image.Config{SpoolDir: small})
	img, err := w.upload("raw", random(5<<20))
	w.is(err, fault.Unavailable, "no room")
	left, err := os.ReadDir(small)
	w.must(err)
	var after unix.Statfs_t
	w.must(unix.Statfs(small, &after))
	if img.Status != image.Queued || len(left) != 0 || after.Bfree != after.Blocks || len(w.keys()) != 0 {
		t.Errorf("left %+v, %v, %d of %d blocks free, %v", img, left, after.Bfree, after.Blocks, w.keys())
	}
	if _, err := w.upload("raw", make([]byte, 5<<20)); err != nil {
		t.Errorf("a disk of zeros needs no room: %v", err)
	}
}

func TestAFullStoreIsSaidAndLeftClean(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t), image.Config{})
	full := newWorld(t, w.DB, image.Config{Blobs: fullStore{w.blobs}})
	img, err := full.upload("raw", random(5<<20))
	w.is(err, fault.Unavailable, "no room")
	if img.Status != image.Queued || len(w.keys()) != 0 {
		t.Errorf("left %+v %v", img, w.keys())
	}
}

// fullStore takes one MiB and then no more.
type fullStore struct{ image.Blobs }

func (f fullStore) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	return f.Blobs.Put(ctx, key, io.MultiReader(io.LimitReader(r, 1<<20), broken{image.ErrStoreFull}))
}

func TestImport(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.t.Context()
		img := w.create(demo, image.Image{})
		w.is(w.Import(ctx, demo, img.ID, "req-test"), fault.Conflict, "queued")
		w.must(w.Stage(ctx, demo, img.ID, bytes.NewReader(disk())))
		w.is(w.Stage(ctx, demo, img.ID, bytes.NewReader(disk())), fault.Conflict, "uploading")
		if got := w.get(img.ID); got.Status != image.Uploading || len(w.keys()) != 1 {
			w.t.Errorf("staged: %+v %v", got, w.keys())
		}
		w.must(w.Import(ctx, demo, img.ID, "req-test"))
		got := w.settled(img.ID)
		if got.Status != image.Active || !bytes.Equal(w.deployed(img.ID), disk()) {
			w.t.Errorf("imported: %+v", got)
		}
		w.must(w.EmptyTrash(ctx))
		if len(w.keys()) != 2 {
			w.t.Errorf("left %v", w.keys())
		}

		bad := w.create(demo, image.Image{DiskFormat: "qcow2", ContainerFormat: "bare"})
		w.must(w.Stage(ctx, demo, bad.ID, bytes.NewReader(disk())))
		w.must(w.Import(ctx, demo, bad.ID, "req-test"))
		if got := w.settled(bad.ID); got.Status != image.Queued || !strings.Contains(got.Failure, "contents are raw") {
			w.t.Errorf("a wrong file: %+v", got)
		}
		w.must(w.EmptyTrash(ctx))
		if len(w.keys()) != 2 {
			w.t.Errorf("left %v", w.keys())
		}
	})
}

// settled waits for an import to end.
func (w *world) settled(id string) image.Image {
	w.t.Helper()
	w.waitFor(func() bool { return w.get(id).Status != image.Importing })
	return w.get(id)
}

func TestDownloadOfADeactivatedImage(t *testing.T) {
	each(t, func(w *world) {
		img := w.active(demo, image.Image{}, []byte("data"))
		w.is(w.Reactivate(w.t.Context(), demo, w.create(demo, image.Image{}).ID), fault.Forbidden, "queued")
		w.must(w.Deactivate(w.t.Context(), demo, img.ID))
		_, err := w.download(demo, img.ID)
		w.is(err, fault.Forbidden, "deactivated")
		w.is(w.Hold(w.t.Context(), w.DB, img.ID, "deploy/1"), fault.Conflict, "not active")
		if data, err := w.download(admin, img.ID); err != nil || string(data) != "data" {
			w.t.Errorf("an admin: %q %v", data, err)
		}
		w.must(w.Reactivate(w.t.Context(), demo, img.ID))
		if data, err := w.download(demo, img.ID); err != nil || string(data) != "data" {
			w.t.Errorf("after it: %q %v", data, err)
		}
	})
}
