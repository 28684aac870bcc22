// Package qmp speaks to a running QEMU: commands with their answers, and events (QEMU Machine Protocol specification,
// docs/interop/qmp-spec in QEMU's source).
package qmp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Event is something QEMU tells unasked, such as SHUTDOWN.
type Event struct {
	Name string          `json:"event"`
	Data json.RawMessage `json:"data"`
}

// Error is QEMU's refusal of a command.
type Error struct {
	Command string
	Class   string `json:"class"`
	Desc    string `json:"desc"`
}

func (e *Error) Error() string { return fmt.Sprintf("QEMU refused %s: %s", e.Command, e.Desc) }

// ErrGone is the answer to commands when QEMU has closed the line.
var ErrGone = errors.New("QEMU is gone")

// Client is a connection to one QEMU. Its methods may be called at once.
type Client struct {
	conn    *net.UnixConn
	onEvent func(Event)
	gone    chan struct{}

	writing sync.Mutex // one command's bytes at a time
	mu      sync.Mutex
	next    int
	waiting map[int]chan message
}

// message is anything QEMU sends.
type message struct {
	Event
	ID     *int            `json:"id"`
	Return json.RawMessage `json:"return"`
	Error  *Error          `json:"error"`
}

// Dial connects to QEMU's socket and negotiates. onEvent, which may be nil, is called for each event on the reading
// goroutine: it must not wait for a command.
func Dial(ctx context.Context, socket string, onEvent func(Event)) (*Client, error) {
	conn, err := Connect(ctx, socket)
	if err != nil {
		return nil, err
	}
	c := &Client{conn: conn, onEvent: onEvent, gone: make(chan struct{}), waiting: map[int]chan message{}}
	go c.read()
	// QEMU serves one client at a time and greets only then; commands before the greeting are kept in the socket.
	if err := c.Execute(ctx, "qmp_capabilities", nil, nil); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// Connect connects to one of QEMU's sockets. QEMU lets one client wait; while somebody else does, it is tried again.
func Connect(ctx context.Context, socket string) (*net.UnixConn, error) {
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if err == nil {
			return conn.(*net.UnixConn), nil
		}
		if !errors.Is(err, syscall.EAGAIN) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// PeerPID is the process id of the QEMU that listens on a socket, also of one that no longer answers.
func PeerPID(socket string) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := Connect(ctx, socket)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return int(cred.Pid), nil
}

// Execute runs a command and stores its answer in out, unless out is nil. A refusal is an *Error.
func (c *Client) Execute(ctx context.Context, command string, args map[string]any, out any) error {
	answer := make(chan message, 1)
	c.mu.Lock()
	c.next++
	id := c.next
	c.waiting[id] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
	}()

	request := map[string]any{"execute": command, "id": id}
	if args != nil {
		request["arguments"] = args
	}
	line, err := json.Marshal(request)
	if err != nil {
		return err
	}
	c.writing.Lock()
	_, err = c.conn.Write(append(line, '\n'))
	c.writing.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", command, ErrGone)
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			m.Error.Command = command
			return m.Error
		}
		if out == nil {
			return nil
		}
		return json.Unmarshal(m.Return, out)
	case <-c.gone:
		return fmt.Errorf("%s: %w", command, ErrGone)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", command, ctx.Err())
	}
}

func (c *Client) read() {
	defer close(c.gone)
	decoder := json.NewDecoder(c.conn)
	for {
		var m message
		if err := decoder.Decode(&m); err != nil {
			return
		}
		switch {
		case m.Name != "":
			if c.onEvent != nil {
				c.onEvent(m.Event)
			}
		case m.ID != nil:
			c.mu.Lock()
			answer := c.waiting[*m.ID]
			delete(c.waiting, *m.ID)
			c.mu.Unlock()
			if answer != nil {
				answer <- m
			}
		}
	}
}

// Gone is closed when QEMU has closed the line.
func (c *Client) Gone() <-chan struct{} { return c.gone }

// Close hangs up; QEMU goes on.
func (c *Client) Close() error { return c.conn.Close() }
