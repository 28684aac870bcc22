package up

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// server is what up reads of a Nova server.
type server struct {
	ID        string `json:"id"`
	Status    string `json:"status"`
	Progress  int    `json:"progress"`
	Addresses map[string][]struct {
		Addr string `json:"addr"`
	} `json:"addresses"`
	Fault struct {
		Message string `json:"message"`
	} `json:"fault"`
}

func (v *server) address() string {
	for _, list := range v.Addresses {
		for _, a := range list {
			return a.Addr
		}
	}
	return ""
}

// orderServer has a server made on one of the machines and follows it until it is ACTIVE and shows its login prompt.
func (s *site) orderServer(ctx context.Context) error {
	demo, err := s.demo(ctx)
	if err != nil {
		return err
	}
	id, err := find(ctx, demo.compute, "servers", "demo")
	if err != nil {
		return err
	}
	if id == "" {
		if id, err = s.createServer(ctx, demo); err != nil {
			return err
		}
	}
	v, err := s.follow(ctx, demo, id, "ACTIVE", "SHUTOFF")
	if err != nil {
		return err
	}
	if v.Status == "SHUTOFF" { // the rack was down meanwhile
		if err := call(ctx, demo.compute, http.MethodPost, "servers/"+id+"/action", object{"os-start": nil}, nil); err != nil {
			return err
		}
		if _, err := s.follow(ctx, demo, id, "ACTIVE"); err != nil {
			return err
		}
	}
	address, err := giveFloatingIP(ctx, demo.network, id)
	if err != nil {
		return err
	}
	s.show.note("its floating IP is %s", address)
	if err := s.writeSSHConfig(address); err != nil {
		return err
	}
	return s.awaitPrompt(ctx, id)
}

func (s *site) createServer(ctx context.Context, demo *cloud) (string, error) {
	image, err := find(ctx, demo.image, "images", "tiny")
	if err != nil {
		return "", err
	}
	flavor, err := find(ctx, demo.compute, "flavors", "bm.small")
	if err != nil {
		return "", err
	}
	network, err := find(ctx, demo.network, "networks", "demo")
	if err != nil {
		return "", err
	}
	return ensure(ctx, demo.compute, "servers", "server", object{
		"name": "demo", "imageRef": image, "flavorRef": flavor, "key_name": "demo", "networks": []object{{"uuid": network}},
	})
}

// actionEvent is a step of what is being done to a server, as Nova shows it.
type actionEvent struct {
	Event   string `json:"event"`
	Finish  string `json:"finish_time"`
	Result  string `json:"result"`
	Details string `json:"details"`
}

func (e actionEvent) title() string {
	if e.Details != "" {
		return e.Details
	}
	return e.Event
}

func before(text, mark string) string {
	text, _, _ = strings.Cut(text, mark)
	return text
}

// follow shows the steps of a server's last action until the server rests in one of the states.
func (s *site) follow(ctx context.Context, demo *cloud, id string, rest ...string) (*server, error) {
	shown := map[int]bool{}
	deadline := time.Now().Add(patience)
	for {
		var body struct {
			Server server `json:"server"`
		}
		if err := call(ctx, demo.compute, http.MethodGet, "servers/"+id, nil, &body); err != nil {
			return nil, err
		}
		v := &body.Server
		moving := v.Status != "ERROR" && !slices.Contains(rest, v.Status)
		if moving || len(shown) > 0 {
			if err := s.showSteps(ctx, demo, v, shown); err != nil {
				return nil, err
			}
		}
		switch {
		case v.Status == "ERROR":
			return nil, fmt.Errorf("the server is in error: %s", v.Fault.Message)
		case !moving:
			s.show.note("the server is %s at %s", v.Status, v.address())
			return v, nil
		case time.Now().After(deadline):
			return nil, fmt.Errorf("the server is still %s after %s", v.Status, patience)
		}
		if err := pause(ctx, 300*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

func (s *site) showSteps(ctx context.Context, demo *cloud, v *server, shown map[int]bool) error {
	var actions struct {
		List []struct {
			Request string `json:"request_id"`
		} `json:"instanceActions"`
	}
	if err := call(ctx, demo.compute, http.MethodGet, "servers/"+v.ID+"/os-instance-actions", nil, &actions); err != nil || len(actions.List) == 0 {
		return err
	}
	var detail struct {
		Action struct {
			Events []actionEvent `json:"events"`
		} `json:"instanceAction"`
	}
	if err := call(ctx, demo.compute, http.MethodGet, "servers/"+v.ID+"/os-instance-actions/"+actions.List[0].Request, nil, &detail); err != nil {
		return err
	}
	for i, event := range detail.Action.Events {
		if event.Finish == "" {
			if v.Progress > 0 && v.Progress < 100 {
				s.show.progress(before(event.title(), ":"), v.Progress)
			}
			continue
		}
		if !shown[i] {
			shown[i] = true
			if event.Result == "Error" {
				s.show.note("%s: failed", event.title())
			} else {
				s.show.note("%s: done", event.title())
			}
		}
	}
	return nil
}

func (s *site) writeSSHConfig(address string) error {
	text := fmt.Sprintf(`Host demo
  HostName %s
  User ingot
  IdentityFile %s
  IdentitiesOnly yes
  UserKnownHostsFile %s
  StrictHostKeyChecking accept-new
  ProxyCommand %s lab dial --dir %s %%h %%p
`, address, s.path("demo_key"), s.path("known_hosts"), s.program, s.path("lab"))
	return os.WriteFile(s.path("ssh_config"), []byte(text), 0o600)
}

// awaitPrompt watches the serial line of the server's machine for a login prompt, and shows its last lines.
func (s *site) awaitPrompt(ctx context.Context, id string) error {
	admin, err := s.admin(ctx)
	if err != nil {
		return err
	}
	var nodes struct {
		Nodes []node `json:"nodes"`
	}
	if err := call(ctx, admin.baremetal, http.MethodGet, "nodes/detail", nil, &nodes); err != nil {
		return err
	}
	log := ""
	for _, n := range nodes.Nodes {
		for _, m := range s.rack.Machines {
			if n.InstanceUUID == id && m.Name == n.Name {
				log = m.Log
			}
		}
	}
	if log == "" {
		return errors.New("no machine of the rack has the server")
	}
	deadline := time.Now().Add(patience)
	for {
		if tail := lastLines(log, 12); strings.Contains(tail, "login:") {
			s.show.text("\n  the end of %s:\n    | %s\n\n", shortPath(log), strings.ReplaceAll(tail, "\n", "\n    | "))
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no login prompt in %s; its end:\n%s", log, lastLines(log, 12))
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// tryLogin proves the ssh command that is shown to the user. The system may still be starting its services.
func (s *site) tryLogin(ctx context.Context) error {
	if err := os.Remove(s.path("known_hosts")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	deadline := time.Now().Add(2 * time.Minute)
	for {
		out, err := exec.CommandContext(ctx, "ssh", "-F", s.path("ssh_config"), "-o", "ConnectTimeout=10", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "demo",
			"echo logged in to $(hostname) as $(id -un), $(uname -sr)").CombinedOutput()
		if err == nil {
			s.show.note("%s", strings.TrimSpace(string(out)))
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("ssh -F %s demo: %w: %s", filepath.Base(s.path("ssh_config")), err, out)
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}
