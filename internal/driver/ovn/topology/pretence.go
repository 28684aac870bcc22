package topology

import (
	"context"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/network"
)

// Pretence stands where a Reconciler does, for machines that only pretend: there is no OVN, and each port that one would
// carry is said to be carried. Both fields are required; they are a Reconciler's (Options).
type Pretence struct {
	Reader Reader
	Up     func(ctx context.Context, port string, up bool) error
}

// Work tells of a port, and of the subports that it carries.
func (p *Pretence) Work(ctx context.Context, key string) error {
	kind, id := split(ovn.Scope(key))
	if kind != PortKind {
		return nil
	}
	m, err := p.Reader.Scope(ctx, ovn.Scope(key))
	if err != nil {
		return err
	}
	c := newCompiler(m)
	if port := c.ports[id]; port != nil {
		if err := p.Up(ctx, id, c.carried(port)); err != nil {
			return err
		}
	}
	for _, t := range m.Trunks {
		if t.Port != id {
			continue
		}
		for _, sub := range t.Subports {
			if err := p.Work(ctx, string(PortKind.Of(sub.Port))); err != nil {
				return err
			}
		}
	}
	return nil
}

// All gives the ports that are up or down unlike what is pretended.
func (p *Pretence) All(ctx context.Context) (keys []string, err error) {
	m, err := p.Reader.Everything(ctx)
	if err != nil {
		return nil, err
	}
	c := newCompiler(m)
	for _, port := range m.Ports {
		if port.Up != c.carried(port) {
			keys = append(keys, string(PortKind.Of(port.ID)))
		}
	}
	return keys, nil
}

// Run has nothing to watch.
func (p *Pretence) Run(ctx context.Context, _ func()) { <-ctx.Done() }

// carried says whether an OVN would have the port up: it is a router's, its NIC is plugged in, or it is a subport of one
// whose NIC is (plug).
func (c *compiler) carried(p *network.Port) bool {
	if at, ok := c.places[p.ID]; ok && edgeRow(p.Edge) == "" {
		parent := c.ports[at.parent]
		return parent != nil && parent.Edge.Kind == network.EdgeOVS && edgeRow(parent.Edge) != ""
	}
	return ofRouter(p) || edgeRow(p.Edge) != ""
}
