package ironic

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// editable are the fields of a node that a patch may change, with their values. fixed are there too, so that a client
// may say what holds anyway.
func editable(m *machine.Machine) object {
	o := object{
		"name": orNull(m.Name), "driver": m.BMC.Kind, "driver_info": driverInfo(m.BMC), "properties": orEmpty(m.Properties),
		"extra": orEmpty(m.Extra), "resource_class": orNull(m.ResourceClass), "owner": orNull(m.Owner),
		"description": orNull(m.Description), "maintenance": m.Maintenance, "maintenance_reason": orNull(m.MaintenanceReason),
		"instance_uuid": orNull(m.Instance),
	}
	for name, value := range fixed {
		o[name] = value
	}
	for name, value := range interfaces(m) {
		o[name] = value
	}
	return o
}

// change sets those fields of the machine in which after differs from before.
func change(m *machine.Machine, before, after object) error {
	for _, name := range sorted(after) {
		_, unchangeable := fixed[name]
		if reflect.DeepEqual(before[name], after[name]) || unchangeable && after[name] == nil {
			continue
		}
		if err := set(m, name, after[name]); err != nil {
			return err
		}
	}
	if reflect.DeepEqual(before["driver"], after["driver"]) && reflect.DeepEqual(before["driver_info"], after["driver_info"]) {
		return nil
	}
	return setDriver(m, after["driver"], after["driver_info"])
}

// reserved are words that are part of paths below /v1/nodes (ironic/api/controllers/v1/node.py, _RESERVED_NAMES).
var reserved = []string{
	"allocation", "bios", "children", "detail", "firmware", "history", "inventory", "maintenance", "management", "ports",
	"portgroups", "states", "traits", "validate", "vendor_passthru", "vifs", "volume",
}

var logicalName = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,255}$`)

// set gives one field of a node another value.
func set(m *machine.Machine, name string, value any) error {
	text, isText := value.(string)
	isText = isText || value == nil
	wrong := func(what string) error {
		return fault.New(fault.Invalid, "Invalid value for %s: it must be %s.", name, what)
	}
	short := func(limit int, field *string) error {
		if !isText || utf8.RuneCountInString(text) > limit {
			return wrong(fmt.Sprintf("a string of at most %d characters, or null", limit))
		}
		*field = text
		return nil
	}
	switch name {
	case "driver", "driver_info":
		return nil // together, by setDriver
	case "name":
		if !isText || text != "" && (!logicalName.MatchString(text) || uuid.Validate(text) == nil || slices.Contains(reserved, text)) {
			return fault.New(fault.Invalid, "Cannot set node with invalid name '%v'", value)
		}
		m.Name = text
	case "resource_class":
		return short(80, &m.ResourceClass)
	case "description":
		return short(4096, &m.Description)
	case "owner":
		return short(255, &m.Owner)
	case "maintenance_reason":
		return short(4096, &m.MaintenanceReason)
	case "maintenance":
		on, ok := value.(bool)
		if !ok {
			return wrong("true or false")
		}
		if m.Maintenance = on; !on {
			m.MaintenanceReason, m.Fault = "", ""
		}
	case "properties", "extra":
		o, ok := value.(object)
		if !ok && value != nil {
			return wrong("an object")
		}
		if name == "extra" {
			m.Extra = orEmpty(o)
		} else {
			m.Properties = orEmpty(o)
		}
	case "instance_uuid":
		return fault.New(fault.Invalid, "instance_uuid cannot be set: servers are made and deleted through Nova.")
	default:
		return fault.New(fault.Invalid, "This cloud does not have the field %s of a node; it can only be left at %v.", name, shown(m, name))
	}
	return nil
}

func shown(m *machine.Machine, name string) any {
	value, ok := fixed[name]
	if !ok {
		value = interfaces(m)[name]
	}
	if value == nil {
		return "null"
	}
	return value
}

func setDriver(m *machine.Machine, driver, info any) error {
	kind, ok := driver.(string)
	if !ok {
		return fault.New(fault.Invalid, "A node needs a driver: redfish or ipmi.")
	}
	keys, ok := info.(object)
	if !ok && info != nil {
		return fault.New(fault.Invalid, "driver_info must be an object.")
	}
	b, err := bmcOf(kind, keys)
	if err != nil {
		return err
	}
	if other := m.BMC.Address; b.Password == "" && other != "" && address(b) != address(m.BMC) {
		// Otherwise whoever may change the address could have us send the password that we keep to a BMC of theirs.
		return fault.New(fault.Invalid, "A node whose BMC has another address needs driver_info/%s_password, too.", kind)
	}
	m.BMC = b
	return nil
}

// address is the part of a BMC's address that says whom we talk to, and in which words.
func address(b machine.BMC) string {
	host, _, _ := strings.Cut(b.Address, "/redfish/v1")
	return b.Kind + " " + host
}

// givenTooEarly refuses fields that the request's version does not have yet.
func givenTooEarly(r *osapi.Request, names []string) error {
	for _, name := range names {
		if span, limited := nodeFields[name]; limited && !span.Has(r.Version) {
			return tooNew(r, "the field "+name)
		}
	}
	return nil
}
