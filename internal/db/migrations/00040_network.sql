-- +goose Up
CREATE TABLE network (
    id          TEXT PRIMARY KEY,
    project     TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    admin_up    BOOLEAN NOT NULL,
    shared      BOOLEAN NOT NULL,           -- every project may have ports on it
    mtu         INTEGER NOT NULL,           -- bytes
    kind        TEXT NOT NULL,              -- how it is carried: flat
    physical    TEXT NOT NULL,              -- the wire it is, for those that are one; empty: none
    tags        TEXT NOT NULL,              -- JSON
    revision    INTEGER NOT NULL,
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX network_flat ON network (physical) WHERE kind = 'flat';
CREATE INDEX network_project ON network (project);

CREATE TABLE network_subnet (
    id          TEXT PRIMARY KEY,
    network     TEXT NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    project     TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    cidr        TEXT NOT NULL,
    gateway     TEXT NOT NULL,              -- empty: none
    dhcp        BOOLEAN NOT NULL,
    dns         TEXT NOT NULL,              -- JSON list of addresses
    pools       TEXT NOT NULL,              -- JSON list of ranges that addresses are given from
    tags        TEXT NOT NULL,              -- JSON
    revision    INTEGER NOT NULL,
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL
);
CREATE INDEX network_subnet_network ON network_subnet (network);

CREATE TABLE network_port (
    id           TEXT PRIMARY KEY,
    network      TEXT NOT NULL REFERENCES network (id),
    project      TEXT NOT NULL,
    name         TEXT NOT NULL,
    description  TEXT NOT NULL,
    mac          TEXT NOT NULL,
    admin_up     BOOLEAN NOT NULL,
    device       TEXT NOT NULL,             -- id of what uses it; empty: nothing
    device_owner TEXT NOT NULL,             -- what kind of thing that is: compute:nova
    host         TEXT NOT NULL,             -- the machine it is bound to; empty: none
    vnic         TEXT NOT NULL,             -- the kind of NIC that was asked for
    dns_name     TEXT NOT NULL,
    tags         TEXT NOT NULL,             -- JSON
    revision     INTEGER NOT NULL,
    created_at   TIMESTAMP NOT NULL,
    updated_at   TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX network_port_mac ON network_port (network, mac);
CREATE UNIQUE INDEX network_port_bound ON network_port (mac) WHERE host <> '';
CREATE INDEX network_port_project ON network_port (project);
CREATE INDEX network_port_device ON network_port (device);

-- Which address is whose. The primary key decides races.
CREATE TABLE network_address (
    subnet      TEXT NOT NULL REFERENCES network_subnet (id),
    address     TEXT NOT NULL,
    port        TEXT NOT NULL REFERENCES network_port (id) ON DELETE CASCADE,
    place       INTEGER NOT NULL,           -- among the port's addresses
    PRIMARY KEY (subnet, address)
);
CREATE INDEX network_address_port ON network_address (port);

-- The limits that differ from the defaults.
CREATE TABLE network_quota (
    project     TEXT NOT NULL,
    resource    TEXT NOT NULL,
    most        INTEGER NOT NULL,           -- -1: no limit
    PRIMARY KEY (project, resource)
);

-- +goose Down
DROP TABLE network_quota;
DROP TABLE network_address;
DROP TABLE network_port;
DROP TABLE network_subnet;
DROP TABLE network;
