package ironic

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// editable are the fields of a node that a patch may change, with their values. fixed are there too, so that a client
// may say what holds anyway.
func editable(m *machine.Machine) object {
	o := object{
		"name": orNull(m.Name), "driver": m.BMC.Kind, "driver_info": driverInfo(m), "properties": orEmpty(m.Properties),
		"extra": orEmpty(m.Extra), "resource_class": orNull(m.ResourceClass), "owner": orNull(m.Owner),
		"description": orNull(m.Description), "maintenance": m.Maintenance, "maintenance_reason": orNull(m.MaintenanceReason),
		"instance_uuid": orNull(cmp.Or(m.Instance, m.Holder)),
	}
	maps.Copy(o, fixed)
	maps.Copy(o, noted(m))
	maps.Copy(o, interfaces(m))
	return o
}

// change sets those fields of the machine in which after differs from before.
func (a *api) change(ctx context.Context, tx *db.Tx, m *machine.Machine, before, after object) error {
	if !reflect.DeepEqual(before["driver"], after["driver"]) || !reflect.DeepEqual(before["driver_info"], after["driver_info"]) {
		if err := a.setDriver(m, after["driver"], after["driver_info"]); err != nil {
			return err
		}
	}
	for _, name := range sorted(after) {
		_, unchangeable := fixed[name]
		if reflect.DeepEqual(before[name], after[name]) || unchangeable && after[name] == nil {
			continue
		}
		if err := a.set(ctx, tx, m, name, after[name]); err != nil {
			return err
		}
	}
	switch {
	case m.Notes.ProtectedReason != "" && !m.Protected:
		return fault.New(fault.Invalid, "The protected_reason field can only be set when protected is True")
	case m.Notes.RetiredReason != "" && !m.Retired:
		return fault.New(fault.Invalid, "The retired_reason field can only be set when retired is True")
	}
	return nil
}

// reserved are words that are part of paths below /v1/nodes (ironic/api/controllers/v1/node.py, _RESERVED_NAMES).
var reserved = []string{
	"allocation", "bios", "children", "detail", "firmware", "history", "inventory", "maintenance", "management", "ports",
	"portgroups", "states", "traits", "validate", "vendor_passthru", "vifs", "volume",
}

var logicalName = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,255}$`)

// isName reports whether things may have that name: it fits into a path, and nobody takes it for an id.
func isName(text string) bool { return logicalName.MatchString(text) && uuid.Validate(text) != nil }

// set gives one field of a node another value.
func (a *api) set(ctx context.Context, tx *db.Tx, m *machine.Machine, name string, value any) error {
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
	case "driver", "driver_info": // both together, before all else
	case "name":
		if !isText || text != "" && (!isName(text) || slices.Contains(reserved, text)) {
			return fault.New(fault.Invalid, "Cannot set node with invalid name '%v'", value)
		}
		m.Name = text
	case "resource_class":
		return short(80, &m.ResourceClass)
	case "description":
		return short(4096, &m.Description)
	case "owner":
		return short(255, &m.Owner)
	case "lessee":
		return short(255, &m.Lessee)
	case "shard":
		return short(255, &m.Notes.Shard)
	case "protected_reason":
		return short(4096, &m.Notes.ProtectedReason)
	case "retired_reason":
		return short(4096, &m.Notes.RetiredReason)
	case "protected", "retired":
		on, ok := value.(bool)
		if !ok && value != nil {
			return wrong("true or false")
		}
		return protect(m, name, on)
	case "automated_clean":
		on, ok := value.(bool)
		if value != nil && (!ok || !on) {
			return fault.New(fault.Invalid, "automated_clean is always on: a node is erased before anybody else gets it.")
		}
		if m.Notes.AutomatedClean = nil; ok {
			m.Notes.AutomatedClean = &on
		}
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
	case "properties", "extra", "instance_info", "network_data":
		o, ok := value.(object)
		if !ok && value != nil {
			return wrong("an object")
		}
		return setObject(m, name, orEmpty(o))
	case "instance_uuid":
		if !isText || text != "" && uuid.Validate(text) != nil {
			return wrong("a UUID, or null")
		}
		return a.machines.Hold(ctx, tx, m, text)
	case "chassis_uuid":
		if !isText || text != "" && uuid.Validate(text) != nil {
			return wrong("a UUID, or null")
		}
		if m.Chassis = text; text != "" {
			_, err := a.machines.GetChassis(ctx, tx, text)
			return inBody(err)
		}
	case "parent_node":
		if !isText || text == m.ID && text != "" {
			return wrong("another node's UUID, or null")
		}
		if m.Notes.Parent = text; text != "" {
			parent, err := a.nodeOf(ctx, tx, text)
			if err != nil {
				return err
			}
			m.Notes.Parent = parent.ID
		}
	default:
		if strings.HasSuffix(name, "_interface") {
			return choose(m, name, value)
		}
		return fault.New(fault.Invalid, "This cloud does not have the field %s of a node; it can only be left at %q.", name, fixed[name])
	}
	return nil
}

// inBody makes of something that was not found a mistake in the request's body.
func inBody(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.Wrap(err, fault.Invalid, "%s", fault.Message(err))
	}
	return err
}

// protect sets what keeps a node where it is, or out of the pool (ironic/conductor/manager.py, _check_update_protected and
// _check_update_retired).
func protect(m *machine.Machine, name string, on bool) error {
	if name == "protected" {
		if on && m.State != machine.Active {
			return fault.New(fault.Conflict, "Node %s can only be made protected in provision states 'active' or 'rescue', the current state is '%s'", m.ID, m.State)
		}
		if m.Protected = on; !on {
			m.Notes.ProtectedReason = ""
		}
		return nil
	}
	if on && m.State == machine.Available {
		return fault.New(fault.Conflict, "Node %s can not have 'retired' set in provision state 'available'", m.ID)
	}
	if m.Retired = on; !on {
		m.Notes.RetiredReason = ""
	}
	return nil
}

// networkDataKeys are those of Nova's network_data.json.
var networkDataKeys = []string{"links", "networks", "services"}

func setObject(m *machine.Machine, name string, o object) error {
	switch name {
	case "extra":
		m.Extra = o
	case "properties":
		m.Properties = o
	case "instance_info":
		m.Notes.InstanceInfo = unmasked(o, m.Notes.InstanceInfo)
	default:
		for key, value := range o {
			if _, ok := value.([]any); !ok || !slices.Contains(networkDataKeys, key) {
				return fault.New(fault.Invalid, "Invalid value for network_data: it has lists named %s.", strings.Join(networkDataKeys, ", "))
			}
		}
		m.Notes.NetworkData = o
	}
	return nil
}

// knows fails for a driver that the cloud does not have.
func (a *api) knows(kind string) error {
	if _, known := a.drivers[kind]; !known {
		return fault.New(fault.Invalid, "No valid host was found. Reason: No conductor service registered which supports driver %s. The drivers are %s.",
			kind, strings.Join(sorted(a.drivers), ", "))
	}
	return nil
}

func (a *api) setDriver(m *machine.Machine, driver, info any) error {
	kind, _ := driver.(string) // another type is no driver's name either
	if err := a.knows(kind); err != nil {
		return err
	}
	keys, ok := info.(object)
	if !ok && info != nil {
		return fault.New(fault.Invalid, "driver_info must be an object.")
	}
	if kind == machine.FakeHardware {
		m.BMC, m.Notes.DriverInfo = machine.BMC{Kind: kind}, unmasked(keys, m.Notes.DriverInfo)
		return nil
	}
	m.Notes.DriverInfo = nil
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
