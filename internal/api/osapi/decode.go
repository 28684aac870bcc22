package osapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json" // the same as encoding/json/v2 of Go 1.27
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ingotcloud/ingot/internal/fault"
)

// maxDepth is how deep a body may nest. The deepest real one (Nova's block device mapping, Ironic's deploy steps) has 8.
const maxDepth = 40

// Raw is the request's body, at most Config.MaxBody bytes.
func (r *Request) Raw() ([]byte, error) {
	body, err := io.ReadAll(r.HTTP.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, fault.New(fault.TooLarge, "The request's body is larger than %d bytes.", tooLarge.Limit)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "The request's body could not be read.")
	}
	return body, nil
}

// jsonMedia is JSON under all its names: also Glance's application/openstack-images-v2.1-json-patch.
var jsonMedia = regexp.MustCompile(`^application/(.*[+-])?json(-patch)?$`)

// Decode reads the request's body as JSON into v, strictly: unknown and repeated fields, wrong types, invalid UTF-8 and
// anything after the value are fault.Invalid that names the place. Field names are case-sensitive. A map field tagged
// json:",embed" takes the fields that are not known otherwise.
func (r *Request) Decode(v any) error {
	if form := r.HTTP.Header.Get("Content-Type"); form != "" {
		media, _, err := mime.ParseMediaType(form)
		if err != nil || !jsonMedia.MatchString(media) {
			return &Error{Status: http.StatusUnsupportedMediaType, Err: fault.New(fault.Invalid, "Unsupported Content-Type %s.", strconv.Quote(form))}
		}
	}
	body, err := r.Raw()
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return fault.New(fault.Invalid, "The request needs a JSON body.")
	}
	return Strict(body, v)
}

// Strict decodes JSON as Decode does. Types that decode themselves do so with UnmarshalJSONFrom (as Optional does), or
// with Strict on what is inside them.
func Strict(text []byte, v any) error {
	if err := checkTokens(text); err != nil {
		return err
	}
	err := json.Unmarshal(text, v, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	var ours *fault.Error
	if errors.As(err, &ours) {
		return ours
	}
	var meaning *json.SemanticError
	if errors.As(err, &meaning) {
		return semantic(meaning)
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return fault.New(fault.Invalid, "Invalid input for field %s: it is given twice.", place(syntax.JSONPointer))
		}
		return fault.New(fault.Invalid, "Malformed JSON at byte %d: %v.", syntax.ByteOffset, syntax.Err)
	}
	return fault.Wrap(err, fault.Invalid, "Malformed request body.")
}

func semantic(e *json.SemanticError) error {
	if errors.Is(e, json.ErrUnknownName) {
		parent, name := e.JSONPointer.Parent(), e.JSONPointer.LastToken()
		where := ""
		if parent != "" {
			where = " in " + place(parent)
		}
		return fault.New(fault.Invalid, "Additional properties are not allowed (%s was unexpected%s).", strconv.Quote(name), where)
	}
	got := "this value"
	switch e.JSONKind {
	case 'n':
		got = "null"
	case 't', 'f':
		got = "a boolean"
	case '"':
		got = "a string"
	case '0':
		got = "a number"
	case '[':
		got = "a list"
	case '{':
		got = "an object"
	}
	if value := string(e.JSONValue); value != "" && len(value) <= 40 {
		got += " (" + value + ")"
	}
	return fault.New(fault.Invalid, "Invalid input for field %s: %s does not fit.", place(e.JSONPointer), got)
}

// place writes a JSON pointer as OpenStack's validators do: server.networks.0.uuid.
func place(p jsontext.Pointer) string {
	var parts []string
	for token := range p.Tokens() {
		parts = append(parts, token)
	}
	if len(parts) == 0 {
		return "(the whole body)"
	}
	return strconv.Quote(strings.Join(parts, "."))
}

// checkTokens finds what is too deep, and texts with a NUL, which PostgreSQL has no place for.
func checkTokens(text []byte) error {
	nul := bytes.Contains(text, []byte(`\u0000`)) // perhaps
	d := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		token, err := d.ReadToken()
		if err != nil {
			return nil //nolint:nilerr // the real decoder says what is wrong, better
		}
		if nul && token.Kind() == '"' && !plain(token.String()) {
			return fault.New(fault.Invalid, "Invalid input for field %s: it has the character NUL, which is not printable.", place(d.StackPointer()))
		}
		if d.StackDepth() > maxDepth {
			return fault.New(fault.Invalid, "The JSON is nested deeper than %d levels.", maxDepth)
		}
	}
}

// Optional is a field that may be absent, null or a value: what PATCH and PUT tell apart.
type Optional[T any] struct {
	Set   bool // the field is there
	Null  bool // … and is null
	Value T
}

// UnmarshalJSONFrom is called only for fields that are there.
func (o *Optional[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	o.Set = true
	if d.PeekKind() == 'n' {
		o.Null = true
		return d.SkipValue()
	}
	return json.UnmarshalDecode(d, &o.Value)
}

// Int is a whole number that older clients may send as a string.
type Int int

// UnmarshalJSON takes 3 and "3".
func (i *Int) UnmarshalJSON(text []byte) error {
	digits := strings.Trim(string(text), `"`)
	n, err := strconv.ParseInt(digits, 10, 63)
	if err != nil {
		return fmt.Errorf("%s is not a whole number", text)
	}
	*i = Int(n)
	return nil
}

// Bool is a truth that older clients may send as a string (oslo's strutils).
type Bool bool

// UnmarshalJSON takes true, "true", "True", "1", "yes", "on" and their contraries.
func (b *Bool) UnmarshalJSON(text []byte) error {
	value, ok := parseBool(strings.Trim(string(text), `"`))
	if !ok {
		return fmt.Errorf("%s is not a boolean", text)
	}
	*b = Bool(value)
	return nil
}

func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "1", "t", "true", "on", "y", "yes":
		return true, true
	case "0", "f", "false", "off", "n", "no":
		return false, true
	}
	return false, false
}
