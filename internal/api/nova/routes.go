package nova

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
)

func (a *api) routes() []osapi.Route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	v := osapi.V
	return []osapi.Route{
		{Method: get, Pattern: "/", Policy: osapi.Public, Handle: versions},
		{Method: get, Pattern: "/v2.1", Policy: osapi.Public, Handle: version},
		{Method: get, Pattern: "/v2.1/extensions", Policy: osapi.Any, Handle: listExtensions},
		{Method: get, Pattern: "/v2.1/extensions/{alias}", Policy: osapi.Any, Handle: showExtension},

		{Method: get, Pattern: "/v2.1/servers", Policy: osapi.Reader, Handle: a.listServers},
		{Method: post, Pattern: "/v2.1/servers", Policy: osapi.ProjectMember, Status: 202, Handle: a.createServer},
		{Method: get, Pattern: "/v2.1/servers/detail", Policy: osapi.Reader, Handle: a.listServersDetail},
		{Method: get, Pattern: "/v2.1/servers/{id}", Policy: osapi.Reader, Handle: a.showServer},
		{Method: put, Pattern: "/v2.1/servers/{id}", Policy: osapi.Member, Handle: a.updateServer},
		{Method: del, Pattern: "/v2.1/servers/{id}", Policy: osapi.Member, Status: 204, Handle: a.deleteServer},
		{Method: post, Pattern: "/v2.1/servers/{id}/action", Policy: osapi.Member, Handle: a.act},
		{Method: post, Pattern: "/v2.1/servers/{id}/remote-consoles", Since: v(2, 6), Policy: osapi.Member, Handle: a.remoteConsole},
		{Method: get, Pattern: "/v2.1/servers/{id}/diagnostics", Policy: osapi.Admin, Handle: a.diagnostics},
		{Method: get, Pattern: "/v2.1/servers/{id}/migrations", Since: v(2, 23), Policy: osapi.Admin, Handle: a.onServer(none("migrations"))},
		{Method: get, Pattern: "/v2.1/servers/{id}/os-security-groups", Policy: osapi.Reader, Handle: a.onServer(none("security_groups"))},

		{Method: get, Pattern: "/v2.1/servers/{id}/os-server-password", Policy: osapi.Reader, Handle: a.onServer(noPassword)},
		{Method: del, Pattern: "/v2.1/servers/{id}/os-server-password", Policy: osapi.Member, Status: 204, Handle: a.onServer(nothing)},

		{Method: get, Pattern: "/v2.1/servers/{id}/metadata", Policy: osapi.Reader, Handle: a.listMetadata},
		{Method: post, Pattern: "/v2.1/servers/{id}/metadata", Policy: osapi.Member, Handle: a.addMetadata},
		{Method: put, Pattern: "/v2.1/servers/{id}/metadata", Policy: osapi.Member, Handle: a.replaceMetadata},
		{Method: get, Pattern: "/v2.1/servers/{id}/metadata/{key}", Policy: osapi.Reader, Handle: a.showMetadata},
		{Method: put, Pattern: "/v2.1/servers/{id}/metadata/{key}", Policy: osapi.Member, Handle: a.setMetadata},
		{Method: del, Pattern: "/v2.1/servers/{id}/metadata/{key}", Policy: osapi.Member, Status: 204, Handle: a.deleteMetadata},

		{Method: get, Pattern: "/v2.1/servers/{id}/tags", Since: v(2, 26), Policy: osapi.Reader, Handle: a.listTags},
		{Method: put, Pattern: "/v2.1/servers/{id}/tags", Since: v(2, 26), Policy: osapi.Member, Handle: a.replaceTags},
		{Method: del, Pattern: "/v2.1/servers/{id}/tags", Since: v(2, 26), Policy: osapi.Member, Status: 204, Handle: a.deleteTags},
		{Method: get, Pattern: "/v2.1/servers/{id}/tags/{tag}", Since: v(2, 26), Policy: osapi.Reader, Status: 204, Handle: a.hasTag},
		{Method: put, Pattern: "/v2.1/servers/{id}/tags/{tag}", Since: v(2, 26), Policy: osapi.Member, Handle: a.addTag},
		{Method: del, Pattern: "/v2.1/servers/{id}/tags/{tag}", Since: v(2, 26), Policy: osapi.Member, Status: 204, Handle: a.deleteTag},

		{Method: get, Pattern: "/v2.1/servers/{id}/ips", Policy: osapi.Reader, Handle: a.listAddresses},
		{Method: get, Pattern: "/v2.1/servers/{id}/ips/{network}", Policy: osapi.Reader, Handle: a.showAddresses},
		{Method: get, Pattern: "/v2.1/servers/{id}/os-interface", Policy: osapi.Reader, Handle: a.listInterfaces},
		{Method: post, Pattern: "/v2.1/servers/{id}/os-interface", Policy: osapi.Member, Handle: a.onServer(unsupported)},
		{Method: get, Pattern: "/v2.1/servers/{id}/os-interface/{port}", Policy: osapi.Reader, Handle: a.showInterface},
		{Method: del, Pattern: "/v2.1/servers/{id}/os-interface/{port}", Policy: osapi.Member, Handle: a.onServer(unsupported)},

		{Method: get, Pattern: "/v2.1/servers/{id}/os-volume_attachments", Policy: osapi.Reader, Handle: a.onServer(none("volumeAttachments"))},
		{Method: post, Pattern: "/v2.1/servers/{id}/os-volume_attachments", Policy: osapi.Member, Handle: a.onServer(unsupported)},
		{Method: get, Pattern: "/v2.1/servers/{id}/os-volume_attachments/{volume}", Policy: osapi.Reader, Handle: a.onServer(noVolume)},
		{Method: put, Pattern: "/v2.1/servers/{id}/os-volume_attachments/{volume}", Policy: osapi.Member, Handle: a.onServer(noVolume)},
		{Method: del, Pattern: "/v2.1/servers/{id}/os-volume_attachments/{volume}", Policy: osapi.Member, Handle: a.onServer(noVolume)},

		{Method: get, Pattern: "/v2.1/servers/{id}/os-instance-actions", Policy: osapi.Reader, Handle: a.listActions},
		{Method: get, Pattern: "/v2.1/servers/{id}/os-instance-actions/{request}", Policy: osapi.Reader, Handle: a.showAction},

		{Method: get, Pattern: "/v2.1/flavors", Policy: osapi.Reader, Handle: a.listFlavors},
		{Method: post, Pattern: "/v2.1/flavors", Policy: osapi.Admin, Handle: a.createFlavor},
		{Method: get, Pattern: "/v2.1/flavors/detail", Policy: osapi.Reader, Handle: a.listFlavorsDetail},
		{Method: get, Pattern: "/v2.1/flavors/{id}", Policy: osapi.Reader, Handle: a.showFlavor},
		{Method: put, Pattern: "/v2.1/flavors/{id}", Since: v(2, 55), Policy: osapi.Admin, Handle: a.updateFlavor},
		{Method: del, Pattern: "/v2.1/flavors/{id}", Policy: osapi.Admin, Status: 202, Handle: a.deleteFlavor},
		{Method: post, Pattern: "/v2.1/flavors/{id}/action", Policy: osapi.Admin, Handle: a.actOnFlavor},
		{Method: get, Pattern: "/v2.1/flavors/{id}/os-flavor-access", Policy: osapi.SystemReader, Handle: a.listFlavorAccess},
		{Method: get, Pattern: "/v2.1/flavors/{id}/os-extra_specs", Policy: osapi.Reader, Handle: a.listSpecs},
		{Method: post, Pattern: "/v2.1/flavors/{id}/os-extra_specs", Policy: osapi.Admin, Handle: a.addSpecs},
		{Method: get, Pattern: "/v2.1/flavors/{id}/os-extra_specs/{key}", Policy: osapi.Reader, Handle: a.showSpec},
		{Method: put, Pattern: "/v2.1/flavors/{id}/os-extra_specs/{key}", Policy: osapi.Admin, Handle: a.setSpec},
		{Method: del, Pattern: "/v2.1/flavors/{id}/os-extra_specs/{key}", Policy: osapi.Admin, Handle: a.deleteSpec},

		{Method: get, Pattern: "/v2.1/os-keypairs", Policy: osapi.Any, Handle: a.listKeypairs},
		{Method: post, Pattern: "/v2.1/os-keypairs", Until: v(2, 1), Policy: osapi.Any, Handle: a.createKeypair},
		{Method: post, Pattern: "/v2.1/os-keypairs", Since: v(2, 2), Policy: osapi.Any, Status: 201, Handle: a.createKeypair},
		{Method: get, Pattern: "/v2.1/os-keypairs/{name}", Policy: osapi.Any, Handle: a.showKeypair},
		{Method: del, Pattern: "/v2.1/os-keypairs/{name}", Until: v(2, 1), Policy: osapi.Any, Status: 202, Handle: a.deleteKeypair},
		{Method: del, Pattern: "/v2.1/os-keypairs/{name}", Since: v(2, 2), Policy: osapi.Any, Status: 204, Handle: a.deleteKeypair},

		{Method: get, Pattern: "/v2.1/images", Until: v(2, 35), Policy: osapi.Reader, Handle: a.listImages},
		{Method: get, Pattern: "/v2.1/images/detail", Until: v(2, 35), Policy: osapi.Reader, Handle: a.listImagesDetail},
		{Method: get, Pattern: "/v2.1/images/{id}", Until: v(2, 35), Policy: osapi.Reader, Handle: a.showImage},
		{Method: del, Pattern: "/v2.1/images/{id}", Until: v(2, 35), Policy: osapi.Member, Status: 204, Handle: a.deleteImage},
		{Method: get, Pattern: "/v2.1/images/{id}/metadata", Until: v(2, 38), Policy: osapi.Reader, Handle: a.listImageMetadata},
		{Method: post, Pattern: "/v2.1/images/{id}/metadata", Until: v(2, 38), Policy: osapi.Member, Handle: a.putImageMetadata(false)},
		{Method: put, Pattern: "/v2.1/images/{id}/metadata", Until: v(2, 38), Policy: osapi.Member, Handle: a.putImageMetadata(true)},
		{Method: get, Pattern: "/v2.1/images/{id}/metadata/{key}", Until: v(2, 38), Policy: osapi.Reader, Handle: a.showImageMetadata},
		{Method: put, Pattern: "/v2.1/images/{id}/metadata/{key}", Until: v(2, 38), Policy: osapi.Member, Handle: a.setImageMetadata},
		{Method: del, Pattern: "/v2.1/images/{id}/metadata/{key}", Until: v(2, 38), Policy: osapi.Member, Status: 204, Handle: a.deleteImageMetadata},
		{Method: get, Pattern: "/v2.1/os-networks", Until: v(2, 35), Policy: osapi.Reader, Handle: a.adminNetworks},
		{Method: get, Pattern: "/v2.1/os-networks/{id}", Until: v(2, 35), Policy: osapi.Reader, Handle: a.adminNetworks},
		{Method: get, Pattern: "/v2.1/os-tenant-networks", Until: v(2, 35), Policy: osapi.Reader, Handle: a.tenantNetworks},
		{Method: get, Pattern: "/v2.1/os-tenant-networks/{id}", Until: v(2, 35), Policy: osapi.Reader, Handle: a.tenantNetworks},

		{Method: get, Pattern: "/v2.1/limits", Policy: osapi.Reader, Handle: a.limits},
		{Method: get, Pattern: "/v2.1/os-quota-sets/{project}", Policy: osapi.Reader, Handle: a.quotas},
		{Method: put, Pattern: "/v2.1/os-quota-sets/{project}", Policy: osapi.Admin, Handle: a.setQuotas},
		{Method: del, Pattern: "/v2.1/os-quota-sets/{project}", Policy: osapi.Admin, Status: 202, Handle: a.resetQuotas},
		{Method: get, Pattern: "/v2.1/os-quota-class-sets/{class}", Policy: osapi.SystemReader, Handle: a.quotaClass},
		{Method: put, Pattern: "/v2.1/os-quota-class-sets/{class}", Policy: osapi.Admin, Handle: a.setQuotaClass},
		{Method: get, Pattern: "/v2.1/os-quota-sets/{project}/defaults", Policy: osapi.Reader, Handle: a.quotaDefaults},
		{Method: get, Pattern: "/v2.1/os-quota-sets/{project}/detail", Policy: osapi.Reader, Handle: a.quotasDetail},
		{Method: get, Pattern: "/v2.1/os-simple-tenant-usage", Policy: osapi.SystemReader, Handle: a.usages},
		{Method: get, Pattern: "/v2.1/os-simple-tenant-usage/{project}", Policy: osapi.Reader, Handle: a.usage},

		{Method: get, Pattern: "/v2.1/os-availability-zone", Policy: osapi.Reader, Handle: a.zones},
		{Method: get, Pattern: "/v2.1/os-availability-zone/detail", Policy: osapi.SystemReader, Handle: a.zonesDetail},
		{Method: get, Pattern: "/v2.1/os-services", Policy: osapi.SystemReader, Handle: a.listServices},
		{Method: get, Pattern: "/v2.1/os-hosts", Until: v(2, 42), Policy: osapi.SystemReader, Handle: a.listHosts},
		{Method: get, Pattern: "/v2.1/os-hosts/{host}", Until: v(2, 42), Policy: osapi.SystemReader, Handle: a.showHost},
		{Method: put, Pattern: "/v2.1/os-hosts/{host}", Until: v(2, 42), Policy: osapi.Admin, Handle: a.changeHost},
		{Method: get, Pattern: "/v2.1/os-hosts/{host}/startup", Until: v(2, 42), Policy: osapi.Admin, Handle: a.onHost},
		{Method: get, Pattern: "/v2.1/os-hosts/{host}/shutdown", Until: v(2, 42), Policy: osapi.Admin, Handle: a.onHost},
		{Method: get, Pattern: "/v2.1/os-hosts/{host}/reboot", Until: v(2, 42), Policy: osapi.Admin, Handle: a.onHost},
		{Method: get, Pattern: "/v2.1/os-hypervisors", Policy: osapi.SystemReader, Handle: a.listHypervisors},
		{Method: get, Pattern: "/v2.1/os-hypervisors/detail", Policy: osapi.SystemReader, Handle: a.listHypervisorsDetail},
		{Method: get, Pattern: "/v2.1/os-hypervisors/statistics", Until: v(2, 87), Policy: osapi.SystemReader, Handle: a.statistics},
		{Method: get, Pattern: "/v2.1/os-hypervisors/{id}", Policy: osapi.SystemReader, Handle: a.showHypervisor},
		{Method: get, Pattern: "/v2.1/os-hypervisors/{id}/servers", Until: v(2, 52), Policy: osapi.SystemReader, Handle: a.hypervisorServers},
		{Method: get, Pattern: "/v2.1/os-hypervisors/{id}/search", Until: v(2, 52), Policy: osapi.SystemReader, Handle: a.searchHypervisors},
		{Method: get, Pattern: "/v2.1/os-hypervisors/{id}/uptime", Until: v(2, 87), Policy: osapi.SystemReader, Handle: a.hypervisorUptime},

		{Method: get, Pattern: "/v2.1/os-console-auth-tokens/{token}", Since: v(2, 31), Policy: osapi.Admin, Secret: true, Handle: a.consoleToken},
		{Method: get, Pattern: "/v2.1/os-aggregates", Policy: osapi.SystemReader, Handle: none("aggregates")},
		{Method: post, Pattern: "/v2.1/os-aggregates", Policy: osapi.Admin, Handle: unsupported},
		{Method: get, Pattern: "/v2.1/os-instance_usage_audit_log", Policy: osapi.SystemReader, Handle: a.auditLog("instance_usage_audit_logs")},
		{Method: get, Pattern: "/v2.1/os-instance_usage_audit_log/{before}", Policy: osapi.SystemReader, Handle: a.auditLog("instance_usage_audit_log")},
		{Method: post, Pattern: "/v2.1/os-server-external-events", Policy: osapi.Service, Handle: a.externalEvents},
		{Method: get, Pattern: "/v2.1/os-migrations", Policy: osapi.SystemReader, Handle: none("migrations")},
		{Method: get, Pattern: "/v2.1/os-server-groups", Policy: osapi.Reader, Handle: a.listGroups},
		{Method: post, Pattern: "/v2.1/os-server-groups", Policy: osapi.ProjectMember, Handle: a.createGroup},
		{Method: get, Pattern: "/v2.1/os-server-groups/{id}", Policy: osapi.Reader, Handle: a.showGroup},
		{Method: del, Pattern: "/v2.1/os-server-groups/{id}", Policy: osapi.Member, Status: 204, Handle: a.deleteGroup},
	}
}
