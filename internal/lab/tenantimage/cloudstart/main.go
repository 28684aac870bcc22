// Command cloudstart starts the tenant image: a small stand-in for an initramfs and for cloud-init, in one static
// program.
//
// As the init of the image's RAM disk it loads the drivers, finds the root file system and enters it. There, busybox's
// init runs it twice (see rootfs/etc/inittab): `cloudstart configure` grows the root file system and sets up host name,
// network and keys from the config drive before the login prompt; `cloudstart finish` runs the user data beside it.
package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func main() {
	err := run()
	if err == nil {
		return
	}
	say("FAILED", "%v", err)
	for os.Getpid() == 1 {
		_ = unix.Pause() // an init that returns panics the kernel, which scrolls the reason away
	}
	os.Exit(1)
}

func run() error {
	switch {
	case os.Getpid() == 1:
		return enterRoot()
	case len(os.Args) == 2 && os.Args[1] == "configure":
		return configure()
	case len(os.Args) == 2 && os.Args[1] == "finish":
		return finish()
	default:
		return errors.New("usage: cloudstart configure|finish")
	}
}

// say tells a step's outcome on the console, as init systems do.
func say(outcome, format string, args ...any) {
	fmt.Printf("[%6s] %s\r\n", outcome, fmt.Sprintf(format, args...))
}

// done tells the outcome of a step that the start can go on without.
func done(err error, format string, args ...any) {
	if err != nil {
		say("FAILED", "%s: %v", fmt.Sprintf(format, args...), err)
		return
	}
	say("OK", format, args...)
}
