package neutron

import (
	"context"
	"net/http"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
)

func (a *api) routerRoutes() []osapi.Route {
	const list, one = "/v2.0/routers", "/v2.0/routers/{id}"
	return []osapi.Route{
		{Method: http.MethodGet, Pattern: list, Policy: osapi.Reader, Handle: a.listRouters},
		{Method: http.MethodPost, Pattern: list, Policy: osapi.Member, Status: 201, Handle: a.createRouter},
		{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Handle: a.showRouter},
		{Method: http.MethodPut, Pattern: one, Policy: osapi.Member, Handle: a.updateRouter},
		{Method: http.MethodDelete, Pattern: one, Policy: osapi.Member, Status: 204, Handle: a.deleteRouter},
		{Method: http.MethodPut, Pattern: one + "/add_router_interface", Policy: osapi.Member, Handle: a.addRouterInterface},
		{Method: http.MethodPut, Pattern: one + "/remove_router_interface", Policy: osapi.Member, Handle: a.removeRouterInterface},
		{Method: http.MethodPut, Pattern: one + "/add_extraroutes", Policy: osapi.Member, Handle: a.addExtraRoutes},
		{Method: http.MethodPut, Pattern: one + "/remove_extraroutes", Policy: osapi.Member, Handle: a.removeExtraRoutes},
		{Method: http.MethodGet, Pattern: one + "/l3-agents", Policy: osapi.SystemReader, Handle: a.emptyOfRouter("agents")},
		{Method: http.MethodGet, Pattern: one + "/conntrack_helpers", Policy: osapi.Reader, Handle: a.emptyOfRouter("conntrack_helpers")},
	}
}

func routerObject(r *osapi.Request, x *router.Router) object {
	o := meta(x.Meta)
	o["admin_state_up"], o["status"] = x.AdminUp, "ACTIVE"
	o["external_gateway_info"] = nil
	if g := x.Gateway; g != nil {
		o["external_gateway_info"] = object{"network_id": g.Network, "enable_snat": g.SNAT, "external_fixed_ips": fixedIPs(g.FixedIPs)}
	}
	routes := []object{}
	for _, route := range x.Routes {
		routes = append(routes, object{"destination": route.Destination.String(), "nexthop": route.NextHop.String()})
	}
	o["routes"] = routes
	o["flavor_id"] = nil
	o["availability_zone_hints"], o["availability_zones"] = append([]string{}, x.Zones...), []string{network.Zone}
	if r.Caller.ReadsAll() { // how routers are carried is not a choice here; clients of admins show it
		o["distributed"], o["ha"] = false, false
	}
	return o
}

func fixedIPs(ips []network.FixedIP) []object {
	list := []object{}
	for _, ip := range ips {
		list = append(list, object{"subnet_id": ip.Subnet, "ip_address": ip.Addr.String()})
	}
	return list
}

func (a *api) listRouters(r *osapi.Request) (any, error) {
	q, page := r.Query(), storePage(r, "id", "project_id", "tenant_id", "name")
	found, err := a.routers.Routers(r.Context(), a.db, viewer(r), router.RouterFilter{ // what the store finds by itself
		IDs: q.Strings("id"), Projects: projects(q), Names: q.Strings("name"), Page: page,
	})
	if err != nil {
		return nil, err
	}
	var all []object
	for _, x := range found {
		all = append(all, routerObject(r, x))
	}
	return listPage(r, "routers", page, all, routerObject(r, &router.Router{}))
}

func (a *api) showRouter(r *osapi.Request) (any, error) {
	x, err := a.routers.Router(r.Context(), a.db, viewer(r), r.Path("id"))
	if err != nil {
		return nil, err
	}
	return show(r, "router", routerObject(r, x))
}

func (a *api) routerOf(r *osapi.Request, q db.Querier) (network.Meta, error) {
	x, err := a.routers.Router(r.Context(), q, viewer(r), r.Path("id"))
	if err != nil {
		return network.Meta{}, err
	}
	return x.Meta, nil
}

// emptyOfRouter is the list of something that no router has here.
func (a *api) emptyOfRouter(key string) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		_, err := a.routerOf(r, a.db)
		return object{key: []any{}}, err
	}
}

// routerBody is a router as clients write it.
type routerBody struct {
	owned
	Name        osapi.Optional[string]      `json:"name"`
	Description osapi.Optional[string]      `json:"description"`
	AdminUp     osapi.Optional[osapi.Bool]  `json:"admin_state_up"`
	Gateway     osapi.Optional[gatewayBody] `json:"external_gateway_info"`
	Routes      osapi.Optional[[]routeBody] `json:"routes"`
	Zones       osapi.Optional[[]string]    `json:"availability_zone_hints"`

	// What a router here cannot have: only its absence may be asked for.
	Distributed osapi.Optional[osapi.Bool] `json:"distributed"`
	HA          osapi.Optional[osapi.Bool] `json:"ha"`
	Flavor      osapi.Optional[string]     `json:"flavor_id"`
}

type gatewayBody struct {
	Network  osapi.Optional[string]     `json:"network_id"`
	SNAT     osapi.Optional[osapi.Bool] `json:"enable_snat"`
	FixedIPs []struct {
		Subnet osapi.Optional[string] `json:"subnet_id"`
		Addr   osapi.Optional[string] `json:"ip_address"`
	} `json:"external_fixed_ips"`
	QoS osapi.Optional[string] `json:"qos_policy_id"`
}

type routeBody struct {
	Destination string `json:"destination"`
	NextHop     string `json:"nexthop"`
}

// possible fails for what a router cannot have: nothing asked for is dropped silently.
func (b *routerBody) possible() error {
	switch {
	case bool(b.Distributed.Value) || bool(b.HA.Value):
		return fault.New(fault.Invalid, "Routers are distributed and fail over by themselves here; distributed and ha are no choice.")
	case b.Flavor.Value != "":
		return fault.New(fault.Invalid, "There are no flavors of routers.")
	case b.Gateway.Value.QoS.Value != "":
		return fault.New(fault.Unsupported, "QoS policies of gateways are not there yet; floating IPs have them.")
	}
	return nil
}

// gateway is nil when the body asks for none. As in Neutron, SNAT and addresses are for admins to say; others may repeat
// what is so anyway.
func (b *routerBody) gateway(r *osapi.Request, now *router.Gateway) (*router.GatewayWish, error) {
	g := b.Gateway.Value
	if g.Network.Value == "" {
		return nil, nil
	}
	wish := &router.GatewayWish{Network: g.Network.Value, SNAT: !g.SNAT.Set || bool(g.SNAT.Value)}
	var f fields
	for _, asked := range g.FixedIPs {
		wish.FixedIPs = append(wish.FixedIPs, network.FixedIP{Subnet: asked.Subnet.Value, Addr: address(&f, "external_fixed_ips", asked.Addr.Value)})
	}
	if f.err != nil || r.Caller.IsAdmin() {
		return wish, f.err
	}
	if now == nil {
		now = &router.Gateway{SNAT: true}
	}
	return wish, forAdmins(r, map[string]bool{
		"enable_snat":        g.SNAT.Set && wish.SNAT != now.SNAT,
		"external_fixed_ips": wish.FixedIPs != nil && !slices.Equal(wish.FixedIPs, now.FixedIPs),
	})
}

func routes(asked []routeBody) ([]network.Route, error) {
	var f fields
	list := []network.Route{}
	for _, route := range asked {
		to, by := prefix(&f, "routes", route.Destination), address(&f, "routes", route.NextHop)
		if !to.IsValid() || !by.IsValid() || to != to.Masked() {
			f.fail("routes", "'%s' by '%s' is not a route", route.Destination, route.NextHop)
		}
		list = append(list, network.Route{Destination: to, NextHop: by})
	}
	return list, f.err
}

func (a *api) createRouter(r *osapi.Request) (any, error) {
	var body struct {
		Router *routerBody `json:"router"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body.Router
	if b == nil {
		return nil, noBody("router")
	}
	if len(b.Routes.Value) > 0 {
		return nil, fault.New(fault.Invalid, "Attribute 'routes' not allowed in POST")
	}
	if err := b.possible(); err != nil {
		return nil, err
	}
	project, err := b.project(r)
	if err != nil {
		return nil, err
	}
	spec := router.NewRouter{Project: project, Name: b.Name.Value, Description: b.Description.Value, Zones: b.Zones.Value}
	spec.AdminDown = b.AdminUp.Set && !b.AdminUp.Null && !bool(b.AdminUp.Value)
	if spec.Gateway, err = b.gateway(r, nil); err != nil {
		return nil, err
	}
	var made *router.Router
	err = a.db.Tx(r.Context(), func(tx *db.Tx) (err error) {
		made, err = a.routers.Create(r.Context(), tx, viewer(r), spec)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"router": routerObject(r, made)}, nil
}

func (a *api) updateRouter(r *osapi.Request) (any, error) {
	var body struct {
		Router *routerBody `json:"router"`
	}
	return a.changeRouter(r, &body, func(tx *db.Tx) (*router.Router, error) {
		b := body.Router
		if b == nil {
			return nil, noBody("router")
		}
		now, err := a.routers.Router(r.Context(), tx, viewer(r), r.Path("id"))
		if err != nil {
			return nil, err
		}
		change, err := b.change(r, now)
		if err != nil {
			return nil, err
		}
		return a.routers.Change(r.Context(), tx, viewer(r), now.ID, change)
	})
}

func (b *routerBody) change(r *osapi.Request, now *router.Router) (c router.Change, err error) {
	if err := (readOnly{"project_id": b.Project.Set, "tenant_id": b.Tenant.Set, "availability_zone_hints": b.Zones.Set}).check(); err != nil {
		return c, err
	}
	if err := b.possible(); err != nil {
		return c, err
	}
	var f fields
	c.Name, c.Description, c.AdminUp = text(&f, "name", b.Name), text(&f, "description", b.Description), truthOf(&f, "admin_state_up", b.AdminUp)
	if f.err != nil {
		return c, f.err
	}
	if b.Gateway.Set {
		if c.Gateway, err = b.gateway(r, now.Gateway); err != nil {
			return c, err
		}
		c.NoGateway = c.Gateway == nil
	}
	if b.Routes.Set { // null: none
		list, err := routes(b.Routes.Value)
		if err != nil {
			return c, err
		}
		c.Routes = &list
	}
	return c, nil
}

// changeRouter does what all changes that answer with the router have in common.
func (a *api) changeRouter(r *osapi.Request, body any, f func(*db.Tx) (*router.Router, error)) (any, error) {
	var changed *router.Router
	err := a.change(r, body, a.routerOf, func(tx *db.Tx) (err error) {
		changed, err = f(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{"router": routerObject(r, changed)}, nil
}

func (a *api) deleteRouter(r *osapi.Request) (any, error) {
	return nil, a.change(r, nil, a.routerOf, func(tx *db.Tx) error {
		return a.routers.Delete(r.Context(), tx, r.Path("id"))
	})
}

type routesChange func(context.Context, *db.Tx, network.Viewer, string, []network.Route) (*router.Router, error)

func (a *api) addExtraRoutes(r *osapi.Request) (any, error) {
	return a.extraRoutes(r, a.routers.AddRoutes)
}

func (a *api) removeExtraRoutes(r *osapi.Request) (any, error) {
	return a.extraRoutes(r, a.routers.RemoveRoutes)
}

func (a *api) extraRoutes(r *osapi.Request, change routesChange) (any, error) {
	var body struct {
		Router *struct {
			Routes []routeBody `json:"routes"`
		} `json:"router"`
	}
	return a.changeRouter(r, &body, func(tx *db.Tx) (*router.Router, error) {
		if body.Router == nil {
			return nil, noBody("router")
		}
		list, err := routes(body.Router.Routes)
		if err != nil {
			return nil, err
		}
		return change(r.Context(), tx, viewer(r), r.Path("id"), list)
	})
}

// interfaceBody names what a router comes onto or leaves.
type interfaceBody struct {
	Subnet osapi.Optional[string] `json:"subnet_id"`
	Port   osapi.Optional[string] `json:"port_id"`
}

func (b *interfaceBody) check() error {
	if b.Subnet.Value == "" && b.Port.Value == "" {
		return failure("BadRequest", fault.Invalid, "Bad router request: Either subnet_id or port_id must be specified.")
	}
	return nil
}

func (a *api) addRouterInterface(r *osapi.Request) (any, error) {
	var body interfaceBody
	return a.changeInterface(r, &body, func(tx *db.Tx) (*router.Interface, error) {
		switch {
		case body.Subnet.Value != "" && body.Port.Value != "":
			return nil, failure("BadRequest", fault.Invalid, "Bad router request: Cannot specify both subnet-id and port-id.")
		case body.Port.Value != "":
			return a.routers.AddPort(r.Context(), tx, viewer(r), r.Path("id"), body.Port.Value)
		}
		return a.routers.AddSubnet(r.Context(), tx, viewer(r), r.Path("id"), body.Subnet.Value)
	})
}

func (a *api) removeRouterInterface(r *osapi.Request) (any, error) {
	var body interfaceBody
	return a.changeInterface(r, &body, func(tx *db.Tx) (*router.Interface, error) {
		return a.routers.Remove(r.Context(), tx, viewer(r), r.Path("id"), body.Port.Value, body.Subnet.Value)
	})
}

func (a *api) changeInterface(r *osapi.Request, body *interfaceBody, f func(*db.Tx) (*router.Interface, error)) (any, error) {
	var at *router.Interface
	err := a.change(r, body, a.routerOf, func(tx *db.Tx) (err error) {
		if err := body.check(); err != nil {
			return err
		}
		at, err = f(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return object{
		"id": r.Path("id"), "tenant_id": at.Project, "port_id": at.Port, "network_id": at.Network,
		"subnet_id": at.Subnets[0], "subnet_ids": at.Subnets,
	}, nil
}
