package nova

import (
	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// addressesView is a server's addresses by the name of their network, with what extensions added once or without.
func addressesView(list []network.ServerAddress, extended bool) map[string][]object {
	shown := map[string][]object{}
	for _, x := range list {
		address := object{"version": version4or6(x), "addr": x.Addr.String()}
		if extended {
			address["OS-EXT-IPS:type"], address["OS-EXT-IPS-MAC:mac_addr"] = "fixed", x.MAC
		}
		shown[x.Network] = append(shown[x.Network], address)
	}
	return shown
}

func version4or6(x network.ServerAddress) int {
	if x.Addr.Is4() {
		return 4
	}
	return 6
}

func (a *api) addresses(r *osapi.Request) (map[string][]object, error) {
	i, err := a.server(r, reader(r))
	if err != nil {
		return nil, err
	}
	all, err := a.Networks.ServerAddresses(r.Context(), a.DB, i.ID)
	return addressesView(all[i.ID], false), err
}

func (a *api) listAddresses(r *osapi.Request) (any, error) {
	shown, err := a.addresses(r)
	return object{"addresses": shown}, err
}

func (a *api) showAddresses(r *osapi.Request) (any, error) {
	shown, err := a.addresses(r)
	if err == nil && shown[r.Path("network")] == nil {
		err = fault.New(fault.NotFound, "Network name not found")
	}
	return object{r.Path("network"): shown[r.Path("network")]}, err
}

// ports of the path's server, as far as the caller sees it.
func (a *api) ports(r *osapi.Request) ([]*network.Port, error) {
	i, err := a.server(r, reader(r))
	if err != nil {
		return nil, err
	}
	return a.Networks.PortsOf(r.Context(), a.DB, i.ID)
}

func (a *api) listInterfaces(r *osapi.Request) (any, error) {
	ports, err := a.ports(r)
	shown := make([]object, len(ports))
	for n, p := range ports {
		shown[n] = interfaceView(r, p)
	}
	return object{"interfaceAttachments": shown}, err
}

func (a *api) showInterface(r *osapi.Request) (any, error) {
	ports, err := a.ports(r)
	if err != nil {
		return nil, err
	}
	for _, p := range ports {
		if p.ID == r.Path("port") {
			return object{"interfaceAttachment": interfaceView(r, p)}, nil
		}
	}
	return nil, fault.New(fault.NotFound, "Instance %s does not have a port with id %s", r.Path("id"), r.Path("port"))
}

func interfaceView(r *osapi.Request, p *network.Port) object {
	ips := make([]object, len(p.FixedIPs))
	for n, ip := range p.FixedIPs {
		ips[n] = object{"subnet_id": ip.Subnet, "ip_address": ip.Addr.String()}
	}
	return interfaceFields.Trim(object{
		"net_id": p.Network, "port_id": p.ID, "mac_addr": p.MAC, "port_state": p.Status(), "fixed_ips": ips, "tag": nil,
	}, r.Version)
}

var interfaceFields = osapi.Fields{"tag": osapi.Since(2, 70)}
