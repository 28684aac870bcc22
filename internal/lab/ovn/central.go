package ovn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// The databases and northd live in the folder "central" and in no network at all: every connection is a Unix socket.
const central = "central"

// NB is the northbound database's OVSDB endpoint, unix:PATH.
func (c *Cluster) NB() string { return "unix:" + filepath.Join(c.dir, central, "nb.sock") }

// SB is the southbound database's OVSDB endpoint, unix:PATH.
func (c *Cluster) SB() string { return "unix:" + filepath.Join(c.dir, central, "sb.sock") }

func (c *Cluster) startDatabases(ctx context.Context) error {
	for _, base := range []string{"nb", "sb"} {
		d, err := c.database(ctx, base, central, base, "ovn/ovn-"+base)
		if err != nil {
			return err
		}
		if err := c.keep(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) startNorthd(ctx context.Context) error {
	d, err := c.daemon("northd", central, "northd", "ovn-northd", "--ovnnb-db="+c.NB(), "--ovnsb-db="+c.SB())
	if err != nil {
		return err
	}
	// The row that everything hangs on is northd's to make.
	d.ready = func(ctx context.Context) error {
		return poll(ctx, func() (bool, error) {
			var rows []struct{}
			err := c.query(ctx, c.NB(), &rows, operation{Op: "select", Table: "NB_Global", Columns: []string{"nb_cfg"}})
			return len(rows) > 0, err
		})
	}
	return c.keep(ctx, d)
}

// database is an ovsdb-server with one database, created when it is not there, on the socket <base>.sock.
func (c *Cluster) database(ctx context.Context, name, part, base, schema string) (*daemon, error) {
	file := filepath.Join(c.dir, part, base+".db")
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		// Made under another name first: a lab killed here leaves no half of a database.
		if err := os.Remove(file + ".new"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if _, err := c.run(ctx, central, "ovsdb-tool", "create", file+".new", c.software.schema(schema)); err != nil {
			return nil, err
		}
		if err := os.Rename(file+".new", file); err != nil {
			return nil, err
		}
	}
	return c.daemon(name, part, base, "ovsdb-server", "--remote=punix:"+filepath.Join(c.dir, part, base+".sock"), file)
}

// Sync returns when everything that is in the northbound database now works on every chassis that is not powered off,
// which takes until dead daemons are back.
func (c *Cluster) Sync(ctx context.Context) error {
	for {
		before := c.generation()
		var global []struct {
			Config int64 `json:"nb_cfg"`
		}
		err := c.query(ctx, c.NB(), &global,
			operation{Op: "mutate", Table: "NB_Global", Mutations: [][]any{{"nb_cfg", "+=", 1}}},
			operation{Op: "select", Table: "NB_Global", Columns: []string{"nb_cfg"}})
		if err != nil || len(global) != 1 {
			if err := c.retryable(ctx, err); err != nil {
				return fmt.Errorf("sync the network: %w", err)
			}
			continue
		}
		if err := poll(ctx, func() (bool, error) { return c.reached(ctx, global[0].Config) }); err != nil {
			return fmt.Errorf("sync the network: %w", err)
		}
		// A vswitchd that died meanwhile took its flows along.
		if c.generation() == before {
			return nil
		}
	}
}

// retryable waits a little when err may go away by itself: a database that is being started again.
func (c *Cluster) retryable(ctx context.Context, err error) error {
	if sleep(ctx, pollEvery); ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	return nil
}

// reached says whether every powered chassis has made the configuration of that number its own, and all daemons live.
func (c *Cluster) reached(ctx context.Context, config int64) (bool, error) {
	if !c.allUp() {
		return false, nil
	}
	var rows []struct {
		Name   string `json:"name"`
		Config int64  `json:"nb_cfg"`
	}
	err := c.query(ctx, c.SB(), &rows, operation{Op: "select", Table: "Chassis_Private", Columns: []string{"name", "nb_cfg"}})
	if err != nil {
		return false, c.retryable(ctx, err)
	}
	at := map[string]int64{}
	for _, row := range rows {
		at[row.Name] = row.Config
	}
	for _, ch := range c.chassis {
		if !ch.off.Load() && (at[ch.Name] < config || !ch.hasFlows(ctx)) {
			return false, nil
		}
	}
	return true, nil
}

// operation is one of a transaction, RFC 7047 section 5.2. It is about every row of the table.
type operation struct {
	Op        string   `json:"op"`
	Table     string   `json:"table"`
	Where     []any    `json:"where"`
	Columns   []string `json:"columns,omitempty"`
	Mutations [][]any  `json:"mutations,omitempty"`
}

// query runs one transaction and reads the rows of its last operation.
func (c *Cluster) query(ctx context.Context, endpoint string, rows any, operations ...operation) error {
	transaction := []any{"OVN_Northbound"}
	if endpoint == c.SB() {
		transaction[0] = "OVN_Southbound"
	}
	for _, o := range operations {
		o.Where = []any{}
		transaction = append(transaction, o)
	}
	text, err := json.Marshal(transaction)
	if err != nil {
		return err
	}
	out, err := c.run(ctx, central, "ovsdb-client", "--timeout=5", "transact", endpoint, string(text))
	if err != nil {
		return err
	}
	var results []struct {
		Rows  json.RawMessage `json:"rows"`
		Error string          `json:"error"`
	}
	if err := json.Unmarshal([]byte(out), &results); err != nil {
		return err
	}
	for _, result := range results {
		if result.Error != "" {
			return fmt.Errorf("%s: %s", text, out)
		}
	}
	return json.Unmarshal(results[len(results)-1].Rows, rows)
}

// run runs a program of the packages to its end; part is whose folder it works in.
func (c *Cluster) run(ctx context.Context, part, program string, args ...string) (string, error) {
	cmd, err := c.command(ctx, part, program, args...)
	if err != nil {
		return "", err
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

// Command prepares a program of the packages (ovn-nbctl, ovn-trace, ovs-vsctl …) with the environment by which it finds
// the databases; chassis is whose Open vSwitch it is about, "" for none. The tools of OVN read whole databases at each
// call: they are for tests and for people.
func (c *Cluster) Command(ctx context.Context, chassis, program string, args ...string) (*exec.Cmd, error) {
	if chassis == "" {
		return c.command(ctx, central, program, args...)
	}
	return c.command(ctx, chassisPart(chassis), program, args...)
}

func (c *Cluster) command(ctx context.Context, part, program string, args ...string) (*exec.Cmd, error) {
	argv, err := c.software.root.Command(program)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, argv[0], append(argv[1:], args...)...)
	cmd.Env = c.environment(part)
	return cmd, nil
}

// environment keeps the programs away from the host's own folders.
func (c *Cluster) environment(part string) []string {
	dir := filepath.Join(c.dir, part)
	env := append(os.Environ(), "LC_ALL=C", "OVN_NB_DB="+c.NB(), "OVN_SB_DB="+c.SB(),
		"OVS_PKGDATADIR="+c.software.root.Path("usr/share/openvswitch"), "OVN_PKGDATADIR="+c.software.root.Path("usr/share/ovn"))
	for _, kind := range []string{"RUN", "LOG", "DB", "SYSCONF"} {
		env = append(env, "OVS_"+kind+"DIR="+dir, "OVN_"+kind+"DIR="+dir)
	}
	return env
}

// flowCount reads what ovs-ofctl dump-aggregate says.
func flowCount(text string) (int, error) {
	_, after, ok := strings.Cut(text, "flow_count=")
	if !ok {
		return 0, fmt.Errorf("no flow_count in %q", text)
	}
	digits, _, _ := strings.Cut(strings.TrimSpace(after), "\n")
	return strconv.Atoi(digits)
}
