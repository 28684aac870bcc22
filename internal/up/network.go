package up

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/gophercloud/gophercloud/v2"
)

// makeNetworks makes the external network as admin, and as the tenant a network of its own behind a router. SSH and
// ping from outside are let in.
func (s *site) makeNetworks(ctx context.Context) error {
	admin, err := s.admin(ctx)
	if err != nil {
		return err
	}
	demo, err := s.demo(ctx)
	if err != nil {
		return err
	}
	public, err := s.makeExternalNetwork(ctx, admin.network)
	if err != nil {
		return err
	}
	network, err := ensure(ctx, demo.network, "networks", "network", object{"name": "demo"})
	if err != nil {
		return err
	}
	subnet, err := ensure(ctx, demo.network, "subnets", "subnet", object{
		"name": "demo", "network_id": network, "ip_version": 4, "cidr": "192.168.10.0/24",
	})
	if err != nil {
		return err
	}
	router, err := ensure(ctx, demo.network, "routers", "router", object{
		"name": "demo", "external_gateway_info": object{"network_id": public},
	})
	if err != nil {
		return err
	}
	if err := joinSubnet(ctx, demo.network, router, subnet); err != nil {
		return err
	}
	return letIn(ctx, demo.network)
}

// makeExternalNetwork is the way to the rack's Internet. Its first address is the Internet's own.
func (s *site) makeExternalNetwork(ctx context.Context, network *gophercloud.ServiceClient) (string, error) {
	id, err := ensure(ctx, network, "networks", "network", object{
		"name": "public", "router:external": true, "provider:network_type": "flat", "provider:physical_network": s.rack.OVN.ExternalPhysical,
	})
	if err != nil {
		return "", err
	}
	outside, err := netip.ParsePrefix(s.rack.OVN.Internet)
	if err != nil {
		return "", fmt.Errorf("the rack's external network: %w", err)
	}
	_, err = ensure(ctx, network, "subnets", "subnet", object{
		"name": "public", "network_id": id, "ip_version": 4, "cidr": outside.Masked().String(), "gateway_ip": outside.Addr().String(), "enable_dhcp": false,
	})
	return id, err
}

// joinSubnet gives a router its interface in a subnet, unless it has it.
func joinSubnet(ctx context.Context, network *gophercloud.ServiceClient, router, subnet string) error {
	var ports struct {
		Ports []struct{} `json:"ports"`
	}
	query := "ports?device_id=" + router + "&fixed_ips=subnet_id=" + subnet
	if err := call(ctx, network, http.MethodGet, query, nil, &ports); err != nil || len(ports.Ports) > 0 {
		return err
	}
	return call(ctx, network, http.MethodPut, "routers/"+router+"/add_router_interface", object{"subnet_id": subnet}, nil)
}

// letIn adds rules to the tenant's default security group.
func letIn(ctx context.Context, network *gophercloud.ServiceClient) error {
	group, err := find(ctx, network, "security-groups", "default")
	if err != nil {
		return err
	}
	for _, rule := range []object{
		{"protocol": "icmp"},
		{"protocol": "tcp", "port_range_min": 22, "port_range_max": 22},
	} {
		rule["security_group_id"], rule["direction"], rule["ethertype"] = group, "ingress", "IPv4"
		err := call(ctx, network, http.MethodPost, "security-group-rules", object{"security_group_rule": rule}, nil)
		if err != nil && !isStatus(err, http.StatusConflict) { // it is there
			return err
		}
	}
	return nil
}

// giveFloatingIP makes a server's port reachable from outside and gives the address. One that it has stays.
func giveFloatingIP(ctx context.Context, network *gophercloud.ServiceClient, server string) (string, error) {
	var ports struct {
		Ports []struct {
			ID string `json:"id"`
		} `json:"ports"`
	}
	if err := call(ctx, network, http.MethodGet, "ports?device_id="+server, nil, &ports); err != nil {
		return "", err
	}
	if len(ports.Ports) == 0 {
		return "", fmt.Errorf("the server %s has no port", server)
	}
	type floatingIP struct {
		Address string `json:"floating_ip_address"`
	}
	var have struct {
		List []floatingIP `json:"floatingips"`
	}
	port := ports.Ports[0].ID
	if err := call(ctx, network, http.MethodGet, "floatingips?port_id="+port, nil, &have); err != nil {
		return "", err
	}
	if len(have.List) > 0 {
		return have.List[0].Address, nil
	}
	public, err := find(ctx, network, "networks", "public")
	if err != nil {
		return "", err
	}
	var made struct {
		FloatingIP floatingIP `json:"floatingip"`
	}
	err = call(ctx, network, http.MethodPost, "floatingips", object{"floatingip": object{"floating_network_id": public, "port_id": port}}, &made)
	return made.FloatingIP.Address, err
}
