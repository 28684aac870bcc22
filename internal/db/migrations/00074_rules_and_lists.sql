-- +goose Up
-- The rules that each new security group begins with: one row is one rule of the default groups, of the others, or of both.
CREATE TABLE security_group_default_rule (
    id                   TEXT PRIMARY KEY,
    description          TEXT NOT NULL,
    egress               BOOLEAN NOT NULL,
    version              INTEGER NOT NULL,  -- 4 or 6
    protocol             INTEGER NOT NULL,  -- -1: any
    spelling             TEXT NOT NULL,     -- of the protocol, as its author wrote it; empty: any
    first_port           INTEGER NOT NULL,  -- or ICMP's type; -1: any
    last_port            INTEGER NOT NULL,  -- or ICMP's code; -1: any
    remote_cidr          TEXT NOT NULL,     -- the other end: at most one of the three is not empty
    remote_group         TEXT NOT NULL,     -- PARENT: the new group itself
    remote_address_group TEXT NOT NULL,
    in_default           BOOLEAN NOT NULL,
    in_others            BOOLEAN NOT NULL,
    same                 TEXT NOT NULL UNIQUE -- what it means, as in security_group_rule
);
INSERT INTO security_group_default_rule VALUES
    ('6f2cd8f5-43a5-4a0c-8c6a-0c3fd5f0a401', '', TRUE,  4, -1, '', -1, -1, '', '', '',       TRUE, TRUE,  'true 4 -1 -1--1   '),
    ('6f2cd8f5-43a5-4a0c-8c6a-0c3fd5f0a601', '', TRUE,  6, -1, '', -1, -1, '', '', '',       TRUE, TRUE,  'true 6 -1 -1--1   '),
    ('6f2cd8f5-43a5-4a0c-8c6a-0c3fd5f0a402', '', FALSE, 4, -1, '', -1, -1, '', 'PARENT', '', TRUE, FALSE, 'false 4 -1 -1--1  PARENT '),
    ('6f2cd8f5-43a5-4a0c-8c6a-0c3fd5f0a602', '', FALSE, 6, -1, '', -1, -1, '', 'PARENT', '', TRUE, FALSE, 'false 6 -1 -1--1  PARENT ');

-- Lists begin with the oldest and come in pages, as those of networks do.
CREATE INDEX router_oldest ON router (created_at, id);
CREATE INDEX floatingip_oldest ON floatingip (created_at, id);
CREATE INDEX security_group_oldest ON security_group (created_at, id);
CREATE INDEX address_group_oldest ON address_group (created_at, id);
CREATE INDEX router_name ON router (name);
CREATE INDEX security_group_name ON security_group (name);
CREATE INDEX floatingip_address ON floatingip (address);

-- +goose Down
DROP INDEX floatingip_address;
DROP INDEX security_group_name;
DROP INDEX router_name;
DROP INDEX address_group_oldest;
DROP INDEX security_group_oldest;
DROP INDEX floatingip_oldest;
DROP INDEX router_oldest;
DROP TABLE security_group_default_rule;
