package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// finish runs the user data of a new instance and says that the start is over.
func finish() error {
	data, err := os.ReadFile(userDataFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(data) > 0 {
		waitForAddress(time.Minute) // user data may use the network
		done(runUserData(data), "Run the user data")
	}
	if err := os.Remove(userDataFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	uptime, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return err
	}
	seconds, _, _ := strings.Cut(string(uptime), " ")
	say("OK", "Started in %s s", seconds)
	return os.WriteFile(finishedFile, []byte(seconds+"\n"), 0o644)
}

// runUserData runs a script, or does what it knows of cloud-init's cloud-config. The output is in a log.
func runUserData(data []byte) error {
	switch {
	case bytes.HasPrefix(data, []byte("#!")):
		return runScript(data)
	case bytes.HasPrefix(data, []byte("#cloud-config")):
		return runCloudConfig(data)
	default:
		return errors.New("it is neither a script (#!) nor #cloud-config")
	}
}

// runCloudConfig does ssh_authorized_keys and runcmd, and names what it leaves out.
func runCloudConfig(data []byte) error {
	var config map[string]any
	if err := yaml.Unmarshal(data, &config); err != nil {
		return err
	}
	var failed []error
	for key, value := range config {
		items, ok := value.([]any)
		switch {
		case key == "ssh_authorized_keys" && ok:
			failed = append(failed, authorizeMore(items))
		case key == "runcmd" && ok:
			var script bytes.Buffer
			script.WriteString("#!/bin/sh\n")
			for _, item := range items {
				fmt.Fprintln(&script, shellCommand(item))
			}
			failed = append(failed, runScript(script.Bytes()))
		default:
			say("SKIP", "This image does not know %q of cloud-config", key)
		}
	}
	return errors.Join(failed...)
}

func authorizeMore(keys []any) error {
	known, err := os.ReadFile("/root/.ssh/authorized_keys")
	if err != nil {
		return err
	}
	all := strings.Split(strings.TrimSpace(string(known)), "\n")
	for _, key := range keys {
		all = append(all, fmt.Sprint(key))
	}
	return authorize(all)
}

// shellCommand writes an item of runcmd, a shell line or a list of words, for a script.
func shellCommand(item any) string {
	words, ok := item.([]any)
	if !ok {
		return fmt.Sprint(item)
	}
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = "'" + strings.ReplaceAll(fmt.Sprint(word), "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}

func runScript(script []byte) error {
	const file = stateDir + "/script"
	if err := os.WriteFile(file, script, 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile("/var/log/user-data.log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(file)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/root"
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w (see %s)", err, log.Name())
	}
	return nil
}

// waitForAddress waits until a NIC has an address that was given to it.
func waitForAddress(patience time.Duration) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		addresses, err := net.InterfaceAddrs()
		if err != nil {
			continue
		}
		for _, address := range addresses {
			if ip, ok := address.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
				return
			}
		}
	}
}
