package glance

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/image"
)

// patchTypes are the media types of a patch: RFC 6902 with paths of one element, and its draft, where a change is
// {"replace": "/name", "value": …}.
const (
	patchType      = "application/openstack-images-v2.1-json-patch"
	patchTypeDraft = "application/openstack-images-v2.0-json-patch"
)

type change struct {
	op, name string
	value    any
}

func (a *api) patch(r *osapi.Request) (any, error) {
	changes, err := readPatch(r)
	if err != nil {
		return nil, err
	}
	patched, err := a.images.Update(r.Context(), writes(r), r.Path("id"), func(i *image.Image) error {
		for _, c := range changes {
			if err := c.apply(i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return view(patched), nil
}

func readPatch(r *osapi.Request) ([]change, error) {
	media, _, _ := mime.ParseMediaType(r.HTTP.Header.Get("Content-Type")) // a malformed one is not among ours either
	if media != patchType && media != patchTypeDraft {
		return nil, &osapi.Error{Status: http.StatusUnsupportedMediaType, Err: fault.New(fault.Invalid,
			"Unsupported Content-Type; a patch is %s.", patchType)}
	}
	text, err := r.Raw()
	if err != nil {
		return nil, err
	}
	var items []map[string]any
	if err := osapi.Strict(text, &items); err != nil {
		return nil, err
	}
	var changes []change
	for _, item := range items {
		c, err := readChange(item, media == patchTypeDraft)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return changes, nil
}

var operations = []string{"add", "replace", "remove"}

func readChange(item map[string]any, draft bool) (c change, err error) {
	var path any
	if draft {
		for _, op := range operations {
			if at, ok := item[op]; ok {
				c.op, path = op, at
			}
		}
	} else {
		c.op, _ = item["op"].(string)
		path = item["path"]
	}
	if !slices.Contains(operations, c.op) {
		return c, fault.New(fault.Invalid, "Operations must be one of add, replace, remove.")
	}
	pointer, ok := path.(string)
	name, under := strings.CutPrefix(pointer, "/")
	if !ok || !under || name == "" || strings.ContainsAny(name, "/ ") {
		return c, fault.New(fault.Invalid, "Invalid JSON pointer for this resource: '%.80s'", pointer)
	}
	c.name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
	if c.value, ok = item["value"]; !ok && c.op != "remove" {
		return c, fault.New(fault.Invalid, "Operation \"%s\" requires a member named \"value\".", c.op)
	}
	return c, settable(c.name)
}

func (c change) apply(i *image.Image) error {
	_, property := i.Properties[c.name]
	attribute := slices.Contains(writable, c.name)
	switch {
	case c.op == "remove" && attribute:
		return fault.New(fault.Forbidden, "Property %s may not be removed.", c.name)
	case c.op != "add" && !attribute && !property:
		return fault.New(fault.Conflict, "Property %s does not exist.", c.name)
	case c.op == "remove":
		delete(i.Properties, c.name)
		return nil
	}
	return set(i, c.name, c.value)
}
