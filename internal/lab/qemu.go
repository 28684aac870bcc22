package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/lab/qmp"
	"github.com/ingotcloud/ingot/internal/netns"
)

// How long a process may take to listen, and QEMU to quit before it is killed.
const (
	listenWithin = 30 * time.Second
	quitWithin   = 5 * time.Second
)

// qemu is a running QEMU: started or adopted.
type qemu struct {
	dir     string
	qmp     *qmp.Client
	console net.Conn
	kill    func() error
	exited  chan struct{} // closed when the process is gone
	ended   chan string   // the guest stopped by itself: QMP's ShutdownCause
}

// startQEMU runs QEMU inside the namespace, connects to it, and leaves it paused.
func startQEMU(ctx context.Context, ns, dir string, args []string, tpm bool) (*qemu, error) {
	for _, socket := range []string{fileQMP, fileSerial, fileVNC, fileTPM} { // of one that was killed
		if err := os.Remove(filepath.Join(dir, socket)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, listenWithin)
	defer cancel()
	if tpm {
		if err := os.MkdirAll(filepath.Join(dir, "tpm"), 0o700); err != nil {
			return nil, err
		}
		// --terminate: it ends when QEMU does, however that ends, so nobody needs to look after it.
		p, err := spawn(ns, dir, "swtpm.log", "swtpm", "socket", "--tpm2", "--terminate",
			"--tpmstate", "dir=tpm", "--ctrl", "type=unixio,path="+fileTPM)
		if err != nil {
			return nil, err
		}
		// Only looked at: a connection that ends would end it too.
		if err := p.await(ctx, func() error { _, err := os.Stat(filepath.Join(dir, fileTPM)); return err }); err != nil {
			return nil, errors.Join(err, p.kill())
		}
	}
	p, err := spawn(ns, dir, fileLog, "qemu-system-x86_64", args...)
	if err != nil {
		return nil, err
	}
	q := &qemu{dir: dir, kill: p.kill, exited: p.exited}
	if err := p.await(ctx, func() error { return q.connect(ctx) }); err != nil {
		return nil, errors.Join(err, p.kill())
	}
	return q, nil
}

// adoptQEMU connects to the QEMU that another lab process left in the folder; nil when there is none. One that does
// not answer is killed.
func adoptQEMU(ctx context.Context, dir string) (*qemu, error) {
	pid, err := qmp.PeerPID(filepath.Join(dir, fileQMP))
	if err != nil {
		return nil, nil // nobody listens
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	q := &qemu{
		dir:    dir,
		exited: make(chan struct{}),
		kill: func() error {
			if err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill process %d: %w", pid, err)
			}
			return nil
		},
	}
	go func() {
		for { // not our child, so there is no waiting for it: a pidfd is readable when its process has ended
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
			if !errors.Is(err, unix.EINTR) {
				break
			}
		}
		close(q.exited)
	}()
	ctx, cancel := context.WithTimeout(ctx, quitWithin)
	defer cancel()
	if err := q.connect(ctx); err != nil {
		if err := q.kill(); err != nil {
			return nil, err
		}
		<-q.exited
		return nil, nil
	}
	return q, nil
}

// connect takes QMP and the serial line, each of which serves one client.
func (q *qemu) connect(ctx context.Context) error {
	q.ended = make(chan string, 1)
	var err error
	q.qmp, err = qmp.Dial(ctx, filepath.Join(q.dir, fileQMP), func(e qmp.Event) {
		var shutdown struct{ Reason string }
		if e.Name == "SHUTDOWN" && json.Unmarshal(e.Data, &shutdown) == nil {
			select {
			case q.ended <- shutdown.Reason:
			default: // it ends once
			}
		}
	})
	if err != nil {
		return fmt.Errorf("connect to QEMU: %w", err)
	}
	q.console, err = new(net.Dialer).DialContext(ctx, "unix", filepath.Join(q.dir, fileSerial))
	if err != nil {
		q.qmp.Close()
		return fmt.Errorf("connect to the serial line: %w", err)
	}
	return nil
}

// status is QMP's RunState: running, paused, shutdown, …
func (q *qemu) status(ctx context.Context) (string, error) {
	var s struct{ Status string }
	err := q.qmp.Execute(ctx, "query-status", nil, &s)
	return s.Status, err
}

// stop ends the process: asked first, so that it flushes, then killed.
func (q *qemu) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), quitWithin)
	defer cancel()
	// Its answer may be lost in its end; whether it ended is seen below.
	_ = q.qmp.Execute(ctx, "quit", nil, nil)
	select {
	case <-q.exited:
	case <-ctx.Done():
		if err := q.kill(); err != nil {
			return err
		}
		<-q.exited
	}
	q.hangUp()
	return nil
}

// hangUp closes the lines to it.
func (q *qemu) hangUp() {
	q.qmp.Close()
	q.console.Close()
}

// process is a child in a session of its own, so that an interrupt typed at the lab does not reach it.
type process struct {
	name   string
	log    string
	from   int64 // where its part of the log starts
	cmd    *exec.Cmd
	exited chan struct{}
}

func spawn(ns, dir, logName, name string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, logName), exited: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if info, err := log.Stat(); err == nil {
		p.from = info.Size()
	}
	p.cmd = exec.Command(name, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := netns.Do(ns, p.cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // its last words are in the log
		close(p.exited)
	}()
	return p, nil
}

// await repeats ready until it succeeds or the process has ended.
func (p *process) await(ctx context.Context, ready func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return fmt.Errorf("%s ended at once: %s", p.name, lastWords(p.log, p.from))
		case <-ctx.Done():
			return fmt.Errorf("%s does not get ready: %w", p.name, err)
		}
	}
}

func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.exited
	return nil
}

// lastWords is the end of a log, from an offset on.
func lastWords(file string, from int64) string {
	f, err := os.Open(file)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, from, 1<<20))
	if err != nil {
		return err.Error()
	}
	const most = 500
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return "it said nothing"
	}
	return string(text[max(0, len(text)-most):])
}
