package rescue

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/creack/pty"
	"github.com/gliderlabs/ssh"
	"github.com/pkg/sftp"
	gossh "golang.org/x/crypto/ssh"

	"github.com/ingotcloud/ingot/internal/agentapi"
)

// user is the only one there is.
const user = "root"

// drainTime is how long the last words of a terminal's programs may take after its shell has ended.
const drainTime = time.Second

// shell runs what is asked for over SSH.
type shell struct {
	program string   // /bin/sh
	home    string   // where programs start
	env     []string // what they see
	log     *slog.Logger
}

// newServer lets root in, by the keys and by the password of the order.
func newServer(order agentapi.Rescue, host gossh.Signer, log *slog.Logger) *ssh.Server {
	return serverOf(order, host, &shell{program: "/bin/sh", home: "/root", env: environment, log: log})
}

func serverOf(order agentapi.Rescue, host gossh.Signer, s *shell) *ssh.Server {
	var keys []ssh.PublicKey
	for _, line := range order.Keys {
		for rest := []byte(line); len(rest) > 0; {
			key, _, _, next, err := ssh.ParseAuthorizedKey(rest)
			if err != nil {
				s.log.Warn("a key cannot log in", "error", err) // a certificate for Windows, perhaps
				break
			}
			keys, rest = append(keys, key), next
		}
	}
	return &ssh.Server{
		Addr: ":22", Version: "ingot_rescue", HostSigners: []ssh.Signer{host},
		PublicKeyHandler: func(ctx ssh.Context, offered ssh.PublicKey) bool {
			for _, key := range keys {
				if ctx.User() == user && ssh.KeysEqual(key, offered) {
					return true
				}
			}
			return false
		},
		PasswordHandler: func(ctx ssh.Context, password string) bool {
			return ctx.User() == user && agentapi.CheckPassword(order.PasswordHash, password)
		},
		Handler:           s.session,
		SubsystemHandlers: map[string]ssh.SubsystemHandler{"sftp": s.files},
	}
}

// session is a shell, or one command, with or without a terminal.
func (s *shell) session(c ssh.Session) {
	arguments := []string{"-l"}
	if command := c.RawCommand(); command != "" {
		arguments = []string{"-c", command}
	}
	cmd := exec.Command(s.program, arguments...)
	cmd.Dir, cmd.Env = s.home, append(s.env, c.Environ()...)
	run := s.plain
	if request, sizes, wanted := c.Pty(); wanted {
		cmd.Env = append(cmd.Env, "TERM="+request.Term)
		run = func(c ssh.Session, cmd *exec.Cmd) error { return terminal(c, cmd, request.Window, sizes) }
	}
	code := 0
	err := run(c, cmd)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		if code = exit.ExitCode(); code < 0 { // as shells tell of a signal
			code = 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
		}
	case err != nil:
		s.log.Warn("a session failed", "error", err)
		code = 255
	}
	_ = c.Exit(code) // the client is gone: nobody asks
}

// plain runs a command whose input may go on after its end: only its outputs are waited for.
func (s *shell) plain(c ssh.Session, cmd *exec.Cmd) error {
	cmd.Stdout, cmd.Stderr = c, c.Stderr()
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(input, c) // either side may go first
		_ = input.Close()
	}()
	return cmd.Wait()
}

// terminal runs a command on a terminal of its own. It ends with the command, whatever that left in the background.
func terminal(c ssh.Session, cmd *exec.Cmd, size ssh.Window, sizes <-chan ssh.Window) error {
	t, err := pty.StartWithSize(cmd, winsize(size))
	if err != nil {
		return err
	}
	defer t.Close() //nolint:errcheck // it hangs up
	// A client that types no more may still read; one that is gone has hung up.
	defer context.AfterFunc(c.Context(), func() { _ = t.Close() })()
	go func() {
		for size := range sizes {
			_ = pty.Setsize(t, winsize(size)) // it has just ended
		}
	}()
	go func() { _, _ = io.Copy(t, c) }() // either side may go first
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(c, t) // ends with EIO when the last program has closed the terminal
	}()
	err = cmd.Wait()
	select {
	case <-drained:
	case <-time.After(drainTime):
	}
	return err
}

func winsize(w ssh.Window) *pty.Winsize {
	return &pty.Winsize{Rows: uint16(w.Height), Cols: uint16(w.Width)}
}

// files serves sftp, which today's scp speaks too.
func (s *shell) files(c ssh.Session) {
	server, err := sftp.NewServer(c, sftp.WithServerWorkingDirectory(s.home))
	if err == nil {
		err = server.Serve()
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
		s.log.Warn("a transfer of files failed", "error", err)
	}
}
