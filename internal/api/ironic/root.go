package ironic

import "github.com/ingotcloud/ingot/internal/api/osapi"

func version(r *osapi.Request) object {
	return object{
		"id": "v1", "links": []object{{"href": r.URL("/v1/"), "rel": "self"}},
		"status": "CURRENT", "min_version": "1.1", "version": newest.String(),
	}
}

func (a *api) root(r *osapi.Request) (any, error) {
	return object{
		"name": "OpenStack Ironic API", "description": "Bare metal machines of this cloud.",
		"default_version": version(r), "versions": []object{version(r)},
	}, nil
}

func (a *api) v1(r *osapi.Request) (any, error) {
	body := object{
		"id": "v1", "links": []object{{"href": r.URL("/v1/"), "rel": "self"}}, "version": version(r),
		"media_types": []object{{"base": "application/json", "type": "application/vnd.openstack.ironic.v1+json"}},
	}
	for _, resource := range []string{
		"nodes", "ports", "portgroups", "drivers", "chassis", "volume", "conductors", "allocations", "deploy_templates", "shards",
	} {
		body[resource] = links(r, resource)
	}
	return osapi.Fields{
		"portgroups": osapi.Since(1, 23), "volume": osapi.Since(1, 32), "conductors": osapi.Since(1, 49),
		"allocations": osapi.Since(1, 52), "deploy_templates": osapi.Since(1, 55), "shards": osapi.Since(1, 82),
	}.Trim(body, r.Version), nil
}

// none lists what this cloud has none of.
func none(name string) osapi.Handler {
	return func(*osapi.Request) (any, error) { return object{name: []object{}}, nil }
}

// ofNode is none below a node.
func (a *api) ofNode(name string) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		if _, err := a.node(r); err != nil {
			return nil, err
		}
		return object{name: []object{}}, nil
	}
}

func volume(r *osapi.Request) (any, error) {
	return object{"links": links(r, "volume"), "connectors": links(r, "volume", "connectors"), "targets": links(r, "volume", "targets")}, nil
}

func (a *api) nodeVolume(r *osapi.Request) (any, error) {
	m, err := a.node(r)
	if err != nil {
		return nil, err
	}
	return object{
		"links": links(r, "nodes", m.ID, "volume"), "connectors": links(r, "nodes", m.ID, "volume", "connectors"),
		"targets": links(r, "nodes", m.ID, "volume", "targets"),
	}, nil
}
