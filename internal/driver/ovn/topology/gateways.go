package topology

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
)

// Gateway is a chassis on which routers' gateways may be.
type Gateway struct {
	Chassis string
	Alive   bool
}

// A router's gateway is in one of this many slots. A slot is a group of chassis in an order of its own, so that the gateways
// spread, and when a chassis comes or dies only the slots change, in one transaction, whatever the number of routers.
const gatewaySlots = 16

// slotSize is how many chassis stand by in a slot.
const slotSize = 5

func slotID(slot uint32) string { return fmt.Sprintf("gateways-%d", slot) }

// gatewaySlot is the id of the slot of a router.
func gatewaySlot(router string) string { return slotID(hash(router) % gatewaySlots) }

// gatewayRows are the slots. The dead are left out: with two chassis OVN would wait for the dead one for ever. Where nobody
// lives all are kept, because a slot without any would turn the routers' gateways into ordinary ports, without NAT.
func gatewayRows(gateways []Gateway) []ovn.Row {
	var living, all []string
	for _, g := range gateways {
		all = append(all, g.Chassis)
		if g.Alive {
			living = append(living, g.Chassis)
		}
	}
	if len(living) == 0 {
		living = all
	}
	if len(living) == 0 {
		living = []string{"none"} // no chassis has that name
	}
	var rows []ovn.Row
	for slot := range uint32(gatewaySlots) {
		id := slotID(slot)
		rows = append(rows, ovn.Row{ID: id, Model: &nbdb.HAChassisGroup{Name: id}})
		order := ranked(id, living)
		for i, chassis := range order[:min(slotSize, len(order))] {
			rows = append(rows, ovn.Row{ID: id + "/" + chassis, In: []ovn.Ref{ovn.ChassisGroup(id)},
				Model: &nbdb.HAChassis{ChassisName: chassis, Priority: 100 - i}})
		}
	}
	return rows
}

// ranked is the chassis in a slot's own order, in which one that comes or goes changes nothing between the others (rendezvous
// hashing).
func ranked(slot string, chassis []string) []string {
	return slices.SortedFunc(slices.Values(chassis), func(a, b string) int {
		return cmp.Or(cmp.Compare(hash(slot+"/"+b), hash(slot+"/"+a)), cmp.Compare(a, b))
	})
}

func hash(text string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(text))
	// FNV alone leaves texts that differ at their end close together.
	x := h.Sum32()
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	return x ^ x>>16
}
