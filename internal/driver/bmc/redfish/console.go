package redfish

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/coder/websocket"
	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"github.com/ingotcloud/ingot/internal/fault"
)

// openBMCConsole is where OpenBMC has its console; other services may name theirs (ComputerSystem 1.26,
// SerialConsole/WebSocket/ConsoleURI).
const openBMCConsole = "/console0"

// openBMCScreen is OpenBMC's picture of the machine; Redfish has no name for such a thing.
const openBMCScreen = "/kvm/0"

// maxMessage bounds one message of the console, in bytes.
const maxMessage = 1 << 20

// OpenConsole joins the serial line: by a websocket, or by SSH where the BMC has that only. The context bounds the opening
// only; Close ends the connection.
func (d *Driver) OpenConsole(ctx context.Context) (io.ReadWriteCloser, error) {
	stream, err := d.openStream(ctx, "OpenConsole", "console", func(s *schemas.ComputerSystem) string {
		return cmp.Or(s.SerialConsole.WebSocket.ConsoleURI, openBMCConsole)
	})
	if !fault.Is(err, fault.Unsupported) {
		return stream, err
	}
	stream, failed := d.openSSH(ctx)
	if fault.Is(failed, fault.Unsupported) {
		return nil, err
	}
	return stream, failed
}

// OpenScreen opens the machine's picture. The context bounds the opening only; Close ends the connection.
func (d *Driver) OpenScreen(ctx context.Context) (io.ReadWriteCloser, error) {
	return d.openStream(ctx, "OpenScreen", "graphical console", func(*schemas.ComputerSystem) string { return openBMCScreen })
}

// openStream opens a websocket of the BMC's.
func (d *Driver) openStream(ctx context.Context, op, what string, pathOf func(*schemas.ComputerSystem) string) (io.ReadWriteCloser, error) {
	var stream io.ReadWriteCloser
	err := d.withSystem(ctx, op, func(ctx context.Context, c *gofish.APIClient, s *schemas.ComputerSystem) error {
		header := http.Header{}
		if session, err := c.GetSession(); err == nil {
			header.Set("X-Auth-Token", session.Token)
		} else {
			r := http.Request{Header: header}
			r.SetBasicAuth(d.bmc.Username, d.bmc.Password)
		}
		// The bare transport: bounded would hide that the connection can be written to. It speaks HTTP/1.1 only, as
		// net/http does wherever the TLS configuration is ours, and a websocket needs just that.
		socket, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(d.base, "http")+pathOf(s), &websocket.DialOptions{
			HTTPClient: &http.Client{Transport: d.http.Transport.(bounded).next, CheckRedirect: d.http.CheckRedirect}, HTTPHeader: header,
		})
		if err != nil {
			return refused(what, resp, err)
		}
		socket.SetReadLimit(maxMessage)
		stream = websocket.NetConn(context.Background(), socket, websocket.MessageBinary)
		return nil
	})
	return stream, err
}

// refused gives a handshake that failed the same error type as gofish's, so that a dropped session is noticed.
func refused(what string, resp *http.Response, err error) error {
	if resp == nil {
		return err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols || resp.StatusCode == http.StatusOK {
		return fault.Wrap(err, fault.Unsupported, "The BMC has no %s over a websocket.", what)
	}
	body := []byte{}
	if resp.Body != nil {
		body, _ = io.ReadAll(io.LimitReader(resp.Body, 1<<16)) // what cannot be read is not told
	}
	return fmt.Errorf("%s: %w", what, schemas.ConstructError(resp.StatusCode, body))
}
