package network

import (
	"context"
	"math/rand/v2"
	"regexp"
	"slices"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Zone is the one availability zone that networks and routers are in.
const Zone = "nova"

// NewNetwork says what network is wanted. Only Project is required.
type NewNetwork struct {
	Project           string
	Name, Description string
	AdminDown         bool
	Shared, External  bool // with and for all projects
	Default           bool
	NoPortSecurity    bool
	MTU               int // bytes; 0: the most that fits
	Wire              Wire
	QoS, DNSDomain    string
	Zones, Tags       []string
}

// Wire is how a network is carried, as an operator asks for it; the zero one is a tunnel of the cloud's choice.
type Wire struct {
	Kind     Kind
	Physical string
	Segment  int
}

// Tunnels have numbers of 24 bits (RFC 8926).
const (
	firstTunnel = 1
	lastTunnel  = 1<<24 - 1
)

// overhead is what a Geneve tunnel over IPv4 takes of each packet, OVN's option included, in bytes.
const overhead = 58

// CreateNetwork makes a network. It fails with Quota when the project has as many as it may, and Conflict when the wire
// is another network's.
func (s *Service) CreateNetwork(ctx context.Context, tx *db.Tx, spec NewNetwork) (*Network, error) {
	n := &Network{
		Meta:    Meta{ID: uuid.NewString(), Project: spec.Project, Name: spec.Name, Description: spec.Description, Tags: spec.Tags, Revision: 1, Created: s.clock.Now()},
		AdminUp: !spec.AdminDown, Shared: spec.Shared, External: spec.External, Default: spec.Default, PortSecurity: !spec.NoPortSecurity,
		MTU: spec.MTU, Kind: spec.Wire.Kind, Physical: spec.Wire.Physical, Segment: spec.Wire.Segment,
		QoS: spec.QoS, DNSDomain: spec.DNSDomain, Zones: spec.Zones,
	}
	n.Updated = n.Created
	if err := s.chooseWire(ctx, tx, n); err != nil {
		return nil, err
	}
	if n.MTU == 0 {
		n.MTU = s.mostMTU(n.Kind)
	}
	if err := s.checkNetwork(ctx, tx, n); err != nil {
		return nil, err
	}
	if err := s.checkPolicy(ctx, tx, n.Project, n.QoS); err != nil {
		return nil, err
	}
	if err := s.WithinQuota(ctx, tx, n.Project, "network"); err != nil {
		return nil, err
	}
	if err := insert(ctx, tx, NetworkTable, networkColumns, n.row()); err != nil {
		return nil, err
	}
	for action, wanted := range map[string]bool{AsShared: n.Shared, AsExternal: n.External} {
		if !wanted {
			continue
		}
		if err := s.share(ctx, tx, n.Project, SharedNetwork, n.ID, action); err != nil {
			return nil, err
		}
	}
	return n, markNetwork(ctx, tx, n.ID)
}

// chooseWire checks the wire that was asked for, or chooses a tunnel.
func (s *Service) chooseWire(ctx context.Context, tx *db.Tx, n *Network) error {
	known := len(s.around.Wires) == 0 || slices.Contains(s.around.Wires, n.Physical)
	switch n.Kind {
	case "":
		if n.Physical != "" || n.Segment != 0 {
			return badInput("provider:network_type required")
		}
		n.Kind = GeneveKind
	case GeneveKind:
		if n.Physical != "" {
			return badInput("provider:physical_network specified for geneve network")
		}
		if n.Segment != 0 && (n.Segment < firstTunnel || n.Segment > lastTunnel) {
			return badInput("segmentation_id out of range (%d through %d)", firstTunnel, lastTunnel)
		}
	case FlatKind, VLANKind:
		if n.Physical == "" {
			return badInput("physical_network required for %s provider network", n.Kind)
		}
		if !known {
			return badInput("physical_network '%s' unknown for %s provider network", n.Physical, n.Kind)
		}
		if n.Kind == FlatKind && n.Segment != 0 {
			return badInput("provider:segmentation_id specified for flat network")
		}
		if n.Kind == VLANKind && (n.Segment < 1 || n.Segment > 4094) {
			return badInput("segmentation_id out of range (1 through 4094)")
		}
	default:
		return badInput("network_type value '%s' not supported", n.Kind)
	}
	if n.Kind == GeneveKind && n.Segment == 0 {
		return s.chooseTunnel(ctx, tx, n)
	}
	taken, err := s.wireTaken(ctx, tx, n)
	if err != nil || !taken {
		return err
	}
	switch n.Kind {
	case FlatKind:
		return refuse(fault.Conflict, FlatInUse, "Unable to create the flat network. Physical network %s is in use.", n.Physical)
	case VLANKind:
		return refuse(fault.Conflict, VLANInUse, "Unable to create the network. The VLAN %d on physical network %s is in use.", n.Segment, n.Physical)
	}
	return refuse(fault.Conflict, TunnelInUse, "Unable to create the network. The tunnel ID %d is in use.", n.Segment)
}

func (s *Service) wireTaken(ctx context.Context, q db.Querier, n *Network) (bool, error) {
	return exists(ctx, q, `SELECT 1 FROM network WHERE kind = $1 AND physical = $2 AND segment = $3`, n.Kind, n.Physical, n.Segment)
}

// chooseTunnel draws a number until it is a free one. There are 16 million, so creates at the same time seldom meet.
func (s *Service) chooseTunnel(ctx context.Context, tx *db.Tx, n *Network) error {
	for {
		n.Segment = firstTunnel + rand.IntN(lastTunnel-firstTunnel+1)
		if taken, err := s.wireTaken(ctx, tx, n); err != nil || !taken {
			return err
		}
	}
}

func (s *Service) mostMTU(kind Kind) int {
	if kind == GeneveKind {
		return s.around.MTU - overhead
	}
	return s.around.MTU
}

// checkNetwork finds what cannot be a network, alone and beside the others.
func (s *Service) checkNetwork(ctx context.Context, q db.Querier, n *Network) error {
	if err := n.Meta.check(); err != nil {
		return err
	}
	if n.MTU < 68 { // RFC 791
		return invalid("mtu", "'%d' is too small - must be at least '68'", n.MTU)
	}
	if most := s.mostMTU(n.Kind); n.MTU > most {
		return badInput("Requested MTU is too big, maximum is %d", most)
	}
	if n.DNSDomain != "" && (len(n.DNSDomain) > 255 || n.DNSDomain[len(n.DNSDomain)-1] != '.' || !dnsName.MatchString(n.DNSDomain)) {
		return invalid("dns_domain", "'%s' is not a FQDN", n.DNSDomain)
	}
	for _, zone := range n.Zones {
		if zone != Zone {
			return refuse(fault.NotFound, NoSuchZone, "AvailabilityZone %s could not be found.", zone)
		}
	}
	if !n.Default {
		return nil
	}
	if !n.External {
		return badInput("The network %s is not external: it cannot be the default one", n.ID)
	}
	second, err := exists(ctx, q, `SELECT 1 FROM network WHERE is_default AND id <> $1`, n.ID)
	if err == nil && second {
		err = refuse(fault.Conflict, SecondDefault, "A default external network already exists.")
	}
	return err
}

// checkPolicy fails for a QoS policy that the project may not use.
func (s *Service) checkPolicy(ctx context.Context, q db.Querier, project, id string) error {
	if id == "" {
		return nil
	}
	return s.around.Policies.Check(ctx, q, project, id)
}

var dnsName = regexp.MustCompile(`(?i)^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*\.?$`)
