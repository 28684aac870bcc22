-- +goose Up
-- There is no way down: the older tables have no place for what these hold.
ALTER TABLE identity_domain ADD COLUMN tags TEXT NOT NULL DEFAULT '[]'; -- JSON list

ALTER TABLE identity_user ADD COLUMN password_set_at TIMESTAMP;         -- null: before this was kept
ALTER TABLE identity_user ADD COLUMN password_expires_at TIMESTAMP;     -- null: never
ALTER TABLE identity_user ADD COLUMN must_change BOOLEAN NOT NULL DEFAULT FALSE; -- the password is an administrator's choice
ALTER TABLE identity_user ADD COLUMN failures INTEGER NOT NULL DEFAULT 0; -- wrong passwords in a row
ALTER TABLE identity_user ADD COLUMN failed_at TIMESTAMP;

-- Passwords that a user had before, newest last.
CREATE TABLE identity_old_password (
    user_id    TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
    password   TEXT NOT NULL,               -- bcrypt
    retired_at TIMESTAMP NOT NULL
);
CREATE INDEX identity_old_password_user ON identity_old_password (user_id, retired_at);

CREATE TABLE identity_group (
    id          TEXT PRIMARY KEY,
    domain_id   TEXT NOT NULL REFERENCES identity_domain (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    extra       TEXT NOT NULL,
    UNIQUE (domain_id, name)
);

CREATE TABLE identity_membership (
    group_id TEXT NOT NULL REFERENCES identity_group (id) ON DELETE CASCADE,
    user_id  TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX identity_membership_user ON identity_membership (user_id);

-- Roles may belong to a domain now, groups may hold them and projects may inherit them. SQLite cannot drop the UNIQUE of
-- a column, so the three tables are made anew.
CREATE TABLE identity_role_new (
    id          TEXT PRIMARY KEY,
    domain_id   TEXT REFERENCES identity_domain (id) ON DELETE CASCADE, -- null: of the whole cloud
    name        TEXT NOT NULL,
    description TEXT,
    options     TEXT NOT NULL,
    extra       TEXT NOT NULL
);
INSERT INTO identity_role_new (id, domain_id, name, description, options, extra)
    SELECT id, NULL, name, description, options, extra FROM identity_role;

CREATE TABLE identity_implied_role_new (
    prior   TEXT NOT NULL REFERENCES identity_role_new (id) ON DELETE CASCADE,
    implied TEXT NOT NULL REFERENCES identity_role_new (id) ON DELETE CASCADE,
    PRIMARY KEY (prior, implied)
);
INSERT INTO identity_implied_role_new (prior, implied) SELECT prior, implied FROM identity_implied_role;

-- Either user_id or group_id is set.
CREATE TABLE identity_assignment_new (
    user_id     TEXT REFERENCES identity_user (id) ON DELETE CASCADE,
    group_id    TEXT REFERENCES identity_group (id) ON DELETE CASCADE,
    target_kind TEXT NOT NULL,              -- project domain system
    target_id   TEXT NOT NULL,              -- "all" for the system
    role_id     TEXT NOT NULL REFERENCES identity_role_new (id) ON DELETE CASCADE,
    inherited   BOOLEAN NOT NULL            -- not on the target itself but on all projects below it
);
INSERT INTO identity_assignment_new (user_id, group_id, target_kind, target_id, role_id, inherited)
    SELECT user_id, NULL, target_kind, target_id, role_id, FALSE FROM identity_assignment;

DROP TABLE identity_assignment;
DROP TABLE identity_implied_role;
DROP TABLE identity_role;
ALTER TABLE identity_role_new RENAME TO identity_role;
ALTER TABLE identity_implied_role_new RENAME TO identity_implied_role;
ALTER TABLE identity_assignment_new RENAME TO identity_assignment;
CREATE UNIQUE INDEX identity_role_name ON identity_role (COALESCE(domain_id, ''), name);
CREATE UNIQUE INDEX identity_assignment_once ON identity_assignment
    (COALESCE(user_id, ''), COALESCE(group_id, ''), target_kind, target_id, role_id, inherited);
CREATE INDEX identity_assignment_target ON identity_assignment (target_kind, target_id);
CREATE INDEX identity_assignment_user ON identity_assignment (user_id);
CREATE INDEX identity_assignment_group ON identity_assignment (group_id);

-- What a token of an application credential may call.
CREATE TABLE identity_access_rule (
    id      TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
    service TEXT NOT NULL,                  -- type in the catalog
    method  TEXT NOT NULL,
    path    TEXT NOT NULL,
    UNIQUE (user_id, service, method, path)
);

CREATE TABLE identity_app_credential (
    id           TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
    project_id   TEXT NOT NULL REFERENCES identity_project (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    description  TEXT,
    secret       TEXT NOT NULL,             -- bcrypt
    roles        TEXT NOT NULL,             -- JSON list of ids
    unrestricted BOOLEAN NOT NULL,          -- may make and delete credentials and trusts
    expires_at   TIMESTAMP,
    UNIQUE (user_id, name)
);

CREATE TABLE identity_app_credential_rule (
    credential_id TEXT NOT NULL REFERENCES identity_app_credential (id) ON DELETE CASCADE,
    rule_id       TEXT NOT NULL REFERENCES identity_access_rule (id),
    PRIMARY KEY (credential_id, rule_id)
);

CREATE TABLE identity_trust (
    id             TEXT PRIMARY KEY,
    trustor_id     TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
    trustee_id     TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
    project_id     TEXT NOT NULL REFERENCES identity_project (id) ON DELETE CASCADE,
    impersonation  BOOLEAN NOT NULL,
    roles          TEXT NOT NULL,           -- JSON list of ids
    expires_at     TIMESTAMP,
    remaining_uses INTEGER                  -- null: any number
);
CREATE INDEX identity_trust_trustor ON identity_trust (trustor_id);
CREATE INDEX identity_trust_trustee ON identity_trust (trustee_id);

CREATE TABLE identity_credential (
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES identity_user (id) ON DELETE CASCADE,
    project_id TEXT,
    type       TEXT NOT NULL,               -- ec2 totp cert …
    sealed     TEXT NOT NULL,               -- the blob, sealed by internal/secret
    used_step  BIGINT NOT NULL,             -- of a totp: the 30 s step of the last passcode; each is good once
    extra      TEXT NOT NULL
);
CREATE INDEX identity_credential_user ON identity_credential (user_id, type);

CREATE TABLE identity_registered_limit (
    id            TEXT PRIMARY KEY,
    service_id    TEXT NOT NULL REFERENCES identity_service (id) ON DELETE CASCADE,
    region_id     TEXT REFERENCES identity_region (id) ON DELETE CASCADE,
    resource_name TEXT NOT NULL,
    default_limit INTEGER NOT NULL,
    description   TEXT
);
CREATE UNIQUE INDEX identity_registered_limit_once ON identity_registered_limit (service_id, COALESCE(region_id, ''), resource_name);

-- Of a project or of a domain, in place of the registered limit's default.
CREATE TABLE identity_limit (
    id             TEXT PRIMARY KEY,
    registered_id  TEXT NOT NULL REFERENCES identity_registered_limit (id) ON DELETE CASCADE,
    project_id     TEXT REFERENCES identity_project (id) ON DELETE CASCADE,
    domain_id      TEXT REFERENCES identity_domain (id) ON DELETE CASCADE,
    resource_limit INTEGER NOT NULL,
    description    TEXT
);
CREATE UNIQUE INDEX identity_limit_once ON identity_limit (registered_id, COALESCE(project_id, ''), COALESCE(domain_id, ''));

-- A project with endpoints or endpoint groups of its own sees no others in its catalog.
CREATE TABLE identity_endpoint_group (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    description TEXT,
    filters     TEXT NOT NULL               -- JSON object: service_id, region_id, interface
);

CREATE TABLE identity_endpoint_group_project (
    group_id   TEXT NOT NULL REFERENCES identity_endpoint_group (id) ON DELETE CASCADE,
    project_id TEXT NOT NULL REFERENCES identity_project (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, project_id)
);

CREATE TABLE identity_endpoint_project (
    endpoint_id TEXT NOT NULL REFERENCES identity_endpoint (id) ON DELETE CASCADE,
    project_id  TEXT NOT NULL REFERENCES identity_project (id) ON DELETE CASCADE,
    PRIMARY KEY (endpoint_id, project_id)
);

-- Texts that services keep here for each other; nothing of ours reads them.
CREATE TABLE identity_policy (
    id    TEXT PRIMARY KEY,
    type  TEXT NOT NULL,                    -- a MIME type
    blob  TEXT NOT NULL,
    extra TEXT NOT NULL
);

CREATE TABLE identity_domain_config (
    domain_id TEXT PRIMARY KEY REFERENCES identity_domain (id) ON DELETE CASCADE,
    sealed    TEXT NOT NULL                 -- JSON object of groups of options, sealed: it may hold an LDAP password
);
