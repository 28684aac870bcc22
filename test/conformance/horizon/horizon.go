// Package horizon serves OpenStack's dashboard, unmodified, from Debian's packages: openstack-dashboard with the
// dashboards of Ironic, Octavia and VPN. They lie unpacked in a folder of the cache, which is the dashboard's root folder
// (chroot), so nothing of them touches the host; prepare.sh does what the packages' own scripts would have done and
// settings.py is what an operator would have written. It takes root.
package horizon

import (
	"bufio"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/ingotcloud/ingot/internal/lab/debroot"
	"github.com/ingotcloud/ingot/internal/ramdisk/buildcache"
)

// release of Debian that the dashboard is from: 13, with Horizon 25.3.
const release = "trixie"

var packages = []string{
	"openstack-dashboard", "python3-ironic-ui", "python3-octavia-dashboard", "python3-neutron-vpnaas-dashboard",
	"uwsgi-core", "uwsgi-plugin-python3",
	"coreutils", "dash", // prepare.sh
}

var (
	//go:embed prepare.sh
	prepare string
	//go:embed settings.py
	settings string
)

// Root gives the dashboard's root folder, from the cache where it is there; making it takes two minutes. cacheDir is as
// in buildcache.Root. Without Debian's archive the error is fault.Unavailable.
func Root(ctx context.Context, cacheDir string) (string, error) {
	cache, err := buildcache.Root(cacheDir)
	if err != nil {
		return "", err
	}
	key := release + "-" + buildcache.Key(append([]string{release, prepare, settings}, packages...)...)
	dir, err := buildcache.Dir(ctx, cache, "horizon", key, func(dir string) error {
		root := filepath.Join(dir, "root")
		if err := debroot.Unpack(ctx, root, release, packages...); err != nil {
			return err
		}
		// Debian's merged folders, which only an installation has; the programs name their loader under /lib64.
		for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
			if err := os.Symlink("usr/"+name, filepath.Join(root, name)); err != nil {
				return err
			}
		}
		cmd := inside(ctx, root, "/bin/dash", "-euc", prepare)
		cmd.Stdin = strings.NewReader(settings)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("prepare Horizon: %w: %s", err, out)
		}
		return nil
	})
	return filepath.Join(dir, "root"), err
}

// inside is a command whose root folder is root, with none of the host's environment. It gets SIGTERM when the context
// ends.
func inside(ctx context.Context, root string, program ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program[0], program[1:]...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/usr/sbin", "LC_ALL=C.UTF-8", "HOME=/tmp"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// Server is a dashboard. Its address stands before it runs, so that a cloud can be told of it.
type Server struct {
	URL      string // http://127.0.0.1:PORT
	listener net.Listener
	front    http.Server
	cmd      *exec.Cmd
	stop     context.CancelFunc
}

// Listen makes a dashboard that is not started yet. The caller stops it.
func Listen() (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &Server{URL: "http://" + listener.Addr().String(), listener: listener}, nil
}

// Start runs the dashboard of a root folder for the cloud with the Keystone at a URL. What it says goes to the file log.
func (s *Server) Start(ctx context.Context, root, keystone, log string) error {
	out, err := os.Create(log)
	if err != nil {
		return err
	}
	defer out.Close()
	ctx, s.stop = context.WithCancel(ctx)
	// One process, since sessions live in its memory; the pages of one browser want several threads.
	s.cmd = inside(ctx, root, "/usr/bin/uwsgi_python3", "--http-socket", "127.0.0.1:0", "--processes", "1", "--threads", "8",
		"--wsgi-file", "/usr/share/openstack-dashboard/wsgi.py", "--static-map", "/static=/var/lib/openstack-dashboard/static",
		"--buffer-size", "65535", "--need-app", "--master", "--die-on-term")
	s.cmd.Env = append(s.cmd.Env, "HORIZON_KEYSTONE="+keystone, "HORIZON_SECRET="+rand.Text())
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	behind, err := address(ctx, log)
	if err != nil {
		return err
	}
	s.front.Handler = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", behind // the header Host stays the browser's: Django compares it
		},
		Transport: &http.Transport{DisableKeepAlives: true}, // uWSGI closes connections without a word
	}
	go func() { _ = s.front.Serve(s.listener) }() // until Stop
	return nil
}

// bound is how uWSGI tells the port that it was given.
var bound = regexp.MustCompile(`bound to TCP address (127\.0\.0\.1:\d+)`)

// address waits until the server says where it listens.
func address(ctx context.Context, log string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		file, err := os.Open(log)
		if err != nil {
			return "", err
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if m := bound.FindStringSubmatch(lines.Text()); m != nil {
				return m[1], file.Close()
			}
		}
		if err := file.Close(); err != nil {
			return "", err
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("Horizon does not say where it listens (%s): %w", log, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends the dashboard and waits for its end.
func (s *Server) Stop() error {
	err := errors.Join(s.front.Close(), s.listener.Close())
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	if s.cmd == nil {
		return err
	}
	s.stop()
	if ended := s.cmd.Wait(); !errors.Is(ended, context.Canceled) {
		err = errors.Join(err, ended)
	}
	return err
}
