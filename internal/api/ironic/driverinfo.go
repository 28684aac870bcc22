package ironic

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// hidden is shown for a secret; a client that sends it back changes nothing.
const hidden = "******"

// driverInfo is a BMC as Ironic's driver_info.
func driverInfo(b machine.BMC) object {
	info := object{}
	add := func(name, value string) {
		if value != "" {
			info[name] = value
		}
	}
	secret := ""
	if b.Username != "" || b.Address != "" {
		secret = hidden
	}
	switch b.Kind {
	case "redfish":
		address, system := b.Address, ""
		if u, err := url.Parse(b.Address); err == nil && u.Path != "" {
			system = u.Path
			u.Path = ""
			address = u.String()
		}
		add("redfish_address", address)
		add("redfish_system_id", system)
		add("redfish_username", b.Username)
		add("redfish_password", secret)
		switch {
		case b.CA != "":
			info["redfish_verify_ca"] = b.CA
		case b.Insecure:
			info["redfish_verify_ca"] = false
		}
	case "ipmi":
		host, port, err := net.SplitHostPort(b.Address)
		if err != nil {
			host, port = b.Address, ""
		}
		add("ipmi_address", host)
		add("ipmi_port", port)
		add("ipmi_username", b.Username)
		add("ipmi_password", secret)
	}
	return info
}

// bmcFrom reads driver and driver_info. Every field is checked here, so that a mistake is told at once and not when the
// BMC is asked. An absent password means the one that is kept.
func bmcFrom(kind string, info object) (b machine.BMC, err error) {
	known, ok := drivers[kind]
	if !ok {
		return b, fault.New(fault.Invalid, "No valid host was found. Reason: No conductor service registered which supports driver %s.", kind)
	}
	for name := range info {
		if _, ok := known.properties[name]; !ok {
			return b, fault.New(fault.Invalid, "driver_info/%s is not known to the driver %s of this cloud; see openstack baremetal driver property list %s.", name, kind, kind)
		}
	}
	text := func(name string) string {
		value, present := info[name]
		if !present || value == nil {
			return ""
		}
		s, ok := value.(string)
		if !ok && err == nil {
			err = fault.New(fault.Invalid, "driver_info/%s must be a string.", name)
		}
		return s
	}
	b = machine.BMC{Kind: kind, Username: text(kind + "_username"), Password: text(kind + "_password")}
	if b.Password == hidden {
		b.Password = ""
	}
	if kind == "redfish" {
		b.Address = text("redfish_address")
		if system := text("redfish_system_id"); system != "" && err == nil {
			if !strings.HasPrefix(system, "/") {
				return b, fault.New(fault.Invalid, "driver_info/redfish_system_id must be a path like /redfish/v1/Systems/1.")
			}
			b.Address = strings.TrimSuffix(b.Address, "/") + system
		}
		if b.Address != "" && err == nil {
			err = redfishAddress(&b)
		}
		if err == nil {
			err = verifyCA(&b, info["redfish_verify_ca"])
		}
		return b, err
	}
	b.Address = text("ipmi_address")
	port, portErr := portNumber(info["ipmi_port"])
	if err == nil {
		err = portErr
	}
	if port != "" && b.Address != "" {
		b.Address = net.JoinHostPort(strings.Trim(b.Address, "[]"), port)
	}
	return b, err
}

// redfishAddress takes an address without a scheme for https, as Ironic does.
func redfishAddress(b *machine.BMC) error {
	if !strings.Contains(b.Address, "://") {
		b.Address = "https://" + b.Address
	}
	u, err := url.Parse(b.Address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fault.New(fault.Invalid, "driver_info/redfish_address must be https://host[:port]: passwords do not travel in the clear.")
	}
	return nil
}

func verifyCA(b *machine.BMC, value any) error {
	switch value := value.(type) {
	case nil:
		return nil
	case bool:
		b.Insecure = !value
		return nil
	case string:
		switch strings.ToLower(value) { // what the command line makes of a boolean
		case "true", "":
			return nil
		case "false":
			b.Insecure = true
			return nil
		}
		if block, _ := pem.Decode([]byte(value)); block != nil && block.Type == "CERTIFICATE" {
			b.CA = value
			return nil
		}
	}
	return fault.New(fault.Invalid, "driver_info/redfish_verify_ca must be true, false, or the text of a PEM certificate; a path would be one on the control plane's host.")
}

func portNumber(value any) (string, error) {
	n := 0
	switch value := value.(type) {
	case nil:
		return "", nil
	case string:
		if value == "" {
			return "", nil
		}
		var err error
		if n, err = strconv.Atoi(value); err != nil {
			n = -1
		}
	case float64:
		if n = int(value); float64(n) != value {
			n = -1
		}
	default:
		n = -1
	}
	if n < 1 || n > 65535 {
		return "", fault.New(fault.Invalid, "driver_info/ipmi_port must be a port number, not %s.", asJSON(value))
	}
	return strconv.Itoa(n), nil
}

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
