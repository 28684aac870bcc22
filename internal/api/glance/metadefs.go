package glance

import (
	"net/http"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/metadef"
)

// metadefRoutes are those of metadata definitions. As with Glance's default policy, operators write and everybody reads.
func (a *api) metadefRoutes() []osapi.Route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	const root, one = "/v2/metadefs/namespaces", "/v2/metadefs/namespaces/{namespace}"
	routes := []osapi.Route{
		{Method: get, Pattern: "/v2/metadefs/resource_types", Policy: osapi.Reader, Handle: resourceTypes},
		{Method: get, Pattern: root, Policy: osapi.Reader, Handle: a.listNamespaces},
		{Method: post, Pattern: root, Policy: osapi.Admin, Status: http.StatusCreated, Handle: a.createNamespace},
		{Method: get, Pattern: one, Policy: osapi.Reader, Handle: a.showNamespace},
		{Method: put, Pattern: one, Policy: osapi.Admin, Handle: a.updateNamespace},
		{Method: del, Pattern: one, Policy: osapi.Admin, Status: http.StatusNoContent, Handle: a.deleteNamespace},

		{Method: get, Pattern: one + "/resource_types", Policy: osapi.Reader, Handle: a.listItems(metadef.ResourceType)},
		{Method: post, Pattern: one + "/resource_types", Policy: osapi.Admin, Status: http.StatusCreated, Handle: a.createItem(metadef.ResourceType)},
		{Method: del, Pattern: one + "/resource_types/{name}", Policy: osapi.Admin, Status: http.StatusNoContent, Handle: a.deleteItems(metadef.ResourceType)},
		{Method: post, Pattern: one + "/tags", Policy: osapi.Admin, Status: http.StatusCreated, Handle: a.createTags},
		{Method: post, Pattern: one + "/tags/{name}", Policy: osapi.Admin, Status: http.StatusCreated, Handle: a.createTag},
	}
	for collection, kind := range map[string]metadef.Kind{"objects": metadef.Object, "properties": metadef.Property, "tags": metadef.Tag} {
		all, item := one+"/"+collection, one+"/"+collection+"/{name}"
		routes = append(routes,
			osapi.Route{Method: get, Pattern: all, Policy: osapi.Reader, Handle: a.listItems(kind)},
			osapi.Route{Method: del, Pattern: all, Policy: osapi.Admin, Status: http.StatusNoContent, Handle: a.deleteItems(kind)},
			osapi.Route{Method: get, Pattern: item, Policy: osapi.Reader, Handle: a.showItem(kind)},
			osapi.Route{Method: put, Pattern: item, Policy: osapi.Admin, Handle: a.updateItem(kind)},
			osapi.Route{Method: del, Pattern: item, Policy: osapi.Admin, Status: http.StatusNoContent, Handle: a.deleteItems(kind)},
		)
		if kind != metadef.Tag {
			routes = append(routes, osapi.Route{Method: post, Pattern: all, Policy: osapi.Admin, Status: http.StatusCreated, Handle: a.createItem(kind)})
		}
	}
	return routes
}

// collections are the kinds' names in the plural, on the wire.
var collections = map[metadef.Kind]string{
	metadef.Object: "objects", metadef.Property: "properties", metadef.Tag: "tags", metadef.ResourceType: "resource_type_associations",
}

func metadefViewer(r *osapi.Request) metadef.Viewer {
	return metadef.Viewer{Project: r.Caller.ProjectID, All: r.Caller.ReadsAll()}
}

func resourceTypes(*osapi.Request) (any, error) {
	types := make([]osapi.Object, len(metadef.ResourceTypes))
	for n, name := range metadef.ResourceTypes {
		types[n] = osapi.Object{"name": name}
	}
	return osapi.Object{"resource_types": types}, nil
}

func namespaceView(n metadef.Namespace) osapi.Object {
	visibility := "private"
	if n.Public {
		visibility = "public"
	}
	return osapi.Object{
		"namespace": n.Name, "display_name": n.DisplayName, "description": n.Description, "owner": n.Owner, "visibility": visibility,
		"protected": n.Protected, "created_at": osapi.Zulu(n.Created), "updated_at": osapi.Zulu(n.Updated),
		"self": "/v2/metadefs/namespaces/" + n.Name, "schema": "/v2/schemas/metadefs/namespace",
	}
}

// itemView is an item on the wire: what the client said, and what Glance adds to each kind.
func itemView(namespace string, i metadef.Item) osapi.Object {
	shown := osapi.Object{}
	for name, value := range i.Body {
		shown[name] = value
	}
	shown["name"] = i.Name
	if i.Kind != metadef.Property {
		shown["created_at"], shown["updated_at"] = osapi.Zulu(i.Created), osapi.Zulu(i.Updated)
	}
	if i.Kind == metadef.Object {
		shown["self"], shown["schema"] = "/v2/metadefs/namespaces/"+namespace+"/objects/"+i.Name, "/v2/schemas/metadefs/object"
		if shown["required"] == nil {
			shown["required"] = []string{}
		}
		if shown["properties"] == nil {
			shown["properties"] = osapi.Object{}
		}
	}
	return shown
}

// itemsView is a list of items; properties are an object by their names.
func itemsView(namespace string, kind metadef.Kind, items []metadef.Item) any {
	if kind == metadef.Property {
		shown := osapi.Object{}
		for _, i := range items {
			shown[i.Name] = i.Body
		}
		return shown
	}
	shown := make([]osapi.Object, len(items))
	for n, i := range items {
		shown[n] = itemView(namespace, i)
	}
	return shown
}

// listNamespaces filters by visibility and by the resource types that they are for.
func (a *api) listNamespaces(r *osapi.Request) (any, error) {
	q := r.Query()
	visibility, wanted := q.String("visibility"), q.String("resource_types")
	asked := q.Page(osapi.Paging{Max: maxPageSize, Keys: []string{"namespace", "created_at", "updated_at"}, Default: []osapi.Sort{{Key: "namespace"}}})
	if err := q.Err(); err != nil {
		return nil, err
	}
	all, err := a.metadefs.List(r.Context(), metadefViewer(r))
	if err != nil {
		return nil, err
	}
	shown := []osapi.Object{}
	for _, n := range all {
		types, err := a.metadefs.Items(r.Context(), metadefViewer(r), n.Name, metadef.ResourceType)
		if err != nil {
			return nil, err
		}
		view := namespaceView(n)
		if visibility != "" && visibility != view["visibility"] || wanted != "" && !slices.ContainsFunc(types, func(i metadef.Item) bool {
			return slices.Contains(strings.Split(wanted, ","), i.Name)
		}) {
			continue
		}
		if len(types) > 0 {
			view["resource_type_associations"] = itemsView(n.Name, metadef.ResourceType, types)
		}
		shown = append(shown, view)
	}
	osapi.Order(asked, shown, compareNamespaces)
	shown, next, err := osapi.Cut(asked, shown, func(n osapi.Object) string { return n["namespace"].(string) })
	answer := osapi.Object{"namespaces": shown, "schema": "/v2/schemas/metadefs/namespaces", "first": link(r, "")}
	if next != "" {
		answer["next"] = link(r, next)
	}
	return answer, err
}

var compareNamespaces = map[string]func(a, b osapi.Object) int{
	"namespace": func(a, b osapi.Object) int { return strings.Compare(a["namespace"].(string), b["namespace"].(string)) },
	"created_at": func(a, b osapi.Object) int {
		return strings.Compare(a["created_at"].(string), b["created_at"].(string))
	},
	"updated_at": func(a, b osapi.Object) int {
		return strings.Compare(a["updated_at"].(string), b["updated_at"].(string))
	},
}

type namespaceBody struct {
	Namespace   string  `json:"namespace"`
	DisplayName string  `json:"display_name"`
	Description string  `json:"description"`
	Visibility  string  `json:"visibility"`
	Protected   bool    `json:"protected"`
	Owner       *string `json:"owner"`

	ResourceTypes []map[string]any          `json:"resource_type_associations"`
	Objects       []map[string]any          `json:"objects"`
	Tags          []map[string]any          `json:"tags"`
	Properties    map[string]map[string]any `json:"properties"`

	// What the client may send back as it got it.
	Created string `json:"created_at"`
	Updated string `json:"updated_at"`
	Self    string `json:"self"`
	Schema  string `json:"schema"`
}

func (b *namespaceBody) onto(n *metadef.Namespace) error {
	if b.Visibility != "" && b.Visibility != "public" && b.Visibility != "private" {
		return fault.New(fault.Invalid, "The visibility of a namespace is public or private, not '%.40s'.", b.Visibility)
	}
	n.Name, n.DisplayName, n.Description, n.Public, n.Protected = b.Namespace, b.DisplayName, b.Description, b.Visibility == "public", b.Protected
	if b.Owner != nil {
		n.Owner = *b.Owner
	}
	return nil
}

// items of a namespace that is made whole, as glance-manage loads them from files.
func (b *namespaceBody) items() (items []metadef.Item, err error) {
	for kind, bodies := range map[metadef.Kind][]map[string]any{metadef.ResourceType: b.ResourceTypes, metadef.Object: b.Objects, metadef.Tag: b.Tags} {
		for _, body := range bodies {
			i, err := readItem(kind, body)
			if err != nil {
				return nil, err
			}
			items = append(items, i)
		}
	}
	for name, body := range b.Properties {
		i, err := readItem(metadef.Property, body, name)
		if err != nil {
			return nil, err
		}
		items = append(items, i)
	}
	return items, nil
}

func (a *api) createNamespace(r *osapi.Request) (any, error) {
	var body namespaceBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	n := metadef.Namespace{Owner: r.Caller.ProjectID}
	if err := body.onto(&n); err != nil {
		return nil, err
	}
	items, err := body.items()
	if err != nil {
		return nil, err
	}
	if n, err = a.metadefs.Create(r.Context(), n, items); err != nil {
		return nil, err
	}
	shown, err := a.wholeNamespace(r, n)
	return osapi.Response{Body: shown, Header: http.Header{"Location": {r.URL("/v2/metadefs/namespaces/", n.Name)}}}, err
}

// wholeNamespace shows a namespace with what is in it; a kind of which there is nothing is left out.
func (a *api) wholeNamespace(r *osapi.Request, n metadef.Namespace) (osapi.Object, error) {
	shown := namespaceView(n)
	for kind, collection := range collections {
		items, err := a.metadefs.Items(r.Context(), metadefViewer(r), n.Name, kind)
		if err != nil {
			return nil, err
		}
		if len(items) > 0 {
			shown[collection] = itemsView(n.Name, kind, items)
		}
	}
	return shown, nil
}

func (a *api) showNamespace(r *osapi.Request) (any, error) {
	n, err := a.metadefs.Get(r.Context(), metadefViewer(r), r.Path("namespace"))
	if err != nil {
		return nil, err
	}
	return a.wholeNamespace(r, n)
}

func (a *api) updateNamespace(r *osapi.Request) (any, error) {
	var body namespaceBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	n, err := a.metadefs.Update(r.Context(), r.Path("namespace"), body.onto)
	if err != nil {
		return nil, err
	}
	return namespaceView(n), nil
}

func (a *api) deleteNamespace(r *osapi.Request) (any, error) {
	return nil, a.metadefs.Delete(r.Context(), r.Path("namespace"))
}

// itemFields are what an item may have beside its name (glance/api/v2/metadef_*.py, get_schema).
var itemFields = map[metadef.Kind][]string{
	metadef.Object:       {"description", "required", "properties"},
	metadef.ResourceType: {"prefix", "properties_target"},
	metadef.Tag:          {},
	metadef.Property: {
		"title", "description", "type", "operators", "items", "enum", "minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems",
		"uniqueItems", "additionalItems", "default", "readonly",
	},
}

// itemReadOnly may be sent back as it was got.
var itemReadOnly = []string{"created_at", "updated_at", "self", "schema"}

// readItem checks an item's body; the name may stand outside of it.
func readItem(kind metadef.Kind, body map[string]any, outside ...string) (i metadef.Item, err error) {
	i = metadef.Item{Kind: kind, Body: map[string]any{}}
	for _, name := range outside {
		i.Name = name
	}
	for field, value := range body {
		switch {
		case field == "name":
			text, ok := value.(string)
			if !ok || text == "" {
				return i, fault.New(fault.Invalid, "The name of a definition is text.")
			}
			i.Name = text
		case slices.Contains(itemFields[kind], field):
			i.Body[field] = value
		case !slices.Contains(itemReadOnly, field):
			return i, fault.New(fault.Invalid, "Additional properties are not allowed ('%.40s' was unexpected).", field)
		}
	}
	if kind == metadef.Property && (i.Body["title"] == nil || i.Body["type"] == nil) {
		return i, fault.New(fault.Invalid, "A property has a title and a type.")
	}
	return i, nil
}

func (a *api) listItems(kind metadef.Kind) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		items, err := a.metadefs.Items(r.Context(), metadefViewer(r), r.Path("namespace"), kind)
		if err != nil {
			return nil, err
		}
		answer := osapi.Object{collections[kind]: itemsView(r.Path("namespace"), kind, items)}
		if kind == metadef.Object || kind == metadef.Tag {
			answer["first"], answer["schema"] = link(r, ""), "/v2/schemas/metadefs/"+collections[kind]
		}
		return answer, nil
	}
}

func (a *api) createItem(kind metadef.Kind) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		body := map[string]any{}
		if err := r.Decode(&body); err != nil {
			return nil, err
		}
		i, err := readItem(kind, body)
		if err != nil {
			return nil, err
		}
		return a.added(r, kind, i)
	}
}

func (a *api) added(r *osapi.Request, kind metadef.Kind, i metadef.Item) (any, error) {
	made, err := a.metadefs.Add(r.Context(), r.Path("namespace"), kind, false, i)
	if err != nil {
		return nil, err
	}
	return itemView(r.Path("namespace"), made[0]), nil
}

func (a *api) createTag(r *osapi.Request) (any, error) {
	return a.added(r, metadef.Tag, metadef.Item{Name: r.Path("name")})
}

// createTags replaces all tags, unless the header says to append.
func (a *api) createTags(r *osapi.Request) (any, error) {
	var body struct {
		Tags []map[string]any `json:"tags"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	tags := make([]metadef.Item, len(body.Tags))
	for n, tag := range body.Tags {
		var err error
		if tags[n], err = readItem(metadef.Tag, tag); err != nil {
			return nil, err
		}
	}
	replace := !strings.EqualFold(r.HTTP.Header.Get("X-Openstack-Append"), "true")
	made, err := a.metadefs.Add(r.Context(), r.Path("namespace"), metadef.Tag, replace, tags...)
	if err != nil {
		return nil, err
	}
	return osapi.Object{"tags": itemsView(r.Path("namespace"), metadef.Tag, made)}, nil
}

func (a *api) showItem(kind metadef.Kind) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		i, err := a.metadefs.Item(r.Context(), metadefViewer(r), r.Path("namespace"), kind, r.Path("name"))
		if err != nil {
			return nil, err
		}
		return itemView(r.Path("namespace"), i), nil
	}
}

func (a *api) updateItem(kind metadef.Kind) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		body := map[string]any{}
		if err := r.Decode(&body); err != nil {
			return nil, err
		}
		i, err := readItem(kind, body, r.Path("name"))
		if err != nil {
			return nil, err
		}
		if i, err = a.metadefs.Replace(r.Context(), r.Path("namespace"), kind, r.Path("name"), i); err != nil {
			return nil, err
		}
		return itemView(r.Path("namespace"), i), nil
	}
}

// deleteItems deletes the item of the path, or all where the path names none.
func (a *api) deleteItems(kind metadef.Kind) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		return nil, a.metadefs.Remove(r.Context(), r.Path("namespace"), kind, r.Path("name"))
	}
}
