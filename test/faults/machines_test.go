package faults

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// A machine whose BMC cannot be used is not taken in, and the operator reads why.
func TestABMCThatRefusesOrIsDown(t *testing.T) {
	needs(t)
	t.Parallel()
	namespace, machines := newRack(t, 2)
	s := newServer(t, namespace, options{})
	s.start()
	c := login(t, s)
	wrong, down := machines[0], machines[1]
	info := wrong.driverInfo()
	info["redfish_password"] = "guessed"
	c.enrol(wrong, info)
	info = down.driverInfo()
	info["redfish_address"] = "https://" + freeAddress(t)
	c.enrol(down, info)
	for _, m := range machines {
		c.provision(m.name, "manage")
	}
	told := map[string]string{}
	for _, m := range machines {
		eventually(t, func() error {
			n, err := c.node(m.name)
			if err == nil && (n.State != "enroll" || n.LastError == "") {
				err = fmt.Errorf("%s is %s, last error %q", m.name, n.State, n.LastError)
			}
			told[m.name] = n.LastError
			return err
		})
		c.idle(m.name)
	}
	t.Logf("the operator reads %q", told)
	if told[wrong.name] == told[down.name] {
		t.Errorf("a wrong password and a dead BMC are told apart by nobody: %q", told[down.name])
	}
	if s.said("guessed") || contains(told[wrong.name], "guessed") {
		t.Error("the password is shown")
	}
	// The way back: the right data, and the same verb.
	for _, m := range machines {
		c.do("PATCH", "/baremetal/v1/nodes/"+m.name, []object{{"op": "replace", "path": "/driver_info", "value": m.driverInfo()}}, nil)
		c.provision(m.name, "manage")
		c.awaitNode(m.name, "manageable")
	}
}

// A machine that never calls home is quarantined with the reason, and its server gets another one by itself.
func TestAMachineThatNeverCallsHome(t *testing.T) {
	needs(t)
	t.Parallel()
	namespace, machines := newRack(t, 2)
	dead, good := machines[0], machines[1]
	s := newServer(t, namespace, options{bootTimeout: 20 * time.Second})
	s.start()
	c := login(t, s)
	c.fill()
	c.spares(machines...)
	c.idle(dead.name)
	c.do("PUT", "/baremetal/v1/nodes/"+good.name+"/maintenance", object{"reason": "so that the other one is taken first"}, nil)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	// The spare's agent is gone, as it was found after some minutes of silence.
	dead.set(func() { dead.neverCalls = true })
	dead.stopAgent()
	d := s.open()
	if _, err := d.Exec(`UPDATE machine_boot SET ended_at = $1 WHERE ended_at IS NULL AND machine = (SELECT id FROM machine WHERE name = $2)`, time.Now().UTC(), dead.name); err != nil {
		t.Fatal(err)
	}
	s.start()
	id := c.create("lucky")
	eventually(t, func() error {
		n, err := c.node(dead.name)
		if err == nil && n.Instance != id {
			err = fmt.Errorf("%s is %s for %q: %s", dead.name, n.State, n.Instance, n.Reason)
		}
		return err
	})
	c.do("DELETE", "/baremetal/v1/nodes/"+good.name+"/maintenance", nil, nil)
	c.awaitActive(id)
	first, err := c.node(dead.name)
	if err != nil {
		t.Fatal(err)
	}
	if first.State != "deploy failed" || !first.Maintenance || !contains(first.Reason, "did not start the agent within 20s") || first.Instance != "" {
		t.Errorf("the machine that never called is %+v", first)
	}
	if second, err := c.node(good.name); err != nil || second.Instance != id || second.State != "active" {
		t.Errorf("the other machine is %+v (%v)", second, err)
	}
	// The way back.
	dead.set(func() { dead.neverCalls = false })
	c.provision(dead.name, "deleted")
	c.awaitNode(dead.name, "available")
	balanced(t, d, machines)
}

// Delete works at any time: the deploy is broken off and the machine is a clean spare again.
func TestDeleteInTheMiddleOfADeploy(t *testing.T) {
	needs(t)
	t.Parallel()
	namespace, machines := newRack(t, 1)
	s := newServer(t, namespace, options{})
	s.start()
	c := login(t, s)
	c.fill()
	c.spares(machines...)
	slowDeploys(machines, time.Hour)
	id := c.create("regretted")
	awaitDeploys(t, machines, 1)
	c.do("DELETE", "/compute/v2.1/servers/"+id, nil, nil)
	c.awaitGone(id)
	c.awaitNode(machines[0].name, "available")
	slowDeploys(machines, 0)
	c.awaitActive(c.create("wanted"))
	balanced(t, s.open(), machines)
}

// Two servers race for the last machine: one gets it, the other one's owner is told that there is none.
func TestTwoServersRaceForTheLastMachine(t *testing.T) {
	needs(t)
	t.Parallel()
	namespace, machines := newRack(t, 1)
	s := newServer(t, namespace, options{})
	s.start()
	c := login(t, s)
	c.fill()
	c.spares(machines...)
	answers := make(chan answer, 2)
	for _, name := range []string{"a", "b"} {
		go func() {
			a, err := c.ask("POST", "/compute/v2.1/servers", c.order(name))
			if err != nil {
				t.Error(err)
			}
			answers <- a
		}()
	}
	for range 2 {
		if a := <-answers; a.status != 202 {
			t.Fatalf("a server was refused: %s", a)
		}
	}
	var list struct{ Servers []struct{ ID string } }
	c.do("GET", "/compute/v2.1/servers", nil, &list)
	var ends []string
	for _, made := range list.Servers {
		i := c.awaitServer(made.ID)
		ends = append(ends, i.Status)
		if i.Status == "ERROR" {
			if !contains(i.Fault.Message, "No valid host was found") {
				t.Errorf("the loser is told %q", i.Fault.Message)
			}
			c.do("DELETE", "/compute/v2.1/servers/"+i.ID, nil, nil)
			c.awaitGone(i.ID)
		}
	}
	slices.Sort(ends)
	if !slices.Equal(ends, []string{"ACTIVE", "ERROR"}) {
		t.Errorf("the servers ended as %q", ends)
	}
	balanced(t, s.open(), machines)
}
