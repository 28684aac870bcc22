package nova

import (
	"strconv"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
)

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

// quotaView is a set of limits with its id, which the answers to changes do not have.
func quotaView(r *osapi.Request, id string, limits instance.Limits) object {
	set := object{}
	for name, most := range limits {
		set[name] = most
	}
	if id != "" {
		set["id"] = id
	}
	return quotaFields.Trim(set, r.Version)
}

func (a *api) quotas(r *osapi.Request) (any, error) {
	project, err := quotaProject(r)
	if err != nil {
		return nil, err
	}
	limits, err := a.Instances.Limits(r.Context(), a.DB, project)
	return object{"quota_set": quotaView(r, project, limits)}, err
}

func (a *api) quotaDefaults(r *osapi.Request) (any, error) {
	project, err := quotaProject(r)
	if err != nil {
		return nil, err
	}
	limits, err := a.Instances.Limits(r.Context(), a.DB, "")
	return object{"quota_set": quotaView(r, project, limits)}, err
}

func (a *api) quotasDetail(r *osapi.Request) (any, error) {
	project, err := quotaProject(r)
	if err != nil {
		return nil, err
	}
	limits, used, err := a.limitsAndUse(r, project)
	set := object{"id": project}
	for name, most := range limits {
		set[name] = object{"limit": most, "in_use": used[name], "reserved": 0}
	}
	return object{"quota_set": quotaFields.Trim(set, r.Version)}, err
}

func (a *api) limitsAndUse(r *osapi.Request, project string) (limits, used instance.Limits, err error) {
	if limits, err = a.Instances.Limits(r.Context(), a.DB, project); err != nil {
		return nil, nil, err
	}
	used, err = a.Instances.Used(r.Context(), a.DB, project)
	return limits, used, err
}

// readLimits reads the limits of a body. Unless it is forced, a limit is not set below what is used.
func (a *api) readLimits(r *osapi.Request, name, project string) (instance.Limits, error) {
	var body map[string]map[string]any
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	set := body[name]
	if set == nil || len(body) != 1 {
		return nil, missing(name)
	}
	force, _ := set["force"].(bool)
	change := instance.Limits{}
	for resource, value := range set {
		if resource == "force" || resource == "tenant_id" || resource == "id" || resource == "class_name" {
			continue
		}
		if !instance.IsLimit(resource) || !quotaFields[resource].Has(r.Version) {
			return nil, fault.New(fault.Invalid, "Additional properties are not allowed (%q was unexpected in %q).", clip(resource), name)
		}
		most, err := wholeLimit(value)
		if err != nil {
			return nil, invalid(resource, value, "It is a whole number from -1.")
		}
		change[resource] = most
	}
	if project == "" || force {
		return change, nil
	}
	used, err := a.Instances.Used(r.Context(), a.DB, project)
	for resource, most := range change {
		if most != instance.Unlimited && most < used[resource] {
			return nil, fault.New(fault.Invalid, "Quota limit %d for %s must be greater than or equal to already used and reserved %d.", most, resource, used[resource])
		}
	}
	return change, err
}

// maxLimit is Nova's own (MySQL's integer).
const maxLimit = 0x7FFFFFFF

// wholeLimit takes a number, or text of one.
func wholeLimit(value any) (int, error) {
	most := 0
	switch v := value.(type) {
	case float64:
		if most = int(v); float64(most) != v {
			return 0, strconv.ErrSyntax
		}
	case string:
		var err error
		if most, err = strconv.Atoi(v); err != nil {
			return 0, err
		}
	default:
		return 0, strconv.ErrSyntax
	}
	if most < instance.Unlimited || most > maxLimit {
		return 0, strconv.ErrRange
	}
	return most, nil
}

func (a *api) setQuotas(r *osapi.Request) (any, error) {
	project := r.Path("project")
	change, err := a.readLimits(r, "quota_set", project)
	if err != nil {
		return nil, err
	}
	if err := a.Instances.SetLimits(r.Context(), project, change); err != nil {
		return nil, err
	}
	limits, err := a.Instances.Limits(r.Context(), a.DB, project)
	return object{"quota_set": quotaView(r, "", limits)}, err
}

func (a *api) resetQuotas(r *osapi.Request) (any, error) {
	return nil, a.Instances.ForgetLimits(r.Context(), r.Path("project"))
}

// The quota class "default" is the cloud's defaults; Nova answers for any other name, and nothing obeys those.
func (a *api) quotaClass(r *osapi.Request) (any, error) {
	limits, err := a.Instances.Limits(r.Context(), a.DB, "")
	return object{"quota_class_set": quotaView(r, r.Path("class"), limits)}, err
}

func (a *api) setQuotaClass(r *osapi.Request) (any, error) {
	if r.Path("class") != "default" {
		return nil, fault.New(fault.Invalid, "There is one quota class: default.")
	}
	change, err := a.readLimits(r, "quota_class_set", "")
	if err != nil {
		return nil, err
	}
	if err := a.Instances.SetLimits(r.Context(), "", change); err != nil {
		return nil, err
	}
	limits, err := a.Instances.Limits(r.Context(), a.DB, "")
	return object{"quota_class_set": quotaView(r, "", limits)}, err
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
	limits, used, err := a.limitsAndUse(r, project)
	if err != nil {
		return nil, err
	}
	return object{"limits": object{"rate": []object{}, "absolute": limitFields.Trim(object{
		"maxTotalInstances": limits["instances"], "maxTotalCores": limits["cores"], "maxTotalRAMSize": limits["ram"],
		"maxServerMeta": limits["metadata_items"], "maxImageMeta": limits["metadata_items"], "maxPersonality": 0, "maxPersonalitySize": 0,
		"maxTotalKeypairs": limits["key_pairs"], "maxServerGroups": limits["server_groups"], "maxServerGroupMembers": limits["server_group_members"],
		"maxTotalFloatingIps": limits["floating_ips"],
		"maxSecurityGroups":   limits["security_groups"], "maxSecurityGroupRules": limits["security_group_rules"], "totalRAMUsed": used["ram"], "totalCoresUsed": used["cores"],
		"totalInstancesUsed": used["instances"], "totalFloatingIpsUsed": 0, "totalSecurityGroupsUsed": 0, "totalServerGroupsUsed": used["server_groups"],
	}, r.Version)}}, nil
}
