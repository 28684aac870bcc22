package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"

	"github.com/ingotcloud/ingot/internal/lab"
	"github.com/ingotcloud/ingot/internal/lab/sim"
)

const (
	portsTried = 25 // of which the median counts
	fewNets    = 10 // a change is timed with so many networks, and with many
)

// tenantNetworks uses a cloud of simulated machines on a real OVN.
func (b *bench) tenantNetworks(ctx context.Context) (goals []goal, err error) {
	c := &cloud{home: filepath.Join(b.scratch, "networks"), program: filepath.Join(b.bin, "ingot")}
	if err := os.MkdirAll(c.home, 0o700); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.takeDown()) }()
	out, err := exec.CommandContext(ctx, c.program, "up", "--simulate", "2", "--fabric", sim.FabricOVN, "--home", c.folder()).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("ingot up: %w\n%s", err, out)
	}
	n, err := c.networks(ctx)
	if err != nil {
		return nil, err
	}
	rack, err := lab.ReadDescription(c.folder("lab"))
	if err != nil {
		return nil, err
	}
	nb, err := openNorthbound(ctx, rack.OVN.NB, rack.OVN.SB)
	if err != nil {
		return nil, err
	}
	defer nb.close()
	if _, _, err := n.fillTimed(ctx, nb, fewNets); err != nil {
		return nil, err
	}
	few, err := n.timePorts(ctx, nb)
	if err != nil {
		return nil, err
	}
	written, err := c.againstStraight(ctx, n, nb, rack, b.networks)
	if err != nil {
		return nil, err
	}
	many, err := n.timePorts(ctx, nb)
	if err != nil {
		return nil, err
	}
	live, flat := median(few.live).Seconds()*1000, slices.Min(many.request).Seconds()/slices.Min(few.request).Seconds()
	return []goal{
		{
			name: "Port create and bind to flows live, median", limit: "< 300 ms", figure: fmt.Sprintf("%.0f ms", live), verdict: atMost(live, 300),
			behind: fmt.Sprintf("with %d networks; with %d: %.0f ms", fewNets, len(n.ids), median(many.live).Seconds()*1000),
		},
		{
			name: fmt.Sprintf("API cost of one change, %d networks / %d", len(n.ids), fewNets), limit: "≤ 1.20", figure: fmt.Sprintf("%.2f", flat), verdict: atMost(flat, 1.2),
			behind: fmt.Sprintf("creating a port takes %.1f ms and %.1f ms, the best of %d: others can only slow it down",
				slices.Min(many.request).Seconds()*1000, slices.Min(few.request).Seconds()*1000, portsTried),
		},
		written,
	}, nil
}

// networks are those of the operator's project, with a NIC that no server is on.
type networks struct {
	*gophercloud.ServiceClient
	link lab.Link
	ids  []string
}

// networks logs the operator in, whose project may have any number of them.
func (c *cloud) networks(ctx context.Context) (*networks, error) {
	rack, err := lab.ReadDescription(c.folder("lab"))
	if err != nil {
		return nil, err
	}
	admin, err := c.login(ctx, "admin")
	if err != nil {
		return nil, err
	}
	n := &networks{link: rack.Machines[0].NICs[1].Link}
	if n.ServiceClient, err = openstack.NewNetworkV2(admin, gophercloud.EndpointOpts{}); err != nil {
		return nil, err
	}
	token, ok := admin.GetAuthResult().(tokens.CreateResult)
	if !ok {
		return nil, errors.New("the login gave no token of Keystone's")
	}
	project, err := token.ExtractProject()
	if err != nil {
		return nil, err
	}
	unlimited := object{"network": -1, "subnet": -1, "port": -1, "security_group": -1, "security_group_rule": -1}
	return n, call(ctx, n.ServiceClient, http.MethodPut, "quotas/"+project.ID, object{"quota": unlimited}, nil)
}

// portTimes are how long the request took that creates a port on a NIC, and how long until the port was carried.
type portTimes struct{ request, live []time.Duration }

// timePorts lets OVN finish with one port before it asks for the next, or the one would count as the cost of the other.
func (n *networks) timePorts(ctx context.Context, nb *northbound) (t portTimes, err error) {
	ports := nb.ports()
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
		if err := errors.Join(nb.have(ctx, ports), nb.driver.Sync(ctx)); err != nil {
			return t, err
		}
	}
	return t, nil
}
