package network

import (
	"context"
	"crypto/rand"
	"net"
	"regexp"
	"strings"
	"unicode/utf8"

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
	SecurityGroups        []string // ids; there are none yet
	Tags                  []string
	Own                   bool // for a part of the network itself: on any network, with any of its addresses
}

// CreatePort makes a port with its addresses. It fails with NotFound for a network that the project does not see, Quota
// when the project has as many ports as it may, Exhausted when the network has no address left, and Conflict for an
// address or a MAC that is somebody's.
func (s *Service) CreatePort(ctx context.Context, tx *db.Tx, spec NewPort) (*Port, error) {
	n, err := s.Network(ctx, tx, Viewer{Project: spec.Project, All: spec.Own}, spec.Network)
	if err != nil {
		return nil, err
	}
	if owned(spec.DeviceOwner) && !spec.Own {
		return nil, fault.New(fault.Forbidden, "Only the network itself may use the device_owner %s.", spec.DeviceOwner)
	}
	p := &Port{Network: n.ID, MAC: strings.ToLower(spec.MAC), AdminUp: !spec.AdminDown, DeviceID: spec.DeviceID, DeviceOwner: spec.DeviceOwner, AskedVNIC: spec.VNIC, DNSName: spec.DNSName}
	p.Meta = Meta{ID: uuid.NewString(), Project: spec.Project, Name: spec.Name, Description: spec.Description, Tags: spec.Tags, Revision: 1, Created: s.clock.Now()}
	p.Updated = p.Created
	if p.AskedVNIC == "" {
		p.AskedVNIC = VNICNormal
	}
	if p.MAC == "" {
		if p.MAC, err = s.freshMAC(ctx, tx, n.ID); err != nil {
			return nil, err
		}
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := CheckGroups(spec.SecurityGroups); err != nil {
		return nil, err
	}
	if spec.Project != "" { // the outside ports of routers and floating IPs are nobody's
		if err := s.withinQuota(ctx, tx, spec.Project, "port"); err != nil {
			return nil, err
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO network_port (`+portColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		append(p.written(), p.rest()...)...)
	if db.IsDuplicate(err) {
		return nil, macInUse(p)
	}
	if err != nil {
		return nil, err
	}
	return p, s.allocate(ctx, tx, n, p, spec.FixedIPs, nil)
}

// CheckGroups fails for any security group: there are none yet.
func CheckGroups(ids []string) error {
	if len(ids) > 0 {
		return refuse(fault.NotFound, NoSuchGroup, "Security group %s does not exist", ids[0])
	}
	return nil
}

// check finds what cannot be a port.
func (p *Port) check() error {
	if err := p.Meta.check(); err != nil {
		return err
	}
	if len(p.DeviceID) > 255 || len(p.DeviceOwner) > 255 {
		return invalid("device_id", "it or device_owner exceeds the maximum length of 255")
	}
	mac, err := net.ParseMAC(p.MAC)
	if err != nil || len(mac) != 6 || mac.String() != p.MAC || mac[0]&1 != 0 || p.MAC == "00:00:00:00:00:00" {
		return invalid("mac_address", "'%s' is not a valid MAC address", p.MAC)
	}
	if p.AskedVNIC != VNICNormal && p.AskedVNIC != VNICBaremetal {
		return invalid("binding:vnic_type", "'%s' is not in ['normal', 'baremetal']", p.AskedVNIC)
	}
	if p.DNSName != "" && (len(p.DNSName) > 255 || !dnsName.MatchString(p.DNSName)) {
		return invalid("dns_name", "'%s' not a valid PQDN or FQDN", p.DNSName)
	}
	return nil
}

var dnsName = regexp.MustCompile(`(?i)^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*\.?$`)

func (m *Meta) check() error {
	if utf8.RuneCountInString(m.Name) > 255 {
		return invalid("name", "'%s' exceeds maximum length of 255", m.Name)
	}
	if utf8.RuneCountInString(m.Description) > 255 {
		return invalid("description", "'%s' exceeds maximum length of 255", m.Description)
	}
	return checkTags(m.Tags)
}

func invalid(field, format string, args ...any) error {
	return fault.New(fault.Invalid, "Invalid input for "+field+". Reason: "+format+".", args...)
}

// freshMAC makes up a MAC that nobody has on the network, with the prefix that OpenStack's have.
func (s *Service) freshMAC(ctx context.Context, q db.Querier, network string) (string, error) {
	for {
		mac := net.HardwareAddr{0xfa, 0x16, 0x3e, 0, 0, 0}
		rand.Read(mac[3:]) //nolint:errcheck // it never fails
		var one int
		err := q.QueryRowContext(ctx, `SELECT 1 FROM network_port WHERE network = $1 AND mac = $2`, network, mac.String()).Scan(&one)
		if missing(err) {
			return mac.String(), nil
		}
		if err != nil {
			return "", err
		}
	}
}
