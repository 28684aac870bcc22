package main

import (
	"context"
	"fmt"
	"net/http"
)

// Nobody has to log in, which spares Ironic a question to Keystone.
const ironicConf = `[DEFAULT]
auth_strategy = noauth
use_stderr = true
log_dir =
host = 127.0.0.1
my_ip = 127.0.0.1
state_path = /mnt
tempdir = /mnt
rpc_transport = json-rpc
enabled_hardware_types = fake-hardware
enabled_bios_interfaces = no-bios
enabled_boot_interfaces = fake
enabled_console_interfaces = no-console
enabled_deploy_interfaces = fake
enabled_inspect_interfaces = no-inspect
enabled_management_interfaces = fake
enabled_network_interfaces = noop
default_network_interface = noop
enabled_power_interfaces = fake
enabled_raid_interfaces = no-raid
enabled_rescue_interfaces = no-rescue
enabled_storage_interfaces = noop
enabled_vendor_interfaces = no-vendor
[json_rpc]
auth_strategy = noauth
host_ip = 127.0.0.1
port = %d
[api]
host_ip = 127.0.0.1
port = %d
api_workers = %d
[dhcp]
dhcp_provider = none
[oslo_concurrency]
lock_path = /mnt
[database]
connection = %s
`

// startIronic gives the processes of Ironic's API and conductor, and its address.
func (p *peers) startIronic(ctx context.Context) (pids []int, url string, err error) {
	rpc, err := freePort()
	if err != nil {
		return nil, "", err
	}
	port, err := freePort()
	if err != nil {
		return nil, "", err
	}
	database, err := p.database(ctx, "ironic")
	if err != nil {
		return nil, "", err
	}
	if err := p.write("ironic.conf", fmt.Sprintf(ironicConf, rpc, port, peerWorkers, database)); err != nil {
		return nil, "", err
	}
	config := []string{"--config-file", "/mnt/ironic.conf"}
	if err := p.run(ctx, append(append([]string{"/usr/bin/ironic-dbsync"}, config...), "create_schema")...); err != nil {
		return nil, "", err
	}
	for _, program := range []string{"ironic-conductor", "ironic-api"} {
		pid, err := p.start(program, append([]string{"/usr/bin/" + program}, config...)...)
		if err != nil {
			return nil, "", err
		}
		pids = append(pids, pid)
	}
	url = fmt.Sprintf("http://127.0.0.1:%d", port)
	return pids, url, p.until(ctx, "ironic-conductor", func(ctx context.Context) error {
		var found struct {
			Drivers []object `json:"drivers"`
		}
		_, err := newClient(url).do(ctx, http.MethodGet, "/v1/drivers", nil, &found)
		if err == nil && len(found.Drivers) == 0 {
			err = fmt.Errorf("there is no conductor")
		}
		return err
	})
}
