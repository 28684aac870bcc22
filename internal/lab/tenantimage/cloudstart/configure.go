package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	stateDir     = "/var/lib/ingot"
	instanceFile = stateDir + "/instance-id"   // the instance that this disk was configured for
	userDataFile = stateDir + "/user-data"     // what finish has yet to run
	finishedFile = stateDir + "/boot-finished" // written when all is done
)

// configure does what must be in place before the login prompt. Nothing in it keeps the machine from starting: what
// fails is said on the console.
func configure() error {
	for _, m := range []struct{ kind, dir, options string }{
		{"devpts", "/dev/pts", "mode=620,gid=5"}, {"tmpfs", "/dev/shm", ""}, {"tmpfs", "/tmp", "mode=1777"},
	} {
		done(errors.Join(os.MkdirAll(m.dir, 0o755), unix.Mount(m.kind, m.dir, m.kind, unix.MS_NOSUID, m.options)), "Mount %s", m.dir)
	}
	size, err := growRoot()
	done(err, "Grow the root file system to %d MiB", size>>20)

	drive, err := readConfigDrive(3 * time.Second)
	done(err, "Read the config drive")
	name := hostName(drive.meta)
	done(errors.Join(unix.Sethostname([]byte(name)), os.WriteFile("/etc/hostname", []byte(name+"\n"), 0o644)), "Set the host name to %s", name)
	setUpNetwork(drive.network)
	return newInstance(drive)
}

// hostName is the first label of what the cloud calls the server; a kernel's host name has 64 bytes at most.
func hostName(meta metaData) string {
	name, _, _ := strings.Cut(meta.Hostname, ".")
	if name == "" || len(name) > 64 {
		return "ingot"
	}
	return name
}

// newInstance does what is done once per instance: a disk that was imaged and deployed again takes the new owner's
// keys, forgets its host keys, and runs the new user data.
func newInstance(drive configDrive) error {
	id := drive.meta.UUID
	if id == "" {
		id = "none"
	}
	if known, err := os.ReadFile(instanceFile); err == nil && strings.TrimSpace(string(known)) == id {
		return nil
	}
	keys, err := filepath.Glob("/etc/dropbear/*_host_key")
	if err != nil {
		return err
	}
	for _, file := range append(keys, finishedFile) {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	err = authorize(drive.meta.keys())
	done(err, "Take %d SSH keys for ingot and root", len(drive.meta.keys()))
	if err != nil {
		return nil // said already; a machine with a prompt is better than one without
	}
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(userDataFile, drive.userData, 0o600); err != nil {
		return err
	}
	// Last, so that a power cut before it has everything done again.
	return os.WriteFile(instanceFile, []byte(id+"\n"), 0o644)
}

// authorize makes the keys the ones that ingot and root are logged in with.
func authorize(keys []string) error {
	content := []byte(strings.Join(keys, "\n") + "\n")
	for _, user := range []struct {
		home string
		id   int
	}{{"/root", 0}, {"/home/ingot", 1000}} {
		dir := filepath.Join(user.home, ".ssh")
		file := filepath.Join(dir, "authorized_keys")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return err
		}
		for _, path := range []string{user.home, dir, file} {
			if err := os.Chown(path, user.id, user.id); err != nil {
				return fmt.Errorf("give %s to its user: %w", path, err)
			}
		}
	}
	return nil
}
