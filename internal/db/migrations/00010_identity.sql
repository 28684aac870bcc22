-- +goose Up
CREATE TABLE identity_domain (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    enabled     BOOLEAN NOT NULL,
    options     TEXT NOT NULL,              -- JSON
    extra       TEXT NOT NULL               -- JSON: attributes that clients add
);

CREATE TABLE identity_project (
    id          TEXT PRIMARY KEY,
    domain_id   TEXT NOT NULL REFERENCES identity_domain (id) ON DELETE CASCADE,
    parent_id   TEXT NOT NULL,              -- a project, or the domain
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    enabled     BOOLEAN NOT NULL,
    tags        TEXT NOT NULL,              -- JSON list
    options     TEXT NOT NULL,
    extra       TEXT NOT NULL,
    UNIQUE (domain_id, name)
);

CREATE TABLE identity_user (
    id              TEXT PRIMARY KEY,
    domain_id       TEXT NOT NULL REFERENCES identity_domain (id) ON DELETE CASCADE,
    name            TEXT NOT NULL,
    description     TEXT,
    enabled         BOOLEAN NOT NULL,
    default_project TEXT NOT NULL,          -- empty: none
    password        TEXT NOT NULL,          -- bcrypt; empty: cannot log in with one
    options         TEXT NOT NULL,
    extra           TEXT NOT NULL,
    UNIQUE (domain_id, name)
);

CREATE TABLE identity_role (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    description TEXT,
    options     TEXT NOT NULL,
    extra       TEXT NOT NULL
);

CREATE TABLE identity_implied_role (
    prior   TEXT NOT NULL REFERENCES identity_role (id) ON DELETE CASCADE,
    implied TEXT NOT NULL REFERENCES identity_role (id) ON DELETE CASCADE,
    PRIMARY KEY (prior, implied)
);

CREATE TABLE identity_assignment (
    user_id     TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
    target_kind TEXT NOT NULL,              -- project domain system
    target_id   TEXT NOT NULL,              -- "all" for the system
    role_id     TEXT NOT NULL REFERENCES identity_role (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, target_kind, target_id, role_id)
);
CREATE INDEX identity_assignment_target ON identity_assignment (target_kind, target_id);

CREATE TABLE identity_region (
    id          TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    parent_id   TEXT,
    extra       TEXT NOT NULL
);

CREATE TABLE identity_service (
    id          TEXT PRIMARY KEY,
    type        TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT,
    enabled     BOOLEAN NOT NULL,
    extra       TEXT NOT NULL
);

CREATE TABLE identity_endpoint (
    id         TEXT PRIMARY KEY,
    service_id TEXT NOT NULL REFERENCES identity_service (id) ON DELETE CASCADE,
    interface  TEXT NOT NULL,               -- public internal admin
    region_id  TEXT REFERENCES identity_region (id),
    url        TEXT NOT NULL,
    enabled    BOOLEAN NOT NULL,
    extra      TEXT NOT NULL
);

CREATE TABLE identity_token_key (
    id         TEXT PRIMARY KEY,
    sealed     TEXT NOT NULL,               -- Ed25519 seed, sealed by internal/secret
    created_at TIMESTAMP NOT NULL
);

-- Tokens of the subject that were issued until then are void. Rows are forgotten when all such tokens have expired.
CREATE TABLE identity_revocation (
    id            TEXT PRIMARY KEY,
    subject       TEXT NOT NULL,
    issued_until  TIMESTAMP NOT NULL,
    recorded_at   TIMESTAMP NOT NULL,
    expires_at    TIMESTAMP NOT NULL
);
CREATE INDEX identity_revocation_recorded ON identity_revocation (recorded_at);

-- +goose Down
DROP TABLE identity_revocation;
DROP TABLE identity_token_key;
DROP TABLE identity_endpoint;
DROP TABLE identity_service;
DROP TABLE identity_region;
DROP TABLE identity_assignment;
DROP TABLE identity_implied_role;
DROP TABLE identity_role;
DROP TABLE identity_user;
DROP TABLE identity_project;
DROP TABLE identity_domain;
