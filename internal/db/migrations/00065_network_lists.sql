-- +goose Up
-- Lists begin with the oldest and come in pages; by a name, a MAC or an address one thing of many is found.
CREATE INDEX network_oldest ON network (created_at, id);
CREATE INDEX network_subnet_oldest ON network_subnet (created_at, id);
CREATE INDEX network_port_oldest ON network_port (created_at, id);
CREATE INDEX network_name ON network (name);
CREATE INDEX network_subnet_name ON network_subnet (name);
CREATE INDEX network_port_name ON network_port (name);
CREATE INDEX network_port_hardware ON network_port (mac);
CREATE INDEX network_address_address ON network_address (address);
-- What names a QoS policy is looked at when the policy changes.
CREATE INDEX network_qos ON network (qos);
CREATE INDEX network_port_qos ON network_port (qos);
CREATE INDEX floatingip_qos ON floatingip (qos);

-- +goose Down
DROP INDEX floatingip_qos;
DROP INDEX network_port_qos;
DROP INDEX network_qos;
DROP INDEX network_address_address;
DROP INDEX network_port_hardware;
DROP INDEX network_port_name;
DROP INDEX network_subnet_name;
DROP INDEX network_name;
DROP INDEX network_port_oldest;
DROP INDEX network_subnet_oldest;
DROP INDEX network_oldest;
