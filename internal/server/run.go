package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/api/agentdoor"
	"github.com/ingotcloud/ingot/internal/api/consoledoor"
	"github.com/ingotcloud/ingot/internal/config"
	"github.com/ingotcloud/ingot/internal/driver/netboot"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/netns"
)

// shutdownGrace is how long requests under way may take to end at a clean stop.
const shutdownGrace = 10 * time.Second

// Run serves until ctx ends, then stops cleanly. Ready is called once, when every listener accepts.
func Run(ctx context.Context, c config.Config, log *slog.Logger, ready func(url string)) (err error) {
	for _, dir := range []string{c.Home, spool(c.Home)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	unlock, err := lock(c.Home)
	if err != nil {
		return err
	}
	defer unlock() // after everything else has ended
	certificate, pin, err := agentdoor.Certificate(c.Home)
	if err != nil {
		return err
	}
	media, err := net.Listen("tcp", c.Machines.MediaListen)
	if err != nil {
		return fmt.Errorf("machines.media_listen: %w", err)
	}
	defer media.Close() //nolint:errcheck // closed by its server before
	mediaAddr := media.Addr().(*net.TCPAddr).AddrPort()
	m := c.Machines
	agentAddr := netip.AddrPortFrom(m.Address.Addr(), uint16(m.AgentPort))
	bootAddr := netip.AddrPortFrom(m.Address.Addr(), uint16(m.BootPort))
	p, err := build(ctx, c, log, machine.Access{
		URL: "https://" + agentAddr.String(), Pin: pin, Kernel: m.Cmdline,
		Media:      func(key string) string { return netboot.URL(mediaAddr, key, netboot.ISO) },
		HTTP:       func(key string) string { return netboot.URL(bootAddr, key, netboot.UKI) },
		Rescue:     m.RescueUKI != "",
		Quarantine: machine.Range{First: m.First, Last: m.Last, Bits: m.Address.Bits()}, BootTimeout: m.BootTimeout,
	})
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.images.Recover(ctx); err != nil {
		return err
	}
	boot, err := netboot.Start(ctx, netboot.Options{
		Namespace: m.Namespace, Interface: m.Interface, ServerAddr: m.Address.Addr(), HTTPPort: m.BootPort,
		Source: bootSource{p}, Artifacts: netboot.Artifacts{Kernel: m.Kernel, Initrd: m.Initrd, UKI: m.UKI, RescueInitrd: m.RescueInitrd, RescueUKI: m.RescueUKI},
		Signing: netboot.Signing{Key: m.SigningKey, Cert: m.SigningCert}, CacheDir: filepath.Join(c.Home, "boot"), Logger: log,
	})
	if err != nil {
		return err
	}
	agents, err := netns.Listen(m.Namespace, "tcp", net.JoinHostPort(m.Address.Addr().String(), strconv.Itoa(m.AgentPort)))
	if err != nil {
		return errors.Join(fmt.Errorf("machines.agent_port: %w", err), boot.Close())
	}
	public, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen: %w", err), boot.Close(), agents.Close())
	}

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	serve := func(name string, base context.Context, listener net.Listener, handler http.Handler, tlsConfig *tls.Config) *http.Server {
		server := &http.Server{Handler: handler, TLSConfig: tlsConfig, BaseContext: func(net.Listener) context.Context { return base }, ReadHeaderTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute,
			ErrorLog: slog.NewLogLogger(log.With("listener", name).Handler(), slog.LevelDebug)}
		running.Go(func() {
			var err error
			if tlsConfig != nil {
				err = server.ServeTLS(listener, "", "")
			} else {
				err = server.Serve(listener)
			}
			if !errors.Is(err, http.ErrServerClosed) {
				stop(fmt.Errorf("%s: %w", name, err))
			}
		})
		return server
	}
	publicTLS, err := publicCertificate(c.TLS)
	if err != nil {
		return errors.Join(err, boot.Close(), agents.Close(), public.Close())
	}
	chassis, metadata, err := p.metadataDoor(pin)
	if err != nil {
		return errors.Join(err, boot.Close(), agents.Close(), public.Close())
	}
	insideTLS := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}
	// Requests of clients may end in peace; agents that wait for work are sent away at once.
	servers := []*http.Server{
		serve("public API", context.Background(), public, p.public(ctx), publicTLS),
		serve("agents", ctx, agents, agentdoor.New(p.machines, agentImages{p.images}, log), insideTLS.Clone()),
		serve("virtual media", ctx, media, boot.Handler(), nil),
	}
	if chassis != nil {
		servers = append(servers, serve("metadata", ctx, chassis, metadata, insideTLS.Clone()))
	}
	fabric, err := p.fabric(ctx)
	if err != nil {
		stop(err)
	} else {
		running.Go(fabric)
	}
	running.Go(func() { p.engine.Run(ctx) })
	running.Go(func() { p.every(ctx, "look at the machines", m.LookEvery, p.look) })
	running.Go(func() { p.consoles.Run(ctx) })
	running.Go(func() { p.every(ctx, "recover images", time.Minute, p.images.Recover) })
	if p.identity != nil {
		running.Go(func() { p.every(ctx, "change the key of tokens", time.Hour, p.changeTokenKey) })
	}
	unready, err := config.SayReady(c.Home)
	if err != nil {
		stop(err)
	} else {
		ready(c.PublicURL)
	}

	<-ctx.Done()
	log.Info("stopping")
	grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	for _, server := range servers {
		if err := server.Shutdown(grace); err != nil {
			_ = server.Close() // long polls and consoles do not end by themselves
		}
	}
	closed := errors.Join(boot.Close(), unready())
	running.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, closed)
	}
	return closed
}

// public is what stands at the public URL: the APIs, and the consoles until ctx ends.
func (p *parts) public(ctx context.Context) http.Handler {
	consoles := consoledoor.New(ctx, p.consoles, consoleServers{p}, p.config.Consoles.FrameAncestors, p.log)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/console/") {
			consoles.ServeHTTP(w, r)
			return
		}
		p.api.ServeHTTP(w, r)
	})
}

func publicCertificate(c config.TLS) (*tls.Config, error) {
	if c.Cert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// every runs a level-triggered look at intervals until ctx ends; an error is logged and the next look tries again.
func (p *parts) every(ctx context.Context, what string, interval time.Duration, look func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := look(ctx); err != nil && ctx.Err() == nil {
			p.log.Error(what, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// tokenKeyAge is how long one key signs tokens.
const tokenKeyAge = 24 * time.Hour

func (p *parts) changeTokenKey(ctx context.Context) error {
	return p.identity.RotateKeys(ctx, tokenKeyAge)
}

func (p *parts) look(ctx context.Context) error {
	changed, err := p.machines.Look(ctx)
	if err != nil {
		return err
	}
	for _, m := range changed {
		if err := p.instances.PowerSeen(ctx, m); err != nil {
			return err
		}
	}
	return nil
}
