package server

import (
	"context"
	"io"

	"github.com/ingotcloud/ingot/internal/deployimage"
	"github.com/ingotcloud/ingot/internal/driver/netboot"
	"github.com/ingotcloud/ingot/internal/driver/ovn/topology"
	"github.com/ingotcloud/ingot/internal/image"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/qos"
	"github.com/ingotcloud/ingot/internal/securitygroup"
	"github.com/ingotcloud/ingot/internal/trunk"
)

// bootSource tells the network boot server which NICs are in quarantine: on tenants' networks OVN answers.
type bootSource struct{ *parts }

func (s bootSource) Lease(ctx context.Context, mac string) (*netboot.Lease, error) {
	quarantined, err := s.machines.Reservation(ctx, mac)
	if err != nil || quarantined == nil {
		return nil, err
	}
	return &netboot.Lease{Addr: quarantined.Address, Hostname: quarantined.Hostname, BootKey: quarantined.BootKey}, nil
}

func (s bootSource) Boot(ctx context.Context, key string) (*netboot.Boot, error) {
	a, err := s.machines.Artefact(ctx, key)
	if err != nil {
		return nil, err
	}
	return &netboot.Boot{Key: key, Params: a.Params, SecureBoot: a.Machine.Abilities.SecureBoot, Rescue: a.Rescue}, nil
}

// agentImages gives agents the images they write.
type agentImages struct{ images *image.Service }

func (a agentImages) Manifest(ctx context.Context, id string) (deployimage.Manifest, error) {
	return a.images.DeployManifest(ctx, id)
}

func (a agentImages) OpenBlob(ctx context.Context, id string) (io.ReadSeekCloser, error) {
	return a.images.OpenBlob(ctx, id)
}

// joinNetworks tells the domains of the network about each other: what a port names, what is shared, how many there may be.
func (p *parts) joinNetworks() {
	counts := p.routers.Counts()
	counts[securitygroup.GroupKind], counts[securitygroup.RuleKind], counts[trunk.Kind] = p.groups.CountGroups, p.groups.CountRules, p.trunks.Count
	var wires []string
	if wire := p.config.OVN.ExternalPhysical; wire != "" {
		wires = []string{wire}
	}
	p.networks.Surround(network.Surroundings{
		Wires:  wires,
		Groups: p.groups, Policies: p.policies, Counts: counts,
		Owners: map[string]network.Owner{
			securitygroup.GroupKind: p.groups.GroupOwner, securitygroup.AddressGroupKind: p.groups.AddressGroupOwner, qos.PolicyKind: p.policies.Owner,
		},
		Holds: topology.CheckPort,
	})
	p.groups.Holds = topology.CheckRule
	p.groups.Shares, p.groups.Quotas, p.trunks.Quotas = p.networks, p.networks, p.networks
	p.policies.Shares, p.policies.Users = p.networks, []qos.Users{p.networks, p.routers}
}
