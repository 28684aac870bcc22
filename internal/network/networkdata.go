package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/ingotcloud/ingot/internal/db"
)

// NetworkData is the network_data.json of a server's config drive: its ports' links, addresses and name servers, with
// the MACs of the NICs that the ports are bound to. The form is Nova's (doc/api_schemas/network_data.json): addresses are
// static there, so that a machine comes up without DHCP too.
func (s *Service) NetworkData(ctx context.Context, q db.Querier, device string) (map[string]any, error) {
	ports, err := s.PortsOf(ctx, q, device)
	if err != nil {
		return nil, err
	}
	links, networks, services := []any{}, []any{}, []any{}
	told := map[netip.Addr]bool{}
	for _, p := range ports {
		n, err := s.Network(ctx, q, Everything, p.Network)
		if err != nil {
			return nil, err
		}
		subnets, err := s.subnetsByID(ctx, q, n.ID)
		if err != nil {
			return nil, err
		}
		link := "tap" + p.ID[:11]
		links = append(links, map[string]any{"id": link, "vif_id": p.ID, "type": "phy", "mtu": n.MTU, "ethernet_mac_address": p.MAC})
		for _, ip := range p.FixedIPs {
			subnet := subnets[ip.Subnet]
			entry := map[string]any{
				"id": fmt.Sprintf("network%d", len(networks)), "type": fmt.Sprintf("ipv%d", subnet.Version()), "link": link, "network_id": n.ID,
				"ip_address": ip.Addr.String(), "netmask": mask(subnet.CIDR), "routes": routes(subnet),
			}
			dns := []any{}
			for _, server := range subnet.DNS {
				service := map[string]any{"type": "dns", "address": server.String()}
				dns = append(dns, service)
				if !told[server] {
					told[server] = true
					services = append(services, service)
				}
			}
			entry["services"] = dns
			networks = append(networks, entry)
		}
	}
	return map[string]any{"links": links, "networks": networks, "services": services}, nil
}

// routes are the default one and those that the subnet tells of.
func routes(subnet *Subnet) []any {
	told := subnet.Routes
	if subnet.Gateway.IsValid() {
		all := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		if subnet.Version() == 4 {
			all = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		}
		told = append([]Route{{all, subnet.Gateway}}, told...)
	}
	list := []any{}
	for _, r := range told {
		list = append(list, map[string]any{"network": r.Destination.Addr().String(), "netmask": mask(r.Destination), "gateway": r.NextHop.String()})
	}
	return list
}

// mask writes a prefix's length as the schema wants it: 255.255.255.0, ffff:ffff::.
func mask(p netip.Prefix) string {
	return net.IP(net.CIDRMask(p.Bits(), p.Addr().BitLen())).String()
}

func (s *Service) subnetsByID(ctx context.Context, q db.Querier, network string) (map[string]*Subnet, error) {
	list, err := s.subnetsOf(ctx, q, network)
	if err != nil {
		return nil, err
	}
	byID := map[string]*Subnet{}
	for _, subnet := range list {
		byID[subnet.ID] = subnet
	}
	return byID, nil
}

// ServerAddress is an address as a server shows it.
type ServerAddress struct {
	Network string // name
	Addr    netip.Addr
	MAC     string
}

// ServerAddresses are the addresses of servers, by the server's id, in the order of their ports.
func (s *Service) ServerAddresses(ctx context.Context, q db.Querier, devices ...string) (map[string][]ServerAddress, error) {
	ports, err := s.serverPorts(ctx, q, devices)
	if err != nil || len(ports) == 0 {
		return nil, err
	}
	ids := []string{}
	for _, p := range ports {
		ids = append(ids, p.Network)
	}
	networks, err := s.Networks(ctx, q, Everything, NetworkFilter{IDs: ids})
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, n := range networks {
		names[n.ID] = n.Name
	}
	addresses := map[string][]ServerAddress{}
	for _, p := range ports {
		for _, ip := range p.FixedIPs {
			addresses[p.DeviceID] = append(addresses[p.DeviceID], ServerAddress{names[p.Network], ip.Addr, p.MAC})
		}
	}
	return addresses, nil
}
