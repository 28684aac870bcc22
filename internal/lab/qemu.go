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
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/lab/qmp"
	"github.com/ingotcloud/ingot/internal/netns"
)

// How long a process may take to listen, QEMU to answer an order, and a process to quit before it is killed.
const (
	listenWithin = 30 * time.Second
	answerWithin = 20 * time.Second
	quitWithin   = 5 * time.Second
)

// qemu is a running QEMU: started or adopted.
type qemu struct {
	dir     string
	qmp     *qmp.Client
	console net.Conn
	process *process
	tpm     *process    // nil without
	ended   chan string // the guest stopped by itself: QMP's ShutdownCause
}

// startQEMU runs QEMU inside the namespace, connects to it, and leaves it paused. The taps, which may be in other
// namespaces, are its file descriptors from firstTap on.
func startQEMU(ctx context.Context, ns, dir string, args []string, taps []tap, tpm bool) (q *qemu, err error) {
	for _, socket := range []string{fileQMP, fileSerial, fileVNC, fileTPM} { // of one that was killed
		if err := os.Remove(filepath.Join(dir, socket)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, listenWithin)
	defer cancel()
	q = &qemu{dir: dir}
	defer func() {
		if err != nil {
			q, err = nil, errors.Join(err, q.process.end(), q.tpm.end())
		}
	}()
	var cables []*os.File
	for _, t := range taps {
		cable, err := t.open()
		if err != nil {
			return q, err
		}
		defer cable.Close() // QEMU has its own
		cables = append(cables, cable)
	}
	if tpm {
		if q.tpm, err = startTPM(ctx, ns, dir); err != nil {
			return q, err
		}
	}
	q.process, err = spawn(ns, dir, fileLog, cables, "qemu-system-x86_64", args...)
	if err == nil {
		err = q.process.await(ctx, func() error { return q.connect(ctx) })
	}
	return q, err
}

// startTPM runs the TPM of the QEMU that starts next.
func startTPM(ctx context.Context, ns, dir string) (*process, error) {
	if err := os.MkdirAll(filepath.Join(dir, "tpm"), 0o700); err != nil {
		return nil, err
	}
	// --terminate: it ends when QEMU does, however that ends, so that nobody has to look after it.
	p, err := spawn(ns, dir, "swtpm.log", nil, "swtpm", "socket", "--tpm2", "--terminate", "--tpmstate", "dir=tpm",
		"--ctrl", "type=unixio,path="+fileTPM, "--pid", "file="+fileTPMPID)
	if err != nil {
		return nil, err
	}
	// Only looked at: a connection that ends would end it too.
	return p, p.await(ctx, func() error { _, err := os.Stat(filepath.Join(dir, fileTPM)); return err })
}

// adoptQEMU connects to the QEMU that another lab process left in the folder; nil when there is none. One that does
// not answer is killed.
func adoptQEMU(ctx context.Context, dir string) (*qemu, error) {
	pid, err := qmp.PeerPID(filepath.Join(dir, fileQMP))
	if err != nil {
		return nil, nil // nobody listens
	}
	q := &qemu{dir: dir}
	if q.process, err = adoptProcess("QEMU", dir, pid); err != nil || q.process == nil {
		return nil, err
	}
	var tpmPID int
	if text, err := os.ReadFile(filepath.Join(dir, fileTPMPID)); err == nil {
		tpmPID, _ = strconv.Atoi(strings.TrimSpace(string(text))) // 0, which is no process here, when it is garbage
	}
	if q.tpm, err = adoptProcess("swtpm", dir, tpmPID); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, quitWithin)
	defer cancel()
	if err := q.connect(ctx); err != nil {
		return nil, errors.Join(q.process.end(), q.tpm.end())
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
	q.console, err = qmp.Connect(ctx, filepath.Join(q.dir, fileSerial))
	if err != nil {
		q.qmp.Close()
		return fmt.Errorf("connect to the serial line: %w", err)
	}
	return nil
}

// do is a QMP command that does not wait for ever: a QEMU that hangs must not keep the machine from being ended.
func (q *qemu) do(ctx context.Context, command string, args map[string]any) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return q.qmp.Execute(ctx, command, args, nil)
}

// status is QMP's RunState: running, paused, shutdown, …
func (q *qemu) status(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, quitWithin)
	defer cancel()
	var s struct{ Status string }
	err := q.qmp.Execute(ctx, "query-status", nil, &s)
	return s.Status, err
}

// stop ends the processes: asked first, so that they flush, then killed.
func (q *qemu) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), quitWithin)
	defer cancel()
	// Its answer may be lost in its end; whether it ended is seen below.
	_ = q.qmp.Execute(ctx, "quit", nil, nil)
	q.process.waits(ctx)
	if err := q.process.end(); err != nil {
		return err
	}
	q.hangUp()
	// The TPM ends by itself now. The next one would stumble over its lock and its socket.
	q.tpm.waits(ctx)
	return q.tpm.end()
}

// hangUp closes the lines to it.
func (q *qemu) hangUp() {
	q.qmp.Close()
	q.console.Close()
}

// process is a child in a session of its own, so that an interrupt typed at the lab does not reach it, or one that
// another lab started. The methods that end it take nil for one that never was.
type process struct {
	name   string
	log    string
	from   int64 // where its part of the log starts
	kill   func() error
	exited chan struct{} // closed when it is gone
}

func spawn(ns, dir, logName string, files []*os.File, name string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, logName), exited: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		return nil, err
	}
	p.from = info.Size()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = dir, log, log, files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := netns.Do(ns, cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.kill = cmd.Process.Kill
	go func() {
		_ = cmd.Wait() // its last words are in the log
		close(p.exited)
	}()
	return p, nil
}

// adoptProcess takes over a process that works in the folder; nil when the id is of no such process.
func adoptProcess(name, dir string, pid int) (*process, error) {
	if pid <= 0 {
		return nil, nil
	}
	// The pidfd comes first: it stays with this process when the id is given to another.
	pidfd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err != nil || cwd != dir {
		unix.Close(pidfd)
		return nil, nil
	}
	p := &process{name: name, exited: make(chan struct{})}
	p.kill = func() error { return unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0) }
	go func() {
		for { // no child of ours, so there is no waiting for it: a pidfd is readable when its process has ended
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1); !errors.Is(err, unix.EINTR) {
				break
			}
		}
		close(p.exited) // the pidfd stays open for kill: one per adoption
	}()
	return p, nil
}

// waits gives it until ctx ends to go by itself.
func (p *process) waits(ctx context.Context) {
	if p != nil {
		select {
		case <-p.exited:
		case <-ctx.Done():
		}
	}
}

// end kills it, if it is still there, and waits until it is gone.
func (p *process) end() error {
	if p == nil {
		return nil
	}
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := p.kill(); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.exited
	return nil
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

// lastWords is the end of a log, from an offset on.
func lastWords(file string, from int64) string {
	const most = 500
	f, err := os.Open(file)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err.Error()
	}
	from = max(from, end-most)
	text, err := io.ReadAll(io.NewSectionReader(f, from, end-from))
	if err != nil {
		return err.Error()
	}
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return "it said nothing"
	}
	return string(text)
}
