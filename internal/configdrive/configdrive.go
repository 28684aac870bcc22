// Package configdrive makes the volume from which cloud-init learns what a server is to be: OpenStack's config drive,
// version 2, an ISO 9660 image labelled config-2.
package configdrive

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/metadata"
)

// Label by which cloud-init finds the drive.
const Label = "config-2"

// maxUserData is Nova's limit on user data, in bytes before base64.
const maxUserData = 65535

// Build makes the image.
func Build(c *metadata.Content) (_ []byte, err error) {
	if len(c.UserData) > maxUserData {
		return nil, fault.New(fault.Invalid, "User data has %d bytes; at most %d are allowed.", len(c.UserData), maxUserData)
	}
	files, err := c.Drive()
	if err != nil {
		return nil, fmt.Errorf("config drive: %w", err)
	}
	work, err := os.MkdirTemp("", "ingot-config-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work) //nolint:errcheck // a temporary folder
	tree := filepath.Join(work, "tree")
	for name, text := range files {
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return nil, err
		}
	}
	path := filepath.Join(work, "drive.iso")
	out, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer out.Close() //nolint:errcheck // read back below
	iso, err := iso9660.Create(file.New(out, false), 0, 0, 2048, tree)
	if err != nil {
		return nil, fmt.Errorf("config drive: %w", err)
	}
	if err := iso.Finalize(iso9660.FinalizeOptions{RockRidge: true, VolumeIdentifier: Label}); err != nil {
		return nil, fmt.Errorf("config drive: %w", err)
	}
	return os.ReadFile(path)
}
