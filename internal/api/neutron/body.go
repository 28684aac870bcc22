package neutron

import (
	"net/netip"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// owned is what the bodies of all things have that belong to a project.
type owned struct {
	Project osapi.Optional[string] `json:"project_id"`
	Tenant  osapi.Optional[string] `json:"tenant_id"`
}

// project is whose it is to be: the caller's own, unless an admin says otherwise.
func (b *owned) project(r *osapi.Request) (string, error) {
	asked := b.Project.Value
	if asked == "" {
		asked = b.Tenant.Value
	}
	switch {
	case b.Project.Value != "" && b.Tenant.Value != "" && b.Project.Value != b.Tenant.Value:
		return "", fault.New(fault.Invalid, "'project_id' and 'tenant_id' do not match")
	case asked == "" && r.Caller.ProjectID == "":
		return "", fault.New(fault.Invalid, "A token of no project needs project_id in the request.")
	case asked == "":
		return r.Caller.ProjectID, nil
	case asked != r.Caller.ProjectID && !r.Caller.IsAdmin():
		return "", fault.New(fault.Invalid, "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin privileges")
	}
	return asked, nil
}

// readOnly names the fields of a body that cannot change, and whether the body has them.
type readOnly map[string]bool

func (fields readOnly) check() error {
	for name, set := range fields {
		if set {
			return fault.New(fault.Invalid, "Cannot update read-only attribute %s", name)
		}
	}
	return nil
}

// create makes one thing or, in bulk, several: all of them or none.
func create[B any](a *api, r *osapi.Request, key string, one *B, many *[]B, make func(tx *db.Tx, b *B) (object, error)) (any, error) {
	var wanted []B
	switch {
	case one != nil && many == nil:
		wanted = []B{*one}
	case many != nil && one == nil && len(*many) > 0:
		wanted = *many
	default:
		return nil, noBody(key)
	}
	var made []object
	err := a.db.Tx(r.Context(), func(tx *db.Tx) error {
		made = nil
		for i := range wanted {
			o, err := make(tx, &wanted[i])
			if err != nil {
				return err
			}
			made = append(made, o)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case one != nil:
		return object{key: made[0]}, nil
	}
	return object{key + "s": made}, nil
}

// change does what all changes of a thing have in common: body (nil: none) is read, the thing must be one that the caller
// sees (else 404), may change (else 403) and has read lately (If-Match); then f, in the same transaction.
func (a *api) change(r *osapi.Request, body any, find func(*osapi.Request, db.Querier) (network.Meta, error), f func(*db.Tx) error) error {
	if body != nil {
		if err := r.Decode(body); err != nil {
			return err
		}
	}
	return a.db.Tx(r.Context(), func(tx *db.Tx) error {
		thing, err := find(r, tx)
		if err != nil {
			return err
		}
		if err := mayWrite(r, thing.Project); err != nil {
			return err
		}
		if err := unchanged(r, thing.Revision); err != nil {
			return err
		}
		return f(tx)
	})
}

func noBody(name string) error {
	return fault.New(fault.Invalid, "Unable to find '%s' in request body", name)
}

// fields remembers the first field of a body that does not fit.
type fields struct{ err error }

func (f *fields) fail(name, format string, args ...any) {
	if f.err == nil {
		f.err = fault.New(fault.Invalid, "Invalid input for "+name+". Reason: "+format+".", args...)
	}
}

// given is the field's value; nil when the body has not got it. No field here may be null.
func given[T any](f *fields, name string, o osapi.Optional[T]) *T {
	if o.Null {
		f.fail(name, "'None' is not a valid value")
	}
	if !o.Set || o.Null {
		return nil
	}
	return &o.Value
}

func text(f *fields, name string, o osapi.Optional[string]) *string { return given(f, name, o) }

func truthOf(f *fields, name string, o osapi.Optional[osapi.Bool]) *bool {
	return (*bool)(given(f, name, o))
}

func number(f *fields, name string, o osapi.Optional[osapi.Int]) *int {
	return (*int)(given(f, name, o))
}

// orNone is a field whose null is as good as the empty value; nil when the body has not got it.
func orNone[T any](o osapi.Optional[T]) *T {
	if !o.Set {
		return nil
	}
	return &o.Value
}

// address reads an IP address; the zero one for an empty text.
func address(f *fields, name, text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.Is4In6() {
		f.fail(name, "'%s' is not a valid IP address", text)
		return netip.Addr{}
	}
	return addr
}

// prefix reads a network; the zero one for an empty text.
func prefix(f *fields, name, text string) netip.Prefix {
	if text == "" {
		return netip.Prefix{}
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		f.fail(name, "'%s' is not a valid IP subnet", text)
		return netip.Prefix{}
	}
	return p
}

func prefixes(f *fields, name string, texts []string) []netip.Prefix {
	list := []netip.Prefix{}
	for _, text := range texts {
		if text == "" {
			f.fail(name, "'' is not a valid IP subnet")
		}
		list = append(list, prefix(f, name, text))
	}
	return list
}

// forAdmins fails for callers who are none and want what tenants may not ask for.
func forAdmins(r *osapi.Request, wanted map[string]bool) error {
	if r.Caller.IsAdmin() {
		return nil
	}
	for name, asked := range wanted {
		if asked {
			return fault.New(fault.Forbidden, "Only admins may ask for %s.", name)
		}
	}
	return nil
}

// written are the texts of things that write themselves.
func written[T interface{ String() string }](list []T) []string {
	texts := []string{}
	for _, v := range list {
		texts = append(texts, v.String())
	}
	return texts
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}
