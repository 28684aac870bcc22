-- +goose Up
-- Metadata definitions: which properties things may have, for the forms of clients.
CREATE TABLE metadef_namespace (
    name         TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    description  TEXT NOT NULL,
    owner        TEXT NOT NULL,             -- project
    public       BOOLEAN NOT NULL,
    protected    BOOLEAN NOT NULL,
    created_at   TIMESTAMP NOT NULL,
    updated_at   TIMESTAMP NOT NULL
);

CREATE TABLE metadef_item (
    namespace  TEXT NOT NULL REFERENCES metadef_namespace (name) ON UPDATE CASCADE ON DELETE CASCADE,
    kind       TEXT NOT NULL,               -- metadef.Kind
    name       TEXT NOT NULL,
    body       TEXT NOT NULL,               -- JSON: what the client said, without the name
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (namespace, kind, name)
);

-- +goose Down
DROP TABLE metadef_item;
DROP TABLE metadef_namespace;
