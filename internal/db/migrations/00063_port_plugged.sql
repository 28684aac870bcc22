-- +goose Up
ALTER TABLE network_port ADD COLUMN plugged BOOLEAN NOT NULL DEFAULT FALSE; -- into its edge; before, the NIC is only reserved
UPDATE network_port SET plugged = host <> '';

-- +goose Down
ALTER TABLE network_port DROP COLUMN plugged;
