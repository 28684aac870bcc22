package agentdoor_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/api/agentdoor"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/deployimage"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
	"github.com/ingotcloud/ingot/internal/workflow"
)

func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	var pins [4]string
	var wg sync.WaitGroup
	for i := range pins { // processes that start at once agree
		wg.Go(func() {
			certificate, pin, err := agentdoor.Certificate(dir)
			if err != nil {
				t.Error(err)
				return
			}
			sum := sha256.Sum256(certificate.Leaf.RawSubjectPublicKeyInfo)
			if hex.EncodeToString(sum[:]) != pin {
				t.Errorf("the pin %s is not the key's", pin)
			}
			pins[i] = pin
		})
	}
	wg.Wait()
	for _, pin := range pins {
		if pin != pins[0] || len(pin) != 64 {
			t.Fatalf("pins %v", pins)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v %v", files, err)
	}
	path := filepath.Join(dir, files[0].Name())
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := agentdoor.Certificate(dir); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("a key that others may read: %v", err)
	}
	if err := os.WriteFile(path, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := agentdoor.Certificate(dir); err == nil {
		t.Error("rubbish was taken for a key")
	}
	if _, _, err := agentdoor.Certificate(filepath.Join(dir, "absent")); err == nil {
		t.Error("a folder that is not there was fine")
	}
}

// images is one image.
type images struct{ blob []byte }

func (i images) Manifest(_ context.Context, id string) (deployimage.Manifest, error) {
	if id != "img" {
		return deployimage.Manifest{}, fault.New(fault.NotFound, "There is no image %s.", id)
	}
	return deployimage.Manifest{Version: deployimage.Version, BlobSize: int64(len(i.blob))}, nil
}

func (i images) OpenBlob(context.Context, string) (io.ReadSeekCloser, error) {
	return struct {
		io.ReadSeeker
		io.Closer
	}{bytes.NewReader(i.blob), io.NopCloser(nil)}, nil
}

// caller is an agent written by hand.
type caller struct {
	t               *testing.T
	url             string
	client          *http.Client
	session, secret string
}

func (c *caller) do(method, path string, body any, headers ...string) (int, string) {
	c.t.Helper()
	var reader io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, reader)
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set(agentapi.HeaderSession, c.session)
	request.Header.Set(agentapi.HeaderSecret, c.secret)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	answer, err := c.client.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was read to its end
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// refused demands the status and {"error": "sentence"}.
func (c *caller) refused(status int, method, path string, body any) {
	c.t.Helper()
	got, text := c.do(method, path, body)
	var said struct{ Error string }
	if got != status || json.Unmarshal([]byte(text), &said) != nil || said.Error == "" {
		c.t.Errorf("%s %s: %d %s, want %d with a sentence", method, path, got, text, status)
	}
}

// arrive boots a machine whose agent is the caller.
func arrive(t *testing.T, rig *machinetest.Rig, c *machinetest.Computer) *caller {
	t.Helper()
	c.Set(func(b *machinetest.Behaviour) { b.NeverCalls = true })
	c.Enrol()
	c.Ask(machine.Manage)
	c.Await(machine.Manageable)
	c.Ask(machine.Inspect)
	rig.Eventually("the machine to boot", func() bool { return len(c.Boots()) == 1 })
	boot, err := rig.Service.CurrentBoot(t.Context(), rig.DB, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	artefact, err := rig.Service.Artefact(t.Context(), boot.Key)
	if err != nil {
		t.Fatal(err)
	}
	guest := &caller{t: t, url: artefact.Params.URL, secret: strings.Repeat("5e", 32), client: &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the pin is internal/agent's to check, and its tests do
	}}}
	t.Cleanup(guest.client.CloseIdleConnections)
	status, text := guest.do("POST", agentapi.PathHello, agentapi.Hello{Token: artefact.Params.Token, Secret: guest.secret})
	var welcome agentapi.Welcome
	if err := json.Unmarshal([]byte(text), &welcome); status != 200 || err != nil || welcome.Session == "" || welcome.Now.IsZero() {
		t.Fatalf("hello: %d %s", status, text)
	}
	guest.session = welcome.Session
	return guest
}

func TestDoor(t *testing.T) {
	rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "a"}, machinetest.Spec{Name: "b"})
	rig.Images = images{[]byte("0123456789")}
	rig.Start()
	a, b := arrive(t, rig, rig.Machines[0]), arrive(t, rig, rig.Machines[1])

	stranger := *a
	stranger.session = ""
	for _, path := range []string{agentapi.PathCommand, "/agent/v1/images/img/manifest", "/agent/v1/images/img/blob"} {
		stranger.refused(401, "GET", path, nil)
	}
	stranger.refused(401, "POST", agentapi.PathReport, agentapi.Report{})
	stranger.session, stranger.secret = a.session, b.secret+"x"
	stranger.refused(401, "GET", agentapi.PathCommand, nil)
	a.refused(401, "POST", agentapi.PathHello, agentapi.Hello{Token: "guess", Secret: a.secret})
	a.refused(400, "POST", agentapi.PathHello, "{")
	a.refused(413, "POST", agentapi.PathHello, `{"token": "`+strings.Repeat("x", 1<<20)+`"}`)
	a.refused(413, "POST", agentapi.PathReport, `{"error": "`+strings.Repeat("x", 5<<20)+`"}`)
	a.refused(404, "GET", "/agent/v2/command", nil)

	status, text := a.do("GET", agentapi.PathCommand, nil)
	var command agentapi.Command
	if err := json.Unmarshal([]byte(text), &command); status != 200 || err != nil || command.Kind != agentapi.KindInspect {
		t.Fatalf("command: %d %s", status, text)
	}
	b.refused(409, "POST", agentapi.PathReport, agentapi.Report{Command: command.ID, State: agentapi.Done}) // not its own
	b.refused(400, "POST", agentapi.PathReport, agentapi.Report{Command: command.ID, State: "dreaming"})
	if status, text := a.do("POST", agentapi.PathReport, `{"command": "`+command.ID+`", "state": "running", "of a newer agent": true}`); status != 204 || text != "" {
		t.Errorf("report: %d %s", status, text)
	}
	if status, _ := a.do("POST", agentapi.PathReport, agentapi.Report{Command: command.ID, State: agentapi.Done, Result: []byte(`{"boot_mode": "uefi"}`)}); status != 204 {
		t.Errorf("last report: %d", status)
	}
	rig.Machines[0].Await(machine.Manageable)
	if status, text := a.do("GET", agentapi.PathCommand, nil); status != 204 || text != "" {
		t.Errorf("no work: %d %s", status, text)
	}

	a.refused(403, "GET", "/agent/v1/images/img/manifest", nil)
	a.refused(403, "GET", "/agent/v1/images/img/blob", nil)
	order := agentapi.Command{Kind: agentapi.KindDeploy, Deploy: &agentapi.Deploy{Image: "img"}}
	if err := rig.Service.Ask(t.Context(), &workflow.Run{ID: "deploy"}, rig.Machines[0].ID, "deploy", order, nil); err == nil {
		t.Error("asked and at once answered")
	}
	if status, text := a.do("GET", "/agent/v1/images/img/manifest", nil); status != 200 || !strings.Contains(text, `"blob_size":10`) {
		t.Errorf("manifest: %d %s", status, text)
	}
	if status, text := a.do("GET", "/agent/v1/images/img/blob", nil, "Range: bytes=2-4"); status != 206 || text != "234" {
		t.Errorf("range: %d %s", status, text)
	}
	if status, _ := a.do("GET", "/agent/v1/images/img/blob", nil, "Range: bytes=20-"); status != 416 {
		t.Errorf("past the end: %d", status)
	}
	a.refused(403, "GET", "/agent/v1/images/other/manifest", nil)
	b.refused(403, "GET", "/agent/v1/images/img/blob", nil)
}
