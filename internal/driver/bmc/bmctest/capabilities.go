package bmctest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/machine"
)

// files serves what is in the map; the address is its URL.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := content[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "image.iso", time.Time{}, bytes.NewReader([]byte(body)))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func virtualMedia(t *testing.T, s Subject, d machine.Driver) {
	m := has[machine.VirtualMedia](t, d)
	base := files(t, map[string]string{"/one.iso": "the first image", "/two.iso": "the second image"})
	wantMedia(t, s, m, "", "")
	must(t, m.EjectMedia(t.Context())) // an empty drive is ejected with success
	must(t, m.InsertMedia(t.Context(), base+"/one.iso"))
	wantMedia(t, s, m, base+"/one.iso", "the first image")
	must(t, m.InsertMedia(t.Context(), base+"/two.iso"))
	wantMedia(t, s, m, base+"/two.iso", "the second image")
	must(t, m.EjectMedia(t.Context()))
	wantMedia(t, s, m, "", "")
}

func virtualMediaMissing(t *testing.T, s Subject, d machine.Driver) {
	m := has[machine.VirtualMedia](t, d)
	if err := m.InsertMedia(t.Context(), files(t, nil)+"/none.iso"); err == nil {
		t.Error("an image that is not there was inserted")
	} else {
		t.Log("as it should be:", err)
	}
	wantMedia(t, s, m, "", "")
}

func wantMedia(t *testing.T, s Subject, m machine.VirtualMedia, url, content string) {
	t.Helper()
	got, err := m.Media(t.Context())
	must(t, err)
	if got != url {
		t.Errorf("the BMC says that %q is in the drive, want %q", got, url)
	}
	if s.Machine == nil {
		return
	}
	machineURL, file := s.Machine.Media()
	if machineURL != url {
		t.Errorf("in the machine's drive is %q, want %q", machineURL, url)
	}
	if url == "" {
		return
	}
	body, err := os.ReadFile(file)
	must(t, err)
	if string(body) != content {
		t.Errorf("the machine's drive holds %q, want %q", body, content)
	}
}

func secureBoot(t *testing.T, s Subject, d machine.Driver) {
	b := has[machine.SecureBooter](t, d)
	if s.Machine != nil && !s.Machine.Info().SecureBootCapable {
		t.Skip("this machine has no Secure Boot")
	}
	for _, want := range []bool{true, true, false} {
		must(t, b.SetSecureBoot(t.Context(), want))
		got, err := b.SecureBoot(t.Context())
		must(t, err)
		if got != want {
			t.Errorf("secure boot is told as %v, want %v", got, want)
		}
		if s.Machine != nil && s.Machine.SecureBoot() != want {
			t.Errorf("the machine's secure boot is %v, want %v", s.Machine.SecureBoot(), want)
		}
	}
}

func indicator(t *testing.T, s Subject, d machine.Driver) {
	i := has[machine.Indicator](t, d)
	for _, want := range []bool{true, true, false} {
		must(t, i.SetIndicator(t.Context(), want))
		if s.Machine != nil && s.Machine.Indicator() != want {
			t.Errorf("the locator light is %v, want %v", s.Machine.Indicator(), want)
		}
	}
}

func firmware(t *testing.T, s Subject, d machine.Driver) {
	items, err := has[machine.FirmwareLister](t, d).Firmware(t.Context())
	must(t, err)
	for _, item := range items {
		if item.Name == "" || item.Version == "" {
			t.Errorf("an item without name or version: %+v", item)
		}
	}
	if s.Machine == nil {
		return
	}
	if !slices.ContainsFunc(items, func(i machine.FirmwareItem) bool { return i.Version == s.Machine.Info().BIOSVersion }) {
		t.Errorf("the BIOS version %q is not among %+v", s.Machine.Info().BIOSVersion, items)
	}
}

func sensors(t *testing.T, s Subject, d machine.Driver) {
	readings, err := has[machine.SensorReader](t, d).Sensors(t.Context())
	must(t, err)
	if s.Machine != nil && len(readings) == 0 {
		t.Error("no sensors at all")
	}
	kinds := []string{"temperature", "voltage", "fan", "power", "other"}
	seen := map[string]bool{}
	for _, r := range readings {
		if r.Name == "" || r.Unit == "" || !slices.Contains(kinds, r.Kind) || seen[r.Name] {
			t.Errorf("a sensor without name, unit or known kind, or told twice: %+v", r)
		}
		seen[r.Name] = true
	}
}

func eventLog(t *testing.T, s Subject, d machine.Driver) {
	l := has[machine.EventLogger](t, d)
	order(t, s, d, machine.ActionOn, machine.PowerOn)
	entries, err := l.EventLog(t.Context())
	must(t, err)
	if s.Machine != nil && len(entries) == 0 {
		t.Error("the event log says nothing of the power")
	}
	ids := map[string]bool{}
	for _, e := range entries {
		if e.ID == "" || ids[e.ID] || e.Message == "" || e.Time.IsZero() {
			t.Errorf("an entry without id, message or time, or told twice: %+v", e)
		}
		ids[e.ID] = true
	}
	must(t, l.ClearEventLog(t.Context()))
	left, err := l.EventLog(t.Context())
	must(t, err)
	if len(left) > 1 { // IPMI logs that the log was cleared
		t.Errorf("%d entries are left after clearing: %+v", len(left), left)
	}
}

func console(t *testing.T, s Subject, d machine.Driver) {
	c := has[machine.SerialConsole](t, d)
	if s.Machine == nil {
		t.Skip("other people's BMC: its console does not echo")
	}
	order(t, s, d, machine.ActionOn, machine.PowerOn)
	line, err := c.OpenConsole(t.Context())
	must(t, err)
	typed := []byte("hello, machine")
	if _, err := line.Write(typed); err != nil {
		t.Fatal(err)
	}
	read := make(chan []byte, 1)
	go func() {
		got := make([]byte, len(typed))
		n, _ := io.ReadFull(line, got) // what is missing shows in the comparison
		read <- got[:n]
	}()
	select {
	case got := <-read:
		if !bytes.Equal(got, typed) {
			t.Errorf("the console echoed %q, want %q", got, typed)
		}
	case <-time.After(time.Minute):
		t.Error("the console did not echo within a minute")
	}
	must(t, line.Close())
	again, err := c.OpenConsole(t.Context()) // the line is free again
	must(t, err)
	must(t, again.Close())
}
