package neutron

import (
	"errors"
	"net/http"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/qos"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/securitygroup"
	"github.com/ingotcloud/ingot/internal/tenancy"
	"github.com/ingotcloud/ingot/internal/trunk"
)

// Services are the domains behind the API.
type Services struct {
	Networks *network.Service
	Routers  *router.Service
	Groups   *securitygroup.Service
	Policies *qos.Service
	Trunks   *trunk.Service
}

type api struct {
	networks *network.Service
	routers  *router.Service
	groups   *securitygroup.Service
	policies *qos.Service
	trunks   *trunk.Service
	db       *db.DB
}

type object = osapi.Object

// Dialect is the Networking API at /network.
func Dialect(s Services, d *db.DB) osapi.Dialect {
	a := &api{s.Networks, s.Routers, s.Groups, s.Policies, s.Trunks, d}
	routes := a.routes()
	for i := range routes {
		routes[i].Handle = named(routes[i].Handle)
	}
	return osapi.Dialect{
		Name: "neutron", Type: "network", Mount: "/network", Envelope: osapi.NeutronEnvelope,
		Statuses: map[fault.Kind]int{fault.Quota: http.StatusConflict},
		Routes:   routes,
	}
}

// routes are those of every noun; each file has its own.
func (a *api) routes() []osapi.Route {
	return slices.Concat(
		frontRoutes(),
		a.networkRoutes(),
		a.subnetRoutes(),
		a.portRoutes(),
		a.routerRoutes(),
		a.floatingIPRoutes(),
		a.portForwardingRoutes(),
		a.subnetPoolRoutes(),
		a.addressScopeRoutes(),
		a.rbacRoutes(),
		a.availabilityRoutes(),
		a.securityGroupRoutes(),
		a.securityGroupRuleRoutes(),
		a.defaultRuleRoutes(),
		a.addressGroupRoutes(),
		a.qosPolicyRoutes(),
		a.qosRuleRoutes(),
		a.trunkRoutes(),
		a.quotaRoutes(),
		a.tagRoutes(),
		absentRoutes(),
	)
}

func frontRoutes() []osapi.Route {
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: "/", Policy: osapi.Public, Handle: versions},
		{Method: http.MethodGet, Pattern: "/v2.0", Policy: osapi.Public, Handle: resources},
		{Method: http.MethodGet, Pattern: "/v2.0/extensions", Policy: osapi.Any, Handle: listExtensions},
		{Method: http.MethodGet, Pattern: "/v2.0/extensions/{alias}", Policy: osapi.Any, Handle: showExtension},
	}
}

func versions(r *osapi.Request) (any, error) {
	return object{"versions": []any{object{"id": "v2.0", "status": "CURRENT", "links": []any{object{"rel": "self", "href": r.URL("/v2.0/")}}}}}, nil
}

func resources(r *osapi.Request) (any, error) {
	list := []any{}
	for _, name := range []string{"network", "subnet", "port", "subnetpool", "router", "floatingip", "quota", "extension"} {
		list = append(list, object{"name": name, "collection": name + "s", "links": []any{object{"rel": "self", "href": r.URL("/v2.0/" + name + "s")}}})
	}
	return object{"resources": list}, nil
}

// exceptions are Neutron's names for what the domain refuses (neutron_lib/exceptions); clients look at them.
var exceptions = map[error]string{
	network.NoSuchNetwork:      "NetworkNotFound",
	network.NoSuchSubnet:       "SubnetNotFound",
	network.NoSuchPort:         "PortNotFound",
	network.NoSuchGroup:        "SecurityGroupNotFound",
	network.NoSuchPolicy:       "QosPolicyNotFound",
	network.NoSuchSubnetPool:   "SubnetPoolNotFound",
	network.NoSuchAddressScope: "AddressScopeNotFound",
	network.NoSuchRBAC:         "RbacPolicyNotFound",
	network.NoSuchZone:         "AvailabilityZoneNotFound",
	network.NoSuchObject:       "HTTPNotFound",

	network.BadInput:   "InvalidInput",
	network.BadRequest: "BadRequest",
	network.OverQuota:  "OverQuota",

	network.NetworkInUse:      "NetworkInUse",
	network.FlatInUse:         "FlatNetworkInUse",
	network.VLANInUse:         "VlanIdInUse",
	network.TunnelInUse:       "TunnelIdInUse",
	network.SecondDefault:     "DefaultExternalNetworkExists",
	network.MTUTooSmall:       "NetworkMTUSubnetConflict",
	network.SharedNetworkUsed: "InvalidSharedSetting",

	network.SubnetInUse:   "SubnetInUse",
	network.BadPool:       "InvalidAllocationPool",
	network.PoolOutside:   "OutOfBoundsAllocationPool",
	network.PoolsOverlap:  "OverlappingAllocationPools",
	network.GatewayInPool: "GatewayConflictWithAllocationPools",
	network.GatewayInUse:  "GatewayIpInUse",
	network.TooManyDNS:    "DNSNameServersExhausted",
	network.TooManyRoutes: "HostRoutesExhausted",

	network.SubnetPoolShort:     "SubnetAllocationError",
	network.SubnetPoolOverQuota: "SubnetPoolQuotaExceeded",
	network.SubnetPoolInUse:     "SubnetPoolDeleteError",
	network.SubnetPoolMixed:     "PrefixVersionMismatch",
	network.SubnetPoolEmpty:     "EmptySubnetPoolPrefixList",
	network.SubnetPoolBounds:    "IllegalSubnetPoolPrefixBounds",
	network.SubnetPoolShrinks:   "IllegalSubnetPoolPrefixUpdate",
	network.SubnetPoolAffinity:  "NetworkSubnetPoolAffinityError",
	network.PrefixTooShort:      "MinPrefixSubnetAllocationError",
	network.PrefixTooLong:       "MaxPrefixSubnetAllocationError",
	network.AddressScopeInUse:   "AddressScopeInUse",
	network.AddressScopeClash:   "AddressScopePrefixConflict",
	network.AddressScopeVersion: "IllegalSubnetPoolIpVersionAssociationToAddressScope",

	network.PortInUse:           "PortInUse",
	network.PortBound:           "PortBound",
	network.PortUnguarded:       "PortBindingError",
	network.MACInUse:            "MacAddressInUse",
	network.AddressInUse:        "IpAddressAlreadyAllocated",
	network.AddressNotOnSubnet:  "InvalidIpForSubnet",
	network.AddressNotOnNetwork: "InvalidIpForNetwork",
	network.AddressIsAutomatic:  "AllocationOnAutoAddressSubnet",
	network.OutOfAddresses:      "IpAddressGenerationFailure",
	network.GroupsNeedSecurity:  "PortSecurityAndIPRequiredForSecurityGroups",
	network.SecurityHasGroups:   "PortSecurityPortHasSecurityGroup",
	network.PairsNeedSecurity:   "AddressPairAndPortSecurityRequired",
	network.PairTwice:           "DuplicateAddressPairInRequest",
	network.TooManyPairs:        "AllowedAddressPairExhausted",

	network.PortOwned:            "ServicePortInUse",
	router.NoSuchRouter:          "RouterNotFound",
	router.RouterInUse:           "RouterInUse",
	router.NoSuchInterface:       "RouterInterfaceNotFound",
	router.NoInterfaceOnSubnet:   "RouterInterfaceNotFoundForSubnet",
	router.SubnetNotOfPort:       "SubnetMismatchForPort",
	router.InterfaceInUseByFIP:   "RouterInterfaceInUseByFloatingIP",
	router.InterfaceInUseByRoute: "RouterInterfaceInUseByRoute",
	router.GatewayInUse:          "RouterExternalGatewayInUseByFloatingIp",
	router.InvalidRoutes:         "InvalidRoutes",
	router.TooManyRoutes:         "RoutesExhausted",

	router.NoSuchFloatingIP:   "FloatingIPNotFound",
	router.NotReachable:       "ExternalGatewayForFloatingIPNotFound",
	router.AlreadyAssociated:  "FloatingIPPortAlreadyAssociated",
	router.FloatingIPForwards: "FipInUseByPortForwarding",
	router.PortForwards:       "PortHasPortForwarding",
	router.PortHasFloatingIP:  "PortHasBindingFloatingIP",
	router.NoSuchForwarding:   "PortForwardingNotFound",

	network.RBACTwice: "DuplicateRbacPolicy",
	network.RBACInUse: "RbacPolicyInUse",

	securitygroup.NoSuchGroup:          "SecurityGroupNotFound",
	securitygroup.GroupInUse:           "SecurityGroupInUse",
	securitygroup.DefaultExists:        "SecurityGroupDefaultAlreadyExists",
	securitygroup.DefaultStays:         "SecurityGroupCannotRemoveDefault",
	securitygroup.DefaultKeepsName:     "SecurityGroupCannotUpdateDefault",
	securitygroup.NoSuchRule:           "SecurityGroupRuleNotFound",
	securitygroup.RuleExists:           "SecurityGroupRuleExists",
	securitygroup.NoSuchDefaultRule:    "DefaultSecurityGroupRuleNotFound",
	securitygroup.DefaultRuleExists:    "DefaultSecurityGroupRuleExists",
	securitygroup.NoSuchProtocol:       "SecurityGroupRuleInvalidProtocol",
	securitygroup.BadPortRange:         "SecurityGroupInvalidPortRange",
	securitygroup.BadPort:              "SecurityGroupInvalidPortValue",
	securitygroup.PortsNeedProtocol:    "SecurityGroupProtocolRequiredWithPorts",
	securitygroup.ProtocolWithoutPorts: "SecurityGroupInvalidProtocolForPort",
	securitygroup.BadICMP:              "SecurityGroupInvalidIcmpValue",
	securitygroup.ICMPNeedsType:        "SecurityGroupMissingIcmpType",
	securitygroup.WrongVersion:         "SecurityGroupEthertypeConflictWithProtocol",
	securitygroup.WrongCIDR:            "SecurityGroupRuleParameterConflict",
	securitygroup.ManyRemotes:          "SecurityGroupRemoteGroupAndRemoteIpPrefix",
	securitygroup.NoSuchAddressGroup:   "AddressGroupNotFound",
	securitygroup.AddressGroupInUse:    "AddressGroupInUse",
	securitygroup.NoSuchAddresses:      "AddressesNotFound",
	securitygroup.AddressesExist:       "AddressesAlreadyExist",

	qos.NoSuchPolicy:  "QosPolicyNotFound",
	qos.NoSuchRule:    "QosRuleNotFound",
	qos.PolicyInUse:   "QosPolicyInUse",
	qos.DefaultExists: "QosPolicyDefaultAlreadyExists",
	qos.RuleConflicts: "QoSRulesConflict",

	trunk.NoSuchTrunk:     "TrunkNotFound",
	trunk.NoSuchSubport:   "SubPortNotFound",
	trunk.ParentInUse:     "PortInUseAsTrunkParent",
	trunk.SubportInUse:    "PortInUseAsSubPort",
	trunk.NotAParent:      "ParentPortInUse",
	trunk.NotASubport:     "PortInUse",
	trunk.VLANInUse:       "DuplicateSubPort",
	trunk.MTUTooLarge:     "SubPortMtuGreaterThanTrunkPortMtu",
	trunk.TrunkDisabled:   "TrunkDisabled",
	trunk.EdgeCarriesNone: "PortBindingError",
}

// named gives what a handler refuses Neutron's name.
func named(handle osapi.Handler) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		result, err := handle(r)
		if err == nil {
			return result, nil
		}
		for why, name := range exceptions {
			if errors.Is(err, why) {
				return nil, &osapi.Error{Type: name, Err: err}
			}
		}
		return nil, err
	}
}

// failure is a refusal that only the wire knows.
func failure(exception string, kind fault.Kind, format string, args ...any) error {
	return &osapi.Error{Type: exception, Err: fault.New(kind, format, args...)}
}

func viewer(r *osapi.Request) tenancy.Viewer {
	return tenancy.Viewer{Project: r.Caller.ProjectID, All: r.Caller.ReadsAll()}
}

// mayWrite fails for callers who see a thing but may not change it.
func mayWrite(r *osapi.Request, project string) error {
	if r.Caller.Writes(project) {
		return nil
	}
	return fault.New(fault.Forbidden, "This belongs to another project, which shares it; only that project and admins may change it.")
}

// meta are the fields that networks, subnets and ports have in common.
func meta(m network.Meta) object {
	tags := m.Tags
	if tags == nil {
		tags = []string{}
	}
	return object{
		"id": m.ID, "name": m.Name, "description": m.Description, "project_id": m.Project, "tenant_id": m.Project, "tags": tags,
		"revision_number": m.Revision, "created_at": osapi.Zulu(m.Created), "updated_at": osapi.Zulu(m.Updated),
	}
}
