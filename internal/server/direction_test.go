package server_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/ingotcloud/ingot/"

// rules of who may import whom inside the module. A package is named by its path; a rule holds for it and all below.
var rules = []struct {
	from   string
	only   []string // it imports these and itself, nothing else of ours
	never  []string // or: it does not import these
	reason string
}{
	{from: "internal/fault", only: []string{}, reason: "everything reports errors with it, so it depends on nothing"},
	{from: "internal/clock", only: []string{}, reason: "everything takes its time from it"},
	{from: "internal/edge", only: []string{"internal/fault"}, reason: "machines and networks share it, so it knows neither"},
	{from: "internal/tenancy", only: []string{}, reason: "domains share it, so it knows none"},
	{from: "internal/netns", only: []string{}, reason: "it is about the operating system, not about us"},
	{from: "internal/agentapi", only: []string{}, reason: "a contract that drags its parties along is none"},
	{from: "internal/deployimage", only: []string{"internal/fault"}, reason: "the agent carries it into the RAM disk"},
	{from: "internal/db", only: []string{"internal/db", "internal/fault"}, reason: "the database knows no domain"},
	{from: "internal/workflow", only: []string{"internal/db", "internal/clock", "internal/fault"}, reason: "the mechanism knows no domain"},
	{from: "internal/reconcile", only: []string{"internal/db", "internal/clock"}, reason: "the mechanism knows no domain"},
	{from: "internal/agent", only: []string{"internal/agentapi", "internal/deployimage", "internal/fault"}, reason: "what runs on machines shares contracts with the control plane and nothing else"},
	{from: "internal/ramdisk", never: []string{"internal/lab", "internal/server", "internal/machine", "internal/instance"}, reason: "operators build RAM disks without a lab"},
	{from: "internal/identity", never: domains("identity"), reason: "who somebody is does not depend on what there is"},
	{from: "internal/machine", never: append(domains("machine"), "internal/driver", "internal/api"), reason: "machines know neither what runs on them nor how they are driven"},
	{from: "internal/network", never: append(domains("network"), "internal/driver", "internal/api"), reason: "networks know only ports, not what is plugged in"},
	{from: "internal/router", only: []string{"internal/network", "internal/edge", "internal/qos", "internal/reconcile", "internal/db", "internal/clock", "internal/fault"}, reason: "routers are made of networks' ports, and know neither OVN nor who asks"},
	{from: "internal/trunk", only: []string{"internal/network", "internal/edge", "internal/reconcile", "internal/db", "internal/clock", "internal/fault"}, reason: "trunks are made of networks' ports"},
	{from: "internal/securitygroup", only: []string{"internal/db", "internal/clock", "internal/fault", "internal/reconcile", "internal/tenancy"}, reason: "groups know ports by their ids; network asks them"},
	{from: "internal/qos", only: []string{"internal/db", "internal/clock", "internal/fault", "internal/reconcile", "internal/tenancy"}, reason: "policies know what names them by ids; network and router ask them"},
	{from: "internal/image", never: append(domains("image"), "internal/driver", "internal/api"), reason: "images know nothing of who boots them"},
	{from: "internal/metadef", only: []string{"internal/db", "internal/clock", "internal/fault", "internal/tenancy"}, reason: "definitions know nothing of what they describe"},
	{from: "internal/instance", never: []string{"internal/driver", "internal/api", "internal/lab"}, reason: "the domain asks interfaces, drivers answer them"},
	{from: "internal/console", never: []string{"internal/driver", "internal/api", "internal/lab", "internal/instance", "internal/identity", "internal/network"}, reason: "consoles ask interfaces of what they belong to"},
	{from: "internal/console/forensics", only: []string{}, reason: "it reads text, wherever that comes from"},
	{from: "internal/metadata", only: []string{"internal/fault"}, reason: "what a server is told does not depend on where it is known from"},
	{from: "internal/chassis", only: []string{"internal/config", "internal/driver/ovn", "internal/metadata", "internal/netns"}, reason: "it runs on other hosts than the control plane and knows no domain"},
	{from: "internal/driver", never: []string{"internal/api", "internal/server", "internal/instance", "internal/identity"}, reason: "a driver implements a domain's interface; it knows no wire and no tenant"},
	{from: "internal/api/osapi", never: append(domains("identity"), "internal/driver"), reason: "the frame is the same for every dialect"},
	{from: "internal/lab", never: []string{"internal/server", "internal/api", "internal/instance"}, reason: "the rack stands at the protocol, as a real one does"},
	{from: "internal/up", never: []string{"internal/server", "internal/api", "internal/machine", "internal/instance", "internal/db"}, reason: "up is a client of the public API like any other"},
}

// domains are all but the named one.
func domains(but string) []string {
	var list []string
	for _, name := range []string{"identity", "image", "instance", "machine", "network", "router", "trunk", "console", "flavor", "keypair"} {
		if name != but {
			list = append(list, "internal/"+name)
		}
	}
	return list
}

func TestDirectionOfImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	decoder, packages := json.NewDecoder(strings.NewReader(string(out))), 0
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages++
		from := strings.TrimPrefix(p.ImportPath, module)
		if test(from) {
			continue
		}
		for _, rule := range rules {
			if !below(from, rule.from) {
				continue
			}
			for _, imported := range p.Imports {
				to, ours := strings.CutPrefix(imported, module)
				if !ours || below(to, rule.from) {
					continue
				}
				if rule.only != nil && !anyOf(to, rule.only) || anyOf(to, rule.never) {
					t.Errorf("%s imports %s: %s", from, to, rule.reason)
				}
			}
		}
	}
	if packages < 20 {
		t.Fatalf("looked at %d packages only", packages)
	}
}

// test harnesses may import what they exercise.
func test(path string) bool { return strings.HasSuffix(path, "test") }

func below(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

func anyOf(path string, roots []string) bool {
	for _, root := range roots {
		if below(path, root) {
			return true
		}
	}
	return false
}
