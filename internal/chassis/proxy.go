package chassis

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"time"

	"golang.org/x/net/netutil"

	"github.com/ingotcloud/ingot/internal/metadata"
)

// servicePort is where tenants find the service.
const servicePort = 80

// What a tenant may take of the chassis and of the control plane, for each network.
const (
	mostConnections = 64
	mostBody        = 16 << 10 // bytes; a posted password is the largest
	mostHeader      = 16 << 10
)

// transport leads to the control plane, whose key is pinned.
func transport(pin []byte) http.RoundTripper {
	return &http.Transport{
		DialContext: (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS13,
			InsecureSkipVerify: true, //nolint:gosec // the pin is stronger than a chain of authorities
			VerifyConnection: func(state tls.ConnectionState) error {
				if len(state.PeerCertificates) == 0 {
					return errors.New("the control plane showed no certificate")
				}
				sum := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
				if subtle.ConstantTimeCompare(sum[:], pin) != 1 {
					return fmt.Errorf("the control plane's key %x is not the pinned one: is something else answering at its address?", sum)
				}
				return nil
			},
		},
		TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 20 * time.Second,
		MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, DisableCompression: true,
	}
}

// serve answers a network's machines until the server is closed.
func (r *runner) serve(network string, listeners []net.Listener) *http.Server {
	server := &http.Server{
		Handler: r.proxy(network), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: 15 * time.Second, MaxHeaderBytes: mostHeader,
		ErrorLog: slog.NewLogLogger(r.Logger.With("network", network).Handler(), slog.LevelDebug),
	}
	for _, listener := range listeners {
		go func() {
			if err := server.Serve(netutil.LimitListener(listener, mostConnections)); !errors.Is(err, http.ErrServerClosed) {
				r.Logger.Error("a network's metadata service ended", "network", network, "error", err)
			}
		}()
	}
	return server
}

// proxy passes a machine's method, path and body on, and nothing else that it says: who it is the chassis knows better.
func (r *runner) proxy(network string) http.Handler {
	forward := &httputil.ReverseProxy{
		Transport: r.upstream,
		Rewrite: func(p *httputil.ProxyRequest) {
			who := metadata.Caller{Network: network}
			if from, err := netip.ParseAddrPort(p.In.RemoteAddr); err == nil {
				who.Address = from.Addr().Unmap().WithZone("")
			}
			p.Out.Header = http.Header{}
			p.Out.URL.RawQuery = ""
			p.Out.Host = ""
			p.SetURL(r.URL)
			who.Sign(p.Out.Header, r.Secret, time.Now())
		},
		ErrorHandler: func(w http.ResponseWriter, q *http.Request, err error) {
			if q.Context().Err() == nil {
				r.complaints.Do(func() {
					r.Logger.Warn("the control plane does not answer for metadata", "network", network, "error", err)
				})
			} // else the machine is gone, or closed its sending half and waits for an answer all the same
			http.Error(w, "The metadata service is not reachable. Try again.", http.StatusServiceUnavailable)
		},
		ErrorLog: slog.NewLogLogger(r.Logger.Handler(), slog.LevelDebug),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.Method {
		case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut:
			q.Body = http.MaxBytesReader(w, q.Body, mostBody)
			forward.ServeHTTP(w, q)
		default:
			http.Error(w, "Metadata can only be read.", http.StatusMethodNotAllowed)
		}
	})
}
