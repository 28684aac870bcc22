package ironic

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/fault"
)

// operation of a JSON patch (RFC 6902). As in Ironic there are three, and paths have no escapes.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

var patchPath = regexp.MustCompile(`^(/[A-Za-z0-9_.:-]+)+$`)

// apply works a patch into a copy of the document and gives the top-level fields that it changes. Removing one of those
// sets it to null.
func apply(document object, patch []operation) (object, error) {
	after := clone(document).(object)
	touched := map[string]bool{}
	for _, op := range patch {
		if !patchPath.MatchString(op.Path) {
			return nil, fault.New(fault.Invalid, "Couldn't apply patch '%s'. Reason: the path is not /field/….", asJSON(op))
		}
		path := strings.Split(op.Path[1:], "/")
		touched[path[0]] = true
		if len(path) == 1 && op.Op == "remove" {
			op.Op, op.Value = "replace", nil
		}
		if _, ok := after[path[0]]; !ok && len(path) == 1 && op.Op == "replace" {
			return nil, fault.New(fault.Invalid, "Couldn't apply patch '%s'. Reason: there is no field %s.", asJSON(op), path[0])
		}
		changed, reason := edit(after, path, op)
		if reason != "" {
			return nil, fault.New(fault.Invalid, "Couldn't apply patch '%s'. Reason: %s.", asJSON(op), reason)
		}
		after = changed.(object)
	}
	result := object{}
	for _, name := range slices.Sorted(maps.Keys(touched)) {
		if before, ok := document[name]; !ok || !reflect.DeepEqual(before, after[name]) {
			result[name] = after[name]
		}
	}
	return result, nil
}

// edit gives the value with the operation done at the path, or the reason why it cannot be.
func edit(value any, path []string, op operation) (changed any, reason string) {
	key, last := path[0], len(path) == 1
	switch value := value.(type) {
	case object:
		old, there := value[key]
		switch {
		case !there && (op.Op != "add" || !last):
			return nil, "there is no " + key
		case !last:
			if value[key], reason = edit(old, path[1:], op); reason != "" {
				return nil, reason
			}
		case op.Op == "remove":
			delete(value, key)
		case op.Op == "add" || op.Op == "replace":
			value[key] = op.Value
		default:
			return nil, "op must be add, replace or remove"
		}
		return value, ""
	case []any:
		return editList(value, path, op)
	}
	return nil, key + " is below something that has no fields"
}

func editList(list []any, path []string, op operation) (changed any, reason string) {
	key, last := path[0], len(path) == 1
	i, err := strconv.Atoi(key)
	if key == "-" && op.Op == "add" && last {
		i, err = len(list), nil
	}
	if err != nil || i < 0 || i > len(list) || i == len(list) && (op.Op != "add" || !last) {
		return nil, "the list has no item " + key
	}
	switch {
	case !last:
		list[i], reason = edit(list[i], path[1:], op)
		return list, reason
	case op.Op == "remove":
		return slices.Delete(list, i, i+1), ""
	case op.Op == "add":
		return slices.Insert(list, i, op.Value), ""
	case op.Op == "replace":
		list[i] = op.Value
		return list, ""
	}
	return nil, "op must be add, replace or remove"
}

func clone(value any) any {
	switch value := value.(type) {
	case object:
		copied := make(object, len(value))
		for k, v := range value {
			copied[k] = clone(v)
		}
		return copied
	case []any:
		copied := make([]any, len(value))
		for i, v := range value {
			copied[i] = clone(v)
		}
		return copied
	}
	return value
}
