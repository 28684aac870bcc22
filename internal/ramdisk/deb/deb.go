// Package deb takes files out of the distribution's own packages without installing them: apt downloads and verifies,
// dpkg-deb unpacks into the cache, the host stays as it is.
package deb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/ramdisk/buildcache"
)

// Package is an unpacked package.
type Package struct {
	Name string
	File string // name_version_arch.deb: changes with every version
	Dir  string // the root of its files
}

// Fetch gives the packages, in the order asked for and in the versions that apt would install now, from the cache where
// they are there. A package that apt does not know or cannot download is fault.Unavailable.
func Fetch(ctx context.Context, cacheRoot string, names ...string) ([]Package, error) {
	files, err := archiveNames(ctx, names)
	if err != nil {
		return nil, err
	}
	packages := make([]Package, len(names))
	for i, name := range names {
		file, ok := files[name]
		if !ok {
			return nil, unavailable(errors.New("apt-get download --print-uris did not name it"), name)
		}
		dir, err := buildcache.Dir(ctx, cacheRoot, "deb", strings.TrimSuffix(file, ".deb"), func(dir string) error {
			return download(ctx, name, file, dir)
		})
		if err != nil {
			return nil, err
		}
		packages[i] = Package{Name: name, File: file, Dir: dir}
	}
	return packages, nil
}

// archiveNames maps packages to the files that apt would download, read from lines of 'uri' file size hash.
func archiveNames(ctx context.Context, names []string) (map[string]string, error) {
	out, err := run(ctx, "", "apt-get", append([]string{"download", "--print-uris"}, names...)...)
	if err != nil {
		return nil, unavailable(err, strings.Join(names, " "))
	}
	files := map[string]string{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasSuffix(fields[1], ".deb") || strings.Contains(fields[1], "/") {
			return nil, unavailable(fmt.Errorf("apt-get download --print-uris said %q", line), strings.Join(names, " "))
		}
		name, _, _ := strings.Cut(fields[1], "_")
		files[name] = fields[1]
	}
	return files, nil
}

func download(ctx context.Context, name, file, dir string) error {
	// Root may read the folder, apt's own user perhaps not.
	if _, err := run(ctx, dir, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name); err != nil {
		return unavailable(err, name)
	}
	if _, err := run(ctx, dir, "dpkg-deb", "--extract", file, "."); err != nil {
		return err
	}
	return os.Remove(filepath.Join(dir, file))
}

// Dependency is the one package among name's dependencies that matches: what a meta package stands for today.
func Dependency(ctx context.Context, name string, match *regexp.Regexp) (string, error) {
	out, err := run(ctx, "", "apt-cache", "depends", "--no-recommends", "--no-suggests", name)
	if err != nil {
		return "", unavailable(err, name)
	}
	for line := range strings.Lines(out) {
		if dependency, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: "); ok && match.MatchString(dependency) {
			return dependency, nil
		}
	}
	return "", unavailable(fmt.Errorf("no dependency matches %s in %q", match, out), name)
}

// Libraries are the packages of libraries that the named ones depend on, directly and through each other.
func Libraries(ctx context.Context, names ...string) ([]string, error) {
	out, err := run(ctx, "", "apt-cache", append([]string{
		"depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances",
	}, names...)...)
	if err != nil {
		return nil, unavailable(err, strings.Join(names, " "))
	}
	depends, of := map[string][]string{}, ""
	for line := range strings.Lines(out) {
		kind, needed, found := strings.Cut(strings.Trim(line, " |\n"), ": ")
		switch {
		case !strings.HasPrefix(line, " "):
			of = strings.TrimSpace(line)
		case found && (kind == "Depends" || kind == "PreDepends") && strings.HasPrefix(needed, "lib"): // virtual ones stand in <>
			depends[of] = append(depends[of], needed)
		}
	}
	seen, found := map[string]bool{}, []string{}
	var follow func(name string)
	follow = func(name string) {
		for _, library := range depends[name] {
			if !seen[library] {
				seen[library] = true
				found = append(found, library)
				follow(library)
			}
		}
	}
	for _, name := range names {
		follow(name)
	}
	return found, nil
}

func unavailable(err error, name string) error {
	return fault.Wrap(err, fault.Unavailable,
		"The distribution's package %s cannot be downloaded; see whether `apt-get update` helps.", name)
}

func run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}
