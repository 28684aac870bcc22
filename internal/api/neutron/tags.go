package neutron

import (
	"net/http"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/trunk"
)

// tagged are the tags of one kind of thing.
type tagged struct {
	*api
	table network.Table
	find  func(*osapi.Request, db.Querier) (network.Meta, error)
}

// tagged has the collections whose things have tags.
func (a *api) tagged() map[string]tagged {
	return map[string]tagged{
		"networks": {a, network.NetworkTable, a.networkOf},
		"subnets":  {a, network.SubnetTable, a.subnetOf},
		"ports":    {a, network.PortTable, a.portOf},

		"subnetpools": {a, network.SubnetPoolTable, a.subnetPoolOf},
		"routers":     {a, router.RouterTable, a.routerOf},
		"floatingips": {a, router.FloatingIPTable, a.floatingIPOf},

		"security-groups": {a, groupTable, a.groupOf},
		"qos/policies":    {a, policyTable, a.policyOf},
		"policies":        {a, policyTable, a.policyOf}, // where Neutron has them
		"trunks":          {a, trunk.Table, a.trunkOf},
	}
}

func (a *api) tagRoutes() []osapi.Route {
	var routes []osapi.Route
	for collection, t := range a.tagged() {
		tags := "/v2.0/" + collection + "/{id}/tags"
		one := tags + "/{tag}"
		routes = append(routes,
			osapi.Route{Method: http.MethodGet, Pattern: tags, Policy: osapi.Reader, Handle: t.list},
			osapi.Route{Method: http.MethodPut, Pattern: tags, Policy: osapi.Member, Handle: t.replace},
			osapi.Route{Method: http.MethodDelete, Pattern: tags, Policy: osapi.Member, Status: 204, Handle: t.clear},
			osapi.Route{Method: http.MethodGet, Pattern: one, Policy: osapi.Reader, Status: 204, Handle: t.check},
			osapi.Route{Method: http.MethodPut, Pattern: one, Policy: osapi.Member, Status: 201, Handle: t.add},
			osapi.Route{Method: http.MethodDelete, Pattern: one, Policy: osapi.Member, Status: 204, Handle: t.remove},
		)
	}
	return routes
}

func (t tagged) read(r *osapi.Request) ([]string, error) {
	thing, err := t.find(r, t.db)
	return append([]string{}, thing.Tags...), err
}

func (t tagged) list(r *osapi.Request) (any, error) {
	tags, err := t.read(r)
	return object{"tags": tags}, err
}

func (t tagged) check(r *osapi.Request) (any, error) {
	tags, err := t.read(r)
	if err == nil && !slices.Contains(tags, r.Path("tag")) {
		err = noTag(r)
	}
	return nil, err
}

func noTag(r *osapi.Request) error {
	return failure("TagNotFound", fault.NotFound, "Tag %s could not be found.", r.Path("tag"))
}

// edit replaces the tags by what f makes of them.
func (t tagged) edit(r *osapi.Request, body any, f func(tags []string) ([]string, error)) (tags []string, err error) {
	var before []string
	find := func(r *osapi.Request, q db.Querier) (network.Meta, error) {
		thing, err := t.find(r, q)
		before = thing.Tags
		return thing, err
	}
	err = t.change(r, body, find, func(tx *db.Tx) error {
		after, err := f(slices.Clone(before))
		if err != nil {
			return err
		}
		tags, err = t.networks.Retag(r.Context(), tx, t.table, r.Path("id"), after)
		return err
	})
	return tags, err
}

func (t tagged) replace(r *osapi.Request) (any, error) {
	var body struct {
		Tags []string `json:"tags"`
	}
	tags, err := t.edit(r, &body, func([]string) ([]string, error) { return body.Tags, nil })
	return object{"tags": tags}, err
}

func (t tagged) clear(r *osapi.Request) (any, error) {
	_, err := t.edit(r, nil, func([]string) ([]string, error) { return nil, nil })
	return nil, err
}

func (t tagged) add(r *osapi.Request) (any, error) {
	_, err := t.edit(r, nil, func(tags []string) ([]string, error) { return append(tags, r.Path("tag")), nil })
	return nil, err
}

func (t tagged) remove(r *osapi.Request) (any, error) {
	_, err := t.edit(r, nil, func(tags []string) ([]string, error) {
		at := slices.Index(tags, r.Path("tag"))
		if at < 0 {
			return nil, noTag(r)
		}
		return slices.Delete(tags, at, at+1), nil
	})
	return nil, err
}
