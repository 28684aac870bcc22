package ovn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"github.com/ingotcloud/ingot/internal/lab/debroot"
)

// The oldest versions that serve. Open vSwitch before 3.1.7 aborts in its userspace connection tracking after a few
// thousand connections; OVN before 23.06 has no ACL tiers.
var (
	soundOVS = version{3, 1, 7}
	soundOVN = version{23, 6, 0}
)

// What the Debian root is made of where the host's own packages do not serve.
const release = "trixie"

var packages = []string{"openvswitch-switch", "ovn-central", "ovn-host"}

// software is where the programs come from and which datapath they drive.
type software struct {
	root   debroot.Root
	kernel bool // the kernel's datapath, else vswitchd's own
}

// findSoftware prefers what the host has.
func findSoftware(ctx context.Context, cacheDir string) (software, error) {
	s := software{kernel: hasKernelDatapath(ctx)}
	switch err := s.check(ctx); {
	case err == nil:
		return s, nil
	case !errors.Is(err, errUnsound) && !errors.Is(err, fs.ErrNotExist):
		return s, err
	}
	var err error
	if s.root, err = debroot.Ensure(ctx, cacheDir, release, packages...); err != nil {
		return s, fmt.Errorf("no sound Open vSwitch and OVN: %w", err)
	}
	return s, s.check(ctx)
}

var errUnsound = errors.New("too old")

// check asks the programs for their versions.
func (s software) check(ctx context.Context) error {
	ovs, err := s.version(ctx, "ovs-vswitchd")
	if err != nil {
		return err
	}
	if !s.kernel && ovs.less(soundOVS) {
		return fmt.Errorf("Open vSwitch %v is %w, %v serves", ovs, errUnsound, soundOVS)
	}
	ovn, err := s.version(ctx, "ovn-controller")
	if err != nil {
		return err
	}
	if ovn.less(soundOVN) {
		return fmt.Errorf("OVN %v is %w, %v serves", ovn, errUnsound, soundOVN)
	}
	_, err = s.version(ctx, "ovn-northd") // a package of its own
	return err
}

func (s software) version(ctx context.Context, program string) (version, error) {
	argv, err := s.root.Command(program)
	if err != nil {
		return version{}, err
	}
	out, err := exec.CommandContext(ctx, argv[0], append(argv[1:], "--version")...).CombinedOutput()
	if err != nil {
		return version{}, fmt.Errorf("%s --version: %w: %s", program, err, out)
	}
	return parseVersion(string(out))
}

// schema is a database schema of the packages.
func (s software) schema(name string) string { return s.root.Path("usr/share/" + name + ".ovsschema") }

// datapath is Open vSwitch's name for it.
func (s software) datapath() string {
	if s.kernel {
		return "system"
	}
	return "netdev"
}

// hasKernelDatapath loads the module where there is one.
func hasKernelDatapath(ctx context.Context) bool {
	_ = exec.CommandContext(ctx, "modprobe", "--quiet", "openvswitch").Run() // the next line tells
	_, err := os.Stat("/sys/module/openvswitch")
	return err == nil
}

type version [3]int

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

func (v version) less(w version) bool {
	for i := range v {
		if v[i] != w[i] {
			return v[i] < w[i]
		}
	}
	return false
}

var versionNumber = regexp.MustCompile(`\b(\d+)\.(\d+)(?:\.(\d+))?`)

// parseVersion reads the first line of a --version such as "ovs-vswitchd (Open vSwitch) 3.5.0".
func parseVersion(text string) (v version, err error) {
	line, _, _ := strings.Cut(text, "\n")
	m := versionNumber.FindStringSubmatch(line)
	if m == nil {
		return v, fmt.Errorf("no version in %q", line)
	}
	for i, digits := range m[1:] {
		if digits == "" {
			continue
		}
		if v[i], err = strconv.Atoi(digits); err != nil {
			return v, err
		}
	}
	return v, nil
}
