// Package qos knows limits of bandwidth: policies with their rules, which networks, ports and floating IPs name.
package qos

import "time"

// Policy is a set of rules.
type Policy struct {
	ID, Project       string
	Name, Description string
	Tags              []string
	Revision          int
	Created, Updated  time.Time
	Shared, Default   bool
	Rules             []*Rule
}

// RuleKind is Neutron's name for what a rule does.
type RuleKind string

// The kinds.
const (
	BandwidthLimit RuleKind = "bandwidth_limit"
	DSCPMarking    RuleKind = "dscp_marking"
)

// Rule is one of a policy.
type Rule struct {
	ID     string
	Kind   RuleKind
	Egress bool // from the port; else to it (BandwidthLimit)
	Rate   int  // kbit/s (BandwidthLimit)
	Burst  int  // kbit (BandwidthLimit); 0: 80 % of what the rate lets through in a second
	DSCP   int  // 0 to 56 (DSCPMarking)
}
