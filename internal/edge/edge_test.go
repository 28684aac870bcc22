package edge

import (
	"testing"

	"github.com/ingotcloud/ingot/internal/fault"
)

func TestEdgeOfALocalLinkConnection(t *testing.T) {
	for name, c := range map[string]struct {
		link map[string]any
		want Edge
		bad  bool
	}{
		"none":                 {},
		"a switch of any kind": {link: map[string]any{"switch_info": "tor-17", "port_id": "Ethernet1"}},
		"Open vSwitch":         {link: map[string]any{"switch_info": "ovs", "port_id": "nic-1"}, want: Edge{Kind: OVS, Interface: "nic-1"}},
		"without an iface-id":  {link: map[string]any{"switch_info": "ovs"}, bad: true},
		"behind a trunk":       {link: map[string]any{"switch_info": "trunk:up-1", "port_id": "17"}, want: Edge{Kind: Trunk, Interface: "up-1", VLAN: 17}},
		"no VLAN":              {link: map[string]any{"switch_info": "trunk:up-1", "port_id": "4095"}, bad: true},
		"no uplink":            {link: map[string]any{"switch_info": "trunk:", "port_id": "17"}, bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			edge, err := Of(c.link)
			if c.bad != fault.Is(err, fault.Invalid) || edge != c.want {
				t.Errorf("%v, %v", edge, err)
			}
			if info, port := edge.Link(); edge.Kind != None && (info != c.link["switch_info"] || port != c.link["port_id"]) {
				t.Errorf("the way back is %q, %q", info, port)
			}
		})
	}
}
