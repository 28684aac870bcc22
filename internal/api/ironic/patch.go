package ironic

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

// operation is one line of a JSON patch (RFC 6902) within Ironic's rules (ironic/api/controllers/v1/utils.py and
// ironic/api/types.py, JsonPatchType): add, replace, remove; paths into objects and lists.
type operation struct {
	Op    string              `json:"op"`
	Path  string              `json:"path"`
	Value osapi.Optional[any] `json:"value"`
}

var patchPath = regexp.MustCompile(`^(/[\w-]+)(/[^/]+)*$`)

func readPatch(r *osapi.Request) ([]operation, error) {
	var operations []operation
	if err := r.Decode(&operations); err != nil {
		return nil, err
	}
	for _, o := range operations {
		if !slices.Contains([]string{"add", "replace", "remove"}, o.Op) {
			return nil, fault.New(fault.Invalid, "Invalid input for field/attribute patch: the operation %q is not add, replace or remove.", o.Op)
		}
		if !patchPath.MatchString(o.Path) {
			return nil, fault.New(fault.Invalid, "Invalid input for field/attribute patch: %q is not a path.", o.Path)
		}
		if o.Op != "remove" && !o.Value.Set {
			return nil, fault.New(fault.Invalid, "'add' and 'replace' operations need a value (path %s).", o.Path)
		}
	}
	return operations, nil
}

// rootsOf names the fields that a patch touches.
func rootsOf(operations []operation) (names []string) {
	for _, o := range operations {
		name, _, _ := strings.Cut(strings.TrimPrefix(o.Path, "/"), "/")
		names = append(names, name)
	}
	return names
}

// patched gives the document with the operations done to it. The document itself stays as it is. A removed field of
// the document takes its default.
func patched(document object, operations []operation, defaults object) (object, error) {
	document = clone(document)
	for _, o := range operations {
		keys := strings.Split(strings.TrimPrefix(o.Path, "/"), "/")
		for i, key := range keys {
			keys[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(key)
		}
		if _, known := document[keys[0]]; !known {
			return nil, fault.New(fault.Invalid, "'%s' is an internal attribute and can not be updated, or does not exist.", "/"+keys[0])
		}
		if len(keys) == 1 && o.Op == "remove" {
			if _, exists := document[keys[0]]; !exists {
				return nil, impossible(o)
			}
			document[keys[0]] = defaults[keys[0]]
			continue
		}
		changed, err := at(document, keys, o)
		if err != nil {
			return nil, err
		}
		document = changed.(object)
	}
	return document, nil
}

// at gives the value with the operation done at the place that the keys lead to.
func at(value any, keys []string, o operation) (any, error) {
	key, last := keys[0], len(keys) == 1
	switch value := value.(type) {
	case object:
		inner, exists := value[key]
		switch {
		case !last && exists:
			changed, err := at(inner, keys[1:], o)
			value[key] = changed
			return value, err
		case !last || !exists && o.Op != "add":
			return value, impossible(o)
		case o.Op == "remove":
			delete(value, key)
		default:
			value[key] = o.Value.Value
		}
		return value, nil
	case []any:
		i, err := strconv.Atoi(key)
		if key == "-" && last && o.Op == "add" {
			i, err = len(value), nil
		}
		beyond := len(value)
		if last && o.Op == "add" {
			beyond++
		}
		switch {
		case err != nil || i < 0 || i >= beyond:
			return value, impossible(o)
		case !last:
			changed, err := at(value[i], keys[1:], o)
			value[i] = changed
			return value, err
		case o.Op == "remove":
			return slices.Delete(value, i, i+1), nil
		case o.Op == "add":
			return slices.Insert(value, i, o.Value.Value), nil
		}
		value[i] = o.Value.Value
		return value, nil
	}
	return value, impossible(o)
}

func impossible(o operation) error {
	return fault.New(fault.Invalid, "Couldn't apply patch: %s of %s: there is no such thing.", o.Op, o.Path)
}

func clone(o object) object { return cloned(o).(object) }

func cloned(value any) any {
	switch value := value.(type) {
	case object:
		o := object{}
		for key, inner := range value {
			o[key] = cloned(inner)
		}
		return o
	case []any:
		list := []any{}
		for _, inner := range value {
			list = append(list, cloned(inner))
		}
		return list
	}
	return value
}
