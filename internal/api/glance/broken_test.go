package glance_test

import (
	"testing"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
)

// bodies are good requests, with all fields that they may have.
var bodies = Bodies{
	"POST /v2/images": `{"id": "11111111-2222-4333-8444-000000000001", "name": "n", "visibility": "private", "protected": false, "os_hidden": false, "tags": ["t"],
		"disk_format": "raw", "container_format": "bare", "min_disk": 1, "min_ram": 1, "owner": "$project", "locations": [], "os_distro": "debian", "more": "x"}`,
	"PATCH /v2/images/{id}":                   `[{"op": "replace", "path": "/name", "value": "n"}, {"op": "add", "path": "/os_distro", "value": "x"}, {"op": "remove", "path": "/os_distro"}, {"op": "replace", "path": "/min_disk", "value": 1}]`,
	"PATCH /v2/images/{id} of its tags":       `[{"op": "replace", "path": "/tags", "value": ["a", "b"]}, {"op": "replace", "path": "/visibility", "value": "shared"}, {"op": "replace", "path": "/os_hidden", "value": false}]`,
	"POST /v2/images/{id}/actions/deactivate": "", "POST /v2/images/{id}/actions/reactivate": "",
	"PUT /v2/images/{id}/file": "", "PUT /v2/images/{id}/stage": "", "PUT /v2/images/{id}/tags/{tag}": "",
	"POST /v2/images/{id}/import":          `{"method": {"name": "glance-direct", "uri": "http://127.0.0.1/"}, "stores": ["main"], "all_stores": false, "all_stores_must_succeed": true}`,
	"POST /v2/images/{id}/members":         `{"member": "$member"}`,
	"PUT /v2/images/{id}/members/{member}": `{"status": "accepted"}`,
	"POST /v2/metadefs/namespaces": `{"namespace": "m", "display_name": "d", "description": "d", "visibility": "public", "protected": false, "owner": "admin", "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "p"}],
		"objects": [{"name": "o", "description": "d", "required": ["p"], "properties": {"p": {"title": "p", "type": "string"}}}], "tags": [{"name": "t"}], "properties": {"p": {"title": "p", "type": "string", "enum": ["a"]}}}`,
	"PUT /v2/metadefs/namespaces/{namespace}":                   `{"namespace": "n", "display_name": "d", "description": "d", "visibility": "public", "protected": false}`,
	"POST /v2/metadefs/namespaces/{namespace}/resource_types":   `{"name": "OS::Nova::Server", "prefix": "p", "properties_target": "image"}`,
	"POST /v2/metadefs/namespaces/{namespace}/objects":          `{"name": "o", "description": "d", "required": ["p"], "properties": {"p": {"title": "p", "type": "string"}}}`,
	"PUT /v2/metadefs/namespaces/{namespace}/objects/{name}":    `{"name": "o", "description": "d", "properties": {"p": {"title": "p", "type": "string"}}}`,
	"POST /v2/metadefs/namespaces/{namespace}/properties":       `{"name": "p", "title": "p", "type": "integer", "minimum": 1, "maximum": 9, "enum": [1], "default": 1, "operators": ["<or>"]}`,
	"PUT /v2/metadefs/namespaces/{namespace}/properties/{name}": `{"name": "p", "title": "p", "type": "string", "pattern": "a"}`,
	"POST /v2/metadefs/namespaces/{namespace}/tags":             `{"tags": [{"name": "a"}, {"name": "b"}]}`,
	"POST /v2/metadefs/namespaces/{namespace}/tags/{name}":      "",
	"PUT /v2/metadefs/namespaces/{namespace}/tags/{name}":       `{"name": "a"}`,
}

var media = Media{
	"PATCH /v2/images/{id}": "application/openstack-images-v2.1-json-patch", "PUT /v2/images/{id}/file": "application/octet-stream", "PUT /v2/images/{id}/stage": "application/octet-stream",
}

// things of a project: an image that it shares with a third one, and namespaces that only it and admins see.
func (c *cloud) things(token, project, name string) Things {
	c.t.Helper()
	id := c.active(token, name, "data")
	c.ask(200, token, "POST", "/v2/images/"+id+"/members", osapi.Object{"member": "third-" + project})
	c.ask(201, Admin, "POST", "/v2/metadefs/namespaces", osapi.Object{"namespace": name, "owner": project, "visibility": "private",
		"properties": osapi.Object{"p": osapi.Object{"title": name, "type": "string"}}, "objects": []osapi.Object{{"name": "o"}}, "tags": []osapi.Object{{"name": "t"}}})
	return Things{
		"images": id, "members": "third-" + project, "$member": "fourth", "$project": project, "{namespace}": name, "{tag}": "red",
		"objects": "o", "properties": "p", "resource_types": "OS::Glance::Image",
	}
}

// A refusal of Glance is a page with words.
func TestBrokenRequests(t *testing.T) {
	c := start(t)
	b := Broken{Server: c.Server, Dialect: c.dialect, Things: c.things(Demo, DemoProject, "mine"), Bodies: bodies, Media: media, Least: 40, Told: func(Answer) error { return nil }}
	b.Run(t)
}

func TestStrangers(t *testing.T) {
	c := start(t)
	mine, foreign := c.things(Demo, DemoProject, "mine"), c.things(Other, OtherProject, "foreigner")
	s := Strangers{Server: c.Server, Dialect: c.dialect, Mine: mine, Foreign: foreign, Bodies: bodies, Media: media, Secrets: []string{"foreigner", "third-" + OtherProject}, Least: 40}
	s.Run(t)
}
