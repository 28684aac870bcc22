package faults

import (
	"fmt"
	"testing"

	"github.com/ingotcloud/ingot/internal/db"
)

// ledger is what must hold of the database whenever the cloud is at rest. Each query gives what is wrong.
var ledger = []struct{ wrong, query string }{
	{"work is not at its end", `SELECT flow || ' of ' || resource || ' is ' || status || ' at ' || step || ': ' || error FROM workflow_run
		WHERE status NOT IN ('done', 'aborted')`},
	{"a lease is held", `SELECT flow || ' of ' || resource FROM workflow_run WHERE lease_owner <> ''`},
	{"a machine is neither spare nor active", `SELECT name || ' is ' || state || ': ' || last_error FROM machine WHERE state NOT IN ('available', 'active') OR fault <> ''`},
	{"a machine belongs to two servers", `SELECT machine FROM instance WHERE machine <> '' GROUP BY machine HAVING count(*) > 1`},
	{"a machine belongs to a server that does not have it", `SELECT m.name FROM machine m LEFT JOIN instance i ON i.id = m.instance AND i.machine = m.id
		AND i.deleted_at IS NULL WHERE m.instance <> '' AND i.id IS NULL`},
	{"a server has a machine that is not its own", `SELECT i.name FROM instance i LEFT JOIN machine m ON m.id = i.machine AND m.instance = i.id
		WHERE i.machine <> '' AND m.id IS NULL`},
	{"an active server has no active machine", `SELECT i.name FROM instance i LEFT JOIN machine m ON m.id = i.machine AND m.state = 'active'
		WHERE i.vm_state = 'active' AND m.id IS NULL`},
	{"a server is neither active nor gone", `SELECT name || ' is ' || vm_state || ', ' || task_state FROM instance
		WHERE vm_state NOT IN ('active', 'deleted') OR task_state <> '' OR (vm_state = 'deleted') <> (deleted_at IS NOT NULL)`},
	{"a port is left", `SELECT p.id || ' of ' || p.device FROM network_port p LEFT JOIN instance i ON i.id = p.device AND i.deleted_at IS NULL WHERE i.id IS NULL`},
	{"an active server has not its one port", `SELECT i.name FROM instance i LEFT JOIN network_port p ON p.device = i.id AND p.host = i.machine
		WHERE i.deleted_at IS NULL GROUP BY i.id, i.name HAVING count(p.id) <> 1`},
	{"an active server's port is not carried", `SELECT p.id FROM network_port p JOIN instance i ON i.id = p.device AND i.deleted_at IS NULL
		WHERE i.vm_state = 'active' AND NOT p.up`},
	{"an image is held", `SELECT holder FROM image_hold`},
	{"an image's data are left", `SELECT blobs FROM image_trash`},
	{"a command is open", `SELECT id || ' is ' || state FROM machine_command WHERE state IN ('pending', 'running')`},
	{"an agent has a tenant's machine", `SELECT m.name FROM machine m JOIN machine_boot b ON b.machine = m.id WHERE m.state = 'active' AND b.ended_at IS NULL`},
}

// audit names the first thing that is wrong.
func audit(d *db.DB) error {
	for _, entry := range ledger {
		rows, err := d.Query(entry.query)
		if err != nil {
			return fmt.Errorf("%s: %w", entry.wrong, err)
		}
		for rows.Next() && err == nil {
			var what string
			if err = rows.Scan(&what); err == nil {
				err = fmt.Errorf("%s: %s", entry.wrong, what)
			}
		}
		if closed := rows.Close(); err == nil {
			err = closed
		}
		if err == nil {
			err = rows.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// balanced waits until the cloud is at rest with everything in order, and compares it with what its machines saw.
func balanced(t *testing.T, d *db.DB, machines []*computer) {
	t.Helper()
	eventually(t, func() error { return audit(d) })
	commands := 0
	for _, m := range machines {
		for id, times := range m.commands() {
			commands++
			if times > 1 {
				t.Errorf("%s ran the command %s %d times", m.name, id, times)
			}
			var known int
			if err := d.QueryRow(`SELECT count(*) FROM machine_command WHERE id = $1`, id).Scan(&known); err != nil || known != 1 {
				t.Errorf("%s ran the command %s, which is in the database %d times (%v)", m.name, id, known, err)
			}
		}
		var state string
		if err := d.QueryRow(`SELECT state FROM machine WHERE name = $1`, m.name).Scan(&state); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() (err error) { // an agent jumps a moment after it said that it will
			m.set(func() {
				if m.tenant != (state == "active") {
					err = fmt.Errorf("%s is %s; a tenant's system runs on it: %v", m.name, state, m.tenant)
				}
			})
			return err
		})
	}
	if commands == 0 {
		t.Error("no machine counted its commands")
	}
}
