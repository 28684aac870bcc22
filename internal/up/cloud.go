package up

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"github.com/ingotcloud/ingot/internal/lab"
)

// cloud is a login to the public API.
type cloud struct {
	identity, image, compute, network, baremetal *gophercloud.ServiceClient
}

func (s *site) login(ctx context.Context, user, password, project string) (*cloud, error) {
	provider, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{
		IdentityEndpoint: s.apiURL() + "/identity/v3", Username: user, Password: password, TenantName: project,
		DomainName: "Default", AllowReauth: true,
	})
	if err != nil {
		return nil, fmt.Errorf("log in as %s: %w", user, err)
	}
	var c cloud
	for _, service := range []struct {
		client **gophercloud.ServiceClient
		open   func(*gophercloud.ProviderClient, gophercloud.EndpointOpts) (*gophercloud.ServiceClient, error)
		micro  string
	}{
		{&c.identity, openstack.NewIdentityV3, ""},
		{&c.image, openstack.NewImageV2, ""},
		{&c.compute, openstack.NewComputeV2, "2.90"},
		{&c.network, openstack.NewNetworkV2, ""},
		{&c.baremetal, openstack.NewBareMetalV1, "1.78"},
	} {
		client, err := service.open(provider, gophercloud.EndpointOpts{})
		if err != nil {
			return nil, err
		}
		client.Microversion = service.micro
		*service.client = client
	}
	return &c, nil
}

// object is a JSON body.
type object = map[string]any

// call makes one request; out may be nil. All success codes are fine.
func call(ctx context.Context, client *gophercloud.ServiceClient, method, path string, in, out any) error {
	options := &gophercloud.RequestOpts{OkCodes: []int{200, 201, 202, 204}, JSONResponse: out}
	if in != nil {
		options.JSONBody = in
	}
	answer, err := client.Request(ctx, method, client.ServiceURL(path), options)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if out == nil {
		return answer.Body.Close()
	}
	return nil
}

func isStatus(err error, code int) bool { return gophercloud.ResponseCodeIs(err, code) }

func (s *site) password(user string) (string, error) {
	path := s.path(user + "-password")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		text = []byte(rand.Text() + "\n")
		err = os.WriteFile(path, text, 0o600)
	}
	return strings.TrimSpace(string(text)), err
}

// writeOpenRC writes what `openstack` reads from the environment.
func (s *site) writeOpenRC(user, password, project string) error {
	text := fmt.Sprintf(`# source this file; then: openstack server list
export OS_AUTH_URL=%s/identity/v3 OS_IDENTITY_API_VERSION=3 OS_REGION_NAME=RegionOne
export OS_USERNAME=%s OS_PASSWORD=%s OS_PROJECT_NAME=%s OS_USER_DOMAIN_NAME=Default OS_PROJECT_DOMAIN_NAME=Default
`, s.apiURL(), user, password, project)
	return os.WriteFile(s.path(user+"-openrc.sh"), []byte(text), 0o600)
}

func (s *site) admin(ctx context.Context) (*cloud, error) {
	password, err := s.password("admin")
	if err != nil {
		return nil, err
	}
	return s.login(ctx, "admin", password, "admin")
}

func (s *site) demo(ctx context.Context) (*cloud, error) {
	password, err := s.password("demo")
	if err != nil {
		return nil, err
	}
	return s.login(ctx, "demo", password, "demo")
}

// makeTenant makes the project demo with a user demo who is member of it.
func (s *site) makeTenant(ctx context.Context) error {
	admin, err := s.admin(ctx)
	if err != nil {
		return err
	}
	project, err := ensure(ctx, admin.identity, "projects", "project", object{"name": "demo", "description": "Made by ingot up"})
	if err != nil {
		return err
	}
	password, err := s.password("demo")
	if err != nil {
		return err
	}
	user, err := ensure(ctx, admin.identity, "users", "user", object{"name": "demo", "password": password, "default_project_id": project})
	if err != nil {
		return err
	}
	role, err := find(ctx, admin.identity, "roles", "member")
	if err != nil {
		return err
	}
	if err := call(ctx, admin.identity, http.MethodPut, "projects/"+project+"/users/"+user+"/roles/"+role, nil, nil); err != nil {
		return err
	}
	adminPassword, err := s.password("admin")
	if err != nil {
		return err
	}
	return errors.Join(s.writeOpenRC("admin", adminPassword, "admin"), s.writeOpenRC("demo", password, "demo"))
}

// find gives the id of a named thing; empty when there is none.
func find(ctx context.Context, client *gophercloud.ServiceClient, collection, name string) (string, error) {
	var lists map[string]any
	if err := call(ctx, client, http.MethodGet, collection+"?name="+name, nil, &lists); err != nil {
		return "", err
	}
	key := strings.ReplaceAll(collection[strings.LastIndexByte(collection, '/')+1:], "-", "_")
	list, ok := lists[key].([]any)
	if !ok {
		return "", fmt.Errorf("GET %s: the answer has no list", collection)
	}
	for _, item := range list {
		entry, ok := item.(object)
		if ok && entry["name"] == name {
			return fmt.Sprint(entry["id"]), nil
		}
	}
	return "", nil
}

// ensure gives the id of a named thing, which it makes when there is none. Wrap names the body's only key; Glance has none.
func ensure(ctx context.Context, client *gophercloud.ServiceClient, collection, wrap string, body object) (string, error) {
	id, err := find(ctx, client, collection, fmt.Sprint(body["name"]))
	if err != nil || id != "" {
		return id, err
	}
	var in any = body
	if wrap != "" {
		in = object{wrap: body}
	}
	var out object
	if err := call(ctx, client, http.MethodPost, collection, in, &out); err != nil {
		return "", err
	}
	if wrap != "" {
		inner, ok := out[wrap].(object)
		if !ok {
			return "", fmt.Errorf("POST %s: the answer has no %s", collection, wrap)
		}
		out = inner
	}
	return fmt.Sprint(out["id"]), nil
}

// node is what up reads of an Ironic node.
type node struct {
	UUID           string `json:"uuid"`
	Name           string `json:"name"`
	ProvisionState string `json:"provision_state"`
	LastError      string `json:"last_error"`
	InstanceUUID   string `json:"instance_uuid"`
	Inspected      string `json:"inspection_finished_at"`
	Maintenance    bool   `json:"maintenance"`
	Reason         string `json:"maintenance_reason"`
}

// enrolMachines takes every machine of the rack to where it can be given to a tenant, all at once.
func (s *site) enrolMachines(ctx context.Context) error {
	admin, err := s.admin(ctx)
	if err != nil {
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	for _, m := range s.rack.Machines {
		all.Go(func() error {
			if err := s.enrol(ctx, admin, m); err != nil {
				return fmt.Errorf("%s: %w", m.Name, err)
			}
			return nil
		})
	}
	return all.Wait()
}

func (s *site) enrol(ctx context.Context, admin *cloud, m lab.MachineDescription) error {
	var n node
	err := call(ctx, admin.baremetal, http.MethodGet, "nodes/"+m.Name, nil, &n)
	if isStatus(err, http.StatusNotFound) {
		err = s.createNode(ctx, admin, m, &n)
	}
	if err != nil {
		return err
	}
	last := ""
	deadline := time.Now().Add(patience)
	for {
		if err := call(ctx, admin.baremetal, http.MethodGet, "nodes/"+n.UUID, nil, &n); err != nil {
			return err
		}
		if n.ProvisionState != last {
			s.show.note("%s is %s", m.Name, n.ProvisionState)
		}
		switch {
		case n.ProvisionState == "available" || n.InstanceUUID != "":
			return nil
		case n.LastError != "" && last != "": // what failed before this run is tried again
			return fmt.Errorf("%s: %s", n.ProvisionState, n.LastError)
		case n.Maintenance && last != "":
			return fmt.Errorf("in maintenance: %s", n.Reason)
		case time.Now().After(deadline):
			return fmt.Errorf("still %s after %s", n.ProvisionState, patience)
		}
		if verb := n.nextVerb(); verb != "" {
			if err := call(ctx, admin.baremetal, http.MethodPut, "nodes/"+n.UUID+"/states/provision", object{"target": verb}, nil); err != nil {
				return err
			}
		}
		last = n.ProvisionState
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
}

// nextVerb leads from enroll over manageable to available: a machine is inspected before it is cleaned.
func (n *node) nextVerb() string {
	switch {
	case n.ProvisionState == "enroll":
		return "manage"
	case n.ProvisionState == "manageable" && n.Inspected == "":
		return "inspect"
	case n.ProvisionState == "manageable" || n.ProvisionState == "clean failed":
		return "provide"
	case n.ProvisionState == "inspect failed":
		return "inspect"
	case n.ProvisionState == "deploy failed":
		return "deleted"
	}
	return ""
}

func (s *site) createNode(ctx context.Context, admin *cloud, m lab.MachineDescription, n *node) error {
	info := object{}
	switch m.BMC.Kind {
	case "redfish":
		info["redfish_address"], info["redfish_username"], info["redfish_password"] = m.BMC.Address, m.BMC.Username, m.BMC.Password
		info["redfish_verify_ca"] = m.BMC.CA
	default:
		host, port, found := strings.Cut(m.BMC.Address, ":")
		if !found {
			return fmt.Errorf("the BMC's address %q has no port", m.BMC.Address)
		}
		info["ipmi_address"], info["ipmi_port"], info["ipmi_username"], info["ipmi_password"] = host, port, m.BMC.Username, m.BMC.Password
	}
	body := object{"name": m.Name, "driver": m.BMC.Kind, "driver_info": info, "resource_class": "baremetal"}
	if err := call(ctx, admin.baremetal, http.MethodPost, "nodes", body, n); err != nil {
		return err
	}
	for _, nic := range m.NICs {
		port := object{"node_uuid": n.UUID, "address": nic.MAC, "local_link_connection": nic.Link}
		if err := call(ctx, admin.baremetal, http.MethodPost, "ports", port, nil); err != nil {
			return err
		}
	}
	return nil
}

// fillCloud gives the tenant what a server needs: an image, a flavor, a key.
func (s *site) fillCloud(ctx context.Context) error {
	admin, err := s.admin(ctx)
	if err != nil {
		return err
	}
	demo, err := s.demo(ctx)
	if err != nil {
		return err
	}
	if err := s.uploadImage(ctx, admin); err != nil {
		return err
	}
	flavorID, err := find(ctx, admin.compute, "flavors", "bm.small")
	if err != nil {
		return err
	}
	if flavorID == "" {
		if flavorID, err = ensure(ctx, admin.compute, "flavors", "flavor", object{"name": "bm.small", "ram": 512, "vcpus": 2, "disk": 3}); err != nil {
			return err
		}
		if err := call(ctx, admin.compute, http.MethodPost, "flavors/"+flavorID+"/os-extra_specs",
			object{"extra_specs": object{"resources:CUSTOM_BAREMETAL": "1"}}, nil); err != nil {
			return err
		}
	}
	public, err := s.keyPair()
	if err != nil {
		return err
	}
	err = call(ctx, demo.compute, http.MethodPost, "os-keypairs", object{"keypair": object{"name": "demo", "public_key": public}}, nil)
	if isStatus(err, http.StatusConflict) {
		err = nil
	}
	return err
}

func (s *site) uploadImage(ctx context.Context, admin *cloud) error {
	id, err := ensure(ctx, admin.image, "images", "", object{"name": "tiny", "disk_format": s.format, "container_format": "bare", "visibility": "public"})
	if err != nil {
		return err
	}
	var image struct {
		Status string `json:"status"`
	}
	if err := call(ctx, admin.image, http.MethodGet, "images/"+id, nil, &image); err != nil || image.Status != "queued" {
		return err
	}
	file, err := os.Open(s.image)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	answer, err := admin.image.Request(ctx, http.MethodPut, admin.image.ServiceURL("images", id, "file"), &gophercloud.RequestOpts{
		RawBody: file, MoreHeaders: map[string]string{"Content-Type": "application/octet-stream"}, OkCodes: []int{204},
	})
	if err != nil {
		return err
	}
	s.show.note("image tiny (%s)", size(s.image))
	return answer.Body.Close()
}

// keyPair gives the public key that belongs to the home's ssh key.
func (s *site) keyPair() (string, error) {
	path := s.path("demo_key")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		_, private, genErr := ed25519.GenerateKey(rand.Reader)
		if genErr != nil {
			return "", genErr
		}
		block, genErr := ssh.MarshalPrivateKey(private, "demo")
		if genErr != nil {
			return "", genErr
		}
		text = pem.EncodeToMemory(block)
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		return "", err
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return "", err
	}
	return string(ssh.MarshalAuthorizedKey(signer.PublicKey())), nil
}
