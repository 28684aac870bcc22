-- +goose Up
-- An action that no run does has one event of its own at most: a diagnostic interrupt, a boot that went wrong.
ALTER TABLE instance_action ADD COLUMN event TEXT NOT NULL DEFAULT '';          -- empty: it has none
ALTER TABLE instance_action ADD COLUMN words TEXT NOT NULL DEFAULT '';          -- what it is, in a sentence
ALTER TABLE instance_action ADD COLUMN failed BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE instance_action ADD COLUMN ended_at TIMESTAMP;                      -- null: it goes on, or nobody lived to tell

-- What machines' hardware logs say, as first read. An entry is the instance's that had the machine at the reading before and
-- at this one, without a break: nobody else's can be among what came between the two.
CREATE TABLE machine_event (
    machine  TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
    digest   TEXT NOT NULL,                 -- of id, time and text: a BMC whose log is cleared begins its ids anew
    instance TEXT NOT NULL,                 -- empty: of nobody, or of before
    at       TIMESTAMP NOT NULL,            -- by the BMC's clock where that can be true, else when it was read
    severity TEXT NOT NULL,
    message  TEXT NOT NULL,
    seen_at  TIMESTAMP NOT NULL,            -- at the last reading that had it
    PRIMARY KEY (machine, digest)
);
CREATE INDEX machine_event_instance ON machine_event (instance, at) WHERE instance <> '';

-- The last reading of each machine's log.
CREATE TABLE machine_event_reading (
    machine  TEXT PRIMARY KEY REFERENCES machine (id) ON DELETE CASCADE,
    instance TEXT NOT NULL,
    epoch    INTEGER NOT NULL,              -- the machine's: an instance may leave and come back
    read_at  TIMESTAMP NOT NULL
);

-- +goose Down
DROP TABLE machine_event_reading;
DROP TABLE machine_event;
ALTER TABLE instance_action DROP COLUMN ended_at;
ALTER TABLE instance_action DROP COLUMN failed;
ALTER TABLE instance_action DROP COLUMN words;
ALTER TABLE instance_action DROP COLUMN event;
