package router

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// mostRoutes is how many static routes a router may have (Neutron's max_routes).
const mostRoutes = 30

// AddRoutes gives a router more routes; those that it has already it keeps.
func (s *Service) AddRoutes(ctx context.Context, tx *db.Tx, v network.Viewer, id string, more []network.Route) (*Router, error) {
	r, err := s.Router(ctx, tx, v, id)
	if err != nil {
		return nil, err
	}
	routes := slices.Clone(r.Routes)
	for _, route := range more {
		if !slices.Contains(routes, route) {
			routes = append(routes, route)
		}
	}
	return r, s.change(ctx, tx, v, r, Change{Routes: &routes})
}

// RemoveRoutes takes routes from a router; those that it has not got are no error.
func (s *Service) RemoveRoutes(ctx context.Context, tx *db.Tx, v network.Viewer, id string, less []network.Route) (*Router, error) {
	r, err := s.Router(ctx, tx, v, id)
	if err != nil {
		return nil, err
	}
	routes := slices.DeleteFunc(slices.Clone(r.Routes), func(route network.Route) bool { return slices.Contains(less, route) })
	return r, s.change(ctx, tx, v, r, Change{Routes: &routes})
}

// checkRoutes finds routes that cannot be: each next hop is a neighbour on a network that the router is on.
func (s *Service) checkRoutes(ctx context.Context, q db.Querier, r *Router) error {
	if len(r.Routes) == 0 {
		return nil
	}
	if len(r.Routes) > mostRoutes {
		return refuse(fault.Invalid, TooManyRoutes, "Unable to complete operation for %s. The number of routes exceeds the maximum %d.", r.ID, mostRoutes)
	}
	places, err := s.places(ctx, q, r.ID)
	if err != nil {
		return err
	}
	for i, route := range r.Routes {
		switch {
		case slices.Contains(r.Routes[:i], route):
			return invalidRoutes(r.Routes, "a route is there twice")
		case route.Destination.Addr().Is4() != route.NextHop.Is4():
			return invalidRoutes(r.Routes, "a next hop is not of its destination's IP version")
		case !slices.ContainsFunc(places, func(at place) bool { return at.subnet.CIDR.Contains(route.NextHop) }):
			return invalidRoutes(r.Routes, "the nexthop is not connected with router")
		case slices.ContainsFunc(places, func(at place) bool { return at.addr == route.NextHop }):
			return invalidRoutes(r.Routes, "the nexthop is used by router")
		}
	}
	return nil
}

func invalidRoutes(routes []network.Route, reason string) error {
	var list []string
	for _, route := range routes {
		list = append(list, fmt.Sprintf("{'destination': '%s', 'nexthop': '%s'}", route.Destination, route.NextHop))
	}
	return refuse(fault.Invalid, InvalidRoutes, "Invalid format for routes: [%s], %s", strings.Join(list, ", "), reason)
}
