package ironic

import (
	"cmp"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

var portSince = osapi.Fields{
	"internal_info": osapi.Since(1, 18), "local_link_connection": osapi.Since(1, 19), "pxe_enabled": osapi.Since(1, 19),
	"portgroup_uuid": osapi.Since(1, 24), "physical_network": osapi.Since(1, 34), "is_smartnic": osapi.Since(1, 53),
}

func port(r *osapi.Request, n *machine.NIC) object {
	return portSince.Trim(object{
		"uuid": n.ID, "created_at": osapi.Offset(n.Created), "updated_at": osapi.Offset(n.Updated), "address": n.MAC,
		"node_uuid": n.Machine, "extra": orEmpty(n.Extra), "internal_info": object{}, "local_link_connection": orEmpty(n.Link),
		"pxe_enabled": n.PXE, "physical_network": nil, "is_smartnic": false, "portgroup_uuid": nil, "links": links(r, "ports", n.ID),
	}, r.Version)
}

func (a *api) listPorts(r *osapi.Request) (any, error)       { return a.ports(r, "", false) }
func (a *api) listPortsDetail(r *osapi.Request) (any, error) { return a.ports(r, "", true) }

func (a *api) listNodePorts(r *osapi.Request) (any, error) { return a.ports(r, r.Path("node"), false) }
func (a *api) listNodePortsDetail(r *osapi.Request) (any, error) {
	return a.ports(r, r.Path("node"), true)
}

var portOrder = map[string]func(a, b *machine.NIC) int{
	"uuid":       func(a, b *machine.NIC) int { return cmp.Compare(a.ID, b.ID) },
	"address":    func(a, b *machine.NIC) int { return cmp.Compare(a.MAC, b.MAC) },
	"created_at": func(a, b *machine.NIC) int { return a.Created.Compare(b.Created) },
	"updated_at": func(a, b *machine.NIC) int { return a.Updated.Compare(b.Updated) },
	"node_uuid":  func(a, b *machine.NIC) int { return cmp.Compare(a.Machine, b.Machine) },
}

func (a *api) ports(r *osapi.Request, node string, detail bool) (any, error) {
	q := r.Query()
	for _, name := range []string{"node", "node_uuid"} {
		if ident := q.String(name); ident != "" {
			node = ident
		}
	}
	address, group := strings.ToLower(q.String("address")), q.String("portgroup")
	detail = q.Bool("detail", detail)
	page := q.Page(osapi.Paging{Keys: []string{"uuid", "address", "created_at", "updated_at", "node_uuid"}, ZeroIsAll: true})
	if err := q.Done(); err != nil {
		return nil, err
	}
	all, err := a.visiblePorts(r, node)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(n *machine.NIC) bool { return group != "" || address != "" && n.MAC != address })
	osapi.Order(page, all, portOrder)
	some, next, err := osapi.Cut(page, all, func(n *machine.NIC) string { return n.ID })
	if err != nil {
		return nil, err
	}
	if !detail && len(page.Fields) == 0 {
		page.Fields = []string{"uuid", "address", "links"}
	}
	list := []object{}
	for _, n := range some {
		list = append(list, page.Pick(port(r, n)))
	}
	body := object{"ports": list}
	if next != "" {
		body["next"] = r.Next(next)
	}
	return body, nil
}

// visiblePorts are those of a node, or of all nodes that the caller may know.
func (a *api) visiblePorts(r *osapi.Request, node string) ([]*machine.NIC, error) {
	if node != "" {
		m, err := a.nodeNamed(r, node)
		if err != nil {
			return nil, err
		}
		return a.machines.NICs(r.Context(), a.db, m.ID)
	}
	all, err := a.machines.NICs(r.Context(), a.db, "")
	if err != nil || r.Caller.ReadsAll() {
		return all, err
	}
	nodes, err := a.machines.List(r.Context(), a.db)
	visible := map[string]bool{}
	for _, m := range nodes {
		visible[m.ID] = r.Caller.Reads(m.Owner)
	}
	return slices.DeleteFunc(all, func(n *machine.NIC) bool { return !visible[n.Machine] }), err
}

// port finds the port of the path with its node. Whoever may not know of the node hears that there is no port.
func (a *api) port(r *osapi.Request) (*machine.NIC, *machine.Machine, error) {
	n, err := a.machines.NIC(r.Context(), a.db, r.Path("port"))
	if err != nil {
		return nil, nil, err
	}
	m, err := a.machines.Get(r.Context(), a.db, n.Machine)
	if err == nil && !r.Caller.Reads(m.Owner) {
		err = fault.New(fault.NotFound, "Port %s could not be found.", r.Path("port"))
	}
	return n, m, err
}

func (a *api) showPort(r *osapi.Request) (any, error) {
	n, _, err := a.port(r)
	if err != nil {
		return nil, err
	}
	return r.Query().Page(osapi.Paging{}).Pick(port(r, n)), nil
}

// changePort sets the given fields of a port; fresh ones may choose their node and id.
func (a *api) changePort(r *osapi.Request, n *machine.NIC, values object, fresh bool) error {
	for name, value := range values {
		if span, ok := portSince[name]; ok && !span.Has(r.Version) {
			return &osapi.Error{Status: 406, Err: fault.New(fault.Invalid, "Request not acceptable: the field %s exists from version %s on.", name, span.Since)}
		}
		if err := a.setPort(r, n, name, value, fresh); err != nil {
			return err
		}
	}
	return nil
}

func (a *api) setPort(r *osapi.Request, n *machine.NIC, name string, value any, fresh bool) error {
	word, _ := value.(string)
	switch name {
	case "address":
		mac, err := net.ParseMAC(word)
		if err != nil || len(mac) != 6 {
			return fault.New(fault.Invalid, "Expected a MAC address but received %s.", asJSON(value))
		}
		n.MAC = mac.String()
	case "pxe_enabled":
		on, ok := value.(bool)
		if !ok {
			return invalid(name, "a boolean")
		}
		n.PXE = on
	case "extra", "local_link_connection":
		d, ok := value.(object)
		if value != nil && !ok {
			return invalid(name, "an object")
		}
		if name == "extra" {
			n.Extra = d
		} else if err := checkLink(d); err != nil {
			return err
		} else {
			n.Link = d
		}
	case "node_uuid":
		if !fresh {
			return fault.New(fault.Invalid, "The port's node cannot be changed: delete the port and create another.")
		}
		m, err := a.nodeNamed(r, word)
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "%s", fault.Message(err))
		}
		n.Machine = m.ID
	case "uuid":
		if _, err := uuid.Parse(word); !fresh || err != nil {
			return fault.New(fault.Invalid, "'/uuid' is an internal attribute and can not be updated.")
		}
		n.ID = strings.ToLower(word)
	case "physical_network", "portgroup_uuid":
		return fixed(name)(nil, value)
	case "is_smartnic":
		return fixed(name, false)(nil, value)
	case "created_at", "updated_at", "links", "internal_info":
		return fault.New(fault.Invalid, "'/%s' is an internal attribute and can not be updated.", name)
	default:
		return fault.New(fault.Invalid, "Unknown attribute for argument port: %s.", name)
	}
	return nil
}

// checkLink takes what Ironic's local_link_connection may say of the switch's end.
func checkLink(link object) error {
	for name, value := range link {
		if _, ok := value.(string); !ok || !slices.Contains([]string{"switch_id", "port_id", "switch_info", "network_type", "hostname"}, name) {
			return fault.New(fault.Invalid, "local_link_connection/%s is not known; switch_id, port_id and switch_info are strings.", name)
		}
	}
	return nil
}

func (a *api) createPort(r *osapi.Request) (any, error) {
	var values object
	if err := r.Decode(&values); err != nil {
		return nil, err
	}
	n := &machine.NIC{PXE: true}
	for _, name := range []string{"address", "node_uuid"} {
		if values[name] == nil {
			return nil, fault.New(fault.Invalid, "Schema error for port: '%s' is a required property.", name)
		}
	}
	if err := a.changePort(r, n, values, true); err != nil {
		return nil, err
	}
	err := a.db.Tx(r.Context(), func(tx *db.Tx) error {
		fresh := *n
		err := a.machines.AddNIC(r.Context(), tx, &fresh)
		if err == nil {
			*n = fresh
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return osapi.Response{Header: http.Header{"Location": {r.URL("/v1/ports/", n.ID)}}, Body: port(r, n)}, nil
}

// unused fails while an instance has the node: its network knows the card by its address.
func unused(m *machine.Machine) error {
	if m.Instance != "" && !m.Maintenance {
		return fault.New(fault.Conflict, "Cannot change or delete a port of node %s: instance %s has it.", m.ID, m.Instance)
	}
	return nil
}

func (a *api) patchPort(r *osapi.Request) (any, error) {
	n, m, err := a.port(r)
	if err != nil {
		return nil, err
	}
	var patch []operation
	if err := r.Decode(&patch); err != nil {
		return nil, err
	}
	values, err := apply(port(r, n), patch)
	if err != nil {
		return nil, err
	}
	if _, ok := values["address"]; ok {
		if err := unused(m); err != nil {
			return nil, err
		}
	}
	if err := a.changePort(r, n, values, false); err != nil {
		return nil, err
	}
	return port(r, n), a.db.Tx(r.Context(), func(tx *db.Tx) error { return a.machines.UpdateNIC(r.Context(), tx, n) })
}

func (a *api) deletePort(r *osapi.Request) (any, error) {
	n, m, err := a.port(r)
	if err != nil {
		return nil, err
	}
	if err := unused(m); err != nil {
		return nil, err
	}
	return nil, a.machines.DeleteNIC(r.Context(), a.db, n.ID)
}
