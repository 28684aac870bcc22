// Package program finds the static Go programs that go into RAM disks and images: beside the running binary, where
// `make build` puts them, or built on the spot where there is no such file but the source (tests, `go run`).
package program

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
)

// Module is the import path of this source.
const Module = "github.com/ingotcloud/ingot"

// Find gives the path of the program with the import path Module/pkg. Where it must be built, it is built into dir.
func Find(ctx context.Context, pkg, dir string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	beside := filepath.Join(filepath.Dir(self), path.Base(pkg))
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	out := filepath.Join(dir, path.Base(pkg))
	return out, Build(ctx, path.Join(Module, pkg), out)
}

// Build compiles the package statically, stripped and reproducibly, to the file out. It needs the go command, and the
// package within reach of the working folder's module.
func Build(ctx context.Context, pkg, out string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s (run `make build` to have it beside the ingot binary): %w: %s", pkg, err, said)
	}
	return nil
}
