package disk

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
)

func dirty(t *testing.T, size int) agentapi.Disk {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, bytes.Repeat([]byte("secret! "), size/8), 0o600); err != nil {
		t.Fatal(err)
	}
	return agentapi.Disk{ID: "d1", Name: name}
}

func noProgress(agentapi.Progress) {}

func isZero(t *testing.T, d agentapi.Disk) bool {
	t.Helper()
	got, err := os.ReadFile(d.Name)
	if err != nil {
		t.Fatal(err)
	}
	return len(bytes.Trim(got, "\x00")) == 0
}

func TestEraseLeavesNothing(t *testing.T) {
	d := dirty(t, 9<<20+4096)
	var last agentapi.Progress
	got, err := Erase(context.Background(), d, 0, func(p agentapi.Progress) { last = p })
	if err != nil {
		t.Fatal(err)
	}
	if !isZero(t, d) {
		t.Error("bytes are left")
	}
	if got.Method != "blkdiscard" || got.Bytes != 9<<20+4096 || got.Verified != 2<<20+DefaultVerify*verifyBlock || len(got.Tried) != 2 {
		t.Errorf("got %+v", got)
	}
	if last.Done != got.Bytes || last.Total != got.Bytes {
		t.Errorf("last progress %+v", last)
	}
}

// lies is a method that claims success without doing anything.
var lies = method{name: "lies", erase: func(context.Context, *Disk, func(int64)) error { return nil }}

func TestALyingMethodIsNotBelieved(t *testing.T) {
	for _, noise := range []bool{false, true} {
		d := dirty(t, 4<<20)
		lies := lies
		lies.noise = noise
		overwrite := methods[len(methods)-1]
		got, err := eraseBy(context.Background(), []method{lies, overwrite}, d, 5, noProgress)
		if err != nil || got.Method != "overwrite" || len(got.Tried) != 1 || !strings.HasPrefix(got.Tried[0], "lies: bytes at 0") {
			t.Errorf("got %+v, %v", got, err)
		}
		if !isZero(t, d) {
			t.Error("bytes are left")
		}
	}
}

func TestNoiseIsProofOnlyOfACryptoErase(t *testing.T) {
	scramble := method{name: "scramble", erase: func(_ context.Context, d *Disk, _ func(int64)) error {
		all := Buffer(int(d.Size))
		if err := d.ReadFullAt(all, 0); err != nil {
			return err
		}
		for i := range all {
			all[i] ^= 0x5c
		}
		_, err := d.WriteAt(all, 0)
		return err
	}}
	if _, err := eraseBy(context.Background(), []method{scramble}, dirty(t, 4<<20), 5, noProgress); err == nil {
		t.Error("noise passed for zeros")
	}
	scramble.noise = true
	if got, err := eraseBy(context.Background(), []method{scramble}, dirty(t, 4<<20), 5, noProgress); err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestADiskThatCannotBeErasedIsTheMachinesFault(t *testing.T) {
	_, err := eraseBy(context.Background(), []method{lies}, dirty(t, 4<<20), 5, noProgress)
	var f *failure.Error
	if !errors.As(err, &f) || f.Fault != agentapi.FaultMachine || !strings.Contains(f.Message, "d1") {
		t.Errorf("got %v", err)
	}
	_, err = Erase(context.Background(), agentapi.Disk{ID: "gone", Name: "/nonexistent"}, 0, noProgress)
	if !errors.As(err, &f) || f.Fault != agentapi.FaultMachine {
		t.Errorf("got %v", err)
	}
}

func TestEraseStopsWhenCancelled(t *testing.T) {
	d := dirty(t, 4<<20)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Erase(ctx, d, 0, noProgress); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestNVMeCommandLayout(t *testing.T) {
	var c nvmeCommand
	if size := unsafe.Sizeof(c); size != 72 {
		t.Fatalf("struct nvme_passthru_cmd has 72 bytes, ours %d", size)
	}
	for name, at := range map[string][2]uintptr{
		"nsid": {unsafe.Offsetof(c.nsid), 4}, "addr": {unsafe.Offsetof(c.addr), 24}, "data_len": {unsafe.Offsetof(c.dataLen), 36},
		"cdw10": {unsafe.Offsetof(c.cdw10), 40}, "timeout_ms": {unsafe.Offsetof(c.timeoutMilliseconds), 64},
	} {
		if at[0] != at[1] {
			t.Errorf("%s is at %d instead of %d", name, at[0], at[1])
		}
	}
}

func TestNVMeFormatIsAskedOnlyWhereItIsSafe(t *testing.T) {
	controller, active := make([]byte, 4096), make([]byte, 4096)
	active[0] = 1
	if formatAllowed(controller, active, sesUser) == nil {
		t.Error("a controller without format")
	}
	controller[256] = 2
	if err := formatAllowed(controller, active, sesUser); err != nil {
		t.Error(err)
	}
	if formatAllowed(controller, active, sesCrypto) == nil {
		t.Error("a controller without cryptographic erase")
	}
	controller[524] = 4 | 2
	if err := formatAllowed(controller, active, sesCrypto); err != nil {
		t.Error(err)
	}
	active[4] = 2
	if formatAllowed(controller, active, sesCrypto) == nil {
		t.Error("another namespace would be erased too")
	}
	namespace := make([]byte, 4096)
	namespace[26] = 0x11 // format 1, metadata in the data
	namespace[29] = 0x09 // protection 1, first eight bytes
	if got := formatDword(namespace, sesCrypto); got != 1|1<<4|1<<5|1<<8|2<<9 {
		t.Errorf("command dword %#x", got)
	}
}
