-- +goose Up
-- Limits of projects that differ from the defaults; with an empty project the defaults of this cloud.
CREATE TABLE instance_limit (
    project  TEXT NOT NULL,
    resource TEXT NOT NULL,
    most     INTEGER NOT NULL,              -- -1: no limit
    PRIMARY KEY (project, resource)
);

-- Server groups: who belongs together, or must be apart.
CREATE TABLE instance_group (
    id         TEXT PRIMARY KEY,
    project    TEXT NOT NULL,
    owner      TEXT NOT NULL,               -- user who made it
    name       TEXT NOT NULL,
    policy     TEXT NOT NULL,               -- instance.Policy
    rules      TEXT NOT NULL,               -- JSON, kept for clients
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX instance_group_project ON instance_group (project, created_at);

ALTER TABLE instance ADD COLUMN server_group TEXT NOT NULL DEFAULT '';
CREATE INDEX instance_in_group ON instance (server_group) WHERE server_group <> '';

-- +goose Down
DROP INDEX instance_in_group;
ALTER TABLE instance DROP COLUMN server_group;
DROP TABLE instance_group;
DROP TABLE instance_limit;
