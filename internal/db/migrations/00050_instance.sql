-- +goose Up
CREATE TABLE instance (
    id           TEXT PRIMARY KEY,
    project      TEXT NOT NULL,
    owner        TEXT NOT NULL,             -- user who asked for it
    name         TEXT NOT NULL,
    description  TEXT NOT NULL,
    hostname     TEXT NOT NULL,
    reservation  TEXT NOT NULL,             -- of the request that made it, with others
    launch_index INTEGER NOT NULL,
    flavor       TEXT NOT NULL,             -- JSON: as it was when asked for
    image        TEXT NOT NULL,
    key_name     TEXT NOT NULL,
    public_key   TEXT NOT NULL,
    user_data    TEXT NOT NULL,             -- base64
    config_drive BOOLEAN NOT NULL,
    zone         TEXT NOT NULL,
    metadata     TEXT NOT NULL,             -- JSON
    tags         TEXT NOT NULL,             -- JSON
    access_v4    TEXT NOT NULL,             -- addresses that the user says to be reached by; kept for clients
    access_v6    TEXT NOT NULL,
    disk_config  TEXT NOT NULL,             -- AUTO or MANUAL, kept for clients
    ports        TEXT NOT NULL,             -- JSON: ids, and which were made for it
    vm_state     TEXT NOT NULL,
    task_state   TEXT NOT NULL,
    power        TEXT NOT NULL,
    locked_by    TEXT NOT NULL,             -- owner or admin; empty: not locked
    lock_reason  TEXT NOT NULL,
    machine      TEXT NOT NULL,
    fault        TEXT NOT NULL,             -- JSON
    created_at   TIMESTAMP NOT NULL,
    updated_at   TIMESTAMP NOT NULL,
    launched_at  TIMESTAMP,
    deleted_at   TIMESTAMP
);
CREATE INDEX instance_project ON instance (project, created_at);
CREATE INDEX instance_machine ON instance (machine) WHERE machine <> '';

-- What users asked of an instance: Nova's instance actions. Their events are the steps of the run.
CREATE TABLE instance_action (
    request    TEXT NOT NULL,
    instance   TEXT NOT NULL REFERENCES instance (id) ON DELETE CASCADE,
    action     TEXT NOT NULL,
    owner      TEXT NOT NULL,
    project    TEXT NOT NULL,
    run        TEXT NOT NULL,
    started_at TIMESTAMP NOT NULL,
    PRIMARY KEY (instance, request)
);

-- +goose Down
DROP TABLE instance_action;
DROP TABLE instance;
