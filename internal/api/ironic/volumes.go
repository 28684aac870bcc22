package ironic

import (
	"context"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// connectorTypes are Ironic's (ironic/api/controllers/v1/volume_connector.py); no storage of ours looks at them yet.
var connectorTypes = []string{"iqn", "ip", "mac", "wwnn", "wwpn", "port", "portgroup"}

type connectorBody struct {
	Node        string `json:"node_uuid"`
	Type        string `json:"type"`
	ConnectorID string `json:"connector_id"`
	Extra       object `json:"extra"`
}

func (a *api) connectors() *kept[machine.VolumeConnector, connectorBody] {
	return &kept[machine.VolumeConnector, connectorBody]{
		api: a, path: "volume/connectors", noun: "Volume connector", since: osapi.V(1, 32), reads: osapi.Reader,
		collection: collection{key: "connectors", brief: []string{"uuid", "node_uuid", "type", "connector_id", "links"}, filters: []string{"node"}},
		list: func(ctx context.Context, q db.Querier) ([]*machine.VolumeConnector, error) {
			return a.machines.VolumeConnectors(ctx, q, "")
		},
		get: a.machines.VolumeConnector, save: a.machines.SaveVolumeConnector, remove: a.machines.DeleteVolumeConnector,
		card: func(c *machine.VolumeConnector) *machine.Card { return &c.Card },
		of:   func(c *machine.VolumeConnector) string { return c.Machine },
		view: func(r *osapi.Request, c *machine.VolumeConnector) object {
			return carded(r, &c.Card, "volume/connectors", object{"node_uuid": c.Machine, "type": c.Type, "connector_id": c.ConnectorID})
		},
		body: func(c *machine.VolumeConnector) connectorBody {
			return connectorBody{c.Machine, c.Type, c.ConnectorID, orEmpty(c.Extra)}
		},
		read: func(ctx context.Context, tx *db.Tx, b connectorBody, c *machine.VolumeConnector) error {
			if err := a.settleNode(ctx, tx, &c.Machine, b.Node); err != nil {
				return err
			}
			if !slices.Contains(connectorTypes, b.Type) || b.ConnectorID == "" {
				return fault.New(fault.Invalid, "Schema error for connector: it needs a connector_id, and a type of %v.", connectorTypes)
			}
			c.Type, c.ConnectorID, c.Extra = b.Type, b.ConnectorID, b.Extra
			return nil
		},
		mayChange: func(ctx context.Context, tx *db.Tx, c *machine.VolumeConnector, action string) error {
			return a.isOff(ctx, tx, c.Machine, action)
		},
	}
}

type targetBody struct {
	Node       string `json:"node_uuid"`
	VolumeType string `json:"volume_type"`
	VolumeID   string `json:"volume_id"`
	BootIndex  *int   `json:"boot_index"`
	Properties object `json:"properties"`
	Extra      object `json:"extra"`
}

func (a *api) targets() *kept[machine.VolumeTarget, targetBody] {
	return &kept[machine.VolumeTarget, targetBody]{
		api: a, path: "volume/targets", noun: "Volume target", since: osapi.V(1, 32), reads: osapi.Reader,
		collection: collection{key: "targets", brief: []string{"uuid", "node_uuid", "volume_type", "boot_index", "volume_id", "links"}, filters: []string{"node"}},
		list: func(ctx context.Context, q db.Querier) ([]*machine.VolumeTarget, error) {
			return a.machines.VolumeTargets(ctx, q, "")
		},
		get: a.machines.VolumeTarget, save: a.machines.SaveVolumeTarget, remove: a.machines.DeleteVolumeTarget,
		card: func(t *machine.VolumeTarget) *machine.Card { return &t.Card },
		of:   func(t *machine.VolumeTarget) string { return t.Machine },
		view: func(r *osapi.Request, t *machine.VolumeTarget) object {
			return carded(r, &t.Card, "volume/targets", object{
				"node_uuid": t.Machine, "volume_type": t.VolumeType, "volume_id": t.VolumeID, "boot_index": t.BootIndex, "properties": masking(t.Properties),
			})
		},
		body: func(t *machine.VolumeTarget) targetBody {
			return targetBody{t.Machine, t.VolumeType, t.VolumeID, &t.BootIndex, orEmpty(t.Properties), orEmpty(t.Extra)}
		},
		read: func(ctx context.Context, tx *db.Tx, b targetBody, t *machine.VolumeTarget) error {
			if err := a.settleNode(ctx, tx, &t.Machine, b.Node); err != nil {
				return err
			}
			if b.VolumeType == "" || b.VolumeID == "" || b.BootIndex == nil || *b.BootIndex < 0 {
				return fault.New(fault.Invalid, "Schema error for target: it needs a volume_type, a volume_id and a boot_index from 0.")
			}
			t.VolumeType, t.VolumeID, t.BootIndex, t.Properties, t.Extra = b.VolumeType, b.VolumeID, *b.BootIndex, b.Properties, b.Extra
			return nil
		},
		mayChange: func(ctx context.Context, tx *db.Tx, t *machine.VolumeTarget, action string) error {
			return a.isOff(ctx, tx, t.Machine, action)
		},
	}
}

func (a *api) isOff(ctx context.Context, tx *db.Tx, node, action string) error {
	m, err := a.machines.Get(ctx, tx, node)
	if err != nil {
		return err
	}
	return m.OffFor(action)
}

// volumes leads to the two collections of volumes.
func volumes(r *osapi.Request) (any, error) {
	return object{"connectors": links(r, "/volume/connectors"), "targets": links(r, "/volume/targets"), "links": links(r, "/volume/")}, nil
}

func (a *api) volumesOfNode(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return object{
		"connectors": below(r, "/nodes/", n.ID, "volume/connectors"), "targets": below(r, "/nodes/", n.ID, "volume/targets"),
		"links": below(r, "/nodes/", n.ID, "volume/"),
	}, nil
}
