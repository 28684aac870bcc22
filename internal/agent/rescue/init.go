package rescue

import (
	"errors"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/agent/boot"
)

// restartPause keeps a server that cannot start from filling the console.
const restartPause = 5 * time.Second

// Init is process 1 of the rescue system: it minds the server, takes in orphans, and goes down in order when it is asked to
// by busybox's reboot, poweroff and halt, by Ctrl-Alt-Del, or by the power button.
func Init() {
	orders := make(chan os.Signal, 1)
	signal.Notify(orders, unix.SIGTERM, unix.SIGINT, unix.SIGUSR1, unix.SIGUSR2)
	// Without this the kernel itself restarts at Ctrl-Alt-Del.
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF)
	go mind()
	how := unix.LINUX_REBOOT_CMD_POWER_OFF
	if order := <-orders; order == unix.SIGTERM || order == unix.SIGINT {
		how = unix.LINUX_REBOOT_CMD_RESTART
	}
	boot.OpenConsole().Status("rescue: going down")
	goDown(how)
}

// mind runs the server for ever and reaps everybody.
func mind() {
	for {
		server, err := os.StartProcess(program, []string{program, ServeArgument}, &os.ProcAttr{
			Env: environment, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		})
		if err != nil {
			boot.OpenConsole().Status("rescue: the server does not start: " + err.Error())
			time.Sleep(restartPause)
			continue
		}
		for {
			pid, err := unix.Wait4(-1, nil, 0, nil)
			if pid == server.Pid || errors.Is(err, unix.ECHILD) {
				break
			}
		}
		boot.OpenConsole().Status("rescue: the server has ended, starting it again")
		time.Sleep(restartPause)
	}
}

// goDown ends all processes, unmounts the tenant's disks and leaves.
func goDown(how int) {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		_ = unix.Kill(-1, sig) // nobody else is there: fine too
		time.Sleep(time.Second)
	}
	unix.Sync()
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		boot.OpenConsole().Status("rescue: " + err.Error())
	}
	lines := strings.Split(strings.TrimSpace(string(table)), "\n")
	slices.Reverse(lines) // what was mounted last goes first
	for _, line := range lines {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[0], "/dev/") {
			if err := unix.Unmount(fields[1], 0); err != nil {
				boot.OpenConsole().Status("rescue: unmounting " + fields[1] + ": " + err.Error())
			}
		}
	}
	unix.Sync()
	boot.GiveUp(unix.Reboot(how)) // a reboot that returns has failed
}
