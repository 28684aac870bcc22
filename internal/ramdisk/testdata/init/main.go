// Command init stands in for ingot-agent in the RAM disk's tests: it loads the modules in the order of the list, prints
// the kernel's command line and powers off.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		fmt.Println("INIT cannot mount /proc:", err)
	}
	list, err := os.ReadFile("/etc/modules-load")
	if err != nil {
		fmt.Println("INIT cannot read the module list:", err)
	}
	loaded := 0
	for _, path := range strings.Fields(string(list)) {
		// A driver without its hardware says ENODEV; an unresolved symbol, which a wrong order gives, is ENOENT.
		switch err := load(path); {
		case err == nil, errors.Is(err, unix.ENODEV), errors.Is(err, unix.EEXIST):
			loaded++
		default:
			fmt.Println("INIT cannot load", path, err)
		}
	}
	cmdline, _ := os.ReadFile("/proc/cmdline")
	fmt.Printf("INIT loaded %d modules, command line %q\n", loaded, strings.TrimSpace(string(cmdline)))
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func load(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return unix.FinitModule(int(file.Fd()), "", 0)
}
