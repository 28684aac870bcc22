package osapi

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/ingotcloud/ingot/internal/fault"
)

const (
	mostURI     = 32 << 10 // bytes of a path with its query: clients split their questions at 8 KiB
	mostMessage = 2000     // bytes of an error's words: what a user sent is not sent back at length
)

// checkText fails for a path or a query that is too long, or not what Unicode or a database takes for text.
func checkText(u *url.URL) error {
	if len(u.EscapedPath())+len(u.RawQuery) > mostURI {
		return &Error{Status: http.StatusRequestURITooLong, Err: fault.New(fault.Invalid, "The path and the query are longer than %d bytes.", mostURI)}
	}
	if !plain(u.Path) {
		return fault.New(fault.Invalid, "The path is malformed.")
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "The query is malformed.")
	}
	for name, list := range values {
		if !plain(name) || !plain(strings.Join(list, "")) {
			return fault.New(fault.Invalid, "The query is malformed.")
		}
	}
	return nil
}

// plain reports whether it is text: valid UTF-8 without NUL, which PostgreSQL has no place for.
func plain(text string) bool { return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 }

// shorten cuts a message that is long because of what it quotes.
func shorten(message string) string {
	if len(message) > mostMessage {
		message = message[:mostMessage] + "…"
	}
	return strings.ToValidUTF8(message, "�")
}
