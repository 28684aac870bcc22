package ovn

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
)

// A machine's tap or veth is an interface of the kernel too: the kernel sees each frame beside Open vSwitch, and would
// answer for every address of its own, past all of OVN's rules. So the namespaces that such interfaces are in have next to
// no address, and these rules drop everything before the kernel looks at it.

// silence is for a namespace with a plain switch.
const silence = `
	table inet ingot
	delete table inet ingot
	table inet ingot {
		chain drop-all {
			type filter hook prerouting priority raw; policy drop;
			iifname "lo" accept
		}
	}
	table arp ingot
	delete table arp ingot
	table arp ingot {
		chain drop-all {
			type filter hook input priority filter; policy drop;
		}
	}
`

// tunnelsOnly is silence but for the underlay: Geneve, and ARP to find the other chassis.
const tunnelsOnly = silence + `
	add rule inet ingot drop-all iifname "` + bridgeUnderlay + `" udp dport 6081 accept
	add rule arp ingot drop-all iifname "` + bridgeUnderlay + `" accept
`

// loadRules loads a whole ruleset at once, into the caller's network namespace.
func loadRules(rules string) error {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}
