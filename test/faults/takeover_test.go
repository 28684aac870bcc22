package faults

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/db/dbtest"
)

// Two processes share the work of one PostgreSQL. One is killed in the middle of several deploys, and the other one
// brings all of them to their end.
func TestOneOfTwoServersIsKilled(t *testing.T) {
	needs(t)
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
	second.start()
	c := login(t, first)
	c.fill()
	c.spares(machines...)
	d := first.open()

	// Slow BMCs, so that leases are held for long enough to be seen, and some are held at the kill.
	for _, m := range machines {
		m.faults.Slow(150 * time.Millisecond)
	}
	slowDeploys(machines, 500*time.Millisecond)
	var servers []string
	for i, m := range machines {
		c.server = []*server{first, second}[i%2]
		servers = append(servers, c.create("on-"+m.name))
	}
	owners := map[string]bool{}
	for end := time.Now().Add(patience); len(owners) < 2 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		rows, err := d.Query(`SELECT DISTINCT lease_owner FROM workflow_run WHERE lease_owner <> ''`)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var owner string
			if err := rows.Scan(&owner); err != nil {
				t.Fatal(err)
			}
			owners[owner] = true
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(owners) != 2 {
		t.Errorf("%d processes worked, not 2", len(owners))
	}
	awaitDeploys(t, machines, 3)
	first.kill()
	killed := time.Now()
	var unfinished, held int
	if err := d.QueryRow(`SELECT count(*), count(CASE WHEN lease_owner <> '' THEN 1 END) FROM workflow_run WHERE status = 'active'`).Scan(&unfinished, &held); err != nil {
		t.Fatal(err)
	}
	if unfinished == 0 {
		t.Fatal("the kill came after everything was done")
	}
	c.server = second
	c.awaitActive(servers...)
	t.Logf("%d pieces of work were under way at the kill, %d of them in somebody's hands; all servers were active after %.1f s", unfinished, held, time.Since(killed).Seconds())
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
