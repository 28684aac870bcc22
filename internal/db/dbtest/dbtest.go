// Package dbtest gives tests a fresh database on each engine. PostgreSQL is started by the test process from the
// installed server, on a unix socket in a folder of its own, and stopped when the process's last test is done with it.
package dbtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ingotcloud/ingot/internal/db"
)

// Each runs the test once per engine on an empty, migrated database. PostgreSQL is skipped, with the reason, where it
// is not installed.
func Each(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// SQLite gives an empty database in a temporary file.
func SQLite(t testing.TB) *db.DB {
	t.Helper()
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "ingot.db"))
}

// Postgres gives an empty database on the test process's own server.
func Postgres(t testing.TB) *db.DB {
	t.Helper()
	return open(t, PostgresDSN(t))
}

func open(t testing.TB, dsn string) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

var (
	server struct {
		sync.Mutex
		users int
		*postgres
	}
	databases atomic.Int64
)

// PostgresDSN names a new, empty database; several processes may open it.
func PostgresDSN(t testing.TB) string {
	t.Helper()
	bin := serverBin()
	if bin == "" {
		t.Skip("PostgreSQL's server is not installed")
	}
	server.Lock()
	defer server.Unlock()
	if server.users == 0 {
		started, err := startPostgres(bin)
		if err != nil {
			t.Fatalf("start PostgreSQL: %v", err)
		}
		server.postgres = started
	}
	server.users++
	pg := server.postgres
	t.Cleanup(func() {
		server.Lock()
		defer server.Unlock()
		if server.users--; server.users == 0 {
			pg.stop()
		}
	})
	name := fmt.Sprintf("t%d", databases.Add(1))
	if out, err := pg.run("createdb", "-h", pg.dir, "-U", "ingot", name).CombinedOutput(); err != nil {
		t.Fatalf("createdb: %v: %s", err, out)
	}
	return fmt.Sprintf("postgres://ingot@/%s?host=%s", name, pg.dir)
}

func serverBin() string {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return ""
	}
	return filepath.Dir(found[len(found)-1])
}

type postgres struct {
	bin, dir string
	as       *syscall.Credential // PostgreSQL refuses to run as root
}

func startPostgres(bin string) (*postgres, error) {
	dir, err := os.MkdirTemp("", "ingot-pg-")
	if err != nil {
		return nil, err
	}
	pg := &postgres{bin: bin, dir: dir}
	if os.Getuid() == 0 {
		account, err := user.Lookup("postgres")
		if err != nil {
			return nil, err
		}
		uid, _ := strconv.Atoi(account.Uid) // numbers on every Unix
		gid, _ := strconv.Atoi(account.Gid)
		pg.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, uid, gid); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	if out, err := pg.run("initdb", "-D", data, "-U", "ingot", "-A", "trust", "-N", "--locale=C", "-E", "UTF8").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	options := fmt.Sprintf("-k %s -c listen_addresses= -c fsync=off -c max_connections=200", dir)
	if out, err := pg.run("pg_ctl", "-D", data, "-w", "-l", filepath.Join(dir, "log"), "-o", options, "start").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pg_ctl start: %w: %s", err, out)
	}
	return pg, nil
}

func (pg *postgres) run(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(pg.bin, program), args...)
	cmd.Dir = pg.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: pg.as}
	return cmd
}

func (pg *postgres) stop() {
	_ = pg.run("pg_ctl", "-D", filepath.Join(pg.dir, "data"), "-m", "immediate", "stop").Run() // the folder goes anyway
	_ = os.RemoveAll(pg.dir)
}
