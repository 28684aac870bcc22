// Package cinder answers for the Block Storage API v3 while this cloud has no volumes: every list is empty, every limit is
// 0, every volume is not found, and making one is refused. So clients that look here (Horizon's pages, openstack limits)
// get the truth. https://docs.openstack.org/api-ref/block-storage/v3/
package cinder

import (
	"net/http"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

type object = osapi.Object

var oldest, newest = osapi.V(3, 0), osapi.V(3, 70)

// Dialect is the Block Storage API at /volume.
func Dialect() osapi.Dialect {
	return osapi.Dialect{
		Name: "cinder", Mount: "/volume", Envelope: osapi.NovaEnvelope, ProjectUnder: "/v3", RequestIDHeader: "X-Compute-Request-Id",
		Versions: osapi.Microversions{Min: oldest, Max: newest, Service: "volume"}, Routes: routes(),
	}
}

// collections by their path, and what their lists are called.
var collections = []struct{ path, name string }{
	{"volumes", "volumes"}, {"snapshots", "snapshots"}, {"backups", "backups"}, {"groups", "groups"}, {"group_snapshots", "group_snapshots"},
	{"group_types", "group_types"}, {"os-volume-transfer", "transfers"}, {"volume-transfers", "transfers"}, {"attachments", "attachments"},
	{"types", "volume_types"}, {"messages", "messages"}, {"qos-specs", "qos_specs"}, {"consistencygroups", "consistencygroups"},
}

func routes() []osapi.Route {
	const get, post = http.MethodGet, http.MethodPost
	routes := []osapi.Route{
		{Method: get, Pattern: "/", Policy: osapi.Public, Status: http.StatusMultipleChoices, Handle: versions},
		{Method: get, Pattern: "/v3", Policy: osapi.Any, Handle: versions},
		{Method: get, Pattern: "/v3/extensions", Policy: osapi.Reader, Handle: list("extensions")},
		{Method: get, Pattern: "/v3/limits", Policy: osapi.Reader, Handle: limits},
		{Method: get, Pattern: "/v3/os-quota-sets/{project}", Policy: osapi.Reader, Handle: quotas},
		{Method: get, Pattern: "/v3/os-quota-sets/{project}/defaults", Policy: osapi.Reader, Handle: quotas},
		{Method: get, Pattern: "/v3/os-availability-zone", Policy: osapi.Reader, Handle: list("availabilityZoneInfo")},
		{Method: get, Pattern: "/v3/os-services", Policy: osapi.SystemReader, Handle: list("services")},
		{Method: get, Pattern: "/v3/scheduler-stats/get_pools", Policy: osapi.SystemReader, Handle: list("pools")},
		{Method: get, Pattern: "/v3/volumes/summary", Policy: osapi.Reader, Handle: summary},
	}
	for _, c := range collections {
		routes = append(routes,
			osapi.Route{Method: get, Pattern: "/v3/" + c.path, Policy: osapi.Reader, Handle: list(c.name)},
			osapi.Route{Method: post, Pattern: "/v3/" + c.path, Policy: osapi.Member, Handle: unsupported},
			osapi.Route{Method: get, Pattern: "/v3/" + c.path + "/detail", Policy: osapi.Reader, Handle: list(c.name)},
		)
		for _, method := range []string{get, http.MethodPut, http.MethodDelete} {
			routes = append(routes, osapi.Route{Method: method, Pattern: "/v3/" + c.path + "/{id}", Policy: osapi.Reader, Handle: absent(strings.TrimSuffix(c.name, "s"))})
		}
	}
	return routes
}

func versions(r *osapi.Request) (any, error) {
	return object{"versions": []object{{
		"id": "v3.0", "status": "CURRENT", "version": newest.String(), "min_version": oldest.String(), "updated": "2022-08-31T00:00:00Z",
		"links": []object{
			{"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"}, {"rel": "self", "href": r.URL("/v3/")},
		},
		"media-types": []object{{"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}},
	}}}, nil
}

// list is empty; it has a count where one is asked for (3.45).
func list(name string) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		body := object{name: []object{}}
		if name == "availabilityZoneInfo" {
			body[name] = []object{{"zoneName": "nova", "zoneState": object{"available": true}}}
		}
		q := r.Query()
		if q.Bool("with_count", false) && r.Version.AtLeast(3, 45) {
			body["count"] = 0
		}
		return body, q.Err()
	}
}

func absent(thing string) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		return nil, fault.New(fault.NotFound, "%s %.80s could not be found.", thing, r.Path("id"))
	}
}

func unsupported(*osapi.Request) (any, error) {
	return nil, fault.New(fault.Unsupported, "This cloud has no volumes yet: servers start from the disks of their own machines.")
}

func summary(*osapi.Request) (any, error) {
	return object{"volume-summary": object{"total_size": 0, "total_count": 0, "metadata": object{}}}, nil
}

func limits(*osapi.Request) (any, error) {
	absolute := object{}
	for _, name := range []string{
		"maxTotalVolumes", "maxTotalSnapshots", "maxTotalVolumeGigabytes", "maxTotalBackups", "maxTotalBackupGigabytes",
		"totalVolumesUsed", "totalGigabytesUsed", "totalSnapshotsUsed", "totalBackupsUsed", "totalBackupGigabytesUsed",
	} {
		absolute[name] = 0
	}
	return object{"limits": object{"rate": []object{}, "absolute": absolute}}, nil
}

func quotas(r *osapi.Request) (any, error) {
	project := r.Path("project")
	if !r.Caller.Reads(project) {
		return nil, fault.New(fault.Forbidden, "Policy doesn't allow volume_extension:quotas:show to be performed.")
	}
	q := r.Query()
	usage := q.Bool("usage", false)
	set := object{"id": project}
	for _, name := range []string{"volumes", "snapshots", "gigabytes", "backups", "backup_gigabytes", "groups", "per_volume_gigabytes"} {
		set[name] = 0
		if usage {
			set[name] = object{"limit": 0, "in_use": 0, "reserved": 0}
		}
	}
	return object{"quota_set": set}, q.Err()
}
