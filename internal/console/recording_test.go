package console

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func contents(t *testing.T, dir string) (text string, records int) {
	t.Helper()
	for r, err := range readRecording(dir) {
		if err != nil {
			t.Fatal(err)
		}
		text += string(r.Data)
		records++
	}
	return text, records
}

func open(t *testing.T, dir string, limit int64) *recording {
	t.Helper()
	r, err := openRecording(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t *testing.T, r *recording) {
	t.Helper()
	if err := r.write(r.take()); err != nil {
		t.Fatal(err)
	}
}

func TestRecordingKeepsTheEndWithinItsBound(t *testing.T) {
	const limit = 256 << 10
	dir := t.TempDir()
	r := open(t, dir, limit)
	var all strings.Builder
	at := began
	for n := range 2000 {
		line := fmt.Sprintf("%06d %s\n", n, strings.Repeat("x", rand.IntN(1000)))
		all.WriteString(line)
		r.add(output, at, []byte(line))
		at = at.Add(time.Duration(rand.IntN(200)) * time.Millisecond)
		if n%37 == 0 {
			write(t, r)
		}
		if n%500 == 499 { // the process starts anew
			write(t, r)
			if err := r.close(); err != nil {
				t.Fatal(err)
			}
			r = open(t, dir, limit)
		}
	}
	write(t, r)
	text, _ := contents(t, dir)
	if !strings.HasSuffix(all.String(), text) {
		t.Error("what is kept is not the end of what was written")
	}
	if len(text) < limit*3/4 {
		t.Errorf("only %d bytes are kept", len(text))
	}
	var size int64
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > limit {
		t.Errorf("%d bytes are on the disk", size)
	}
}

// A crash costs the end of the last record; what is written afterwards is read all the same.
func TestTornRecords(t *testing.T) {
	for cut := range 20 {
		dir := t.TempDir()
		r := open(t, dir, LeastKept)
		r.add(output, began, []byte("before "))
		r.add(notice, began, []byte("torn away"))
		write(t, r)
		path := segmentPath(dir, 1)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, whole[:len(whole)-1-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		again := open(t, dir, LeastKept)
		again.add(output, began, []byte("after"))
		write(t, again)
		if text, _ := contents(t, dir); text != "before after" {
			t.Errorf("%d bytes cut: %q", cut, text)
		}
	}
}

// Two processes that share a folder, as one takes over from the other, never write one file.
func TestTwoWriters(t *testing.T) {
	dir := t.TempDir()
	old, young := open(t, dir, LeastKept), open(t, dir, LeastKept)
	for _, r := range []*recording{old, young} {
		r.add(output, began, []byte(strings.Repeat("x", 100)))
		write(t, r)
	}
	old.add(output, began, []byte("late"))
	write(t, old)
	if text, _ := contents(t, dir); len(text) != 204 {
		t.Errorf("%d bytes", len(text))
	}
}

func TestOutputThatComesTogetherIsOneRecord(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, LeastKept)
	for n := range 50 {
		r.add(output, began.Add(time.Duration(n)*time.Millisecond), []byte("x"))
	}
	r.add(output, began.Add(time.Second), []byte("y"))
	r.add(notice, began.Add(time.Second), nil)
	write(t, r)
	if text, records := contents(t, dir); text != strings.Repeat("x", 50)+"y" || records != 3 {
		t.Errorf("%d records: %q", records, text)
	}
}

func TestRing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var all []byte
	r := newRing(64)
	for range 5000 {
		p := make([]byte, random.IntN(150))
		for i := range p {
			p[i] = byte(random.Uint32())
		}
		all = append(all, p...)
		r.write(p)
		if random.IntN(10) == 0 {
			r.resize(16 << random.IntN(4))
		}
		if r.end != int64(len(all)) || r.end-r.start > int64(len(r.data)) {
			t.Fatalf("from %d to %d after %d bytes", r.start, r.end, len(all))
		}
		place := r.start + random.Int64N(r.end-r.start+1)
		got := make([]byte, random.IntN(200))
		got = got[:r.read(place, got)]
		if want := all[place:]; !bytes.HasPrefix(want, got) || len(got) < len(want) && cap(got) > len(got) && len(got) < min(cap(got), len(want)) {
			t.Fatalf("%d bytes at %d of %d", len(got), place, len(all))
		}
	}
}

func TestFresh(t *testing.T) {
	tail := strings.Repeat("the end of our recording ", 4)
	for _, c := range []struct{ greeting, tail, want, why string }{
		{"another tenant's secret", "", "", "an instance without a recording has printed nothing"},
		{"another tenant's secret", "short", "", "too little to tell"},
		{"old " + tail + "new", tail, "new", "a replay"},
		{tail + tail + "new", tail, "new", "a replay of something that repeats"},
		{"new only", tail, "new only", "no replay: IPMI, or a BMC that was reset"},
		{"", tail, "", "silence"},
	} {
		if got := string(fresh([]byte(c.greeting), []byte(c.tail))); got != c.want {
			t.Errorf("%s: %q", c.why, got)
		}
	}
}
