package ipmi_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"
	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/driver/bmc/bmctest"
	"github.com/ingotcloud/ingot/internal/machine"
)

// chassisScript is the machine behind OpenIPMI's BMC: files named after its parts. ipmi_sim calls it with the BMC's
// address, get or set, and the parts (and their values); see ipmi_sim's own example, ipmi_sim_chassiscontrol.
const chassisScript = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
shift
verb=$1
shift
case $verb in
get)
	for part; do echo "$part:$(cat "part-$part")"; done ;;
set)
	while [ $# -gt 1 ]; do
		echo "$1 $2" >>orders
		case $1 in
		reset) echo none >part-boot ;;
		shutdown) echo 0 >part-power ;;
		*) echo "$2" >"part-$1" ;;
		esac
		shift 2
	done ;;
*) exit 1 ;;
esac
`

// openIPMI is a BMC of other people's making: ipmi_sim of the OpenIPMI project, with a folder as the machine.
type openIPMI struct {
	address string
	folder  string
}

func startOpenIPMI(t *testing.T) openIPMI {
	t.Helper()
	if _, err := exec.LookPath("ipmi_sim"); err != nil {
		t.Skip("trying the driver on an independent IPMI server: ipmi_sim (package openipmi) is not installed")
	}
	folder := t.TempDir()
	fru, err := types.PackFRU(types.FRUPackConfig{Product: &types.FRUPackProduct{
		Manufacturer: "OpenIPMI", Name: "Folder", Version: "1", Serial: "F00",
	}})
	if err != nil {
		t.Fatal(err)
	}
	serial := echoServer(t)
	address := deadAddress(t)
	_, port, _ := net.SplitHostPort(address)
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("part-power", "0\n", 0o600)
	write("part-boot", "none\n", 0o600)
	script := write("chassis", chassisScript, 0o700)
	fruFile := write("fru", string(fru), 0o600)
	config := write("lan.conf", fmt.Sprintf(`name "bmc"
set_working_mc 0x20
startlan 1
  addr 127.0.0.1 %s
  priv_limit admin
  allowed_auths_callback none md2 md5 straight
  allowed_auths_user none md2 md5 straight
  allowed_auths_operator none md2 md5 straight
  allowed_auths_admin none md2 md5 straight
  guid 4e0c1f5b357a524d9c110a2b3c4d5e6f
endlan
chassis_control "%s 0x20"
sol "tcp:127.0.0.1:%d" 115200
user 2 true "%s" "%s" admin 10 none md2 md5 straight
`, port, script, serial, username, password), 0o600)
	commands := write("commands", fmt.Sprintf(`mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
sel_enable 0x20 1000 0x0a
sel_add 0x20 2 0 0 0 0x60 0x20 0 4 0x1d 0 0x6f 0 0xff 0xff
mc_add_fru_data 0x20 0 %d file 0 "%s"
mc_enable 0x20
`, len(fru), fruFile), 0o600)
	state := filepath.Join(folder, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}

	var out bytes.Buffer
	cmd := exec.Command("ipmi_sim", "-c", config, "-f", commands, "-s", state, "-n")
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("ipmi_sim said: %s", out.String())
		}
	})
	d, err := dial(at(address))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err = d.Power(t.Context()); err == nil {
			return openIPMI{address, folder}
		}
		if time.Now().After(deadline) {
			t.Fatalf("ipmi_sim does not answer: %v", err)
		}
	}
}

// echoServer is a serial line at the end of a TCP connection.
func echoServer(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go func() {
				p := make([]byte, 512)
				for {
					n, err := c.Read(p)
					if err != nil {
						return
					}
					c.Write(p[:n])
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func (o openIPMI) orders(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(o.folder, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// bootFlagsLost: ipmi_sim gives the flags to the chassis script but reads them back as not valid, and without a mode.
const bootFlagsLost = "ipmi_sim does not tell the boot flags that it was given"

func TestConformanceWithOpenIPMI(t *testing.T) {
	bmctest.Run(t, func(t *testing.T) bmctest.Subject {
		o := startOpenIPMI(t)
		return bmctest.Subject{
			Dial: dial, BMC: at(o.address), Dead: at(deadAddress(t)),
			Lacks: map[string]string{
				"a boot override once is spent by the next boot":          bootFlagsLost,
				"a continuous boot override stays until it is taken away": bootFlagsLost,
				"the boot mode is told and kept":                          bootFlagsLost,
			},
		}
	})
}

// What the driver says must be what another implementation hears.
func TestOrdersAsOpenIPMIHearsThem(t *testing.T) {
	o := startOpenIPMI(t)
	d := open(t, at(o.address))
	ctx := t.Context()
	must(t, d.SetBoot(ctx, machine.BootOverride{Device: machine.BootNetwork}))
	must(t, d.SetPower(ctx, machine.ActionOn))
	must(t, d.SetPower(ctx, machine.ActionReset))
	must(t, d.SetPower(ctx, machine.ActionShutdown))
	must(t, d.SetPower(ctx, machine.ActionReset)) // off: turned on
	must(t, d.SetPower(ctx, machine.ActionOff))
	must(t, d.SetBoot(ctx, machine.BootOverride{Device: machine.BootCD}))
	must(t, d.SetBoot(ctx, machine.BootOverride{Device: machine.BootDisk})) // ipmi_sim calls the disk the default
	must(t, d.SetBoot(ctx, machine.BootOverride{Device: machine.BootNone}))
	want := "boot pxe\npower 1\nreset 1\nshutdown 1\npower 1\npower 0\nboot cdrom\nboot default\nboot none"
	if got := o.orders(t); got != want {
		t.Errorf("the machine heard\n%s\nwant\n%s", got, want)
	}
}

func TestIdentityFromOpenIPMI(t *testing.T) {
	o := startOpenIPMI(t)
	got, err := open(t, at(o.address)).Identify(t.Context())
	must(t, err)
	want := machine.Identity{
		Vendor: "OpenIPMI", Model: "Folder", Serial: "F00", UUID: "5b1f0c4e-7a35-4d52-9c11-0a2b3c4d5e6f", BMCFirmware: "9.08",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the identity differs (-want +got):\n%s", diff)
	}
}

func TestEventLogOfOpenIPMI(t *testing.T) {
	o := startOpenIPMI(t)
	log, err := open(t, at(o.address)).(machine.EventLogger).EventLog(t.Context())
	must(t, err)
	if len(log) != 1 || !strings.Contains(log[0].Message, "power up") {
		t.Errorf("the log holds %+v", log)
	}
}

func TestConsoleOfOpenIPMI(t *testing.T) {
	o := startOpenIPMI(t)
	line, err := open(t, at(o.address)).(machine.SerialConsole).OpenConsole(t.Context())
	must(t, err)
	defer line.Close()
	typed := strings.Repeat("hello, line ", 5)
	_, err = io.WriteString(line, typed)
	must(t, err)
	got := make([]byte, len(typed))
	_, err = io.ReadFull(line, got)
	must(t, err)
	if string(got) != typed {
		t.Errorf("the line echoed %q", got)
	}
}
