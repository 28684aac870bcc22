package redfish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"
	"golang.org/x/crypto/ssh"

	"github.com/ingotcloud/ingot/internal/fault"
)

// sshConsole is where a BMC serves the serial line by SSH.
type sshConsole struct {
	port    uint
	command string // that leads to the line; empty: who logs in is there
}

const (
	sshPort        = 22
	openBMCSSHPort = 2200 // where OpenBMC serves the line; on 22 is the BMC's own shell
)

// sshOf reads where: from the system (ComputerSystem 1.13, SerialConsole/SSH), else from a manager that says that its serial
// console speaks SSH, for which Redfish has no port (Manager 1.0, SerialConsole). A manager's CommandShell alone is no line.
func sshOf(c *gofish.APIClient, s *schemas.ComputerSystem) (sshConsole, error) {
	if at := s.SerialConsole.SSH; at.ServiceEnabled {
		found := sshConsole{port: sshPort, command: at.ConsoleEntryCommand}
		if at.Port != nil {
			found.port = *at.Port
		}
		if found.command != "" || !at.SharedWithManagerCLI || found.port == openBMCSSHPort {
			return found, nil
		}
	}
	managers, err := managersOf(c, s)
	if err != nil {
		return sshConsole{}, err
	}
	for _, m := range managers {
		if m.SerialConsole.ServiceEnabled && slices.Contains(m.SerialConsole.ConnectTypesSupported, schemas.SSHSerialConnectTypesSupported) {
			return sshConsole{port: openBMCSSHPort}, nil
		}
	}
	return sshConsole{}, fault.New(fault.Unsupported, "The BMC has no console over SSH.")
}

// openSSH joins the serial line by SSH. The host key that was seen first is the only one that is trusted ever after.
func (d *Driver) openSSH(ctx context.Context) (io.ReadWriteCloser, error) {
	const op = "OpenConsole by SSH"
	var at sshConsole
	if err := d.withSystem(ctx, op, func(_ context.Context, c *gofish.APIClient, s *schemas.ComputerSystem) (err error) {
		at, err = sshOf(c, s)
		return err
	}); err != nil {
		return nil, err
	}
	var stream io.ReadWriteCloser
	err := d.around(ctx, op, func(ctx context.Context) (err error) {
		stream, err = d.dialSSH(ctx, at)
		return classifySSH(op, err)
	})
	return stream, err
}

var errHostKey = errors.New("the host key is not the one that was seen first")

func (d *Driver) dialSSH(ctx context.Context, at sshConsole) (io.ReadWriteCloser, error) {
	base, err := url.Parse(d.base)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort(base.Hostname(), strconv.FormatUint(uint64(at.port), 10))
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // bounds all that follows
	stream, err := d.joinSSH(ctx, conn, address, at.command)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close() // nothing came of it
		return nil, err
	}
	return stream, nil
}

func (d *Driver) joinSSH(ctx context.Context, conn net.Conn, address, command string) (io.ReadWriteCloser, error) {
	var shown ssh.PublicKey
	config := &ssh.ClientConfig{
		User: d.bmc.Username,
		Auth: []ssh.AuthMethod{ssh.Password(d.bmc.Password), ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
			return slices.Repeat([]string{d.bmc.Password}, len(questions)), nil
		})},
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			shown = key
			if d.hostKey != nil && !bytes.Equal(key.Marshal(), d.hostKey.Marshal()) {
				return errHostKey
			}
			return nil
		},
	}
	if d.hostKey != nil { // a BMC that has several shows the one we know
		config.HostKeyAlgorithms = algorithmsOf(d.hostKey)
	}
	over, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil && d.hostKey != nil && strings.Contains(err.Error(), "no common algorithm for host key") {
		err = errHostKey // it has a key of another kind only
	}
	if err != nil {
		return nil, err
	}
	if d.hostKey == nil && d.bmc.HostKeys != nil {
		if err := d.bmc.HostKeys.Keep(ctx, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(shown)))); err != nil {
			return nil, fmt.Errorf("keep the BMC's host key: %w", err)
		}
	}
	client := ssh.NewClient(over, channels, requests)
	session, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	in, err := session.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := session.RequestPty("vt100", 24, 80, ssh.TerminalModes{ssh.ECHO: 0}); err != nil {
		return nil, err
	}
	if command != "" {
		err = session.Start(command)
	} else {
		err = session.Shell()
	}
	if err != nil {
		return nil, err
	}
	go alive(client)
	return sshStream{out, in, client}, nil
}

func algorithmsOf(key ssh.PublicKey) []string {
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{key.Type()}
}

// How a connection is noticed that died without a word.
const (
	aliveEvery    = 30 * time.Second
	alivePatience = 20 * time.Second
)

// alive asks something that every server refuses, until the connection ends.
func alive(client *ssh.Client) {
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	ended := make(chan struct{})
	go func() { _ = client.Wait(); close(ended) }() // why it ended, the reader sees
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		late := time.AfterFunc(alivePatience, func() { _ = client.Close() })
		_, _, err := client.SendRequest("keepalive@openssh.com", true, nil)
		if late.Stop(); err != nil {
			return
		}
	}
}

type sshStream struct {
	io.Reader
	io.Writer
	client *ssh.Client
}

// Close ends the connection.
func (s sshStream) Close() error { return s.client.Close() }

// classifySSH is classify for SSH's own ways to fail.
func classifySSH(op string, err error) error {
	var full *ssh.OpenChannelError
	switch {
	case errors.Is(err, errHostKey):
		return fault.Wrap(err, fault.Invalid, "The BMC's SSH host key is not the one that was seen first. If the BMC was replaced, save its driver_info anew.")
	case errors.As(err, &full):
		return fault.Wrap(err, fault.Conflict, "The machine's serial console is in use: the BMC's SSH server takes no more sessions.")
	case err != nil && strings.Contains(err.Error(), "unable to authenticate"):
		return fault.Wrap(err, fault.Unauthorized, "The BMC's SSH server refuses the user name or password.")
	}
	return classify(op, err)
}
