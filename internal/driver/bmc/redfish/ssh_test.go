package redfish_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/driver/bmc/around"
	"github.com/ingotcloud/ingot/internal/driver/bmc/redfish"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/machine"
)

// overSSH is a BMC whose serial console is served by SSH, on a machine that is on.
func overSSH(t *testing.T) bmc {
	t.Helper()
	b := bmc{machine: vbmc.NewSimulated(info, vbmc.SimOptions{On: true})}
	var err error
	if b.service, err = vbmc.NewRedfish(b.machine, vbmc.RedfishOptions{
		Username: "admin", Password: password, MediaDir: t.TempDir(), SSH: true, Logger: slog.New(slog.DiscardHandler),
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.service.Close(); err != nil {
			t.Error(err)
		}
	})
	b.address = machine.BMC{Kind: "redfish", Address: b.service.URL(), Username: "admin", Password: password, CA: string(b.service.CertificatePEM())}
	return b
}

// keeper keeps keys in memory.
type keeper struct {
	kept []string
	err  error
}

func (k *keeper) Keep(_ context.Context, key string) error {
	k.kept = append(k.kept, key)
	return k.err
}

// open joins the line and leaves it with the test.
func open(t *testing.T, address machine.BMC) (io.ReadWriteCloser, error) {
	t.Helper()
	d, err := redfish.New(address, around.Plain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() }) // by contract it never fails a caller
	line, err := d.(machine.SerialConsole).OpenConsole(t.Context())
	if err == nil {
		t.Cleanup(func() { _ = line.Close() }) // perhaps the test did
	}
	return line, err
}

// The host key is kept when it is first seen; afterwards no other is trusted, and the password is not sent to another.
func TestConsoleOverSSH(t *testing.T) {
	b := overSSH(t)
	keys := &keeper{}
	b.address.HostKeys = keys
	line, err := open(t, b.address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(line, "typed over SSH\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := bufio.NewReader(line).ReadString('\n'); err != nil || !strings.Contains(got, "typed over SSH") {
		t.Errorf("%q, %v", got, err)
	}
	if err := line.Close(); err != nil {
		t.Error(err)
	}
	if _, err := line.Read(make([]byte, 1)); err == nil {
		t.Error("the line goes on after Close")
	}
	if len(keys.kept) != 1 || !strings.HasPrefix(keys.kept[0], "ecdsa-sha2-nistp256 ") {
		t.Fatal(keys.kept)
	}
	b.address.HostKey = keys.kept[0]
	if _, err := open(t, b.address); err != nil || len(keys.kept) != 1 {
		t.Errorf("%v, kept %d times", err, len(keys.kept))
	}
	other := overSSH(t)
	other.address.HostKey = keys.kept[0]
	if _, err := open(t, other.address); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), "not the one that was seen first") {
		t.Error(err)
	}
	b.address.HostKey, keys.err = "", errors.New("no database")
	if _, err := open(t, b.address); err == nil {
		t.Error("a key that cannot be kept is trusted")
	}
	b.address.HostKey = "nonsense"
	if _, err := redfish.New(b.address, around.Plain); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// The line outlives the power of its machine.
func TestSSHOutlivesThePower(t *testing.T) {
	b := overSSH(t)
	line, err := open(t, b.address)
	if err != nil {
		t.Fatal(err)
	}
	b.machine.Print([]byte("printed\n"))
	if got, err := bufio.NewReader(line).ReadString('\n'); err != nil || got != "printed\n" {
		t.Errorf("%q, %v", got, err)
	}
	if err := b.machine.Do(t.Context(), vbmc.ForceOff); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(line, "into the void"); err != nil {
		t.Errorf("a machine that is off breaks the line: %v", err)
	}
}
