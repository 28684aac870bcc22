-- +goose Up
CREATE TABLE image (
    id               TEXT PRIMARY KEY,
    project          TEXT NOT NULL,          -- the owner
    name             TEXT NOT NULL,
    status           TEXT NOT NULL,          -- image.Status
    visibility       TEXT NOT NULL,
    disk_format      TEXT NOT NULL,          -- empty: not said yet; so too below
    container_format TEXT NOT NULL,
    size             BIGINT NOT NULL,        -- bytes as uploaded; 0: no data yet
    virtual_size     BIGINT NOT NULL,        -- bytes of the disk
    checksum         TEXT NOT NULL,          -- MD5 of what was uploaded, hex
    hash             TEXT NOT NULL,          -- SHA-512 of the same
    min_disk         BIGINT NOT NULL,        -- GiB
    min_ram          BIGINT NOT NULL,        -- MiB
    protected        BOOLEAN NOT NULL,
    hidden           BOOLEAN NOT NULL,
    tags             TEXT NOT NULL,          -- JSON
    properties       TEXT NOT NULL,          -- JSON
    created_at       TIMESTAMP NOT NULL,
    updated_at       TIMESTAMP NOT NULL,
    blobs            TEXT NOT NULL,          -- what the keys of the data begin with, drawn anew for each attempt; empty: no data
    staged           TEXT NOT NULL,          -- the same of a file that waits for its import
    manifest_sha256  TEXT NOT NULL,
    working_until    TIMESTAMP,              -- lease of the process that brings data in; NULL: none does
    failure          TEXT NOT NULL           -- why the last import failed, for the owner
);
CREATE INDEX image_project ON image (project);
CREATE INDEX image_created ON image (created_at, id);

-- Tags (name "tags") and properties once more, to filter by: neither engine can ask JSON text in the other's words.
CREATE TABLE image_label (
    image TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    name  TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (image, name, value)
);

CREATE TABLE image_member (
    image      TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    project    TEXT NOT NULL,
    status     TEXT NOT NULL,                -- pending accepted rejected
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (image, project)
);
CREATE INDEX image_member_project ON image_member (project);

-- Who needs an image's data although the image may be deleted meanwhile: a running deploy.
CREATE TABLE image_hold (
    holder     TEXT PRIMARY KEY,
    image      TEXT NOT NULL,
    blobs      TEXT NOT NULL,
    manifest_sha256 TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX image_hold_image ON image_hold (image);

-- Blobs to delete once nobody holds them.
CREATE TABLE image_trash (
    blobs      TEXT PRIMARY KEY,
    created_at TIMESTAMP NOT NULL
);
