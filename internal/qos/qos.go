// Package qos knows limits of bandwidth: policies with their rules, which networks, ports and floating IPs name. It knows
// those by their ids only: they ask it (Check), and it asks them who names a policy (Users).
package qos

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/tenancy"
)

// Service is the policies' domain.
type Service struct {
	clock clock.Clock

	// What other domains know, set once before the first call. At first nothing is shared and nothing in use.
	Shares Shares
	Users  []Users
}

// New makes the service.
func New(c clock.Clock) *Service { return &Service{clock: c, Shares: nobodyShares{}} }

// Policy is a set of rules.
type Policy struct {
	ID, Project       string
	Name, Description string
	Tags              []string
	Revision          int // raised by every change, also of a rule
	Created, Updated  time.Time
	Shared            bool // with the project that looks at it, or with every project
	Default           bool // the project's new networks have it
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
	ID, Policy string
	Kind       RuleKind
	Egress     bool // from the port; else to it (BandwidthLimit)
	Rate       int  // kbit/s (BandwidthLimit)
	Burst      int  // kbit (BandwidthLimit); 0: 80 % of what the rate lets through in a second
	DSCP       int  // 0 to 56 (DSCPMarking)
}

// Viewer is through whose eyes something is looked at.
type Viewer = tenancy.Viewer

// Everything is the view of the cloud's own parts.
var Everything = tenancy.Everything

// Reason tells refusals apart that have the same fault.Kind. It is the cause of the fault, for errors.Is; the wire has a
// name for each.
type Reason string

func (r Reason) Error() string { return string(r) }

// The reasons.
const (
	NoSuchPolicy  Reason = "no such QoS policy"
	NoSuchRule    Reason = "no such QoS rule"
	PolicyInUse   Reason = "QoS policy in use"
	DefaultExists Reason = "default QoS policy exists"
	RuleConflicts Reason = "QoS rule conflicts"
)

func refuse(kind fault.Kind, why Reason, format string, args ...any) error {
	return fault.Wrap(why, kind, format, args...)
}

func invalid(field, format string, args ...any) error {
	return fault.New(fault.Invalid, "Invalid input for "+field+". Reason: "+format+".", args...)
}

// check finds what cannot be a policy. A name is needed, and Neutron's limits hold: 50 tags of 255 characters.
func (p *Policy) check() error {
	if utf8.RuneCountInString(p.Name) > 255 || p.Name == "" {
		return invalid("name", "'%s' is empty or exceeds maximum length of 255", p.Name)
	}
	if utf8.RuneCountInString(p.Description) > 255 {
		return invalid("description", "'%s' exceeds maximum length of 255", p.Description)
	}
	if len(p.Tags) > 50 {
		return invalid("tags", "%d are more than 50", len(p.Tags))
	}
	for _, tag := range p.Tags {
		if tag == "" || utf8.RuneCountInString(tag) > 255 || strings.Contains(tag, ",") {
			return invalid("tags", "'%s' is empty, has a comma, or is longer than 255 characters", tag)
		}
	}
	p.Tags = append([]string{}, p.Tags...)
	slices.Sort(p.Tags)
	p.Tags = slices.Compact(p.Tags)
	return nil
}

// DSCPMarks are the values that Neutron knows (RFC 2474, 2597, 3246, 5865).
var DSCPMarks = []int{0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 46, 48, 56}

// check finds what cannot be a rule.
func (r *Rule) check() error {
	const most = 1<<31 - 1
	switch {
	case r.Kind == BandwidthLimit && (r.Rate < 1 || r.Rate > most):
		return invalid("max_kbps", "'%d' is not in range 1 to %d", r.Rate, most)
	case r.Kind == BandwidthLimit && (r.Burst < 0 || r.Burst > most):
		return invalid("max_burst_kbps", "'%d' is not in range 0 to %d", r.Burst, most)
	case r.Kind == DSCPMarking && !slices.Contains(DSCPMarks, r.DSCP):
		return invalid("dscp_mark", "%d is not in %v", r.DSCP, DSCPMarks)
	}
	return nil
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}
