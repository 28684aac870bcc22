package ironic

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

// operation is one line of a JSON patch (RFC 6902) within Ironic's rules (ironic/api/controllers/v1/utils.py and
// ironic/api/types.py, JsonPatchType): add, replace, remove; paths into objects.
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
		parent := document
		for _, key := range keys[:len(keys)-1] {
			next, ok := parent[key].(object)
			if !ok {
				return nil, impossible(o)
			}
			parent = next
		}
		last := keys[len(keys)-1]
		_, exists := parent[last]
		switch {
		case !exists && o.Op != "add":
			return nil, impossible(o)
		case o.Op != "remove":
			parent[last] = o.Value.Value
		case len(keys) == 1:
			parent[last] = defaults[last]
		default:
			delete(parent, last)
		}
	}
	return document, nil
}

func impossible(o operation) error {
	return fault.New(fault.Invalid, "Couldn't apply patch: %s of %s: there is no such thing.", o.Op, o.Path)
}

func clone(o object) object {
	o = maps.Clone(o)
	for key, value := range o {
		if inner, ok := value.(object); ok {
			o[key] = clone(inner)
		}
	}
	return o
}
