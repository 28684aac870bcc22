package ironic

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// portFields says from which version on a port has a field.
var portFields = osapi.Fields{
	"internal_info": osapi.Since(1, 18), "local_link_connection": osapi.Since(1, 19), "pxe_enabled": osapi.Since(1, 19),
	"portgroup_uuid": osapi.Since(1, 24), "physical_network": osapi.Since(1, 34), "is_smartnic": osapi.Since(1, 53),
}

var portList = collection{
	key: "ports", fields: portFields, brief: []string{"uuid", "address", "links"},
	filters: []string{"node", "node_uuid", "address", "portgroup", "shard"},
}

func portView(r *osapi.Request, nic *machine.NIC) object {
	o := object{
		"uuid": nic.ID, "node_uuid": nic.Machine, "created_at": osapi.Offset(nic.Created), "updated_at": nil,
		"links": links(r, "/ports/", nic.ID), "internal_info": vifInfo(nic.VIF),
	}
	if nic.Updated.After(nic.Created) {
		o["updated_at"] = osapi.Offset(nic.Updated)
	}
	maps.Copy(o, editablePort(nic))
	return portFields.Trim(o, r.Version)
}

// editablePort are the fields of a port that clients may send.
func editablePort(nic *machine.NIC) object {
	return object{
		"address": nic.MAC, "extra": orEmpty(nic.Extra), "local_link_connection": orEmpty(nic.Link), "pxe_enabled": nic.PXE,
		"portgroup_uuid": orNull(nic.PortGroup), "physical_network": orNull(nic.PhysicalNetwork), "is_smartnic": nic.Smart,
	}
}

func changePort(nic *machine.NIC, before, after object) error {
	for _, name := range sorted(after) {
		value := after[name]
		if reflect.DeepEqual(before[name], value) {
			continue
		}
		text, isText := value.(string)
		isText = isText || value == nil
		wrong := func(what string) error {
			return fault.New(fault.Invalid, "Invalid value for %s: it must be %s.", name, what)
		}
		switch name {
		case "address":
			mac, err := readMAC(fmt.Sprint(value))
			if err != nil {
				return err
			}
			nic.MAC = mac
		case "pxe_enabled", "is_smartnic":
			on, ok := value.(bool)
			if !ok {
				return wrong("true or false")
			}
			if name == "pxe_enabled" {
				nic.PXE = on
			} else {
				nic.Smart = on
			}
		case "portgroup_uuid":
			if !isText || text != "" && uuid.Validate(text) != nil {
				return wrong("a UUID")
			}
			nic.PortGroup = text
		case "physical_network":
			if !isText || text == "" && value != nil || len(text) > 64 {
				return wrong("a string of 1 to 64 characters, or null")
			}
			nic.PhysicalNetwork = text
		case "extra", "local_link_connection":
			o, ok := value.(object)
			if !ok && value != nil {
				return wrong("an object")
			}
			if name == "extra" {
				nic.Extra = o
			} else {
				nic.Link = o
			}
		}
	}
	return nil
}

func (a *api) listPorts(r *osapi.Request) (any, error)         { return a.ports(r, "", false, nil) }
func (a *api) listPortsInDetail(r *osapi.Request) (any, error) { return a.ports(r, "", true, nil) }

func (a *api) listPortsOfNode(r *osapi.Request) (any, error) { return a.portsOfNode(r, false) }

func (a *api) listPortsOfNodeInDetail(r *osapi.Request) (any, error) { return a.portsOfNode(r, true) }

func (a *api) portsOfNode(r *osapi.Request, detail bool) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return a.ports(r, n.ID, detail, nil)
}

// ports lists those of one node, or all that the caller may know of; only those that fit, if it is said which do.
func (a *api) ports(r *osapi.Request, of string, detail bool, fits func(*machine.NIC) bool) (any, error) {
	nodes, err := a.known(r)
	if err != nil {
		return nil, err
	}
	query := r.HTTP.URL.Query()
	group := query.Get("portgroup")
	if group != "" {
		g, err := a.machines.PortGroup(r.Context(), a.db, group)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		if err == nil {
			group = g.ID
		}
	}
	shards := strings.FieldsFunc(query.Get("shard"), func(c rune) bool { return c == ',' })
	nics, err := a.machines.NICs(r.Context(), a.db, of)
	if err != nil {
		return nil, err
	}
	address := strings.ToLower(query.Get("address"))
	views := []object{}
	for _, nic := range nics {
		m := nodes[nic.Machine]
		if m == nil || address != "" && nic.MAC != address || group != "" && nic.PortGroup != group || fits != nil && !fits(nic) ||
			len(shards) > 0 && !slices.Contains(shards, m.Notes.Shard) {
			continue
		}
		views = append(views, portView(r, nic))
	}
	return portList.answer(r, views, portView(r, &machine.NIC{}), detail)
}

// port gives the one that the path names, with its node, to callers who may know of it.
func (a *api) port(r *osapi.Request, q db.Querier) (*machine.NIC, *machine.Machine, error) {
	if uuid.Validate(r.Path("port")) != nil {
		return nil, nil, fault.New(fault.Invalid, "Expected a UUID but received %s.", r.Path("port"))
	}
	nic, err := a.machines.NIC(r.Context(), q, strings.ToLower(r.Path("port")))
	if err != nil {
		return nil, nil, err
	}
	m, err := a.machines.Get(r.Context(), q, nic.Machine)
	if err == nil && !reads(r, m) {
		err = fault.New(fault.NotFound, "Port %s could not be found.", r.Path("port"))
	}
	return nic, m, err
}

func (a *api) showPort(r *osapi.Request) (any, error) {
	nic, _, err := a.port(r, a.db)
	if err != nil {
		return nil, err
	}
	return portList.show(r, portView(r, nic))
}

func (a *api) createPort(r *osapi.Request) (any, error) {
	var body object
	id, err := portList.readBody(r, &body)
	if err != nil {
		return nil, err
	}
	nic := &machine.NIC{ID: id, PXE: true}
	of, _ := body["node_uuid"].(string)
	delete(body, "node_uuid")
	before := editablePort(nic)
	after := maps.Clone(before)
	for name, value := range body {
		if _, known := before[name]; !known {
			return nil, fault.New(fault.Invalid, "Schema error for port: Additional properties are not allowed ('%s' was unexpected)", name)
		}
		after[name] = value
	}
	if err := changePort(nic, before, after); err != nil {
		return nil, err
	}
	if nic.MAC == "" || of == "" {
		return nil, fault.New(fault.Invalid, "Schema error for port: 'address' and 'node_uuid' are required properties")
	}
	err = a.db.Tx(r.Context(), func(tx *db.Tx) error {
		m, err := a.nodeOf(r.Context(), tx, of)
		if err != nil {
			return err
		}
		if nic.ID != "" {
			if _, err := a.machines.NIC(r.Context(), tx, nic.ID); err == nil {
				return fault.New(fault.Conflict, "A port with UUID %s already exists.", nic.ID)
			}
		}
		nic.Machine = m.ID
		return a.machines.AddNIC(r.Context(), tx, nic)
	})
	if err != nil {
		return nil, err
	}
	return created(r, portView(r, nic), "/v1/ports/", nic.ID), nil
}

func (a *api) patchPort(r *osapi.Request) (any, error) {
	operations, err := readPatch(r)
	if err != nil {
		return nil, err
	}
	if err := portList.tooEarly(r, rootsOf(operations)); err != nil {
		return nil, err
	}
	var nic *machine.NIC
	err = a.db.Tx(r.Context(), func(tx *db.Tx) error {
		var m *machine.Machine
		if nic, m, err = a.port(r, tx); err != nil {
			return err
		}
		before := editablePort(nic)
		after, err := patched(before, operations, editablePort(&machine.NIC{PXE: true}))
		if err != nil {
			return err
		}
		if m.Instance != "" && !m.Maintenance && slices.Contains(rootsOf(operations), "address") {
			return fault.New(fault.Conflict, "Cannot update the address of port %s: instance %s is on its node. Put the node into maintenance first.", nic.ID, m.Instance)
		}
		if err := changePort(nic, before, after); err != nil {
			return err
		}
		return a.machines.UpdateNIC(r.Context(), tx, nic)
	})
	if err != nil {
		return nil, err
	}
	return portView(r, nic), nil
}

func (a *api) deletePort(r *osapi.Request) (any, error) {
	return nil, a.db.Tx(r.Context(), func(tx *db.Tx) error {
		nic, m, err := a.port(r, tx)
		if err != nil {
			return err
		}
		if m.Instance != "" && !m.Maintenance {
			return fault.New(fault.Conflict, "Cannot delete the port %s as instance %s is on its node. Put the node into maintenance first.", nic.ID, m.Instance)
		}
		return a.machines.DeleteNIC(r.Context(), tx, nic)
	})
}
