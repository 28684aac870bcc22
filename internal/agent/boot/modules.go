package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Modules loads kernel modules out of a RAM disk.
type Modules struct {
	Root string                  // of the RAM disk: /
	Load func(file string) error // nil: the kernel's finit_module

	loaded map[string]bool // by name
}

// ModuleList names the modules to load at start, one path per line, dependencies first.
const ModuleList = "etc/modules-load"

// LoadList loads all of ModuleList. Modules that the kernel refuses are told of together; the rest is loaded.
func (m *Modules) LoadList() error {
	list, err := os.ReadFile(filepath.Join(m.Root, ModuleList))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // everything is built in
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range strings.Fields(string(list)) {
		errs = append(errs, m.load(filepath.Join(m.Root, file)))
	}
	return errors.Join(errs...)
}

// LoadForDevices loads the modules, with what they depend on, that modules.alias of the kernel's release names for the
// devices below sys. Run it after LoadList, which may have made more devices show up.
func (m *Modules) LoadForDevices(sys, release string) error {
	dir := filepath.Join(m.Root, "lib/modules", release)
	aliases, err := readAliases(filepath.Join(dir, "modules.alias"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	files, err := readDependencies(dir)
	if err != nil {
		return err
	}
	devices, err := modaliases(sys)
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range aliases {
		chain, known := files[a.module]
		if !known || m.loaded[a.module] {
			continue
		}
		for _, device := range devices {
			if !a.matches(device) {
				continue
			}
			for _, file := range chain {
				errs = append(errs, m.load(file))
			}
			break
		}
	}
	return errors.Join(errs...)
}

// load takes a module once. A driver without its hardware says ENODEV, one that is there already EEXIST: both are fine.
func (m *Modules) load(file string) error {
	name := moduleName(file)
	if m.loaded[name] {
		return nil
	}
	if m.loaded == nil {
		m.loaded = map[string]bool{}
	}
	m.loaded[name] = true
	load := m.Load
	if load == nil {
		load = finitModule
	}
	if err := load(file); err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("loading %s: %w", name, err)
	}
	return nil
}

func finitModule(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0)
}

func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// alias is a line of modules.alias: a pattern for a device's modalias, and a module.
type alias struct{ pattern, prefix, module string }

func (a alias) matches(modalias string) bool {
	if !strings.HasPrefix(modalias, a.prefix) { // cheap, and true for few
		return false
	}
	ok, err := path.Match(a.pattern, modalias)
	return ok && err == nil
}

func readAliases(file string) ([]alias, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var aliases []alias
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "alias" {
			prefix := f[1]
			if i := strings.IndexAny(prefix, `*?[\`); i >= 0 {
				prefix = prefix[:i]
			}
			aliases = append(aliases, alias{f[1], prefix, strings.ReplaceAll(f[2], "-", "_")})
		}
	}
	return aliases, nil
}

// readDependencies maps each module to the files to load for it, in order; its own is the last.
func readDependencies(dir string) (map[string][]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, err
	}
	direct := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		file, needs, ok := strings.Cut(strings.TrimSpace(line), ":")
		if ok {
			direct[file] = strings.Fields(needs)
		}
	}
	// Depmod lists all that is needed, other makers only the direct ones: follow them, each once.
	chains := map[string][]string{}
	for file := range direct {
		var order []string
		visiting := map[string]bool{}
		var visit func(string)
		visit = func(f string) {
			if visiting[f] {
				return
			}
			visiting[f] = true
			for _, needed := range direct[f] {
				visit(needed)
			}
			order = append(order, filepath.Join(dir, f))
		}
		visit(file)
		chains[moduleName(file)] = order
	}
	return chains, nil
}

// modaliases of all devices.
func modaliases(sys string) ([]string, error) {
	seen := map[string]bool{}
	var found []string
	err := filepath.WalkDir(filepath.Join(sys, "devices"), func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipDir // devices come and go
		}
		if entry.Name() == "modalias" && !entry.IsDir() {
			text, err := os.ReadFile(file)
			if name := strings.TrimSpace(string(text)); err == nil && name != "" && !seen[name] {
				seen[name] = true
				found = append(found, name)
			}
		}
		return nil
	})
	return found, err
}
