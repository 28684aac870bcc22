-- +goose Up
ALTER TABLE machine_boot ADD COLUMN rescue BOOLEAN NOT NULL DEFAULT FALSE; -- with the tools of the rescue system

-- +goose Down
ALTER TABLE machine_boot DROP COLUMN rescue;
