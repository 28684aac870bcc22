package main

import (
	"context"
	"net/http"

	"github.com/gophercloud/gophercloud/v2"
)

// What each network is filled with.
const (
	portsEach = 10
	bulk      = 100 // created by one request
)

// rules of each network's security group, beside the two that every new one has.
var rules = []object{
	{"ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22},
	{"ethertype": "IPv4", "protocol": "tcp", "port_range_min": 80, "port_range_max": 80},
	{"ethertype": "IPv4", "protocol": "icmp"},
}

// fill makes so many networks, each with a subnet, a security group and ten ports in it.
func (n *networks) fill(ctx context.Context, count int) error {
	for made := 0; made < count; {
		some := min(bulk, count-made)
		nets, err := n.create(ctx, "network", repeat(some, func(int) object { return object{"name": "bench"} }))
		if err != nil {
			return err
		}
		if _, err := n.create(ctx, "subnet", repeat(some, func(i int) object {
			return object{"network_id": nets[i], "ip_version": 4, "cidr": "10.0.0.0/24"}
		})); err != nil {
			return err
		}
		groups, err := n.create(ctx, "security_group", repeat(some, func(int) object { return object{"name": "bench"} }))
		if err != nil {
			return err
		}
		if _, err := n.create(ctx, "security_group_rule", repeat(some*len(rules), func(i int) object {
			rule := object{"security_group_id": groups[i/len(rules)], "direction": "ingress"}
			for key, value := range rules[i%len(rules)] {
				rule[key] = value
			}
			return rule
		})); err != nil {
			return err
		}
		if _, err := n.create(ctx, "port", repeat(some*portsEach, func(i int) object {
			return object{"network_id": nets[i/portsEach], "security_groups": []string{groups[i/portsEach]}}
		})); err != nil {
			return err
		}
		n.ids = append(n.ids, nets...)
		made += some
	}
	return nil
}

func repeat(count int, one func(int) object) []object {
	list := make([]object, count)
	for i := range list {
		list[i] = one(i)
	}
	return list
}

// paths of what is created.
var paths = map[string]string{
	"network": "networks", "subnet": "subnets", "security_group": "security-groups", "security_group_rule": "security-group-rules", "port": "ports",
}

// create makes things in bulk and gives their ids.
func (n *networks) create(ctx context.Context, kind string, bodies []object) (ids []string, err error) {
	for len(bodies) > 0 {
		some := min(bulk, len(bodies))
		var made map[string][]struct {
			ID string `json:"id"`
		}
		if err := n.post(ctx, paths[kind], object{kind + "s": bodies[:some]}, &made); err != nil {
			return nil, err
		}
		for _, one := range made[kind+"s"] {
			ids = append(ids, one.ID)
		}
		bodies = bodies[some:]
	}
	return ids, nil
}

func (n *networks) post(ctx context.Context, path string, in, out any) error {
	_, err := n.Request(ctx, http.MethodPost, n.ServiceURL(path), &gophercloud.RequestOpts{JSONBody: in, JSONResponse: out, OkCodes: []int{201}})
	return err
}
