package faults

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

// A clean stop in the middle of deploys: the process ends by itself with 0, holds nothing any more, and the next one goes on.
func TestSIGTERMInTheMiddleOfADeploy(t *testing.T) {
	needs(t)
	t.Parallel()
	namespace, machines := newRack(t, 2)
	s := newServer(t, namespace, options{})
	s.start()
	c := login(t, s)
	c.fill()
	c.spares(machines...)
	slowDeploys(machines, 3*time.Second)
	servers := []string{c.create("a"), c.create("b")}
	awaitDeploys(t, machines, 2)
	if err := s.stop(); err != nil {
		t.Fatalf("the process ended with %v", err)
	}
	d := s.open()
	var held, active int
	if err := d.QueryRow(`SELECT count(*) FROM workflow_run WHERE lease_owner <> ''`).Scan(&held); err != nil || held != 0 {
		t.Errorf("%d leases are held after the end (%v)", held, err)
	}
	if err := d.QueryRow(`SELECT count(*) FROM workflow_run WHERE status = 'active' AND flow = 'server-create'`).Scan(&active); err != nil || active != 2 {
		t.Fatalf("%d deploys were under way (%v)", active, err)
	}
	s.start()
	c.awaitActive(servers...)
	balanced(t, d, machines)
	awaitExactly(t, machines, 2)
}

// awaitExactly fails when images were written more often than there are servers.
func awaitExactly(t *testing.T, machines []*computer, n int) {
	t.Helper()
	begun := 0
	for _, m := range machines {
		begun += m.deploysBegun()
	}
	if begun != n {
		t.Errorf("images were written %d times, for %d servers", begun, n)
	}
}

// A second process on one home would spoil the first one's files.
func TestASecondServerOnOneHomeIsRefused(t *testing.T) {
	needs(t)
	t.Parallel()
	namespace, machines := newRack(t, 1)
	s := newServer(t, namespace, options{})
	s.start()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "serve", "--config", s.config(), "--listen", freeAddress(t)).CombinedOutput()
	if err == nil || !contains(string(out), "another ingot serve runs with the home "+s.home) {
		t.Fatalf("the second process ended with %v and said %s", err, out)
	}
	login(t, s).spares(machines...) // the first one works as before
	s.kill()
	s.start() // and what it leaves when it is killed is in nobody's way
}
