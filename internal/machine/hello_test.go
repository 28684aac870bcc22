package machine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// A stage with a boot on its way, and the token of it.
func booted(t *testing.T, d *db.DB) (s *stage, token string) {
	t.Helper()
	s = newStage(t, d, machine.Manageable)
	engine := workflow.New(d, s.clock, discard, 1)
	workflow.Register(engine, s.service.InspectFlow())
	check(t, s.service.Provision(t.Context(), s.id, machine.Inspect, "req"))
	check(t, engine.RunDue(t.Context()))
	boot, err := s.service.CurrentBoot(t.Context(), d, s.id)
	check(t, err)
	if boot == nil || !boot.Ordered {
		t.Fatalf("no boot was ordered: %+v", boot)
	}
	artefact, err := s.service.Artefact(t.Context(), boot.Key)
	check(t, err)
	if artefact.Params.MAC != "52:54:00:00:00:01" || artefact.Params.CIDR != "172.31.0.10/24" || artefact.Params.Pin != strings.Repeat("ab", 32) {
		t.Errorf("the artefact says %+v", artefact)
	}
	return s, artefact.Params.Token
}

func TestHello(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, token := booted(t, d)
		ctx, mine, other := t.Context(), strings.Repeat("m", 64), strings.Repeat("o", 64)
		hello := func(token, secret string) (agentapi.Welcome, error) {
			return s.service.Hello(ctx, agentapi.Hello{Token: token, Secret: secret})
		}
		refuse := func(what string, err error, kind fault.Kind) {
			t.Helper()
			if !fault.Is(err, kind) {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err := hello("guess", mine)
		refuse("a guessed token", err, fault.Unauthorized)
		_, err = hello("", mine)
		refuse("no token", err, fault.Unauthorized)
		_, err = hello(token, "short")
		refuse("a short secret", err, fault.Invalid)
		first, err := hello(token, mine)
		check(t, err)
		again, err := hello(token, mine)
		check(t, err)
		if first.Session == "" || again.Session != first.Session {
			t.Errorf("the same agent got the sessions %q and %q", first.Session, again.Session)
		}
		_, err = hello(token, other)
		refuse("a spent token with another secret", err, fault.Unauthorized)
		_, err = s.service.Session(ctx, first.Session, other)
		refuse("a session with another secret", err, fault.Unauthorized)
		_, err = s.service.Session(ctx, "", "")
		refuse("no session", err, fault.Unauthorized)
		boot, err := s.service.Session(ctx, first.Session, mine)
		check(t, err)
		_, err = s.service.Artefact(ctx, boot.Key)
		refuse("the artefact of a boot whose agent is there", err, fault.NotFound)
		check(t, d.Tx(ctx, func(tx *db.Tx) error { return s.service.EndBoot(ctx, tx, s.id) }))
		_, err = s.service.Session(ctx, first.Session, mine)
		refuse("the session of an ended boot", err, fault.Unauthorized)
		_, err = hello(token, mine)
		refuse("hello of an ended boot", err, fault.Unauthorized)
	})
}

func TestReports(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, token := booted(t, d)
		ctx, mine := t.Context(), strings.Repeat("m", 64)
		welcome, err := s.service.Hello(ctx, agentapi.Hello{Token: token, Secret: mine})
		check(t, err)
		boot, err := s.service.Session(ctx, welcome.Session, mine)
		check(t, err)
		if command, err := s.service.NextCommand(ctx, boot, 10*time.Millisecond); command != nil || err != nil {
			t.Errorf("work before there is any: %+v %v", command, err)
		}
		run := &workflow.Run{ID: "run-1"}
		order := agentapi.Command{Kind: agentapi.KindErase, Erase: &agentapi.Erase{}}
		ask := func(result any) error { return s.service.Ask(ctx, run, s.id, "erase", order, result) }
		for range 2 { // asking again hands nothing out twice
			if err := ask(nil); err == nil || err.Error() != "waiting for the agent" {
				t.Fatalf("asked: %v", err)
			}
		}
		command, err := s.service.NextCommand(ctx, boot, time.Second)
		check(t, err)
		again, err := s.service.NextCommand(ctx, boot, time.Second)
		check(t, err)
		if command.ID != again.ID || command.Epoch != 1 {
			t.Errorf("commands %+v and %+v", command, again)
		}
		report := func(id string, state agentapi.State, result string) error {
			return s.service.Report(ctx, boot, agentapi.Report{Command: id, State: state, Result: []byte(result), Progress: &agentapi.Progress{Step: "Erasing", Done: 1, Total: 2}})
		}
		for _, c := range []struct {
			what, id string
			state    agentapi.State
			kind     fault.Kind
		}{
			{"a state that is none", command.ID, "dreaming", fault.Invalid},
			{"a command that is none", "nothing", agentapi.Done, fault.Conflict},
		} {
			if err := report(c.id, c.state, ""); !fault.Is(err, c.kind) {
				t.Errorf("%s: %v", c.what, err)
			}
		}
		check(t, report(command.ID, agentapi.Running, ""))
		if err := ask(nil); err == nil || err.Error() != "waiting for the agent" {
			t.Errorf("while it runs: %v", err)
		}
		check(t, report(command.ID, agentapi.Done, `{"disks":[{"id":"D1"}]}`))
		check(t, report(command.ID, agentapi.Done, `{}`)) // its answer got lost
		var result agentapi.EraseResult
		check(t, ask(&result))
		if len(result.Disks) != 1 || result.Disks[0].ID != "D1" {
			t.Errorf("result %+v", result)
		}

		run.ID = "run-2"
		if err := s.service.Ask(ctx, run, s.id, "deploy", agentapi.Command{Kind: agentapi.KindDeploy, Deploy: &agentapi.Deploy{Image: "img"}}, nil); err == nil {
			t.Error("asked and at once answered")
		}
		for image, want := range map[string]bool{"img": true, "other": false, "": false} {
			if may, err := s.service.MayFetch(ctx, boot, image); err != nil || may != want {
				t.Errorf("MayFetch(%q) is %v, %v", image, may, err)
			}
		}
		command, err = s.service.NextCommand(ctx, boot, time.Second)
		check(t, err)
		check(t, d.Tx(ctx, func(tx *db.Tx) error { return s.service.EndBoot(ctx, tx, s.id) }))
		if err := report(command.ID, agentapi.Done, `{}`); !fault.Is(err, fault.Conflict) {
			t.Errorf("the report of a canceled command: %v", err)
		}
		if may, err := s.service.MayFetch(ctx, boot, "img"); err != nil || may {
			t.Errorf("MayFetch after the end: %v %v", may, err)
		}
	})
}

// What a machine in quarantine gets by DHCP, and until when.
func TestReservation(t *testing.T) {
	s, token := booted(t, dbtest.SQLite(t))
	lease, err := s.service.Reservation(t.Context(), "52:54:00:00:00:01")
	check(t, err)
	if lease == nil || lease.Address.String() != "172.31.0.10/24" || lease.BootKey == "" {
		t.Errorf("before hello: %+v", lease)
	}
	_, err = s.service.Hello(t.Context(), agentapi.Hello{Token: token, Secret: strings.Repeat("m", 64)})
	check(t, err)
	if lease, err := s.service.Reservation(t.Context(), "52:54:00:00:00:01"); err != nil || lease == nil || lease.BootKey != "" {
		t.Errorf("after hello: %+v %v", lease, err)
	}
	if lease, err := s.service.Reservation(t.Context(), "52:54:00:ff:ff:ff"); err != nil || lease != nil {
		t.Errorf("a stranger: %+v %v", lease, err)
	}
}
