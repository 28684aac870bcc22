package chassis

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
)

// firewall lets tenants' frames in an outpost reach port 80 of the service's addresses and nothing else, and lets only
// answers from there out. It holds before the interface is up. There is no forwarding: prerouting drops what is not for
// the service, and the kernel is told so too (deafen).
func firewall(addresses []netip.Addr) string {
	var in, out strings.Builder
	for _, a := range addresses {
		family := "ip"
		if a.Is6() {
			family = "ip6"
			in.WriteString("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n")
			out.WriteString("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n")
		}
		fmt.Fprintf(&in, "%s daddr %s tcp dport %d accept\n", family, a, servicePort)
		fmt.Fprintf(&out, "%s saddr %s tcp sport %d accept\n", family, a, servicePort)
	}
	return `
	table inet ingot
	delete table inet ingot
	table inet ingot {
		chain in {
			type filter hook prerouting priority raw; policy drop;
			` + in.String() + `
		}
		chain forward {
			type filter hook forward priority filter; policy drop;
		}
		chain out {
			type filter hook output priority filter; policy drop;
			` + out.String() + `
		}
	}`
}

// loadRules loads a whole ruleset at once, into the caller's network namespace.
func loadRules(rules string) error {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// deafen turns off what the kernel of the caller's namespace does with frames of its own accord. Without one of IPv6's
// addresses there is no IPv6 in there at all.
func deafen(v6 bool) error {
	off := "1"
	if v6 {
		off = "0"
	}
	return setSysctls(map[string]string{
		"ipv4/ip_forward":                "0",
		"ipv4/conf/all/arp_ignore":       "1", // answer for an address only where it is
		"ipv4/conf/all/accept_redirects": "0",
		"ipv6/conf/all/forwarding":       "0",
		"ipv6/conf/all/disable_ipv6":     off,
		"ipv6/conf/default/disable_ipv6": off,
		"ipv6/conf/all/accept_ra":        "0",
		"ipv6/conf/default/accept_ra":    "0",
		"ipv6/conf/default/accept_dad":   "0", // OVN answers for the address: it would seem to be taken
		// No address but the one that is given.
		"ipv6/conf/default/addr_gen_mode": "1",
	})
}

func setSysctls(values map[string]string) error {
	for name, value := range values {
		err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without IPv6 is as good
			return err
		}
	}
	return nil
}
