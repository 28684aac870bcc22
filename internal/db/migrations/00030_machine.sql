-- +goose Up
CREATE TABLE machine (
    id                 TEXT PRIMARY KEY,
    name               TEXT NOT NULL,
    bmc                TEXT NOT NULL,      -- JSON, without the password
    bmc_password       TEXT NOT NULL,      -- sealed
    state              TEXT NOT NULL,      -- machine.State
    target             TEXT NOT NULL,      -- the state a workflow is taking it to; empty: none
    state_since        TIMESTAMP NOT NULL,
    power              TEXT NOT NULL,      -- as last seen
    power_target       TEXT NOT NULL,
    instance           TEXT NOT NULL,      -- who has it; empty: nobody
    handed_over        BOOLEAN NOT NULL,   -- its NICs are on the tenant's networks
    epoch              INTEGER NOT NULL,   -- raised for each new owner: fences commands of the one before
    maintenance        BOOLEAN NOT NULL,
    maintenance_reason TEXT NOT NULL,
    fault              TEXT NOT NULL,      -- why we quarantined it; empty: we did not
    last_error         TEXT NOT NULL,
    resource_class     TEXT NOT NULL,
    owner              TEXT NOT NULL,
    description        TEXT NOT NULL,
    properties         TEXT NOT NULL,      -- JSON, as Ironic's clients set it
    extra              TEXT NOT NULL,      -- JSON
    traits             TEXT NOT NULL,      -- JSON
    abilities          TEXT NOT NULL,      -- JSON, of the BMC
    identity           TEXT NOT NULL,      -- JSON, what the BMC says
    inventory          TEXT NOT NULL,      -- JSON, what the agent found; null: not inspected
    erased             TEXT NOT NULL,      -- JSON, the proof of the last erasure; null: none
    inspected_at       TIMESTAMP,
    created_at         TIMESTAMP NOT NULL,
    updated_at         TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX machine_name ON machine (name) WHERE name <> '';
CREATE INDEX machine_state ON machine (state);

CREATE TABLE machine_nic (
    id          TEXT PRIMARY KEY,
    machine     TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
    mac         TEXT NOT NULL UNIQUE,
    pxe         BOOLEAN NOT NULL,          -- the agent may boot over it
    address     TEXT NOT NULL,             -- in quarantine, with prefix length
    link        TEXT NOT NULL,             -- JSON: Ironic's local_link_connection
    extra       TEXT NOT NULL,             -- JSON
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX machine_nic_address ON machine_nic (address);
CREATE INDEX machine_nic_machine ON machine_nic (machine);

-- One start of the agent on a machine, from the order to the end of its session.
CREATE TABLE machine_boot (
    key         TEXT PRIMARY KEY,          -- unguessable: path element of the boot artefacts
    machine     TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
    run         TEXT NOT NULL,             -- workflow run that wants it
    method      TEXT NOT NULL,
    token       TEXT NOT NULL,             -- the one-time token, sealed
    token_hash  TEXT NOT NULL UNIQUE,
    secret_hash TEXT NOT NULL,             -- of the agent's secret; empty: the token is not spent
    session     TEXT NOT NULL,
    ordered     BOOLEAN NOT NULL,          -- the BMC was told
    armed_at    TIMESTAMP NOT NULL,
    seen_at     TIMESTAMP,                 -- when the agent last spoke
    ended_at    TIMESTAMP
);
CREATE UNIQUE INDEX machine_boot_current ON machine_boot (machine) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX machine_boot_session ON machine_boot (session) WHERE session <> '';

CREATE TABLE machine_command (
    id         TEXT PRIMARY KEY,
    machine    TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
    boot       TEXT NOT NULL,
    run        TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    command    TEXT NOT NULL,              -- JSON agentapi.Command
    state      TEXT NOT NULL,              -- pending running done failed canceled
    result     TEXT NOT NULL,              -- JSON
    error      TEXT NOT NULL,
    fault      TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX machine_command_open ON machine_command (machine, seq) WHERE state IN ('pending', 'running');

-- +goose Down
DROP TABLE machine_command;
DROP TABLE machine_boot;
DROP TABLE machine_nic;
DROP TABLE machine;
