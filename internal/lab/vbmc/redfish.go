package vbmc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
)

// RedfishOptions says how a virtual BMC's Redfish service is reached.
type RedfishOptions struct {
	Username, Password string
	Logger             *slog.Logger // nil: slog.Default()
	MediaDir           string       // keeps the certificate and the images of the virtual CD; made when missing
	Listen             string       // host:port; empty: 127.0.0.1:0
	Clock              clock.Clock  // nil: the real one. Times sessions, log entries and tasks
	Faults             *Faults      // nil: none
	SSH                bool         // the serial console is served by SSH, and not by a websocket
}

// Redfish is the Redfish service of one virtual BMC: HTTPS, DSP0266 1.20, with the schemas that the table in
// redfish_resources.go names. Beside it stand OpenBMC's websockets /console0 and /kvm/0.
type Redfish struct {
	machine  Machine
	opts     RedfishOptions
	log      *slog.Logger
	clock    clock.Clock
	url      string
	certPEM  []byte
	server   *http.Server
	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	unwatch  func()
	sessions *sessions
	tasks    *tasks
	events   *events
	media    media
	sshPort  int // 0: none

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

// NewRedfish starts the service for m; Close stops it. It fails when the folder or the address cannot be used.
func NewRedfish(m Machine, opts RedfishOptions) (*Redfish, error) {
	if opts.MediaDir == "" || opts.Username == "" || opts.Password == "" {
		return nil, errors.New("a virtual BMC needs a media folder, a user and a password")
	}
	if opts.Listen == "" {
		opts.Listen = "127.0.0.1:0"
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Clock == nil {
		opts.Clock = clock.Real{}
	}
	if opts.Faults == nil {
		opts.Faults = &Faults{}
	}
	if err := os.MkdirAll(opts.MediaDir, 0o700); err != nil {
		return nil, fmt.Errorf("media folder: %w", err)
	}
	host, _, err := net.SplitHostPort(opts.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen address: %w", err)
	}
	cert, certPEM, err := certificate(opts.MediaDir, host, opts.Clock.Now())
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	listener, err := net.Listen("tcp", opts.Listen)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Redfish{
		machine: opts.Faults.Machine(m), opts: opts, log: opts.Logger.With("vbmc", m.Info().Name), clock: opts.Clock,
		url: "https://" + listener.Addr().String(), certPEM: certPEM, ctx: ctx, stop: stop,
		sessions: newSessions(opts.Clock), tasks: newTasks(opts.Clock), events: newEvents(opts.Clock),
	}
	s.media.dir = opts.MediaDir
	if opts.SSH {
		if err := s.listenSSH(host, cert.PrivateKey); err != nil {
			stop()
			return nil, errors.Join(err, listener.Close())
		}
	}
	s.unwatch = m.Watch(s.events.add)
	s.server = &http.Server{
		Handler:           opts.Faults.Handler(s.handler()),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(discardNoise{}, "", 0),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	// HTTP/1.1 only: a websocket needs it, and clients that offer both would get HTTP/2.
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	s.spawn(func() {
		if err := s.server.Serve(tls.NewListener(listener, config)); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the Redfish service ended", "error", err)
		}
	})
	return s, nil
}

// spawn runs f beside the requests; Close waits for it. After Close it does nothing.
func (s *Redfish) spawn(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.wg.Go(f)
	}
}

// discardNoise swallows net/http's lines about clients that refuse our certificate: the tests do it on purpose.
type discardNoise struct{}

func (discardNoise) Write(p []byte) (int, error) { return len(p), nil }

// URL is the service's address: https://host:port.
func (s *Redfish) URL() string { return s.url }

// CertificatePEM is the self-signed certificate to trust; it stays the same over restarts with the same MediaDir.
func (s *Redfish) CertificatePEM() []byte { return s.certPEM }

// DropSessions forgets all sessions, as a BMC does that reboots.
func (s *Redfish) DropSessions() { s.sessions.clear() }

// Close stops the service: connections, streams and downloads end. The image in the drive stays, the machine may be
// reading it.
func (s *Redfish) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.unwatch()
	s.stop()
	err := s.server.Close()
	s.wg.Wait()
	return err
}
