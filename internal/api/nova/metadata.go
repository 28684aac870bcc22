package nova

import (
	"net/http"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
)

type metadataBody struct {
	Metadata map[string]string `json:"metadata"`
}

func (a *api) listMetadata(r *osapi.Request) (any, error) {
	i, err := a.server(r, reader(r))
	if err != nil {
		return nil, err
	}
	return object{"metadata": i.Metadata}, nil
}

// changeMetadata edits a server's metadata, unless it is locked.
func (a *api) changeMetadata(r *osapi.Request, edit func(map[string]string) (map[string]string, error)) (*instance.Instance, error) {
	most, err := a.mostMetadata(r, r.Caller.ProjectID)
	if err != nil {
		return nil, err
	}
	return a.Instances.Change(r.Context(), writer(r), r.Path("id"), by(r), "", func(i *instance.Instance) error {
		if err := i.Unlocked(writer(r)); err != nil {
			return err
		}
		metadata, err := edit(i.Metadata)
		if err != nil {
			return err
		}
		i.Metadata = metadata
		return checkMetadata(metadata, most)
	})
}

// mostMetadata is how many items the servers of a project may have each.
func (a *api) mostMetadata(r *osapi.Request, project string) (int, error) {
	limits, err := a.Instances.Limits(r.Context(), a.DB, project)
	return limits["metadata_items"], err
}

func (a *api) addMetadata(r *osapi.Request) (any, error) {
	var body metadataBody
	if err := decode(r, &body, "metadata", nil); err != nil {
		return nil, err
	}
	i, err := a.changeMetadata(r, func(have map[string]string) (map[string]string, error) {
		for key, value := range body.Metadata {
			have[key] = value
		}
		return have, nil
	})
	if err != nil {
		return nil, err
	}
	return object{"metadata": i.Metadata}, nil
}

func (a *api) replaceMetadata(r *osapi.Request) (any, error) {
	var body metadataBody
	if err := decode(r, &body, "metadata", nil); err != nil {
		return nil, err
	}
	i, err := a.changeMetadata(r, func(map[string]string) (map[string]string, error) { return body.Metadata, nil })
	if err != nil {
		return nil, err
	}
	return object{"metadata": i.Metadata}, nil
}

var noMetadata = fault.New(fault.NotFound, "Metadata item was not found")

func (a *api) showMetadata(r *osapi.Request) (any, error) {
	i, err := a.server(r, reader(r))
	if err != nil {
		return nil, err
	}
	value, ok := i.Metadata[r.Path("key")]
	if !ok {
		return nil, noMetadata
	}
	return object{"meta": object{r.Path("key"): value}}, nil
}

func (a *api) setMetadata(r *osapi.Request) (any, error) {
	var body struct {
		Meta map[string]string `json:"meta"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	value, ok := body.Meta[r.Path("key")]
	if !ok || len(body.Meta) != 1 {
		return nil, fault.New(fault.Invalid, "Request body and URI mismatch")
	}
	_, err := a.changeMetadata(r, func(have map[string]string) (map[string]string, error) {
		have[r.Path("key")] = value
		return have, nil
	})
	return object{"meta": body.Meta}, err
}

func (a *api) deleteMetadata(r *osapi.Request) (any, error) {
	_, err := a.changeMetadata(r, func(have map[string]string) (map[string]string, error) {
		if _, ok := have[r.Path("key")]; !ok {
			return nil, noMetadata
		}
		delete(have, r.Path("key"))
		return have, nil
	})
	return nil, err
}

func (a *api) listTags(r *osapi.Request) (any, error) {
	i, err := a.server(r, reader(r))
	if err != nil {
		return nil, err
	}
	return object{"tags": i.Tags}, nil
}

func (a *api) changeTags(r *osapi.Request, edit func(tags []string) ([]string, error)) (*instance.Instance, error) {
	return a.Instances.Change(r.Context(), writer(r), r.Path("id"), by(r), "", func(i *instance.Instance) (err error) {
		if i.Tags, err = edit(i.Tags); err != nil {
			return err
		}
		slices.Sort(i.Tags)
		i.Tags = slices.Compact(i.Tags)
		return checkTags(i.Tags)
	})
}

func (a *api) replaceTags(r *osapi.Request) (any, error) {
	var body struct {
		Tags *[]string `json:"tags"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.Tags == nil {
		return nil, missing("tags")
	}
	i, err := a.changeTags(r, func([]string) ([]string, error) { return *body.Tags, nil })
	if err != nil {
		return nil, err
	}
	return object{"tags": i.Tags}, nil
}

func (a *api) deleteTags(r *osapi.Request) (any, error) {
	_, err := a.changeTags(r, func([]string) ([]string, error) { return nil, nil })
	return nil, err
}

func noTag(tag, id string) error {
	return fault.New(fault.NotFound, "Server %s has no tag '%s'", id, clip(tag))
}

func (a *api) hasTag(r *osapi.Request) (any, error) {
	i, err := a.server(r, reader(r))
	if err == nil && !slices.Contains(i.Tags, r.Path("tag")) {
		err = noTag(r.Path("tag"), i.ID)
	}
	return nil, err
}

// addTag says Created with the place of a new tag, No Content for one that is there.
func (a *api) addTag(r *osapi.Request) (any, error) {
	tag, there := r.Path("tag"), false
	_, err := a.changeTags(r, func(tags []string) ([]string, error) {
		if there = slices.Contains(tags, tag); there {
			return tags, nil
		}
		return append(tags, tag), nil
	})
	if err != nil || there {
		return osapi.Response{Status: http.StatusNoContent}, err
	}
	return osapi.Response{Status: http.StatusCreated, Header: http.Header{"Location": {r.URL("/v2.1/servers/"+r.Path("id")+"/tags/", tag)}}}, nil
}

func (a *api) deleteTag(r *osapi.Request) (any, error) {
	tag := r.Path("tag")
	_, err := a.changeTags(r, func(tags []string) ([]string, error) {
		at := slices.Index(tags, tag)
		if at < 0 {
			return nil, noTag(tag, r.Path("id"))
		}
		return slices.Delete(tags, at, at+1), nil
	})
	return nil, err
}
