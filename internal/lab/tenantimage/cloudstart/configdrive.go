package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// configDrive is what OpenStack leaves for a server on a file system labelled config-2, under openstack/latest
// (https://docs.openstack.org/nova/latest/user/metadata.html).
type configDrive struct {
	meta     metaData
	network  *networkData // nil: not said
	userData []byte
}

type metaData struct {
	UUID       string            `json:"uuid"`
	Hostname   string            `json:"hostname"`
	PublicKeys map[string]string `json:"public_keys"`
}

// keys in an order that does not change from boot to boot.
func (m metaData) keys() []string {
	var keys []string
	for _, key := range m.PublicKeys {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// readConfigDrive finds and reads the config drive, be it a partition, a disk or a CD. With an error it gives what it
// could read.
func readConfigDrive(patience time.Duration) (configDrive, error) {
	var drive configDrive
	device, err := waitForLabel("config-2", patience)
	if err != nil {
		return drive, err
	}
	const dir = "/run/config-drive"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return drive, err
	}
	if err := unix.Mount(device, dir, "iso9660", unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return drive, fmt.Errorf("mount %s: %w", device, err)
	}
	err = drive.read(filepath.Join(dir, "openstack/latest"))
	return drive, errors.Join(err, unix.Unmount(dir, 0))
}

func (d *configDrive) read(dir string) error {
	metaErr := readJSON(filepath.Join(dir, "meta_data.json"), &d.meta)
	networkErr := readJSON(filepath.Join(dir, "network_data.json"), &d.network)
	if errors.Is(networkErr, fs.ErrNotExist) {
		networkErr = nil // then there is DHCP
	}
	userData, userErr := os.ReadFile(filepath.Join(dir, "user_data"))
	if errors.Is(userErr, fs.ErrNotExist) {
		userErr = nil
	}
	d.userData = userData
	return errors.Join(metaErr, networkErr, userErr)
}

func readJSON(path string, into any) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return nil
}
