package kexec

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// grub runs a grub.cfg as far as it decides what is booted: variables, conditions, search, menu entries.
type grub struct {
	volumes   []Volume
	variables map[string]string
	functions map[string][]stmt
	menu      *menu
	entry     *Entry // that linux and initrd fill, while a menu entry's body runs
	steps     int    // left, against scripts without an end
	from      string
}

// menu of entries; a submenu is filled when it is opened.
type menu struct{ items []menuItem }

type menuItem struct {
	title, id string
	body      []stmt
	submenu   bool
	bls       *Entry
}

var errBudget = errors.New("grub.cfg runs too long")

// grubConfigs are where distributions keep their configuration. The one on the EFI system partition only refers to it.
var grubConfigs = []string{"boot/grub/grub.cfg", "boot/grub2/grub.cfg", "grub/grub.cfg", "grub2/grub.cfg"}

func (v *Volume) grubConfig() string {
	for _, name := range grubConfigs {
		if v.has(name) {
			return name
		}
	}
	names, err := fs.Glob(v.FS, "EFI/*/grub.cfg")
	if err != nil || len(names) == 0 {
		return ""
	}
	return names[0]
}

// findGrub takes grub's default entry or, when there is no such entry, the first that has a kernel.
func findGrub(volumes []Volume) (Entry, error) {
	var looked []error
	for _, onESP := range []bool{false, true} {
		for i := range volumes {
			v := &volumes[i]
			name := v.grubConfig()
			if name == "" || strings.HasPrefix(name, "EFI/") != onESP {
				continue
			}
			entry, err := runGrub(volumes, v, name)
			if err == nil {
				return entry, nil
			}
			looked = append(looked, fmt.Errorf("partition %d: %s: %w", v.Partition, name, err))
		}
	}
	return Entry{}, errors.Join(append([]error{errors.New("no entry of grub.cfg")}, looked...)...)
}

func runGrub(volumes []Volume, v *Volume, name string) (Entry, error) {
	device := "hd0,gpt" + strconv.Itoa(v.Partition)
	platform, cpu := "efi", "x86_64"
	if runtime.GOARCH == "arm64" {
		cpu = "arm64"
	}
	g := &grub{
		volumes:   volumes,
		functions: map[string][]stmt{},
		menu:      &menu{},
		steps:     20000,
		from:      name,
		variables: map[string]string{
			"root":             device,
			"prefix":           "(" + device + ")/" + path.Dir(name),
			"config_directory": "(" + device + ")/" + path.Dir(name),
			"grub_platform":    platform,
			"grub_cpu":         cpu,
			// What grub.cfg asks before it uses the newer syntax.
			"feature_menuentry_id": "y", "feature_platform_search_hint": "y", "feature_timeout_style": "y",
			"feature_all_video_module": "y", "feature_default_font_path": "y", "feature_nativedisk_cmd": "y",
		},
	}
	if err := g.source(name); err != nil {
		return Entry{}, err
	}
	if entry, err := g.choose(g.menu, g.variables["default"]); err == nil {
		return entry, nil
	}
	return g.first(g.menu)
}

// choose follows a default: a number, a title or an id; after ">" comes the choice in a submenu.
func (g *grub) choose(m *menu, choice string) (Entry, error) {
	choice, rest, _ := strings.Cut(choice, ">")
	if choice == "" {
		choice = "0"
	}
	number, err := strconv.Atoi(choice)
	for i, item := range m.items {
		if err == nil && i == number || choice == item.title || choice == item.id && item.id != "" {
			if item.submenu {
				opened, err := g.openMenu(item)
				if err != nil {
					return Entry{}, err
				}
				return g.choose(opened, rest)
			}
			return g.boot(item)
		}
	}
	return Entry{}, fmt.Errorf("no menu entry %q", choice)
}

func (g *grub) first(m *menu) (Entry, error) {
	for _, item := range m.items {
		if !item.submenu {
			if entry, err := g.boot(item); err == nil {
				return entry, nil
			}
		}
	}
	for _, item := range m.items {
		if item.submenu {
			opened, err := g.openMenu(item)
			if err != nil {
				return Entry{}, err
			}
			if entry, err := g.first(opened); err == nil {
				return entry, nil
			}
		}
	}
	return Entry{}, errors.New("no menu entry has a kernel")
}

func (g *grub) openMenu(item menuItem) (*menu, error) {
	outer := g.menu
	defer func() { g.menu = outer }()
	g.menu = &menu{}
	_, err := g.run(item.body)
	return g.menu, err
}

func (g *grub) boot(item menuItem) (Entry, error) {
	if item.bls != nil {
		return *item.bls, nil
	}
	g.entry = &Entry{Title: item.title, From: g.from}
	defer func() { g.entry = nil }()
	if _, err := g.run(item.body); err != nil {
		return Entry{}, err
	}
	if g.entry.Linux == nil {
		return Entry{}, fmt.Errorf("menu entry %q starts no Linux", item.title)
	}
	return *g.entry, nil
}

func (g *grub) source(name string) error {
	v, file, err := g.resolve(name)
	if err != nil {
		return err
	}
	text, err := v.read(file)
	if err != nil {
		return err
	}
	stmts, err := parseGrub(text)
	if err != nil {
		return err
	}
	_, err = g.run(stmts)
	return err
}

// run gives the last command's status, as a shell does. Errors are of the kind that ends a script.
func (g *grub) run(stmts []stmt) (bool, error) {
	status := true
	for _, s := range stmts {
		if g.steps--; g.steps < 0 {
			return false, errBudget
		}
		var err error
		if len(s.branches) > 0 {
			status, err = g.runIf(s)
		} else {
			status, err = g.command(s)
		}
		if err != nil {
			return false, err
		}
	}
	return status, nil
}

func (g *grub) runIf(s stmt) (bool, error) {
	for _, b := range s.branches {
		ok, err := g.run(b.condition)
		if err != nil {
			return false, err
		}
		if ok {
			return g.run(b.body)
		}
	}
	return true, nil
}

func (g *grub) command(s stmt) (bool, error) {
	args := g.expand(s.words)
	if len(args) == 0 {
		return true, nil
	}
	name, args := args[0], args[1:]
	if body, ok := g.functions[name]; ok {
		return g.run(body)
	}
	switch name {
	case "function":
		if len(args) > 0 {
			g.functions[args[0]] = s.block
		}
	case "set":
		if len(args) > 0 {
			g.set(args[0])
		}
	case "unset":
		for _, variable := range args {
			delete(g.variables, variable)
		}
	case "false":
		return false, nil
	case "[", "test":
		return g.test(args), nil
	case "search", "search.fs_uuid", "search.fs_label", "search.file":
		return g.search(name, args), nil
	case "load_env":
		return g.loadEnv(args), nil
	case "source", ".", "configfile":
		if len(args) == 0 {
			return false, nil
		}
		err := g.source(args[0])
		if errors.Is(err, errBudget) {
			return false, err
		}
		return err == nil, nil
	case "menuentry", "submenu":
		g.addItem(args, s.block, name == "submenu")
	case "blscfg":
		for _, e := range readBLS(g.volumes, func(name string) string { return g.variables[name] }) {
			g.menu.items = append(g.menu.items, menuItem{title: e.Title, id: e.id, bls: &e.Entry})
		}
	case "linux", "linux16", "linuxefi", "initrd", "initrd16", "initrdefi":
		return true, g.load(strings.HasPrefix(name, "linux"), args)
	default:
		if strings.Contains(name, "=") {
			g.set(name)
		} // else graphics, modules, terminals: they do not decide what is booted
	}
	return true, nil
}

func (g *grub) set(assignment string) {
	if name, value, ok := strings.Cut(assignment, "="); ok {
		g.variables[name] = value
	}
}

// expand makes arguments of words; variables outside quotes are split at spaces and vanish when empty.
func (g *grub) expand(words []word) []string {
	var args []string
	for _, w := range words {
		var current strings.Builder
		has := false
		for _, p := range w {
			text := p.text
			if p.variable {
				text = g.variables[p.text]
			}
			if p.variable && !p.quoted {
				fields := strings.Fields(text)
				for i, field := range fields {
					if i > 0 {
						args = append(args, current.String())
						current.Reset()
					}
					current.WriteString(field)
					has = true
				}
				continue
			}
			current.WriteString(text)
			has = true
		}
		if has {
			args = append(args, current.String())
		}
	}
	return args
}

func (g *grub) addItem(args []string, body []stmt, submenu bool) {
	item := menuItem{body: body, submenu: submenu}
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--id" && i+1 < len(args):
			i++
			item.id = args[i]
		case strings.HasPrefix(args[i], "--id="):
			item.id = strings.TrimPrefix(args[i], "--id=")
		case args[i] == "--class" || args[i] == "--users" || args[i] == "--hotkey":
			i++
		case !strings.HasPrefix(args[i], "-") && item.title == "":
			item.title = args[i]
		}
	}
	g.menu.items = append(g.menu.items, item)
}

// load takes a kernel with its command line, or initial RAM disks.
func (g *grub) load(kernel bool, args []string) error {
	if g.entry == nil || len(args) == 0 {
		return nil
	}
	if kernel {
		source, err := g.file(args[0])
		if err != nil {
			return err
		}
		var words []string
		for _, arg := range args[1:] {
			if strings.ContainsAny(arg, " \t") {
				arg = `"` + arg + `"`
			}
			words = append(words, arg)
		}
		g.entry.Linux, g.entry.Cmdline, g.entry.Initrd = source, strings.Join(words, " "), nil
		return nil
	}
	for _, arg := range args {
		source, err := g.file(arg)
		if err != nil {
			return err
		}
		g.entry.Initrd = append(g.entry.Initrd, source)
	}
	return nil
}

func (g *grub) file(name string) (Source, error) {
	v, file, err := g.resolve(name)
	if err != nil {
		return nil, err
	}
	return v.source(file)
}

var partitionNumber = regexp.MustCompile(`\d+$`)

// resolve finds the volume of a path such as (hd0,gpt2)/boot/vmlinuz or, without a device, on $root. There is but one
// disk, so only the partition counts.
func (g *grub) resolve(name string) (*Volume, string, error) {
	device := g.variables["root"]
	if strings.HasPrefix(name, "(") {
		var ok bool
		if device, name, ok = strings.Cut(name[1:], ")"); !ok {
			return nil, "", fmt.Errorf("%q is no path", name)
		}
	}
	number, err := strconv.Atoi(partitionNumber.FindString(device))
	if err != nil {
		return nil, "", fmt.Errorf("%q is no partition", device)
	}
	if !strings.Contains(device, ",") {
		number = 0 // the whole disk
	}
	for i := range g.volumes {
		if g.volumes[i].Partition == number {
			return &g.volumes[i], name, nil
		}
	}
	return nil, "", fmt.Errorf("partition %d has no file system that can be read", number)
}
