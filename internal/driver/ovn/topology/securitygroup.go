package topology

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

// ACLs are evaluated tier by tier, in each by priority; a tier in which nothing matches passes on to the next. A firewall
// comes before the security groups: what it passes they decide.
const (
	firewallTier = 0
	groupTier    = 1

	downPriority  = 32000 // in firewallTier: a network that is switched off
	allowPriority = 1002
	dropPriority  = 1001
)

// Numbers of IP protocols (IANA) that rules may say more of.
const (
	icmp   = 1
	tcp    = 6
	udp    = 17
	icmpV6 = 58
	sctp   = 132
)

var withPorts = map[int]string{tcp: "tcp", udp: "udp", sctp: "sctp"}

// securityGroup is a group with one ACL for each rule. What no rule of any of its groups lets through, the network's guard
// drops.
func securityGroup(g *securitygroup.Group) []ovn.Row {
	name := groupName(g.ID)
	rows := []ovn.Row{{ID: name, Model: &nbdb.PortGroup{Name: name}}}
	action := nbdb.ACLActionAllowRelated
	if !g.Stateful {
		action = nbdb.ACLActionAllowStateless
	}
	for _, rule := range g.Rules {
		if CheckRule(rule) != nil {
			continue // it was refused; let nothing through in its name
		}
		acl := &nbdb.ACL{Tier: groupTier, Priority: allowPriority, Action: action, Match: match(name, rule), Direction: nbdb.ACLDirectionToLport}
		if rule.Egress {
			acl.Direction = nbdb.ACLDirectionFromLport
		}
		rows = append(rows, ovn.Row{ID: rule.ID, In: []ovn.Ref{ovn.Group(name)}, Model: acl})
	}
	return rows
}

// CheckRule gives the fault (Unsupported) of a rule that OVN has no words for: ports of other protocols than TCP, UDP and
// SCTP.
func CheckRule(r *securitygroup.Rule) error {
	ranged := r.First != securitygroup.None || r.Last != securitygroup.None
	switch r.Protocol {
	case icmp, icmpV6, tcp, udp, sctp:
		return nil
	}
	if ranged {
		return fault.New(fault.Unsupported, "A rule for the IP protocol %d cannot name ports here.", r.Protocol)
	}
	return nil
}

// match is a rule in OVN's words (ovn-sb(5), Logical_Flow). Nothing in it is a user's text.
func match(group string, r *securitygroup.Rule) string {
	side, remote := "outport", "src"
	if r.Egress {
		side, remote = "inport", "dst"
	}
	ip := fmt.Sprintf("ip%d", r.Version)
	terms := []string{fmt.Sprintf("%s == @%s", side, group), ip}
	far := func(value string) { terms = append(terms, fmt.Sprintf("%s.%s == %s", ip, remote, value)) }
	switch {
	case r.RemoteGroup != "":
		far(fmt.Sprintf("$%s_ip%d", groupName(r.RemoteGroup), r.Version)) // OVN keeps the addresses of a group's ports
	case r.RemoteAddressGroup != "":
		far("$" + addressSetName(r.RemoteAddressGroup, r.Version))
	case r.RemoteCIDR.IsValid() && r.RemoteCIDR.Bits() > 0:
		far(r.RemoteCIDR.Masked().String())
	}
	return strings.Join(append(terms, protocol(r)...), " && ")
}

// protocol is the rest of a rule's match.
func protocol(r *securitygroup.Rule) []string {
	switch {
	case r.Protocol == securitygroup.AnyProtocol:
		return nil
	case r.Protocol == icmp || r.Protocol == icmpV6:
		name := fmt.Sprintf("icmp%d", r.Version) // Neutron takes ICMP's number for IPv6 too
		terms := []string{name}
		if r.First != securitygroup.None {
			terms = append(terms, fmt.Sprintf("%s.type == %d", name, r.First))
		}
		if r.Last != securitygroup.None {
			terms = append(terms, fmt.Sprintf("%s.code == %d", name, r.Last))
		}
		return terms
	case withPorts[r.Protocol] != "":
		name := withPorts[r.Protocol]
		return append([]string{name}, ports(name+".dst", r.First, r.Last)...)
	}
	return []string{fmt.Sprintf("ip.proto == %d", r.Protocol)}
}

func ports(field string, first, last int) []string {
	switch {
	case first == securitygroup.None && last == securitygroup.None:
		return nil
	case first == last || last == securitygroup.None:
		return []string{fmt.Sprintf("%s == %d", field, first)}
	}
	return []string{fmt.Sprintf("%s >= %d", field, max(first, 0)), fmt.Sprintf("%s <= %d", field, last)}
}

// addressGroup is two sets: OVN's are of one version each.
func addressGroup(g *securitygroup.AddressGroup) []ovn.Row {
	var rows []ovn.Row
	for _, version := range []int{4, 6} {
		name := addressSetName(g.ID, version)
		rows = append(rows, ovn.Row{ID: name, Model: &nbdb.AddressSet{Name: name, Addresses: ofVersion(g.Addresses, version)}})
	}
	return rows
}

func ofVersion(list []netip.Prefix, version int) []string {
	var texts []string
	for _, prefix := range list {
		if prefix.Addr().Is4() == (version == 4) {
			texts = append(texts, prefix.Masked().String())
		}
	}
	return texts
}
