package osapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Response is for answers that need more than a JSON body: another status, headers, a stream.
type Response struct {
	Status int // 0: the route's
	Header http.Header
	Body   any // nil: none; []byte and io.Reader go out as they are (an io.Closer is closed); anything else as JSON
}

// answer writes what a handler returned.
func (s *Server) answer(route *Route, out *recorder, result any) error {
	response, ok := result.(Response)
	if !ok {
		response = Response{Body: result}
	}
	if response.Status == 0 {
		response.Status = route.Status
	}
	if response.Status == 0 {
		response.Status = http.StatusOK
	}
	for name, values := range response.Header {
		out.Header()[http.CanonicalHeaderKey(name)] = values
	}
	return write(out, response.Status, response.Body)
}

func write(out http.ResponseWriter, status int, body any) error {
	switch body := body.(type) {
	case nil:
		out.WriteHeader(status)
		return nil
	case []byte:
		out.WriteHeader(status)
		_, _ = out.Write(body) // the client is gone: nobody is left to tell
		return nil
	case io.Reader:
		out.WriteHeader(status)
		_, err := io.Copy(out, body)
		if closer, ok := body.(io.Closer); ok {
			err = errors.Join(err, closer.Close())
		}
		if err != nil {
			panic(http.ErrAbortHandler) // the length promised cannot be kept: cut the connection so that the client sees it
		}
		return nil
	}
	text, err := encode(body)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "The answer could not be written.")
	}
	out.Header().Set("Content-Type", jsonType)
	out.WriteHeader(status)
	_, _ = out.Write(text) // the client is gone: nobody is left to tell
	return nil
}

// encode writes JSON: nil slices and maps are [] and {}, as clients that iterate expect; maps are sorted; omitempty
// means what it means in encoding/json.
func encode(v any) ([]byte, error) {
	return json.Marshal(v, json.Deterministic(true), jsonv1.OmitEmptyWithLegacySemantics(true))
}

// fail answers with the error, in the dialect's envelope.
func (s *Server) fail(r *Request, out *recorder, err error) {
	f := r.dialect.failure(err, r.ID)
	envelope := r.dialect.Envelope
	var refused *tokenRefused
	if errors.As(err, &refused) {
		envelope = KeystoneEnvelope
		identity := s.IdentityURL
		if identity == "" {
			identity = s.base(r.HTTP) + "/identity"
		}
		out.Header().Set("WWW-Authenticate", fmt.Sprintf("Keystone uri=%q", identity))
	}
	r.failure = err
	if f.Status >= 500 && f.Status != http.StatusNotImplemented {
		r.Log.Error("request failed", "error", err)
	}
	if f.Status == http.StatusTooManyRequests {
		out.Header().Set("Retry-After", "1")
	}
	if out.status != 0 {
		return // the answer has begun already; the log has the error
	}
	contentType, body := envelope(f)
	if text, ok := body.([]byte); ok {
		out.Header().Set("Content-Type", contentType)
		body = text
	}
	if err := write(out, f.Status, body); err != nil {
		r.Log.Error("error not written", "error", err)
	}
}
