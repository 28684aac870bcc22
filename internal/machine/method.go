package machine

import "slices"

// Method is a way to start the agent's RAM disk on a machine.
type Method string

// The methods, best first.
const (
	ByMedia  Method = "virtual-media" // an ISO image that the BMC shows as a CD: no DHCP, no trust in the network
	ByHTTP   Method = "uefi-http"     // the firmware fetches the unified kernel image by HTTP
	ByPXE    Method = "pxe"           // TFTP to iPXE, then HTTP
	NoMethod Method = ""              // this machine cannot be started by us
)

// Abilities of a machine that decide how it can start.
type Abilities struct {
	VirtualMedia bool // its BMC has a virtual CD
	HTTPBoot     bool // its firmware can be told to boot over HTTP
	UEFI         bool // it runs in UEFI mode
	SecureBoot   bool // it starts only what is signed
	Network      bool // it has a NIC on the quarantine network; known from its NICs, not kept
}

// methods says what each method asks of a machine, in order of preference.
var methods = []struct {
	method Method
	fits   func(Abilities) bool
}{
	{ByMedia, func(a Abilities) bool { return a.VirtualMedia && a.UEFI }}, // our ISO has no BIOS boot record
	{ByHTTP, func(a Abilities) bool { return a.HTTPBoot && a.UEFI && a.Network }},
	{ByPXE, func(a Abilities) bool { return a.Network && !a.SecureBoot }}, // Debian's iPXE is not signed
}

// Method is how the machine starts the agent, with the NICs it has now.
func (m *Machine) Method(nics []*NIC) Method {
	able := m.Abilities
	able.Network = slices.ContainsFunc(nics, func(n *NIC) bool { return n.PXE })
	return Choose(able)
}

// Choose is the best method for a machine; NoMethod when there is none.
func Choose(a Abilities) Method {
	for _, m := range methods {
		if m.fits(a) {
			return m.method
		}
	}
	return NoMethod
}
