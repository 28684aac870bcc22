package nova

import (
	"context"
	"encoding/json"
	"maps"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
)

var aggregateFields = osapi.Fields{"uuid": osapi.Since(2, 41)}

// zoneKey is the metadata that the zone of an aggregate also is.
const zoneKey = "availability_zone"

func aggregateView(r *osapi.Request, a *instance.Aggregate) object {
	metadata := map[string]string{}
	maps.Copy(metadata, a.Metadata)
	if a.Zone != "" {
		metadata[zoneKey] = a.Zone
	}
	hosts := a.Machines
	if hosts == nil {
		hosts = []string{}
	}
	return aggregateFields.Trim(object{
		"id": a.ID, "uuid": a.UUID, "name": a.Name, zoneKey: null(a.Zone), "hosts": hosts, "metadata": metadata,
		"created_at": osapi.Naive(a.Created), "updated_at": osapi.Naive(a.Updated), "deleted": false, "deleted_at": nil,
	}, r.Version)
}

// aggregateID is the number of the path.
func aggregateID(r *osapi.Request) (int, error) {
	id, err := strconv.Atoi(r.Path("id"))
	if err != nil {
		return 0, fault.New(fault.NotFound, "Aggregate %s could not be found.", clip(r.Path("id")))
	}
	return id, nil
}

func (a *api) listAggregates(r *osapi.Request) (any, error) {
	all, err := a.Instances.Aggregates(r.Context(), a.DB)
	shown := make([]object, len(all))
	for n, one := range all {
		shown[n] = aggregateView(r, one)
	}
	return object{"aggregates": shown}, err
}

func oneAggregate(r *osapi.Request, found *instance.Aggregate, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return object{"aggregate": aggregateView(r, found)}, nil
}

func (a *api) showAggregate(r *osapi.Request) (any, error) {
	id, err := aggregateID(r)
	if err != nil {
		return nil, err
	}
	found, err := a.Instances.Aggregate(r.Context(), a.DB, id)
	return oneAggregate(r, found, err)
}

type aggregateBody struct {
	Aggregate struct {
		Name *string                `json:"name"`
		Zone osapi.Optional[string] `json:"availability_zone"`
	} `json:"aggregate"`
}

func (b *aggregateBody) read(r *osapi.Request) error {
	if err := decode(r, b, "aggregate", nil); err != nil {
		return err
	}
	if b.Aggregate.Name != nil {
		if err := checkName("name", *b.Aggregate.Name); err != nil {
			return err
		}
	}
	if b.Aggregate.Zone.Set && !b.Aggregate.Zone.Null {
		return checkZone(b.Aggregate.Zone.Value)
	}
	return nil
}

// checkZone takes the name of a zone; a colon would be read as the way to name a host with it.
func checkZone(zone string) error {
	if strings.Contains(zone, ":") {
		return invalid(zoneKey, strconv.Quote(clip(zone)), "It has no colon.")
	}
	return checkName(zoneKey, zone)
}

func (a *api) createAggregate(r *osapi.Request) (any, error) {
	var body aggregateBody
	if err := body.read(r); err != nil {
		return nil, err
	}
	if body.Aggregate.Name == nil {
		return nil, missing("name")
	}
	made, err := a.Instances.CreateAggregate(r.Context(), *body.Aggregate.Name, body.Aggregate.Zone.Value)
	if err != nil {
		return nil, err
	}
	shown := aggregateView(r, made)
	delete(shown, "hosts") // as Nova does
	delete(shown, "metadata")
	return object{"aggregate": shown}, nil
}

func (a *api) updateAggregate(r *osapi.Request) (any, error) {
	id, err := aggregateID(r)
	if err != nil {
		return nil, err
	}
	var body aggregateBody
	if err := body.read(r); err != nil {
		return nil, err
	}
	if body.Aggregate.Name == nil && !body.Aggregate.Zone.Set {
		return nil, missing("name")
	}
	changed, err := a.Instances.ChangeAggregate(r.Context(), id, func(to *instance.Aggregate) error {
		if body.Aggregate.Name != nil {
			to.Name = *body.Aggregate.Name
		}
		if body.Aggregate.Zone.Set {
			to.Zone = body.Aggregate.Zone.Value
		}
		return nil
	})
	return oneAggregate(r, changed, err)
}

func (a *api) deleteAggregate(r *osapi.Request) (any, error) {
	id, err := aggregateID(r)
	if err != nil {
		return nil, err
	}
	return nil, a.Instances.DeleteAggregate(r.Context(), id)
}

// actOnAggregate is POST …/action: add_host, remove_host or set_metadata.
func (a *api) actOnAggregate(r *osapi.Request) (any, error) {
	id, err := aggregateID(r)
	if err != nil {
		return nil, err
	}
	var body map[string]json.RawMessage
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if len(body) != 1 {
		return nil, fault.New(fault.Invalid, "Malformed request body: one action is expected.")
	}
	var changed *instance.Aggregate
	for name, arguments := range body {
		switch name {
		case "add_host":
			changed, err = a.moveHost(r, id, arguments, a.Instances.AddMachine)
		case "remove_host":
			changed, err = a.moveHost(r, id, arguments, a.Instances.RemoveMachine)
		case "set_metadata":
			changed, err = a.setAggregateMetadata(r, id, arguments)
		default:
			err = fault.New(fault.Invalid, "There is no such action: %s", clip(name))
		}
	}
	return oneAggregate(r, changed, err)
}

func (a *api) moveHost(r *osapi.Request, id int, arguments json.RawMessage, move moving) (*instance.Aggregate, error) {
	var which struct {
		Host string `json:"host"`
	}
	if err := osapi.Strict(arguments, &which); err != nil {
		return nil, err
	}
	if which.Host == "" {
		return nil, missing("host")
	}
	return move(r.Context(), id, which.Host)
}

func (a *api) setAggregateMetadata(r *osapi.Request, id int, arguments json.RawMessage) (*instance.Aggregate, error) {
	var body struct {
		Metadata map[string]*string `json:"metadata"`
	}
	if err := osapi.Strict(arguments, &body); err != nil {
		return nil, err
	}
	if body.Metadata == nil {
		return nil, missing("metadata")
	}
	return a.Instances.ChangeAggregate(r.Context(), id, func(to *instance.Aggregate) error {
		for key, value := range body.Metadata {
			switch {
			case key == zoneKey && value == nil:
				to.Zone = ""
			case key == zoneKey:
				if err := checkZone(*value); err != nil {
					return err
				}
				to.Zone = *value
			case value == nil:
				delete(to.Metadata, key)
			default:
				to.Metadata[key] = *value
			}
		}
		return checkMetadata(to.Metadata, instance.Unlimited)
	})
}

// moving puts a machine into an aggregate, or takes it out.
type moving func(ctx context.Context, aggregate int, machine string) (*instance.Aggregate, error)
