package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ingotcloud/ingot/internal/console/forensics"
	"github.com/ingotcloud/ingot/internal/lab/tenantimage"
)

// image VAR LOADER keeps the path of a tenant image that is booted by the loader (grub) in a variable.
func image(ts *testscript.TestScript, _ bool, args []string) {
	raw, err := tenantimage.Build(context.Background(), tenantimage.Options{Loader: tenantimage.Loader(args[1])})
	ts.Check(err)
	ts.Setenv(args[0], tenantimage.QCOW2(raw))
}

// boot SECONDS SERVER FAULT waits until the console says of the server's last boot that it stopped at the fault; good: that
// it came to its login prompt. It asks as a tenant's browser does: by the address that
// the CLI gives.
func boot(ts *testscript.TestScript, _ bool, args []string) {
	seconds, err := strconv.Atoi(args[0])
	ts.Check(err)
	server, want := args[1], args[2]
	ts.Check(ts.Exec("openstack", "console", "url", "show", "--novnc", "-f", "value", "-c", "url", server))
	page, err := url.Parse(strings.TrimSpace(ts.ReadFile("stdout")))
	ts.Check(err)
	socket, err := url.Parse(page.Query().Get("path"))
	ts.Check(err)
	api := page.Scheme + "://" + page.Host + "/console/api/"
	var session struct{ Key string }
	ts.Check(ask("POST", api+"session", "", map[string]string{"token": socket.Query().Get("token")}, &session))
	for deadline := time.Now().Add(time.Duration(seconds) * time.Second); ; time.Sleep(time.Second) {
		var report struct {
			Boots []struct {
				Good     bool
				Phases   []struct{ Phase string }
				Findings []forensics.Finding
			}
		}
		ts.Check(ask("GET", api+"boots", session.Key, nil, &report))
		state := "no boot"
		if n := len(report.Boots); n > 0 {
			last := report.Boots[n-1]
			state = fmt.Sprintf("boot %d at %v: %+v", n, last.Phases, last.Findings)
			if want == "good" && last.Good {
				return
			}
			for _, f := range last.Findings {
				if f.Fault == want && !f.Passed {
					ts.Logf("%s\n  %s\n  %s", f.Line, f.Says, f.Do)
					return
				}
			}
		}
		if time.Now().After(deadline) {
			ts.Fatalf("after %d s the console does not say %s: %s", seconds, want, state)
		}
	}
}

// ask sends JSON and reads JSON.
func ask(method, address, key string, body, into any) error {
	sent, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequest(method, address, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, r.URL.Path, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}
