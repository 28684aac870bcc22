// Package glance speaks OpenStack's Image API v2 (Glance, up to 2.15) over package image, which decides who may do
// what. The wire's own rules are here: which attribute may be patched, how filters are written, what a list's next
// page is called. https://docs.openstack.org/api-ref/image/v2/
package glance

import (
	"net/http"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/image"
	"github.com/ingotcloud/ingot/internal/metadef"
)

// store is the one name under which clients may know where images are kept.
const store = "main"

// importMethods are the ways to import. Download from the web is not among them: the cloud fetches nothing from
// addresses that a tenant names.
var importMethods = []string{"glance-direct"}

type api struct {
	images   *image.Service
	metadefs *metadef.Store
}

// Dialect is the Image API, mounted at /image.
func Dialect(images *image.Service, metadefs *metadef.Store) osapi.Dialect {
	a := &api{images, metadefs}
	return osapi.Dialect{
		Name: "glance", Type: "image",
		Mount:    "/image",
		Envelope: osapi.GlanceEnvelope,

		StrictSlash: true,
		Statuses:    map[fault.Kind]int{fault.Quota: http.StatusRequestEntityTooLarge},
		Routes: slices.Concat(a.metadefRoutes(), schemaRoutes(), []osapi.Route{
			{Method: "GET", Pattern: "/", Policy: osapi.Public, Status: http.StatusMultipleChoices, Handle: versions},
			{Method: "GET", Pattern: "/versions", Policy: osapi.Public, Handle: versions},

			{Method: "GET", Pattern: "/v2/images", Policy: osapi.Reader, Handle: a.list},
			{Method: "POST", Pattern: "/v2/images", Policy: osapi.Member, Status: http.StatusCreated, Handle: a.create},
			{Method: "GET", Pattern: "/v2/images/{id}", Policy: osapi.Reader, Handle: a.show},
			{Method: "PATCH", Pattern: "/v2/images/{id}", Policy: osapi.Member, Handle: a.patch},
			{Method: "DELETE", Pattern: "/v2/images/{id}", Policy: osapi.Member, Status: http.StatusNoContent, Handle: a.delete},
			{Method: "POST", Pattern: "/v2/images/{id}/actions/deactivate", Policy: osapi.Member, Status: http.StatusNoContent, Handle: a.deactivate},
			{Method: "POST", Pattern: "/v2/images/{id}/actions/reactivate", Policy: osapi.Member, Status: http.StatusNoContent, Handle: a.reactivate},

			{Method: "PUT", Pattern: "/v2/images/{id}/file", Policy: osapi.Member, Status: http.StatusNoContent, Handle: a.upload, Stream: true},
			{Method: "GET", Pattern: "/v2/images/{id}/file", Policy: osapi.Reader, Handle: a.download, Stream: true},
			{Method: "PUT", Pattern: "/v2/images/{id}/stage", Policy: osapi.Member, Status: http.StatusNoContent, Handle: a.stage, Stream: true},
			{Method: "POST", Pattern: "/v2/images/{id}/import", Policy: osapi.Member, Status: http.StatusAccepted, Handle: a.importStaged},
			{Method: "GET", Pattern: "/v2/images/{id}/tasks", Policy: osapi.Reader, Handle: a.listTasks},

			{Method: "PUT", Pattern: "/v2/images/{id}/tags/{tag}", Policy: osapi.Member, Status: http.StatusNoContent, Handle: a.addTag},
			{Method: "DELETE", Pattern: "/v2/images/{id}/tags/{tag}", Policy: osapi.Member, Status: http.StatusNoContent, Handle: a.deleteTag},

			{Method: "GET", Pattern: "/v2/images/{id}/members", Policy: osapi.Reader, Handle: a.listMembers},
			{Method: "POST", Pattern: "/v2/images/{id}/members", Policy: osapi.Member, Handle: a.addMember},
			{Method: "GET", Pattern: "/v2/images/{id}/members/{member}", Policy: osapi.Reader, Handle: a.showMember},
			{Method: "PUT", Pattern: "/v2/images/{id}/members/{member}", Policy: osapi.Member, Handle: a.updateMember},
			{Method: "DELETE", Pattern: "/v2/images/{id}/members/{member}", Policy: osapi.Member, Status: http.StatusNoContent, Handle: a.deleteMember},

			{Method: "GET", Pattern: "/v2/info/import", Policy: osapi.Reader, Handle: importInfo},
			{Method: "GET", Pattern: "/v2/info/stores", Policy: osapi.Reader, Handle: stores},
		}),
	}
}

// reads is the caller of something that changes nothing; a system reader sees all.
func reads(r *osapi.Request) image.Caller {
	return image.Caller{Project: r.Caller.ProjectID, User: r.Caller.UserID, Admin: r.Caller.ReadsAll()}
}

func writes(r *osapi.Request) image.Caller {
	return image.Caller{Project: r.Caller.ProjectID, User: r.Caller.UserID, Admin: r.Caller.IsAdmin()}
}

// versions lists the minor versions of v2 as Glance 25 does; 2.14 is its image cache, which is not there.
func versions(r *osapi.Request) (any, error) {
	list := []osapi.Object{}
	for _, id := range []string{"v2.15", "v2.13", "v2.12", "v2.11", "v2.10", "v2.9", "v2.8", "v2.7", "v2.6", "v2.5", "v2.4", "v2.3", "v2.2", "v2.1", "v2.0"} {
		status := "SUPPORTED"
		if len(list) == 0 {
			status = "CURRENT"
		}
		list = append(list, osapi.Object{
			"id": id, "status": status, "links": []osapi.Object{{"rel": "self", "href": r.URL("/v2/")}},
		})
	}
	return osapi.Object{"versions": list}, nil
}

func importInfo(*osapi.Request) (any, error) {
	return osapi.Object{"import-methods": osapi.Object{
		"description": "Import methods available.", "type": "array", "value": importMethods,
	}}, nil
}

func stores(*osapi.Request) (any, error) {
	return osapi.Object{"stores": []osapi.Object{{"id": store, "default": "true"}}}, nil
}
