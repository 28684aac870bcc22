package rescue

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/ingotcloud/ingot/internal/agentapi"
)

func newKey(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// site is a rescue system's server on this host, whose only key is the tenant's.
type site struct {
	t            *testing.T
	addr         string
	host, tenant ssh.Signer
	home         string
}

func start(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, host: newKey(t), tenant: newKey(t), home: t.TempDir()}
	hash, err := agentapi.HashPassword("s3cret")
	if err != nil {
		t.Fatal(err)
	}
	order := agentapi.Rescue{Hostname: "web", PasswordHash: hash, Keys: []string{"no key at all", string(ssh.MarshalAuthorizedKey(s.tenant.PublicKey()))}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	server := serverOf(order, s.host, &shell{program: "/bin/sh", home: s.home, env: []string{"PATH=/usr/bin:/bin", "HOME=" + s.home}, log: slog.New(slog.DiscardHandler)})
	go server.Serve(listener) //nolint:errcheck // it ends with the listener
	t.Cleanup(func() { _ = server.Close() })
	return s
}

func (s *site) dial(user string, how ...ssh.AuthMethod) (*ssh.Client, error) {
	return ssh.Dial("tcp", s.addr, &ssh.ClientConfig{User: user, Auth: how, HostKeyCallback: ssh.FixedHostKey(s.host.PublicKey())})
}

func (s *site) login() *ssh.Client {
	s.t.Helper()
	client, err := s.dial("root", ssh.PublicKeys(s.tenant))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

func (s *site) session(client *ssh.Client) *ssh.Session {
	s.t.Helper()
	session, err := client.NewSession()
	if err != nil {
		s.t.Fatal(err)
	}
	return session
}

func TestWhoIsLetIn(t *testing.T) {
	s := start(t)
	for name, x := range map[string]struct {
		user string
		how  ssh.AuthMethod
		ok   bool
	}{
		"the tenant's key":      {"root", ssh.PublicKeys(s.tenant), true},
		"the password":          {"root", ssh.Password("s3cret"), true},
		"another key":           {"root", ssh.PublicKeys(newKey(t)), false},
		"another password":      {"root", ssh.Password("secret"), false},
		"no password":           {"root", ssh.Password(""), false},
		"another user's key":    {"ingot", ssh.PublicKeys(s.tenant), false},
		"another user, by word": {"ingot", ssh.Password("s3cret"), false},
	} {
		client, err := s.dial(x.user, x.how)
		if (err == nil) != x.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = client.Close()
		}
	}
	if _, err := s.dial("root"); err == nil {
		t.Error("somebody without anything is in")
	}
}

func TestCommands(t *testing.T) {
	client := start(t)
	c := client.login()
	for command, code := range map[string]int{"true": 0, "exit 7": 7, "kill -9 $$": 137, "nosuchprogram": 127} {
		err := client.session(c).Run(command)
		var exit *ssh.ExitError
		if got := 0; err != nil && !errors.As(err, &exit) {
			t.Errorf("%s: %v", command, err)
		} else if exit != nil && exit.ExitStatus() != code || exit == nil && got != code {
			t.Errorf("%s: %v, not %d", command, err, code)
		}
	}
	session := client.session(c)
	var out, words bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = strings.NewReader(strings.Repeat("x", 1<<20)), &out, &words
	if err := session.Run("wc -c; echo trouble >&2; pwd"); err != nil || strings.TrimSpace(out.String()) != "1048576\n"+client.home || words.String() != "trouble\n" {
		t.Errorf("%v: %q, %q", err, out.String(), words.String())
	}
	// Its input stays open for longer than the command is there.
	session = client.session(c)
	if _, err := session.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := session.Run("true"); err != nil {
		t.Error(err)
	}
}

func TestTerminal(t *testing.T) {
	s := start(t)
	session := s.session(s.login())
	if err := session.RequestPty("vt220", 33, 101, ssh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	input, err := session.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var screen bytes.Buffer
	session.Stdout = &screen
	if err := session.Shell(); err != nil {
		t.Fatal(err)
	}
	// A program that stays in the background does not keep the session open.
	if _, err := io.WriteString(input, "sleep 1000 & stty size; echo $TERM-is-it; kill $!; exit 3\n"); err != nil {
		t.Fatal(err)
	}
	if err := input.Close(); err != nil { // it types no more, and still reads
		t.Fatal(err)
	}
	err = session.Wait()
	var exit *ssh.ExitError
	if !errors.As(err, &exit) || exit.ExitStatus() != 3 || !strings.Contains(screen.String(), "33 101") || !strings.Contains(screen.String(), "vt220-is-it") {
		t.Errorf("%v: %q", err, screen.String())
	}
}

func TestFiles(t *testing.T) {
	s := start(t)
	files, err := sftp.NewClient(s.login())
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()                //nolint:errcheck // the connection goes with the test
	file, err := files.Create("fstab") // in the home
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write([]byte("proc /proc proc\n"))
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	out, err := s.session(s.login()).Output("cat " + filepath.Join(s.home, "fstab"))
	if err != nil || string(out) != "proc /proc proc\n" {
		t.Errorf("%q, %v", out, err)
	}
}
