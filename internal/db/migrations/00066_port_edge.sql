-- +goose Up
CREATE INDEX network_port_edge ON network_port (edge) WHERE plugged;

-- +goose Down
DROP INDEX network_port_edge;
