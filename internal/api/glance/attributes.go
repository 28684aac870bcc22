package glance

import (
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/image"
)

// What an image has beside its properties; glance/api/v2/images.py, RequestDeserializer.
var (
	writable = []string{
		"name", "visibility", "protected", "os_hidden", "disk_format", "container_format", "min_disk", "min_ram", "owner", "tags",
	}
	readOnly = []string{
		"id", "created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self", "file", "schema",
		"os_hash_algo", "os_hash_value", "stores",
	}
	reserved = []string{"location", "locations", "deleted", "deleted_at"}
)

// settable refuses the names that a client cannot give a value.
func settable(name string) error {
	switch {
	case slices.Contains(readOnly, name):
		return fault.New(fault.Forbidden, "Attribute '%s' is read-only.", name)
	case slices.Contains(reserved, name), strings.HasPrefix(name, "os_glance"):
		return fault.New(fault.Forbidden, "Attribute '%s' is reserved.", name)
	}
	return nil
}

// set gives an attribute or a property a value from JSON.
func set(i *image.Image, name string, value any) error {
	if err := settable(name); err != nil {
		return err
	}
	text, isText := value.(string)
	truth, isTruth := value.(bool)
	var err error
	switch name {
	case "name", "disk_format", "container_format", "owner":
		if !isText && value != nil {
			return mismatch(name, value)
		}
		*map[string]*string{"name": &i.Name, "disk_format": &i.DiskFormat, "container_format": &i.ContainerFormat, "owner": &i.Project}[name] = text
		return nil
	case "visibility":
		i.Visibility = image.Visibility(text)
		if !slices.Contains(image.Visibilities, i.Visibility) {
			return mismatch(name, value)
		}
		return nil
	case "protected", "os_hidden":
		*map[string]*bool{"protected": &i.Protected, "os_hidden": &i.Hidden}[name] = truth
		if !isTruth {
			return mismatch(name, value)
		}
		return nil
	case "min_disk":
		i.MinDisk, err = whole(name, value)
		return err
	case "min_ram":
		i.MinRAM, err = whole(name, value)
		return err
	case "tags":
		i.Tags, err = texts(name, value)
		return err
	}
	if !isText {
		return mismatch(name, value)
	}
	i.Properties[name] = text
	return nil
}

func texts(name string, value any) ([]string, error) {
	items, ok := value.([]any)
	if !ok {
		return nil, mismatch(name, value)
	}
	list := make([]string, len(items))
	for n, item := range items {
		if list[n], ok = item.(string); !ok {
			return nil, mismatch(name, item)
		}
	}
	return list, nil
}
