package nova

import (
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

// extensions are the names of old for parts of the API that are here; all of them have long been part of it.
var extensions = []struct{ alias, name string }{
	{"os-availability-zone", "AvailabilityZone"}, {"os-config-drive", "ConfigDrive"}, {"os-console-output", "ConsoleOutput"},
	{"os-extended-server-attributes", "ExtendedServerAttributes"}, {"os-extended-status", "ExtendedStatus"}, {"os-flavor-access", "FlavorAccess"},
	{"os-flavor-extra-specs", "FlavorExtraSpecs"}, {"os-flavor-manage", "FlavorManage"}, {"os-hypervisors", "Hypervisors"},
	{"os-hosts", "Hosts"}, {"os-server-groups", "ServerGroups"}, {"os-quota-class-sets", "QuotaClasses"}, {"os-server-diagnostics", "ServerDiagnostics"},
	{"os-server-external-events", "ServerExternalEvents"}, {"os-instance_usage_audit_log", "OSInstanceUsageAuditLog"}, {"os-server-password", "ServerPassword"},
	{"os-consoles", "Consoles"}, {"os-remote-consoles", "Consoles"}, {"os-aggregates", "Aggregates"}, {"os-attach-interfaces", "AttachInterfaces"}, {"os-floating-ips", "FloatingIps"},
	{"os-floating-ip-pools", "FloatingIpPools"}, {"os-security-groups", "SecurityGroups"}, {"os-tenant-networks", "OSTenantNetworks"}, {"image-metadata", "ImageMetadata"}, {"images", "Images"},
	{"os-instance-actions", "InstanceActions"}, {"os-keypairs", "Keypairs"}, {"os-lock-server", "LockServer"},
	{"os-multiple-create", "MultipleCreate"}, {"os-quota-sets", "Quotas"}, {"os-services", "Services"},
	{"os-simple-tenant-usage", "SimpleTenantUsage"}, {"os-user-data", "UserData"},
}

func extensionView(alias, name string) object {
	return object{"alias": alias, "name": name, "description": "", "links": []object{}, "namespace": "http://docs.openstack.org/compute/ext/fake_xml", "updated": "2014-12-03T00:00:00Z"}
}

func listExtensions(*osapi.Request) (any, error) {
	shown := make([]object, len(extensions))
	for n, e := range extensions {
		shown[n] = extensionView(e.alias, e.name)
	}
	return object{"extensions": shown}, nil
}

func showExtension(r *osapi.Request) (any, error) {
	for _, e := range extensions {
		if e.alias == r.Path("alias") {
			return object{"extension": extensionView(e.alias, e.name)}, nil
		}
	}
	return nil, fault.New(fault.NotFound, "The resource could not be found.")
}
