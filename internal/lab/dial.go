package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/netns"
)

// dialSocket in the rack's folder leads into its networks, for programs outside the namespace that are not root, such as
// ssh's ProxyCommand. The client sends "address:port\n"; the server answers "OK\n" and from then on is a pipe to it, or
// "ERROR reason\n" and hangs up.
const dialSocket = "dial.sock"

// Dial connects to an address in a rack's networks through the lab's dial socket: to one in the machines' network as the
// control plane, to any other as somebody on the Internet, where there is one.
func Dial(ctx context.Context, socket, hostport string) (net.Conn, error) {
	if strings.ContainsAny(hostport, "\r\n") {
		return nil, fmt.Errorf("%q is no address", hostport)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("the lab's dial socket: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	answer, err := func() (string, error) {
		if _, err := io.WriteString(conn, hostport+"\n"); err != nil {
			return "", err
		}
		return readLine(conn)
	}()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil && answer != "OK" {
		err = errors.New(strings.TrimPrefix(answer, "ERROR "))
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("dial %s in the rack: %w", hostport, err)
	}
	return conn, nil
}

// readLine reads no byte more than the line: what follows belongs to the pipe.
func readLine(r io.Reader) (string, error) {
	var line []byte
	for one := make([]byte, 1); len(line) < 512; {
		if _, err := io.ReadFull(r, one); err != nil {
			return "", err
		}
		if one[0] == '\n' {
			return string(line), nil
		}
		line = append(line, one[0])
	}
	return "", errors.New("the line is too long")
}

// serveDials serves a dial socket until the listener is closed. An address is dialled from the namespace that route gives.
func serveDials(l net.Listener, route func(netip.Addr) string) error {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		} else if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			if err := serveDial(conn.(*net.UnixConn), route); err != nil {
				fmt.Fprintf(conn, "ERROR %s\n", strings.ReplaceAll(err.Error(), "\n", " "))
			}
		}()
	}
}

func serveDial(client *net.UnixConn, route func(netip.Addr) string) error {
	client.SetReadDeadline(time.Now().Add(10 * time.Second))
	address, err := readLine(client)
	if err != nil {
		return err
	}
	client.SetReadDeadline(time.Time{})
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("an address is needed, and a port, not %q", address)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	remote, err := netns.Dial(ctx, route(to.Addr()), "tcp", address)
	if err != nil {
		return err
	}
	defer remote.Close()
	if _, err := io.WriteString(client, "OK\n"); err != nil {
		return nil // the client has left
	}
	pipe(client, remote.(*net.TCPConn))
	return nil
}

type halfCloser interface {
	io.ReadWriter
	CloseWrite() error
}

// pipe copies both ways until both sides have ended, passing each side's end on.
func pipe(a, b halfCloser) {
	var both sync.WaitGroup
	for _, way := range []struct{ to, from halfCloser }{{a, b}, {b, a}} {
		both.Go(func() {
			io.Copy(way.to, way.from) // either side may leave at any time: that is an end like any other
			way.to.CloseWrite()
		})
	}
	both.Wait()
}

// listenFor listens on a socket that only its owner may use: root, or the user for whom sudo runs the lab.
func listenFor(socket string) (net.Listener, error) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	err = os.Chmod(socket, 0o600)
	if uid, convErr := strconv.Atoi(os.Getenv("SUDO_UID")); err == nil && convErr == nil {
		err = os.Chown(socket, uid, -1)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}
