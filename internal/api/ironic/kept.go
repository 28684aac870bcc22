package ironic

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// kept is how things are served that operators note of their machines: all alike, but for their fields. T is the thing, B
// are those of its fields that clients write, as JSON. The id is apart: nobody changes it.
type kept[T, B any] struct {
	collection
	*api
	path, noun string
	since      osapi.Microversion
	reads      osapi.Policy
	byName     bool // the path may say its name, too
	details    bool // there is a path for the list in detail

	list         func(context.Context, db.Querier) ([]*T, error)
	get          func(context.Context, db.Querier, string) (*T, error)
	save, remove func(context.Context, *db.Tx, *T) error
	card         func(*T) *machine.Card
	view         func(*osapi.Request, *T) object
	body         func(*T) B
	read         func(context.Context, *db.Tx, B, *T) error // the fields, checked, into the thing
	mayChange    func(context.Context, *db.Tx, *T, string) error
	filter       func(*osapi.Request) func(*T) bool // of the list; nil: all
	of           func(*T) string                    // the id of its machine; nil: it has none
}

func (k *kept[T, B]) routes() []osapi.Route {
	row := func(method, path string, policy osapi.Policy, status int, handle osapi.Handler) osapi.Route {
		return osapi.Route{Method: method, Pattern: "/v1/" + k.path + path, Since: k.since, Policy: policy, Status: status, Handle: handle}
	}
	routes := []osapi.Route{
		row(http.MethodGet, "", k.reads, 0, func(r *osapi.Request) (any, error) { return k.answerAll(r, "", false) }),
		row(http.MethodPost, "", osapi.Admin, 201, k.create),
		row(http.MethodGet, "/{id}", k.reads, 0, k.answerOne),
		row(http.MethodPatch, "/{id}", osapi.Admin, 0, k.patch),
		row(http.MethodDelete, "/{id}", osapi.Admin, 204, k.delete),
	}
	if k.details {
		routes = append(routes, row(http.MethodGet, "/detail", k.reads, 0, func(r *osapi.Request) (any, error) { return k.answerAll(r, "", true) }))
	}
	return routes
}

// ofNode are the rows for the things of one node.
func (k *kept[T, B]) ofNode(since osapi.Microversion) []osapi.Route {
	list := func(detail bool) osapi.Handler {
		return func(r *osapi.Request) (any, error) {
			n, err := k.find(r)
			if err != nil {
				return nil, err
			}
			return k.answerAll(r, n.ID, detail)
		}
	}
	path := "/v1/nodes/{node}/" + k.path
	routes := []osapi.Route{{Method: http.MethodGet, Pattern: path, Since: since, Policy: k.reads, Handle: list(false)}}
	if k.details {
		routes = append(routes, osapi.Route{Method: http.MethodGet, Pattern: path + "/detail", Since: since, Policy: k.reads, Handle: list(true)})
	}
	return routes
}

// answerAll lists the things of a node, or all of nodes that the caller may know of.
func (k *kept[T, B]) answerAll(r *osapi.Request, node string, detail bool) (any, error) {
	all, err := k.list(r.Context(), k.db)
	if err != nil {
		return nil, err
	}
	var nodes map[string]*machine.Machine
	if k.of != nil {
		if nodes, err = k.known(r); err != nil {
			return nil, err
		}
	}
	fits := func(*T) bool { return true }
	if k.filter != nil {
		fits = k.filter(r)
	}
	views := []object{}
	for _, t := range all {
		if k.of != nil && (nodes[k.of(t)] == nil || node != "" && node != k.of(t)) || !fits(t) {
			continue
		}
		views = append(views, k.fields.Trim(k.view(r, t), r.Version))
	}
	return k.answer(r, views, k.fields.Trim(k.view(r, new(T)), r.Version), detail)
}

// known are the nodes that the caller may know of, and that the query's node names if it names one; by id.
func (a *api) known(r *osapi.Request) (map[string]*machine.Machine, error) {
	all, err := a.machines.List(r.Context(), a.db)
	query := r.HTTP.URL.Query()
	asked := query.Get("node")
	if asked == "" {
		asked = query.Get("node_uuid")
	}
	nodes := map[string]*machine.Machine{}
	for _, m := range all {
		if reads(r, m) && (asked == "" || m.ID == asked || m.Name == asked) {
			nodes[m.ID] = m
		}
	}
	return nodes, err
}

// found is the thing that the path names, for callers who may know of its node.
func (k *kept[T, B]) found(r *osapi.Request, q db.Querier) (*T, error) {
	ident := r.Path("id")
	if !k.byName && uuid.Validate(ident) != nil {
		return nil, fault.New(fault.Invalid, "Expected a UUID but received %s.", ident)
	}
	t, err := k.get(r.Context(), q, ident)
	if err != nil || k.of == nil {
		return t, err
	}
	m, err := k.machines.Get(r.Context(), q, k.of(t))
	if err == nil && !reads(r, m) {
		err = fault.New(fault.NotFound, "%s %s could not be found.", k.noun, ident)
	}
	return t, err
}

func (k *kept[T, B]) answerOne(r *osapi.Request) (any, error) {
	t, err := k.found(r, k.db)
	if err != nil {
		return nil, err
	}
	return k.show(r, k.fields.Trim(k.view(r, t), r.Version))
}

// readBody reads the request's body into v, and its id, which may be drawn by the client.
func (k collection) readBody(r *osapi.Request, v any) (id string, err error) {
	var given map[string]json.RawMessage
	if err := r.Decode(&given); err != nil {
		return "", err
	}
	if err := k.tooEarly(r, sorted(given)); err != nil {
		return "", err
	}
	if text, ok := given["uuid"]; ok {
		if id, err = readID(text); err != nil {
			return "", err
		}
		delete(given, "uuid")
	}
	text, err := json.Marshal(given)
	if err != nil {
		return "", err
	}
	return id, osapi.Strict(text, v)
}

// readID reads an id that a client has drawn; null: none.
func readID(text json.RawMessage) (string, error) {
	var id *string
	if err := json.Unmarshal(text, &id); err != nil || id != nil && (uuid.Validate(*id) != nil || len(*id) != 36) {
		return "", fault.New(fault.Invalid, "Expected a UUID but received %s.", text)
	}
	if id == nil {
		return "", nil
	}
	return strings.ToLower(*id), nil
}

// tooEarly refuses fields that the request's version does not have yet.
func (k collection) tooEarly(r *osapi.Request, names []string) error {
	for _, name := range names {
		if span, limited := k.fields[name]; limited && !span.Has(r.Version) {
			return tooNew(r, "the field "+name)
		}
	}
	return nil
}

func (k *kept[T, B]) create(r *osapi.Request) (any, error) {
	var b B
	id, err := k.readBody(r, &b)
	if err != nil {
		return nil, err
	}
	t := new(T)
	k.card(t).ID = id
	err = k.db.Tx(r.Context(), func(tx *db.Tx) error {
		if err := k.read(r.Context(), tx, b, t); err != nil {
			return err
		}
		return k.save(r.Context(), tx, t)
	})
	if err != nil {
		return nil, err
	}
	return created(r, k.fields.Trim(k.view(r, t), r.Version), "/v1/"+k.path+"/", k.card(t).ID), nil
}

// change does something to the thing that the path names, after work on its node that ends in a moment.
func (k *kept[T, B]) change(r *osapi.Request, action string, do func(*db.Tx, *T) error) error {
	t, err := k.found(r, k.db)
	if err != nil {
		return err
	}
	if k.of != nil {
		if err := k.settle(r.Context(), k.of(t)); err != nil {
			return err
		}
	}
	return k.db.Tx(r.Context(), func(tx *db.Tx) error {
		t, err := k.found(r, tx)
		if err != nil {
			return err
		}
		if k.mayChange != nil {
			if err := k.mayChange(r.Context(), tx, t, strings.ToLower(k.noun)+" "+action); err != nil {
				return err
			}
		}
		return do(tx, t)
	})
}

func (k *kept[T, B]) patch(r *osapi.Request) (any, error) {
	operations, err := readPatch(r)
	if err != nil {
		return nil, err
	}
	if err := k.tooEarly(r, rootsOf(operations)); err != nil {
		return nil, err
	}
	var now *T
	err = k.change(r, "update", func(tx *db.Tx, t *T) error {
		var b B
		if err := patchedInto(&b, k.body(t), operations); err != nil {
			return err
		}
		if err := k.read(r.Context(), tx, b, t); err != nil {
			return err
		}
		now = t
		return k.save(r.Context(), tx, t)
	})
	if err != nil {
		return nil, err
	}
	return k.fields.Trim(k.view(r, now), r.Version), nil
}

// patchedInto reads what a body becomes by the operations. What they remove is as if it had never been said.
func patchedInto(after, before any, operations []operation) error {
	text, err := json.Marshal(before)
	if err != nil {
		return err
	}
	var document object
	if err := json.Unmarshal(text, &document); err != nil {
		return err
	}
	if document, err = patched(document, operations, object{}); err != nil {
		return err
	}
	if text, err = json.Marshal(document); err != nil {
		return err
	}
	return osapi.Strict(text, after)
}

func (k *kept[T, B]) delete(r *osapi.Request) (any, error) {
	return nil, k.change(r, "deletion", func(tx *db.Tx, t *T) error { return k.remove(r.Context(), tx, t) })
}

// carded is a card as all things show it.
func carded(r *osapi.Request, c *machine.Card, path string, o object) object {
	o["uuid"], o["extra"], o["created_at"], o["updated_at"] = c.ID, orEmpty(c.Extra), osapi.Offset(c.Created), nil
	if c.Updated.After(c.Created) {
		o["updated_at"] = osapi.Offset(c.Updated)
	}
	o["links"] = links(r, "/"+path+"/", c.ID)
	return o
}

// nodeOf finds the machine that a body names. The body is wrong, and not the path, when there is none.
func (a *api) nodeOf(ctx context.Context, tx *db.Tx, ident string) (*machine.Machine, error) {
	if ident == "" {
		return nil, fault.New(fault.Invalid, "'node_uuid' is a required property")
	}
	m, err := a.machines.Get(ctx, tx, ident)
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.Invalid, "Node %s could not be found.", ident)
	}
	return m, err
}

// settleNode is nodeOf for a thing whose node is said once and for all.
func (a *api) settleNode(ctx context.Context, tx *db.Tx, now *string, asked string) error {
	m, err := a.nodeOf(ctx, tx, asked)
	if err != nil {
		return err
	}
	if *now != "" && *now != m.ID {
		return fault.New(fault.Invalid, "'/node_uuid' can not be updated: it stays with node %s.", *now)
	}
	*now = m.ID
	return nil
}
