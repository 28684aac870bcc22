-- +goose Up
-- Which process holds the serial line of an instance's machine. Only that one records it; the others send viewers there.
CREATE TABLE console_lease (
    instance TEXT PRIMARY KEY,
    machine  TEXT NOT NULL,
    holder   TEXT NOT NULL,
    url      TEXT NOT NULL,                 -- where the other processes reach the holder
    until    TIMESTAMP NOT NULL
);

-- Permissions to open a console, once. What the user holds is the token; here is its SHA-256.
CREATE TABLE console_token (
    hash       TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,               -- page, serial or screen
    instance   TEXT NOT NULL,
    project    TEXT NOT NULL,               -- whose instance it is
    user_id    TEXT NOT NULL,
    user_name  TEXT NOT NULL,
    request    TEXT NOT NULL,               -- in which it was given
    session    TEXT NOT NULL,               -- the page it was given to; empty: it came from the API
    expires_at TIMESTAMP NOT NULL,
    used_at    TIMESTAMP
);
CREATE INDEX console_token_expires ON console_token (expires_at);

-- Who had a console open, when and for how long. It stays when the instance is gone.
CREATE TABLE console_session (
    id         TEXT PRIMARY KEY,
    hash       TEXT NOT NULL,               -- of a page's key; empty: a websocket
    parent     TEXT NOT NULL,               -- the page that a websocket belongs to; empty: none
    kind       TEXT NOT NULL,
    instance   TEXT NOT NULL,
    project    TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    user_name  TEXT NOT NULL,
    request    TEXT NOT NULL,
    peer       TEXT NOT NULL,               -- the address it came from
    typed      BIGINT NOT NULL,             -- bytes
    opened_at  TIMESTAMP NOT NULL,
    seen_at    TIMESTAMP NOT NULL,          -- last sign of life
    closed_at  TIMESTAMP
);
CREATE UNIQUE INDEX console_session_hash ON console_session (hash) WHERE hash <> '';
CREATE INDEX console_session_instance ON console_session (instance, opened_at);

-- +goose Down
DROP TABLE console_session;
DROP TABLE console_token;
DROP TABLE console_lease;
