-- +goose Up
ALTER TABLE machine ADD COLUMN lessee TEXT NOT NULL DEFAULT '';             -- the project that has it on lease
ALTER TABLE machine ADD COLUMN holder TEXT NOT NULL DEFAULT '';             -- who has it without a server of ours; empty: nobody
ALTER TABLE machine ADD COLUMN allocation TEXT NOT NULL DEFAULT '';         -- by which the holder got it
ALTER TABLE machine ADD COLUMN chassis TEXT NOT NULL DEFAULT '';
ALTER TABLE machine ADD COLUMN protected BOOLEAN NOT NULL DEFAULT FALSE;    -- from being undeployed and deleted
ALTER TABLE machine ADD COLUMN retired BOOLEAN NOT NULL DEFAULT FALSE;      -- it never becomes a spare again
ALTER TABLE machine ADD COLUMN notes TEXT NOT NULL DEFAULT '{}';            -- JSON machine.Notes

ALTER TABLE machine_nic ADD COLUMN portgroup TEXT NOT NULL DEFAULT '';
ALTER TABLE machine_nic ADD COLUMN physical_network TEXT NOT NULL DEFAULT '';
ALTER TABLE machine_nic ADD COLUMN smart BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE machine_nic ADD COLUMN vif TEXT NOT NULL DEFAULT '';            -- the network port on it; empty: none, or a server's

CREATE TABLE machine_chassis (
    id          TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    extra       TEXT NOT NULL,             -- JSON
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL
);

CREATE TABLE machine_portgroup (
    id          TEXT PRIMARY KEY,
    machine     TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    mac         TEXT NOT NULL,             -- empty: the first member's
    mode        TEXT NOT NULL,             -- of the bond, as Linux names it
    properties  TEXT NOT NULL,             -- JSON, of the bond
    standalone  BOOLEAN NOT NULL,          -- its members may be used apart
    vif         TEXT NOT NULL,             -- the network port on it; empty: none
    extra       TEXT NOT NULL,             -- JSON
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX machine_portgroup_name ON machine_portgroup (name) WHERE name <> '';
CREATE UNIQUE INDEX machine_portgroup_mac ON machine_portgroup (mac) WHERE mac <> '';
CREATE INDEX machine_portgroup_machine ON machine_portgroup (machine);

CREATE TABLE machine_volume_connector (
    id           TEXT PRIMARY KEY,
    machine      TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
    type         TEXT NOT NULL,            -- iqn, ip, mac, wwnn, wwpn, port, portgroup
    connector_id TEXT NOT NULL,
    extra        TEXT NOT NULL,            -- JSON
    created_at   TIMESTAMP NOT NULL,
    updated_at   TIMESTAMP NOT NULL,
    UNIQUE (type, connector_id)
);
CREATE INDEX machine_volume_connector_machine ON machine_volume_connector (machine);

CREATE TABLE machine_volume_target (
    id          TEXT PRIMARY KEY,
    machine     TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
    volume_type TEXT NOT NULL,
    volume_id   TEXT NOT NULL,
    boot_index  INTEGER NOT NULL,
    properties  TEXT NOT NULL,             -- JSON
    extra       TEXT NOT NULL,             -- JSON
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL,
    UNIQUE (machine, boot_index)
);

CREATE TABLE machine_allocation (
    id             TEXT PRIMARY KEY,
    name           TEXT NOT NULL,
    owner          TEXT NOT NULL,          -- the project; empty: the cloud's operators
    resource_class TEXT NOT NULL,
    traits         TEXT NOT NULL,          -- JSON
    candidates     TEXT NOT NULL,          -- JSON: ids of machines; empty: any
    state          TEXT NOT NULL,          -- machine.AllocationState
    last_error     TEXT NOT NULL,
    machine        TEXT NOT NULL,          -- empty: none yet
    extra          TEXT NOT NULL,          -- JSON
    created_at     TIMESTAMP NOT NULL,
    updated_at     TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX machine_allocation_name ON machine_allocation (name) WHERE name <> '';

CREATE TABLE machine_deploy_template (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    steps      TEXT NOT NULL,              -- JSON
    extra      TEXT NOT NULL,              -- JSON
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

-- +goose Down
DROP TABLE machine_deploy_template;
DROP TABLE machine_allocation;
DROP TABLE machine_volume_target;
DROP TABLE machine_volume_connector;
DROP TABLE machine_portgroup;
DROP TABLE machine_chassis;
ALTER TABLE machine_nic DROP COLUMN vif;
ALTER TABLE machine_nic DROP COLUMN smart;
ALTER TABLE machine_nic DROP COLUMN physical_network;
ALTER TABLE machine_nic DROP COLUMN portgroup;
ALTER TABLE machine DROP COLUMN notes;
ALTER TABLE machine DROP COLUMN retired;
ALTER TABLE machine DROP COLUMN protected;
ALTER TABLE machine DROP COLUMN chassis;
ALTER TABLE machine DROP COLUMN allocation;
ALTER TABLE machine DROP COLUMN holder;
ALTER TABLE machine DROP COLUMN lessee;
