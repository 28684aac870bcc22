package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// Both sides hash passwords at bcrypt's least cost, so that the comparison is of the rest.
const keystoneConf = `[DEFAULT]
use_stderr = true
[database]
connection = %s
[fernet_tokens]
key_repository = /mnt/fernet
[credential]
key_repository = /mnt/credential
[cache]
enabled = true
backend = oslo_cache.dict
[identity]
password_hash_rounds = 4
`

const peerPassword = "bench-secret"

// startKeystone gives Keystone's processes and its address.
func (p *peers) startKeystone(ctx context.Context) (pid int, url string, err error) {
	port, err := freePort()
	if err != nil {
		return 0, "", err
	}
	url = fmt.Sprintf("http://127.0.0.1:%d/v3", port)
	database, err := p.database(ctx, "keystone")
	if err != nil {
		return 0, "", err
	}
	if err := p.write("keystone.conf", fmt.Sprintf(keystoneConf, database)); err != nil {
		return 0, "", err
	}
	for _, keys := range []string{"fernet", "credential"} {
		if err := os.Mkdir(filepath.Join(p.dir, keys), 0o700); err != nil {
			return 0, "", err
		}
	}
	for _, arguments := range [][]string{
		{"db_sync"},
		{"fernet_setup", "--keystone-user", "root", "--keystone-group", "root"},
		{"credential_setup", "--keystone-user", "root", "--keystone-group", "root"},
		{"bootstrap", "--bootstrap-password", peerPassword, "--bootstrap-public-url", url, "--bootstrap-region-id", "RegionOne"},
	} {
		if err := p.run(ctx, append([]string{"/usr/bin/keystone-manage", "--config-file", "/mnt/keystone.conf"}, arguments...)...); err != nil {
			return 0, "", err
		}
	}
	if pid, err = p.uwsgi("keystone", "/usr/bin/keystone-wsgi-public", port); err != nil {
		return 0, "", err
	}
	return pid, url, p.until(ctx, "keystone", func(ctx context.Context) error {
		_, err := newClient(url).do(ctx, http.MethodGet, "", nil, nil)
		return err
	})
}
