package glance_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/api/glance"
	"github.com/ingotcloud/ingot/internal/api/osapi"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/driver/blob/folder"
	"github.com/ingotcloud/ingot/internal/image"
	"github.com/ingotcloud/ingot/internal/metadef"
)

const (
	binary    = "Content-Type: application/octet-stream"
	jsonPatch = "Content-Type: application/openstack-images-v2.1-json-patch"
)

type cloud struct {
	*Server
	t       *testing.T
	images  *image.Service
	clock   *clock.Fake
	dialect osapi.Dialect
}

func start(t *testing.T) *cloud {
	t.Helper()
	blobs, err := folder.Open(filepath.Join(t.TempDir(), "images"))
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{t: t, clock: clock.NewFake()}
	d := dbtest.SQLite(t)
	c.images = image.New(image.Config{DB: d, Blobs: blobs, Clock: c.clock, SpoolDir: t.TempDir()})
	t.Cleanup(c.images.Close)
	c.dialect = glance.Dialect(c.images, metadef.NewStore(d, c.clock))
	c.Server = Serve(t, c.dialect)
	return c
}

// ask demands the status.
func (c *cloud) ask(status int, token, method, path string, body any, headers ...string) Answer {
	c.t.Helper()
	answer := c.Do(token, method, "/image"+path, body, headers...)
	if answer.Status != status {
		c.t.Errorf("%s %s as %s: %d instead of %d: %s", method, path, token, answer.Status, status, answer.Text)
	}
	return answer
}

func (c *cloud) create(token string, body osapi.Object) string {
	c.t.Helper()
	if body["disk_format"] == nil {
		body["disk_format"], body["container_format"] = "raw", "bare"
	}
	id, _ := c.ask(201, token, "POST", "/v2/images", body).Body["id"].(string) // ask has complained
	c.clock.Step(time.Second)
	return id
}

func (c *cloud) active(token, name, data string) string {
	c.t.Helper()
	id := c.create(token, osapi.Object{"name": name})
	c.ask(204, token, "PUT", "/v2/images/"+id+"/file", data, binary)
	return id
}

func (c *cloud) names(token, query string) []string {
	c.t.Helper()
	list, _ := c.ask(200, token, "GET", "/v2/images"+query, nil).Body["images"].([]any) // ask has complained
	names := []string{}
	for _, item := range list {
		names = append(names, item.(map[string]any)["name"].(string))
	}
	return names
}

// golden is what the real service answered.
func golden(t *testing.T, name string) (g struct {
	Status   int
	Request  struct{ Body any }
	Headers  map[string]string `json:"response_headers"`
	Response any
}) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// shape is a value with its scalars replaced by the names of their types; null fits all.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		object := map[string]any{}
		for name, field := range v {
			object[name] = shape(field)
		}
		return object
	case []any:
		if len(v) == 0 {
			return []any{}
		}
		return []any{shape(v[0])}
	case string:
		return "text"
	case float64:
		return "number"
	case bool:
		return "boolean"
	}
	return nil
}

var nullFits = cmp.FilterValues(func(a, b any) bool { return a == nil || b == nil }, cmp.Comparer(func(any, any) bool { return true }))

func alike(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(shape(want), shape(got), nullFits); diff != "" {
		t.Errorf("%s differs from the real service (-real +ours):\n%s", what, diff)
	}
}

func TestAnswersHaveTheRealShapes(t *testing.T) {
	c := start(t)
	root := golden(t, "GET_root")
	alike(t, "GET /", any(c.ask(root.Status, "", "GET", "/", nil).Body), root.Response)

	created := golden(t, "POST_v2_images")
	answer := c.ask(created.Status, Demo, "POST", "/v2/images", created.Request.Body)
	alike(t, "create", any(answer.Body), created.Response)
	for name := range created.Headers {
		if answer.Header.Get(name) == "" {
			t.Errorf("create has no header %s", name)
		}
	}
	id := answer.Body["id"].(string)
	shown := golden(t, "GET_v2_images_{id}").Response.(map[string]any)
	maps.DeleteFunc(shown, func(name string, _ any) bool { // properties that Nova gave its snapshot
		return slices.Contains([]string{"base_image_ref", "owner_user_name", "owner_project_name", "boot_roles", "instance_uuid", "user_id", "image_type"}, name)
	})
	alike(t, "show", any(c.ask(200, Demo, "GET", "/v2/images/"+id, nil).Body), any(shown))

	id = c.active(Demo, "name", "some data")
	patched := golden(t, "PATCH_v2_images_{id}")
	answer = c.ask(200, Demo, "PATCH", "/v2/images/"+id, patched.Request.Body, jsonPatch)
	for _, name := range []string{"md5", "sha256", "object"} { // the real one had them from its creation
		answer.Body["owner_specified.openstack."+name] = ""
	}
	alike(t, "patch", any(answer.Body), patched.Response)

	list := golden(t, "GET_v2_images").Response.(map[string]any)
	got := c.ask(200, Demo, "GET", "/v2/images", nil).Body
	delete(list, "images") // their shape is show's
	delete(got, "images")
	alike(t, "list", any(got), any(list))

	file := golden(t, "GET_v2_images_{id}_file")
	answer = c.ask(file.Status, Demo, "GET", "/v2/images/"+id+"/file", nil)
	for name := range file.Headers {
		if answer.Header.Get(name) == "" {
			t.Errorf("download has no header %s", name)
		}
	}
	for path, name := range map[string]string{
		"/v2/schemas/image": "GET_v2_schemas_image", "/v2/schemas/metadefs/namespace": "GET_v2_schemas_metadefs_namespace",
	} {
		real := golden(t, name).Response.(map[string]any)
		delete(real["properties"].(map[string]any), "stores") // see schemaFiles
		if diff := cmp.Diff(any(real), any(c.ask(200, Demo, "GET", path, nil).Body)); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	alike(t, "namespaces", any(c.ask(200, Demo, "GET", "/v2/metadefs/namespaces?limit=1000", nil).Body), golden(t, "GET_v2_metadefs_namespaces").Response)
	for _, path := range []string{"/versions", "/v2/schemas/images", "/v2/schemas/member", "/v2/schemas/members", "/v2/schemas/metadefs/namespaces", "/v2/metadefs/resource_types", "/v2/info/import", "/v2/info/stores"} {
		if c.ask(200, Demo, "GET", path, nil).Body == nil {
			t.Errorf("%s is no object", path)
		}
	}
}

// TestAForeignTenantGetsNothing calls every route that names an image, as another tenant and as nobody.
func TestAForeignTenantGetsNothing(t *testing.T) {
	c := start(t)
	id := c.active(Demo, "private", "secret data")
	before := c.ask(200, Demo, "GET", "/v2/images/"+id, nil).Text
	bodies := map[string]any{
		"PATCH /v2/images/{id}":                []osapi.Object{{"op": "replace", "path": "/name", "value": "mine"}},
		"POST /v2/images/{id}/import":          osapi.Object{"method": osapi.Object{"name": "glance-direct"}},
		"POST /v2/images/{id}/members":         osapi.Object{"member": OtherProject},
		"PUT /v2/images/{id}/members/{member}": osapi.Object{"status": "accepted"},
		"PUT /v2/images/{id}/file":             "x",
		"PUT /v2/images/{id}/stage":            "x",
	}
	seen := 0
	for _, route := range c.dialect.Routes {
		path := strings.NewReplacer("{id}", id, "{tag}", "t", "{member}", OtherProject).Replace(route.Pattern)
		var headers []string
		switch {
		case route.Stream:
			headers = []string{binary}
		case route.Method == "PATCH":
			headers = []string{jsonPatch}
		}
		if route.Policy.String() != "public" {
			c.ask(401, "", route.Method, path, bodies[route.Method+" "+route.Pattern], headers...)
		}
		if !strings.Contains(route.Pattern, "{id}") {
			continue
		}
		seen++
		answer := c.ask(404, Other, route.Method, path, bodies[route.Method+" "+route.Pattern], headers...)
		if !strings.Contains(answer.Text, "No image found with ID "+id) || strings.Contains(answer.Text, "secret") {
			t.Errorf("%s: %s", &route, answer.Text)
		}
		if route.Method != "GET" {
			c.ask(403, Reader, route.Method, path, bodies[route.Method+" "+route.Pattern], headers...)
		}
	}
	if seen < 15 {
		t.Errorf("only %d routes name an image", seen)
	}
	if got := c.names(Other, ""); len(got) != 0 {
		t.Errorf("the list has %v", got)
	}
	if after := c.ask(200, Demo, "GET", "/v2/images/"+id, nil).Text; after != before {
		t.Errorf("the image was %s and is %s", before, after)
	}
}

func TestUploadAndDownload(t *testing.T) {
	c := start(t)
	id := c.create(Demo, osapi.Object{"name": "up"})
	file := "/v2/images/" + id + "/file"
	c.ask(204, Demo, "GET", file, nil)
	c.ask(415, Demo, "PUT", file, "data")
	c.ask(400, Demo, "PUT", file, "data", binary, "x-openstack-image-size: 5")
	c.ask(400, Demo, "PUT", file, "data", binary, "Content-MD5: 00000000000000000000000000000000")
	c.ask(400, Demo, "PUT", file, "QFI\xfb", binary)
	c.ask(204, Demo, "PUT", file, "0123456789", binary, "Content-MD5: eB5eJF1ptWaXm4bijSPyxw==")
	c.ask(409, Demo, "PUT", file, "again", binary)
	for _, row := range []struct {
		ask    string
		status int
		data   string
		is     string
	}{
		{"", 200, "0123456789", ""},
		{"bytes=0-", 200, "0123456789", ""},
		{"bytes=0-3", 206, "0123", "bytes 0-3/10"},
		{"bytes=8-99", 206, "89", "bytes 8-9/10"},
		{"bytes=-4", 206, "6789", "bytes 6-9/10"},
		{"bytes=-99", 200, "0123456789", ""},
		{"bytes=10-", 416, "", ""},
		{"bytes=5-3", 416, "", ""},
		{"bytes=1-2,5-6", 416, "", ""},
		{"lines=1-2", 416, "", ""},
		{"bytes=a-b", 416, "", ""},
	} {
		headers := []string{}
		if row.ask != "" {
			headers = append(headers, "Range: "+row.ask)
		}
		answer := c.ask(row.status, Demo, "GET", file, nil, headers...)
		if row.status < 300 && (answer.Text != row.data || answer.Header.Get("Content-Range") != row.is) {
			t.Errorf("%s: %q %s", row.ask, answer.Text, answer.Header.Get("Content-Range"))
		}
	}
	head := c.ask(200, Demo, "HEAD", file, nil)
	if head.Header.Get("Content-Length") != "10" || head.Header.Get("Content-MD5") != "781e5e245d69b566979b86e28d23f2c7" {
		t.Errorf("HEAD: %v", head.Header)
	}
	c.ask(204, Demo, "POST", "/v2/images/"+id+"/actions/deactivate", nil)
	c.ask(403, Demo, "GET", file, nil)
	c.ask(200, Admin, "GET", file, nil)
	c.ask(204, Demo, "POST", "/v2/images/"+id+"/actions/reactivate", nil)
	c.ask(204, Demo, "DELETE", "/v2/images/"+id, nil)
	c.ask(404, Demo, "GET", file, nil)
	c.ask(404, Demo, "DELETE", "/v2/images/"+id, nil)
}

func TestAnUploadThatEndsEarlyIsRefused(t *testing.T) {
	c := start(t)
	id := c.create(Demo, osapi.Object{})
	request, err := http.NewRequestWithContext(t.Context(), "PUT", c.URL+"/image/v2/images/"+id+"/file", strings.NewReader("half"))
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = 8
	request.Header.Set("X-Auth-Token", Demo)
	request.Header.Set("Content-Type", "application/octet-stream")
	if response, err := c.Client().Do(request); err == nil {
		t.Errorf("got %s", response.Status)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		status := c.ask(200, Demo, "GET", "/v2/images/"+id, nil).Body["status"]
		if status == "queued" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the image stays %v", status)
		}
	}
	c.ask(204, Demo, "PUT", "/v2/images/"+id+"/file", "whole", binary)
}

func TestImportOverTheWire(t *testing.T) {
	c := start(t)
	id := c.create(Demo, osapi.Object{})
	direct := osapi.Object{"method": osapi.Object{"name": "glance-direct"}, "stores": []string{"main"}, "all_stores_must_succeed": true}
	c.ask(409, Demo, "POST", "/v2/images/"+id+"/import", direct)
	c.ask(204, Demo, "PUT", "/v2/images/"+id+"/stage", "data", binary)
	c.ask(400, Demo, "POST", "/v2/images/"+id+"/import",
		osapi.Object{"method": osapi.Object{"name": "web-download", "uri": "http://192.0.2.1/"}})
	c.ask(400, Demo, "POST", "/v2/images/"+id+"/import", osapi.Object{"method": direct["method"], "stores": []string{"moon"}})
	c.ask(202, Demo, "POST", "/v2/images/"+id+"/import", direct)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		status := c.ask(200, Demo, "GET", "/v2/images/"+id, nil).Body["status"]
		if status == "active" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the image stays %v", status)
		}
	}
}

func TestCreateRules(t *testing.T) {
	c := start(t)
	for _, row := range []struct {
		status int
		token  string
		body   any
	}{
		{201, Demo, osapi.Object{}},
		{201, Demo, osapi.Object{"name": nil, "disk_format": nil, "tags": []string{"a"}, "any": "property", "id": "9a5a2c1e-6d0c-4f6b-8a52-3a1f1f1f1f1f"}},
		{409, Demo, osapi.Object{"id": "9a5a2c1e-6d0c-4f6b-8a52-3a1f1f1f1f1f"}},
		{201, Admin, osapi.Object{"owner": DemoProject, "visibility": "public"}},
		{403, Demo, osapi.Object{"owner": OtherProject}},
		{403, Demo, osapi.Object{"visibility": "public"}},
		{403, Demo, osapi.Object{"status": "active"}},
		{403, Demo, osapi.Object{"locations": []string{}}},
		{403, Demo, osapi.Object{"os_glance_x": "y"}},
		{400, Demo, osapi.Object{"id": 5}},
		{400, Demo, osapi.Object{"id": "5"}},
		{400, Demo, osapi.Object{"name": 5}},
		{400, Demo, osapi.Object{"min_disk": "5"}},
		{400, Demo, osapi.Object{"min_ram": 1.5}},
		{400, Demo, osapi.Object{"min_ram": -1}},
		{400, Demo, osapi.Object{"visibility": "secret"}},
		{400, Demo, osapi.Object{"protected": "yes"}},
		{400, Demo, osapi.Object{"tags": "a"}},
		{400, Demo, osapi.Object{"tags": []int{1}}},
		{400, Demo, osapi.Object{"disk_format": "floppy"}},
		{400, Demo, osapi.Object{"any": 5}},
		{400, Demo, osapi.Object{"any": nil}},
		{400, Demo, "[]"},
		{400, Demo, "{"},
		{400, Demo, ""},
	} {
		c.ask(row.status, row.token, "POST", "/v2/images", row.body)
	}
}

func TestPatchRules(t *testing.T) {
	c := start(t)
	id := c.create(Demo, osapi.Object{"name": "a", "old": "1", "a.b/c": "2"})
	public := c.create(Admin, osapi.Object{"visibility": "public"})
	change := func(op, path string, value any) []osapi.Object {
		one := osapi.Object{"op": op, "path": path}
		if op != "remove" {
			one["value"] = value
		}
		return []osapi.Object{one}
	}
	for _, row := range []struct {
		status int
		body   any
	}{
		{200, []osapi.Object{}},
		{200, change("replace", "/name", "b")},
		{200, change("replace", "/name", nil)},
		{200, change("add", "/name", "b")},
		{200, change("add", "/new", "x")},
		{200, change("add", "/new", "y")},
		{200, change("replace", "/tags", []string{"t"})},
		{200, change("replace", "/a.b~1c", "3")},
		{200, change("replace", "/min_disk", 7)},
		{200, change("replace", "/disk_format", "iso")},
		{200, change("remove", "/old", nil)},
		{409, change("remove", "/old", nil)},
		{409, change("replace", "/old", "2")},
		{403, change("remove", "/name", nil)},
		{403, change("replace", "/status", "active")},
		{403, change("replace", "/visibility", "public")},
		{403, change("replace", "/owner", OtherProject)},
		{403, change("add", "/os_glance_import_task", "x")},
		{400, change("move", "/name", "b")},
		{400, change("replace", "name", "b")},
		{400, change("replace", "/tags/0", "b")},
		{400, change("replace", "/", "b")},
		{400, change("replace", "/min_disk", "much")},
		{400, []osapi.Object{{"op": "replace", "path": "/name"}}},
		{400, []osapi.Object{{"op": "replace", "path": 5, "value": "x"}}},
		{400, osapi.Object{"name": "b"}},
		{400, "nonsense"},
		// A change that fails takes the others with it.
		{409, append(change("replace", "/name", "half"), change("remove", "/absent", nil)...)},
	} {
		c.ask(row.status, Demo, "PATCH", "/v2/images/"+id, row.body, jsonPatch)
	}
	got := c.ask(200, Demo, "GET", "/v2/images/"+id, nil).Body
	for name, want := range map[string]any{"name": "b", "new": "y", "a.b/c": "3", "min_disk": 7.0, "disk_format": "iso", "old": nil} {
		if got[name] != want {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	c.ask(200, Demo, "PATCH", "/v2/images/"+id, []osapi.Object{{"replace": "/name", "value": "draft"}}, "Content-Type: application/openstack-images-v2.0-json-patch")
	c.ask(415, Demo, "PATCH", "/v2/images/"+id, change("replace", "/name", "b"))
	c.ask(403, Demo, "PATCH", "/v2/images/"+public, change("replace", "/name", "mine"), jsonPatch)
	c.ask(200, Admin, "PATCH", "/v2/images/"+id, change("replace", "/protected", true), jsonPatch)
	answer := c.ask(403, Demo, "DELETE", "/v2/images/"+id, nil)
	if !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") || !strings.Contains(answer.Text, "<h1>403 Forbidden</h1>") {
		t.Errorf("the error is not Glance's: %s", answer.Text)
	}
}

func TestListsOverTheWire(t *testing.T) {
	c := start(t)
	c.active(Demo, "a", "12345")
	c.active(Demo, "b", "123")
	c.create(Demo, osapi.Object{"name": "c", "tags": []string{"x", "y"}, "os_type": "linux"})
	c.create(Demo, osapi.Object{"name": "d", "os_hidden": true})
	c.create(Admin, osapi.Object{"name": "e", "visibility": "public"})
	c.create(Admin, osapi.Object{"name": "f", "visibility": "community"})
	for query, want := range map[string]string{
		"":                            "e c b a",
		"?name=a":                     "a",
		"?name=in:a,b":                "b a",
		"?status=active":              "b a",
		"?visibility=public":          "e",
		"?visibility=community":       "f",
		"?visibility=all":             "f e c b a",
		"?owner=" + DemoProject:       "c b a",
		"?os_hidden=true":             "d",
		"?tag=x&tag=y":                "c",
		"?os_type=linux":              "c",
		"?os_type=other":              "",
		"?size_min=4":                 "a",
		"?size_max=4&status=active":   "b",
		"?sort_key=name&sort_dir=asc": "a b c e",
		"?sort_key=name":              "e c b a",
		"?sort=name:asc":              "a b c e",
		"?sort_key=size&sort_dir=desc&sort_key=name&sort_dir=asc": "a b c e",
		"?limit=0":                                      "",
		"?created_at=gt:2026-01-02T03:04:06Z":           "e c",
		"?created_at=2026-01-02T03:04:05Z":              "a",
		"?limit=1000&sort_key=created_at&sort_dir=desc": "e c b a",
	} {
		if got := strings.Join(c.names(Demo, query), " "); got != want {
			t.Errorf("%s: %q instead of %q", query, got, want)
		}
	}
	for _, query := range []string{
		"?limit=-1", "?limit=x", "?marker=nobody", "?sort_key=nothing", "?sort_dir=up&sort_key=name", "?visibility=x", "?member_status=x",
		"?size_min=-1", "?size_max=x", "?created_at=yesterday", "?protected=perhaps", "?is_public=true", "?name=in:%22a",
	} {
		c.ask(400, Demo, "GET", "/v2/images"+query, nil)
	}
	var walked []string
	for path := "/v2/images?limit=2&sort_key=name&sort_dir=asc"; path != ""; {
		answer := c.ask(200, Demo, "GET", path, nil)
		for _, item := range answer.Body["images"].([]any) {
			walked = append(walked, item.(map[string]any)["name"].(string))
		}
		path, _ = answer.Body["next"].(string)
	}
	if strings.Join(walked, " ") != "a b c e" {
		t.Errorf("by pages: %v", walked)
	}
	if got := strings.Join(c.names(System, "?sort=name:asc"), " "); got != "a b c e" {
		t.Errorf("the system's admin sees %s", got)
	}
}

func TestTagsAndMembersOverTheWire(t *testing.T) {
	c := start(t)
	id := c.create(Demo, osapi.Object{})
	image := "/v2/images/" + id
	for range 2 {
		c.ask(204, Demo, "PUT", image+"/tags/rot%20gr%C3%BCn", nil)
	}
	if tags := c.ask(200, Demo, "GET", image, nil).Body["tags"].([]any); len(tags) != 1 || tags[0] != "rot grün" {
		t.Errorf("tags %v", tags)
	}
	c.ask(204, Demo, "DELETE", image+"/tags/rot%20gr%C3%BCn", nil)
	c.ask(404, Demo, "DELETE", image+"/tags/rot%20gr%C3%BCn", nil)
	c.ask(400, Demo, "PUT", image+"/tags/"+strings.Repeat("x", 256), nil)

	added := c.ask(200, Demo, "POST", image+"/members", osapi.Object{"member": OtherProject}).Body
	if added["status"] != "pending" || added["member_id"] != OtherProject || added["image_id"] != id || added["schema"] != "/v2/schemas/member" {
		t.Errorf("added %v", added)
	}
	c.ask(409, Demo, "POST", image+"/members", osapi.Object{"member": OtherProject})
	c.ask(400, Demo, "POST", image+"/members", osapi.Object{"member": ""})
	c.ask(200, Other, "GET", image, nil)
	c.ask(403, Other, "DELETE", image, nil)
	c.ask(403, Demo, "PUT", image+"/members/"+OtherProject, osapi.Object{"status": "accepted"})
	c.ask(400, Other, "PUT", image+"/members/"+OtherProject, osapi.Object{"status": "perhaps"})
	c.ask(200, Other, "PUT", image+"/members/"+OtherProject, osapi.Object{"status": "accepted"})
	if list := c.ask(200, Other, "GET", image+"/members", nil).Body["members"].([]any); len(list) != 1 {
		t.Errorf("members %v", list)
	}
	c.ask(200, Demo, "GET", image+"/members/"+OtherProject, nil)
	c.ask(404, Demo, "GET", image+"/members/nobody", nil)
	c.ask(204, Demo, "DELETE", image+"/members/"+OtherProject, nil)
	c.ask(404, Other, "GET", image, nil)
}
