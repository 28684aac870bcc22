package netboot

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pin/tftp/v3"

	"github.com/ingotcloud/ingot/internal/netns"
)

// debianIPXE is where Debian's package ipxe keeps its boot programs.
const debianIPXE = "/usr/lib/ipxe"

// The boot programs that TFTP gives out, by name; it knows no other file.
const (
	ipxeBIOS = "undionly.kpxe" // uses the PXE ROM's own network driver
	ipxeUEFI = "snponly.efi"   // uses the firmware's own network driver
)

var tftpFiles = []string{ipxeBIOS, ipxeUEFI, "ipxe.efi"}

// A lost packet costs a second; a client that is gone is given up after six.
const (
	tftpTimeout = time.Second
	tftpRetries = 5
)

// tftpServer serves the boot programs, read-only.
type tftpServer struct {
	server  *tftp.Server
	closing chan struct{} // ends the transfers under way
	done    chan error
}

func startTFTP(namespace string, self netip.Addr, dir string, log *slog.Logger) (*tftpServer, error) {
	for _, name := range []string{ipxeBIOS, ipxeUEFI} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return nil, fmt.Errorf("a boot program is missing (Debian's package ipxe has it): %w", err)
		}
	}
	conn, err := net.ListenPacket("udp4", netip.AddrPortFrom(self, 69).String())
	if err != nil {
		return nil, err
	}
	t := &tftpServer{closing: make(chan struct{}), done: make(chan error, 1)}
	t.server = tftp.NewServer(func(name string, to io.ReaderFrom) error {
		err := t.send(dir, name, to)
		if err != nil { // EDK2 breaks off its first one on purpose: it only wants to know the size
			log.Info("A TFTP transfer ended early", "file", name, "error", err)
		}
		return err
	}, nil)
	t.server.SetTimeout(tftpTimeout)
	t.server.SetRetries(tftpRetries)
	go func() {
		// The library opens a socket per transfer, so its loop must run inside the namespace.
		t.done <- netns.Do(namespace, func() error { return t.server.Serve(conn) })
	}()
	return t, nil
}

// send gives out one of the known files; a path before the name is forgiven.
func (t *tftpServer) send(dir, name string, to io.ReaderFrom) error {
	base := name[strings.LastIndexAny(name, `/\`)+1:]
	if !slices.Contains(tftpFiles, base) {
		return fmt.Errorf("no such file")
	}
	f, err := os.Open(filepath.Join(dir, base))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if out, ok := to.(tftp.OutgoingTransfer); ok {
		out.SetSize(info.Size())
	}
	_, err = to.ReadFrom(readerFunc(func(b []byte) (int, error) {
		select {
		case <-t.closing:
			return 0, errors.New("the server is closing")
		default:
			return f.Read(b)
		}
	}))
	return err
}

// readerFunc is an io.Reader.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// Close waits for the transfers to notice, at most tftpRetries timeouts.
func (t *tftpServer) Close() error {
	close(t.closing)
	t.server.Shutdown()
	return <-t.done
}
