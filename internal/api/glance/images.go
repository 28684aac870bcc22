package glance

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/image"
)

// view is an image on the wire. Its properties lie beside its attributes.
func view(i image.Image) osapi.Object {
	object := osapi.Object{}
	for name, value := range i.Properties {
		object[name] = value
	}
	if i.Failure != "" {
		object["os_glance_failed_import"] = store
		object["os_glance_import_failure"] = i.Failure
	}
	self := "/v2/images/" + i.ID
	for name, value := range (osapi.Object{
		"id": i.ID, "name": null(i.Name), "owner": i.Project, "status": i.Status, "visibility": i.Visibility,
		"disk_format": null(i.DiskFormat), "container_format": null(i.ContainerFormat),
		"size": nil, "virtual_size": nil, "checksum": null(i.Checksum), "os_hash_algo": nil, "os_hash_value": null(i.Hash),
		"min_disk": i.MinDisk, "min_ram": i.MinRAM, "protected": i.Protected, "os_hidden": i.Hidden, "tags": i.Tags,
		"created_at": osapi.Zulu(i.CreatedAt), "updated_at": osapi.Zulu(i.UpdatedAt),
		"self": self, "file": self + "/file", "schema": "/v2/schemas/image",
	}) {
		object[name] = value
	}
	if i.Status.HasData() {
		object["size"], object["virtual_size"], object["os_hash_algo"], object["stores"] = i.Size, i.VirtualSize, "sha512", store
	}
	return object
}

func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (a *api) show(r *osapi.Request) (any, error) {
	i, err := a.images.Get(r.Context(), reads(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return view(i), nil
}

func (a *api) create(r *osapi.Request) (any, error) {
	body := map[string]any{}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	wanted := image.Image{Properties: map[string]string{}}
	for name, value := range body {
		if name == "id" {
			id, ok := value.(string)
			if !ok {
				return nil, mismatch(name, value)
			}
			wanted.ID = id
			continue
		}
		if err := set(&wanted, name, value); err != nil {
			return nil, err
		}
	}
	made, err := a.images.Create(r.Context(), writes(r), wanted)
	if err != nil {
		return nil, err
	}
	return osapi.Response{Body: view(made), Header: http.Header{
		"Location":                       {r.URL("/v2/images/", made.ID)},
		"Openstack-Image-Import-Methods": {strings.Join(importMethods, ",")},
		"Openstack-Image-Store-Ids":      {store},
	}}, nil
}

func (a *api) delete(r *osapi.Request) (any, error) {
	return nil, a.images.Delete(r.Context(), writes(r), r.Path("id"))
}

func (a *api) deactivate(r *osapi.Request) (any, error) {
	return nil, a.images.Deactivate(r.Context(), writes(r), r.Path("id"))
}

func (a *api) reactivate(r *osapi.Request) (any, error) {
	return nil, a.images.Reactivate(r.Context(), writes(r), r.Path("id"))
}

func (a *api) addTag(r *osapi.Request) (any, error) {
	_, err := a.images.Update(r.Context(), writes(r), r.Path("id"), func(i *image.Image) error {
		if !slices.Contains(i.Tags, r.Path("tag")) {
			i.Tags = append(i.Tags, r.Path("tag"))
		}
		return nil
	})
	return nil, err
}

func (a *api) deleteTag(r *osapi.Request) (any, error) {
	_, err := a.images.Update(r.Context(), writes(r), r.Path("id"), func(i *image.Image) error {
		at := slices.Index(i.Tags, r.Path("tag"))
		if at < 0 {
			return fault.New(fault.NotFound, "The tag could not be found.")
		}
		i.Tags = slices.Delete(i.Tags, at, at+1)
		return nil
	})
	return nil, err
}

const (
	pageSize    = 25 // Glance's limit_param_default
	maxPageSize = 1000
)

func (a *api) list(r *osapi.Request) (any, error) {
	q := r.Query()
	filter, err := readFilter(q)
	if err != nil {
		return nil, err
	}
	asked := q.Page(osapi.Paging{Max: maxPageSize, Keys: sortKeys})
	page := image.Page{Limit: asked.Limit, Marker: asked.Marker}
	if !q.Has("limit") {
		page.Limit = pageSize
	}
	for _, s := range asked.Sort {
		// Where no direction is given, Glance's is down.
		page.Sort = append(page.Sort, image.Sort{Key: s.Key, Desc: s.Desc || (!q.Has("sort") && !q.Has("sort_dir"))})
	}
	if err := q.Err(); err != nil {
		return nil, err
	}
	images, err := a.images.List(r.Context(), reads(r), filter, page)
	if err != nil {
		return nil, err
	}
	views := make([]osapi.Object, len(images))
	for n, i := range images {
		views[n] = view(i)
	}
	answer := osapi.Object{"images": views, "schema": "/v2/schemas/images", "first": link(r, "")}
	if len(images) > 0 && len(images) == page.Limit {
		answer["next"] = link(r, images[len(images)-1].ID)
	}
	return answer, nil
}

// link is this list's page behind the marker, relative to the service.
func link(r *osapi.Request, marker string) string {
	query := r.HTTP.URL.Query()
	query.Del("marker")
	if marker != "" {
		query.Set("marker", marker)
	}
	path := r.HTTP.URL.EscapedPath()
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
}

// whole reads a JSON number that must be a whole one.
func whole(name string, value any) (int64, error) {
	number, ok := value.(float64)
	if !ok || number != float64(int64(number)) {
		return 0, mismatch(name, value)
	}
	return int64(number), nil
}

func mismatch(name string, value any) error {
	shown := strconv.Quote(name)
	if text, ok := value.(string); ok && len(text) <= 80 {
		shown += " (" + strconv.Quote(text) + ")"
	}
	return fault.New(fault.Invalid, "Provided object does not match schema 'image': the value of %s does not fit.", shown)
}
