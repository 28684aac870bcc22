// Package config reads the one configuration file: YAML, the environment over it, flags over that. Every key has a
// default that works for the lab; Check names every mistake with its line.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
)

// Config of `ingot serve`. The comments are the reference; docs/configuration.md is made from them.
type Config struct {
	// Home is the folder that keeps everything the running cloud keeps.
	Home string `yaml:"home"`
	// Listen is the address of the public API.
	Listen string `yaml:"listen"`
	// PublicURL is how clients reach it; empty: made from listen.
	PublicURL string `yaml:"public_url"`
	// TLS of the public API; both empty: plain HTTP.
	TLS TLS `yaml:"tls"`
	// RequestsPerSecond that each user may send; twice as many at once. Negative: any number.
	RequestsPerSecond int `yaml:"requests_per_second"`
	// Database is "sqlite:PATH" or "postgres://…"; empty: SQLite in home.
	Database string `yaml:"database"`
	// Workers is how many steps of long work run at once.
	Workers int `yaml:"workers"`
	// LogLevel is debug, info, warn or error.
	LogLevel string   `yaml:"log_level"`
	Identity Identity `yaml:"identity"`
	Images   Images   `yaml:"images"`
	Machines Machines `yaml:"machines"`
	OVN      OVN      `yaml:"ovn"`
	Consoles Consoles `yaml:"consoles"`
}

// TLS names PEM files.
type TLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Identity of the cloud.
type Identity struct {
	// AdminPassword of the user admin; empty: drawn at the first start and kept in home/admin-password.
	AdminPassword string `yaml:"admin_password"`
	// Region in the catalog.
	Region string `yaml:"region"`
	// TokenLife is how long a token is good for.
	TokenLife time.Duration `yaml:"token_life"`
	// PasswordHashRounds is bcrypt's cost, 4 to 31: each step doubles what a login costs us, and what a guess costs a thief.
	// Less than 10 is for labs. Who has a hash of another cost gets one of this cost at the next login.
	PasswordHashRounds int       `yaml:"password_hash_rounds"`
	Passwords          Passwords `yaml:"passwords"`
	// Keystone that exists already, to trust in place of an identity of our own; without a URL there is our own.
	Keystone Keystone `yaml:"keystone"`
}

// Passwords are rules for the passwords of our own identity; zero and empty ask for nothing.
type Passwords struct {
	// Lifetime after which a password must be changed.
	Lifetime time.Duration `yaml:"lifetime"`
	// MinAge before which users may not change a password again.
	MinAge time.Duration `yaml:"min_age"`
	// History is how many of their last passwords, the present one included, users may not take again.
	History int `yaml:"history"`
	// Pattern is a regular expression that passwords match, and PatternHint says to users what it wants.
	Pattern     string `yaml:"pattern"`
	PatternHint string `yaml:"pattern_hint"`
	// LockAfter so many wrong passwords in a row the user is locked out, for LockFor; 0 there: until an administrator
	// sets another password.
	LockAfter int           `yaml:"lock_after"`
	LockFor   time.Duration `yaml:"lock_for"`
	// ChangeFirst makes users change a password that an administrator set before they use it.
	ChangeFirst bool `yaml:"change_first"`
}

// Keystone is how to reach an existing one, and the user by whom tokens are validated: it needs the role service or
// admin on its project.
type Keystone struct {
	// URL of the Identity API, "https://cloud.example/identity/v3".
	URL           string `yaml:"url"`
	Username      string `yaml:"username"`
	Password      string `yaml:"password"`
	Project       string `yaml:"project"`
	UserDomain    string `yaml:"user_domain"`
	ProjectDomain string `yaml:"project_domain"`
	// Cache is how long a valid token is not asked about again, so how late a revocation may be known.
	Cache time.Duration `yaml:"cache"`
}

// Images of the cloud.
type Images struct {
	// Folder for the images' data; empty: home/images. Ignored with s3.
	Folder string `yaml:"folder"`
	// MaxBytes of an upload and of a disk.
	MaxBytes int64 `yaml:"max_bytes"`
	S3       S3    `yaml:"s3"`
}

// S3 bucket for the images' data; without an endpoint the folder is used.
type S3 struct {
	Endpoint  string `yaml:"endpoint"`
	Bucket    string `yaml:"bucket"`
	AccessKey string `yaml:"access_key"`
	SecretKey string `yaml:"secret_key"`
	Insecure  bool   `yaml:"insecure"` // plain HTTP
}

// Machines: how the control plane and they meet.
type Machines struct {
	// Namespace is the named network namespace of the quarantine network's interface; empty: the host's own.
	Namespace string `yaml:"namespace"`
	// Interface on the quarantine network; empty: machines boot by their BMCs' virtual media alone.
	Interface string `yaml:"interface"`
	// Address of the control plane on it, with prefix length.
	Address netip.Prefix `yaml:"address"`
	// First and Last address that machines in quarantine get; empty: the tenth of the address' network, and its last.
	First netip.Addr `yaml:"first"`
	Last  netip.Addr `yaml:"last"`
	// AgentPort of the agents' listener and BootPort of the boot artefacts on that address.
	AgentPort int `yaml:"agent_port"`
	BootPort  int `yaml:"boot_port"`
	// MediaListen is where BMCs fetch virtual media: an address on the BMCs' network.
	MediaListen string `yaml:"media_listen"`
	// Kernel, Initrd and UKI of the agent's RAM disk, as `ingot ramdisk build` makes them.
	Kernel string `yaml:"kernel"`
	Initrd string `yaml:"initrd"`
	UKI    string `yaml:"uki"`
	// RescueInitrd and RescueUKI are the RAM disk with the tools of the rescue system, made beside the others; empty: servers
	// cannot be rescued.
	RescueInitrd string `yaml:"rescue_initrd"`
	RescueUKI    string `yaml:"rescue_uki"`
	// Cmdline is added to the agent's kernel command line.
	Cmdline string `yaml:"cmdline"`
	// SigningKey and SigningCert (PEM) sign the agent for machines with Secure Boot.
	SigningKey  string `yaml:"signing_key"`
	SigningCert string `yaml:"signing_cert"`
	// LookEvery is how often power and agents are looked at.
	LookEvery time.Duration `yaml:"look_every"`
	// BootTimeout is how long a machine may take from being switched on to the agent's first word: longer than the
	// slowest POST in the rack. A machine that takes longer is quarantined.
	BootTimeout time.Duration `yaml:"boot_timeout"`
	// FakeHardware offers Ironic's driver fake-hardware: machines that exist nowhere, to try clients of the Bare Metal API
	// on. For one process only, and not for production.
	FakeHardware bool `yaml:"fake_hardware"`
}

// OVN that carries tenants' networks. Without nb and sb there is none, and no server gets a machine's ports up.
type OVN struct {
	// NB and SB are the northbound and the southbound database, as OVN writes endpoints: unix:PATH, tcp:HOST:PORT or
	// ssl:HOST:PORT; all servers of a cluster with commas between.
	NB string `yaml:"nb"`
	SB string `yaml:"sb"`
	// Pretend, in place of nb and sb: nothing carries the networks, and ports are said to be up as soon as they are plugged
	// in. It is for machines that only pretend, too (ingot lab sim).
	Pretend bool `yaml:"pretend"`
	// TLS for "ssl:".
	TLS OVNTLS `yaml:"tls"`
	// Owner marks our rows: two clouds in one OVN must differ in it. Changing it abandons the rows that are there.
	Owner string `yaml:"owner"`
	// ExternalPhysical is the physical network that is behind the gateway chassis (their ovn-bridge-mappings), which
	// operators name when they make external networks; empty: any name is taken for one.
	ExternalPhysical string `yaml:"external_physical"`
	// NeedToFrag has routers answer what is too long for the next network by ICMP, where their networks' MTUs differ. It must be
	// off where a chassis runs Open vSwitch's userspace datapath with userspace-tso-enable: there the segments that TCP leaves
	// to the NIC count as one packet, and every transfer stalls.
	NeedToFrag bool `yaml:"need_to_frag"`
	// MetadataListen is where `ingot chassis` asks for servers' metadata, with TLS under the key that agents know
	// (agent-door.pem); empty: nobody answers at 169.254.169.254. MetadataSecret is what it shares with the chassis.
	MetadataListen string `yaml:"metadata_listen"`
	MetadataSecret string `yaml:"metadata_secret"`
}

// OVNTLS names PEM files: what we show to OVN's databases, and the authority that theirs must come from.
type OVNTLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	CA   string `yaml:"ca"`
}

// Consoles of the servers.
type Consoles struct {
	// Folder for what servers print on their serial lines; empty: home/consoles.
	Folder string `yaml:"folder"`
	// KeepBytes of each server's output at most.
	KeepBytes int64 `yaml:"keep_bytes"`
	// FrameAncestors are the origins whose pages may show a console in a frame: Horizon's, "https://horizon.example".
	FrameAncestors []string `yaml:"frame_ancestors"`
	// PeerURL is where other ingot processes reach this one's public API directly, not through a load balancer; empty: made
	// from listen.
	PeerURL string `yaml:"peer_url"`
}

// Default is the configuration of the lab.
func Default() Config {
	return Config{
		Home: "run", Listen: "127.0.0.1:8000", RequestsPerSecond: 200, Workers: 32, LogLevel: "info",
		Identity: Identity{
			Region: "RegionOne", TokenLife: 4 * time.Hour, PasswordHashRounds: 12,
			Keystone: Keystone{Project: "service", UserDomain: "Default", ProjectDomain: "Default", Cache: 10 * time.Second},
		},
		Images: Images{MaxBytes: 1 << 40},
		Machines: Machines{
			Interface: "rack", Address: netip.MustParsePrefix("10.77.0.1/24"),
			AgentPort: 8443, BootPort: 8080, MediaListen: "127.0.0.1:0", Cmdline: "console=ttyS0", LookEvery: 5 * time.Second, BootTimeout: 15 * time.Minute,
		},
		OVN:      OVN{Owner: "ingot", NeedToFrag: true},
		Consoles: Consoles{KeepBytes: 4 << 20},
	}
}

// Environment maps variables to the keys they override.
var environment = map[string]func(*Config, string){
	"INGOT_HOME":            func(c *Config, v string) { c.Home = v },
	"INGOT_LISTEN":          func(c *Config, v string) { c.Listen = v },
	"INGOT_PUBLIC_URL":      func(c *Config, v string) { c.PublicURL = v },
	"INGOT_DATABASE":        func(c *Config, v string) { c.Database = v },
	"INGOT_LOG_LEVEL":       func(c *Config, v string) { c.LogLevel = v },
	"INGOT_ADMIN_PASSWORD":  func(c *Config, v string) { c.Identity.AdminPassword = v },
	"INGOT_FRAME_ANCESTORS": func(c *Config, v string) { c.Consoles.FrameAncestors = strings.Fields(v) },
}

// Load reads the file (none with an empty path), lays the environment over it and checks the whole.
func Load(path string) (Config, error) {
	c := Default()
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return c, err
		}
		if err := yaml.UnmarshalWithOptions(text, &c, yaml.Strict()); err != nil {
			return c, fmt.Errorf("%s: %s", path, yaml.FormatError(err, false, true))
		}
	}
	for name, set := range environment {
		if value := os.Getenv(name); value != "" {
			set(&c, value)
		}
	}
	home, err := filepath.Abs(c.Home)
	if err != nil {
		return c, err
	}
	c.Home = home
	if c.Database == "" {
		c.Database = "sqlite:" + filepath.Join(c.Home, "ingot.db")
	}
	if c.Images.Folder == "" {
		c.Images.Folder = filepath.Join(c.Home, "images")
	}
	if c.Consoles.Folder == "" {
		c.Consoles.Folder = filepath.Join(c.Home, "consoles")
	}
	scheme := "http"
	if c.TLS.Cert != "" {
		scheme = "https"
	}
	if c.PublicURL == "" {
		c.PublicURL = scheme + "://" + c.Listen
	}
	c.Machines.chooseRange()
	if c.Consoles.PeerURL == "" {
		c.Consoles.PeerURL = scheme + "://" + c.Listen
	}
	if mistakes := c.check(); len(mistakes) > 0 {
		return c, locate(mistakes, path)
	}
	return c, nil
}

// chooseRange fills in the ends of the quarantine's range that are left out. In a network that is too small for it check
// says so.
func (m *Machines) chooseRange() {
	network := m.Address.Masked()
	if !m.First.IsValid() {
		m.First = network.Addr()
		for range 10 {
			m.First = m.First.Next()
		}
	}
	if !m.Last.IsValid() {
		m.Last = m.First
		for network.Contains(m.Last.Next().Next()) {
			m.Last = m.Last.Next()
		}
	}
}

// mistake is a wrong value, by its key.
type mistake struct{ key, text string }

// locate says where in the file each mistake stands. A value from the environment, a flag or a default has no line.
func locate(mistakes []mistake, path string) error {
	var lines []error
	file, parseErr := parser.ParseFile(path, 0)
	for _, m := range mistakes {
		where := m.key
		if place, err := yaml.PathString("$." + m.key); err == nil && parseErr == nil {
			if node, err := place.FilterFile(file); err == nil {
				where = fmt.Sprintf("%s:%d: %s", path, node.GetToken().Position.Line, m.key)
			}
		}
		lines = append(lines, fmt.Errorf("%s: %s", where, m.text))
	}
	return errors.Join(lines...)
}

// check names every mistake at once.
func (c *Config) check() (mistakes []mistake) {
	wrong := func(key, format string, args ...any) {
		mistakes = append(mistakes, mistake{key, fmt.Sprintf(format, args...)})
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		wrong("listen", "it must be host:port: %v", err)
	}
	if _, _, err := net.SplitHostPort(c.Machines.MediaListen); err != nil {
		wrong("machines.media_listen", "it must be host:port: %v", err)
	}
	if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" {
		wrong("public_url", "it must be a URL")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		wrong("tls", "cert and key belong together")
	}
	if (c.Machines.SigningCert == "") != (c.Machines.SigningKey == "") {
		wrong("machines", "signing_cert and signing_key belong together")
	}
	if !strings.HasPrefix(c.Database, "sqlite:") && !strings.HasPrefix(c.Database, "postgres") {
		wrong("database", `it must be "sqlite:PATH" or "postgres://…"`)
	}
	if c.RequestsPerSecond == 0 {
		wrong("requests_per_second", "nobody could ask for anything; -1 sets no limit")
	}
	if c.Workers < 1 {
		wrong("workers", "at least one is needed")
	}
	if c.Identity.TokenLife < time.Minute {
		wrong("identity.token_life", "a token must live for a minute at least")
	}
	if c.Identity.PasswordHashRounds < 4 || c.Identity.PasswordHashRounds > 31 {
		wrong("identity.password_hash_rounds", "it is 4 to 31")
	}
	if p := c.Identity.Passwords; p.Lifetime < 0 || p.MinAge < 0 || p.History < 0 || p.LockAfter < 0 || p.LockFor < 0 {
		wrong("identity.passwords", "none of the rules may be negative")
	} else if p.Lifetime > 0 && p.MinAge >= p.Lifetime {
		wrong("identity.passwords.min_age", "it must be less than the lifetime")
	}
	if _, err := regexp.Compile(c.Identity.Passwords.Pattern); err != nil {
		wrong("identity.passwords.pattern", "%v", err)
	}
	if k := c.Identity.Keystone; k.URL != "" {
		if u, err := url.Parse(k.URL); err != nil || u.Host == "" {
			wrong("identity.keystone.url", "it must be a URL")
		}
		if k.Username == "" || k.Password == "" {
			wrong("identity.keystone", "username and password are needed")
		}
	}
	if c.Machines.LookEvery < time.Second {
		wrong("machines.look_every", "a second is the least")
	}
	if c.Machines.BootTimeout < time.Second {
		wrong("machines.boot_timeout", "a second is the least")
	}
	if c.Consoles.KeepBytes < 64<<10 {
		wrong("consoles.keep_bytes", "65536 is the least")
	}
	if u, err := url.Parse(c.Consoles.PeerURL); err != nil || u.Host == "" {
		wrong("consoles.peer_url", "it must be a URL")
	}
	for _, origin := range c.Consoles.FrameAncestors {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || u.Path != "" || strings.ContainsAny(origin, " ;,'") {
			wrong("consoles.frame_ancestors", "%q is no origin: it must be like https://horizon.example", origin)
		}
	}
	quarantine := c.Machines.Address.Masked()
	inside := func(key string, addr netip.Addr) {
		if !quarantine.Contains(addr) {
			wrong(key, "%s is not in %s", addr, quarantine)
		}
	}
	inside("machines.first", c.Machines.First)
	inside("machines.last", c.Machines.Last)
	if c.Machines.First.Compare(c.Machines.Last) > 0 {
		wrong("machines.last", "the range ends before it begins")
	}
	mistakes = append(mistakes, c.OVN.check()...)
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		wrong("log_level", "it must be debug, info, warn or error")
	}
	return mistakes
}
