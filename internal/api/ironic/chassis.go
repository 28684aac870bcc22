package ironic

import (
	"context"
	"unicode/utf8"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

type chassisBody struct {
	Description string `json:"description"`
	Extra       object `json:"extra"`
}

func (a *api) chassis() *kept[machine.Chassis, chassisBody] {
	return &kept[machine.Chassis, chassisBody]{
		api: a, path: "chassis", noun: "Chassis", reads: osapi.SystemReader, details: true,
		collection: collection{key: "chassis", brief: []string{"uuid", "description", "links"}},
		list:       a.machines.ListChassis, get: a.machines.GetChassis, save: a.machines.SaveChassis, remove: a.machines.DeleteChassis,
		card: func(c *machine.Chassis) *machine.Card { return &c.Card },
		view: func(r *osapi.Request, c *machine.Chassis) object {
			return carded(r, &c.Card, "chassis", object{"description": orNull(c.Description), "nodes": below(r, "/chassis/", c.ID, "nodes")})
		},
		body: func(c *machine.Chassis) chassisBody { return chassisBody{c.Description, orEmpty(c.Extra)} },
		read: func(_ context.Context, _ *db.Tx, b chassisBody, c *machine.Chassis) error {
			if utf8.RuneCountInString(b.Description) > 255 {
				return fault.New(fault.Invalid, "Schema error for chassis: the description has more than 255 characters.")
			}
			c.Description, c.Extra = b.Description, b.Extra
			return nil
		},
	}
}

// nodesOfChassis lists the nodes that stand in a chassis.
func (a *api) nodesOfChassis(detail bool) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		c, err := a.chassis().found(r, a.db)
		if err != nil {
			return nil, err
		}
		return a.nodes(r, detail, func(m *machine.Machine) bool { return m.Chassis == c.ID })
	}
}
