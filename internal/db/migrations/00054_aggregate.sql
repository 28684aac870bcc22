-- +goose Up
-- Sets of machines that an operator names: racks, rooms, generations. One with a zone is a part of that availability zone.
CREATE TABLE aggregate (
    id         INTEGER PRIMARY KEY,         -- Nova shows a number
    uuid       TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL UNIQUE,
    zone       TEXT NOT NULL,               -- empty: none
    metadata   TEXT NOT NULL,               -- JSON object of strings, without the zone
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP
);

CREATE TABLE aggregate_machine (
    aggregate INTEGER NOT NULL REFERENCES aggregate (id) ON DELETE CASCADE,
    machine   TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
    added_at  TIMESTAMP NOT NULL,
    PRIMARY KEY (aggregate, machine)
);
CREATE INDEX aggregate_of_machine ON aggregate_machine (machine);

-- +goose Down
DROP TABLE aggregate_machine;
DROP TABLE aggregate;
