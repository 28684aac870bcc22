-- +goose Up
-- An action that no run does has one event of its own at most: a diagnostic interrupt, a boot that went wrong.
ALTER TABLE instance_action ADD COLUMN event TEXT NOT NULL DEFAULT '';          -- empty: it has none
ALTER TABLE instance_action ADD COLUMN words TEXT NOT NULL DEFAULT '';          -- what it is, in a sentence
ALTER TABLE instance_action ADD COLUMN failed BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE instance_action ADD COLUMN ended_at TIMESTAMP;                      -- null: it goes on, or nobody lived to tell

-- +goose Down
ALTER TABLE instance_action DROP COLUMN ended_at;
ALTER TABLE instance_action DROP COLUMN failed;
ALTER TABLE instance_action DROP COLUMN words;
ALTER TABLE instance_action DROP COLUMN event;
