package ovn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/netns"
)

// pollEvery is how often the package looks again at what it waits for.
const pollEvery = 20 * time.Millisecond

// daemon is one of the cluster's processes. Its pidfile, which every daemon of Open vSwitch and OVN locks while it lives,
// is the truth about whether it runs; a pid that was given to another process meanwhile cannot be mistaken for it.
type daemon struct {
	name  string // nb, sb, northd, <chassis>/db, <chassis>/vswitchd, <chassis>/controller
	netns string
	argv  []string
	env   []string
	dir   string // holds <base>.pid, <base>.ctl, <base>.log
	base  string
	ready func(context.Context) error // nil, or what else makes it ready after each start

	pid    atomic.Int64 // 0 while it is down or not yet ready
	starts atomic.Int64
	held   atomic.Bool // it is to stay down
	log    *slog.Logger
}

func (d *daemon) file(extension string) string { return filepath.Join(d.dir, d.base+extension) }

// up returns when the daemon is ready: one that runs with the same command line is adopted, another one is ended.
func (d *daemon) up(ctx context.Context) error {
	pid, err := lockHolder(d.file(".pid"))
	if err != nil {
		return err
	}
	if pid != 0 {
		same, err := d.runsAs(pid)
		if err != nil {
			return err
		}
		if !same {
			if err := end(pid); err != nil {
				return err
			}
			pid = 0
		}
	}
	if pid == 0 {
		if pid, err = d.launch(); err != nil {
			return fmt.Errorf("start %s: %w", d.name, err)
		}
	}
	if err := d.await(ctx, pid); err != nil {
		return fmt.Errorf("%s does not come up: %w%s", d.name, err, d.lastWords())
	}
	d.starts.Add(1)
	d.pid.Store(int64(pid))
	return nil
}

// runsAs compares a process with what would be started now.
func (d *daemon) runsAs(pid int) (bool, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return string(line) == strings.Join(d.argv, "\x00")+"\x00", err
}

// launch starts the process detached, so that what the terminal sends to the lab does not reach it.
func (d *daemon) launch() (int, error) {
	output, err := os.OpenFile(d.file(".out"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer output.Close()
	cmd := exec.Command(d.argv[0], d.argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = d.env
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := netns.Do(d.netns, cmd.Start); err != nil {
		return 0, err
	}
	go cmd.Wait() // only to reap it: how it ends is seen through its pidfd, as of one that was adopted
	return cmd.Process.Pid, nil
}

// await waits until the process has its pidfile and answers on its control socket, and for what else it needs.
func (d *daemon) await(ctx context.Context, pid int) error {
	err := poll(ctx, func() (bool, error) {
		if !alive(pid) {
			return false, errors.New("it ended")
		}
		holder, err := lockHolder(d.file(".pid"))
		if err != nil || holder != pid {
			return false, err
		}
		conn, err := net.Dial("unix", d.file(".ctl"))
		if err != nil {
			return false, nil // not yet
		}
		return true, conn.Close()
	})
	if err != nil || d.ready == nil {
		return err
	}
	return d.ready(ctx)
}

// lastWords is the end of what it wrote, for errors.
func (d *daemon) lastWords() string {
	for _, extension := range []string{".out", ".log"} {
		text, err := os.ReadFile(d.file(extension))
		if err == nil && len(text) > 0 {
			return "\n" + string(text[max(0, len(text)-1000):])
		}
	}
	return ""
}

// watch starts the daemon again whenever it ends, until ctx does; the process is left alone then.
func (d *daemon) watch(ctx context.Context) {
	const patience, longest = 100 * time.Millisecond, 5 * time.Second
	wait := patience
	for ctx.Err() == nil {
		since := time.Now()
		if pid := int(d.pid.Load()); pid != 0 {
			if err := waitGone(ctx, pid); ctx.Err() != nil {
				return
			} else if err != nil {
				d.log.Error("cannot watch a daemon of the network", "daemon", d.name, "error", err)
			}
			d.pid.Store(0)
		}
		if d.held.Load() {
			sleep(ctx, pollEvery)
			continue
		}
		if time.Since(since) > longest {
			wait = patience
		}
		d.log.Warn("a daemon of the network ended and is started again", "daemon", d.name)
		attempt, cancel := context.WithTimeout(ctx, time.Minute)
		err := d.up(attempt)
		cancel()
		if err != nil && ctx.Err() == nil {
			d.log.Error("a daemon of the network does not start", "daemon", d.name, "error", err)
		}
		if pid := d.pid.Load(); pid != 0 && d.held.Load() { // it was on its way up when the power went
			if err := unix.Kill(int(pid), unix.SIGKILL); err != nil {
				d.log.Error("a daemon of the network does not go down", "daemon", d.name, "error", err)
			}
		}
		sleep(ctx, wait)
		wait = min(2*wait, longest)
	}
}

// kill ends the process as a crash would, and returns when the watcher has noticed.
func (d *daemon) kill(ctx context.Context) error {
	pid := d.pid.Load()
	if pid == 0 {
		return nil // down already
	}
	if err := unix.Kill(int(pid), unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill %s: %w", d.name, err)
	}
	return poll(ctx, func() (bool, error) { return d.pid.Load() != pid, nil })
}

// lockHolder is the process that holds a pidfile's lock, 0 when none does.
func lockHolder(pidfile string) (int, error) {
	f, err := os.OpenFile(pidfile, os.O_RDWR, 0) // F_GETLK of a write lock wants a writable file
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil {
		return 0, fmt.Errorf("lock of %s: %w", pidfile, err)
	}
	if lock.Type == unix.F_UNLCK {
		return 0, nil
	}
	return int(lock.Pid), nil
}

// alive is false for a zombie too.
func alive(pid int) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return !ended(fd)
}

// ended says whether a pidfd's process did.
func ended(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

// waitGone returns when the process has ended, which need not be a child, or when ctx has.
func waitGone(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil
	} else if err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	f := os.NewFile(uintptr(fd), "pidfd") // non-blocking: the runtime's poller waits, not a thread
	defer f.Close()
	defer context.AfterFunc(ctx, func() { f.SetReadDeadline(time.Unix(1, 0)) })()
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if err := conn.Read(func(fd uintptr) bool { return ended(int(fd)) }); err != nil && ctx.Err() == nil {
		return fmt.Errorf("wait for process %d: %w", pid, err)
	}
	return ctx.Err()
}

// end ends processes, politely first, and returns when they are gone.
func end(pids ...int) error {
	const polite, firm = 3 * time.Second, 10 * time.Second
	for _, step := range []struct {
		signal unix.Signal
		wait   time.Duration
	}{{unix.SIGTERM, polite}, {unix.SIGKILL, firm}} {
		ctx, cancel := context.WithTimeout(context.Background(), step.wait)
		defer cancel()
		var left []int
		for _, pid := range pids {
			if err := unix.Kill(pid, step.signal); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("end process %d: %w", pid, err)
			}
		}
		for _, pid := range pids {
			if err := waitGone(ctx, pid); err != nil {
				left = append(left, pid)
			}
		}
		if pids = left; len(pids) == 0 {
			return nil
		}
	}
	return fmt.Errorf("processes %d do not end", pids)
}

// poll asks again and again until the answer is yes, an error, or ctx ends.
func poll(ctx context.Context, ask func() (bool, error)) error {
	for {
		if yes, err := ask(); yes || err != nil {
			return err
		}
		if sleep(ctx, pollEvery); ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
