package osapi

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Microversion is a version of an API within its major path: Nova's 2.79, Ironic's 1.78. The zero value stands for
// "none": no bound in a range, no microversions in a dialect.
type Microversion struct{ Major, Minor int }

// V writes a microversion: V(2, 79).
func V(major, minor int) Microversion { return Microversion{major, minor} }

// Compare orders microversions as cmp.Compare does.
func (v Microversion) Compare(w Microversion) int {
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor))
}

// AtLeast reports whether the version is major.minor or later.
func (v Microversion) AtLeast(major, minor int) bool { return v.Compare(V(major, minor)) >= 0 }

func (v Microversion) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Span is a range of microversions, both ends included; a zero end is open.
type Span struct{ Since, Until Microversion }

// Since is everything from major.minor on.
func Since(major, minor int) Span { return Span{Since: V(major, minor)} }

// Until is everything up to and with major.minor.
func Until(major, minor int) Span { return Span{Until: V(major, minor)} }

// Has reports whether the version lies in the span.
func (s Span) Has(v Microversion) bool {
	return (s.Since == Microversion{} || v.Compare(s.Since) >= 0) && (s.Until == Microversion{} || v.Compare(s.Until) <= 0)
}

func (s Span) overlaps(t Span) bool {
	ends := func(a, b Span) bool { // a ends before b begins
		return a.Until != Microversion{} && b.Since != Microversion{} && a.Until.Compare(b.Since) < 0
	}
	return !ends(s, t) && !ends(t, s)
}

func (s Span) String() string {
	switch none := (Microversion{}); {
	case s == Span{}:
		return ""
	case s.Until == none:
		return s.Since.String() + "–"
	case s.Since == none:
		return "–" + s.Until.String()
	}
	return s.Since.String() + "–" + s.Until.String()
}

// Object is a JSON object in the making.
type Object = map[string]any

// Fields is a table that says in which microversions a field of an object exists. Fields that it does not name exist
// in all of them.
type Fields map[string]Span

// Trim removes the fields that do not exist in the version, and gives the same object back.
func (f Fields) Trim(object Object, v Microversion) Object {
	for name, span := range f {
		if !span.Has(v) {
			delete(object, name)
		}
	}
	return object
}

// Microversions says how a dialect's clients choose a version. The zero value is a dialect without microversions.
type Microversions struct {
	Min, Max Microversion
	Default  Microversion // without a header; zero: Min
	Service  string       // "compute" as in "OpenStack-API-Version: compute 2.79"; empty: that header is not known
	Header   string       // the older header of its own, "X-OpenStack-Nova-API-Version"; empty: none

	// Bounds are headers for the least and the greatest version on every answer (Ironic); empty: none.
	MinHeader, MaxHeader string
}

const versionHeader = "OpenStack-Api-Version"

var versionForm = regexp.MustCompile(`^([1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})$`)

// negotiate reads the version the client asks for and announces the one it gets.
func (m *Microversions) negotiate(request, response http.Header) (Microversion, error) {
	if m.Max == (Microversion{}) {
		return Microversion{}, nil
	}
	if m.MinHeader != "" {
		response.Set(m.MinHeader, m.Min.String())
		response.Set(m.MaxHeader, m.Max.String())
	}
	version, err := m.choose(m.asked(request))
	if err != nil {
		return m.Min, err
	}
	var vary []string
	if m.Service != "" {
		response.Set(versionHeader, m.Service+" "+version.String())
		vary = append(vary, "OpenStack-API-Version")
	}
	if m.Header != "" {
		response.Set(m.Header, version.String())
		vary = append(vary, m.Header)
	}
	response.Add("Vary", strings.Join(vary, ", "))
	return version, nil
}

// asked is the version in the request's headers: the common header wins over the service's own.
func (m *Microversions) asked(request http.Header) string {
	if m.Service != "" {
		for _, line := range request.Values(versionHeader) {
			for one := range strings.SplitSeq(line, ",") {
				if service, version, ok := strings.Cut(strings.TrimSpace(one), " "); ok && strings.EqualFold(service, m.Service) {
					return strings.TrimSpace(version)
				}
			}
		}
	}
	if m.Header != "" {
		return strings.TrimSpace(request.Get(m.Header))
	}
	return ""
}

func (m *Microversions) choose(asked string) (Microversion, error) {
	if asked == "" {
		if m.Default != (Microversion{}) {
			return m.Default, nil
		}
		return m.Min, nil
	}
	if strings.EqualFold(asked, "latest") {
		return m.Max, nil
	}
	digits := versionForm.FindStringSubmatch(asked)
	if digits == nil {
		return Microversion{}, fault.New(fault.Invalid, "API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.", strconv.Quote(asked))
	}
	major, _ := strconv.Atoi(digits[1]) // at most four digits
	minor, _ := strconv.Atoi(digits[2])
	version := V(major, minor)
	if version.Compare(m.Min) < 0 || version.Compare(m.Max) > 0 {
		return Microversion{}, &Error{Status: http.StatusNotAcceptable, Err: fault.New(fault.Invalid,
			"Version %s is not supported by the API. Minimum is %s and maximum is %s.", version, m.Min, m.Max)}
	}
	return version, nil
}
