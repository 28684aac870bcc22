package keystone

import (
	"maps"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

func versionEntry(r *osapi.Request) object {
	return object{
		"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
		"links":       []object{{"rel": "self", "href": r.URL("/v3/")}},
		"media-types": []object{{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}},
	}
}

func versions(r *osapi.Request) (any, error) {
	return object{"versions": object{"values": []object{versionEntry(r)}}}, nil
}

func version(r *osapi.Request) (any, error) { return object{"version": versionEntry(r)}, nil }

// list is the body of every collection.
func list[T any](r *osapi.Request, name string, items []T, show func(*osapi.Request, T) object) object {
	shown := make([]object, len(items))
	for i, item := range items {
		shown[i] = show(r, item)
	}
	return object{name: shown, "links": object{"next": nil, "self": r.Self(), "previous": nil}}
}

// with adds the attributes that clients made up, which never hide the real ones.
func with(extra identity.Extra, known object) object {
	body := maps.Clone(extra)
	if body == nil {
		body = object{}
	}
	maps.Copy(body, known)
	return body
}

func self(r *osapi.Request, collection, id string) object {
	return object{"self": r.URL("/v3/"+collection+"/", id)}
}

// attributes are what a body holds beside the fields that are known.
type attributes map[string]any

// onto puts the attributes of an update on what is stored: null removes one. The id and the links of a thing that
// was read and is sent back are no attributes.
func (extra attributes) onto(stored identity.Extra, id string) (identity.Extra, error) {
	if sent, ok := extra["id"]; ok && id != "" && sent != id {
		return nil, fault.New(fault.Invalid, "Cannot change the ID.")
	}
	result := maps.Clone(stored)
	if result == nil {
		result = identity.Extra{}
	}
	for name, value := range extra {
		switch {
		case name == "id" || name == "links" || name == "extra":
		case value == nil:
			delete(result, name)
		default:
			result[name] = value
		}
	}
	return result, nil
}

// set stores a field that the body has.
func set[T any](target *T, field osapi.Optional[T]) {
	if field.Set && !field.Null {
		*target = field.Value
	}
}

// setPointer stores a field that may be null.
func setPointer[T any](target **T, field osapi.Optional[T]) {
	if field.Null {
		*target = nil
	} else if field.Set {
		*target = &field.Value
	}
}

// orNull is null for what is not there.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// enabledFilter reads ?enabled.
func enabledFilter(q *osapi.Query) *bool {
	if !q.Has("enabled") {
		return nil
	}
	enabled := q.Bool("enabled", true) // ?enabled without a value means yes
	return &enabled
}

// words reads a parameter that is a list with commas.
func words(q *osapi.Query, name string) []string {
	if q.String(name) == "" {
		return nil
	}
	return strings.Split(q.String(name), ",")
}

// The end of something, as Keystone writes it.
const expiryForm = "2006-01-02T15:04:05.000000"

// expiry is null where something does not end.
func expiry(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return at.UTC().Format(expiryForm)
}

// expiryForms are what clients send: RFC 3339 with or without the zone, which is UTC then.
var expiryForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"}

// parseExpiry reads the end of something; null means none.
func parseExpiry(field osapi.Optional[string]) (time.Time, error) {
	if field.Value == "" && (!field.Set || field.Null) {
		return time.Time{}, nil
	}
	for _, form := range expiryForms {
		if at, err := time.Parse(form, field.Value); err == nil {
			return at.UTC().Truncate(time.Microsecond), nil
		}
	}
	return time.Time{}, fault.New(fault.Invalid, "Invalid input for field 'expires_at': %q is not a time in ISO 8601.", field.Value)
}

// visible lets through what the caller may see. The answer to others is the same whether it exists or not.
func visible(r *osapi.Request, what string, err error, allowed bool) error {
	switch {
	case err == nil && allowed:
		return nil
	case err != nil && (!fault.Is(err, fault.NotFound) || r.Caller.ReadsAll()):
		return err
	}
	return forbidden(what)
}

// narrow makes a list that of the caller's domain, unless the caller reads the whole cloud.
func narrow(r *osapi.Request, what string, domainID *string) error {
	if r.Caller.ReadsAll() {
		return nil
	}
	if *domainID != "" && *domainID != r.Caller.DomainID {
		return forbidden(what)
	}
	*domainID = r.Caller.DomainID
	return nil
}

// undelegated refuses those who act by a trust or by a restricted application credential.
func undelegated(r *osapi.Request, what string) error {
	if r.Caller.Restricted() {
		return forbidden(what)
	}
	return nil
}

// forbidden is what a caller gets for things that are not its own, whether they exist or not.
func forbidden(what string) error {
	return fault.New(fault.Forbidden, "You are not authorized to perform the requested action: identity:%s.", what)
}
