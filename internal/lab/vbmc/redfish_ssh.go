package vbmc

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/ingotcloud/ingot/internal/lab/serial"
)

// listenSSH serves the serial console by SSH, on a port of its own, as OpenBMC does on 2200: who logs in is on the line.
func (s *Redfish) listenSSH(host string, key any) error {
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return fmt.Errorf("SSH host key: %w", err)
	}
	config := &ssh.ServerConfig{PasswordCallback: func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if subtle.ConstantTimeCompare([]byte(c.User()+"\x00"+string(password)), []byte(s.opts.Username+"\x00"+s.opts.Password)) != 1 {
			return nil, errors.New("wrong user name or password")
		}
		return nil, nil
	}}
	config.AddHostKey(signer)
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return err
	}
	s.sshPort = listener.Addr().(*net.TCPAddr).Port
	s.spawn(func() { <-s.ctx.Done(); _ = listener.Close() }) // wakes the Accept below
	s.spawn(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.spawn(func() { s.serveSSH(conn, config) })
		}
	})
	return nil
}

func (s *Redfish) serveSSH(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close() //nolint:errcheck // the client is gone anyway
	ended := make(chan struct{})
	defer close(ended)
	s.spawn(func() {
		select {
		case <-s.ctx.Done():
			_ = conn.Close() // wakes all reads below
		case <-ended:
		}
	})
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return // the client was told
	}
	go ssh.DiscardRequests(requests)
	for wanted := range channels {
		if wanted.ChannelType() != "session" {
			_ = wanted.Reject(ssh.UnknownChannelType, "only sessions") // a client that is gone needs no answer
			continue
		}
		channel, asked, err := wanted.Accept()
		if err != nil {
			return
		}
		s.spawn(func() { s.serveShell(channel, asked) })
	}
}

// serveShell joins a session and the line. A terminal is granted; whatever program is wanted, it is the line.
func (s *Redfish) serveShell(channel ssh.Channel, asked <-chan *ssh.Request) {
	defer channel.Close() //nolint:errcheck // the client is gone anyway
	var start sync.Once
	for r := range asked {
		known := r.Type == "pty-req" || r.Type == "shell" || r.Type == "exec"
		if r.WantReply {
			_ = r.Reply(known, nil) // a client that is gone needs no answer
		}
		if r.Type != "shell" && r.Type != "exec" {
			continue
		}
		start.Do(func() {
			line, err := s.machine.Console()
			if err != nil {
				_, _ = fmt.Fprintf(channel, "The line cannot be opened: %v.\r\n", err)
				_ = channel.Close()
				return
			}
			s.spawn(func() { _, _ = io.Copy(channel, line); _ = channel.Close() }) // until either side ends
			s.spawn(func() { _, _ = io.Copy(unplugged{line}, channel); _ = line.Close() })
		})
	}
}

// unplugged is a line that stays open while its machine is off: what is typed then is lost.
type unplugged struct{ io.Writer }

func (u unplugged) Write(p []byte) (int, error) {
	n, err := u.Writer.Write(p)
	if errors.Is(err, serial.ErrHungUp) {
		return len(p), nil
	}
	return n, err
}
