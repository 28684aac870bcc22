package ovn

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/netns"
)

// remains is what a lab that was killed leaves behind, in the folder's cluster.json. It is written before the things
// themselves are made. Daemons are not in it: their pidfiles tell.
type remains struct {
	Run     string        `json:"run"`
	Chassis []ChassisSpec `json:"chassis"`
	Parts   []string      `json:"parts"` // what folders are called, and namespaces end with
}

// namespace of a part, if it has one.
func (r *remains) namespace(part string) string { return namespace(r.Run, part) }

func remainsFile(dir string) string { return filepath.Join(dir, "cluster.json") }

// readRemains gives nil when there are none.
func readRemains(dir string) (*remains, error) {
	text, err := os.ReadFile(remainsFile(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	r := new(remains)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", remainsFile(dir), err)
	}
	return r, nil
}

// write replaces the file in one go.
func (r *remains) write(dir string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	temp := remainsFile(dir) + ".new"
	if err := os.WriteFile(temp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, remainsFile(dir))
}

// takeFolder makes the folder, under its one true name, and holds it for this process.
func (c *Cluster) takeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if c.dir, err = filepath.EvalSymlinks(dir); err != nil {
		return err
	}
	c.lock, err = lockFolder(c.dir)
	return err
}

// lockFolder holds a folder until the file is closed; the kernel closes it however the process ends.
func lockFolder(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("another lab's network runs in %s", dir)
	}
	return lock, nil
}

// takeOver decides between adopting and a fresh start: all or nothing, since daemons, interfaces and namespaces hang
// together. From its end on a killed lab leaves a trace by which the next one knows what is this folder's.
func (c *Cluster) takeOver(config Config) error {
	old, err := readRemains(c.dir)
	if err != nil {
		return err
	}
	wanted := []string{central, underlay}
	for _, ch := range c.chassis {
		wanted = append(wanted, ch.part)
	}
	stands := func(part string) bool { return part == central || netns.Exists(c.namespace(part)) }
	fits := old != nil && old.Run == config.Name && slices.Equal(old.Chassis, config.Chassis)
	for _, part := range wanted {
		fits = fits && stands(part)
	}
	if fits {
		c.left = *old
	} else if err := sweep(c.dir); err != nil {
		return err
	}
	c.left.Run, c.left.Chassis = config.Name, config.Chassis
	for _, part := range wanted {
		if err := c.claim(part); err != nil {
			return err
		}
	}
	return nil
}

// claim notes a part that is about to be made, and makes its folder. A namespace that is there and is not this folder's
// is refused.
func (c *Cluster) claim(part string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.left.Parts, part) {
		if ns := c.namespace(part); netns.Exists(ns) {
			return fmt.Errorf("network namespace %s exists and is not this folder's: choose another run name, "+
				"or if no lab uses it remove it with: ip netns delete %s", ns, ns)
		}
		c.left.Parts = append(c.left.Parts, part)
		if err := c.left.write(c.dir); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(c.dir, part), 0o755)
}

// Sweep takes down what a killed lab left running in a folder, as Close would have. Without a folder, or with one that was
// closed, it does nothing.
func Sweep(dir string) error {
	if left, err := readRemains(dir); err != nil || left == nil {
		return err
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return err
	}
	return errors.Join(sweep(dir), lock.Close())
}

// sweep ends the daemons of a folder and removes the namespaces that it names and every file but the northbound database
// and the logs. In a folder without remains it does nothing.
func sweep(dir string) error {
	left, err := readRemains(dir)
	if err != nil || left == nil {
		return err
	}
	pidfiles, err := filepath.Glob(filepath.Join(dir, "*", "*.pid"))
	if err != nil {
		return err
	}
	var pids []int
	for _, file := range pidfiles {
		pid, err := lockHolder(file)
		if err != nil {
			return err
		}
		if pid != 0 {
			pids = append(pids, pid)
		}
	}
	if err := end(pids...); err != nil {
		return err
	}
	names, err := netns.Names()
	if err != nil {
		return err
	}
	for _, part := range left.Parts {
		for _, name := range names { // its own, and what an `ingot chassis` of that name made and left
			if own := left.namespace(part); name == own || strings.HasPrefix(name, own+"-metadata-") {
				if err := netns.Delete(name); err != nil {
					return err
				}
			}
		}
		files, err := filepath.Glob(filepath.Join(dir, part, "*"))
		if err != nil {
			return err
		}
		for _, file := range files {
			if name := filepath.Base(file); name == "nb.db" || filepath.Ext(name) == ".log" {
				continue
			}
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	return os.Remove(remainsFile(dir))
}
