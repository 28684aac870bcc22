package up

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gophercloud/gophercloud/v2"

	"github.com/ingotcloud/ingot/internal/lab"
)

// The control plane is told of each NIC where it meets the network.
func TestPortsAreEnrolledWithTheirEdge(t *testing.T) {
	var ports []object
	mux := http.NewServeMux()
	mux.HandleFunc("POST /nodes", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"uuid": "1"}`)
	})
	mux.HandleFunc("POST /ports", func(w http.ResponseWriter, r *http.Request) {
		var port object
		if err := json.NewDecoder(r.Body).Decode(&port); err != nil {
			t.Error(err)
		}
		ports = append(ports, port)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{}`)
	})
	api := httptest.NewServer(mux)
	defer api.Close()
	admin := &cloud{baremetal: &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: api.URL + "/"}}
	machine := lab.MachineDescription{Name: "m", BMC: lab.BMCDescription{Kind: "ipmi", Address: "192.0.2.1:623"}, NICs: []lab.NICDescription{
		{MAC: "52:54:00:00:00:01", Link: lab.Link{SwitchID: "52:54:00:00:00:09", SwitchInfo: "trunk:uplink", PortID: "7"}},
		{MAC: "52:54:00:00:00:02", Link: lab.Link{SwitchID: "52:54:00:00:00:08", SwitchInfo: "ovs", PortID: "nic-2"}},
	}}
	if err := new(site).createNode(t.Context(), admin, machine, new(node)); err != nil {
		t.Fatal(err)
	}
	want := []object{
		{"node_uuid": "1", "address": "52:54:00:00:00:01",
			"local_link_connection": object{"switch_id": "52:54:00:00:00:09", "switch_info": "trunk:uplink", "port_id": "7"}},
		{"node_uuid": "1", "address": "52:54:00:00:00:02",
			"local_link_connection": object{"switch_id": "52:54:00:00:00:08", "switch_info": "ovs", "port_id": "nic-2"}},
	}
	if d := cmp.Diff(want, ports); d != "" {
		t.Error(d)
	}
}

// The configuration follows the rack's OVN, keeps what an operator added, and pretends where the rack does.
func TestTheConfigurationNamesTheRacksOVN(t *testing.T) {
	s := &site{rack: &lab.Description{OVN: lab.OVNDescription{NB: "unix:/nb", SB: "unix:/sb", ExternalPhysical: "external"}}}
	c := map[string]any{"ovn": map[string]any{"nb": "unix:/old", "owner": "mine"}}
	s.configureOVN(c)
	want := map[string]any{"ovn": map[string]any{"nb": "unix:/nb", "sb": "unix:/sb", "external_physical": "external", "owner": "mine", "pretend": false, "need_to_frag": true}}
	if d := cmp.Diff(want, c); d != "" {
		t.Error(d)
	}
	s.rack.OVN.NB, s.rack.OVN.SB = "", ""
	s.configureOVN(c)
	want = map[string]any{"ovn": map[string]any{"nb": "", "sb": "", "external_physical": "external", "owner": "mine", "pretend": true, "need_to_frag": true}}
	if d := cmp.Diff(want, c); d != "" {
		t.Error(d)
	}
}
