package chassis

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// Who has said all and closed its sending half is told to try again: net/http takes it for gone, and an empty success would
// be taken for an answer.
func TestAClientThatOnlyListensOn(t *testing.T) {
	asked := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		close(asked)
		<-q.Context().Done()
	}))
	defer upstream.Close()
	door, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{Options: Options{URL: door, Secret: []byte("a secret of twenty characters"), Logger: slog.New(slog.DiscardHandler)},
		upstream: http.DefaultTransport, complaints: rate.Sometimes{Interval: time.Second}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := r.serve("network", []net.Listener{listener})
	defer server.Close() //nolint:errcheck // the test is over
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the test is over
	if _, err := io.WriteString(conn, "GET /openstack HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it is only looked at
	if answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("it was told %s", answer.Status)
	}
}
