package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/metadata"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/router"
	"github.com/ingotcloud/ingot/internal/securitygroup"
)

// metadataDoor is where the chassis' programs ask for servers' metadata; the listener is nil where none is configured. Pin is
// of the key that it will show.
func (p *parts) metadataDoor(pin string) (net.Listener, http.Handler, error) {
	c := p.config.OVN
	if c.MetadataListen == "" {
		return nil, nil, nil
	}
	listener, err := net.Listen("tcp", c.MetadataListen)
	if err != nil {
		return nil, nil, fmt.Errorf("ovn.metadata_listen: %w", err)
	}
	p.log.Info("chassis get metadata here", "url", "https://"+listener.Addr().String(), "pin", pin)
	return listener, &metadata.Door{Servers: metadataServers{p}, Secret: []byte(c.MetadataSecret), Now: p.clock.Now, Log: p.log}, nil
}

// metadataServers puts together what the domains know of a server.
type metadataServers struct{ *parts }

func (s metadataServers) MetadataOf(ctx context.Context, c metadata.Caller) (*metadata.Content, error) {
	port, err := s.networks.PortAt(ctx, s.db, c.Network, c.Address)
	if err != nil {
		return nil, err
	}
	if port == nil || !port.OfServer() {
		return nil, fault.Wrap(errors.New("no server's port has it"), fault.NotFound, "No server has the address %s.", c.Address)
	}
	i, err := s.instances.Get(ctx, s.db, instance.Viewer{All: true}, port.DeviceID)
	if err != nil {
		return nil, err
	}
	content, err := s.instances.Content(ctx, s.db, i)
	if err != nil {
		return nil, err
	}
	floating, err := s.routers.FloatingIPs(ctx, s.db, network.Everything, router.FloatingIPFilter{FixedPorts: []string{port.ID}})
	if err != nil {
		return nil, err
	}
	if len(floating) > 0 {
		content.PublicIPv4 = floating[0].Addr
	}
	if len(port.Groups) == 0 {
		return content, nil
	}
	groups, err := s.groups.Groups(ctx, s.db, securitygroup.Everything, securitygroup.Filter{IDs: port.Groups})
	for _, g := range groups {
		content.SecurityGroups = append(content.SecurityGroups, g.Name)
	}
	return content, err
}
