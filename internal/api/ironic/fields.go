package ironic

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// field is one row of the table of a node's fields: since when it exists, what it shows, and what becomes of a change.
type field struct {
	since osapi.Span
	get   func(n *node) any
	set   func(m *machine.Machine, value any) error // nil: clients cannot set it
}

// node is a machine with what its fields need beside it.
type node struct {
	*machine.Machine
	run     *workflow.Run // work under way
	method  machine.Method
	host    string
	version osapi.Microversion
}

var always = osapi.Span{}

// fields is what a node looks like and what of it may be changed. driver and driver_info are set together: see change.
var fields = map[string]field{
	"uuid":                   {always, func(n *node) any { return n.ID }, nil},
	"name":                   {osapi.Since(1, 5), func(n *node) any { return orNull(n.Name) }, text("name", 255, func(m *machine.Machine) *string { return &m.Name })},
	"created_at":             {always, func(n *node) any { return osapi.Offset(n.Created) }, nil},
	"updated_at":             {always, func(n *node) any { return osapi.Offset(n.Updated) }, nil},
	"driver":                 {always, func(n *node) any { return n.BMC.Kind }, unchecked},
	"driver_info":            {always, func(n *node) any { return driverInfo(n.BMC) }, unchecked},
	"driver_internal_info":   {osapi.Since(1, 3), func(n *node) any { return object{} }, nil},
	"properties":             {always, func(n *node) any { return orEmpty(n.Properties) }, dictionary("properties", func(m *machine.Machine) *map[string]any { return &m.Properties })},
	"extra":                  {always, func(n *node) any { return orEmpty(n.Extra) }, dictionary("extra", func(m *machine.Machine) *map[string]any { return &m.Extra })},
	"resource_class":         {osapi.Since(1, 21), func(n *node) any { return orNull(n.ResourceClass) }, resourceClass},
	"owner":                  {osapi.Since(1, 50), func(n *node) any { return orNull(n.Owner) }, text("owner", 255, func(m *machine.Machine) *string { return &m.Owner })},
	"description":            {osapi.Since(1, 51), func(n *node) any { return orNull(n.Description) }, text("description", 4096, func(m *machine.Machine) *string { return &m.Description })},
	"traits":                 {osapi.Since(1, 37), func(n *node) any { return n.Traits }, nil},
	"power_state":            {always, func(n *node) any { return powerState(n.Power) }, nil},
	"target_power_state":     {always, func(n *node) any { return targetPower(n.PowerTarget) }, nil},
	"provision_state":        {always, func(n *node) any { return n.provisionState() }, nil},
	"target_provision_state": {always, func(n *node) any { return orNull(string(n.Target)) }, nil},
	"provision_updated_at":   {always, func(n *node) any { return osapi.Offset(n.StateSince) }, nil},
	"last_error":             {always, func(n *node) any { return orNull(n.LastError) }, nil},
	"reservation":            {always, func(n *node) any { return n.reservation() }, nil},
	"instance_uuid":          {always, func(n *node) any { return orNull(n.Instance) }, fixed("instance_uuid: the Compute API gives nodes to servers")},
	"instance_info":          {always, func(n *node) any { return object{} }, fixed("instance_info: servers are made through the Compute API", object{})},
	"maintenance": {always, func(n *node) any { return n.Maintenance }, func(m *machine.Machine, value any) error {
		on, ok := value.(bool)
		if !ok {
			return invalid("maintenance", "a boolean")
		}
		m.SetMaintenance(on, "")
		return nil
	}},
	"maintenance_reason":     {always, func(n *node) any { return orNull(n.MaintenanceReason) }, nil},
	"fault":                  {osapi.Since(1, 42), func(n *node) any { return n.fault() }, nil},
	"inspection_finished_at": {osapi.Since(1, 6), func(n *node) any { return osapi.Offset(n.Inspected) }, nil},
	"inspection_started_at":  {osapi.Since(1, 6), func(n *node) any { return n.inspectionStarted() }, nil},
	"boot_mode":              {osapi.Since(1, 75), func(n *node) any { return n.bootMode() }, nil},
	"secure_boot":            {osapi.Since(1, 75), func(n *node) any { return n.secureBoot() }, nil},
	"conductor":              {osapi.Since(1, 49), func(n *node) any { return n.host }, nil},

	// What Ingot has in one form only.
	"automated_clean":    {osapi.Since(1, 47), func(n *node) any { return true }, fixed("automated_clean: every machine is cleaned", true)},
	"chassis_uuid":       {always, func(n *node) any { return nil }, fixed("chassis_uuid")},
	"clean_step":         {osapi.Since(1, 7), func(n *node) any { return object{} }, nil},
	"deploy_step":        {osapi.Since(1, 44), func(n *node) any { return object{} }, nil},
	"conductor_group":    {osapi.Since(1, 46), func(n *node) any { return "" }, fixed("conductor_group", "")},
	"console_enabled":    {always, func(n *node) any { return false }, nil},
	"allocation_uuid":    {osapi.Since(1, 52), func(n *node) any { return nil }, nil},
	"lessee":             {osapi.Since(1, 65), func(n *node) any { return nil }, fixed("lessee: a node is lent by way of servers")},
	"network_data":       {osapi.Since(1, 66), func(n *node) any { return object{} }, fixed("network_data", object{})},
	"protected":          {osapi.Since(1, 48), func(n *node) any { return false }, fixed("protected", false)},
	"protected_reason":   {osapi.Since(1, 48), func(n *node) any { return nil }, fixed("protected_reason")},
	"retired":            {osapi.Since(1, 61), func(n *node) any { return false }, fixed("retired: use maintenance", false)},
	"retired_reason":     {osapi.Since(1, 61), func(n *node) any { return nil }, fixed("retired_reason: use maintenance")},
	"raid_config":        {osapi.Since(1, 12), func(n *node) any { return object{} }, nil},
	"target_raid_config": {osapi.Since(1, 12), func(n *node) any { return object{} }, nil},
	"shard":              {osapi.Since(1, 82), func(n *node) any { return nil }, fixed("shard")},
	"parent_node":        {osapi.Since(1, 83), func(n *node) any { return nil }, fixed("parent_node")},
}

func init() { // the interfaces follow the driver's table
	for part, span := range interfaceSince {
		fields[part+"_interface"] = field{span, func(n *node) any { return interfaces(n.BMC.Kind, n.method)[part] }, func(m *machine.Machine, value any) error {
			for _, method := range []machine.Method{machine.ByMedia, machine.ByHTTP, machine.ByPXE} {
				if value == nil || value == interfaces(m.BMC.Kind, method)[part] {
					return nil
				}
			}
			return fault.New(fault.Invalid, "Could not find the following interface in the '%s' entrypoint: %s. Ingot chooses a node's interfaces; leave them out.",
				"ironic.hardware.interfaces."+part, asJSON(value))
		}}
	}
}

// listed are the fields of a node in a list without detail.
var listed = []string{"instance_uuid", "maintenance", "name", "power_state", "provision_state", "uuid"}

// show gives the named fields, those that the version has; all without names.
func (n *node) show(names ...string) object {
	if len(names) == 0 {
		names = slices.Collect(maps.Keys(fields))
	}
	body := object{}
	for _, name := range names {
		if f, ok := fields[name]; ok && f.since.Has(n.version) {
			body[name] = f.get(n)
		}
	}
	return body
}

// change sets the given fields of a machine, which is new when fresh says so: then the id may be chosen too.
func change(m *machine.Machine, values object, v osapi.Microversion, fresh bool) error {
	for name, value := range values {
		f, ok := fields[name]
		switch {
		case !ok:
			return fault.New(fault.Invalid, "Unknown attribute for argument node: %s.", name)
		case !f.since.Has(v):
			return &osapi.Error{Status: 406, Err: fault.New(fault.Invalid, "Request not acceptable: the field %s exists from version %s on.", name, f.since.Since)}
		case name == "uuid" && fresh:
			id, ok := value.(string)
			if _, err := uuid.Parse(id); !ok || err != nil || len(id) != 36 {
				return invalid("uuid", "a UUID")
			}
			m.ID = strings.ToLower(id)
		case f.set == nil:
			return fault.New(fault.Invalid, "'/%s' is an internal attribute and can not be updated.", name)
		default:
			if err := f.set(m, value); err != nil {
				return err
			}
		}
	}
	kind, hasKind := values["driver"]
	info, hasInfo := values["driver_info"]
	if !hasKind && !hasInfo {
		return nil
	}
	if !hasKind {
		kind = m.BMC.Kind
	}
	if info == nil {
		info = object{}
		if !hasInfo {
			info = driverInfo(m.BMC)
		}
	}
	name, isText := kind.(string)
	fieldsOf, isObject := info.(object)
	if !isText || !isObject {
		return fault.New(fault.Invalid, "driver must be a string and driver_info an object.")
	}
	bmc, err := bmcFrom(name, fieldsOf)
	m.BMC = bmc
	return err
}

func invalid(name, what string) error {
	return fault.New(fault.Invalid, "Invalid input for field %s: it must be %s.", name, what)
}

// unchecked leaves the checking to change.
func unchecked(*machine.Machine, any) error { return nil }

// validName is what Ironic takes for a node's logical name: unreserved URI characters (RFC 3986).
var validName = regexp.MustCompile(`^[a-zA-Z0-9._~-]*$`)

func text(name string, longest int, of func(*machine.Machine) *string) func(*machine.Machine, any) error {
	return func(m *machine.Machine, value any) error {
		s, ok := value.(string)
		if value != nil && !ok {
			return invalid(name, "a string")
		}
		if len(s) > longest {
			return fault.New(fault.Invalid, "Invalid input for field %s: it is longer than %d bytes.", name, longest)
		}
		if name == "name" {
			if _, err := uuid.Parse(s); err == nil || !validName.MatchString(s) {
				return fault.New(fault.Invalid, "Cannot give a node the invalid name '%s': letters, digits and ._~- make a name, and a UUID is none.", s)
			}
		}
		*of(m) = s
		return nil
	}
}

func dictionary(name string, of func(*machine.Machine) *map[string]any) func(*machine.Machine, any) error {
	return func(m *machine.Machine, value any) error {
		d, ok := value.(object)
		if value != nil && !ok {
			return invalid(name, "an object")
		}
		*of(m) = orEmpty(d)
		return nil
	}
}

func resourceClass(m *machine.Machine, value any) error {
	s, _ := value.(string)
	if m.Instance != "" && s != m.ResourceClass {
		return fault.New(fault.Conflict, "Node %s can not have its resource_class updated while an instance has it.", m.ID)
	}
	return text("resource_class", 80, func(m *machine.Machine) *string { return &m.ResourceClass })(m, value)
}

// fixed is a field that has one value here; setting it to that, or to nothing, is fine.
func fixed(name string, values ...any) func(*machine.Machine, any) error {
	return func(_ *machine.Machine, value any) error {
		if value == nil || slices.ContainsFunc(values, func(v any) bool { return reflect.DeepEqual(v, value) }) {
			return nil
		}
		field, why, _ := strings.Cut(name, ":")
		if why == "" {
			why = " this cloud has no use for it"
		}
		return fault.New(fault.Invalid, "The field %s cannot be set to %s:%s.", field, asJSON(value), why)
	}
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return object{}
	}
	return m
}
