package nova

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
)

// decode reads a body whose fields live in one object, and refuses those that the version does not have yet or any more.
func decode(r *osapi.Request, body any, name string, fields osapi.Fields) error {
	var raw json.RawMessage
	if err := r.Decode(&raw); err != nil {
		return err
	}
	if err := osapi.Strict(raw, body); err != nil {
		return err
	}
	var given map[string]map[string]json.RawMessage
	if err := json.Unmarshal(raw, &given); err != nil || given[name] == nil {
		return missing(name)
	}
	for field := range given[name] {
		if !fields[field].Has(r.Version) {
			return fault.New(fault.Invalid, "Additional properties are not allowed (%q was unexpected in %q).", field, name)
		}
	}
	return nil
}

func missing(field string) error {
	return fault.New(fault.Invalid, "Invalid input received: %q is a required property.", field)
}

func invalid(field string, value any, why string) error {
	return fault.New(fault.Invalid, "Invalid input for field/attribute %s. Value: %v. %s", field, value, why)
}

// checkName is Nova's rule for display names (api/validation/parameter_types.py, name).
func checkName(field, name string) error {
	if n := utf8.RuneCountInString(name); n < 1 || n > 255 {
		return invalid(field, strconv.Quote(clip(name)), "It has 1 to 255 characters.")
	}
	if strings.TrimSpace(name) != name || strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return invalid(field, strconv.Quote(clip(name)), "It has printable characters and no space at its ends.")
	}
	return nil
}

func clip(text string) string {
	if len(text) > 60 {
		return strings.ToValidUTF8(text[:60], "") + "…"
	}
	return text
}

func checkDescription(text string) error {
	if utf8.RuneCountInString(text) > 255 || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) && !unicode.IsSpace(c) }) {
		return invalid("description", strconv.Quote(clip(text)), "It has at most 255 printable characters.")
	}
	return nil
}

func checkUUID(field, id string) error {
	if _, err := uuid.Parse(id); err != nil || len(id) != 36 && len(id) != 32 {
		return invalid(field, strconv.Quote(clip(id)), "It is not a 'uuid'.")
	}
	return nil
}

// checkAddress takes an IP address of the version, or nothing.
func checkAddress(field, text string, version int) error {
	if text == "" {
		return nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Is4() != (version == 4) {
		return invalid(field, strconv.Quote(clip(text)), "It is not an IPv"+strconv.Itoa(version)+" address.")
	}
	return nil
}

// canonical writes an IPv6 address as RFC 5952 has it; what is none stays, for checkAddress.
func canonical(text string) string {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.String()
	}
	return text
}

var (
	label  = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)
	domain = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$`)
)

// checkHostname takes a label, since 2.94 a whole domain name.
func checkHostname(r *osapi.Request, name string) error {
	form := label
	if r.Version.AtLeast(2, 94) {
		form = domain
	}
	if len(name) > 255 || !form.MatchString(name) {
		return invalid("hostname", strconv.Quote(clip(name)), "It is not a hostname.")
	}
	return nil
}

func checkDiskConfig(value string) error {
	if value != "" && value != "AUTO" && value != "MANUAL" {
		return invalid("OS-DCF:diskConfig", strconv.Quote(clip(value)), "It is neither AUTO nor MANUAL.")
	}
	return nil
}

const maxTags = 50

var metadataKey = regexp.MustCompile(`^[a-zA-Z0-9_:. -]{1,255}$`)

// checkMetadata takes so many items at most.
func checkMetadata(metadata map[string]string, most int) error {
	if most != instance.Unlimited && len(metadata) > most {
		return fault.New(fault.Quota, "Maximum number of metadata items exceeds %d", most)
	}
	for key, value := range metadata {
		if !metadataKey.MatchString(key) {
			return invalid("metadata", strconv.Quote(clip(key)), "A key has 1 to 255 letters, digits, dashes, underscores, colons, dots and spaces.")
		}
		if utf8.RuneCountInString(value) > 255 {
			return invalid(key, strconv.Quote(clip(value)), "A value has at most 255 characters.")
		}
	}
	return nil
}

func checkTags(tags []string) error {
	if len(tags) > maxTags {
		return fault.New(fault.Invalid, "The number of tags exceeded the per-server limit %d", maxTags)
	}
	for _, tag := range tags {
		if n := utf8.RuneCountInString(tag); n < 1 || n > 60 || strings.ContainsAny(tag, "/,") {
			return invalid("tag", strconv.Quote(clip(tag)), "A tag has 1 to 60 characters, without slash and comma.")
		}
	}
	return nil
}

// ref is an id that clients send as text or, for flavors, as a number.
type ref string

// UnmarshalJSON takes "1" and 1.
func (f *ref) UnmarshalJSON(text []byte) error {
	var number json.Number
	if json.Unmarshal(text, &number) == nil && text[0] != '"' {
		*f = ref(number)
		return nil
	}
	return json.Unmarshal(text, (*string)(f))
}

// moment reads a time of a query: ISO 8601, with or without a zone.
func moment(field, text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999", "2006-01-02 15:04:05.999999", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fault.New(fault.Invalid, "Invalid input for query parameters %s. Value: %s. It is not a 'date-time'.", field, strconv.Quote(clip(text)))
}
