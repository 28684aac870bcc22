package ironic

import (
	"encoding/json"
	"encoding/pem"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// masked is what Ironic shows of a secret. Sent back, it means: leave it.
const masked = "******"

// driverInfoKeys is what driver_info may hold, by driver, with the words of GET /v1/drivers/{driver}/properties.
var driverInfoKeys = map[string]map[string]string{
	"redfish": {
		"redfish_address":   "The URL of the Redfish service: https://address[:port]. Without a scheme, https is meant. Required.",
		"redfish_system_id": "The canonical path of the system: /redfish/v1/Systems/1. Optional where the BMC has one system only.",
		"redfish_username":  "The user of the Redfish service. Required.",
		"redfish_password":  "The user's password. Required.",
		"redfish_verify_ca": "Which certificates to trust: true (default) for the system's roots, false for any, or a certificate as PEM text. A path is not read.",
	},
	"ipmi": {
		"ipmi_address":  "The BMC's IP address or host name. Required.",
		"ipmi_port":     "The BMC's RMCP+ port. Optional; 623 unless told.",
		"ipmi_username": "The IPMI user. Required.",
		"ipmi_password": "The user's password. Required.",
	},
}

// secret are names of what clients hide in objects that are theirs to fill (oslo.utils' mask_dict_password).
var secret = regexp.MustCompile(`(?i)pass|secret|token|credential|private_key|encryption_key`)

// masking is the object with its secrets masked.
func masking(o object) object {
	shown := object{}
	for key, value := range o {
		if inner, ok := value.(object); ok {
			value = masking(inner)
		} else if secret.MatchString(key) {
			value = masked
		}
		shown[key] = value
	}
	return shown
}

// unmasked is the object that a client sent, with what is masked in it as it was.
func unmasked(sent, was object) object {
	o := object{}
	for key, value := range sent {
		before, had := was[key]
		inner, isObject := value.(object)
		switch {
		case isObject:
			beforeInner, _ := before.(object)
			value = unmasked(inner, beforeInner)
		case value == masked && had:
			value = before
		}
		o[key] = value
	}
	return o
}

// driverInfo shows how a BMC is reached, without its secrets.
func driverInfo(m *machine.Machine) object {
	b, info := m.BMC, object{}
	if m.Fake() {
		return masking(m.Notes.DriverInfo)
	}
	add := func(key, value string) {
		if value != "" {
			info[key] = value
		}
	}
	if b.Kind == "redfish" {
		address, system, found := strings.Cut(b.Address, "/redfish/v1")
		add("redfish_address", address)
		if found {
			info["redfish_system_id"] = "/redfish/v1" + system
		}
		add("redfish_verify_ca", b.CA)
		if b.Insecure {
			info["redfish_verify_ca"] = false
		}
	} else if host, port, err := net.SplitHostPort(b.Address); err == nil {
		info["ipmi_address"] = host
		info["ipmi_port"] = port
	} else {
		add("ipmi_address", strings.Trim(b.Address, "[]"))
	}
	if b.Username != "" {
		info[b.Kind+"_username"], info[b.Kind+"_password"] = b.Username, masked
	}
	return info
}

// bmcOf reads driver_info. A password that is not told, or told as masked, stays empty, which machine.Update leaves.
func bmcOf(driver string, info object) (machine.BMC, error) {
	keys := driverInfoKeys[driver]
	for key := range info {
		if _, ok := keys[key]; !ok {
			return machine.BMC{}, fault.New(fault.Invalid, "driver_info/%s is not known to driver %s, which takes %s.", key, driver, strings.Join(sorted(keys), ", "))
		}
	}
	b := machine.BMC{Kind: driver}
	texts := map[string]string{}
	for key, value := range info {
		switch value := value.(type) {
		case nil:
		case string:
			texts[key] = value
		case bool:
			texts[key] = strconv.FormatBool(value)
		case float64:
			texts[key] = strconv.FormatFloat(value, 'f', -1, 64)
		case json.Number:
			texts[key] = value.String()
		default:
			return b, fault.New(fault.Invalid, "driver_info/%s must be a string.", key)
		}
	}
	b.Username, b.Password = texts[driver+"_username"], texts[driver+"_password"]
	if b.Password == masked {
		b.Password = ""
	}
	if driver == "ipmi" {
		return b, ipmiAddress(&b, texts["ipmi_address"], texts["ipmi_port"])
	}
	if err := redfishAddress(&b, texts["redfish_address"], texts["redfish_system_id"]); err != nil {
		return b, err
	}
	return b, verifyCA(&b, texts["redfish_verify_ca"])
}

func ipmiAddress(b *machine.BMC, host, port string) error {
	if port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return fault.New(fault.Invalid, "driver_info/ipmi_port must be a port from 1 to 65535, not %q.", port)
		}
	}
	if strings.ContainsAny(host, "/ @[]") || strings.Contains(host, ":") && net.ParseIP(host) == nil {
		return fault.New(fault.Invalid, "driver_info/ipmi_address must be an IP address or a host name, not %q; the port is ipmi_port.", host)
	}
	switch {
	case host == "" && port != "":
		return fault.New(fault.Invalid, "driver_info/ipmi_port needs an ipmi_address.")
	case port != "":
		b.Address = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		b.Address = "[" + host + "]"
	default:
		b.Address = host
	}
	return nil
}

func redfishAddress(b *machine.BMC, address, system string) error {
	if address == "" {
		if system != "" {
			return fault.New(fault.Invalid, "driver_info/redfish_system_id needs a redfish_address.")
		}
		return nil
	}
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fault.New(fault.Invalid, "Invalid Redfish address %q set in driver_info/redfish_address: it must be https://address[:port].", address)
	}
	path := strings.TrimSuffix(u.Path, "/")
	if path == "/redfish/v1" {
		path = ""
	}
	if path != "" && !strings.HasPrefix(path, "/redfish/v1/") || path != "" && system != "" && path != system {
		return fault.New(fault.Invalid, "driver_info/redfish_address must have no path; the system's path is redfish_system_id.")
	}
	if system != "" {
		path = strings.TrimSuffix(system, "/")
	}
	if path != "" && !strings.HasPrefix(path, "/redfish/v1/Systems/") {
		return fault.New(fault.Invalid, "driver_info/redfish_system_id must be a path like /redfish/v1/Systems/1, not %q.", path)
	}
	b.Address = "https://" + u.Host + path
	return nil
}

func verifyCA(b *machine.BMC, text string) error {
	switch strings.ToLower(text) {
	case "", "1", "t", "true", "on", "y", "yes":
		return nil
	case "0", "f", "false", "off", "n", "no":
		b.Insecure = true
		return nil
	}
	if block, _ := pem.Decode([]byte(text)); block == nil || block.Type != "CERTIFICATE" {
		return fault.New(fault.Invalid, "driver_info/redfish_verify_ca must be true, false or a certificate as PEM text. Paths on the server are not read.")
	}
	b.CA = text
	return nil
}

func sorted[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
