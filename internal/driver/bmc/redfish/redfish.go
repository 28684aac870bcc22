// Package redfish drives a machine through its BMC's Redfish service (DMTF DSP0266), by gofish. It follows what the
// service says it can (AllowableValues, links, properties that are there) and not the vendor's name.
//
// Besides machine.Driver it is a VirtualMedia, HTTPBooter, SecureBooter, Indicator, FirmwareLister, SensorReader,
// EventLogger, SerialConsole (a websocket or SSH) and ScreenConsole (OpenBMC's websocket). Whether the BMC at hand has the means shows in the call:
// fault.Unsupported when not.
package redfish

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"
	"golang.org/x/crypto/ssh"

	"github.com/ingotcloud/ingot/internal/driver/bmc/around"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

// Driver talks to one BMC. Its methods may be called at once from several goroutines.
type Driver struct {
	bmc     machine.BMC
	base    string // https://host[:port]
	around  around.Func
	http    *http.Client
	hostKey ssh.PublicKey // of the BMC's SSH server; nil: it was not seen yet

	login chan struct{} // held while logging in, so that several callers make one session

	mu     sync.Mutex // never held across the network
	client *gofish.APIClient
	system string // the system's path: from the address, or found
}

var (
	_ machine.Driver         = (*Driver)(nil)
	_ machine.VirtualMedia   = (*Driver)(nil)
	_ machine.HTTPBooter     = (*Driver)(nil)
	_ machine.SecureBooter   = (*Driver)(nil)
	_ machine.Indicator      = (*Driver)(nil)
	_ machine.FirmwareLister = (*Driver)(nil)
	_ machine.SensorReader   = (*Driver)(nil)
	_ machine.EventLogger    = (*Driver)(nil)
	_ machine.SerialConsole  = (*Driver)(nil)
	_ machine.ScreenConsole  = (*Driver)(nil)
)

// New makes a driver without talking to the BMC. wrap runs around every call's body; around.Plain adds nothing. An
// address or CA that cannot be right is fault.Invalid.
func New(bmc machine.BMC, wrap around.Func) (machine.Driver, error) {
	u, err := url.Parse(bmc.Address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fault.New(fault.Invalid, "A Redfish BMC's address is https://host[:port], optionally followed by the system's path.")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: bmc.Insecure} //nolint:gosec // the operator's choice
	if bmc.CA != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(bmc.CA)) {
			return nil, fault.New(fault.Invalid, "The BMC's CA is not a PEM certificate.")
		}
	}
	var hostKey ssh.PublicKey
	if bmc.HostKey != "" {
		if hostKey, _, _, _, err = ssh.ParseAuthorizedKey([]byte(bmc.HostKey)); err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "The BMC's SSH host key is none.")
		}
	}
	system := strings.TrimSuffix(u.Path, "/")
	if system == "/redfish/v1" || system == "/redfish" {
		system = ""
	}
	return &Driver{
		bmc: bmc, base: "https://" + u.Host, system: system, around: wrap,
		http: httpClient(config), hostKey: hostKey, login: make(chan struct{}, 1),
	}, nil
}

// maxAnswer bounds what we read of one answer, in bytes: the largest honest ones are event logs.
const maxAnswer = 16 << 20

func httpClient(config *tls.Config) *http.Client {
	transport := &http.Transport{
		Proxy:               nil, // a BMC network is not reached through the environment's proxy
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:     config,
		TLSHandshakeTimeout: 20 * time.Second, // BMCs are slow at it
		MaxIdleConnsPerHost: 1,
		IdleConnTimeout:     time.Minute,
	}
	return &http.Client{
		Transport: bounded{transport},
		// net/http would carry X-Auth-Token along to another host.
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > 5 || req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
				return fmt.Errorf("the BMC redirects to %s://%s", req.URL.Scheme, req.URL.Host)
			}
			return nil
		},
	}
}

// bounded cuts answers off at maxAnswer, and asks for tasks where an operation takes long: a driver's call then waits
// for the task in short exchanges (DSP0266, "Asynchronous operations").
type bounded struct{ next *http.Transport }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "VirtualMedia.InsertMedia") {
		r = r.Clone(r.Context())
		r.Header.Set("Prefer", "respond-async")
	}
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

func (b bounded) CloseIdleConnections() { b.next.CloseIdleConnections() }

// run is the frame of every method: the wrappers, a session, and the BMC's error as a fault. A session that the BMC
// has dropped is opened anew, once.
func (d *Driver) run(ctx context.Context, op string, f func(ctx context.Context, c *gofish.APIClient) error) error {
	return d.around(ctx, op, func(ctx context.Context) error {
		for again := true; ; again = false {
			c, err := d.session(ctx)
			if err != nil {
				return classify(op, err)
			}
			err = f(ctx, c.WithContext(ctx))
			if statusOf(err) == http.StatusUnauthorized && again {
				d.forget(c)
				continue
			}
			return classify(op, err)
		}
	})
}

// session is the open session, or a new one.
func (d *Driver) session(ctx context.Context) (*gofish.APIClient, error) {
	select {
	case d.login <- struct{}{}:
		defer func() { <-d.login }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.mu.Lock()
	c := d.client
	d.mu.Unlock()
	if c != nil {
		return c, nil
	}
	c, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.client = c
	d.mu.Unlock()
	return c, nil
}

// connect logs in: by a session where the BMC has them, else by basic authentication.
func (d *Driver) connect(ctx context.Context) (*gofish.APIClient, error) {
	config := gofish.ClientConfig{
		Endpoint: d.base, Username: d.bmc.Username, Password: d.bmc.Password, HTTPClient: d.http,
		ReuseConnections: true, NoModifyTransport: true, MaxConcurrentRequests: 1,
	}
	c, err := gofish.ConnectContext(ctx, config)
	if err != nil && withoutSessions(err) {
		config.BasicAuth = true // the first call will show whether the password is right
		c, err = gofish.ConnectContext(ctx, config)
	}
	switch {
	case err != nil && notRedfish(err):
		return nil, fault.Wrap(err, fault.Unsupported, "%s", errNotRedfish.Message)
	case err != nil:
		return nil, err
	case c.Service.RedfishVersion == "":
		return nil, errNotRedfish
	}
	return c, nil
}

func (d *Driver) forget(c *gofish.APIClient) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.client == c {
		d.client = nil
	}
}

// closeTimeout is how long Close waits for the BMC to end the session.
const closeTimeout = 5 * time.Second

// Close logs out. A BMC that does not answer ends the session by its own timeout; nobody could do more about it.
func (d *Driver) Close() error {
	d.mu.Lock()
	c := d.client
	d.client = nil
	d.mu.Unlock()
	if c != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if s, err := c.GetSession(); err == nil {
			c.WithContext(ctx).Service.DeleteSession(s.ID) //nolint:errcheck // see above
		}
	}
	d.http.CloseIdleConnections()
	return nil
}

// find reads the system: the one the address names, or the only one there is.
func (d *Driver) find(c *gofish.APIClient) (*schemas.ComputerSystem, error) {
	d.mu.Lock()
	path := d.system
	d.mu.Unlock()
	if path != "" {
		return schemas.GetComputerSystem(c, path)
	}
	systems, err := c.Service.Systems()
	if err != nil {
		return nil, err
	}
	switch len(systems) {
	case 0:
		return nil, fault.New(fault.Unsupported, "The BMC manages no system.")
	case 1:
		d.mu.Lock()
		d.system = systems[0].ODataID
		d.mu.Unlock()
		return systems[0], nil
	}
	var paths []string
	for _, s := range systems {
		paths = append(paths, s.ODataID)
	}
	return nil, fault.New(fault.Invalid, "The BMC manages several systems; put one's path after the address: %s.", strings.Join(paths, ", "))
}

// withSystem runs f on the system as it is now.
func (d *Driver) withSystem(ctx context.Context, op string, f func(ctx context.Context, c *gofish.APIClient, s *schemas.ComputerSystem) error) error {
	return d.run(ctx, op, func(ctx context.Context, c *gofish.APIClient) error {
		s, err := d.find(c)
		if err != nil {
			return err
		}
		return f(ctx, c, s)
	})
}
