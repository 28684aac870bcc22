package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/goccy/go-yaml"
)

// settle is how long the control plane is left alone before it counts as being at rest.
const settle = 5 * time.Second

// pid of a daemon of the cloud: serve or lab.
func (c *cloud) pid(name string) (int, error) {
	text, err := os.ReadFile(c.folder(name + ".pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// resident is the memory that a process holds, in bytes.
func resident(pid int) (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text)) // proc(5): the second one is resident pages
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// restart stops the control plane, starts it again and gives the time from there to where it accepts connections.
func (c *cloud) restart(ctx context.Context) (time.Duration, error) {
	address, err := c.address()
	if err != nil {
		return 0, err
	}
	pid, err := c.pid("serve")
	if err != nil {
		return 0, err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return 0, err
	}
	err = c.until(ctx, func() (bool, error) { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH), nil })
	if err != nil {
		return 0, fmt.Errorf("stop the control plane: %w", err)
	}
	cmd := exec.Command(c.program, "serve", "--config", c.folder("ingot.yaml"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go cmd.Wait() //nolint:errcheck // only so that it leaves no zombie
	// `ingot clean` finds it there.
	if err := os.WriteFile(c.folder("serve.pid"), fmt.Appendln(nil, cmd.Process.Pid), 0o600); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for ctx.Err() == nil {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return time.Since(began), conn.Close()
		}
		time.Sleep(2 * time.Millisecond)
	}
	return 0, fmt.Errorf("the control plane does not come back: %w", ctx.Err())
}

func (c *cloud) address() (string, error) {
	text, err := os.ReadFile(c.folder("ingot.yaml"))
	if err != nil {
		return "", err
	}
	var config struct {
		Listen string `yaml:"listen"`
	}
	return config.Listen, yaml.Unmarshal(text, &config)
}
