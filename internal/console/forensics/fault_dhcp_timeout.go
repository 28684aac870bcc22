package forensics

import "regexp"

// dhcpTimeout is PXE's (Intel's and EDK 2's numbers), iPXE's, the kernel's and the usual clients'.
var dhcpTimeout = Fault{
	Name: "dhcp-timeout",
	Says: "Nobody answered when the machine asked for an address: %s",
	Do:   "Look whether the server's port is on a subnet with DHCP and is up, and whether the system asks on the right network card.",
	Signs: []Sign{
		{Text: "PXE-E", Detail: regexp.MustCompile(`(PXE-E(?:16|18|51|52).*)`)},
		{Text: "No configuration methods", Detail: regexp.MustCompile(`(No configuration methods)`)}, // a serial BIOS breaks the line here
		{Text: "ipconfig: no response after", Detail: regexp.MustCompile(`(no response after .*)`)},
		{Text: "IP-Config: ", Detail: regexp.MustCompile(`IP-Config: (Auto-configuration of network failed|Retrying forever.*)`)},
		{Text: "No DHCPOFFERS received", Detail: regexp.MustCompile(`(No DHCPOFFERS received)`)},
		{Text: "dhcp4 (", Detail: regexp.MustCompile(`(dhcp4 \(\S+\): request timed out)`)},
		{Text: "Timeout occurred while waiting for network connectivity", Detail: regexp.MustCompile(`(Timeout occurred while waiting for network connectivity)`)},
	},
}
