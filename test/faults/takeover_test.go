package faults

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
)

// Two processes share the work of one PostgreSQL. One is killed in the middle of several deploys, and the other one
// brings all of them to their end.
func TestOneOfTwoServersIsKilled(t *testing.T) {
	needs(t)
	t.Parallel()
	dsn := dbtest.PostgresDSN(t)
	images := t.TempDir()
	networks := []string{newNamespace(t, runName()), newNamespace(t, runName())}
	machines := newMachines(t, 6, newDoor(t, networks...))
	first := newServer(t, networks[0], options{database: dsn, images: images})
	second := newServer(t, networks[1], options{database: dsn, images: images})
	first.start()
	for _, key := range []string{"secret.key", "agent-door.pem"} {
		text, err := os.ReadFile(filepath.Join(first.home, key))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(second.home, key), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Slow BMCs, so that leases are held for long enough to be seen, and one of the first server's is held at the kill.
	for _, m := range machines {
		m.faults.Slow(50 * time.Millisecond)
	}
	d := first.open()
	c := login(t, first)
	c.fill()
	for _, m := range machines {
		c.enrol(m, m.driverInfo())
		c.provision(m.name, "manage")
	}
	alone := awaitOwners(t, d, 1)
	c.provide(machines...)
	second.start()

	slowDeploys(machines, 500*time.Millisecond)
	var servers []string
	for i, m := range machines {
		c.server = []*server{first, second}[i%2]
		servers = append(servers, c.create("on-"+m.name))
	}
	awaitOwners(t, d, 2) // both work
	awaitDeploys(t, machines, 3)
	const held = `SELECT count(*) FROM workflow_run WHERE lease_owner = $1 AND step = 'boot-order'`
	count := func() (n int) {
		if err := d.QueryRow(held, alone[0]).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, func() error {
		if count() == 0 {
			return errors.New("the first server does nothing")
		}
		return nil
	})
	first.kill()
	killed := time.Now()
	lost := count()
	if lost == 0 {
		t.Error("the kill hit a server that did nothing")
	}
	c.server = second
	c.awaitActive(servers...)
	t.Logf("%d steps died with the first server; all servers were active after %.1f s", lost, time.Since(killed).Seconds())
	for _, m := range machines {
		m.faults.Slow(0)
	}
	balanced(t, d, machines)
	awaitExactly(t, machines, len(machines))
	for _, id := range servers {
		c.do("DELETE", "/compute/v2.1/servers/"+id, nil, nil)
	}
	for _, id := range servers {
		c.awaitGone(id)
	}
	for _, m := range machines {
		c.awaitNode(m.name, "available")
	}
	balanced(t, d, machines)
}

// awaitOwners watches who holds leases until n processes were seen to.
func awaitOwners(t *testing.T, d *db.DB, n int) []string {
	t.Helper()
	owners := map[string]bool{}
	for end := time.Now().Add(patience); len(owners) < n; time.Sleep(5 * time.Millisecond) {
		seen, err := db.List(t.Context(), d, func(row db.Scanner) (owner string, err error) {
			err = row.Scan(&owner)
			return owner, err
		}, `SELECT DISTINCT lease_owner FROM workflow_run WHERE lease_owner <> ''`)
		if err != nil {
			t.Fatal(err)
		}
		for _, owner := range seen {
			owners[owner] = true
		}
		if time.Now().After(end) {
			t.Fatalf("%d processes work, not %d", len(owners), n)
		}
	}
	return slices.Collect(maps.Keys(owners))
}
