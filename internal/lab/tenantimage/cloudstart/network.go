package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
)

// networkData is OpenStack's network_data.json, as far as this image follows it: physical links with static addresses
// or DHCP. Bonds and VLANs are said to be left out.
type networkData struct {
	Links []struct {
		ID   string `json:"id"`
		Type string `json:"type"`
		MAC  string `json:"ethernet_mac_address"`
		MTU  int    `json:"mtu"`
	} `json:"links"`
	Networks []subnet  `json:"networks"`
	Services []service `json:"services"`
}

type subnet struct {
	Type    string `json:"type"` // ipv4 ipv6 ipv4_dhcp ipv6_dhcpv6-stateful …
	Link    string `json:"link"`
	Address string `json:"ip_address"` // with or without a prefix length
	Netmask string `json:"netmask"`    // of ipv4: 255.255.255.0; of ipv6: ffff:ffff::
	Gateway string `json:"gateway"`
	Routes  []struct {
		Network string `json:"network"`
		Netmask string `json:"netmask"`
		Gateway string `json:"gateway"`
	} `json:"routes"`
	Services []service `json:"services"`
}

type service struct {
	Type    string `json:"type"`
	Address string `json:"address"`
}

// setUpNetwork follows the network data, or asks DHCP on every NIC where there is none.
func setUpNetwork(data *networkData) {
	nics, err := net.Interfaces()
	if err != nil {
		say("FAILED", "List the NICs: %v", err)
		return
	}
	byMAC := map[string]string{}
	for _, nic := range nics {
		if nic.Flags&net.FlagLoopback != 0 {
			done(ip("link", "set", "dev", nic.Name, "up"), "Start %s", nic.Name)
			continue
		}
		byMAC[nic.HardwareAddr.String()] = nic.Name
	}
	if data == nil {
		for _, name := range byMAC {
			done(askDHCP(name), "Ask for an address on %s", name)
		}
		return
	}
	for _, link := range data.Links {
		name, ok := byMAC[strings.ToLower(link.MAC)]
		if !ok || link.Type == "bond" || link.Type == "vlan" {
			say("SKIP", "Link %s (%s, %s) is no NIC of this machine", link.ID, link.Type, link.MAC)
			continue
		}
		up := []string{"link", "set", "dev", name, "up"}
		if link.MTU > 0 {
			up = append(up, "mtu", fmt.Sprint(link.MTU))
		}
		done(ip(up...), "Start %s", name)
		for _, network := range data.Networks {
			if network.Link == link.ID {
				network.setUp(name)
			}
		}
	}
	done(writeResolvers(data), "Set the name servers")
}

func (s subnet) setUp(nic string) {
	switch {
	case strings.HasPrefix(s.Type, "ipv4_dhcp"):
		done(askDHCP(nic), "Ask for an address on %s", nic)
		return
	case s.Address == "":
		say("SKIP", "Network of type %s on %s: its address comes from the network's routers", s.Type, nic)
		return
	}
	address, err := prefix(s.Address, s.Netmask)
	if err == nil {
		err = ip("address", "replace", address, "dev", nic)
	}
	done(err, "Give %s to %s", address, nic)
	if s.Gateway != "" {
		done(ip("route", "replace", "default", "via", s.Gateway, "dev", nic), "Route everything by %s", s.Gateway)
	}
	for _, route := range s.Routes {
		network, err := prefix(route.Network, route.Netmask)
		if err == nil {
			err = ip("route", "replace", network, "via", route.Gateway, "dev", nic)
		}
		done(err, "Route %s by %s", network, route.Gateway)
	}
}

// prefix writes address/length from an address that has a length already, or from a netmask.
func prefix(address, netmask string) (string, error) {
	if strings.Contains(address, "/") {
		p, err := netip.ParsePrefix(address)
		return p.String(), err
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		return "", err
	}
	mask, err := netip.ParseAddr(netmask)
	if err != nil || mask.BitLen() != a.BitLen() {
		return "", fmt.Errorf("%q is no netmask for %s", netmask, address)
	}
	ones, bits := net.IPMask(mask.AsSlice()).Size()
	if bits == 0 {
		return "", fmt.Errorf("the netmask %s has holes", netmask)
	}
	return netip.PrefixFrom(a, ones).String(), nil
}

func writeResolvers(data *networkData) error {
	var file bytes.Buffer
	services := data.Services
	for _, network := range data.Networks {
		services = append(services, network.Services...)
	}
	for _, s := range services {
		if line := "nameserver " + s.Address + "\n"; s.Type == "dns" && !strings.Contains(file.String(), line) {
			file.WriteString(line)
		}
	}
	if file.Len() == 0 {
		return nil // DHCP may say
	}
	return os.WriteFile("/etc/resolv.conf", file.Bytes(), 0o644)
}

// askDHCP leaves a DHCP client running; it asks on until it is answered, and renews.
func askDHCP(nic string) error {
	client := exec.Command("udhcpc", "-f", "-S", "-t", "1000", "-T", "1", "-s", "/etc/udhcpc/default.script", "-i", nic)
	if err := client.Start(); err != nil {
		return err
	}
	return client.Process.Release()
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return errors.Join(err, errors.New(string(bytes.TrimSpace(out))))
	}
	return nil
}
