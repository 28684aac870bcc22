package vbmc_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/lab/vbmc"
)

var redfishInfo = vbmc.Info{
	Name: "m1", UUID: "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", Serial: "SN-0001", Vendor: "Ingot Lab", Model: "Virtual One",
	BIOSVersion: "2022.11-6", CPUs: 1, Cores: 2, MemoryMiB: 1024, UEFI: true, TPM: true, SecureBootCapable: true,
	NICs:  []vbmc.NIC{{ID: "nic0", MAC: "52:54:00:aa:bb:01"}},
	Disks: []vbmc.Disk{{Name: "nvme0", Serial: "D1", Bus: "nvme", Bytes: 1 << 30}},
}

// rig is a Redfish service, its machine and a client that trusts it.
type rig struct {
	t       *testing.T
	machine *vbmc.Simulated
	service *vbmc.Redfish
	clock   *clock.Fake
	dir     string
	http    *http.Client
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, machine: vbmc.NewSimulated(redfishInfo, vbmc.SimOptions{}), clock: clock.NewFake(), dir: t.TempDir()}
	r.start()
	t.Cleanup(func() { r.check(r.service.Close()) })
	return r
}

func (r *rig) start() {
	r.t.Helper()
	var err error
	r.service, err = vbmc.NewRedfish(r.machine, vbmc.RedfishOptions{
		Username: "admin", Password: "secret", MediaDir: r.dir, Clock: r.clock, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	r.check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(r.service.CertificatePEM())
	now := r.clock.Now
	r.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Time: now}}}
	r.t.Cleanup(r.http.CloseIdleConnections)
}

func (r *rig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

type answer struct {
	*http.Response
	text []byte
	json map[string]any
}

// do asks as admin unless header says otherwise; a header "-" leaves the password out.
func (r *rig) do(method, path, body string, header ...string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.service.URL()+path, strings.NewReader(body))
	r.check(err)
	req.SetBasicAuth("admin", "secret")
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "-" || header[i] == "X-Auth-Token" {
			req.Header.Del("Authorization")
		}
		if header[i] != "-" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := r.http.Do(req)
	r.check(err)
	defer resp.Body.Close()
	a := answer{Response: resp}
	a.text, err = io.ReadAll(resp.Body)
	r.check(err)
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") && method != http.MethodHead {
		r.check(json.Unmarshal(a.text, &a.json))
	}
	return a
}

// at digs: at("Boot", "BootSourceOverrideTarget").
func (a answer) at(path ...any) any {
	var v any = a.json
	for _, p := range path {
		switch p := p.(type) {
		case string:
			o, _ := v.(map[string]any) // what is missing is nil
			v = o[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

const (
	system = "/redfish/v1/Systems/system"
	drive  = "/redfish/v1/Managers/bmc/VirtualMedia/Cd"
	reset  = system + "/Actions/ComputerSystem.Reset"
)

// TestEveryLinkLeadsSomewhere walks from the service root over all references and looks at what every resource owes.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	r := newRig(t)
	r.check(r.machine.Do(t.Context(), vbmc.On)) // for an entry in the log
	seen := map[string]bool{}
	var walk func(v any)
	var visit func(path string)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, below := range v {
				switch key {
				case "@odata.id", "ServerSentEventUri", "target", "ConsoleURI":
				default:
					walk(below)
				}
			}
			if id, ok := v["@odata.id"].(string); ok && !strings.Contains(id, "#") {
				visit(id)
			}
			if target, ok := v["target"].(string); ok {
				if a := r.do(http.MethodGet, target, ""); a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "POST" {
					t.Errorf("GET %s: %s, Allow %q", target, a.Status, a.Header.Get("Allow"))
				}
			}
		case []any:
			for _, below := range v {
				walk(below)
			}
		}
	}
	visit = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		a := r.do(http.MethodGet, path, "")
		if a.StatusCode != http.StatusOK {
			t.Errorf("GET %s: %s", path, a.Status)
			return
		}
		if a.at("@odata.id") != path || a.at("Name") == nil || !strings.HasPrefix(fmt.Sprint(a.at("@odata.type")), "#") {
			t.Errorf("%s lacks @odata.id, @odata.type or Name: %v", path, a.json)
		}
		if a.Header.Get("OData-Version") != "4.0" || a.Header.Get("ETag") == "" || !strings.Contains(a.Header.Get("Allow"), "GET") {
			t.Errorf("%s lacks headers: %v", path, a.Header)
		}
		walk(a.json)
	}
	visit("/redfish/v1")
	for _, path := range []string{system, drive, system + "/SecureBoot", system + "/LogServices/SEL/Entries/1", system + "/Storage/disks/Drives/0",
		"/redfish/v1/Chassis/chassis/Sensors/power", "/redfish/v1/TaskService/Tasks", "/redfish/v1/UpdateService/FirmwareInventory/BMC"} {
		if !seen[path] {
			t.Errorf("%s is not linked from anywhere", path)
		}
	}
}

func TestSimulatedReadingsSaySo(t *testing.T) {
	r := newRig(t)
	for _, m := range r.do(http.MethodGet, "/redfish/v1/Chassis/chassis/Sensors", "").at("Members").([]any) {
		sensor := r.do(http.MethodGet, m.(map[string]any)["@odata.id"].(string), "")
		if !strings.Contains(sensor.at("Name").(string), "simulated") {
			t.Errorf("a reading that nobody took pretends to be true: %v", sensor.json)
		}
	}
}

func TestWhoMayAsk(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/redfish", "/redfish/v1", "/redfish/v1/", "/redfish/v1/odata", "/redfish/v1/$metadata"} {
		if a := r.do(http.MethodGet, path, "", "-", ""); a.StatusCode != http.StatusOK {
			t.Errorf("GET %s without credentials: %s", path, a.Status)
		}
	}
	for _, path := range []string{system, "/redfish/v1/no/such", "/redfish/v1/EventService/SSE", "/console0", "/kvm/0", "/redfish/v1/TaskService/TaskMonitors/1"} {
		a := r.do(http.MethodGet, path, "", "-", "")
		if a.StatusCode != http.StatusUnauthorized || a.Header.Get("WWW-Authenticate") == "" || a.at("error", "@Message.ExtendedInfo", 0, "MessageId") != "Base.1.16.NoValidSession" {
			t.Errorf("GET %s without credentials: %s %s", path, a.Status, a.text)
		}
		if a := r.do(http.MethodGet, path, "", "X-Auth-Token", "guess"); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("GET %s with a guessed token: %s", path, a.Status)
		}
	}
	if a := r.do(http.MethodPost, reset, `{"ResetType":"On"}`, "-", ""); a.StatusCode != http.StatusUnauthorized || r.machine.Power() {
		t.Errorf("reset without credentials: %s", a.Status)
	}
}

func TestSessions(t *testing.T) {
	r := newRig(t)
	const sessions = "/redfish/v1/SessionService/Sessions"
	if a := r.do(http.MethodPost, sessions, `{"UserName":"admin","Password":"wrong"}`, "-", ""); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("login with a wrong password: %s", a.Status)
	}
	if a := r.do(http.MethodPost, sessions, `{"UserName":"admin"}`, "-", ""); a.StatusCode != http.StatusBadRequest {
		t.Errorf("login without a password: %s", a.Status)
	}
	login := func() (token, location string) {
		a := r.do(http.MethodPost, sessions, `{"UserName":"admin","Password":"secret"}`, "-", "")
		if a.StatusCode != http.StatusCreated || a.at("UserName") != "admin" {
			t.Fatalf("login: %s %s", a.Status, a.text)
		}
		return a.Header.Get("X-Auth-Token"), a.Header.Get("Location")
	}
	works := func(token string) bool {
		return r.do(http.MethodGet, system, "", "X-Auth-Token", token).StatusCode == http.StatusOK
	}
	token, location := login()
	if !works(token) {
		t.Error("the token is no good")
	}
	if a := r.do(http.MethodDelete, location, "", "X-Auth-Token", token); a.StatusCode != http.StatusNoContent || works(token) {
		t.Errorf("logout: %s", a.Status)
	}

	token, _ = login()
	if a := r.do(http.MethodPatch, "/redfish/v1/SessionService", `{"SessionTimeout":60}`); a.StatusCode != http.StatusOK || a.at("SessionTimeout") != 60.0 {
		t.Errorf("timeout: %s %s", a.Status, a.text)
	}
	if a := r.do(http.MethodPatch, "/redfish/v1/SessionService", `{"SessionTimeout":5}`); a.StatusCode != http.StatusBadRequest {
		t.Errorf("a timeout of 5 s: %s", a.Status)
	}
	r.clock.Step(50 * time.Second)
	if !works(token) {
		t.Error("the session ended early")
	}
	r.clock.Step(50 * time.Second)
	if !works(token) {
		t.Error("a session in use ended")
	}
	r.clock.Step(61 * time.Second)
	if works(token) {
		t.Error("an idle session goes on")
	}
}

func TestAnswersToBadRequests(t *testing.T) {
	r := newRig(t)
	cases := []struct {
		method, path, body string
		status             int
		message            string
	}{
		{"GET", "/redfish/v1/Systems/other", "", 404, "ResourceMissingAtURI"},
		{"GET", "/redfish/v1/Chassis/chassis/Sensors/none", "", 404, "ResourceMissingAtURI"},
		{"GET", "/redfish/v1/TaskService/Tasks/7", "", 404, "ResourceMissingAtURI"},
		{"DELETE", "/redfish/v1/SessionService/Sessions/99", "", 404, "ResourceMissingAtURI"},
		{"DELETE", system, "", 405, "OperationNotAllowed"},
		{"PUT", system, "{}", 405, "OperationNotAllowed"},
		{"GET", "/redfish/v1/Systems?$expand=.", "", 501, "QueryNotSupported"},
		{"PATCH", system, `{"Boot":`, 400, "MalformedJSON"},
		{"PATCH", system, `[]`, 400, "UnrecognizedRequestBody"},
		{"PATCH", system, `{"Colour":"red"}`, 400, "PropertyUnknown"},
		{"PATCH", system, `{"PowerState":"On"}`, 400, "PropertyNotWritable"},
		{"PATCH", system, `{"LocationIndicatorActive":"yes"}`, 400, "PropertyValueTypeError"},
		{"PATCH", system, `{"Boot":{"BootSourceOverrideTarget":"Moon"}}`, 400, "PropertyValueNotInList"},
		{"PATCH", system, `{"Boot":{"BootSourceOverrideTarget":"UefiHttp","BootSourceOverrideEnabled":"Once","BootSourceOverrideMode":"Legacy"}}`, 400, "PropertyValueConflict"},
		{"POST", reset, `{}`, 400, "ActionParameterMissing"},
		{"POST", reset, `{"ResetType":"Explode"}`, 400, "ActionParameterValueNotInList"},
		{"POST", reset, `{"ResetType":1}`, 400, "ActionParameterValueTypeError"},
		{"POST", reset, `{"Kind":"On"}`, 400, "ActionParameterUnknown"},
		{"POST", reset, `{"ResetType":"Nmi"}`, 409, "ResourceInStandby"},
		{"POST", drive + "/Actions/VirtualMedia.InsertMedia", `{}`, 400, "ActionParameterMissing"},
		{"POST", drive + "/Actions/VirtualMedia.InsertMedia", `{"Image":"file:///etc/passwd"}`, 400, "ActionParameterValueFormatError"},
		{"POST", drive + "/Actions/VirtualMedia.InsertMedia", `{"Image":"http://127.0.0.1/x","WriteProtected":false}`, 400, "ActionParameterNotSupported"},
		{"POST", drive + "/Actions/VirtualMedia.InsertMedia", `{"Image":"http://127.0.0.1/x","TransferProtocolType":"NFS"}`, 400, "ActionParameterValueNotInList"},
	}
	before := r.do(http.MethodGet, system, "").json
	for _, c := range cases {
		a := r.do(c.method, c.path, c.body)
		if a.StatusCode != c.status || a.at("error", "@Message.ExtendedInfo", 0, "MessageId") != "Base.1.16."+c.message || a.at("error", "code") != "Base.1.16."+c.message {
			t.Errorf("%s %s %s: %s %s; want %d %s", c.method, c.path, c.body, a.Status, a.text, c.status, c.message)
		}
		if strings.Contains(fmt.Sprint(a.at("error", "message")), "%1") {
			t.Errorf("an argument is missing in %s", a.text)
		}
		if c.status == 405 && a.Header.Get("Allow") == "" {
			t.Errorf("405 without Allow: %v", a.Header)
		}
	}
	if diff := cmp.Diff(before, r.do(http.MethodGet, system, "").json); diff != "" {
		t.Errorf("a refused request changed the system:\n%s", diff)
	}
	if a := r.do(http.MethodGet, system, "", "OData-Version", "3.0"); a.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("OData-Version 3.0: %s", a.Status)
	}
}

func TestETags(t *testing.T) {
	r := newRig(t)
	tag := r.do(http.MethodGet, system, "").Header.Get("ETag")
	if a := r.do(http.MethodGet, system, "", "If-None-Match", tag); a.StatusCode != http.StatusNotModified {
		t.Errorf("If-None-Match with the present tag: %s", a.Status)
	}
	if a := r.do(http.MethodHead, system, ""); a.StatusCode != http.StatusOK || a.Header.Get("ETag") != tag || len(a.text) != 0 {
		t.Errorf("HEAD: %s, ETag %s, %d bytes", a.Status, a.Header.Get("ETag"), len(a.text))
	}
	order := `{"Boot":{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Once"}}`
	a := r.do(http.MethodPatch, system, order, "If-Match", tag)
	if a.StatusCode != http.StatusOK || a.at("Boot", "BootSourceOverrideTarget") != "Pxe" || a.Header.Get("ETag") == tag {
		t.Errorf("If-Match with the present tag: %s %s", a.Status, a.text)
	}
	if a := r.do(http.MethodPatch, system, order, "If-Match", tag); a.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("If-Match with an old tag: %s", a.Status)
	}
	if got := r.machine.Boot(); got.Target != "Pxe" || got.Enabled != "Once" {
		t.Errorf("the machine's override is %+v", got)
	}
}

func TestInsertingMediaAsATask(t *testing.T) {
	r := newRig(t)
	let := make(chan struct{})
	images := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		<-let
		fmt.Fprint(w, "an image")
	}))
	t.Cleanup(images.Close)
	insert := drive + "/Actions/VirtualMedia.InsertMedia"
	a := r.do(http.MethodPost, insert, `{"Image":"`+images.URL+`/x.iso"}`, "Prefer", "respond-async")
	monitor := a.Header.Get("Location")
	task, _ := a.at("@odata.id").(string)
	if a.StatusCode != http.StatusAccepted || monitor == "" || a.at("TaskState") != "Running" {
		t.Fatalf("insert: %s %s", a.Status, a.text)
	}
	if a := r.do(http.MethodGet, monitor, ""); a.StatusCode != http.StatusAccepted {
		t.Errorf("the monitor of a running task: %s", a.Status)
	}
	if a := r.do(http.MethodPost, insert, `{"Image":"`+images.URL+`/y.iso"}`); a.StatusCode != http.StatusConflict {
		t.Errorf("a second insertion meanwhile: %s", a.Status)
	}
	close(let)
	for deadline := time.Now().Add(time.Minute); r.do(http.MethodGet, monitor, "").StatusCode == http.StatusAccepted; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the task does not end")
		}
	}
	if a := r.do(http.MethodGet, task, ""); a.at("TaskState") != "Completed" || a.at("TaskStatus") != "OK" {
		t.Errorf("the task: %s", a.text)
	}
	if a := r.do(http.MethodPost, insert, `{"Image":"`+images.URL+`/y.iso"}`); a.StatusCode != http.StatusConflict {
		t.Errorf("an insertion into a full drive: %s", a.Status)
	}
	_, file := r.machine.Media()
	if text, err := os.ReadFile(file); err != nil || string(text) != "an image" {
		t.Errorf("the image is %q, %v", text, err)
	}
	if a := r.do(http.MethodPost, drive+"/Actions/VirtualMedia.EjectMedia", `{}`); a.StatusCode != http.StatusNoContent {
		t.Errorf("eject: %s", a.Status)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the ejected image's file: %v", err)
	}

	images.Close()
	a = r.do(http.MethodPost, insert, `{"Image":"`+images.URL+`/x.iso"}`)
	if a.StatusCode != http.StatusBadRequest || a.at("error", "@Message.ExtendedInfo", 0, "MessageId") != "Base.1.16.CouldNotEstablishConnection" {
		t.Errorf("an image nobody serves: %s %s", a.Status, a.text)
	}
	if a := r.do(http.MethodGet, "/redfish/v1/TaskService/Tasks/2", ""); a.at("TaskState") != "Exception" || a.at("Messages", 0, "Message") == nil {
		t.Errorf("the failed task: %s", a.text)
	}
	left, err := filepath.Glob(filepath.Join(r.dir, "cd-*"))
	r.check(err)
	if len(left) != 0 {
		t.Errorf("files are left: %q", left)
	}
}

func TestEventsAreStreamed(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	uri := r.do(http.MethodGet, "/redfish/v1/EventService", "").at("ServerSentEventUri").(string)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.service.URL()+uri, nil)
	r.check(err)
	req.SetBasicAuth("admin", "secret")
	resp, err := r.http.Do(req)
	r.check(err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), ":") {
		t.Fatalf("the stream begins with %q", lines.Text())
	}
	r.check(r.machine.Do(t.Context(), vbmc.On))
	r.machine.Crash()
	var got []string
	for len(got) < 2 && lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var e struct {
				Events []struct {
					Severity, Message string
					LogEntry          map[string]string
				}
			}
			r.check(json.Unmarshal([]byte(data), &e))
			got = append(got, e.Events[0].Severity+" "+e.Events[0].Message)
			if entry := r.do(http.MethodGet, e.Events[0].LogEntry["@odata.id"], ""); entry.at("Message") != e.Events[0].Message {
				t.Errorf("the event's log entry: %s", entry.text)
			}
		}
	}
	want := []string{"OK The machine was powered on.", "Critical The machine lost power unexpectedly."}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheScreenPassesBytesBothWays(t *testing.T) {
	r := newRig(t)
	dial := func() (*websocket.Conn, *http.Response, error) {
		header := http.Header{}
		auth := &http.Request{Header: header}
		auth.SetBasicAuth("admin", "secret")
		return websocket.Dial(t.Context(), "wss"+strings.TrimPrefix(r.service.URL(), "https")+"/kvm/0",
			&websocket.DialOptions{HTTPClient: r.http, HTTPHeader: header, Subprotocols: []string{"binary"}})
	}
	if _, resp, err := dial(); err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the screen of a machine that is off: %v", err)
	}
	r.check(r.machine.Do(t.Context(), vbmc.On))
	socket, _, err := dial()
	r.check(err)
	defer socket.CloseNow()
	want := []byte("RFB 003.008\nhello")
	r.check(socket.Write(t.Context(), websocket.MessageBinary, []byte("hello")))
	var got []byte
	for len(got) < len(want) {
		kind, message, err := socket.Read(t.Context())
		r.check(err)
		if kind != websocket.MessageBinary {
			t.Errorf("a message of kind %v", kind)
		}
		got = append(got, message...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the screen sent %q, want %q", got, want)
	}
	if a := r.do(http.MethodGet, "/kvm/0", ""); a.StatusCode != http.StatusBadRequest {
		t.Errorf("GET without an upgrade: %s", a.Status)
	}
}

func TestTheCertificateSurvivesARestart(t *testing.T) {
	r := newRig(t)
	before := string(r.service.CertificatePEM())
	r.check(r.service.Close())
	r.start()
	if string(r.service.CertificatePEM()) != before {
		t.Error("the certificate changed over a restart")
	}
	r.clock.Step(11 * 365 * 24 * time.Hour)
	r.check(r.service.Close())
	r.start()
	if string(r.service.CertificatePEM()) == before {
		t.Error("an expired certificate was kept")
	}
	if a := r.do(http.MethodGet, "/redfish/v1", ""); a.StatusCode != http.StatusOK {
		t.Errorf("after the restart: %s", a.Status)
	}
}

func TestTheMetadataIsXML(t *testing.T) {
	r := newRig(t)
	a := r.do(http.MethodGet, "/redfish/v1/$metadata", "")
	r.check(xml.Unmarshal(a.text, &struct{ XMLName xml.Name }{}))
	if !strings.Contains(string(a.text), `Namespace="ComputerSystem.v1_26_0"`) {
		t.Errorf("the metadata does not refer to the system's schema:\n%s", a.text)
	}
}

func TestAClosedServiceLetsEverybodyGo(t *testing.T) {
	r := newRig(t)
	r.check(r.machine.Do(t.Context(), vbmc.On))
	header := http.Header{}
	(&http.Request{Header: header}).SetBasicAuth("admin", "secret")
	socket, _, err := websocket.Dial(t.Context(), "wss"+strings.TrimPrefix(r.service.URL(), "https")+"/console0",
		&websocket.DialOptions{HTTPClient: r.http, HTTPHeader: header})
	r.check(err)
	defer socket.CloseNow()
	r.check(r.service.Close())
	if _, _, err := socket.Read(t.Context()); err == nil {
		t.Error("the console goes on")
	}
}
