package nova

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/machine"
)

// serverFields are those that do not exist in all versions (nova/api/openstack/compute/rest_api_version_history.rst).
var serverFields = osapi.Fields{
	"locked":                           osapi.Since(2, 9),
	"host_status":                      osapi.Since(2, 16),
	"description":                      osapi.Since(2, 19),
	"tags":                             osapi.Since(2, 26),
	"trusted_image_certificates":       osapi.Since(2, 63),
	"server_groups":                    osapi.Since(2, 71),
	"locked_reason":                    osapi.Since(2, 73),
	"pinned_availability_zone":         osapi.Since(2, 96),
	"OS-EXT-SRV-ATTR:hostname":         osapi.Since(2, 3),
	"OS-EXT-SRV-ATTR:reservation_id":   osapi.Since(2, 3),
	"OS-EXT-SRV-ATTR:launch_index":     osapi.Since(2, 3),
	"OS-EXT-SRV-ATTR:kernel_id":        osapi.Since(2, 3),
	"OS-EXT-SRV-ATTR:ramdisk_id":       osapi.Since(2, 3),
	"OS-EXT-SRV-ATTR:root_device_name": osapi.Since(2, 3),
	"OS-EXT-SRV-ATTR:user_data":        osapi.Since(2, 3),
}

func (a *api) show(r *osapi.Request, i *instance.Instance) (object, error) {
	shown, err := a.showAll(r, []*instance.Instance{i})
	if err != nil {
		return nil, err
	}
	return shown[0], nil
}

func (a *api) showAll(r *osapi.Request, list []*instance.Instance) ([]object, error) {
	w, err := a.wiringOf(r.Context(), list...)
	if err != nil {
		return nil, err
	}
	zones, err := a.Instances.Zones(r.Context(), a.DB)
	if err != nil {
		return nil, err
	}
	shown := make([]object, len(list))
	for n, i := range list {
		if shown[n], err = a.view(r, i); err != nil {
			return nil, err
		}
		shown[n]["addresses"], shown[n]["OS-EXT-AZ:availability_zone"] = w.addresses(i.ID, true), zones.OfInstance(i)
		if groups := w.groups(i.ID); groups != nil {
			shown[n]["security_groups"] = groups
		}
	}
	return shown, nil
}

// view is a server without what it has to do with networks and zones.
func (a *api) view(r *osapi.Request, i *instance.Instance) (object, error) {
	status := Status(i)
	server := object{
		"id": i.ID, "name": i.Name, "status": status, "tenant_id": i.Project, "user_id": i.Owner, "metadata": i.Metadata,
		"hostId": hostID(i), "image": object{"id": i.Image, "links": []object{bookmark(r, "images", i.Image)}}, "flavor": embeddedFlavor(r, i),
		"created": osapi.Zulu(i.Created), "updated": osapi.Zulu(i.Updated), "accessIPv4": i.AccessIPv4, "accessIPv6": i.AccessIPv6,
		"links": links(r, "servers", i.ID), "OS-DCF:diskConfig": i.DiskConfig,
		"config_drive": "", "key_name": null(i.KeyName), "OS-SRV-USG:launched_at": osapi.Naive(i.Launched),
		"OS-SRV-USG:terminated_at": osapi.Naive(i.Deleted), "OS-EXT-STS:task_state": null(string(i.TaskState)),
		"OS-EXT-STS:vm_state": i.VMState, "OS-EXT-STS:power_state": powerStates[i.Power],
		"os-extended-volumes:volumes_attached": []object{}, "locked": i.LockedBy != instance.NotLocked, "locked_reason": null(i.LockReason),
		"description": null(i.Description), "tags": i.Tags, "trusted_image_certificates": nil, "server_groups": groupsOf(i),
		"pinned_availability_zone": null(i.Zone),
	}
	if i.ConfigDrive {
		server["config_drive"] = "True"
	}
	if i.Tags == nil {
		server["tags"] = []string{}
	}
	if i.Fault != nil && (status == "ERROR" || status == "DELETED") {
		server["fault"] = object{"code": i.Fault.Code, "created": osapi.Zulu(i.Fault.Created), "message": i.Fault.Message}
		if r.Caller.ReadsAll() && i.Fault.Details != "" {
			server["fault"].(object)["details"] = i.Fault.Details
		}
	}
	switch status {
	case "ACTIVE":
		server["progress"] = 0
	case "BUILD":
		progress, err := a.Instances.Progress(r.Context(), i)
		if err != nil {
			return nil, err
		}
		server["progress"] = progress
	}
	if r.Caller.ReadsAll() {
		attributes(server, i)
	} else if r.Version.AtLeast(2, 90) {
		server["OS-EXT-SRV-ATTR:hostname"] = i.Hostname
	}
	return serverFields.Trim(server, r.Version), nil
}

// attributes are what only operators see.
func attributes(server object, i *instance.Instance) {
	shown := object{
		"host": null(i.Machine), "hypervisor_hostname": null(i.Machine), "instance_name": "instance-" + i.ID[:8], "hostname": i.Hostname,
		"reservation_id": i.Reservation, "launch_index": i.LaunchIndex, "kernel_id": "", "ramdisk_id": "", "root_device_name": nil,
		"user_data": null(i.UserData),
	}
	for name, value := range shown {
		server["OS-EXT-SRV-ATTR:"+name] = value
	}
	if server["host_status"] = ""; i.Machine != "" {
		server["host_status"] = "UP"
	}
}

// embeddedFlavor is the flavor as it was when the server was made; before 2.47 only its id.
func embeddedFlavor(r *osapi.Request, i *instance.Instance) object {
	f := &i.Flavor
	if !r.Version.AtLeast(2, 47) {
		return object{"id": f.ID, "links": []object{bookmark(r, "flavors", f.ID)}}
	}
	return object{
		"vcpus": f.VCPUs, "ram": f.RAM, "disk": f.Disk, "ephemeral": f.Ephemeral, "swap": f.Swap, "original_name": f.Name, "extra_specs": f.ExtraSpecs,
	}
}

// null is text, or null in the place of none.
func null(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// hostID tells tenants which of their servers share a machine, and nothing else.
func hostID(i *instance.Instance) string {
	if i.Machine == "" {
		return ""
	}
	sum := sha256.Sum224([]byte(i.Project + i.Machine))
	return hex.EncodeToString(sum[:])
}

// powerStates are Nova's numbers (nova/compute/power_state.py).
var powerStates = map[machine.PowerState]int{machine.PowerUnknown: 0, machine.PowerOn: 1, machine.PowerOff: 4}

// Status is the word that clients wait for (nova/api/openstack/common.py, _STATE_MAP).
func Status(i *instance.Instance) string {
	if i.VMState != instance.Deleted {
		switch i.TaskState {
		case instance.Rebooting:
			return "REBOOT"
		case instance.HardReboot:
			return "HARD_REBOOT"
		case instance.Rebuilding:
			return "REBUILD"
		}
	}
	return statuses[i.VMState]
}

var statuses = map[instance.VMState]string{
	instance.Building: "BUILD", instance.Active: "ACTIVE", instance.Stopped: "SHUTOFF", instance.Rescued: "RESCUE", instance.Errored: "ERROR", instance.Deleted: "DELETED",
}
