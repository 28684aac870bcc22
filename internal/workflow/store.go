package workflow

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

const columns = `id, flow, resource, request, status, backward, step, rewind_to, state, attempt, entered_at, wake_at,
	deadline, waiting_for, signals, cancel, error, progress, lease_epoch, created_at, ended_at`

func scan(row db.Scanner) (*Run, error) {
	var (
		r     Run
		state string
	)
	err := row.Scan(&r.ID, &r.Flow, &r.Resource, &r.Request, &r.Status, &r.Backward, &r.Step, &r.rewindTo, &state,
		&r.Attempt, &r.Entered, &r.wakeAt, db.NullTime(&r.deadline), &r.Waiting, &r.signals, &r.Cancel, &r.Err,
		db.JSON(&r.Progress), &r.Epoch, &r.Created, db.NullTime(&r.Ended))
	r.state = []byte(state)
	return &r, err
}

// active is the condition of a run that holds its resource.
const active = `status IN ('active', 'stuck')`

// insert writes a new run. It fails with a duplicate when the resource is held (Active) or queued for (Queued).
func insert(ctx context.Context, tx *db.Tx, recipe recipe, status Status, resource, request string, state any, now time.Time) (string, error) {
	text, err := json.Marshal(state)
	if err != nil {
		return "", err
	}
	id := uuid.NewString()
	_, err = tx.ExecContext(ctx, `INSERT INTO workflow_run (id, flow, resource, request, status, backward, step, rewind_to,
		state, attempt, entered_at, wake_at, waiting_for, signals, cancel, error, progress, lease_owner, lease_until,
		lease_epoch, created_at)
		VALUES ($1, $2, $3, $4, $5, FALSE, $6, '', $7, 0, $8, $8, '', 0, '', '', '{}', '', $8, 0, $8)`,
		id, recipe.name, resource, request, status, recipe.steps[0].name, string(text), now)
	return id, err
}

// Find gives a run by its id.
func Find(ctx context.Context, q db.Querier, id string) (*Run, error) {
	run, err := scan(q.QueryRowContext(ctx, `SELECT `+columns+` FROM workflow_run WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "There is no work %s.", id)
	}
	return run, err
}

// ActiveOf gives the run that holds a resource; nil when none does.
func ActiveOf(ctx context.Context, q db.Querier, resource string) (*Run, error) {
	run, err := scan(q.QueryRowContext(ctx, `SELECT `+columns+` FROM workflow_run WHERE resource = $1 AND `+active, resource))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return run, err
}

// AllActive gives the runs that hold a resource, by the resource.
func AllActive(ctx context.Context, q db.Querier) (map[string]*Run, error) {
	runs, err := db.List(ctx, q, scan, `SELECT `+columns+` FROM workflow_run WHERE `+active)
	held := map[string]*Run{}
	for _, run := range runs {
		held[run.Resource] = run
	}
	return held, err
}

// Of lists the runs of a resource, newest first.
func Of(ctx context.Context, q db.Querier, resource string) ([]*Run, error) {
	return db.List(ctx, q, scan, `SELECT `+columns+` FROM workflow_run WHERE resource = $1 ORDER BY created_at DESC, id`, resource)
}

// StepsOf lists what happened in a run, oldest first.
func StepsOf(ctx context.Context, q db.Querier, run string) ([]StepRecord, error) {
	return db.List(ctx, q, func(row db.Scanner) (StepRecord, error) {
		var s StepRecord
		err := row.Scan(&s.Name, &s.Title, &s.Backward, &s.Started, db.NullTime(&s.Ended), &s.Outcome, &s.Err, &s.Words)
		return s, err
	}, `SELECT name, title, backward, started_at, ended_at, outcome, error, words FROM workflow_step WHERE run = $1 ORDER BY seq`, run)
}

// Signal tells a run that there is news for it. It is never lost: a run that is just about to park sees it too.
func (e *Engine) Signal(ctx context.Context, q db.Querier, run string) error {
	_, err := q.ExecContext(ctx, `UPDATE workflow_run SET signals = signals + 1, wake_at = $2 WHERE id = $1 AND `+active, run, e.clock.Now())
	e.Poke()
	return err
}

// SetProgress records how far the step of a run is.
func SetProgress(ctx context.Context, q db.Querier, run string, progress Progress) error {
	_, err := q.ExecContext(ctx, `UPDATE workflow_run SET progress = $2 WHERE id = $1 AND `+active, run, db.JSON(progress))
	return err
}

// lease takes the due run that waited longest. A lease much further ahead than a lease can be was given before the
// clock was set back: it does not count.
func (e *Engine) lease(ctx context.Context) (*Run, error) {
	now := e.clock.Now()
	skip := ""
	if e.db.Engine == db.Postgres {
		skip = " FOR UPDATE SKIP LOCKED"
	}
	run, err := scan(e.db.QueryRowContext(ctx, `UPDATE workflow_run SET lease_owner = $1, lease_until = $2, lease_epoch = lease_epoch + 1
		WHERE id = (SELECT id FROM workflow_run WHERE `+active+` AND wake_at <= $3
			AND (lease_owner = '' OR lease_until <= $3 OR lease_until > $4) ORDER BY wake_at LIMIT 1`+skip+`)
		RETURNING `+columns, e.owner, now.Add(leaseFor), now, now.Add(2*leaseFor)))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return run, err
}

// errFenced: another owner has the run; what we hold of it is void.
var errFenced = errors.New("the lease on this run was lost")

// fence checks inside a transaction that the run is still ours.
func (e *Engine) fence(ctx context.Context, q db.Querier, run *Run) error {
	n, err := db.Changed(q.ExecContext(ctx, `UPDATE workflow_run SET lease_owner = $3 WHERE id = $1 AND lease_epoch = $2 AND lease_owner = $3`,
		run.ID, run.Epoch, e.owner))
	if err == nil && n == 0 {
		err = errFenced
	}
	return err
}

// renew prolongs the lease and tells whether somebody wants the run to unwind.
func (e *Engine) renew(ctx context.Context, run *Run) (cancel string, err error) {
	err = e.db.QueryRowContext(ctx, `UPDATE workflow_run SET lease_until = $4 WHERE id = $1 AND lease_epoch = $2 AND lease_owner = $3 RETURNING cancel`,
		run.ID, run.Epoch, e.owner, e.clock.Now().Add(leaseFor)).Scan(&cancel)
	if errors.Is(err, sql.ErrNoRows) {
		err = errFenced
	}
	return cancel, err
}

// save writes what the engine decided about a run and frees its lease, unless keep says that we go on with it at once.
// A signal or a cancel that came since the run was read makes it due now. A run that ended lets the queued one start.
func (e *Engine) save(ctx context.Context, tx *db.Tx, run *Run, keep bool) error {
	owner := ""
	if keep {
		owner = e.owner
	}
	seen := run.signals
	err := tx.QueryRowContext(ctx, `UPDATE workflow_run SET status = $4, backward = $5, step = $6, rewind_to = $7, state = $8,
		attempt = $9, entered_at = $10, wake_at = $11, deadline = $12, waiting_for = $13, error = $14,
		progress = CASE WHEN $15 THEN progress ELSE '{}' END, lease_owner = $16, ended_at = $17
		WHERE id = $1 AND lease_epoch = $2 AND lease_owner = $3 RETURNING cancel, signals`,
		run.ID, run.Epoch, e.owner, run.Status, run.Backward, run.Step, run.rewindTo, string(run.state), run.Attempt,
		run.Entered, run.wakeAt, db.NullTime(&run.deadline), run.Waiting, run.Err, run.Waiting != "", owner,
		db.NullTime(&run.Ended)).Scan(&run.Cancel, &run.signals)
	if errors.Is(err, sql.ErrNoRows) {
		return errFenced
	}
	if err == nil && run.signals != seen {
		_, err = tx.ExecContext(ctx, `UPDATE workflow_run SET wake_at = $2 WHERE id = $1`, run.ID, e.clock.Now())
	}
	if err == nil && !run.Ended.IsZero() {
		_, err = tx.ExecContext(ctx, `UPDATE workflow_run SET status = 'active', wake_at = $2, entered_at = $2 WHERE resource = $1 AND status = 'queued'`,
			run.Resource, e.clock.Now())
	}
	return err
}

// begin and end keep the record of a step's tries. Tries that only wait or retry stay one row.
func (e *Engine) begin(ctx context.Context, q db.Querier, run *Run, step recipeStep) error {
	var seq, open int
	err := q.QueryRowContext(ctx, `SELECT coalesce(max(seq), 0), count(CASE WHEN outcome = 'running' THEN 1 END) FROM workflow_step WHERE run = $1`,
		run.ID).Scan(&seq, &open)
	if err == nil && open == 0 {
		_, err = q.ExecContext(ctx, `INSERT INTO workflow_step (run, seq, name, title, backward, started_at, outcome, error, words)
			VALUES ($1, $2, $3, $4, $5, $6, 'running', '', '')`, run.ID, seq+1, step.name, step.title, run.Backward, e.clock.Now())
	}
	if err != nil {
		return fmt.Errorf("record the step: %w", err)
	}
	return nil
}

func (e *Engine) end(ctx context.Context, q db.Querier, run *Run, outcome error) error {
	word, text, told := "done", "", ""
	if outcome != nil {
		word, text, told = "failed", outcome.Error(), sentence(outcome)
	}
	_, err := q.ExecContext(ctx, `UPDATE workflow_step SET ended_at = $2, outcome = $3, error = $4, words = $5 WHERE run = $1 AND outcome = 'running'`,
		run.ID, e.clock.Now(), word, text, told)
	return err
}
