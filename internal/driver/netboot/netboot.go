package netboot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/netns"
)

// Source knows the machines; the domain implements it over SQL. Both methods are called once per request, so they
// should be one indexed read, and an error means "no answer now": firmware asks again by itself.
type Source interface {
	// Lease finds the reservation of a MAC (lower case, with colons); nil when the MAC is not ours: such a machine
	// gets no answer.
	Lease(ctx context.Context, mac string) (*Lease, error)
	// Boot finds an armed boot by its key; fault.NotFound when there is none (any more).
	Boot(ctx context.Context, key string) (*Boot, error)
}

// Lease is the reservation of one MAC. From quarantine nothing but this server is reached, so it names no router and no DNS.
type Lease struct {
	Addr     netip.Prefix // the address with the length of its network
	Hostname string
	BootKey  string // key of the boot armed for this MAC; empty: a plain lease, and the machine starts from its disk
}

// Boot is one armed boot of one machine.
type Boot struct {
	Key        string // unguessable, of letters, digits, "-" and "_": it is a path element of the artefacts' URLs
	Params     agentapi.Boot
	SecureBoot bool // the unified kernel image is signed with the operator's key
	Rescue     bool // the RAM disk is that of the rescue system
}

// Options of Start. All but Namespace, the signing pair, TFTPDir, CacheDir and Logger are required.
type Options struct {
	Namespace  string     // named network namespace of the interface; empty: this process's
	Interface  string     // the interface on the quarantine network; nothing listens on any other. Empty: no network boot, HTTP alone
	ServerAddr netip.Addr // our IPv4 address on it
	HTTPPort   int        // port of the artefacts on ServerAddr; 0: any free one
	Source     Source
	Artifacts  Artifacts
	Signing    Signing      // for Secure Boot
	TFTPDir    string       // where undionly.kpxe and snponly.efi are; empty: where Debian's package ipxe has them
	CacheDir   string       // for generated images; empty: a temporary folder
	Logger     *slog.Logger // nil: slog.Default
}

// Server answers on one interface until it is closed.
type Server struct {
	handler *Handler
	addr    netip.AddrPort
	closers []func() error // in the order of closing
	running sync.WaitGroup
	closed  sync.Once
	err     error
}

// Start begins to serve DHCP (port 67), TFTP (port 69), HTTP and router advertisements on the interface. It serves
// until Close or the end of ctx, whichever comes first.
func Start(ctx context.Context, o Options) (*Server, error) {
	if !o.ServerAddr.Is4() {
		return nil, fmt.Errorf("netboot: the server address %s is not an IPv4 address", o.ServerAddr)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.TFTPDir == "" {
		o.TFTPDir = debianIPXE
	}
	log := o.Logger.With("part", "netboot", "interface", o.Interface)
	handler, err := NewHandler(o.Source, o.Artifacts, o.Signing, o.CacheDir, log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Server{handler: handler, closers: []func() error{func() error { cancel(); return nil }}}
	// Sockets stay in the namespace that they were made in, so only opening them happens inside it.
	if err := netns.Do(o.Namespace, func() error { return s.listen(ctx, o, log) }); err != nil {
		return nil, errors.Join(fmt.Errorf("netboot on %s: %w", o.Interface, err), s.Close())
	}
	context.AfterFunc(ctx, func() {
		if err := s.Close(); err != nil {
			log.Error("Closing the network boot server failed", "error", err)
		}
	})
	return s, nil
}

// listen opens every socket and starts its loop.
func (s *Server) listen(ctx context.Context, o Options, log *slog.Logger) error {
	web, err := net.Listen("tcp4", net.JoinHostPort(o.ServerAddr.String(), strconv.Itoa(o.HTTPPort)))
	if err != nil {
		return err
	}
	s.addr = web.Addr().(*net.TCPAddr).AddrPort()
	// No write timeout: firmware may take minutes over an image. TCP notices the dead.
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	s.run(func() {
		if err := server.Serve(web); !errors.Is(err, http.ErrServerClosed) {
			log.Error("The HTTP server of the boot artefacts ended", "error", err)
		}
	})
	s.closers = append(s.closers, server.Close)
	if o.Interface == "" {
		return nil
	}

	nic, err := net.InterfaceByName(o.Interface)
	if err != nil {
		return err
	}
	sock, err := openDHCP(nic, o.ServerAddr)
	if err != nil {
		return fmt.Errorf("DHCP: %w", err)
	}
	answerer := &responder{source: o.Source, self: o.ServerAddr, web: s.addr, log: log}
	s.run(func() { serveDHCP(ctx, sock, answerer, log) })
	s.closers = append(s.closers, sock.Close)

	files, err := startTFTP(o.Namespace, o.ServerAddr, o.TFTPDir, log)
	if err != nil {
		return fmt.Errorf("TFTP: %w", err)
	}
	s.closers = append(s.closers, files.Close)

	// Without IPv6 on the host iPXE boots all the same, only later.
	adv, err := openAdvertiser(nic)
	if err != nil {
		log.Warn("No router advertisements, so iPXE will wait some 13 s for them", "error", err)
		return nil
	}
	s.run(func() { adv.serve(log) })
	s.closers = append(s.closers, adv.Close)
	return nil
}

func (s *Server) run(f func()) { s.running.Go(f) }

// HTTPAddr is where the artefacts are on the quarantine network.
func (s *Server) HTTPAddr() netip.AddrPort { return s.addr }

// Handler serves the same artefacts; mount it for the BMCs too, which fetch the ISO over their own network.
func (s *Server) Handler() *Handler { return s.handler }

// Close stops all of it and returns when every loop has ended. Transfers are cut off.
func (s *Server) Close() error {
	s.closed.Do(func() {
		for _, c := range s.closers {
			s.err = errors.Join(s.err, c())
		}
		s.running.Wait()
		s.err = errors.Join(s.err, s.handler.Close())
	})
	return s.err
}
