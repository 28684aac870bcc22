package nova

import (
	"context"
	"net/http"
	"os"
	"time"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/flavor"
	"github.com/ingotcloud/ingot/internal/image"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/keypair"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/securitygroup"
	"github.com/ingotcloud/ingot/internal/tenancy"
)

// Services are the domains that the dialect speaks for. All are required but Console, Processes and Clock.
type Services struct {
	DB        *db.DB
	Instances *instance.Service
	Flavors   *flavor.Store
	Keypairs  *keypair.Store
	Images    *image.Service
	Networks  *network.Service
	Machines  *machine.Service
	Routers   *router.Service
	Groups    *securitygroup.Service

	Console   Console     // nil: there is none, and clients are told so
	Processes Processes   // nil: only this one is known
	Clock     clock.Clock // nil: the real one
}

// Console keeps what instances write to their serial lines.
type Console interface {
	// Tail gives the last lines; all that is kept with lines below 0.
	Tail(ctx context.Context, instance string, lines int) (string, error)
}

// Processes tells which processes of the control plane are at work.
type Processes func(ctx context.Context) ([]Process, error)

// Process is one of them.
type Process struct {
	Host string
	Seen time.Time // when it last said that it is there
}

// processDead is after how long a process that says nothing counts as down.
const processDead = time.Minute

type api struct{ Services }

type object = osapi.Object

// The versions that are spoken.
var oldest, newest = osapi.V(2, 1), osapi.V(2, 96)

// Dialect is the Compute API at /compute.
func Dialect(services Services) osapi.Dialect {
	if services.Clock == nil {
		services.Clock = clock.Real{}
	}
	a := &api{services}
	if a.Processes == nil {
		a.Processes = a.alone
	}
	return osapi.Dialect{
		Name: "nova", Type: "compute", Mount: "/compute", Envelope: osapi.NovaEnvelope, ProjectUnder: "/v2.1", RequestIDHeader: "X-Compute-Request-Id",
		Versions: osapi.Microversions{Min: oldest, Max: newest, Service: "compute", Header: "X-OpenStack-Nova-API-Version"},
		Routes:   a.routes(),
	}
}

// alone knows this process only.
func (a *api) alone(context.Context) ([]Process, error) {
	host, err := os.Hostname()
	return []Process{{Host: host, Seen: a.Clock.Now()}}, err
}

func versions(r *osapi.Request) (any, error) {
	return object{"versions": []object{versionEntry(r)}}, nil
}

func version(r *osapi.Request) (any, error) {
	entry := versionEntry(r)
	entry["links"] = append(entry["links"].([]object), object{"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"})
	entry["media-types"] = []object{{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}}
	return object{"version": entry}, nil
}

func versionEntry(r *osapi.Request) object {
	return object{
		"id": "v2.1", "status": "CURRENT", "version": newest.String(), "min_version": oldest.String(), "updated": "2013-07-23T11:33:21Z",
		"links": []object{{"rel": "self", "href": r.URL("/v2.1/")}},
	}
}

// links of a thing: with the version for clients that go on, without it for those that keep bookmarks.
func links(r *osapi.Request, collection, id string) []object {
	return []object{{"rel": "self", "href": r.URL("/v2.1/"+collection+"/", id)}, bookmark(r, collection, id)}
}

func bookmark(r *osapi.Request, collection, id string) object {
	return object{"rel": "bookmark", "href": r.URL("/"+collection+"/", id)}
}

// page is the body of a list, with the link to the next page if there is one.
func page(r *osapi.Request, name string, items []object, next string) object {
	body := object{name: items}
	if next != "" {
		body[name+"_links"] = []object{{"rel": "next", "href": r.Next(next)}}
	}
	return body
}

// reader looks with the caller's eyes; writer changes things as the caller may.
func reader(r *osapi.Request) tenancy.Viewer {
	return tenancy.Viewer{Project: r.Caller.ProjectID, All: r.Caller.ReadsAll()}
}

func writer(r *osapi.Request) tenancy.Viewer {
	return tenancy.Viewer{Project: r.Caller.ProjectID, All: r.Caller.IsAdmin()}
}

// ofProject is the view of callers whose own project's things alone are meant, also an admin's.
func ofProject(r *osapi.Request) tenancy.Viewer {
	return tenancy.Viewer{Project: r.Caller.ProjectID}
}

func by(r *osapi.Request) instance.By {
	return instance.By{User: r.Caller.UserID, Project: r.Caller.ProjectID, Request: r.ID}
}

// errUnsupported is what Nova says where its driver cannot (api/openstack/common.py, raise_feature_not_supported).
var errUnsupported = fault.New(fault.Unsupported, "The requested functionality is not supported.")

func unsupported(*osapi.Request) (any, error) { return nil, errUnsupported }

// none answers with a list that is empty because this cloud has no such things.
func none(name string) osapi.Handler {
	return func(*osapi.Request) (any, error) { return object{name: []object{}}, nil }
}

// accepted is the answer to what goes on behind.
func accepted(err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return osapi.Response{Status: http.StatusAccepted}, nil
}
