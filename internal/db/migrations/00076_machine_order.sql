-- +goose Up
-- Lists of machines are read page by page in this order.
CREATE INDEX machine_created ON machine (created_at, id);

-- +goose Down
DROP INDEX machine_created;
