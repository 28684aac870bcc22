package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// fakeQEMU greets, agrees to the capabilities, and answers each further command with answer's lines.
func fakeQEMU(t *testing.T, answer func(id int, command string) []string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "qmp") // t.TempDir is too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); os.RemoveAll(dir) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintln(conn, `{"QMP": {"version": {}, "capabilities": ["oob"]}}`)
				for in := bufio.NewScanner(conn); in.Scan(); {
					var r struct {
						Execute string
						ID      int
					}
					json.Unmarshal(in.Bytes(), &r)
					if r.Execute == "qmp_capabilities" {
						fmt.Fprintf(conn, `{"return": {}, "id": %d}`+"\n", r.ID)
						continue
					}
					lines := answer(r.ID, r.Execute)
					if lines == nil {
						return
					}
					for _, line := range lines {
						fmt.Fprintln(conn, line)
					}
				}
			}()
		}
	}()
	return socket
}

func TestCommandsEventsAndRefusals(t *testing.T) {
	socket := fakeQEMU(t, func(id int, command string) []string {
		switch command {
		case "query-status":
			return []string{`{"event": "RESUME", "data": {"x": 1}, "timestamp": {}}`,
				fmt.Sprintf(`{"return": {"status": "running"}, "id": %d}`, id)}
		case "quit":
			return nil
		case "sleep":
			return []string{}
		}
		return []string{fmt.Sprintf(`{"id": %d, "error": {"class": "CommandNotFound", "desc": "no such command"}}`, id)}
	})
	events := make(chan Event, 1)
	ctx := context.Background()
	c, err := Dial(ctx, socket, func(e Event) { events <- e })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	var status struct{ Status string }
	if err := c.Execute(ctx, "query-status", nil, &status); err != nil || status.Status != "running" {
		t.Errorf("%+v, %v", status, err)
	}
	if e := <-events; e.Name != "RESUME" || string(e.Data) != `{"x": 1}` {
		t.Errorf("event %+v", e)
	}
	var refused *Error
	if err := c.Execute(ctx, "dance", nil, nil); !errors.As(err, &refused) || refused.Class != "CommandNotFound" {
		t.Errorf("refusal: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if err := c.Execute(short, "sleep", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a command without answer: %v", err)
	}
	if err := c.Execute(ctx, "quit", nil, nil); !errors.Is(err, ErrGone) {
		t.Errorf("QEMU hung up: %v", err)
	}
	<-c.Gone()
	if pid, err := PeerPID(socket); err != nil || pid != os.Getpid() {
		t.Errorf("peer %d, %v; want %d", pid, err, os.Getpid())
	}
}
