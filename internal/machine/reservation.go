package machine

import (
	"context"
	"net/netip"
)

// Reservation is what a NIC in quarantine gets by DHCP.
type Reservation struct {
	Address  netip.Prefix
	Hostname string
	BootKey  string // of the boot armed for the machine; empty: none
}

// Reservation of a MAC address: nil when the NIC is none of ours or is handed over to a tenant.
func (s *Service) Reservation(ctx context.Context, mac string) (*Reservation, error) {
	nic, err := s.NICByMAC(ctx, s.db, mac)
	if err != nil || nic == nil {
		return nil, err
	}
	m, err := s.Get(ctx, s.db, nic.Machine)
	if err != nil || m.HandedOver {
		return nil, err
	}
	address, err := netip.ParsePrefix(nic.Address)
	if err != nil {
		return nil, err
	}
	r := &Reservation{Address: address, Hostname: m.Name}
	boot, err := s.CurrentBoot(ctx, s.db, m.ID)
	if err != nil {
		return nil, err
	}
	if boot != nil && boot.Session == "" && nic.PXE {
		r.BootKey = boot.Key
	}
	return r, nil
}
