-- +goose Up
ALTER TABLE network ADD COLUMN external BOOLEAN NOT NULL DEFAULT FALSE;      -- routers may have their gateways on it
ALTER TABLE network ADD COLUMN is_default BOOLEAN NOT NULL DEFAULT FALSE;    -- the external one that is meant without a name
ALTER TABLE network ADD COLUMN port_security BOOLEAN NOT NULL DEFAULT FALSE; -- of new ports
ALTER TABLE network ADD COLUMN segment INTEGER NOT NULL DEFAULT 0;           -- the VLAN's or the tunnel's number; 0: none
ALTER TABLE network ADD COLUMN qos TEXT NOT NULL DEFAULT '';
ALTER TABLE network ADD COLUMN dns_domain TEXT NOT NULL DEFAULT '';
ALTER TABLE network ADD COLUMN zones TEXT NOT NULL DEFAULT '[]';             -- JSON list of availability zones hinted at
CREATE UNIQUE INDEX network_segment ON network (kind, physical, segment) WHERE kind <> 'flat';

ALTER TABLE network_subnet ADD COLUMN routes TEXT NOT NULL DEFAULT '[]';        -- JSON
ALTER TABLE network_subnet ADD COLUMN ra_mode TEXT NOT NULL DEFAULT '';
ALTER TABLE network_subnet ADD COLUMN address_mode TEXT NOT NULL DEFAULT '';
ALTER TABLE network_subnet ADD COLUMN subnetpool TEXT NOT NULL DEFAULT '';      -- that the CIDR is from; empty: none
ALTER TABLE network_subnet ADD COLUMN service_types TEXT NOT NULL DEFAULT '[]'; -- JSON list of device owners that it is for
CREATE INDEX network_subnet_project ON network_subnet (project);
CREATE INDEX network_subnet_subnetpool ON network_subnet (subnetpool);

ALTER TABLE network_port ADD COLUMN port_security BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE network_port ADD COLUMN pairs TEXT NOT NULL DEFAULT '[]';        -- JSON list of sources beside its own addresses
ALTER TABLE network_port ADD COLUMN dhcp_options TEXT NOT NULL DEFAULT '[]'; -- JSON
ALTER TABLE network_port ADD COLUMN qos TEXT NOT NULL DEFAULT '';
ALTER TABLE network_port ADD COLUMN profile TEXT NOT NULL DEFAULT '{}';      -- JSON: binding:profile as an admin gave it
ALTER TABLE network_port ADD COLUMN edge TEXT NOT NULL DEFAULT '{}';         -- JSON: where the NIC meets the network
ALTER TABLE network_port ADD COLUMN up BOOLEAN NOT NULL DEFAULT FALSE;       -- OVN carries it
CREATE INDEX network_port_network ON network_port (network);

-- Prefixes that subnets are cut from.
CREATE TABLE network_subnetpool (
    id             TEXT PRIMARY KEY,
    project        TEXT NOT NULL,
    name           TEXT NOT NULL,
    description    TEXT NOT NULL,
    tags           TEXT NOT NULL,           -- JSON
    revision       INTEGER NOT NULL,
    created_at     TIMESTAMP NOT NULL,
    updated_at     TIMESTAMP NOT NULL,
    prefixes       TEXT NOT NULL,           -- JSON, merged and sorted
    default_bits   INTEGER NOT NULL,        -- length of the prefixes that it gives
    least_bits     INTEGER NOT NULL,        -- the shortest, for the largest subnet
    most_bits      INTEGER NOT NULL,
    quota          BIGINT NOT NULL,         -- of a project, in addresses (v4) or /64s (v6); -1: no limit
    is_default     BOOLEAN NOT NULL,
    address_scope  TEXT NOT NULL            -- empty: none
);
CREATE INDEX network_subnetpool_project ON network_subnetpool (project);

-- Within a scope no address is twice.
CREATE TABLE network_address_scope (
    id          TEXT PRIMARY KEY,
    project     TEXT NOT NULL,
    name        TEXT NOT NULL,
    version     INTEGER NOT NULL,           -- 4 or 6
    created_at  TIMESTAMP NOT NULL
);

-- Who else may use what belongs to a project.
CREATE TABLE network_rbac (
    id      TEXT PRIMARY KEY,
    project TEXT NOT NULL,                  -- that shares
    kind    TEXT NOT NULL,                  -- of the thing shared: network, subnetpool, security_group …
    object  TEXT NOT NULL,                  -- its id
    action  TEXT NOT NULL,                  -- access_as_shared, access_as_external
    target  TEXT NOT NULL                   -- project; *: all of them
);
CREATE UNIQUE INDEX network_rbac_once ON network_rbac (kind, object, action, target);
CREATE INDEX network_rbac_target ON network_rbac (kind, target);
INSERT INTO network_rbac (id, project, kind, object, action, target)
    SELECT id, project, 'network', id, 'access_as_shared', '*' FROM network WHERE shared;
ALTER TABLE network DROP COLUMN shared;

-- +goose Down
ALTER TABLE network ADD COLUMN shared BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE network SET shared = TRUE WHERE id IN (SELECT object FROM network_rbac WHERE kind = 'network' AND action = 'access_as_shared' AND target = '*');
DROP TABLE network_rbac;
DROP TABLE network_address_scope;
DROP TABLE network_subnetpool;
DROP INDEX network_port_network;
ALTER TABLE network_port DROP COLUMN up;
ALTER TABLE network_port DROP COLUMN edge;
ALTER TABLE network_port DROP COLUMN profile;
ALTER TABLE network_port DROP COLUMN qos;
ALTER TABLE network_port DROP COLUMN dhcp_options;
ALTER TABLE network_port DROP COLUMN pairs;
ALTER TABLE network_port DROP COLUMN port_security;
DROP INDEX network_subnet_subnetpool;
DROP INDEX network_subnet_project;
ALTER TABLE network_subnet DROP COLUMN service_types;
ALTER TABLE network_subnet DROP COLUMN subnetpool;
ALTER TABLE network_subnet DROP COLUMN address_mode;
ALTER TABLE network_subnet DROP COLUMN ra_mode;
ALTER TABLE network_subnet DROP COLUMN routes;
DROP INDEX network_segment;
ALTER TABLE network DROP COLUMN zones;
ALTER TABLE network DROP COLUMN dns_domain;
ALTER TABLE network DROP COLUMN qos;
ALTER TABLE network DROP COLUMN segment;
ALTER TABLE network DROP COLUMN port_security;
ALTER TABLE network DROP COLUMN is_default;
ALTER TABLE network DROP COLUMN external;
