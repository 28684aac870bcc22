package network

import (
	"context"
	"crypto/rand"
	"net"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// NewPort says what port is wanted. Only Network and Project are required.
type NewPort struct {
	Network, Project      string
	Name, Description     string
	MAC                   string    // empty: one of our own
	FixedIPs              []FixedIP // nil: one of each IP version the network has; empty: none
	DeviceID, DeviceOwner string    // of a server: its id and "compute:<zone>"
	DNSName               string
	VNIC                  string // empty: normal
	AdminDown             bool
	PortSecurity          *bool    // nil: as the network says
	SecurityGroups        []string // ids; nil: the project's default group; empty: none
	AllowedPairs          []AddressPair
	DHCPOptions           []DHCPOption
	QoS                   string
	Place                 *Place // nil: it is bound later
	Profile               map[string]any
	Tags                  []string
	Anywhere              bool // also on a network that the project does not see, which is an admin's right
}

// CreatePort makes a port with its addresses. It fails with NotFound for a network that the project does not see, Quota
// when the project has as many ports as it may, Exhausted when the network has no address left, and Conflict for an
// address or a MAC that is somebody's. Ports of the cloud's own parts (device owner "network:…") may be on any network,
// have no groups and no port security, and count for no quota where they have no project.
func (s *Service) CreatePort(ctx context.Context, tx *db.Tx, spec NewPort) (*Port, error) {
	p := &Port{
		Meta:    Meta{ID: uuid.NewString(), Project: spec.Project, Name: spec.Name, Description: spec.Description, Tags: spec.Tags, Revision: 1, Created: s.clock.Now()},
		Network: spec.Network, MAC: strings.ToLower(spec.MAC), AdminUp: !spec.AdminDown, DeviceID: spec.DeviceID, DeviceOwner: spec.DeviceOwner,
		AskedVNIC: spec.VNIC, DNSName: spec.DNSName, AllowedPairs: spec.AllowedPairs, DHCPOptions: spec.DHCPOptions, QoS: spec.QoS, Profile: spec.Profile,
	}
	p.Updated = p.Created
	viewer := Viewer{Project: spec.Project, All: spec.Anywhere || p.OfCloud()}
	n, err := s.Network(ctx, tx, viewer, spec.Network)
	if err != nil {
		return nil, err
	}
	p.NetworkQoS = n.QoS
	if err := mayPlug(n, p); err != nil {
		return nil, err
	}
	if p.AskedVNIC == "" {
		p.AskedVNIC = VNICNormal
	}
	if p.MAC == "" {
		if p.MAC, err = s.freshMAC(ctx, tx, n.ID); err != nil {
			return nil, err
		}
	}
	if err := s.guard(ctx, tx, n, p, spec); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := s.around.Holds(p); err != nil {
		return nil, err
	}
	if err := s.checkPolicy(ctx, tx, p.Project, p.QoS); err != nil {
		return nil, err
	}
	if p.Project != "" {
		if err := s.WithinQuota(ctx, tx, p.Project, "port"); err != nil {
			return nil, err
		}
	}
	err = insert(ctx, tx, PortTable, portColumns, p.row())
	if db.IsDuplicate(err) {
		return nil, macInUse(p)
	}
	if err != nil {
		return nil, err
	}
	if err := s.allocate(ctx, tx, n, p, spec.FixedIPs, nil); err != nil {
		return nil, err
	}
	if err := s.around.Groups.SetPort(ctx, tx, p.ID, p.Groups); err != nil {
		return nil, err
	}
	if err := markPort(ctx, tx, p.ID); err != nil || spec.Place == nil {
		return p, err
	}
	if err := s.Bind(ctx, tx, p.ID, *spec.Place); err != nil {
		return nil, err
	}
	return s.Port(ctx, tx, Everything, p.ID)
}

// guard decides about port security and groups of a new port.
func (s *Service) guard(ctx context.Context, tx *db.Tx, n *Network, p *Port, spec NewPort) error {
	p.PortSecurity = n.PortSecurity && !p.OfCloud()
	set(&p.PortSecurity, spec.PortSecurity)
	p.Groups = sortedOnce(spec.SecurityGroups)
	if err := p.checkSecurity(true); err != nil {
		return err
	}
	if spec.SecurityGroups == nil && p.PortSecurity {
		id, err := s.around.Groups.Default(ctx, tx, p.Project)
		if err != nil {
			return err
		}
		if id != "" {
			p.Groups = []string{id}
		}
		return nil
	}
	return s.around.Groups.Check(ctx, tx, p.Project, p.Groups)
}

func sortedOnce(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// mayPlug keeps servers off a network that is only external for their project: there they would stand in front of every
// router and group. Nova says the same.
func mayPlug(n *Network, p *Port) error {
	if p.OfServer() && n.External && !n.Shared && n.Project != p.Project {
		return fault.New(fault.Forbidden, "It is not allowed to create an interface on external network %s", n.ID)
	}
	return nil
}

// freshMAC makes up a MAC that nobody has on the network, with the prefix that OpenStack's have.
func (s *Service) freshMAC(ctx context.Context, q db.Querier, network string) (string, error) {
	for {
		mac := net.HardwareAddr{0xfa, 0x16, 0x3e, 0, 0, 0}
		rand.Read(mac[3:]) //nolint:errcheck // it never fails
		taken, err := exists(ctx, q, `SELECT 1 FROM network_port WHERE network = $1 AND mac = $2`, network, mac.String())
		if err != nil || !taken {
			return mac.String(), err
		}
	}
}
