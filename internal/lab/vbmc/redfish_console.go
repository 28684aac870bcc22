package vbmc

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/coder/websocket"

	"github.com/ingotcloud/ingot/internal/lab/serial"
)

// serveConsole is OpenBMC's /console0: the serial line as binary messages.
func serveConsole(s *Redfish, w http.ResponseWriter, r *http.Request) {
	if s.opts.SSH {
		http.NotFound(w, r)
		return
	}
	s.bridge(w, r, func(context.Context) (io.ReadWriteCloser, error) { return s.machine.Console() })
}

// serveKVM is OpenBMC's /kvm/0: the screen as raw RFB in binary messages, as noVNC speaks it.
func serveKVM(s *Redfish, w http.ResponseWriter, r *http.Request) {
	s.bridge(w, r, func(ctx context.Context) (io.ReadWriteCloser, error) { return s.machine.VNC(ctx) })
}

// bridge joins a websocket and a stream until either ends. The stream is opened first, so that a machine without a
// picture is an HTTP error and not a websocket that closes at once.
func (s *Redfish) bridge(w http.ResponseWriter, r *http.Request, open func(ctx context.Context) (io.ReadWriteCloser, error)) {
	if r.Header.Get("Upgrade") == "" {
		s.refuse(w, fail("GeneralError").because("This address speaks WebSocket only."))
		return
	}
	stream, err := open(r.Context())
	if err != nil {
		s.refuse(w, fail("ServiceTemporarilyUnavailable", "1").because("The stream cannot be opened: %v.", err))
		return
	}
	defer stream.Close()
	socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"binary"}})
	if err != nil {
		return // Accept has answered
	}
	defer socket.CloseNow()
	socket.SetReadLimit(1 << 20)

	// The request's context is no guide after the upgrade.
	ctx, cancel := context.WithCancel(s.ctx)
	s.spawn(func() {
		defer cancel()
		buffer := make([]byte, 32<<10)
		for {
			n, err := stream.Read(buffer)
			if n > 0 && socket.Write(ctx, websocket.MessageBinary, buffer[:n]) != nil {
				return
			}
			if err != nil {
				socket.Close(websocket.StatusNormalClosure, "the machine's stream ended")
				return
			}
		}
	})
	for {
		_, message, err := socket.Read(ctx)
		if err != nil {
			cancel()
			return
		}
		if _, err := stream.Write(message); err != nil && !errors.Is(err, serial.ErrHungUp) { // a line stays open while its machine is off
			cancel()
			return
		}
	}
}
