package netboot

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// program is a kind of boot program that asks by DHCP, and what it is told to load.
type program struct {
	name string
	is   func(*dhcpv4.DHCPv4) bool
	// file that it loads: a name on the TFTP server, or an artefact of the boot (an HTTP URL).
	file     string
	artefact string
}

// programs in the order of asking: iPXE first, because it also says that it is the firmware it was started by.
var programs = []program{
	{"iPXE", isIPXE, "", Script},
	{"UEFI HTTP", func(m *dhcpv4.DHCPv4) bool { return class(m, "HTTPClient") && arch(m, iana.EFI_X86_64_HTTP) }, "", UKI},
	// 9 is what firmware sends that follows RFC 4578 before its erratum.
	{"UEFI PXE", func(m *dhcpv4.DHCPv4) bool { return class(m, "PXEClient") && arch(m, iana.EFI_X86_64, iana.EFI_BC) }, ipxeUEFI, ""},
	{"BIOS PXE", func(m *dhcpv4.DHCPv4) bool { return class(m, "PXEClient") && arch(m, iana.INTEL_X86PC) }, ipxeBIOS, ""},
}

// programOf is the boot program that sent m; nil for an operating system, or firmware that we have nothing for.
func programOf(m *dhcpv4.DHCPv4) *program {
	for i := range programs {
		if programs[i].is(m) {
			return &programs[i]
		}
	}
	return nil
}

// isIPXE looks for the user class (option 77, with or without RFC 3004's length bytes) and for iPXE's own option 175.
func isIPXE(m *dhcpv4.DHCPv4) bool {
	return strings.Contains(string(m.Options.Get(dhcpv4.OptionUserClassInformation)), "iPXE") || m.Options.Has(optionIPXE)
}

// class compares the vendor class (option 60), of which only the part before the colon is fixed.
func class(m *dhcpv4.DHCPv4, name string) bool {
	head, _, _ := strings.Cut(m.ClassIdentifier(), ":")
	return head == name
}

// arch looks for one of the architectures in option 93 (RFC 4578, IANA's processor architecture types).
func arch(m *dhcpv4.DHCPv4, any ...iana.Arch) bool {
	return slices.ContainsFunc(m.ClientArch(), func(a iana.Arch) bool { return slices.Contains(any, a) })
}

// DHCP options that the codec has no constructors for.
var (
	optionIPXE        = dhcpv4.GenericOptionCode(175) // iPXE's encapsulated options
	optionVendor      = dhcpv4.OptionVendorSpecificInformation
	optionMachineGUID = dhcpv4.OptionClientMachineIdentifier
)

// boot adds what the boot program is to load, and what keeps it from waiting for other servers.
func (p *program) boot(reply, request *dhcpv4.DHCPv4, self netip.Addr, web netip.AddrPort, key string) {
	file := p.file
	if file == "" {
		file = URL(web, key, p.artefact)
	}
	reply.ServerIPAddr = self.AsSlice()
	reply.UpdateOption(dhcpv4.OptTFTPServerName(self.String()))
	reply.UpdateOption(dhcpv4.OptBootFileName(file))
	// The fixed field has 128 bytes with the final zero; whoever sends us long keys reads option 67.
	if len(file) < 128 {
		reply.BootFileName = file
	}
	// The PXE specification wants the machine's GUID back.
	if guid := request.Options.Get(optionMachineGUID); guid != nil {
		reply.UpdateOption(dhcpv4.OptGeneric(optionMachineGUID, guid))
	}
	switch {
	case isIPXE(request):
		// Sub-option 176 of option 175, no-pxedhcp: do not wait for a ProxyDHCP server.
		reply.UpdateOption(dhcpv4.OptGeneric(optionIPXE, []byte{176, 1, 1}))
	case class(request, "HTTPClient"):
		// UEFI takes no URL from a server that does not say this (UEFI specification 24.7.3).
		reply.UpdateOption(dhcpv4.OptClassIdentifier("HTTPClient"))
	case class(request, "PXEClient"):
		reply.UpdateOption(dhcpv4.OptClassIdentifier("PXEClient"))
		// PXE_DISCOVERY_CONTROL 8: load the boot file at once, look for no boot servers.
		reply.UpdateOption(dhcpv4.OptGeneric(optionVendor, []byte{6, 1, 8, 255}))
	}
}
