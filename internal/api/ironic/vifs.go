package ironic

import (
	"context"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/network"
)

// vifOwner is how Neutron shows that a port is a node's, and no server's.
const vifOwner = "baremetal:none"

// vifInfo is the internal_info of a port or a port group.
func vifInfo(vif string) object {
	if vif == "" {
		return object{}
	}
	return object{"tenant_vif_port_id": vif}
}

// socket is where a network port can be put: a NIC of the node's, or a bond of them.
type socket struct {
	nic   *machine.NIC
	group *machine.PortGroup
}

func (s socket) vif() *string {
	if s.group != nil {
		return &s.group.VIF
	}
	return &s.nic.VIF
}

func (a *api) save(ctx context.Context, tx *db.Tx, s socket) error {
	if s.group != nil {
		return a.machines.SavePortGroup(ctx, tx, s.group)
	}
	return a.machines.UpdateNIC(ctx, tx, s.nic)
}

// sockets of a node: bonds first, then NICs that are in no bond, or in one whose members may be used apart and that is free.
func (a *api) sockets(ctx context.Context, q db.Querier, node string) ([]socket, error) {
	groups, err := a.machines.PortGroups(ctx, q, node)
	if err != nil {
		return nil, err
	}
	nics, err := a.machines.NICs(ctx, q, node)
	if err != nil {
		return nil, err
	}
	all, bonds, members := []socket{}, map[string]*machine.PortGroup{}, map[string]bool{}
	for _, nic := range nics {
		members[nic.PortGroup] = true
	}
	for _, g := range groups {
		bonds[g.ID] = g
		if members[g.ID] {
			all = append(all, socket{group: g})
		}
	}
	for _, nic := range nics {
		if g := bonds[nic.PortGroup]; g == nil || nic.VIF != "" || g.Standalone && g.VIF == "" {
			all = append(all, socket{nic: nic})
		}
	}
	return all, nil
}

// listVIFs shows the network ports on a node: those of its server, and those that were attached here.
func (a *api) listVIFs(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	vifs := []object{}
	if n.Instance != "" {
		ports, err := a.networks.PortsOf(r.Context(), a.db, n.Instance)
		if err != nil {
			return nil, err
		}
		for _, port := range ports {
			vifs = append(vifs, object{"id": port.ID})
		}
	}
	sockets, err := a.sockets(r.Context(), a.db, n.ID)
	for _, s := range sockets {
		if *s.vif() != "" {
			vifs = append(vifs, object{"id": *s.vif()})
		}
	}
	return object{"vifs": vifs}, err
}

// attachVIF puts a network port on a free NIC of a node in use that is no server's. Fake hardware has no wire: it only
// shows the port.
func (a *api) attachVIF(r *osapi.Request) (any, error) {
	n, err := a.findToChange(r)
	if err != nil {
		return nil, err
	}
	var body struct {
		ID        string                 `json:"id"`
		Port      osapi.Optional[string] `json:"port_uuid"`
		PortGroup osapi.Optional[string] `json:"portgroup_uuid"`
		Rest      map[string]any         `json:",embed"` // Ironic hands it to its drivers; ours need nothing
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.ID == "" {
		return nil, fault.New(fault.Invalid, "'id' is a required property")
	}
	if (body.Port.Set || body.PortGroup.Set) && !r.Version.AtLeast(1, 67) {
		return nil, tooNew(r, "the field port_uuid")
	}
	return nil, a.db.Tx(r.Context(), func(tx *db.Tx) error {
		m, err := a.machines.Get(r.Context(), tx, n.ID)
		if err != nil {
			return err
		}
		switch {
		case m.Instance != "":
			return fault.New(fault.Conflict, "Instance %s is on node %s: its ports are attached through Nova.", m.Instance, m.ID)
		case !m.Fake() && m.State != machine.Active:
			return fault.New(fault.Conflict, "Node %s is in state %q, in quarantine: it takes VIFs when it is active.", m.ID, m.State)
		}
		s, err := a.freeSocket(r.Context(), tx, m, body.ID, body.Port.Value, body.PortGroup.Value)
		if err != nil {
			return err
		}
		return a.plug(r, tx, m, s, body.ID)
	})
}

// freeSocket is the first without a port, or the one that the request names.
func (a *api) freeSocket(ctx context.Context, tx *db.Tx, m *machine.Machine, vif, port, group string) (socket, error) {
	all, err := a.sockets(ctx, tx, m.ID)
	if err != nil {
		return socket{}, err
	}
	var free *socket
	for _, s := range all {
		named := port == "" && group == "" || s.nic != nil && s.nic.ID == port || s.group != nil && s.group.ID == group
		switch {
		case *s.vif() == vif:
			return s, fault.New(fault.Conflict, "Unable to attach VIF because VIF %s is already attached to node %s.", vif, m.ID)
		case free == nil && *s.vif() == "" && named:
			free = &s
		}
	}
	if free == nil {
		return socket{}, fault.New(fault.Invalid, "Unable to attach VIF %s, not enough free physical ports.", vif)
	}
	return *free, nil
}

// plug puts a network port that the caller may see into a socket.
func (a *api) plug(r *osapi.Request, tx *db.Tx, m *machine.Machine, s socket, vif string) error {
	viewer := network.Viewer{Project: r.Caller.ProjectID, All: r.Caller.ReadsAll()}
	port, err := a.networks.Port(r.Context(), tx, viewer, vif)
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.Invalid, "Port %s could not be found.", vif) // the body is wrong, not the path
	}
	if err != nil {
		return err
	}
	if _, err := a.networks.Attach(r.Context(), tx, vif, port.Project, network.Use{DeviceID: m.ID, DeviceOwner: vifOwner}); err != nil {
		return err
	}
	if !m.Fake() {
		if s.group != nil {
			return fault.New(fault.Invalid, "A bond carries no network port yet: attach the VIF to a port of node %s that is in no port group.", m.ID)
		}
		place := network.Place{Host: m.ID, MAC: s.nic.MAC, Edge: s.nic.Edge()}
		if err := a.networks.Bind(r.Context(), tx, vif, place); err != nil {
			return err
		}
	}
	*s.vif() = vif
	return a.save(r.Context(), tx, s)
}

func (a *api) detachVIF(r *osapi.Request) (any, error) {
	n, err := a.findToChange(r)
	if err != nil {
		return nil, err
	}
	return nil, a.db.Tx(r.Context(), func(tx *db.Tx) error {
		found, err := a.unplug(r.Context(), tx, n.ID, r.Path("vif"))
		if err == nil && !found {
			err = fault.New(fault.Invalid, "Unable to detach VIF %s from node %s because it is not attached to it.", r.Path("vif"), n.ID)
		}
		return err
	})
}

// unplug takes a VIF off a node; an empty one: all that were attached here.
func (a *api) unplug(ctx context.Context, tx *db.Tx, node, vif string) (found bool, err error) {
	all, err := a.sockets(ctx, tx, node)
	for _, s := range all {
		on := s.vif()
		if err != nil || *on == "" || vif != "" && *on != vif {
			continue
		}
		if err = a.networks.Detach(ctx, tx, *on); err == nil {
			*on, found = "", true
			err = a.save(ctx, tx, s)
		}
	}
	return found, err
}
