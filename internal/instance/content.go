package instance

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/metadata"
)

// seedBytes is how much randomness Nova gives a server to start with.
const seedBytes = 512

// Content is what an instance is told about itself, but for what other domains know: its floating IP and its security
// groups, which only the metadata service tells. The config drive and that service are made of it.
func (s *Service) Content(ctx context.Context, q db.Querier, i *Instance) (*metadata.Content, error) {
	c := &metadata.Content{
		ID: i.ID, Name: i.Name, Hostname: i.Hostname, Project: i.Project, LaunchIndex: i.LaunchIndex,
		Properties: i.Metadata, KeyName: i.KeyName, PublicKey: i.PublicKey, Seed: make([]byte, seedBytes),
		Reservation: i.Reservation, Flavor: i.Flavor.Name, Image: i.Image,
	}
	_, _ = rand.Read(c.Seed) // never fails (crypto/rand)
	var err error
	if i.UserData != "" {
		if c.UserData, err = base64.StdEncoding.DecodeString(i.UserData); err != nil {
			return nil, fault.New(fault.Invalid, "User data needs to be valid base 64.")
		}
	}
	if c.NetworkData, err = s.networks.NetworkData(ctx, q, i.ID); err != nil {
		return nil, err
	}
	zones, err := s.Zones(ctx, q)
	if err != nil {
		return nil, err
	}
	c.Zone = cmp.Or(zones.OfInstance(i), DefaultZone)
	ports, err := s.portsOf(ctx, q, i)
	if err != nil {
		return nil, err
	}
	for _, p := range ports {
		if tag := i.PortTag(p.ID); tag != "" {
			c.Tags = append(c.Tags, metadata.NICTag{MAC: p.MAC, Tag: tag})
		}
	}
	addresses, err := s.networks.ServerAddresses(ctx, q, i.ID)
	if err != nil {
		return nil, err
	}
	for _, a := range addresses[i.ID] {
		if a.Addr.Is4() {
			c.LocalIPv4 = a.Addr
			break
		}
	}
	return c, nil
}
