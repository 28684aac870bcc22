-- +goose Up
-- What changed and is not carried out yet. seq rises with every change, so that one that comes during the work is not lost.
CREATE TABLE reconcile_mark (
    queue    TEXT NOT NULL,
    key      TEXT NOT NULL,
    seq      BIGINT NOT NULL,
    attempts INTEGER NOT NULL,
    error    TEXT NOT NULL,                 -- of the last attempt; empty: none
    PRIMARY KEY (queue, key)
);

-- Which process works on a queue.
CREATE TABLE reconcile_lease (
    queue  TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch  BIGINT NOT NULL,
    until  TIMESTAMP NOT NULL
);

-- +goose Down
DROP TABLE reconcile_lease;
DROP TABLE reconcile_mark;
