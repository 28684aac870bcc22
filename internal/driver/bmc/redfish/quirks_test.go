package redfish_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// static is a Redfish service of fixed documents, for what vendors do otherwise than our virtual BMC. It answers GET
// from the map, refuses what is in refuse, and notes the rest.
type static struct {
	documents map[string]string
	refuse    map[string]int // "POST /path": status

	mu    sync.Mutex
	notes []string
}

func (s *static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	path := "/" + strings.Trim(r.URL.Path, "/")
	if r.Method != http.MethodGet {
		s.mu.Lock()
		s.notes = append(s.notes, fmt.Sprintf("%s %s %s", r.Method, path, body))
		s.mu.Unlock()
	}
	if status := s.refuse[r.Method+" "+path]; status != 0 {
		w.WriteHeader(status)
		return
	}
	text, ok := s.documents[path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, text)
}

// noted is what was changed, logins aside.
func (s *static) noted() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.notes {
		if !strings.Contains(n, "Session") {
			all = append(all, n)
		}
	}
	return all
}

func newStatic(t *testing.T, documents map[string]any, refuse map[string]int) (*static, machine.BMC) {
	t.Helper()
	s := &static{documents: map[string]string{}, refuse: refuse}
	add := func(path string, o any) {
		text, err := json.Marshal(o)
		must(t, err)
		s.documents[path] = string(text)
	}
	add("/redfish/v1", map[string]any{"@odata.id": "/redfish/v1", "RedfishVersion": "1.6.0", "Systems": ref("/redfish/v1/Systems"), "Managers": ref("/redfish/v1/Managers")})
	for path, o := range documents {
		add(path, o)
	}
	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)
	return s, machine.BMC{Kind: "redfish", Address: server.URL, Username: "u", Password: "p", Insecure: true}
}

func ref(path string) map[string]any { return map[string]any{"@odata.id": path} }

func refs(paths ...string) map[string]any {
	all := []any{}
	for _, p := range paths {
		all = append(all, ref(p))
	}
	return map[string]any{"Members": all, "Members@odata.count": len(all)}
}

func wantNotes(t *testing.T, s *static, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.noted()); diff != "" {
		t.Errorf("what was ordered (-want +got):\n%s", diff)
	}
}

func TestSeveralSystems(t *testing.T) {
	_, bmc := newStatic(t, map[string]any{
		"/redfish/v1/Systems":   refs("/redfish/v1/Systems/a", "/redfish/v1/Systems/b"),
		"/redfish/v1/Systems/a": map[string]any{"@odata.id": "/redfish/v1/Systems/a", "Id": "a", "PowerState": "Off"},
		"/redfish/v1/Systems/b": map[string]any{"@odata.id": "/redfish/v1/Systems/b", "Id": "b", "PowerState": "On"},
	}, nil)
	_, err := dial(t, bmc, time.Minute).Power(t.Context())
	wantKind(t, err, fault.Invalid)
	for _, path := range []string{"/redfish/v1/Systems/a", "/redfish/v1/Systems/b"} {
		if !strings.Contains(fmt.Sprint(err), path) {
			t.Errorf("%s is not named in %v", path, err)
		}
	}
	bmc.Address += "/redfish/v1/Systems/b/"
	state, err := dial(t, bmc, time.Minute).Power(t.Context())
	must(t, err)
	if state != machine.PowerOn {
		t.Errorf("the power of b is %s", state)
	}
}

// older is a BMC of 2017: no sessions, no Sensors, IndicatorLED, reset types in an ActionInfo, virtual media under the
// System and by PATCH only, a refusal to turn off what is off.
func older(power string) (map[string]any, map[string]int) {
	const system, chassis = "/redfish/v1/Systems/1", "/redfish/v1/Chassis/1"
	return map[string]any{
			"/redfish/v1/Systems": refs(system),
			system: map[string]any{
				"@odata.id": system, "Id": "1", "PowerState": power,
				"Boot":         map[string]any{"BootSourceOverrideTarget": "None", "BootSourceOverrideTarget@Redfish.AllowableValues": []string{"None", "Pxe", "Hdd"}},
				"Actions":      map[string]any{"#ComputerSystem.Reset": map[string]any{"target": system + "/Actions/Reset", "@Redfish.ActionInfo": system + "/ResetActionInfo"}},
				"VirtualMedia": ref(system + "/VirtualMedia"),
				"Links":        map[string]any{"Chassis": []any{ref(chassis)}, "ManagedBy": []any{ref("/redfish/v1/Managers/1")}},
			},
			system + "/Actions/Reset": map[string]any{},
			system + "/ResetActionInfo": map[string]any{"@odata.id": system + "/ResetActionInfo", "Parameters": []any{
				map[string]any{"Name": "ResetType", "DataType": "String", "AllowableValues": []string{"ForceOn", "ForceOff", "PowerCycle"}},
			}},
			"/redfish/v1/Managers/1":   map[string]any{"@odata.id": "/redfish/v1/Managers/1", "Id": "1"},
			system + "/VirtualMedia":   refs(system+"/VirtualMedia/1", system+"/VirtualMedia/2"),
			system + "/VirtualMedia/1": map[string]any{"@odata.id": system + "/VirtualMedia/1", "Id": "1", "MediaTypes": []string{"Floppy", "USBStick"}},
			system + "/VirtualMedia/2": map[string]any{"@odata.id": system + "/VirtualMedia/2", "Id": "2", "MediaTypes": []string{"CD", "DVD"}, "Image": nil, "Inserted": false},
			chassis:                    map[string]any{"@odata.id": chassis, "Id": "1", "IndicatorLED": "Off", "Thermal": ref(chassis + "/Thermal"), "Power": ref(chassis + "/Power")},
			chassis + "/Thermal":       map[string]any{"@odata.id": chassis + "/Thermal", "Temperatures": []any{map[string]any{"Name": "Inlet", "ReadingCelsius": 21.5, "Status": map[string]any{"Health": "OK"}}}, "Fans": []any{map[string]any{"Name": "Fan", "Reading": 4000, "ReadingUnits": "RPM"}}},
			chassis + "/Power":         map[string]any{"@odata.id": chassis + "/Power", "Voltages": []any{map[string]any{"Name": "12V", "ReadingVolts": 12}}, "PowerControl": []any{map[string]any{"Name": "System", "PowerConsumedWatts": 100}}},
		}, map[string]int{
			"POST " + system + "/Actions/Reset": 0,
		}
}

func TestAnOlderBMC(t *testing.T) {
	documents, refuse := older("On")
	s, bmc := newStatic(t, documents, refuse)
	d := dial(t, bmc, time.Minute)
	must(t, d.SetPower(t.Context(), machine.ActionOn)) // it is on
	must(t, d.SetPower(t.Context(), machine.ActionReset))
	must(t, d.SetPower(t.Context(), machine.ActionOff))
	wantKind(t, d.SetPower(t.Context(), machine.ActionShutdown), fault.Unsupported)
	wantKind(t, d.SetBoot(t.Context(), machine.BootOverride{Device: machine.BootCD}), fault.Unsupported)
	must(t, d.SetBoot(t.Context(), machine.BootOverride{Device: machine.BootNetwork}))
	must(t, d.(machine.VirtualMedia).InsertMedia(t.Context(), "http://10.0.0.1/x.iso"))
	must(t, d.(machine.Indicator).SetIndicator(t.Context(), true))
	wantNotes(t, s,
		`POST /redfish/v1/Systems/1/Actions/Reset {"ResetType":"PowerCycle"}`,
		`POST /redfish/v1/Systems/1/Actions/Reset {"ResetType":"ForceOff"}`,
		`PATCH /redfish/v1/Systems/1 {"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Pxe"}}`,
		`PATCH /redfish/v1/Systems/1/VirtualMedia/2 {"Image":"http://10.0.0.1/x.iso","Inserted":true,"WriteProtected":true}`,
		`PATCH /redfish/v1/Chassis/1 {"IndicatorLED":"Blinking"}`,
	)
	sensors, err := d.(machine.SensorReader).Sensors(t.Context())
	must(t, err)
	want := []machine.Sensor{
		{Name: "Inlet", Kind: "temperature", Unit: "Cel", Reading: 21.5, Health: "OK"},
		{Name: "Fan", Kind: "fan", Unit: "RPM", Reading: 4000},
		{Name: "12V", Kind: "voltage", Unit: "V", Reading: 12},
		{Name: "System", Kind: "power", Unit: "W", Reading: 100},
	}
	if diff := cmp.Diff(want, sensors); diff != "" {
		t.Error(diff)
	}
	_, err = d.(machine.SecureBooter).SecureBoot(t.Context())
	wantKind(t, err, fault.Unsupported)
	_, err = d.(machine.FirmwareLister).Firmware(t.Context())
	wantKind(t, err, fault.Unsupported)
	_, err = d.(machine.EventLogger).EventLog(t.Context())
	wantKind(t, err, fault.Unsupported)
	_, err = d.(machine.SerialConsole).OpenConsole(t.Context())
	wantKind(t, err, fault.Unsupported)
}

func TestABMCThatRefusesToTurnOffWhatIsOff(t *testing.T) {
	for power, want := range map[string]fault.Kind{"Off": fault.Internal, "On": fault.Invalid} {
		documents, refuse := older(power)
		refuse["POST /redfish/v1/Systems/1/Actions/Reset"] = http.StatusBadRequest
		_, bmc := newStatic(t, documents, refuse)
		err := dial(t, bmc, time.Minute).SetPower(t.Context(), machine.ActionOff)
		if power == "Off" {
			must(t, err)
			continue
		}
		wantKind(t, err, want)
	}
}

func TestASessionThatIsRefusedForGoodEndsAfterOneMoreLogin(t *testing.T) {
	documents, refuse := older("On")
	documents["/redfish/v1"] = map[string]any{"@odata.id": "/redfish/v1", "RedfishVersion": "1.6.0", "Systems": ref("/redfish/v1/Systems"),
		"Links": map[string]any{"Sessions": ref("/redfish/v1/Sessions")}}
	documents["/redfish/v1/Sessions"] = map[string]any{}
	refuse["GET /redfish/v1/Systems"] = http.StatusUnauthorized
	s, bmc := newStatic(t, documents, refuse)
	_, err := dial(t, bmc, time.Minute).Power(t.Context())
	wantKind(t, err, fault.Unauthorized)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.notes); n != 2 {
		t.Errorf("%d logins, want 2: %q", n, s.notes)
	}
}
