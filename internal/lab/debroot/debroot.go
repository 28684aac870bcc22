// Package debroot runs programs of a Debian release that is not the host's: its packages lie unpacked in a folder of
// the cache, and the folder's own dynamic loader starts the programs from there with the folder's own libraries.
//
// So there is no chroot, no mount and no container to clean up: such a process sees the host's files, users and
// sockets, and is an ordinary child. It suits programs that take their folders from flags or the environment; the
// packages' scripts have not run, and absolute paths compiled into a program mean the host's files.
package debroot

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/ramdisk/buildcache"
)

// recipe goes into the cache's key: count it up when the way a root is made changes.
const recipe = "1"

// Root is a folder with an unpacked release. The zero Root is the host itself.
type Root struct {
	Dir string // absolute; empty for the host
}

// searched are the folders that programs lie in. openvswitch-switch has vswitchd behind an alternatives link that only
// its scripts would make.
var searched = []string{"usr/sbin", "usr/bin", "usr/lib/openvswitch-switch"}

// Ensure gives the release (such as "trixie") with the packages and all that they depend on, from the cache where it is
// there; making it takes about a minute, root, mmdebstrap, and the archive that the host's apt has Debian from. cacheDir
// is as in buildcache.Root. Without an archive the error is fault.Unavailable.
func Ensure(ctx context.Context, cacheDir, release string, packages ...string) (Root, error) {
	cache, err := buildcache.Root(cacheDir)
	if err != nil {
		return Root{}, err
	}
	key := release + "-" + buildcache.Key(append([]string{recipe, release}, packages...)...)
	dir, err := buildcache.Dir(ctx, cache, "debroot", key, func(dir string) error {
		return Unpack(ctx, filepath.Join(dir, "root"), release, packages...)
	})
	return Root{filepath.Join(dir, "root")}, err
}

// Unpack makes the folder dir of the release's packages and all that they depend on, for those who have more to do with
// it than to start programs. Without an archive the error is fault.Unavailable.
func Unpack(ctx context.Context, dir, release string, packages ...string) error {
	mirror, err := findMirror(ctx)
	if err != nil {
		return err
	}
	args := []string{
		"--mode=root", "--variant=extract", "--skip=chroot/mount", "--format=directory",
		`--aptopt=APT::Install-Recommends "false"`, "--include=" + strings.Join(packages, ","),
	}
	for _, path := range []string{"doc", "info", "locale", "man"} {
		args = append(args, "--dpkgopt=path-exclude=/usr/share/"+path+"/*")
	}
	for _, option := range mirror.options {
		args = append(args, "--aptopt="+option)
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", append(args, release, dir, mirror.uri)...)
	// Its own mounts, should it make any, end with it; its children end when the context does.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if out, err := cmd.CombinedOutput(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return fault.Wrap(err, fault.Unavailable, "mmdebstrap is not installed (Debian package mmdebstrap).")
		}
		return fault.Wrap(fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), errors.Join(err, ctx.Err()), tail(out)),
			fault.Unavailable, "Debian %s cannot be fetched from the archive that the host's apt uses.", release)
	}
	return nil
}

// mirror is where the host's apt has Debian from, and how it reaches it.
type mirror struct {
	uri     string
	options []string // lines of apt's configuration: proxies, certificates, old snapshots
}

// findMirror asks the host's apt.
func findMirror(ctx context.Context) (mirror, error) {
	targets, err := run(ctx, "apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)", "Created-By: Packages")
	if err != nil {
		return mirror{}, err
	}
	configuration, err := run(ctx, "apt-config", "dump", "--no-empty")
	if err != nil {
		return mirror{}, err
	}
	return parseMirror(targets, configuration)
}

func parseMirror(targets, configuration string) (mirror, error) {
	var m mirror
	for line := range strings.Lines(targets) {
		if uri, ok := strings.CutPrefix(strings.TrimSpace(line), "Debian|Debian|main|"); ok {
			m.uri = uri
			break
		}
	}
	if m.uri == "" {
		return m, fault.New(fault.Unavailable, "The host's apt knows no Debian archive; see whether `apt-get update` helps.")
	}
	for line := range strings.Lines(configuration) {
		for _, wanted := range []string{"http", "https", "Check-", "Retries", "ForceIPv"} {
			if strings.HasPrefix(line, "Acquire::"+wanted) {
				m.options = append(m.options, strings.TrimSuffix(strings.TrimSpace(line), ";"))
				break
			}
		}
	}
	return m, nil
}

// Path is the file of the root at a path such as "usr/share/x".
func (r Root) Path(path string) string { return filepath.Join("/", r.Dir, path) }

// Command is what to execute for a program of the root, to which its arguments are added. A program that is not there
// is fs.ErrNotExist.
func (r Root) Command(program string) ([]string, error) {
	for _, dir := range searched {
		file := r.Path(filepath.Join(dir, program))
		switch _, err := os.Stat(file); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		case r.Dir == "":
			return []string{file}, nil
		}
		return r.load(file)
	}
	return nil, fmt.Errorf("program %s in %s: %w", program, r.Path(""), fs.ErrNotExist)
}

// load is the command that has the root's own loader start a program of the root, ld.so(8).
func (r Root) load(file string) ([]string, error) {
	object, err := elf.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%s is no binary program: %w", file, err)
	}
	defer object.Close()
	section := object.Section(".interp")
	if section == nil { // static: needs no loader
		return []string{file}, nil
	}
	name, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("the loader of %s: %w", file, err)
	}
	// The loader is named under the old /lib64, which is a link to usr/lib64 that only an installation has.
	loader := r.Path(filepath.Join("usr", string(bytes.TrimRight(name, "\x00"))))
	libraries, err := filepath.Glob(r.Path("usr/lib/*-linux-gnu*"))
	if err != nil {
		return nil, err
	}
	return []string{loader, "--library-path", strings.Join(libraries, ":"), file}, nil
}

// Touch keeps the root in the cache for those who run programs of it for weeks.
func (r Root) Touch() error {
	if r.Dir == "" {
		return nil
	}
	now := time.Now()
	return os.Chtimes(filepath.Dir(r.Dir), now, now)
}

func run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		return "", fault.Wrap(fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err), fault.Unavailable,
			"The host has no apt to tell where Debian is to be had from.")
	}
	return string(out), nil
}

// tail is the end of a program's output, where the reason stands.
func tail(out []byte) string {
	const most = 1500
	out = bytes.TrimSpace(out)
	if len(out) > most {
		out = out[len(out)-most:]
	}
	return string(out)
}
