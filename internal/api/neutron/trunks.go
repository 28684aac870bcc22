package neutron

import (
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/trunk"
)

func (a *api) trunkRoutes() []osapi.Route {
	const list, one = "/v2.0/trunks", "/v2.0/trunks/{id}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: a.listTrunks},
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Member, Status: 201, Handle: a.createTrunk},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showTrunk},
		{Method: http.MethodPut, Pattern: one, Policy: osapi.Member, Handle: a.updateTrunk},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Member, Status: 204, Handle: a.deleteTrunk},
		{Method: http.MethodGet, Pattern: one + "/get_subports", Policy: osapi.Reader, Handle: a.listSubports},
		{Method: http.MethodPut, Pattern: one + "/add_subports", Policy: osapi.Member, Handle: a.addSubports},
		{Method: http.MethodPut, Pattern: one + "/remove_subports", Policy: osapi.Member, Handle: a.removeSubports},
	}
}

func trunkObject(t *trunk.Trunk) object {
	o := meta(t.Meta)
	o["port_id"], o["admin_state_up"], o["status"] = t.Port, t.AdminUp, string(t.Status)
	o["sub_ports"] = subportObjects(t)
	return o
}

func subportObjects(t *trunk.Trunk) []object {
	list := []object{}
	for _, sub := range t.Subports {
		list = append(list, object{"port_id": sub.Port, "segmentation_type": "vlan", "segmentation_id": sub.VLAN})
	}
	return list
}

// addTrunkDetails tells parents among the ports which subports they carry.
func (a *api) addTrunkDetails(r *osapi.Request, ports ...object) error {
	ids := []string{}
	for _, p := range ports {
		ids = append(ids, p["id"].(string))
	}
	trunks, err := a.trunks.OfParents(r.Context(), a.db, ids)
	for _, p := range ports {
		t := trunks[p["id"].(string)]
		if t == nil {
			continue
		}
		subports := subportObjects(t)
		for i, sub := range t.Subports {
			subports[i]["mac_address"] = sub.MAC
		}
		p["trunk_details"] = object{"trunk_id": t.ID, "sub_ports": subports}
	}
	return err
}

func (a *api) listTrunks(r *osapi.Request) (any, error) {
	found, err := a.trunks.Trunks(r.Context(), a.db, viewer(r))
	if err != nil {
		return nil, err
	}
	var all []object
	for _, t := range found {
		all = append(all, trunkObject(t))
	}
	return list(r, "trunks", all, trunkObject(&trunk.Trunk{}))
}

func (a *api) showTrunk(r *osapi.Request) (any, error) {
	t, err := a.trunks.Trunk(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return show(r, "trunk", trunkObject(t))
}

type subportBody struct {
	Port string                    `json:"port_id"`
	Type string                    `json:"segmentation_type"`
	VLAN osapi.Optional[osapi.Int] `json:"segmentation_id"`
}

func newSubports(bodies []subportBody) (list []trunk.NewSubport, err error) {
	for _, b := range bodies {
		sub := trunk.NewSubport{Port: b.Port, VLAN: int(b.VLAN.Value)}
		switch {
		case b.Type == "inherit":
			sub.Inherit = true
		case b.Type == "" || !b.VLAN.Set || b.VLAN.Null:
			return nil, fault.New(fault.Invalid, "Invalid input for operation: Invalid subport details of port '%s': missing segmentation information. Must specify both segmentation_id and segmentation_type.", b.Port)
		case b.Type != "vlan":
			return nil, fault.New(fault.Invalid, "Invalid input for operation: Unknown segmentation_type '%s'.", b.Type)
		}
		list = append(list, sub)
	}
	return list, nil
}

func (a *api) createTrunk(r *osapi.Request) (any, error) {
	var body struct {
		Trunk *struct {
			owned
			Port        string                        `json:"port_id"`
			Name        osapi.Optional[string]        `json:"name"`
			Description osapi.Optional[string]        `json:"description"`
			AdminUp     osapi.Optional[osapi.Bool]    `json:"admin_state_up"`
			Subports    osapi.Optional[[]subportBody] `json:"sub_ports"`
		} `json:"trunk"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body.Trunk
	if b == nil {
		return nil, noBody("trunk")
	}
	if b.Port == "" {
		return nil, fault.New(fault.Invalid, "Failed to parse request. Required attribute 'port_id' not specified")
	}
	project, err := b.project(r)
	if err != nil {
		return nil, err
	}
	subports, err := newSubports(b.Subports.Value)
	if err != nil {
		return nil, err
	}
	var t *trunk.Trunk
	err = a.db.Tx(r.Context(), func(tx *db.Tx) (err error) {
		t, err = a.trunks.Create(r.Context(), tx, viewer(r), trunk.NewTrunk{
			Project: project, Name: b.Name.Value, Description: b.Description.Value, Port: b.Port,
			AdminDown: b.AdminUp.Set && !b.AdminUp.Null && !bool(b.AdminUp.Value), Subports: subports,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"trunk": trunkObject(t)}, nil
}

func (a *api) updateTrunk(r *osapi.Request) (any, error) {
	var body struct {
		Trunk *struct {
			Name        osapi.Optional[string]     `json:"name"`
			Description osapi.Optional[string]     `json:"description"`
			AdminUp     osapi.Optional[osapi.Bool] `json:"admin_state_up"`
		} `json:"trunk"`
	}
	var t *trunk.Trunk
	err := a.change(r, &body, a.trunkOf, func(tx *db.Tx) (err error) {
		b := body.Trunk
		if b == nil {
			return noBody("trunk")
		}
		var f fields
		change := trunk.Change{Name: text(&f, "name", b.Name), Description: text(&f, "description", b.Description), AdminUp: truthOf(&f, "admin_state_up", b.AdminUp)}
		if f.err != nil {
			return f.err
		}
		t, err = a.trunks.Change(r.Context(), tx, r.Path("id"), change)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"trunk": trunkObject(t)}, nil
}

func (a *api) deleteTrunk(r *osapi.Request) (any, error) {
	return nil, a.change(r, nil, a.trunkOf, func(tx *db.Tx) error {
		return a.trunks.Delete(r.Context(), tx, r.Path("id"))
	})
}

func (a *api) listSubports(r *osapi.Request) (any, error) {
	t, err := a.trunks.Trunk(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return object{"sub_ports": subportObjects(t)}, nil
}

// addSubports answers with the trunk itself, without a name around it, as Neutron does.
func (a *api) addSubports(r *osapi.Request) (any, error) {
	return a.changeSubports(r, func(tx *db.Tx, bodies []subportBody) (*trunk.Trunk, error) {
		subports, err := newSubports(bodies)
		if err != nil {
			return nil, err
		}
		return a.trunks.AddSubports(r.Context(), tx, viewer(r), r.Path("id"), subports)
	})
}

func (a *api) removeSubports(r *osapi.Request) (any, error) {
	return a.changeSubports(r, func(tx *db.Tx, bodies []subportBody) (*trunk.Trunk, error) {
		ports := []string{}
		for _, b := range bodies {
			ports = append(ports, b.Port)
		}
		return a.trunks.RemoveSubports(r.Context(), tx, r.Path("id"), ports)
	})
}

func (a *api) changeSubports(r *osapi.Request, how func(*db.Tx, []subportBody) (*trunk.Trunk, error)) (any, error) {
	var body struct {
		Subports *[]subportBody `json:"sub_ports"`
	}
	var t *trunk.Trunk
	err := a.change(r, &body, a.trunkOf, func(tx *db.Tx) (err error) {
		if body.Subports == nil {
			return noBody("sub_ports")
		}
		t, err = how(tx, *body.Subports)
		return err
	})
	if err != nil {
		return nil, err
	}
	return trunkObject(t), nil
}

func (a *api) trunkOf(r *osapi.Request, q db.Querier) (network.Meta, error) {
	t, err := a.trunks.Trunk(r.Context(), q, viewer(r), r.Path("id"))
	if err != nil {
		return network.Meta{}, err
	}
	return t.Meta, nil
}
