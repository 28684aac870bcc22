package nova_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/instance"
)

// recording is what a real Nova (Zed) answered.
type recording struct {
	Tag     string
	Request struct {
		Method, Path, Query string
		Headers             map[string]string
		Body                any
	}
	Status   int
	Response any
}

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
	files, err := os.ReadDir("testdata/golden")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	names, later := append([]string{}, changing...), map[string]bool{}
	for _, name := range append(append([]string{}, changing...), last...) {
		later[name] = true
	}
	for _, file := range files {
		if name := strings.TrimSuffix(file.Name(), ".json"); !later[name] {
			names = append(names, name)
		}
	}
	for _, name := range append(names, last...) {
		t.Run(name, func(t *testing.T) { c.compare(t, name, id) })
	}
}

var aUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

var aProject = regexp.MustCompile(`\b[0-9a-f]{32}\b`)

func (c *cloud) compare(t *testing.T, name, id string) {
	text, err := os.ReadFile("testdata/golden/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var want recording
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	token := Demo
	if strings.Contains(strings.ToLower(want.Tag), "admin") {
		token = Admin
	}
	if name == "DELETE_v2.1_servers_ID@2.1" { // of a server that was made before
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
	if strings.Contains(name, "simple-tenant-usage") {
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
	got := c.Do(token, want.Request.Method, "/compute"+path+"?"+want.Request.Query, sent, headers...)
	if got.Status != want.Status {
		t.Fatalf("%s: %d %s, want %d", path, got.Status, got.Text, want.Status)
	}
	if recorded, ok := want.Response.(map[string]any); ok {
		for _, difference := range shape("", recorded, got.Body) {
			t.Error(difference)
		}
	} else if got.Text != "" {
		t.Errorf("a body: %s", got.Text)
	}
	if want.Request.Method != "GET" && !strings.HasPrefix(name, "DELETE") {
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

// optional are keys that some answers have and others have not, with the reason.
var optional = map[string]string{
	"fault": "of servers in error", "progress": "of servers that are not", "adminPass": "there is nobody who would set a password",
	"security_groups": "there are none yet; Nova leaves the key out then", "internal": "there are no other services",
	"type": "of a link to a document",
}

// free are objects whose keys are names, and values that are JSON of our own making.
var free = map[string]bool{"metadata": true, "addresses": true, "extra_specs": true, "hosts": true}

// shape lists how two JSON values differ in keys and types. Null fits everything; the elements of lists are compared
// with the first recorded one.
func shape(at string, want, got any) (differences []string) {
	if want == nil || got == nil {
		return nil
	}
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s: %T, want an object", at, got)}
		}
		if free[at[strings.LastIndexByte(at, '.')+1:]] {
			return nil
		}
		for key, value := range want {
			if _, ok := got[key]; !ok && optional[key] == "" {
				differences = append(differences, at+"."+key+" is missing")
			}
			differences = append(differences, shape(at+"."+key, value, got[key])...)
		}
		for key := range got {
			if _, ok := want[key]; !ok && optional[key] == "" {
				differences = append(differences, at+"."+key+" is more than Nova has")
			}
		}
	case []any:
		got, ok := got.([]any)
		if !ok {
			return []string{fmt.Sprintf("%s: %T, want a list", at, got)}
		}
		for i := range got {
			if len(want) > 0 {
				differences = append(differences, shape(fmt.Sprintf("%s[%d]", at, i), want[0], got[i])...)
			}
		}
	default:
		if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", got) {
			differences = append(differences, fmt.Sprintf("%s: %T, want %T", at, got, want))
		}
	}
	return differences
}
