package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	northbound "github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/edge"
	"github.com/ingotcloud/ingot/internal/lab/ovn/ovntest"
	"github.com/ingotcloud/ingot/internal/lab/qmp"
	"github.com/ingotcloud/ingot/internal/netns"
)

const ovnRack = `
rack: test
network: {cidr: 10.79.0.1/24}
machines:
  - {name: a, bmc: {kind: ipmi}, memory_mib: 1024, nics: [{edge: ovs}, {edge: ovs}]}
  - {name: b, bmc: {kind: ipmi}, memory_mib: 256, nics: [{}]}
  - {name: c, bmc: {kind: ipmi}, memory_mib: 1024, firmware: bios, nics: [{edge: trunk}, {edge: ovs}]}
`

// quarantine writes the rows by which every NIC meets the control plane and nobody else, as its own address only. It gives
// the NICs' addresses, in the order of the rack file.
func quarantine(t *testing.T, rack *Rack) (addresses [][]netip.Addr) {
	t.Helper()
	d := rack.Describe()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	nb, err := northbound.Connect(ctx, northbound.Options{NB: d.OVN.NB, SB: d.OVN.SB, Logger: rack.log})
	if err != nil {
		t.Fatal(err)
	}
	defer nb.Close()
	if err := nb.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	home := northbound.Switch("quarantine")
	acl := func(id string, priority int, match, action string) northbound.Row {
		return northbound.Row{ID: id, In: []northbound.Ref{northbound.Group("nics")}, Model: &nbdb.ACL{
			Direction: nbdb.ACLDirectionToLport, Priority: priority, Match: match, Action: action}}
	}
	door := netip.MustParsePrefix(d.Network)
	rows := []northbound.Row{
		{ID: "quarantine", Model: &nbdb.LogicalSwitch{Name: "quarantine"}},
		{ID: "trunks", Model: &nbdb.LogicalSwitch{Name: "trunks"}},
		{ID: "nics", Model: &nbdb.PortGroup{Name: "nics"}},
		acl("nobody", 1000, "outport == @nics", nbdb.ACLActionDrop),
		acl("services", 1001, "outport == @nics && eth.src == "+d.OVN.ServicesMAC, nbdb.ACLActionAllow),
		{ID: d.OVN.ServicesPort, In: []northbound.Ref{home}, Model: &nbdb.LogicalSwitchPort{
			Name: d.OVN.ServicesPort, Addresses: []string{d.OVN.ServicesMAC + " " + door.Addr().String()}}},
	}
	trunks := map[string]bool{}
	next := door.Masked().Addr().Next() // the control plane's
	for _, m := range d.Machines {
		var own []netip.Addr
		for _, nic := range m.NICs {
			next = next.Next()
			own = append(own, next)
			port := &nbdb.LogicalSwitchPort{
				Name: nic.Link.PortID, Addresses: []string{nic.MAC + " " + next.String()},
				PortSecurity: []string{nic.MAC + " " + next.String() + " " + linkLocal(t, nic.MAC)},
			}
			if parent, trunk := strings.CutPrefix(nic.Link.SwitchInfo, "trunk:"); trunk {
				if !trunks[parent] {
					trunks[parent] = true
					rows = append(rows, northbound.Row{ID: parent, In: []northbound.Ref{northbound.Switch("trunks")},
						Model: &nbdb.LogicalSwitchPort{Name: parent}})
				}
				var vlan int
				if _, err := fmt.Sscan(nic.Link.PortID, &vlan); err != nil {
					t.Fatal(err)
				}
				port.Name, port.ParentName, port.Tag = parent+"-"+nic.Link.PortID, &parent, &vlan
			}
			rows = append(rows, northbound.Row{ID: port.Name, In: []northbound.Ref{home, northbound.Group("nics")}, Model: port})
		}
		addresses = append(addresses, own)
	}
	if _, err := nb.Apply(ctx, "quarantine", rows); err != nil {
		t.Fatal(err)
	}
	if err := rack.ovn.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	return addresses
}

// linkLocal is the IPv6 address that a NIC gives itself (RFC 4291, appendix A).
func linkLocal(t *testing.T, mac string) string {
	t.Helper()
	hw, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: hw[0] ^ 2, 9: hw[1], 10: hw[2], 11: 0xff, 12: 0xfe, 13: hw[3], 14: hw[4], 15: hw[5]}).String()
}

// wire is a machine that is off, and whose cable the test holds instead.
type wire struct {
	*os.File
	t    *testing.T
	mac  string
	own  netip.Addr
	mu   sync.Mutex
	seen []string
}

const vnetHeader = 10 // struct virtio_net_hdr, before each frame

func hold(t *testing.T, nic NICDescription, own netip.Addr) *wire {
	t.Helper()
	file, err := tap{nic.Netns, nic.Tap}.open()
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{File: file, t: t, mac: nic.MAC, own: own}
	t.Cleanup(func() { file.Close() })
	go func() {
		for buffer := make([]byte, 1<<16); ; {
			n, err := file.Read(buffer)
			if err != nil {
				return // closed
			}
			w.mu.Lock()
			w.seen = append(w.seen, string(buffer[min(n, vnetHeader):n]))
			w.mu.Unlock()
		}
	}()
	return w
}

func (w *wire) send(frame []byte) {
	w.t.Helper()
	if _, err := w.Write(append(make([]byte, vnetHeader), frame...)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) heard(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(strings.Join(w.seen, "\n"), text)
}

// In quarantine every NIC of every edge meets the control plane as itself, and neither another machine nor a false source
// gets through.
func TestMachinesOnOVNMeetOnlyTheControlPlane(t *testing.T) {
	if testing.Short() {
		t.Skip("starts an OVN")
	}
	c := prepare(t, ovnRack)
	began := time.Now()
	rack := start(t, c)
	t.Logf("the rack was up after %s", time.Since(began).Round(time.Millisecond))
	addresses := quarantine(t, rack)
	d := rack.Describe()
	var wires []*wire
	for i, m := range d.Machines {
		for n, nic := range m.NICs {
			wires = append(wires, hold(t, nic, addresses[i][n]))
		}
	}
	services, err := netns.ListenPacket(d.Netns, "udp", "10.79.0.1:4000")
	if err != nil {
		t.Fatal(err)
	}
	defer services.Close()
	heard := make(chan string, 1000)
	go func() {
		for buffer := make([]byte, 1<<16); ; {
			n, from, err := services.ReadFrom(buffer)
			if err != nil {
				return // closed
			}
			heard <- from.String() + " " + string(buffer[:n])
		}
	}()

	const anybody = "ff:ff:ff:ff:ff:ff"
	to := netip.MustParseAddrPort("10.79.0.1:4000")
	for i, w := range wires {
		other := wires[(i+1)%len(wires)]
		own := netip.AddrPortFrom(w.own, 4000)
		// What must not arrive is sent first, on the same way: when the truth is there, it would be too.
		for _, victim := range wires {
			if victim != w {
				w.send(ovntest.UDP(w.mac, victim.mac, own, netip.AddrPortFrom(victim.own, 4000), "leak"))
			}
		}
		w.send(ovntest.UDP(w.mac, anybody, own, netip.MustParseAddrPort("255.255.255.255:4000"), "leak"))
		w.send(ovntest.ARPRequest(w.mac, other.own, to.Addr()))
		w.send(ovntest.UDP(w.mac, d.OVN.ServicesMAC, netip.AddrPortFrom(other.own, 4000), to, "false address"))
		w.send(ovntest.UDP(other.mac, d.OVN.ServicesMAC, own, to, "false MAC"))
		w.send(ovntest.UDP(d.OVN.ServicesMAC, other.mac, to, netip.AddrPortFrom(other.own, 4000), "leak"))
		truth := fmt.Sprintf("the truth of %d", i)
		deadline := time.After(patience)
		for arrived := false; !arrived; {
			w.send(ovntest.UDP(w.mac, d.OVN.ServicesMAC, own, to, truth))
			select {
			case got := <-heard:
				if strings.Contains(got, "false") {
					t.Errorf("%s sent and the control plane heard: %s", w.mac, got)
				}
				arrived = got == own.String()+" "+truth
			case <-time.After(200 * time.Millisecond): // again: the port may have come up just now
			case <-deadline:
				t.Fatalf("the control plane does not hear %s", w.mac)
			}
		}
	}
	for i, w := range wires {
		answer := fmt.Sprintf("answer to %d", i)
		if !eventually(func() bool {
			_, err := services.WriteTo([]byte(answer), net.UDPAddrFromAddrPort(netip.AddrPortFrom(w.own, 4000)))
			return err == nil && w.heard(answer)
		}) {
			t.Errorf("%s does not hear the control plane", w.mac)
		}
		if w.heard("leak") {
			t.Errorf("%s hears another machine", w.mac)
		}
	}
}

// The description tells each NIC's place, the same after every start and whatever else the rack has.
func TestAnOVNRacksDescription(t *testing.T) {
	if testing.Short() {
		t.Skip("starts an OVN")
	}
	c := prepare(t, ovnRack)
	first := start(t, c)
	d := first.Describe()
	links := map[string]Link{}
	for _, m := range d.Machines {
		for n, nic := range m.NICs {
			links[fmt.Sprintf("%s/%d", m.Name, n)] = nic.Link
			if held, err := (tap{nic.Netns, nic.Tap}).held(); err != nil || held {
				t.Errorf("tap of %s: held %v, %v", m.Name, held, err)
			}
		}
	}
	ovs := func(chassis, mac string) Link {
		return Link{deriveSwitchID("test", chassis), "ovs", "nic-" + strings.ReplaceAll(mac, ":", "")}
	}
	want := map[string]Link{
		"a/0": ovs("one", deriveMAC("test", "a", 0)), "a/1": ovs("one", deriveMAC("test", "a", 1)),
		"b/0": ovs("two", deriveMAC("test", "b", 0)),
		"c/0": {deriveSwitchID("test", "top"), "trunk:uplink-top", fmt.Sprint(deriveVLAN(deriveMAC("test", "c", 0)))},
		"c/1": ovs("one", deriveMAC("test", "c", 1)),
	}
	if diff := cmp.Diff(want, links); diff != "" {
		t.Error(diff)
	}
	saved, err := ReadDescription(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&d, saved); diff != "" {
		t.Error(diff)
	}

	// Everybody but the machines' network is dialled from the Internet.
	for namespace, address := range map[string]string{d.Netns: "10.79.0.1:0", d.OVN.InternetNetns: "203.0.113.1:0"} {
		l, err := netns.Listen(namespace, "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := Dial(t.Context(), d.DialSocket, l.Addr().String())
		if err != nil {
			t.Error(err)
		} else {
			conn.Close()
		}
		l.Close()
	}

	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, c)
	if diff := cmp.Diff(d, again.Describe()); diff != "" {
		t.Error(diff)
	}
	if err := again.Destroy(); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(c.Dir + "*"); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

// After a kill -9 of a lab on OVN its machine goes on, on the same network, and so do the control plane's interface and
// OVN; where the rack has changed since, what no longer fits ends.
func TestAKilledLabOnOVNIsAdopted(t *testing.T) {
	if testing.Short() {
		t.Skip("starts QEMU")
	}
	c := prepare(t, ovnRack)
	start(t, c).Close() // skips where there is no OVN
	kill(t, c, ovnRack, "c")
	before, err := ReadDescription(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := qmp.PeerPID(filepath.Join(c.Dir, "c", fileQMP))
	if err != nil {
		t.Fatalf("the machine did not survive its lab: %v", err)
	}
	l, err := netns.Listen(before.Netns, "tcp", "10.79.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	daemons := ovnProcesses(t, c.Dir)

	rack := start(t, c)
	if !rack.Machine("c").Power() {
		t.Error("the machine was not adopted")
	}
	if now, err := qmp.PeerPID(filepath.Join(c.Dir, "c", fileQMP)); err != nil || now != pid {
		t.Errorf("process %d, %v; want %d still", now, err, pid)
	}
	if diff := cmp.Diff(daemons, ovnProcesses(t, c.Dir)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(*before, rack.Describe()); diff != "" {
		t.Error(diff)
	}
	conn, err := Dial(t.Context(), before.DialSocket, l.Addr().String())
	if err != nil {
		t.Errorf("who listened on the control plane's interface: %v", err)
	} else {
		conn.Close()
	}
	if err := rack.Close(); err != nil {
		t.Fatal(err)
	}

	// The first machine is gone: the others' cables move up.
	kill(t, c, ovnRack, "c")
	c.Rack.Machines = c.Rack.Machines[1:]
	rack = start(t, c)
	if rack.Machine("c").Power() {
		t.Error("a machine whose cable was moved was adopted")
	}
	if l, err := netns.Listen(before.Netns, "tcp", "10.79.0.1:0"); err != nil {
		t.Errorf("the control plane's interface beside an OVN that was made anew: %v", err)
	} else {
		l.Close()
	}
	if err := rack.Close(); err != nil {
		t.Fatal(err)
	}
}

// ovnProcesses are the ids of the daemons, by their pidfiles.
func ovnProcesses(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, folderOVN, "*", "*.pid"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no daemon: %v", err)
	}
	all := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[file] = string(text)
	}
	return all
}

func TestEveryNICHasAVLANOfItsOwn(t *testing.T) {
	rack := &RackSpec{Machines: make([]MachineSpec, 1)}
	const nics = 4000
	for i := range nics {
		mac := fmt.Sprintf("52:54:00:00:%02x:%02x", i>>8, i&255)
		rack.Machines[0].NICs = append(rack.Machines[0].NICs, NICSpec{MAC: mac, Edge: edge.Trunk})
	}
	seen := map[int]bool{}
	for _, e := range places(rack) {
		if e.VLAN < 2 || e.VLAN > 4001 {
			t.Fatalf("VLAN %d", e.VLAN)
		}
		seen[e.VLAN] = true
	}
	if len(seen) != nics {
		t.Errorf("%d NICs have %d VLANs", nics, len(seen))
	}
}

// Ironic's names, which ingot up sends as they are.
func TestALinksNames(t *testing.T) {
	text, err := json.Marshal(place{"one", edge.Edge{Kind: edge.OVS, Interface: "nic-1"}}.link("test"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"switch_id":"` + deriveSwitchID("test", "one") + `","switch_info":"ovs","port_id":"nic-1"}`; string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
}
