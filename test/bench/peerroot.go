package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ingotcloud/ingot/internal/lab/debroot"
)

// peerPackages are OpenStack's services as Debian 12 has them (Zed), and what they need to run.
var peerPackages = []string{
	"keystone", "ironic-api", "ironic-conductor", "python3-psycopg2", "uwsgi-core", "uwsgi-plugin-python3",
}

// peers are OpenStack's own services. They live in an unpacked Debian, each in a mount namespace of its own, where /mnt is
// the run's folder: nothing is installed, and all is gone with the processes and the folder.
type peers struct {
	root     debroot.Root
	dir      string // of the run; the services see it as /mnt
	postgres *postgres
	running  map[string]*daemon
}

// daemon is one of the services' processes.
type daemon struct {
	*exec.Cmd
	ended chan struct{} // closed when it has
}

// enter gives a program the root as its world: sh -c enter sh ROOT RUN PROGRAM ARGUMENTS…
const enter = `root=$1 run=$2; shift 2
mount --rbind /proc "$root/proc" && mount --rbind /dev "$root/dev" && mount --bind "$run" "$root/mnt" && cd / && exec chroot "$root" "$@"`

// openPeers unpacks Debian, from the cache if it is there, and starts PostgreSQL. What it gives must be closed.
func openPeers(ctx context.Context, dir string) (p *peers, err error) {
	root, err := debroot.Ensure(ctx, "", "bookworm", peerPackages...)
	if err != nil {
		return nil, err
	}
	p = &peers{root: root, dir: dir, running: map[string]*daemon{}}
	for _, folder := range []string{root.Path("proc"), root.Path("mnt"), dir, filepath.Join(dir, "log")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{ // which the packages' scripts would have made
		"etc/passwd": "root:x:0:0:root:/mnt:/bin/sh\n", "etc/group": "root:x:0:\n", "etc/hosts": "127.0.0.1 localhost\n",
	} {
		if err := os.WriteFile(root.Path(name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	p.postgres, err = startPostgres(ctx, filepath.Join(dir, "pg"))
	return p, err
}

// close ends all that was started.
func (p *peers) close() error {
	for _, d := range p.running {
		_ = syscall.Kill(-d.Process.Pid, syscall.SIGKILL) // it may have ended
		<-d.ended
	}
	if p.postgres == nil {
		return nil
	}
	return p.postgres.stop()
}

// database makes one and gives SQLAlchemy's URL of it.
func (p *peers) database(ctx context.Context, name string) (string, error) {
	return fmt.Sprintf("postgresql+psycopg2://bench@/%s?host=/mnt/pg", name), p.postgres.create(ctx, name)
}

// write a file of the run's folder, such as "keystone.conf".
func (p *peers) write(name, text string) error {
	path := filepath.Join(p.dir, name)
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644))
}

func (p *peers) command(ctx context.Context, program ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "/bin/sh", "-c", enter, "sh", p.root.Dir, p.dir}, program...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/mnt", "TMPDIR=/mnt", "LANG=C.UTF-8", "OS_KEYSTONE_CONFIG_FILES=/mnt/keystone.conf"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (p *peers) run(ctx context.Context, program ...string) error {
	if out, err := p.command(ctx, program...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(program, " "), err, out[max(0, len(out)-3000):])
	}
	return nil
}

// start a service and give its process id; what it says is in the folder log.
func (p *peers) start(name string, program ...string) (int, error) {
	log, err := os.Create(filepath.Join(p.dir, "log", name))
	if err != nil {
		return 0, err
	}
	defer log.Close() //nolint:errcheck // the process has its own
	cmd := p.command(context.Background(), program...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	d := &daemon{cmd, make(chan struct{})}
	p.running[name] = d
	go func() {
		_ = cmd.Wait() // whoever waits for it to be ready tells what it said
		close(d.ended)
	}()
	return cmd.Process.Pid, nil
}

// uwsgi serves a WSGI program at a port, the way Debian does it.
func (p *peers) uwsgi(name, program string, port int) (int, error) {
	return p.start(name, "/usr/bin/uwsgi-core", "--plugin", "python311", "--http-socket", fmt.Sprintf("127.0.0.1:%d", port), "--wsgi-file", program,
		"--master", "--lazy-apps", "--thunder-lock", "--processes", fmt.Sprint(peerWorkers), "--threads", "1", "--buffer-size", "65535",
		"--no-orphans", "--die-on-term", "--enable-threads", "--disable-logging", "--add-header", "Connection: close")
}

// peerWorkers of each of their services' APIs: one for each core of the least that Ingot promises anything for.
const peerWorkers = 2

// until tries ten times a second; when the service ends or it takes too long, the error has the end of the service's log.
func (p *peers) until(ctx context.Context, name string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
			continue
		case <-p.running[name].ended:
		case <-ctx.Done():
		}
		said, _ := os.ReadFile(filepath.Join(p.dir, "log", name)) // without it there is still the error
		return fmt.Errorf("%s: %w: %s", name, err, said[max(0, len(said)-3000):])
	}
}

// freePort is one that nobody has; these services take ports by number only.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}
