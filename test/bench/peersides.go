package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"github.com/ingotcloud/ingot/internal/fault"
)

// passwordLogin is the body of a request for a token.
func passwordLogin(user, password, project string) object {
	domain := object{"name": "Default"}
	return object{"auth": object{
		"identity": object{"methods": []string{"password"}, "password": object{"user": object{"name": user, "password": password, "domain": domain}}},
		"scope":    object{"project": object{"name": project, "domain": domain}},
	}}
}

// openTheirs starts OpenStack's own services. Where there is no Debian to have them from, all are absent.
func openTheirs(ctx context.Context, dir string) (*side, error) {
	p, err := openPeers(ctx, dir)
	if fault.Is(err, fault.Unavailable) {
		s := &side{absent: map[string]string{}, stop: func() error { return nil }}
		for _, o := range operations {
			s.absent[o.service] = fault.Message(err)
		}
		return s, nil
	}
	if p == nil {
		return nil, err
	}
	s := &side{stop: p.close, services: map[string][]int{}, absent: map[string]string{
		"compute": "Nova wants Placement, Neutron, Glance and RabbitMQ beside it, which this run does not start",
	}}
	if err != nil {
		return s, err
	}
	if s.postgres, err = p.postgres.pid(); err != nil {
		return s, err
	}
	keystone, url, err := p.startKeystone(ctx)
	if err != nil {
		return s, err
	}
	s.services["identity"], s.login = []int{keystone}, passwordLogin("admin", peerPassword, "admin")
	s.identity = newClient(url)
	token, err := s.token(ctx)
	if err != nil {
		return s, err
	}
	s.identity = s.identity.with("X-Auth-Token", token)
	ironic, url, err := p.startIronic(ctx)
	if err != nil {
		return s, err
	}
	s.services["baremetal"], s.baremetal = ironic, newClient(url).with("X-OpenStack-Ironic-API-Version", "1.78")
	return s, nil
}

// openOurs brings a cloud of simulated machines up, on PostgreSQL.
func openOurs(ctx context.Context, bin, dir string) (*side, error) {
	c := &cloud{home: dir, program: filepath.Join(bin, "ingot")}
	if err := os.MkdirAll(c.folder(), 0o755); err != nil {
		return nil, err
	}
	pg, err := startPostgres(ctx, filepath.Join(dir, "pg"))
	if pg == nil {
		return nil, err
	}
	s := &side{stop: func() error { return errors.Join(c.takeDown(), pg.stop()) }}
	if err != nil {
		return s, err
	}
	if s.postgres, err = pg.pid(); err != nil {
		return s, err
	}
	if err := pg.create(ctx, "ingot"); err != nil {
		return s, err
	}
	config, err := yaml.Marshal(object{"database": fmt.Sprintf("postgres://bench@/ingot?host=%s", pg.dir), "requests_per_second": -1})
	if err != nil {
		return s, err
	}
	if err := os.WriteFile(c.folder("ingot.yaml"), config, 0o600); err != nil {
		return s, err
	}
	// One machine has the server that is made by the way.
	out, err := exec.CommandContext(ctx, c.program, "up", "--home", c.folder(), "--simulate", fmt.Sprint(servers+1)).CombinedOutput()
	if err != nil {
		return s, fmt.Errorf("ingot up: %w\n%s", err, out)
	}
	return s, s.join(ctx, c)
}

// join a cloud of ours as its administrator, and its tenant for servers.
func (s *side) join(ctx context.Context, c *cloud) error {
	pid, err := c.pid("serve")
	if err != nil {
		return err
	}
	s.services = map[string][]int{"identity": {pid}, "baremetal": {pid}, "compute": {pid}}
	tokens := map[string]string{}
	for _, user := range []string{"demo", "admin"} {
		o, err := c.openrc(user)
		if err != nil {
			return err
		}
		s.identity, s.login = newClient(o.IdentityEndpoint), passwordLogin(o.Username, o.Password, o.TenantName)
		if tokens[user], err = s.token(ctx); err != nil {
			return err
		}
	}
	s.identity = s.identity.with("X-Auth-Token", tokens["admin"])
	address, err := c.address()
	if err != nil {
		return err
	}
	s.baremetal = newClient("http://"+address+"/baremetal").with("X-Auth-Token", tokens["admin"]).with("X-OpenStack-Ironic-API-Version", "1.78")
	s.compute = newClient("http://"+address+"/compute/v2.1").with("X-Auth-Token", tokens["demo"])
	var list struct {
		Servers []server `json:"servers"`
	}
	if _, err := s.compute.do(ctx, "GET", "/servers/detail", nil, &list); err != nil {
		return err
	}
	if len(list.Servers) != 1 {
		return fmt.Errorf("the tenant has %d servers instead of one", len(list.Servers))
	}
	model := list.Servers[0]
	s.order = object{"server": object{"name": "bench", "imageRef": model.Image.ID, "flavorRef": model.Flavor.ID}}
	return nil
}
