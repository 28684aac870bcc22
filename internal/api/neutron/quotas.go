package neutron

import (
	"maps"
	"net/http"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

func (a *api) quotaRoutes() []osapi.Route {
	const all, one = "/v2.0/quotas", "/v2.0/quotas/{project}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: all, Policy: osapi.SystemReader, Handle: a.listQuotas},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showQuota},
		{Method: http.MethodGet, Pattern: one + "/default", Policy: osapi.Reader, Handle: showDefaultQuota},
		{Method: http.MethodGet, Pattern: one + "/details", Policy: osapi.Reader, Handle: a.showQuotaDetails},
		{Method: http.MethodGet, Pattern: one + "/details.json", Policy: osapi.Reader, Handle: a.showQuotaDetails}, // gophercloud's path
		{Method: http.MethodPut, Pattern: one, Policy: osapi.Admin, Handle: a.updateQuota},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Admin, Status: 204, Handle: a.deleteQuota},
	}
}

// ownQuota gives the path's project, if the caller may know its quota. As Neutron does, it refuses any other project with
// 403, whether there is one of that id or not.
func ownQuota(r *osapi.Request) (string, error) {
	project := r.Path("project")
	if !r.Caller.Reads(project) {
		return "", failure("AdminRequired", fault.Forbidden, "User does not have admin privileges: Only admin is authorized to access quotas for another project.")
	}
	return project, nil
}

func (a *api) showQuota(r *osapi.Request) (any, error) {
	project, err := ownQuota(r)
	if err != nil {
		return nil, err
	}
	limits, err := a.networks.Limits(r.Context(), a.db, project)
	return object{"quota": limits}, err
}

func showDefaultQuota(r *osapi.Request) (any, error) {
	_, err := ownQuota(r)
	return object{"quota": network.DefaultLimits()}, err
}

func (a *api) showQuotaDetails(r *osapi.Request) (any, error) {
	project, err := ownQuota(r)
	if err != nil {
		return nil, err
	}
	limits, err := a.networks.Limits(r.Context(), a.db, project)
	if err != nil {
		return nil, err
	}
	used, err := a.networks.Usage(r.Context(), a.db, project)
	details := object{}
	for resource, limit := range limits {
		details[resource] = object{"limit": limit, "used": used[resource], "reserved": 0}
	}
	return object{"quota": details}, err
}

// listQuotas names the projects whose limits were changed.
func (a *api) listQuotas(r *osapi.Request) (any, error) {
	changed, err := a.networks.ChangedLimits(r.Context(), a.db, "")
	if err != nil {
		return nil, err
	}
	quotas := []any{}
	for _, project := range slices.Sorted(maps.Keys(changed)) {
		quota := object{"project_id": project, "tenant_id": project}
		for resource, limit := range network.DefaultLimits() {
			quota[resource] = limit
		}
		for resource, limit := range changed[project] {
			quota[resource] = limit
		}
		quotas = append(quotas, quota)
	}
	return object{"quotas": quotas}, nil
}

func (a *api) updateQuota(r *osapi.Request) (any, error) {
	var body struct {
		Quota map[string]osapi.Int `json:"quota"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if len(body.Quota) == 0 {
		return nil, noBody("quota")
	}
	wanted := network.Limits{}
	for resource, limit := range body.Quota {
		wanted[resource] = int(limit)
	}
	err := a.db.Tx(r.Context(), func(tx *db.Tx) error {
		return a.networks.SetLimits(r.Context(), tx, r.Path("project"), wanted)
	})
	if err != nil {
		return nil, err
	}
	return a.showQuota(r)
}

func (a *api) deleteQuota(r *osapi.Request) (any, error) {
	return nil, a.db.Tx(r.Context(), func(tx *db.Tx) error {
		had, err := a.networks.ResetLimits(r.Context(), tx, r.Path("project"))
		if err == nil && !had {
			err = failure("TenantQuotaNotFound", fault.NotFound, "Quota for tenant %s could not be found.", r.Path("project"))
		}
		return err
	})
}
