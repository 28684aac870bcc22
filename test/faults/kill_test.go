package faults

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Servers come and go while the control plane is killed without warning at random moments, again and again.
func TestKilledAgainAndAgain(t *testing.T) {
	needs(t)
	t.Parallel()
	const kills, tenants = 15, 3
	namespace, machines := newRack(t, 5)
	s := newServer(t, namespace, options{})
	s.start()
	c := login(t, s)
	c.fill()
	c.spares(machines...)
	slowDeploys(machines, 200*time.Millisecond)
	d := s.open()

	var (
		over    atomic.Bool
		cycles  atomic.Int64
		tenancy sync.WaitGroup
	)
	for n := range tenants {
		tenancy.Go(func() {
			for i := 0; !over.Load() && !t.Failed(); i++ {
				if err := c.live(fmt.Sprintf("t%d-%d", n, i)); err != nil {
					t.Error(err)
				}
				cycles.Add(1)
			}
		})
	}
	random := rand.New(rand.NewPCG(2, 15)) // the moments; what they hit varies with the computer's load
	for range kills {
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
		s.kill()
		s.start()
	}
	over.Store(true)
	tenancy.Wait()
	if t.Failed() {
		return
	}
	balanced(t, d, machines)
	// Whatever happened: every machine can still be had.
	var last []string
	for _, m := range machines {
		last = append(last, c.create("last-"+m.name))
	}
	c.awaitActive(last...)
	balanced(t, d, machines)
	t.Logf("%d servers came and went during %d kills", cycles.Load(), kills)
}

// live is a server's life, for a client that knows nothing of the kills: what gets no answer is tried again.
func (c *client) live(name string) error {
	deadline := time.Now().Add(patience)
	for ; ; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("server %s did not come to its end", name)
		}
		i, err := c.named(name)
		if err != nil {
			continue
		}
		switch i.Status {
		case "": // not there, or the answer to its order got lost
			if a, err := c.ask("POST", "/compute/v2.1/servers", c.order(name)); err == nil && a.status != 202 {
				return fmt.Errorf("server %s was refused: %s", name, a)
			}
			continue
		case "ERROR":
			// Spares may all be in use or in cleaning; anything else is a fault.
			if !contains(i.Fault.Message, "No valid host was found") {
				return fmt.Errorf("server %s is in error: %s", name, i.Fault.Message)
			}
		case "ACTIVE":
		default:
			continue
		}
		return c.end(i.ID, deadline)
	}
}

// end deletes a server and waits until it is gone.
func (c *client) end(id string, deadline time.Time) error {
	for ; ; time.Sleep(50 * time.Millisecond) {
		a, err := c.ask("DELETE", "/compute/v2.1/servers/"+id, nil)
		switch {
		case err == nil && a.status == 404:
			return nil
		case err == nil && a.status != 204:
			return fmt.Errorf("the deletion of %s was refused: %s", id, a)
		case time.Now().After(deadline):
			return fmt.Errorf("server %s is not gone", id)
		}
	}
}

// named gives a server by its name; its status is empty when there is none.
func (c *client) named(name string) (i instance, err error) {
	a, err := c.ask("GET", "/compute/v2.1/servers/detail?name=^"+name+"$", nil)
	if err != nil {
		return i, err
	}
	var list struct{ Servers []instance }
	if err := json.Unmarshal(a.body, &list); err != nil {
		return i, err
	}
	if a.status != 200 || len(list.Servers) > 1 {
		c.t.Errorf("the servers named %s: %s", name, a)
	}
	for _, found := range list.Servers {
		i = found
	}
	return i, nil
}
