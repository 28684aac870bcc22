// Package osapitest boots dialects on a local listener with callers made up by the test.
package osapitest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

// Callers is an authenticator that knows its tokens by heart.
type Callers map[string]*identity.Caller

// Authenticate finds the token's caller.
func (c Callers) Authenticate(_ context.Context, token string) (*identity.Caller, error) {
	if caller, ok := c[token]; ok {
		return caller, nil
	}
	return nil, fault.New(fault.Unauthorized, "The request you have made requires authentication.")
}

// The callers that every test has, each under the token of the same name. The ids are fixed, for assertions.
const (
	Admin  = "admin"  // admin of the project admin
	Demo   = "demo"   // member of the project demo
	Reader = "reader" // reader of the project demo
	Other  = "other"  // member of another project
	System = "system" // admin of the system

	AdminProject = "0000000000000000000000000000ad01"
	DemoProject  = "0000000000000000000000000000de01"
	OtherProject = "0000000000000000000000000000f001"
)

// Standard is a fresh table of the callers above; tests may add to it.
func Standard() Callers {
	caller := func(name, project string, roles ...string) *identity.Caller {
		return &identity.Caller{
			UserID: "user-" + name, UserName: name, UserDomainID: "default",
			ProjectID: project, ProjectName: name, ProjectDomainID: "default", Roles: roles,
		}
	}
	system := caller(System, "", identity.RoleAdmin, identity.RoleMember, identity.RoleReader)
	system.System, system.ProjectName, system.ProjectDomainID = true, "", ""
	return Callers{
		Admin:  caller(Admin, AdminProject, identity.RoleAdmin, identity.RoleMember, identity.RoleReader),
		Demo:   caller(Demo, DemoProject, identity.RoleMember, identity.RoleReader),
		Reader: caller(Reader, DemoProject, identity.RoleReader),
		Other:  caller(Other, OtherProject, identity.RoleMember, identity.RoleReader),
		System: system,
	}
}

// Server is a running server.
type Server struct {
	*httptest.Server
	t testing.TB
}

// Serve boots the dialects with the standard callers until the test ends.
func Serve(t testing.TB, dialects ...osapi.Dialect) *Server {
	t.Helper()
	return ServeWith(t, osapi.Config{Auth: Standard(), RequestsPerSecond: -1}, dialects...)
}

// ServeWith boots the dialects with a configuration of the test's own.
func ServeWith(t testing.TB, config osapi.Config, dialects ...osapi.Dialect) *Server {
	t.Helper()
	if config.Log == nil {
		config.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	handler, err := osapi.New(config, dialects...)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &Server{server, t}
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Text   string
	Body   map[string]any // nil when the answer was no JSON object
}

// Do calls as the token's owner ("" : nobody). The body is sent as it is when it is a string, else as JSON. Headers are
// "Name: value".
func (s *Server) Do(token, method, path string, body any, headers ...string) Answer {
	s.t.Helper()
	var reader io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, reader)
	if err != nil {
		s.t.Fatal(err)
	}
	if reader != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("X-Auth-Token", token)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		request.Header.Set(name, strings.TrimSpace(value))
	}
	response, err := s.Client().Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it was read to its end
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	answer := Answer{Status: response.StatusCode, Header: response.Header, Text: string(text)}
	if json.Unmarshal(text, &answer.Body) != nil {
		answer.Body = nil
	}
	return answer
}
