-- +goose Up
-- The last number that an aggregate got: none comes twice, so that nobody deletes another one than was meant.
CREATE TABLE aggregate_number (last INTEGER NOT NULL);
INSERT INTO aggregate_number (last) SELECT coalesce(max(id), 0) FROM aggregate;

-- +goose Down
DROP TABLE aggregate_number;
