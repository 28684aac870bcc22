package vbmc

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

const root = "/redfish/v1"

// object is a JSON object; encoding/json writes its keys in order, so that equal objects have equal ETags.
type object map[string]any

// link is a reference to another resource; the path is relative to the service root.
func link(path string) object { return object{"@odata.id": root + "/" + path} }

func links(paths ...string) []object {
	all := make([]object, 0, len(paths))
	for _, p := range paths {
		all = append(all, link(p))
	}
	return all
}

func healthy() object { return object{"State": "Enabled", "Health": "OK"} }

// resource is a row of the table: a URL, what it is and what can be done with it.
type resource struct {
	path   string // under the service root, with {wildcards} as in http.ServeMux; starting with / when it is absolute
	schema string // the resource's type without '#', with its version; empty for an action
	name   string // empty: get sets Name itself
	// exists is nil for what every machine has.
	exists func(s *Redfish) bool
	// public may be read without credentials (DSP0266: the service root, the protocol version, the metadata).
	public bool
	get    func(s *Redfish, c *call) (object, error)
	patch  func(s *Redfish, c *call) error // answered by the resource as it is then
	post   func(s *Redfish, c *call) (*reply, error)
	delete func(s *Redfish, c *call) error
	// raw serves what is no JSON resource: streams, websockets, the metadata document. Only for GET.
	raw func(s *Redfish, w http.ResponseWriter, r *http.Request)
}

// reply is what a POST answers; nil is 204.
type reply struct {
	status int
	header map[string]string
	body   object
}

// call is one request to one resource.
type call struct {
	s        *Redfish
	r        *http.Request
	resource *resource
	body     map[string]json.RawMessage
}

func (c *call) missing() *failure { return fail("ResourceMissingAtURI", c.r.URL.Path) }

// action is the name of the action that is called: "VirtualMedia.EjectMedia".
func (c *call) action() string { return path.Base(c.r.URL.Path) }

// handler builds the mux from the table.
func (s *Redfish) handler() http.Handler {
	mux := http.NewServeMux()
	for _, row := range resources() {
		res := &row
		if res.exists != nil && !res.exists(s) {
			continue
		}
		pattern := res.path
		if !strings.HasPrefix(pattern, "/") {
			pattern = root + "/" + pattern
		}
		mux.HandleFunc(strings.TrimSuffix(pattern, "/"), func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, res) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if _, err := s.authenticate(r); err != nil {
			s.refuse(w, err)
			return
		}
		s.refuse(w, fail("ResourceMissingAtURI", r.URL.Path))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/" + strings.Trim(r.URL.Path, "/") // DSP0266: with and without the trailing slash are one resource
		s.log.Debug("Redfish request", "method", r.Method, "path", r.URL.Path)
		mux.ServeHTTP(w, r)
	})
}

func (s *Redfish) serve(w http.ResponseWriter, r *http.Request, res *resource) {
	c := &call{s: s, r: r, resource: res}
	if res.raw != nil && r.Method == http.MethodGet {
		if _, err := s.authenticate(r); err != nil && !res.public {
			s.refuse(w, err)
			return
		}
		res.raw(s, w, r)
		return
	}
	answer, err := s.do(c)
	if err != nil {
		var f *failure
		if !errors.As(err, &f) {
			s.log.Error("Redfish request failed", "method", r.Method, "path", r.URL.Path, "error", err)
			f = fail("InternalError").because("The request failed: %v", err)
		}
		s.refuse(w, f)
		return
	}
	s.write(w, r, answer)
}

// do checks what is common to all resources and calls the row's function.
func (s *Redfish) do(c *call) (*reply, error) {
	res, r := c.resource, c.r
	public := res.public && r.Method != http.MethodDelete
	if _, err := s.authenticate(r); err != nil && !public {
		// Logging in is the one POST that needs no credentials.
		if r.Method != http.MethodPost || !strings.HasPrefix(res.path, "SessionService/Sessions") {
			return nil, err
		}
	}
	if !slices.Contains(res.methods(), r.Method) {
		f := fail("OperationNotAllowed")
		f.allow = strings.Join(res.methods(), ", ")
		return nil, f
	}
	if v := r.Header.Get("OData-Version"); v != "" && v != "4.0" {
		return nil, fail("PreconditionFailed").because("This service speaks OData-Version 4.0, not %s.", v)
	}
	for parameter := range r.URL.Query() {
		if strings.HasPrefix(parameter, "$") {
			return nil, fail("QueryNotSupported")
		}
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return c.read()
	case http.MethodPatch:
		return c.change()
	case http.MethodPost:
		answer, err := res.post(s, c)
		if answer == nil {
			answer = &reply{status: http.StatusNoContent}
		}
		return answer, err
	default: // DELETE, as methods says
		return &reply{status: http.StatusNoContent}, res.delete(s, c)
	}
}

func (res *resource) methods() (all []string) {
	if res.get != nil || res.raw != nil {
		all = append(all, http.MethodGet, http.MethodHead)
	}
	if res.patch != nil {
		all = append(all, http.MethodPatch)
	}
	if res.post != nil {
		all = append(all, http.MethodPost)
	}
	if res.delete != nil {
		all = append(all, http.MethodDelete)
	}
	return all
}

func (c *call) read() (*reply, error) {
	if c.resource.get == nil { // HEAD of a stream
		return &reply{status: http.StatusOK}, nil
	}
	o, err := c.resource.get(c.s, c)
	if err != nil {
		return nil, err
	}
	header := map[string]string{"Allow": strings.Join(c.resource.methods(), ", ")}
	return &reply{http.StatusOK, header, finish(o, c.r.URL.Path, c.resource.schema, c.resource.name)}, nil
}

// change is a PATCH: it honours If-Match and answers with the resource as it became.
func (c *call) change() (*reply, error) {
	before, err := c.read()
	if err != nil {
		return nil, err
	}
	if want := c.r.Header.Get("If-Match"); want != "" && want != "*" && want != etag(before.body) {
		return nil, fail("PreconditionFailed")
	}
	if err := c.resource.patch(c.s, c); err != nil {
		return nil, err
	}
	return c.read()
}

// finish adds what every resource has.
func finish(o object, url, schema, name string) object {
	o = maps.Clone(o)
	set := func(key string, value any) {
		if _, there := o[key]; !there {
			o[key] = value
		}
	}
	set("@odata.id", url)
	if schema == "" {
		return o
	}
	set("@odata.type", "#"+schema)
	if name != "" {
		set("Name", name)
	}
	if !strings.Contains(schema, "Collection.") {
		set("Id", path.Base(url))
	}
	return o
}

func etag(o object) string {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err) // objects hold strings, numbers and objects
	}
	sum := sha256.Sum256(text)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

func (s *Redfish) write(w http.ResponseWriter, r *http.Request, answer *reply) {
	h := w.Header()
	h.Set("OData-Version", "4.0")
	h.Set("Cache-Control", "no-cache")
	for k, v := range answer.header {
		h.Set(k, v)
	}
	if answer.body == nil {
		w.WriteHeader(answer.status)
		return
	}
	if _, isResource := answer.body["@odata.id"]; isResource && answer.status == http.StatusOK {
		tag := etag(answer.body)
		h.Set("ETag", tag)
		if r.Method == http.MethodGet && r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	text, err := json.MarshalIndent(answer.body, "", "  ")
	if err != nil {
		panic(err) // as in etag
	}
	h.Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(answer.status)
	if r.Method != http.MethodHead {
		w.Write(append(text, '\n')) // the client may have left
	}
}

func (s *Redfish) refuse(w http.ResponseWriter, f *failure) {
	header := map[string]string{}
	if f.status == http.StatusUnauthorized {
		header["WWW-Authenticate"] = `Basic realm="Redfish"`
	}
	if f.allow != "" {
		header["Allow"] = f.allow
	}
	s.write(w, &http.Request{Method: http.MethodGet}, &reply{f.status, header, f.envelope()})
}

// decode reads the body into the struct at v, whose fields are pointers named as the properties; what the client left
// out stays nil. It says no to what is no JSON, to unknown names and to wrong types, in the registry's words; actions
// have parameters where resources have properties.
func (c *call) decode(v any) error {
	text, err := io.ReadAll(http.MaxBytesReader(nil, c.r.Body, 1<<20))
	if err != nil {
		return fail("UnrecognizedRequestBody").because("The body could not be read: %v", err)
	}
	if len(bytes.TrimSpace(text)) == 0 && c.resource.schema == "" {
		text = []byte("{}") // an action without parameters
	}
	if !json.Valid(text) {
		return fail("MalformedJSON")
	}
	if err := json.Unmarshal(text, &c.body); err != nil {
		return fail("UnrecognizedRequestBody")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err = d.Decode(v)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		field := strings.ReplaceAll(wrong.Field, ".", "/")
		if c.resource.schema == "" {
			return fail("ActionParameterValueTypeError", wrong.Value, field, c.action()).about(field)
		}
		return fail("PropertyValueTypeError", wrong.Value, field).about(field)
	default:
		name := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		if c.resource.schema == "" {
			return fail("ActionParameterUnknown", c.action(), name).about(name)
		}
		if o, getErr := c.read(); getErr == nil && has(o.body, name) {
			return fail("PropertyNotWritable", name).about(name)
		}
		return fail("PropertyUnknown", name).about(name)
	}
}

// has looks for a property in the object or in one below it: the decoder does not say where it stumbled.
func has(o object, name string) bool {
	for k, v := range o {
		below, isObject := v.(object)
		if k == name || isObject && has(below, name) {
			return true
		}
	}
	return false
}
