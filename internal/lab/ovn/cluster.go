package ovn

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
)

// Config is what Start wants.
type Config struct {
	Name     string        // of the run: its network namespaces are ingot-<Name>-…
	Dir      string        // the cluster's folder, made when missing; its path is short enough for sockets in it
	Chassis  []ChassisSpec // at least one
	CacheDir string        // empty: the user's; see buildcache.Root
	Logger   *slog.Logger  // nil: slog.Default()
}

// ChassisSpec is one chassis of a cluster.
type ChassisSpec struct {
	Name    string `json:"name"`
	Gateway bool   `json:"gateway"` // it has a cable to the Internet, and routers' gateways may be on it
}

// Cluster is an OVN that runs.
type Cluster struct {
	name     string
	dir      string
	log      *slog.Logger
	software software
	chassis  []*chassis

	mu      sync.Mutex // of what follows
	left    remains
	daemons []*daemon
	tors    map[string]*ToR

	lock     *os.File
	watching context.Context // ends when nothing is started again any more; the daemons go on
	unwatch  context.CancelFunc
	watchers sync.WaitGroup
}

var nameAllowed = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

const nameRule = "1 to 32 lower case letters, digits and hyphens"

// longestSocket is the socket whose path is the longest in a chassis' folder; sockaddr_un(7) has 107 bytes and a zero.
const longestSocket = "controller.ctl"

// startLimit is how long a start may take once the programs are there; a loaded host needs a few seconds.
const startLimit = 2 * time.Minute

// Start brings a cluster up, or adopts what an earlier lab left in the folder, and returns when changes to the
// northbound database reach all chassis. A ctx that ends stops the start, not the cluster. On a host without sound
// packages the first start of all fetches them, which takes a minute.
func Start(ctx context.Context, config Config) (cluster *Cluster, err error) {
	began := time.Now()
	if err := config.check(); err != nil {
		return nil, err
	}
	c := &Cluster{name: config.Name, log: config.Logger, tors: map[string]*ToR{}}
	if c.log == nil {
		c.log = slog.Default()
	}
	c.watching, c.unwatch = context.WithCancel(context.Background())
	if c.software, err = findSoftware(ctx, config.CacheDir); err != nil {
		return nil, err
	}
	if err := c.takeFolder(config.Dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	for i, spec := range config.Chassis {
		ch := &chassis{ChassisSpec: spec, vswitch: c.newVswitch(spec.Name, chassisPart(spec.Name)), index: i}
		c.chassis = append(c.chassis, ch)
	}
	if err := c.takeOver(config); err != nil {
		return nil, err
	}
	prepared := time.Now()
	raising, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := c.raise(raising); err != nil {
		return nil, err
	}
	c.log.Info("the network is up", "run", c.name, "chassis", len(c.chassis), "datapath", c.software.datapath(),
		"took", time.Since(prepared).Round(time.Millisecond), "in all", time.Since(began).Round(time.Millisecond))
	return c, nil
}

// check refuses a wrong configuration and says all that the host lacks.
func (config *Config) check() error {
	if !nameAllowed.MatchString(config.Name) {
		return fmt.Errorf("a run's name is %s, not %q", nameRule, config.Name)
	}
	if len(config.Chassis) == 0 {
		return errors.New("a network has at least one chassis")
	}
	seen := map[string]bool{}
	for _, ch := range config.Chassis {
		if !nameAllowed.MatchString(ch.Name) || seen[ch.Name] {
			return fmt.Errorf("a chassis' name is its own and %s: %q is not", nameRule, ch.Name)
		}
		seen[ch.Name] = true
		path := filepath.Join(config.Dir, chassisPart(ch.Name), longestSocket)
		if path, err := filepath.Abs(path); err != nil || len(path) > 107 {
			return errors.Join(err, fmt.Errorf("the folder's name is too long by %d bytes for the socket %s in it", len(path)-107, path))
		}
	}
	var lacks []error
	if os.Geteuid() != 0 {
		lacks = append(lacks, errors.New("the lab makes network namespaces: run it as root"))
	}
	if _, err := exec.LookPath("nft"); err != nil {
		lacks = append(lacks, errors.New("nft is not installed (Debian package nftables)"))
	}
	return errors.Join(lacks...)
}

// raise ensures everything, from the namespaces up.
func (c *Cluster) raise(ctx context.Context) error {
	if err := raiseNamespace(c.namespace(underlay), ""); err != nil {
		return err
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: underlay, MTU: underlayMTU}}
	if err := raiseBridge(c.namespace(underlay), bridge); err != nil {
		return err
	}
	for _, ch := range c.chassis {
		if err := ch.raise(); err != nil {
			return fmt.Errorf("chassis %s: %w", ch.Name, err)
		}
	}
	if err := c.startDatabases(ctx); err != nil {
		return err
	}
	var all errgroup.Group
	all.Go(func() error { return c.startNorthd(ctx) })
	for _, ch := range c.chassis {
		all.Go(func() error { return ch.start(ctx) })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	c.watchers.Go(c.keepRoot)
	return c.Sync(ctx)
}

// keepRoot marks the programs' folder in the cache as used, once a day.
func (c *Cluster) keepRoot() {
	for c.watching.Err() == nil {
		if err := c.software.root.Touch(); err != nil {
			c.log.Warn("the network's programs may vanish from the cache", "error", err)
		}
		sleep(c.watching, 24*time.Hour)
	}
}

// Close ends the daemons and removes everything but the northbound database and the logs: what OVN works out of it is
// worked out anew by the next Start.
func (c *Cluster) Close() error {
	began := time.Now()
	c.unwatch()
	c.watchers.Wait()
	err := errors.Join(sweep(c.dir), c.lock.Close())
	c.log.Info("the network is down", "took", time.Since(began).Round(time.Millisecond))
	return err
}

// Destroy is Close, and the folder is removed.
func (c *Cluster) Destroy() error { return errors.Join(c.Close(), os.RemoveAll(c.dir)) }

// namespace is the name of one of a run's network namespaces.
func namespace(run, part string) string { return "ingot-" + run + "-" + part }

func (c *Cluster) namespace(part string) string { return namespace(c.name, part) }

// ChassisNamespace is the network namespace of a chassis of a run, where its machines' taps are.
func ChassisNamespace(run, chassis string) string { return namespace(run, chassisPart(chassis)) }

// ToRNamespace is the network namespace of a plain switch of a run, where its servers' taps are.
func ToRNamespace(run, name string) string { return namespace(run, torPart(name)) }

// Namespace is the network namespace of a chassis, where its machines' taps are opened; "" when there is no such chassis.
func (c *Cluster) Namespace(chassis string) string {
	ch, err := c.find(chassis)
	if err != nil {
		return ""
	}
	return ch.netns
}

// OVS is the endpoint of the database of a chassis' Open vSwitch; "" when there is no such chassis.
func (c *Cluster) OVS(chassis string) string {
	ch, err := c.find(chassis)
	if err != nil {
		return ""
	}
	return ch.endpoint()
}

func (c *Cluster) find(chassis string) (*chassis, error) {
	for _, ch := range c.chassis {
		if ch.Name == chassis {
			return ch, nil
		}
	}
	return nil, fmt.Errorf("there is no chassis %q", chassis)
}

// interfaceName is what becomes of a name that may be longer than the kernel's 15 characters.
func interfaceName(name string) string {
	if len(name) <= 15 {
		return name
	}
	return fmt.Sprintf("%s%08x", name[:7], crc32.ChecksumIEEE([]byte(name)))
}

// daemon prepares one that has its files in a part's folder; their names start with base.
func (c *Cluster) daemon(name, part, base, program string, args ...string) (*daemon, error) {
	argv, err := c.software.root.Command(program)
	if err != nil {
		return nil, err
	}
	d := &daemon{name: name, dir: filepath.Join(c.dir, part), base: base, env: c.environment(part), log: c.log}
	d.argv = append(argv, "--pidfile="+d.file(".pid"), "--unixctl="+d.file(".ctl"), "--log-file="+d.file(".log"), "-vconsole:off")
	d.argv = append(d.argv, args...)
	return d, nil
}

// keep brings a daemon up and watches it from then on.
func (c *Cluster) keep(ctx context.Context, d *daemon) error {
	if err := d.up(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	c.daemons = append(c.daemons, d)
	c.mu.Unlock()
	c.watchers.Go(func() { d.watch(c.watching) })
	return nil
}

// Daemon is how one of the cluster's processes fares.
type Daemon struct {
	Name   string // nb, sb, northd, <chassis>/db, <chassis>/vswitchd, <chassis>/controller
	PID    int    // 0 while it is down
	Starts int    // 1 when it never died
}

// Daemons in the order in which they came up.
func (c *Cluster) Daemons() []Daemon {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Daemon
	for _, d := range c.daemons {
		all = append(all, Daemon{d.name, int(d.pid.Load()), int(d.starts.Load())})
	}
	return all
}

// Kill kills a daemon (SIGKILL). It is started again at once; Sync waits for it.
func (c *Cluster) Kill(ctx context.Context, name string) error {
	c.mu.Lock()
	daemons := c.daemons // only ever added to
	c.mu.Unlock()
	for _, d := range daemons {
		if d.name == name {
			return d.kill(ctx)
		}
	}
	return fmt.Errorf("there is no daemon %q", name)
}

// allUp says whether every daemon that is meant to runs.
func (c *Cluster) allUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !slices.ContainsFunc(c.daemons, func(d *daemon) bool { return d.pid.Load() == 0 && !d.held.Load() })
}

// generation changes whenever a daemon is started again.
func (c *Cluster) generation() (n int) {
	for _, d := range c.Daemons() {
		n += d.Starts
	}
	return n
}
