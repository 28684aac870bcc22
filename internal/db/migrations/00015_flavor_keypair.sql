-- +goose Up
CREATE TABLE flavor (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    ram_mb      INTEGER NOT NULL,
    vcpus       INTEGER NOT NULL,
    disk_gb     INTEGER NOT NULL,
    ephemeral_gb INTEGER NOT NULL,
    swap_mb     INTEGER NOT NULL,
    rxtx_factor DOUBLE PRECISION NOT NULL,
    public      BOOLEAN NOT NULL,
    disabled    BOOLEAN NOT NULL,
    description TEXT,
    extra_specs TEXT NOT NULL,              -- JSON object of strings
    created_at  TIMESTAMP NOT NULL
);

-- Which projects may use a flavor that is not public.
CREATE TABLE flavor_access (
    flavor_id  TEXT NOT NULL REFERENCES flavor (id) ON DELETE CASCADE,
    project_id TEXT NOT NULL,
    PRIMARY KEY (flavor_id, project_id)
);

CREATE TABLE keypair (
    id          INTEGER NOT NULL UNIQUE,    -- Nova shows a number
    user_id     TEXT NOT NULL,
    name        TEXT NOT NULL,
    type        TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    public_key  TEXT NOT NULL,
    created_at  TIMESTAMP NOT NULL,
    PRIMARY KEY (user_id, name)
);

-- +goose Down
DROP TABLE keypair;
DROP TABLE flavor_access;
DROP TABLE flavor;
