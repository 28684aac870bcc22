package network

import "github.com/ingotcloud/ingot/internal/fault"

// Reason tells refusals apart that have the same fault.Kind. It is the cause of the fault, for errors.As; the wire has
// a name for each.
type Reason string

func (r Reason) Error() string { return string(r) }

// The reasons.
const (
	NoSuchNetwork      Reason = "no such network"
	NoSuchSubnet       Reason = "no such subnet"
	NoSuchPort         Reason = "no such port"
	NoSuchGroup        Reason = "no such security group"
	NoSuchPolicy       Reason = "no such QoS policy"
	NoSuchSubnetPool   Reason = "no such subnet pool"
	NoSuchAddressScope Reason = "no such address scope"
	NoSuchRBAC         Reason = "no such RBAC policy"
	NoSuchZone         Reason = "no such availability zone"
	NoSuchObject       Reason = "no such thing to share"

	BadInput   Reason = "bad input"   // Neutron has one name for most of what cannot be
	BadRequest Reason = "bad request" // and another for some of it
	OverQuota  Reason = "over quota"

	NetworkInUse      Reason = "network in use"
	FlatInUse         Reason = "physical network in use"
	VLANInUse         Reason = "VLAN in use"
	TunnelInUse       Reason = "tunnel in use"
	SecondDefault     Reason = "second default network"
	MTUTooSmall       Reason = "MTU too small for its subnets"
	SharedNetworkUsed Reason = "others are on the network"

	SubnetInUse         Reason = "subnet in use"
	BadPool             Reason = "bad allocation pool"
	PoolOutside         Reason = "allocation pool outside the subnet"
	PoolsOverlap        Reason = "allocation pools overlap"
	GatewayInPool       Reason = "gateway in an allocation pool"
	GatewayInUse        Reason = "gateway in use"
	TooManyDNS          Reason = "too many name servers"
	TooManyRoutes       Reason = "too many host routes"
	SubnetPoolShort     Reason = "subnet pool exhausted"
	SubnetPoolOverQuota Reason = "subnet pool over quota"
	SubnetPoolInUse     Reason = "subnet pool in use"
	SubnetPoolMixed     Reason = "subnet pool of two IP versions"
	SubnetPoolEmpty     Reason = "subnet pool without prefixes"
	SubnetPoolBounds    Reason = "subnet pool's prefix lengths"
	SubnetPoolShrinks   Reason = "subnet pool would shrink"
	SubnetPoolAffinity  Reason = "subnets of several pools on one network"
	PrefixTooShort      Reason = "prefix too short"
	PrefixTooLong       Reason = "prefix too long"
	AddressScopeInUse   Reason = "address scope in use"
	AddressScopeClash   Reason = "prefixes overlap in an address scope"
	AddressScopeVersion Reason = "address scope of the other IP version"

	PortInUse           Reason = "port in use"
	PortBound           Reason = "port bound"
	PortUnguarded       Reason = "no edge to guard the port"
	MACInUse            Reason = "MAC in use"
	AddressInUse        Reason = "address in use"
	AddressNotOnSubnet  Reason = "address not on the subnet"
	AddressNotOnNetwork Reason = "address not on the network"
	AddressIsAutomatic  Reason = "address is automatic"
	OutOfAddresses      Reason = "out of addresses"
	GroupsNeedSecurity  Reason = "groups without port security"
	SecurityHasGroups   Reason = "port security with groups"
	PairsNeedSecurity   Reason = "address pairs without port security"
	PairTwice           Reason = "address pair twice"
	TooManyPairs        Reason = "too many address pairs"

	RBACTwice Reason = "RBAC policy twice"
	RBACInUse Reason = "RBAC policy in use"
)

func refuse(kind fault.Kind, why Reason, format string, args ...any) error {
	return fault.Wrap(why, kind, format, args...)
}

// invalid refuses a field's value, as Neutron does before it looks at anything else.
func invalid(field, format string, args ...any) error {
	return fault.New(fault.Invalid, "Invalid input for "+field+". Reason: "+format+".", args...)
}

// badInput refuses what each field allows and all together do not.
func badInput(format string, args ...any) error {
	return refuse(fault.Invalid, BadInput, "Invalid input for operation: "+format+".", args...)
}
