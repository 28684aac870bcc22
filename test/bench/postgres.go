package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// postgres is a PostgreSQL server of the run's own, on a socket in its folder. It does not wait for the disk, which is not
// what is compared.
type postgres struct {
	bin, dir string
	as       *syscall.Credential // it refuses to run as root
}

func startPostgres(ctx context.Context, dir string) (*postgres, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		return nil, errors.Join(err, errors.New("PostgreSQL's server is not installed: scripts/setup.sh test"))
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(account.Gid)
	if err != nil {
		return nil, err
	}
	pg := &postgres{bin: found[len(found)-1], dir: dir, as: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Chown(dir, uid, gid)); err != nil {
		return nil, err
	}
	options := fmt.Sprintf("-k %s -c listen_addresses= -c fsync=off -c max_connections=300", dir)
	for _, step := range [][]string{
		{"initdb", "-D", pg.path("data"), "-U", "bench", "-A", "trust", "--locale=C", "-E", "UTF8"},
		{"pg_ctl", "-D", pg.path("data"), "-w", "-l", pg.path("log"), "-o", options, "start"},
	} {
		if err := pg.run(ctx, step...); err != nil {
			return nil, err
		}
	}
	return pg, nil
}

func (pg *postgres) path(name string) string { return filepath.Join(pg.dir, name) }

func (pg *postgres) run(ctx context.Context, command ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(pg.bin, command[0]), command[1:]...)
	cmd.Dir, cmd.SysProcAttr = pg.dir, &syscall.SysProcAttr{Credential: pg.as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, out)
	}
	return nil
}

func (pg *postgres) create(ctx context.Context, database string) error {
	return pg.run(ctx, "createdb", "-h", pg.dir, "-U", "bench", database)
}

// pid of the server, whose children its backends are.
func (pg *postgres) pid() (int, error) {
	text, err := os.ReadFile(pg.path("data/postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(first)
}

// stop ends the server at once: nobody wants its data.
func (pg *postgres) stop() error {
	return pg.run(context.Background(), "pg_ctl", "-D", pg.path("data"), "-m", "immediate", "stop")
}
