package glance

import (
	"embed"
	"encoding/json"
	"path"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
)

// The schemas of single things are files. That of image and metadefs namespace are Glance 25's own answers,
// but for the attribute stores: the glance command caches the schema and from then on fails, because it makes each
// attribute an option and has an option --stores already.
//
//go:embed schemas/*.json
var schemaFiles embed.FS

func schemaRoutes() []osapi.Route {
	var routes []osapi.Route
	for _, name := range []string{
		"image", "images", "member", "members", "metadefs/namespace", "metadefs/namespaces", "metadefs/object", "metadefs/objects",
		"metadefs/property", "metadefs/properties", "metadefs/tag", "metadefs/tags", "metadefs/resource_type", "metadefs/resource_types",
	} {
		routes = append(routes, osapi.Route{Method: "GET", Pattern: "/v2/schemas/" + name, Policy: osapi.Reader, Handle: schema(name)})
	}
	return routes
}

// schema answers with a JSON schema. What is named in the plural is a list of what the file of the singular describes.
func schema(name string) osapi.Handler {
	single := strings.TrimSuffix(name, "s")
	if name == "metadefs/properties" {
		single = "metadefs/property"
	}
	text, err := schemaFiles.ReadFile("schemas/" + strings.ReplaceAll(single, "/", "_") + ".json")
	item := osapi.Object{}
	if err == nil {
		err = json.Unmarshal(text, &item)
	}
	if err != nil {
		panic(err) // the file is part of the program
	}
	if single != name {
		item = listSchema(plural(path.Base(name), item), item)
	}
	return func(*osapi.Request) (any, error) { return item, nil }
}

// plural is what a list is called: resource types are listed by the name of their schema.
func plural(name string, item osapi.Object) string {
	if name == "resource_types" {
		return item["name"].(string) + "s"
	}
	return name
}

func listSchema(name string, item osapi.Object) osapi.Object {
	text := osapi.Object{"type": "string"}
	list := osapi.Object{
		"name":       name,
		"properties": osapi.Object{name: osapi.Object{"type": "array", "items": item}, "schema": text},
	}
	if name != "members" { // which come all at once
		properties := list["properties"].(osapi.Object)
		properties["first"], properties["next"] = text, text
		list["links"] = []osapi.Object{
			{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"}, {"rel": "describedby", "href": "{schema}"},
		}
	}
	return list
}
