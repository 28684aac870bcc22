-- +goose Up
CREATE TABLE security_group (
    id          TEXT PRIMARY KEY,
    project     TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    tags        TEXT NOT NULL,              -- JSON
    revision    INTEGER NOT NULL,
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL,
    stateful    BOOLEAN NOT NULL
);
CREATE INDEX security_group_project ON security_group (project);
CREATE UNIQUE INDEX security_group_default ON security_group (project) WHERE name = 'default';

CREATE TABLE security_group_rule (
    id                   TEXT PRIMARY KEY,
    project              TEXT NOT NULL,
    security_group       TEXT NOT NULL REFERENCES security_group (id) ON DELETE CASCADE,
    description          TEXT NOT NULL,
    revision             INTEGER NOT NULL,
    created_at           TIMESTAMP NOT NULL,
    updated_at           TIMESTAMP NOT NULL,
    egress               BOOLEAN NOT NULL,
    version              INTEGER NOT NULL,  -- 4 or 6
    protocol             INTEGER NOT NULL,  -- -1: any
    spelling             TEXT NOT NULL,     -- of the protocol, as its author wrote it; empty: any
    first_port           INTEGER NOT NULL,  -- or ICMP's type; -1: any
    last_port            INTEGER NOT NULL,  -- or ICMP's code; -1: any
    remote_cidr          TEXT NOT NULL,     -- the other end: at most one of the three is not empty
    remote_group         TEXT NOT NULL,
    remote_address_group TEXT NOT NULL,
    same                 TEXT NOT NULL      -- what it means: two rules of a group differ in it
);
CREATE UNIQUE INDEX security_group_rule_same ON security_group_rule (security_group, same);
CREATE INDEX security_group_rule_project ON security_group_rule (project);
CREATE INDEX security_group_rule_remote_group ON security_group_rule (remote_group);
CREATE INDEX security_group_rule_remote_address_group ON security_group_rule (remote_address_group);

-- Which port is in which groups. Ports are known by their ids only.
CREATE TABLE security_group_port (
    port           TEXT NOT NULL,
    security_group TEXT NOT NULL REFERENCES security_group (id),
    place          INTEGER NOT NULL,        -- among the port's groups
    PRIMARY KEY (port, security_group)
);
CREATE INDEX security_group_port_group ON security_group_port (security_group);

CREATE TABLE address_group (
    id          TEXT PRIMARY KEY,
    project     TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL,
    addresses   TEXT NOT NULL               -- JSON list of prefixes
);
CREATE INDEX address_group_project ON address_group (project);

CREATE TABLE qos_policy (
    id          TEXT PRIMARY KEY,
    project     TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    tags        TEXT NOT NULL,              -- JSON
    revision    INTEGER NOT NULL,
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL,
    shared      BOOLEAN NOT NULL,           -- with every project
    is_default  BOOLEAN NOT NULL            -- of its project's new networks
);
CREATE INDEX qos_policy_project ON qos_policy (project);
CREATE UNIQUE INDEX qos_policy_default ON qos_policy (project) WHERE is_default;

CREATE TABLE qos_rule (
    id     TEXT PRIMARY KEY,
    policy TEXT NOT NULL REFERENCES qos_policy (id) ON DELETE CASCADE,
    kind   TEXT NOT NULL,
    egress BOOLEAN NOT NULL,
    rate   INTEGER NOT NULL,                -- kbit/s
    burst  INTEGER NOT NULL,                -- kbit
    dscp   INTEGER NOT NULL
);
CREATE UNIQUE INDEX qos_rule_one ON qos_rule (policy, kind, egress);

CREATE TABLE trunk (
    id          TEXT PRIMARY KEY,
    project     TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    tags        TEXT NOT NULL,              -- JSON
    revision    INTEGER NOT NULL,
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL,
    admin_up    BOOLEAN NOT NULL,
    port        TEXT NOT NULL UNIQUE        -- the parent
);
CREATE INDEX trunk_project ON trunk (project);

CREATE TABLE trunk_subport (
    port  TEXT PRIMARY KEY,
    trunk TEXT NOT NULL REFERENCES trunk (id) ON DELETE CASCADE,
    vlan  INTEGER NOT NULL,
    UNIQUE (trunk, vlan)
);

-- +goose Down
DROP TABLE trunk_subport;
DROP TABLE trunk;
DROP TABLE qos_rule;
DROP TABLE qos_policy;
DROP TABLE address_group;
DROP TABLE security_group_port;
DROP TABLE security_group_rule;
DROP TABLE security_group;
