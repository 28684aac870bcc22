package nova_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/instance"
)

// changing are the recordings that change something, in the order in which they are possible.
var changing = []string{
	"POST_v2.1_flavors", "POST_v2.1_flavors@2.61", "POST_v2.1_os-keypairs@2.9", "POST_v2.1_os-keypairs@2.10", "POST_v2.1_servers@2.1", "POST_v2.1_servers@2.60",
	"POST_v2.1_servers_ID_action__os-stop", "POST_v2.1_servers_ID_action__os-start", "POST_v2.1_servers_ID_action__os-stop@2.1",
	"POST_v2.1_servers_ID_action__os-start@2.1", "POST_v2.1_servers_ID_action__reboot", "POST_v2.1_servers_ID_action__reboot@2.1",
	"POST_v2.1_servers_ID_action__lock@2.42", "POST_v2.1_servers_ID_action__unlock@2.42", "POST_v2.1_servers_ID_action__os-getConsoleOutput",
	"POST_v2.1_servers_ID_metadata@2.1", "PUT_v2.1_servers_ID@2.60",
}

var last = []string{"DELETE_v2.1_servers_ID", "DELETE_v2.1_servers_ID@2.1"}

// Ours have the same status, the same keys and the same types.
func TestGolden(t *testing.T) {
	c := start(t, 3)
	id := c.create(nil)
	recordings, names := map[string]Recording{}, slices.Clone(changing)
	for _, recorded := range Recordings(t, 60) {
		recordings[recorded.Name] = recorded
		if !slices.Contains(changing, recorded.Name) && !slices.Contains(last, recorded.Name) {
			names = append(names, recorded.Name)
		}
	}
	for _, name := range append(names, last...) {
		t.Run(name, func(t *testing.T) { c.compare(t, recordings[name], id) })
	}
}

var aUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

var aProject = regexp.MustCompile(`\b[0-9a-f]{32}\b`)

func (c *cloud) compare(t *testing.T, want Recording, id string) {
	token := Demo
	if strings.Contains(strings.ToLower(want.Tag), "admin") {
		token = Admin
	}
	if want.Name == "DELETE_v2.1_servers_ID@2.1" { // of a server that was made before
		list, err := c.Instances.List(t.Context(), DemoProject, false)
		c.Check(err)
		for _, i := range list {
			if i.ID != id {
				id = i.ID
			}
		}
	}
	ours := id
	if strings.Contains(want.Request.Path, "flavors/") {
		ours = "1"
	}
	path := aProject.ReplaceAllString(aUUID.ReplaceAllString(want.Request.Path, ours), DemoProject)
	path = strings.Replace(path, "/os-hypervisors/vm/", "/os-hypervisors/"+c.Get(id).Machine+"/", 1)
	if strings.Contains(want.Name, "simple-tenant-usage") {
		want.Request.Query = "detailed=1"
	} else if want.Request.Query != "" {
		want.Request.Query = aProject.ReplaceAllString(strings.ReplaceAll(want.Request.Query, "cliserver", "web"), DemoProject)
	}
	body, _ := want.Request.Body.(map[string]any) // nil: none
	if server, ok := body["server"].(map[string]any); ok && want.Request.Method == "POST" {
		server["imageRef"], server["networks"] = c.image, []any{map[string]any{"uuid": c.Network.ID}}
		server["security_groups"] = []any{map[string]any{"name": "default"}}
		if server["key_name"] != nil {
			server["key_name"] = "hzkey"
		}
	}
	var headers []string
	for header, value := range want.Request.Headers {
		headers = append(headers, header+": "+value)
	}
	var sent any
	if body != nil {
		sent = body
	}
	shape.Check(t, want, c.Do(token, want.Request.Method, "/compute"+path+"?"+want.Request.Query, sent, headers...))
	if want.Request.Method != "GET" && !strings.HasPrefix(want.Name, "DELETE") {
		c.Eventually("the servers to rest", func() bool {
			list, err := c.Instances.List(t.Context(), "", false)
			c.Check(err)
			for _, i := range list {
				if i.TaskState != instance.NoTask {
					return false
				}
			}
			return true
		})
	}
}

var shape = Shape{
	Optional: []string{
		"fault",           // of servers in error
		"progress",        // of servers that are not
		"adminPass",       // there is nobody who would set a password
		"security_groups", // Nova leaves the key out where there are none
		"internal",        // there are no other services
		"type",            // of a link to a document
	},
	Free: []string{"metadata", "addresses", "extra_specs", "hosts"}, // their keys are names
}
