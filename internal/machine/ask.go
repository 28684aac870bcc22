package machine

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// askTimeout is how long a command may take in all; a silent agent is noticed much sooner.
const askTimeout = 12 * time.Hour

// AgentError is a command that failed, with who is to blame.
type AgentError struct {
	Fault   agentapi.Fault
	Message string
	Silent  bool // it said nothing: the agent is gone
}

func (e *AgentError) Error() string { return e.Message }

// Ask is the body of a step that has the agent do something. It hands the command out once per name and boot, waits,
// and decodes the result. It fails with *AgentError when the agent failed or fell silent.
func (s *Service) Ask(ctx context.Context, run *workflow.Run, machine, name string, command agentapi.Command, result any) error {
	if fake, err := s.isFake(ctx, machine); err != nil {
		return err
	} else if fake {
		return pretend(command.Kind, result)
	}
	var (
		state, message string
		answer         []byte
		blame          agentapi.Fault
		boot           *Boot
	)
	err := s.db.Tx(ctx, func(tx *db.Tx) (err error) {
		if boot, err = s.CurrentBoot(ctx, tx, machine); err != nil || boot == nil {
			return err
		}
		command.ID = run.ID + "/" + name + "/" + boot.Key
		err = tx.QueryRowContext(ctx, `SELECT state, result, error, fault FROM machine_command WHERE id = $1`, command.ID).
			Scan(&state, &answer, &message, &blame)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		state = "pending"
		if err := tx.QueryRowContext(ctx, `SELECT epoch FROM machine WHERE id = $1`, machine).Scan(&command.Epoch); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO machine_command (id, machine, boot, run, seq, command, state, result, error, fault, created_at, updated_at)
			SELECT $1, $2, $3, $4, (SELECT coalesce(max(seq), 0) + 1 FROM machine_command WHERE machine = $2), $5, 'pending', 'null', '', '', $6, $6`,
			command.ID, machine, boot.Key, run.ID, db.JSON(command), s.clock.Now())
		return err
	})
	switch {
	case err != nil:
		return err
	case state == string(agentapi.Done):
		if result == nil {
			return nil
		}
		return json.Unmarshal(answer, result)
	case state == string(agentapi.Failed):
		return &AgentError{Fault: blame, Message: message}
	case state == "canceled" || boot == nil || boot.Session == "": // whether an agent is silent for too long, Look decides
		return &AgentError{Fault: agentapi.FaultMachine, Message: "The machine's agent stopped answering.", Silent: true}
	}
	s.bells.ring(machine)
	return workflow.Wait("the agent", askTimeout, workflow.Abort(fault.New(fault.Unavailable, "The machine took longer than %s.", askTimeout)))
}

func (s *Service) cancelCommands(ctx context.Context, q db.Querier, machine string) error {
	_, err := q.ExecContext(ctx, `UPDATE machine_command SET state = 'canceled', updated_at = $2 WHERE machine = $1 AND state IN ('pending', 'running')`,
		machine, s.clock.Now())
	return err
}

// Session identifies the agent that a request comes from. It fails with Unauthorized for any credential but that of a
// boot that is not over.
func (s *Service) Session(ctx context.Context, session, secret string) (*Boot, error) {
	refused := fault.New(fault.Unauthorized, "This session is unknown or over.")
	if session == "" {
		return nil, refused
	}
	boot, err := findBoot(ctx, s.db, `session = $1`, session)
	if err != nil {
		return nil, err
	}
	if boot == nil || boot.secretHash != hashSecret(secret) {
		return nil, refused
	}
	_, err = s.db.ExecContext(ctx, `UPDATE machine_boot SET seen_at = $2 WHERE key = $1`, boot.Key, s.clock.Now())
	return boot, err
}

// NextCommand gives the oldest open command for the boot's agent, after waiting for one; nil when none came in time.
func (s *Service) NextCommand(ctx context.Context, boot *Boot, wait time.Duration) (*agentapi.Command, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		bell := s.bells.wait(boot.Machine)
		var command agentapi.Command
		err := s.db.QueryRowContext(ctx, `SELECT command FROM machine_command WHERE machine = $1 AND boot = $2
			AND state IN ('pending', 'running') ORDER BY seq LIMIT 1`, boot.Machine, boot.Key).Scan(db.JSON(&command))
		if err == nil {
			return &command, nil
		}
		if ctx.Err() != nil {
			return nil, nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, nil
		case <-bell:
		case <-time.After(time.Second): // given by another process
		}
	}
}

// Report takes an agent's word on a command. It fails with Conflict when nobody waits for that command any more.
func (s *Service) Report(ctx context.Context, boot *Boot, report agentapi.Report) error {
	if report.State != agentapi.Running && report.State != agentapi.Done && report.State != agentapi.Failed {
		return fault.New(fault.Invalid, "The state %q is not known.", report.State)
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		var run, state string
		err := tx.QueryRowContext(ctx, `SELECT run, state FROM machine_command WHERE id = $1 AND boot = $2`, report.Command, boot.Key).Scan(&run, &state)
		if errors.Is(err, sql.ErrNoRows) || state == "canceled" {
			return fault.New(fault.Conflict, "Nobody waits for this command any more.")
		}
		if err != nil || state == string(agentapi.Done) || state == string(agentapi.Failed) {
			return err // told before: the answer got lost
		}
		if p := report.Progress; p != nil {
			progress := workflow.Progress{Text: p.Step, Done: p.Done, Total: p.Total, Unit: p.Unit}
			if err := workflow.SetProgress(ctx, tx, run, progress); err != nil {
				return err
			}
		}
		result := report.Result
		if len(result) == 0 {
			result = json.RawMessage("null")
		}
		if _, err := tx.ExecContext(ctx, `UPDATE machine_command SET state = $2, result = $3, error = $4, fault = $5, updated_at = $6 WHERE id = $1`,
			report.Command, report.State, string(result), report.Error, report.Fault, s.clock.Now()); err != nil {
			return err
		}
		if report.State == agentapi.Running {
			return nil
		}
		return s.engine.Signal(ctx, tx, run)
	})
}

// MayFetch reports whether the boot's agent is now writing that image: no other image is its business.
func (s *Service) MayFetch(ctx context.Context, boot *Boot, image string) (bool, error) {
	commands, err := db.List(ctx, s.db, func(row db.Scanner) (c agentapi.Command, err error) {
		return c, row.Scan(db.JSON(&c))
	}, `SELECT command FROM machine_command WHERE machine = $1 AND boot = $2 AND state IN ('pending', 'running')`, boot.Machine, boot.Key)
	for _, c := range commands {
		if c.Deploy != nil && c.Deploy.Image == image {
			return true, nil
		}
	}
	return false, err
}
