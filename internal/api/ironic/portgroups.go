package ironic

import (
	"cmp"
	"context"
	"net"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

type portGroupBody struct {
	Node       string      `json:"node_uuid"`
	Address    string      `json:"address"`
	Name       string      `json:"name"`
	Mode       string      `json:"mode"`
	Properties object      `json:"properties"`
	Standalone *osapi.Bool `json:"standalone_ports_supported"`
	Extra      object      `json:"extra"`
}

// defaultMode of a bond: the one that asks nothing of the switch (Ironic's default_portgroup_mode).
const defaultMode = "active-backup"

func (a *api) portGroups() *kept[machine.PortGroup, portGroupBody] {
	k := &kept[machine.PortGroup, portGroupBody]{
		api: a, path: "portgroups", noun: "Portgroup", since: osapi.V(1, 23), reads: osapi.Reader, byName: true, details: true,
		collection: collection{
			// mode and properties came in 1.26 on paper; Ironic has always shown and changed them in 1.23, too.
			key: "portgroups", brief: []string{"uuid", "address", "name", "links"}, filters: []string{"node", "address"},
		},
		list: func(ctx context.Context, q db.Querier) ([]*machine.PortGroup, error) {
			return a.machines.PortGroups(ctx, q, "")
		},
		get: a.machines.PortGroup, save: a.machines.SavePortGroup, remove: a.machines.DeletePortGroup,
		card: func(g *machine.PortGroup) *machine.Card { return &g.Card },
		of:   func(g *machine.PortGroup) string { return g.Machine },
		filter: func(r *osapi.Request) func(*machine.PortGroup) bool {
			address := strings.ToLower(r.HTTP.URL.Query().Get("address"))
			return func(g *machine.PortGroup) bool { return address == "" || g.MAC == address }
		},
		view: func(r *osapi.Request, g *machine.PortGroup) object {
			return carded(r, &g.Card, "portgroups", object{
				"node_uuid": g.Machine, "address": orNull(g.MAC), "name": orNull(g.Name), "mode": cmp.Or(g.Mode, defaultMode),
				"properties": orEmpty(g.Properties), "standalone_ports_supported": g.Standalone, "internal_info": vifInfo(g.VIF),
				"ports": below(r, "/portgroups/", g.ID, "ports"),
			})
		},
		body: func(g *machine.PortGroup) portGroupBody {
			standalone := osapi.Bool(g.Standalone)
			return portGroupBody{g.Machine, g.MAC, g.Name, g.Mode, orEmpty(g.Properties), &standalone, orEmpty(g.Extra)}
		},
	}
	k.read = a.readPortGroup
	return k
}

func (a *api) readPortGroup(ctx context.Context, tx *db.Tx, b portGroupBody, g *machine.PortGroup) error {
	if err := a.settleNode(ctx, tx, &g.Machine, b.Node); err != nil {
		return err
	}
	if b.Name != "" && !isName(b.Name) {
		return fault.New(fault.Invalid, "Cannot set portgroup with invalid name '%s'", b.Name)
	}
	if b.Address != "" {
		mac, err := readMAC(b.Address)
		if err != nil {
			return err
		}
		b.Address = mac
	}
	g.MAC, g.Name, g.Mode, g.Properties, g.Extra = b.Address, b.Name, cmp.Or(b.Mode, defaultMode), b.Properties, b.Extra
	g.Standalone = b.Standalone == nil || bool(*b.Standalone)
	return nil
}

// readMAC takes an Ethernet address in any of its spellings.
func readMAC(text string) (string, error) {
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 {
		return "", fault.New(fault.Invalid, "Expected a MAC address but received %s.", text)
	}
	return mac.String(), nil
}

// portsOfGroup lists the members of a port group.
func (a *api) portsOfGroup(detail bool) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		g, err := a.portGroups().found(r, a.db)
		if err != nil {
			return nil, err
		}
		return a.ports(r, g.Machine, detail, func(nic *machine.NIC) bool { return nic.PortGroup == g.ID })
	}
}
