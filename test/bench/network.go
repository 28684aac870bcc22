package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"

	"github.com/ingotcloud/ingot/internal/lab"
	"github.com/ingotcloud/ingot/internal/lab/sim"
)

const (
	portsTried = 25   // of which the median counts
	fewNets    = 10   // a change is timed with so many networks
	manyNets   = 1000 // and with so many
	bulk       = 100  // created by one request
)

// measureNetworks uses a cloud of simulated machines on a real OVN.
func measureNetworks(ctx context.Context, bin, scratch string) (goals []goal, err error) {
	c := &cloud{home: filepath.Join(scratch, "networks"), program: filepath.Join(bin, "ingot")}
	if err := os.MkdirAll(c.home, 0o700); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.takeDown()) }()
	out, err := exec.CommandContext(ctx, c.program, "up", "--simulate", "2", "--fabric", sim.FabricOVN, "--home", c.folder()).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("ingot up: %w\n%s", err, out)
	}
	admin, err := c.login(ctx, "admin")
	if err != nil {
		return nil, err
	}
	n := &networks{}
	if n.ServiceClient, err = openstack.NewNetworkV2(admin, gophercloud.EndpointOpts{}); err != nil {
		return nil, err
	}
	if n.link, err = c.freeNIC(); err != nil {
		return nil, err
	}
	if err := n.have(ctx, fewNets); err != nil {
		return nil, err
	}
	few, err := n.timePorts(ctx)
	if err != nil {
		return nil, err
	}
	if err := n.have(ctx, manyNets); err != nil {
		return nil, err
	}
	many, err := n.timePorts(ctx)
	if err != nil {
		return nil, err
	}
	live, flat := median(few.live).Seconds()*1000, median(many.request).Seconds()/median(few.request).Seconds()
	return []goal{
		{
			name: "Port create and bind to flows live, median", limit: "< 300 ms", figure: fmt.Sprintf("%.0f ms", live), verdict: atMost(live, 300),
			behind: fmt.Sprintf("with %d networks; with %d: %.0f ms", fewNets, manyNets, median(many.live).Seconds()*1000),
		},
		{
			name: fmt.Sprintf("API cost of one change, %d networks / %d", manyNets, fewNets), limit: "≤ 1.20", figure: fmt.Sprintf("%.2f", flat), verdict: atMost(flat, 1.2),
			behind: fmt.Sprintf("creating a port takes %.1f ms and %.1f ms", median(many.request).Seconds()*1000, median(few.request).Seconds()*1000),
		},
	}, nil
}

// freeNIC is one that no server is on: the second one of any machine.
func (c *cloud) freeNIC() (lab.Link, error) {
	rack, err := lab.ReadDescription(c.folder("lab"))
	if err != nil {
		return lab.Link{}, err
	}
	return rack.Machines[0].NICs[1].Link, nil
}

// networks are those of the operator's project.
type networks struct {
	*gophercloud.ServiceClient
	link lab.Link
	ids  []string
}

// have makes networks, each with a subnet, until there are so many.
func (n *networks) have(ctx context.Context, count int) error {
	for len(n.ids) < count {
		var nets, subnets []object
		for range min(bulk, count-len(n.ids)) {
			nets = append(nets, object{"name": "bench"})
		}
		var made struct {
			Networks []struct {
				ID string `json:"id"`
			} `json:"networks"`
		}
		if err := n.post(ctx, "networks", object{"networks": nets}, &made); err != nil {
			return err
		}
		for _, net := range made.Networks {
			n.ids = append(n.ids, net.ID)
			subnets = append(subnets, object{"network_id": net.ID, "ip_version": 4, "cidr": "10.0.0.0/24"})
		}
		if err := n.post(ctx, "subnets", object{"subnets": subnets}, nil); err != nil {
			return err
		}
	}
	return nil
}

func (n *networks) post(ctx context.Context, path string, in, out any) error {
	answer, err := n.Request(ctx, http.MethodPost, n.ServiceURL(path), &gophercloud.RequestOpts{JSONBody: in, JSONResponse: out, OkCodes: []int{201}})
	if err == nil && out == nil {
		err = answer.Body.Close()
	}
	return err
}

// portTimes are how long the request took that creates a port on a NIC, and how long until the port was carried.
type portTimes struct{ request, live []time.Duration }

func (n *networks) timePorts(ctx context.Context) (t portTimes, err error) {
	for range portsTried {
		var made struct {
			Port struct {
				ID     string `json:"id"`
				Status string `json:"status"`
			} `json:"port"`
		}
		began := time.Now()
		err := n.post(ctx, "ports", object{"port": object{
			"network_id": n.ids[0], "binding:host_id": "bench", "binding:profile": object{"local_link_information": []any{n.link}},
		}}, &made)
		if err != nil {
			return t, err
		}
		t.request = append(t.request, time.Since(began))
		for made.Port.Status != "ACTIVE" {
			if time.Since(began) > patience {
				return t, fmt.Errorf("the port %s is still %s", made.Port.ID, made.Port.Status)
			}
			time.Sleep(5 * time.Millisecond)
			if err := call(ctx, n.ServiceClient, http.MethodGet, "ports/"+made.Port.ID, nil, &made); err != nil {
				return t, err
			}
		}
		t.live = append(t.live, time.Since(began))
		if err := call(ctx, n.ServiceClient, http.MethodDelete, "ports/"+made.Port.ID, nil, nil); err != nil {
			return t, err
		}
	}
	return t, nil
}
