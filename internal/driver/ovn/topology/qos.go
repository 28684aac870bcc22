package topology

import (
	"fmt"
	"strconv"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/qos"
	"github.com/ingotcloud/ingot/internal/router"
)

const qosPriority = 2000

// portQoS is the limits of a port: its policy's, else its network's. OVN's meters police; what exceeds them is lost.
func (c *compiler) portQoS(p *network.Port) []ovn.Row {
	policy := c.policies[p.QoS]
	if n := c.networks[p.Network]; p.QoS == "" && n != nil {
		policy = c.policies[n.QoS]
	}
	if policy == nil {
		return nil
	}
	name := strconv.Quote(nameOf(p))
	return limits(p.ID, p.Network, policy, "inport == "+name, "outport == "+name)
}

// floatingQoS is the limits of a floating IP, held where its router meets the outside.
func (c *compiler) floatingQoS(f *router.FloatingIP, gateway string) []ovn.Row {
	policy := c.policies[f.QoS]
	if policy == nil {
		return nil
	}
	resident := fmt.Sprintf(" && is_chassis_resident(%q)", "cr-"+lrp(gateway))
	return limits(f.ID, f.Network, policy,
		fmt.Sprintf("inport == %q && ip4.src == %s", gateway, f.Addr)+resident,
		fmt.Sprintf("outport == %q && ip4.dst == %s", gateway, f.Addr)+resident)
}

// limits are a policy's rules on a switch for what matches as coming from a port and as going to it.
func limits(id, network string, policy *qos.Policy, from, to string) []ovn.Row {
	var rows []ovn.Row
	for _, rule := range policy.Rules {
		row := &nbdb.QoS{Priority: qosPriority, Direction: nbdb.QoSDirectionToLport, Match: to}
		if rule.Egress {
			row.Direction, row.Match = nbdb.QoSDirectionFromLport, from
		}
		switch {
		case rule.Kind == qos.BandwidthLimit && rule.Rate > 0:
			row.Bandwidth = map[string]int{"rate": rule.Rate, "burst": burst(rule)}
		case rule.Kind == qos.DSCPMarking:
			row.Direction, row.Match = nbdb.QoSDirectionFromLport, from // marks are set where packets begin
			row.Action = map[string]int{"dscp": rule.DSCP}
		default:
			continue
		}
		rows = append(rows, ovn.Row{ID: id + "/" + rule.ID, In: []ovn.Ref{ovn.Switch(network)}, Model: row})
	}
	return rows
}

func burst(rule *qos.Rule) int {
	if rule.Burst > 0 {
		return rule.Burst
	}
	return max(1, rule.Rate*8/10)
}
