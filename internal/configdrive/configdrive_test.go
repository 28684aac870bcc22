package configdrive_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"github.com/ingotcloud/ingot/internal/configdrive"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/metadata"
)

func TestTheDriveReadsBack(t *testing.T) {
	image, err := configdrive.Build(&metadata.Content{
		ID: "u", Hostname: "web",
		NetworkData: map[string]any{"links": []any{}},
		UserData:    []byte("#!/bin/sh\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(image, []byte(configdrive.Label)) {
		t.Error("the volume has no label")
	}
	path := filepath.Join(t.TempDir(), "drive.iso")
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
	disk, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	fs, err := iso9660.Read(file.New(disk, true), int64(len(image)), 0, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text, err := fs.ReadFile("openstack/latest/meta_data.json")
	if err != nil {
		t.Fatal(err)
	}
	var meta map[string]any
	if err := json.Unmarshal(bytes.TrimRight(text, "\x00"), &meta); err != nil || meta["hostname"] != "web" {
		t.Errorf("meta data %s: %v", text, err)
	}
}

func TestTooMuchUserDataIsRefused(t *testing.T) {
	_, err := configdrive.Build(&metadata.Content{UserData: make([]byte, 70000)})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
}
