package serial

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestEveryReaderSeesWhatIsPrintedAfterItJoined(t *testing.T) {
	line := New()
	line.Print([]byte("before"))
	a, _ := line.Join()
	line.Print([]byte("one "))
	b, _ := line.Join()
	line.Print([]byte("two"))
	line.Close()
	for name, c := range map[string]struct {
		r    io.Reader
		want string
	}{"first": {a, "one two"}, "second": {b, "two"}} {
		got, err := io.ReadAll(c.r)
		if err != nil || string(got) != c.want {
			t.Errorf("%s reader: %q, %v; want %q", name, got, err, c.want)
		}
	}
	if _, err := line.Join(); err == nil {
		t.Error("a closed line can be joined")
	}
}

func TestASlowReaderLosesTheOldestBytes(t *testing.T) {
	line := New()
	slow, _ := line.Join()
	for range 5 {
		line.Print(bytes.Repeat([]byte("x"), backlog/4))
	}
	line.Print([]byte("the end"))
	line.Close()
	got, _ := io.ReadAll(slow)
	if len(got) != backlog || !bytes.HasSuffix(got, []byte("the end")) {
		t.Errorf("%d bytes kept, ending in %q; want the last %d", len(got), got[len(got)-8:], backlog)
	}
}

func TestKeys(t *testing.T) {
	line := New()
	user, _ := line.Join()
	if _, err := user.Write([]byte("x")); !errors.Is(err, ErrHungUp) {
		t.Errorf("typing to a machine that is off: %v", err)
	}
	var typed bytes.Buffer
	line.Attach(&typed)
	if _, err := user.Write([]byte("root\n")); err != nil || typed.String() != "root\n" {
		t.Errorf("typed %q, %v", typed.String(), err)
	}
}

func TestCloseWakesTheReader(t *testing.T) {
	line := New()
	user, _ := line.Join()
	done := make(chan error)
	go func() { _, err := user.Read(make([]byte, 1)); done <- err }()
	user.Close()
	if err := <-done; err != io.EOF {
		t.Errorf("a closed reader's Read: %v, want EOF", err)
	}
}
