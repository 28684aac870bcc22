-- +goose Up
CREATE TABLE workflow_run (
    id          TEXT PRIMARY KEY,
    flow        TEXT NOT NULL,
    resource    TEXT NOT NULL,              -- what the run works on: "instance/<id>"
    request     TEXT NOT NULL,              -- id of the API request that started it
    status      TEXT NOT NULL,              -- queued active stuck done aborted
    backward    BOOLEAN NOT NULL,           -- unwinding
    step        TEXT NOT NULL,              -- name of the step to run next; empty when ended
    rewind_to   TEXT NOT NULL,              -- unwinding ends below this step and goes forward again; empty: to the end
    state       TEXT NOT NULL,              -- the flow's own struct, JSON
    attempt     INTEGER NOT NULL,           -- of the step, from 0
    entered_at  TIMESTAMP NOT NULL,         -- when the step was first tried
    wake_at     TIMESTAMP NOT NULL,         -- when to look at it next
    deadline    TIMESTAMP,                  -- of the wait the step is in
    waiting_for TEXT NOT NULL,              -- a sentence
    signals     INTEGER NOT NULL,           -- how often somebody had news for it
    cancel      TEXT NOT NULL,              -- why somebody wants it to unwind; empty: nobody does
    error       TEXT NOT NULL,
    progress    TEXT NOT NULL,              -- JSON, of the step
    lease_owner TEXT NOT NULL,
    lease_until TIMESTAMP NOT NULL,
    lease_epoch INTEGER NOT NULL,
    created_at  TIMESTAMP NOT NULL,
    ended_at    TIMESTAMP
);
CREATE UNIQUE INDEX workflow_run_one_active ON workflow_run (resource) WHERE status IN ('active', 'stuck');
CREATE UNIQUE INDEX workflow_run_one_queued ON workflow_run (resource) WHERE status = 'queued';
CREATE INDEX workflow_run_due ON workflow_run (wake_at) WHERE status IN ('active', 'stuck');
CREATE INDEX workflow_run_resource ON workflow_run (resource, created_at);

-- What happened, for people: one row per try of a step that ended in something.
CREATE TABLE workflow_step (
    run         TEXT NOT NULL REFERENCES workflow_run (id) ON DELETE CASCADE,
    seq         INTEGER NOT NULL,
    name        TEXT NOT NULL,
    title       TEXT NOT NULL,
    backward    BOOLEAN NOT NULL,
    started_at  TIMESTAMP NOT NULL,
    ended_at    TIMESTAMP,
    outcome     TEXT NOT NULL,              -- running done failed
    error       TEXT NOT NULL,              -- for operators
    words       TEXT NOT NULL,              -- the same for users
    PRIMARY KEY (run, seq)
);

-- +goose Down
DROP TABLE workflow_step;
DROP TABLE workflow_run;
