package nova

import (
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/instance"
)

// server finds the server of the path.
func (a *api) server(r *osapi.Request, v instance.Viewer) (*instance.Instance, error) {
	return a.Instances.Get(r.Context(), a.DB, v, r.Path("id"))
}

// onServer is for what needs nothing but that the caller sees the server.
func (a *api) onServer(handle osapi.Handler) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		if _, err := a.server(r, reader(r)); err != nil {
			return nil, err
		}
		return handle(r)
	}
}

func (a *api) showServer(r *osapi.Request) (any, error) {
	i, err := a.server(r, reader(r))
	if err != nil {
		return nil, err
	}
	shown, err := a.show(r, i)
	return object{"server": shown}, err
}

func (a *api) listServers(r *osapi.Request) (any, error) {
	found, next, err := a.find(r)
	if err != nil {
		return nil, err
	}
	shown := make([]object, len(found))
	for n, i := range found {
		shown[n] = object{"id": i.ID, "name": i.Name, "links": links(r, "servers", i.ID)}
	}
	return page(r, "servers", shown, next), nil
}

func (a *api) listServersDetail(r *osapi.Request) (any, error) {
	found, next, err := a.find(r)
	if err != nil {
		return nil, err
	}
	shown, err := a.showAll(r, found)
	for _, server := range shown {
		delete(server, "server_groups") // Nova shows them of one server only
	}
	return page(r, "servers", shown, next), err
}

// updateBody is what may change of a server; null leaves a field as it is, but for the description.
type updateBody struct {
	Server struct {
		Name        *string                `json:"name"`
		AccessIPv4  *string                `json:"accessIPv4"`
		AccessIPv6  *string                `json:"accessIPv6"`
		DiskConfig  *string                `json:"OS-DCF:diskConfig"`
		Description osapi.Optional[string] `json:"description"`
		Hostname    *string                `json:"hostname"`
	} `json:"server"`
}

var updateFields = osapi.Fields{"description": osapi.Since(2, 19), "hostname": osapi.Since(2, 90)}

func (a *api) updateServer(r *osapi.Request) (any, error) {
	var body updateBody
	if err := decode(r, &body, "server", updateFields); err != nil {
		return nil, err
	}
	i, err := a.Instances.Change(r.Context(), writer(r), r.Path("id"), by(r), "", func(i *instance.Instance) error { return body.onto(r, i) })
	if err != nil {
		return nil, err
	}
	shown, err := a.show(r, i)
	if !r.Version.AtLeast(2, 75) {
		shorten(shown)
	}
	return object{"server": shown}, err
}

func (b *updateBody) onto(r *osapi.Request, i *instance.Instance) error {
	s := b.Server
	for _, field := range []struct {
		target *string
		value  *string
	}{{&i.Name, s.Name}, {&i.AccessIPv4, s.AccessIPv4}, {&i.AccessIPv6, s.AccessIPv6}, {&i.DiskConfig, s.DiskConfig}, {&i.Hostname, s.Hostname}} {
		if field.value != nil {
			*field.target = *field.value
		}
	}
	i.AccessIPv6 = canonical(i.AccessIPv6)
	if s.Description.Set {
		i.Description = s.Description.Value
	}
	if s.Hostname != nil {
		if err := checkHostname(r, i.Hostname); err != nil {
			return err
		}
	}
	for _, err := range []error{
		checkName("name", i.Name), checkDescription(i.Description), checkAddress("accessIPv4", i.AccessIPv4, 4),
		checkAddress("accessIPv6", i.AccessIPv6, 6), checkDiskConfig(i.DiskConfig),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// shorten leaves out what Nova's answers to changes did not have before 2.75.
func shorten(server object) {
	for field := range server {
		if field != "OS-DCF:diskConfig" && (strings.HasPrefix(field, "OS-") || strings.HasPrefix(field, "os-")) || notInChanges[field] {
			delete(server, field)
		}
	}
	for _, addresses := range server["addresses"].(map[string][]object) {
		for _, address := range addresses {
			delete(address, "OS-EXT-IPS:type")
			delete(address, "OS-EXT-IPS-MAC:mac_addr")
		}
	}
}

var notInChanges = map[string]bool{"config_drive": true, "key_name": true, "security_groups": true, "host_status": true}

func (a *api) deleteServer(r *osapi.Request) (any, error) {
	return nil, a.Instances.Delete(r.Context(), writer(r), r.Path("id"), by(r))
}
