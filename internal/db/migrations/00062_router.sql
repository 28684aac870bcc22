-- +goose Up
-- Interfaces and gateways of routers are ports: their device is the router.
CREATE TABLE router (
    id          TEXT PRIMARY KEY,
    project     TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    admin_up    BOOLEAN NOT NULL,
    snat        BOOLEAN NOT NULL,           -- its gateway's address stands for machines without a floating IP
    routes      TEXT NOT NULL,              -- JSON list of destinations with their next hops
    zones       TEXT NOT NULL,              -- JSON: availability zone hints
    tags        TEXT NOT NULL,              -- JSON
    revision    INTEGER NOT NULL,
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL
);
CREATE INDEX router_project ON router (project);

CREATE TABLE floatingip (
    id            TEXT PRIMARY KEY,
    project       TEXT NOT NULL,
    description   TEXT NOT NULL,
    network       TEXT NOT NULL,            -- the external one
    port          TEXT NOT NULL UNIQUE,     -- outside: it holds the address
    address       TEXT NOT NULL,
    fixed_port    TEXT NOT NULL,            -- inside; empty: none
    fixed_address TEXT NOT NULL,
    router        TEXT NOT NULL,            -- by which both meet; empty: none
    qos           TEXT NOT NULL,
    dns_name      TEXT NOT NULL,
    dns_domain    TEXT NOT NULL,
    tags          TEXT NOT NULL,            -- JSON
    revision      INTEGER NOT NULL,
    created_at    TIMESTAMP NOT NULL,
    updated_at    TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX floatingip_inside ON floatingip (fixed_port, fixed_address, network) WHERE fixed_port <> '';
CREATE INDEX floatingip_fixed_port ON floatingip (fixed_port);
CREATE INDEX floatingip_router ON floatingip (router);
CREATE INDEX floatingip_project ON floatingip (project);

CREATE TABLE floatingip_forwarding (
    id            TEXT PRIMARY KEY,
    floatingip    TEXT NOT NULL REFERENCES floatingip (id),
    description   TEXT NOT NULL,
    protocol      TEXT NOT NULL,            -- tcp, udp, sctp
    outside_first INTEGER NOT NULL,         -- ports, both ends included
    outside_last  INTEGER NOT NULL,
    port          TEXT NOT NULL,            -- inside: the network port
    address       TEXT NOT NULL,
    inside_first  INTEGER NOT NULL,
    inside_last   INTEGER NOT NULL,
    created_at    TIMESTAMP NOT NULL
);
CREATE INDEX floatingip_forwarding_floatingip ON floatingip_forwarding (floatingip);
CREATE INDEX floatingip_forwarding_port ON floatingip_forwarding (port);

-- +goose Down
DROP TABLE floatingip_forwarding;
DROP TABLE floatingip;
DROP TABLE router;
