package ramdisk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/ramdisk/buildcache"
	"github.com/ingotcloud/ingot/internal/ramdisk/deb"
)

// The kernels of the distribution. Cloud is small and quick to start but knows virtual hardware only.
const (
	Cloud = "cloud"
	Full  = "full"
)

var metaPackages = map[string]string{
	Cloud: "linux-image-cloud-amd64",
	Full:  "linux-image-amd64",
}

var concretePackage = regexp.MustCompile(`^linux-image-[0-9].*-amd64$`)

// Kernel is a stock kernel of the distribution, unpacked.
type Kernel struct {
	Package string // file name of the package it came in
	Version string // as uname -r says
	Image   string // path of the bzImage
	Modules string // path of lib/modules/<Version>
}

// FetchKernel gives the distribution's current kernel of the flavour (Cloud or Full) out of the cache folder, where
// apt-get downloads it first if need be. An empty cacheDir is the user's own. Without a way to the package it is
// fault.Unavailable.
func FetchKernel(ctx context.Context, cacheDir, flavour string) (Kernel, error) {
	meta, ok := metaPackages[flavour]
	if !ok {
		return Kernel{}, fault.New(fault.Invalid, "There is no kernel %q; there are %s and %s.", flavour, Cloud, Full)
	}
	root, err := buildcache.Root(cacheDir)
	if err != nil {
		return Kernel{}, err
	}
	name, err := deb.Dependency(ctx, meta, concretePackage)
	if err != nil {
		return Kernel{}, err
	}
	packages, err := deb.Fetch(ctx, root, name)
	if err != nil {
		return Kernel{}, err
	}
	pkg := packages[0]
	kernel := Kernel{Package: pkg.File, Version: strings.TrimPrefix(name, "linux-image-")}
	kernel.Image = filepath.Join(pkg.Dir, "boot", "vmlinuz-"+kernel.Version)
	for _, lib := range []string{"lib", "usr/lib"} { // Debian 12, Debian 13
		modules := filepath.Join(pkg.Dir, lib, "modules", kernel.Version)
		if _, err := os.Stat(modules); err == nil {
			kernel.Modules = modules
			return kernel, nil
		}
	}
	return Kernel{}, fmt.Errorf("package %s has no modules for %s", pkg.File, kernel.Version)
}
