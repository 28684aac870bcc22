package inventory

import (
	"os"
	"path/filepath"

	"github.com/ingotcloud/ingot/internal/agentapi"
)

// NICs of the machine, by name: network interfaces that have a device behind them.
func (r *Reader) NICs() []agentapi.NIC {
	var nics []agentapi.NIC
	for _, name := range r.list("class/net") {
		dir := filepath.Join("class/net", name)
		device := r.device(dir, "device")
		if device == "" {
			continue
		}
		nic := agentapi.NIC{
			Name:    name,
			MAC:     r.text(dir, "address"),
			PCI:     pci(device),
			Carrier: r.number(dir, "carrier") == 1,
			Speed:   int(max(0, r.number(dir, "speed"))), // -1: unknown
		}
		if driver, err := os.Readlink(filepath.Join(r.Sys, dir, "device/driver")); err == nil {
			nic.Driver = filepath.Base(driver)
		}
		if r.Neighbour != nil && nic.Carrier {
			nic.LLDP = r.Neighbour(name)
		}
		nics = append(nics, nic)
	}
	return nics
}
