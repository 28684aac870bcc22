package boot

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// mounts of the RAM disk, in order. The last may be missing: without UEFI, or without its module.
var mounts = []struct {
	kind, point string
	optional    bool
}{
	{"proc", "/proc", false},
	{"sysfs", "/sys", false},
	{"devtmpfs", "/dev", false},
	{"tmpfs", "/run", false},
	{"efivarfs", "/sys/firmware/efi/efivars", true},
}

// rebootAfterPanic makes the machine come back by itself if process 1 dies in a way that no code of it can catch.
const rebootAfterPanic = "60\n"

// Mount mounts the kernel's file systems. Efivarfs may come only after its module: call it again then; what is mounted
// already stays.
func Mount() error {
	var errs []error
	for _, m := range mounts {
		if !m.optional {
			if err := os.MkdirAll(m.point, 0o755); err != nil {
				errs = append(errs, err)
			}
		}
		err := unix.Mount(m.kind, m.point, m.kind, unix.MS_NOSUID|unix.MS_NOEXEC, "")
		if err != nil && !errors.Is(err, unix.EBUSY) && !m.optional {
			errs = append(errs, fmt.Errorf("mounting %s: %w", m.point, err))
		}
	}
	errs = append(errs, os.WriteFile("/proc/sys/kernel/panic", []byte(rebootAfterPanic), 0))
	return errors.Join(errs...)
}

// LoadModules loads what the RAM disk has for this machine. Whatever fails is logged: the machine may do without.
func LoadModules(log *slog.Logger) {
	modules := Modules{Root: "/"}
	if err := modules.LoadList(); err != nil {
		log.Warn("some modules did not load", "error", err)
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		log.Warn("asking for the kernel's release failed", "error", err)
	} else if err := modules.LoadForDevices("/sys", unix.ByteSliceToString(name.Release[:])); err != nil {
		log.Warn("some modules did not load", "error", err)
	}
	if err := Mount(); err != nil {
		log.Warn("mounting failed", "error", err)
	}
}

// Reap takes in orphans for ever. The agent itself starts no processes, so that it takes nobody's child.
func Reap() {
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	go func() {
		for range died {
			for {
				pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
				if pid <= 0 || err != nil && !errors.Is(err, unix.EINTR) {
					break
				}
			}
		}
	}()
}

// Uptime of the kernel.
func Uptime() time.Duration {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

// SetClock steps the machine's clock when it is more than two seconds off, and the hardware's clock with it where there
// is one. A clock that cannot be set is logged: nothing here depends on it.
func SetClock(log *slog.Logger, now time.Time) {
	off := time.Until(now)
	if off.Abs() < 2*time.Second {
		return
	}
	spec := unix.NsecToTimespec(now.UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &spec); err != nil {
		log.Warn("setting the clock failed", "error", err)
		return
	}
	log.Info("set the clock", "off", off.Round(time.Second))
	if rtc, err := os.Open("/dev/rtc0"); err == nil {
		defer rtc.Close()
		utc := now.UTC()
		if err := unix.IoctlSetRTCTime(int(rtc.Fd()), &unix.RTCTime{
			Sec: int32(utc.Second()), Min: int32(utc.Minute()), Hour: int32(utc.Hour()),
			Mday: int32(utc.Day()), Mon: int32(utc.Month()) - 1, Year: int32(utc.Year()) - 1900,
		}); err != nil {
			log.Warn("setting the hardware clock failed", "error", err)
		}
	}
}

// GiveUp prints why and reboots after a while, so that a person can read it and the machine comes back by itself. It
// never returns: the kernel panics when process 1 ends.
func GiveUp(why any) {
	const wait = time.Minute
	fmt.Printf("\ningot-agent: cannot go on, rebooting in %s: %v\n", wait, why)
	time.Sleep(wait)
	unix.Sync()
	err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	fmt.Printf("ingot-agent: the reboot failed: %v\n", err)
	select {}
}
