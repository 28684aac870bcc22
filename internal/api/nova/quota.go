package nova

import (
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

// unlimited is what Nova writes for no limit.
const unlimited = -1

// limits are what is really enforced: a project may have as many servers as there are machines.
var limits = object{
	"instances": unlimited, "cores": unlimited, "ram": unlimited, "key_pairs": 100, "metadata_items": maxMetadata,
	"injected_files": 0, "injected_file_content_bytes": 0, "injected_file_path_bytes": 0, "server_groups": 0, "server_group_members": 0,
	"fixed_ips": unlimited, "floating_ips": unlimited, "security_groups": unlimited, "security_group_rules": unlimited,
}

// quotaFields are those that Nova gave up.
var quotaFields = osapi.Fields{
	"fixed_ips": osapi.Until(2, 35), "floating_ips": osapi.Until(2, 35), "security_groups": osapi.Until(2, 35), "security_group_rules": osapi.Until(2, 35),
	"injected_files": osapi.Until(2, 56), "injected_file_content_bytes": osapi.Until(2, 56), "injected_file_path_bytes": osapi.Until(2, 56),
}

// quotaProject lets a project read its own.
func quotaProject(r *osapi.Request) (string, error) {
	project := r.Path("project")
	if !r.Caller.Reads(project) {
		return "", fault.New(fault.Forbidden, "Policy doesn't allow os_compute_api:os-quota-sets:show to be performed.")
	}
	return project, nil
}

func (a *api) quotas(r *osapi.Request) (any, error) {
	project, err := quotaProject(r)
	set := object{"id": project}
	for name, limit := range limits {
		set[name] = limit
	}
	return object{"quota_set": quotaFields.Trim(set, r.Version)}, err
}

func (a *api) quotasDetail(r *osapi.Request) (any, error) {
	project, err := quotaProject(r)
	if err != nil {
		return nil, err
	}
	used, err := a.used(r, project)
	if err != nil {
		return nil, err
	}
	set := object{"id": project}
	for name, limit := range limits {
		set[name] = object{"limit": limit, "in_use": 0, "reserved": 0}
	}
	for name, n := range used {
		set[name].(object)["in_use"] = n
	}
	return object{"quota_set": quotaFields.Trim(set, r.Version)}, nil
}

// used is what a project's servers take.
func (a *api) used(r *osapi.Request, project string) (map[string]int, error) {
	servers, err := a.Instances.List(r.Context(), project, false)
	used := map[string]int{"instances": len(servers)}
	for _, i := range servers {
		used["cores"] += i.Flavor.VCPUs
		used["ram"] += i.Flavor.RAM
	}
	return used, err
}

var limitFields = osapi.Fields{
	"maxTotalFloatingIps": osapi.Until(2, 35), "totalFloatingIpsUsed": osapi.Until(2, 35), "maxSecurityGroups": osapi.Until(2, 35),
	"totalSecurityGroupsUsed": osapi.Until(2, 35), "maxSecurityGroupRules": osapi.Until(2, 35), "maxImageMeta": osapi.Until(2, 38),
	"maxPersonality": osapi.Until(2, 56), "maxPersonalitySize": osapi.Until(2, 56),
}

func (a *api) limits(r *osapi.Request) (any, error) {
	project := r.Caller.ProjectID
	if other := r.Query().String("tenant_id"); other != "" {
		project = other
	}
	if !r.Caller.Reads(project) {
		return nil, fault.New(fault.Forbidden, "Policy doesn't allow os_compute_api:limits:other_project to be performed.")
	}
	used, err := a.used(r, project)
	if err != nil {
		return nil, err
	}
	return object{"limits": object{"rate": []object{}, "absolute": limitFields.Trim(object{
		"maxTotalInstances": limits["instances"], "maxTotalCores": limits["cores"], "maxTotalRAMSize": limits["ram"],
		"maxServerMeta": maxMetadata, "maxImageMeta": maxMetadata, "maxPersonality": 0, "maxPersonalitySize": 0,
		"maxTotalKeypairs": limits["key_pairs"], "maxServerGroups": 0, "maxServerGroupMembers": 0, "maxTotalFloatingIps": unlimited,
		"maxSecurityGroups": unlimited, "maxSecurityGroupRules": unlimited, "totalRAMUsed": used["ram"], "totalCoresUsed": used["cores"],
		"totalInstancesUsed": used["instances"], "totalFloatingIpsUsed": 0, "totalSecurityGroupsUsed": 0, "totalServerGroupsUsed": 0,
	}, r.Version)}}, nil
}
