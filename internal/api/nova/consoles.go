package nova

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/instance"
)

// RemoteConsoles are consoles to type into. A Console that has them implements it.
type RemoteConsoles interface {
	// Link makes a token that opens a console once.
	Link(ctx context.Context, link ConsoleLink) (token string, err error)
	// Linked tells which instance a token would open a console of, and leaves it good. Unauthorized for a token that is
	// unknown, used or expired.
	Linked(ctx context.Context, token string) (instance string, err error)
}

// ConsoleLink is what a token will open, and for whom.
type ConsoleLink struct {
	Screen           bool // the picture; otherwise the serial line
	Instance         string
	Project          string // the instance's
	UserID, UserName string
	Request          string
}

// Consoles are reached beside the API, at /console: the page for what browsers show, the websocket for serial clients.
const (
	consolePage   = "/console/"
	consoleSocket = "/console/ws"
)

// consoleTypes are those that there are, by the protocol that remote-consoles names with them. Nova's others (xvpvnc,
// spice-html5, rdp-html5, webmks) belong to hypervisors.
var consoleTypes = map[string]string{"novnc": "vnc", "serial": "serial"}

// oldConsole answers the four actions that remote-consoles replaced with 2.6.
func oldConsole(kind string) func(*api, *osapi.Request, *instance.Instance, json.RawMessage) (any, error) {
	return func(a *api, r *osapi.Request, i *instance.Instance, arguments json.RawMessage) (any, error) {
		var how struct {
			Type string `json:"type"`
		}
		if err := osapi.Strict(arguments, &how); err != nil {
			return nil, err
		}
		if r.Version.AtLeast(2, 6) {
			return nil, fault.New(fault.NotFound, "API version %s is not supported on this method.", r.Version)
		}
		link, err := a.consoleURL(r, i, kind, how.Type)
		if err != nil {
			return nil, err
		}
		return object{"console": object{"type": how.Type, "url": link}}, nil
	}
}

// remoteConsole is POST …/remote-consoles, since 2.6.
func (a *api) remoteConsole(r *osapi.Request) (any, error) {
	var body struct {
		Console struct {
			Protocol string `json:"protocol"`
			Type     string `json:"type"`
		} `json:"remote_console"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	i, err := a.server(r, writer(r))
	if err != nil {
		return nil, err
	}
	asked := body.Console
	link, err := a.consoleURL(r, i, asked.Protocol, asked.Type)
	if err != nil {
		return nil, err
	}
	return object{"remote_console": object{"protocol": asked.Protocol, "type": asked.Type, "url": link}}, nil
}

// consoleURL makes a link that opens a console once.
func (a *api) consoleURL(r *osapi.Request, i *instance.Instance, protocol, kind string) (string, error) {
	remote, ok := a.Console.(RemoteConsoles)
	if !ok || consoleTypes[kind] == "" || consoleTypes[kind] != protocol {
		return "", unavailable(kind)
	}
	if i.Machine == "" {
		return "", fault.New(fault.Conflict, "Instance %s is not ready", i.ID)
	}
	token, err := remote.Link(r.Context(), ConsoleLink{
		Screen: kind == "novnc", Instance: i.ID, Project: i.Project, UserID: r.Caller.UserID, UserName: r.Caller.UserName, Request: r.ID,
	})
	if err != nil {
		return "", err
	}
	public, err := publicURL(r)
	if err != nil {
		return "", err
	}
	if kind == "serial" { // clients open the websocket themselves
		public.Scheme = map[string]string{"http": "ws", "https": "wss"}[public.Scheme]
		public.Path, public.RawQuery = consoleSocket, url.Values{"token": {token}}.Encode()
		return public.String(), nil
	}
	// As noVNC's own page takes it, and Tempest takes it apart.
	public.Path, public.RawQuery = consolePage, "path="+url.QueryEscape(strings.TrimPrefix(consoleSocket, "/")+"?token="+token)
	return public.String(), nil
}

// publicURL is where clients reach the listener.
func publicURL(r *osapi.Request) (*url.URL, error) {
	public, err := url.Parse(r.URL("/"))
	if err != nil {
		return nil, err
	}
	public.Path, public.RawQuery = "", ""
	return public, nil
}

// consoleToken is GET /os-console-auth-tokens/{token}: what a proxy of the operator's own asks before it connects.
func (a *api) consoleToken(r *osapi.Request) (any, error) {
	remote, ok := a.Console.(RemoteConsoles)
	if !ok {
		return nil, errUnsupported
	}
	id, err := remote.Linked(r.Context(), r.Path("token"))
	if fault.Is(err, fault.Unauthorized) {
		return nil, fault.Wrap(err, fault.NotFound, "Token not found")
	}
	if err != nil {
		return nil, err
	}
	public, err := publicURL(r)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(public.Port())
	if err != nil {
		port = map[string]int{"http": 80, "https": 443}[public.Scheme]
	}
	return object{"console": object{"instance_uuid": id, "host": public.Hostname(), "port": port, "internal_access_path": nil}}, nil
}
