package nova

import (
	"maps"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/image"
)

// Until 2.35 Nova shows images too, by the words that it had before Glance (until 2.38 their metadata).

func imageReader(r *osapi.Request) image.Caller {
	return image.Caller{Project: r.Caller.ProjectID, User: r.Caller.UserID, Admin: r.Caller.ReadsAll()}
}

func imageWriter(r *osapi.Request) image.Caller {
	return image.Caller{Project: r.Caller.ProjectID, User: r.Caller.UserID, Admin: r.Caller.IsAdmin()}
}

// imageStatus is nova/api/openstack/compute/views/images.py, _format_date and _get_status.
func imageStatus(s image.Status) (status string, progress int) {
	switch s {
	case image.Active, image.Deactivated:
		return "ACTIVE", 100
	case image.Queued:
		return "SAVING", 25
	}
	return "SAVING", 50
}

func imageLinks(r *osapi.Request, id string) []object {
	return append(links(r, "images", id), object{"rel": "alternate", "type": "application/vnd.openstack.image", "href": r.URL("/images/", id)})
}

func imageView(r *osapi.Request, i image.Image) object {
	status, progress := imageStatus(i.Status)
	return object{
		"id": i.ID, "name": i.Name, "status": status, "progress": progress, "created": osapi.Zulu(i.CreatedAt), "updated": osapi.Zulu(i.UpdatedAt),
		"minDisk": i.MinDisk, "minRam": i.MinRAM, "metadata": i.Properties, "OS-EXT-IMG-SIZE:size": i.Size, "links": imageLinks(r, i.ID),
	}
}

// findImages lists images with Nova's filters.
func (a *api) findImages(r *osapi.Request) ([]image.Image, string, error) {
	q := r.Query()
	page := q.Page(osapi.Paging{})
	minDisk, minRAM := int64(q.Int("minDisk", 0)), int64(q.Int("minRam", 0))
	if err := q.Err(); err != nil {
		return nil, "", err
	}
	filter := image.Filter{MinDisk: atLeast(minDisk), MinRAM: atLeast(minRAM), Properties: map[string]string{}}
	if name := q.String("name"); name != "" {
		filter.Names = []string{name}
	}
	switch status := q.String("status"); strings.ToUpper(status) {
	case "":
	case "ACTIVE":
		filter.Statuses = []string{string(image.Active)}
	case "SAVING":
		filter.Statuses = []string{string(image.Queued), string(image.Saving), string(image.Uploading), string(image.Importing)}
	default:
		filter.Statuses = []string{strings.ToLower(status)} // of which there are none
	}
	if server := q.String("server"); server != "" {
		filter.Properties["instance_uuid"] = server[strings.LastIndexByte(server, '/')+1:]
	}
	if kind := q.String("type"); kind != "" {
		filter.Properties["image_type"] = strings.ToLower(kind)
	}
	if since := q.String("changes-since"); since != "" {
		when, err := moment("changes-since", since)
		if err != nil {
			return nil, "", err
		}
		filter.Updated = []image.TimeFilter{{Op: "gte", At: when}}
	}
	found, err := a.Images.List(r.Context(), imageReader(r), filter, image.Page{Limit: page.Limit, Marker: page.Marker})
	next := ""
	if len(found) > 0 && len(found) == page.Limit {
		next = found[len(found)-1].ID
	}
	return found, next, err
}

func atLeast(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

func (a *api) listImages(r *osapi.Request) (any, error) {
	found, next, err := a.findImages(r)
	shown := make([]object, len(found))
	for n, i := range found {
		shown[n] = object{"id": i.ID, "name": i.Name, "links": imageLinks(r, i.ID)}
	}
	return page(r, "images", shown, next), err
}

func (a *api) listImagesDetail(r *osapi.Request) (any, error) {
	found, next, err := a.findImages(r)
	shown := make([]object, len(found))
	for n, i := range found {
		shown[n] = imageView(r, i)
	}
	return page(r, "images", shown, next), err
}

func (a *api) imageOf(r *osapi.Request) (image.Image, error) {
	i, err := a.Images.Get(r.Context(), imageReader(r), r.Path("id"))
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "Image not found.")
	}
	return i, err
}

func (a *api) showImage(r *osapi.Request) (any, error) {
	i, err := a.imageOf(r)
	if err != nil {
		return nil, err
	}
	return object{"image": imageView(r, i)}, nil
}

func (a *api) deleteImage(r *osapi.Request) (any, error) {
	if _, err := a.imageOf(r); err != nil {
		return nil, err
	}
	return nil, a.Images.Delete(r.Context(), imageWriter(r), r.Path("id"))
}

func (a *api) listImageMetadata(r *osapi.Request) (any, error) {
	i, err := a.imageOf(r)
	if err != nil {
		return nil, err
	}
	return object{"metadata": i.Properties}, nil
}

func (a *api) showImageMetadata(r *osapi.Request) (any, error) {
	i, err := a.imageOf(r)
	if err != nil {
		return nil, err
	}
	value, ok := i.Properties[r.Path("key")]
	if !ok {
		return nil, noMetadata
	}
	return object{"meta": object{r.Path("key"): value}}, nil
}

func (a *api) changeImage(r *osapi.Request, edit func(have map[string]string) (map[string]string, error)) (image.Image, error) {
	if _, err := a.imageOf(r); err != nil {
		return image.Image{}, err
	}
	most, err := a.mostMetadata(r, r.Caller.ProjectID)
	if err != nil {
		return image.Image{}, err
	}
	return a.Images.Update(r.Context(), imageWriter(r), r.Path("id"), func(i *image.Image) error {
		properties, err := edit(maps.Clone(i.Properties))
		if err != nil {
			return err
		}
		i.Properties = properties
		return checkMetadata(properties, most)
	})
}

// putImageMetadata adds to the metadata, or replaces it whole.
func (a *api) putImageMetadata(replace bool) osapi.Handler {
	return func(r *osapi.Request) (any, error) {
		var body metadataBody
		if err := decode(r, &body, "metadata", nil); err != nil {
			return nil, err
		}
		i, err := a.changeImage(r, func(have map[string]string) (map[string]string, error) {
			if replace {
				return body.Metadata, nil
			}
			maps.Copy(have, body.Metadata)
			return have, nil
		})
		return object{"metadata": i.Properties}, err
	}
}

func (a *api) setImageMetadata(r *osapi.Request) (any, error) {
	var body struct {
		Meta map[string]string `json:"meta"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if _, ok := body.Meta[r.Path("key")]; !ok || len(body.Meta) != 1 {
		return nil, fault.New(fault.Invalid, "Request body and URI mismatch")
	}
	_, err := a.changeImage(r, func(have map[string]string) (map[string]string, error) {
		maps.Copy(have, body.Meta)
		return have, nil
	})
	return object{"meta": body.Meta}, err
}

func (a *api) deleteImageMetadata(r *osapi.Request) (any, error) {
	_, err := a.changeImage(r, func(have map[string]string) (map[string]string, error) {
		if _, ok := have[r.Path("key")]; !ok {
			return nil, noMetadata
		}
		delete(have, r.Path("key"))
		return have, nil
	})
	return nil, err
}
