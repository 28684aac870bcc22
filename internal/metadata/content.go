package metadata

import (
	"net/netip"
	"strings"
)

// Content is what a server is told about itself, on its config drive and by the service alike.
type Content struct {
	ID, Name, Hostname, Project, Zone string
	LaunchIndex                       int
	Properties                        map[string]string // the server's metadata, as its owner set it
	KeyName, PublicKey                string            // OpenSSH's form, or a certificate in PEM; empty: none
	UserData                          []byte            // nil: none
	NetworkData                       map[string]any    // network_data.json
	Seed                              []byte            // for the guest's random numbers; nil: none
	Tags                              []NICTag

	// Only EC2's form tells these.
	Reservation, Flavor, Image string // Flavor is the name, Image the id
	LocalIPv4, PublicIPv4      netip.Addr
	SecurityGroups             []string // names
}

// NICTag is the word by which the owner knows a network card.
type NICTag struct{ MAC, Tag string }

// keyType is what the key is, as Nova tells it: a certificate, or a line of authorized_keys.
func (c *Content) keyType() string {
	if strings.HasPrefix(c.PublicKey, "-----BEGIN CERTIFICATE") {
		return "x509"
	}
	return "ssh"
}

// devices are those that have tags (Nova's virt/metadata). Where on its buses a machine has them, only it knows.
func (c *Content) devices() []any {
	list := []any{}
	for _, t := range c.Tags {
		list = append(list, map[string]any{"type": "nic", "bus": "none", "address": "none", "mac": t.MAC, "tags": []string{t.Tag}})
	}
	return list
}
