// Package networktest makes networks for tests.
package networktest

import (
	"cmp"
	"testing"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/network"
)

// Shared makes a provider's network that all projects share and that nothing guards, with a subnet; the project of the subnet
// owns it. It is called "flat", as it is, and its wire is physnet1.
func Shared(t testing.TB, d *db.DB, s *network.Service, subnet network.NewSubnet) (n *network.Network) {
	t.Helper()
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		made, err := s.CreateNetwork(t.Context(), tx, network.NewNetwork{
			Project: subnet.Project, Name: "flat", Shared: true, NoPortSecurity: true, Wire: network.Wire{Kind: network.FlatKind, Physical: "physnet1"},
		})
		if err != nil {
			return err
		}
		subnet.Network, subnet.Name = made.ID, cmp.Or(subnet.Name, "flat-subnet")
		if _, err := s.CreateSubnet(t.Context(), tx, subnet); err != nil {
			return err
		}
		n, err = s.Network(t.Context(), tx, network.Everything, made.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
