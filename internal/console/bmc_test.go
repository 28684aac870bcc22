package console_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/console"
	. "github.com/ingotcloud/ingot/internal/console/consoletest"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/driver/bmc/around"
	"github.com/ingotcloud/ingot/internal/driver/bmc/ipmi"
	"github.com/ingotcloud/ingot/internal/driver/bmc/redfish"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
	"github.com/ingotcloud/ingot/internal/machine"
)

const password = "fifteen-bytes-l"

// real is the rack's bookkeeping over one simulated machine behind real protocols.
type real struct {
	*Rack
	dial func() (machine.Driver, error)
}

func (r real) OpenSerial(ctx context.Context, _ string, take bool) (io.ReadWriteCloser, error) {
	d, err := r.dial()
	if err != nil {
		return nil, err
	}
	if taker, ok := d.(machine.ConsoleTaker); ok && take {
		return taker.TakeConsole(ctx)
	}
	return d.(machine.SerialConsole).OpenConsole(ctx)
}

func (r real) OpenScreen(ctx context.Context, _ string) (io.ReadWriteCloser, error) {
	d, err := r.dial()
	if err != nil {
		return nil, err
	}
	return d.(machine.ScreenConsole).OpenScreen(ctx)
}

func simulated() *vbmc.Simulated {
	return vbmc.NewSimulated(vbmc.Info{
		Name: "m1", UUID: "5b1f0c4e-7a35-4d52-9c11-0a2b3c4d5e6f", Serial: "S123", Vendor: "Ingot", Model: "Lab Machine", BIOSVersion: "2.1", UEFI: true,
	}, vbmc.SimOptions{On: true})
}

// over records a machine's console by its BMC.
func over(t *testing.T, c console.Config, dial func() (machine.Driver, error)) (*rig, string) {
	r := &rig{Rack: New(), t: t, db: dbtest.SQLite(t), clock: &ahead{}, folder: filepath.Join(t.TempDir(), "consoles")}
	c.Folder = r.folder
	r.Service = console.New(r.db, r.clock, slog.New(slog.DiscardHandler), c, real{r.Rack, dial}, r.Rack, NoPeers{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	i := uuid.NewString()
	r.Lend("m1", i)
	return r, i
}

// talk types a line, which the machine echoes, and looks for it in the recording.
func talk(t *testing.T, r *rig, i, line string) {
	t.Helper()
	w := r.watch(t, i, "alice")
	defer w.Close()
	w.told("that the line is open", func(s console.Status) bool { return s.Away == "" && s.Viewers > 0 })
	must(t, w.Type([]byte(line)))
	w.sees(line)
	r.says(i, line)
}

// serve starts a BMC; one that listens where one listened before is the same, started anew.
func serve(t *testing.T, m *vbmc.Simulated, o vbmc.RedfishOptions) *vbmc.Redfish {
	t.Helper()
	o.Username, o.Password, o.Logger = "admin", password, slog.New(slog.DiscardHandler)
	var b *vbmc.Redfish
	Eventually(t, "the BMC to listen", func() bool {
		var err error
		b, err = vbmc.NewRedfish(m, o)
		return err == nil
	})
	return b
}

// A BMC whose console is served by SSH starts anew: the line is joined again, and the gap is marked.
func TestOverSSH(t *testing.T) {
	m, o := simulated(), vbmc.RedfishOptions{MediaDir: t.TempDir(), SSH: true}
	b := serve(t, m, o)
	address := machine.BMC{Kind: "redfish", Address: b.URL(), Username: "admin", Password: password, CA: string(b.CertificatePEM())}
	r, i := over(t, quick(""), func() (machine.Driver, error) { return redfish.New(address, around.Plain) })
	r.recorded(i)
	m.Print([]byte("printed\r\n"))
	r.says(i, "printed")
	talk(t, r, i, "over SSH\n")
	must(t, b.Close())
	r.says(i, "the serial console is out of reach")
	o.Listen = strings.TrimPrefix(b.URL(), "https://")
	b = serve(t, m, o)
	t.Cleanup(func() { must(t, b.Close()) })
	r.says(i, "the serial console is back after")
	talk(t, r, i, "once more\n")
}

func TestOverRedfish(t *testing.T) {
	m, o := simulated(), vbmc.RedfishOptions{MediaDir: t.TempDir()}
	b := serve(t, m, o)
	address := machine.BMC{Kind: "redfish", Address: b.URL(), Username: "admin", Password: password, CA: string(b.CertificatePEM())}
	r, i := over(t, quick(""), func() (machine.Driver, error) { return redfish.New(address, around.Plain) })
	r.recorded(i)
	talk(t, r, i, "over the websocket\n")

	stream, err := r.Screen(t.Context(), i)
	must(t, err)
	greeting := make([]byte, 12)
	_, err = io.ReadFull(stream, greeting)
	must(t, err)
	if string(greeting) != "RFB 003.008\n" {
		t.Errorf("the picture begins with %q", greeting)
	}
	must(t, stream.Close())

	must(t, b.Close()) // the BMC starts anew
	r.says(i, "the serial console is out of reach")
	o.Listen = strings.TrimPrefix(b.URL(), "https://")
	b = serve(t, m, o)
	t.Cleanup(func() { must(t, b.Close()) })
	r.says(i, "the serial console is back after")
	talk(t, r, i, "once more\n")
}

func TestOverIPMI(t *testing.T) {
	m := simulated()
	b, err := vbmc.NewIPMI(m, vbmc.IPMIOptions{Username: "admin", Password: password})
	must(t, err)
	t.Cleanup(func() { b.Close() })
	dial := func() (machine.Driver, error) {
		return ipmi.New(machine.BMC{Kind: "ipmi", Address: b.Addr().String(), Username: "admin", Password: password}, around.Plain)
	}
	r, i := over(t, quick(""), dial)
	r.recorded(i)
	m.Print([]byte("printed\r\n"))
	r.says(i, "printed")
	talk(t, r, i, "over SOL\n")
}

// Whoever comes with ipmitool while we have the line is told so and changes nothing; whoever deactivates our payload gets
// the line, and has it until it is taken back.
func TestIPMIToolAndWeWantOneLine(t *testing.T) {
	if _, err := exec.LookPath("ipmitool"); err != nil {
		t.Skip("ipmitool is not installed")
	}
	if testing.Short() {
		t.Skip("it waits for several seconds")
	}
	m := simulated()
	b, err := vbmc.NewIPMI(m, vbmc.IPMIOptions{Username: "admin", Password: password})
	must(t, err)
	t.Cleanup(func() { b.Close() })
	dial := func() (machine.Driver, error) {
		return ipmi.New(machine.BMC{Kind: "ipmi", Address: b.Addr().String(), Username: "admin", Password: password}, around.Plain)
	}
	c := quick("")
	c.TakeAfter = 3 * time.Second
	r, i := over(t, c, dial)
	r.recorded(i)
	host, port, _ := strings.Cut(b.Addr().String(), ":")
	tool := func(args ...string) *exec.Cmd {
		return exec.CommandContext(t.Context(), "ipmitool", append([]string{"-I", "lanplus", "-C", "17", "-H", host, "-p", port, "-U", "admin", "-P", password, "sol"}, args...)...)
	}
	activate := tool("activate")
	keys, err := activate.StdinPipe()
	must(t, err)
	out, err := activate.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("already active")) {
		t.Errorf("ipmitool sol activate: %v: %s", err, out)
	}
	_ = keys.Close() // ipmitool is gone
	talk(t, r, i, "still ours\n")

	// Somebody takes the line away from us.
	d, err := dial()
	must(t, err)
	theirs, err := d.(machine.ConsoleTaker).TakeConsole(t.Context())
	must(t, err)
	r.says(i, "the serial console is out of reach")
	r.says(i, "the machine's serial console is in use")
	r.says(i, "the serial console is back after") // after TakeAfter
	talk(t, r, i, "ours again\n")
	must(t, theirs.Close())
	must(t, d.Close())
}
