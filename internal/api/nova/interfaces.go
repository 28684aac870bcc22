package nova

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/network"
)

var interfaceFields = osapi.Fields{"tag": osapi.Since(2, 70)}

func interfaceView(r *osapi.Request, i *instance.Instance, p *network.Port) object {
	ips := make([]object, len(p.FixedIPs))
	for n, ip := range p.FixedIPs {
		ips[n] = object{"subnet_id": ip.Subnet, "ip_address": ip.Addr.String()}
	}
	return interfaceFields.Trim(object{
		"net_id": p.Network, "port_id": p.ID, "mac_addr": p.MAC, "port_state": p.Status(), "fixed_ips": ips, "tag": null(i.PortTag(p.ID)),
	}, r.Version)
}

// ports of the path's server, as far as the caller sees it.
func (a *api) ports(r *osapi.Request) (*instance.Instance, []*network.Port, error) {
	i, err := a.server(r, reader(r))
	if err != nil {
		return nil, nil, err
	}
	ports, err := a.Networks.PortsOf(r.Context(), a.DB, i.ID)
	i.Order(ports)
	return i, ports, err
}

func (a *api) listInterfaces(r *osapi.Request) (any, error) {
	i, ports, err := a.ports(r)
	shown := make([]object, len(ports))
	for n, p := range ports {
		shown[n] = interfaceView(r, i, p)
	}
	return object{"interfaceAttachments": shown}, err
}

func (a *api) showInterface(r *osapi.Request) (any, error) {
	i, ports, err := a.ports(r)
	if err != nil {
		return nil, err
	}
	for _, p := range ports {
		if p.ID == r.Path("port") {
			return object{"interfaceAttachment": interfaceView(r, i, p)}, nil
		}
	}
	return nil, fault.New(fault.NotFound, "Instance %s does not have a port with id %s", r.Path("id"), clip(r.Path("port")))
}

// attachBody asks for an interface; without anything in it for one on the only network that there is.
type attachBody struct {
	Attachment struct {
		Network  *string `json:"net_id"`
		Port     *string `json:"port_id"`
		FixedIPs *[]struct {
			Address string `json:"ip_address"`
		} `json:"fixed_ips"`
		Tag *string `json:"tag"`
	} `json:"interfaceAttachment"`
}

func (b *attachBody) nic(r *osapi.Request) (nic instance.NIC, err error) {
	asked := b.Attachment
	nic = instance.NIC{Network: pointed(asked.Network), Port: pointed(asked.Port), Tag: pointed(asked.Tag)}
	for field, id := range map[string]*string{"net_id": asked.Network, "port_id": asked.Port} {
		if id != nil {
			if err := checkUUID(field, *id); err != nil {
				return nic, err
			}
		}
	}
	if asked.Tag != nil {
		if err := checkDeviceTag(r, *asked.Tag, osapi.Since(2, 49)); err != nil {
			return nic, err
		}
	}
	if asked.FixedIPs != nil {
		if len(*asked.FixedIPs) != 1 {
			return nic, invalid("fixed_ips", len(*asked.FixedIPs), "It is a list of one.")
		}
		if nic.FixedIP, err = netip.ParseAddr((*asked.FixedIPs)[0].Address); err != nil {
			return nic, invalid("ip_address", strconv.Quote(clip((*asked.FixedIPs)[0].Address)), "It is not an IP address.")
		}
	}
	switch {
	case nic.Network != "" && nic.Port != "":
		return nic, fault.New(fault.Invalid, "Must not input both network_id and port_id")
	case nic.FixedIP.IsValid() && nic.Network == "":
		return nic, fault.New(fault.Invalid, "Must input network_id when request IP address")
	}
	return nic, nil
}

// checkDeviceTag takes the tag of a network interface, in the versions that have it.
func checkDeviceTag(r *osapi.Request, tag string, spans ...osapi.Span) error {
	for _, span := range spans {
		if span.Has(r.Version) {
			return checkTags([]string{tag})
		}
	}
	return fault.New(fault.Invalid, "Additional properties are not allowed ('tag' was unexpected)")
}

func (a *api) attachInterface(r *osapi.Request) (any, error) {
	i, err := a.server(r, writer(r))
	if err != nil {
		return nil, err
	}
	var body attachBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	nic, err := body.nic(r)
	if err != nil {
		return nil, err
	}
	port, err := a.Instances.AttachInterface(r.Context(), writer(r), i.ID, by(r), nic)
	if err != nil {
		return nil, err
	}
	i.Ports = append(i.Ports, instance.Port{ID: port.ID, Tag: nic.Tag})
	return object{"interfaceAttachment": interfaceView(r, i, port)}, nil
}

func (a *api) detachInterface(r *osapi.Request) (any, error) {
	return nil, a.Instances.DetachInterface(r.Context(), writer(r), r.Path("id"), r.Path("port"), by(r))
}

func (a *api) addFixedIP(r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (any, error) {
	var to struct {
		Network ref `json:"networkId"`
	}
	if err := osapi.Strict(arguments, &to); err != nil {
		return nil, err
	}
	if to.Network == "" {
		return nil, missing("networkId")
	}
	return accepted(a.Instances.AddAddress(r.Context(), writer(r), i.ID, string(to.Network), by(r)))
}

func (a *api) removeFixedIP(r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (any, error) {
	address, err := addressOf(arguments)
	if err != nil {
		return nil, err
	}
	return accepted(a.Instances.RemoveAddress(r.Context(), writer(r), i.ID, address, by(r)))
}

// addressOf reads an action that names nothing but an address.
func addressOf(arguments json.RawMessage) (netip.Addr, error) {
	var at struct {
		Address string `json:"address"`
	}
	if err := osapi.Strict(arguments, &at); err != nil {
		return netip.Addr{}, err
	}
	address, err := netip.ParseAddr(at.Address)
	if err != nil {
		return address, invalid("address", strconv.Quote(clip(at.Address)), "It is not an IP address.")
	}
	return address, nil
}

// gone is the answer of a route that newer versions do not have any more.
func gone(r *osapi.Request) error {
	return &osapi.Error{Status: http.StatusNotFound, Err: fault.New(fault.NotFound, "API version %s is not supported on this method.", r.Version)}
}
