package image_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/image"
)

// waitFor polls with a generous deadline.
func (w *world) waitFor(done func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal("it does not come to an end")
		}
	}
}

// freezing stops the process that uses it at one of its Puts, before or after its effect: what a crash leaves, with a
// process that comes back to life when it must not any more.
type freezing struct {
	image.Blobs
	at     int // which Put
	after  bool
	mu     *sync.Mutex
	puts   *int
	frozen chan struct{}
	thaw   chan struct{}
}

func (f freezing) Put(ctx context.Context, key string, r io.Reader) (int64, error) {
	f.mu.Lock()
	*f.puts++
	mine := *f.puts == f.at
	f.mu.Unlock()
	stop := func() {
		close(f.frozen)
		<-f.thaw
	}
	if mine && !f.after {
		stop()
	}
	n, err := f.Blobs.Put(ctx, key, r)
	if mine && f.after {
		stop()
	}
	return n, err
}

func TestACrashAtAnyPointLeavesNothing(t *testing.T) {
	qcow2 := qemuImg(t, disk(), "-O", "qcow2")
	bring := map[string]func(*world, string) error{
		"upload": func(w *world, id string) error {
			return w.Upload(context.Background(), demo, id, bytes.NewReader(qcow2), image.Expect{})
		},
		"stage": func(w *world, id string) error {
			return w.Stage(context.Background(), demo, id, bytes.NewReader(qcow2))
		},
		"import": func(w *world, id string) error {
			if err := w.Stage(context.Background(), demo, id, bytes.NewReader(qcow2)); err != nil {
				return err
			}
			return w.Import(context.Background(), demo, id, "req-test")
		},
	}
	puts := map[string][]int{"upload": {1, 2, 3}, "stage": {1}, "import": {2, 3, 4}}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for verb, do := range bring {
			for _, at := range puts[verb] {
				for _, after := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, put %d, after=%v", verb, at, after), func(t *testing.T) { crash(t, d, do, at, after) })
				}
			}
		}
	})
}

func crash(t *testing.T, d *db.DB, do func(*world, string) error, at int, after bool) {
	w := newWorld(t, d, image.Config{})
	f := freezing{w.blobs, at, after, &sync.Mutex{}, new(int), make(chan struct{}), make(chan struct{})}
	dying := newWorld(t, d, image.Config{Blobs: f})
	img := w.create(demo, image.Image{DiskFormat: "qcow2", ContainerFormat: "bare"})
	ended := make(chan error, 1)
	go func() { ended <- do(dying, img.ID) }()
	<-f.frozen

	w.must(w.Recover(t.Context()))
	if got := w.get(img.ID); got.Status == image.Queued {
		t.Error("a process that holds its lease lost the image")
	}
	w.clock.Step(2 * time.Minute)
	for range 2 {
		w.must(w.Recover(t.Context()))
		if got := w.get(img.ID); got.Status != image.Queued || len(w.keys()) != 0 && !after {
			t.Errorf("after recovery: %+v, %v", got, w.keys())
		}
	}
	// The tenant tries again while the old process still sleeps.
	w.must(w.Upload(t.Context(), demo, img.ID, bytes.NewReader(disk4qcow2(t)), image.Expect{}))
	close(f.thaw)
	err := <-ended
	dying.Close() // waits for its imports
	if err != nil {
		w.is(err, fault.Conflict, "taken for abandoned")
	}
	w.must(w.Recover(t.Context()))
	if got := w.get(img.ID); got.Status != image.Active || len(w.keys()) != 3 {
		t.Errorf("in the end: %+v, %v", got, w.keys())
	}
	w.must(w.Delete(t.Context(), demo, img.ID))
	if len(w.keys()) != 0 {
		t.Errorf("left: %v", w.keys())
	}
}

func disk4qcow2(t *testing.T) []byte {
	return qemuImg(t, []byte("another disk, 24 bytes. "), "-O", "qcow2")
}

func TestAStagedFileThatNobodyImportsGoes(t *testing.T) {
	each(t, func(w *world) {
		img := w.create(demo, image.Image{})
		w.must(w.Stage(w.t.Context(), demo, img.ID, bytes.NewReader([]byte("data"))))
		w.clock.Step(23 * time.Hour)
		w.must(w.Recover(w.t.Context()))
		if got := w.get(img.ID); got.Status != image.Uploading {
			w.t.Errorf("too early: %+v", got)
		}
		w.clock.Step(2 * time.Hour)
		w.must(w.Recover(w.t.Context()))
		if got := w.get(img.ID); got.Status != image.Queued || len(w.keys()) != 0 {
			w.t.Errorf("left %+v %v", got, w.keys())
		}
	})
}

func TestStoppingTheServerPutsImportsBack(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t), image.Config{})
	img := w.create(demo, image.Image{})
	w.must(w.Stage(t.Context(), demo, img.ID, bytes.NewReader([]byte("data"))))
	hangs := newWorld(t, w.DB, image.Config{Blobs: hangingStore{w.blobs}})
	w.must(hangs.Import(t.Context(), demo, img.ID, "req-test"))
	hangs.Close()
	if got := w.get(img.ID); got.Status != image.Queued || !strings.Contains(got.Failure, "server stopped") || len(w.keys()) != 0 {
		t.Errorf("left %+v %v", got, w.keys())
	}
}

func TestDeletingAnImageWhileItsDataComeIn(t *testing.T) {
	each(t, func(w *world) {
		img := w.create(demo, image.Image{})
		r, feed := io.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- w.Upload(w.t.Context(), demo, img.ID, r, image.Expect{}) }()
		_, err := feed.Write(random(1 << 20))
		w.must(err)
		w.must(w.Delete(w.t.Context(), demo, img.ID))
		w.must(feed.Close())
		w.is(<-ended, fault.Conflict, "deleted")
		if len(w.keys()) != 0 {
			w.t.Errorf("left %v", w.keys())
		}
	})
}

func TestAnImageInUseKeepsItsData(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.t.Context()
		img := w.active(demo, image.Image{}, disk())
		for _, holder := range []string{"deploy/1", "deploy/2", "deploy/1"} {
			w.must(w.DB.Tx(ctx, func(tx *db.Tx) error { return w.Hold(ctx, tx, img.ID, holder) }))
		}
		w.must(w.Delete(ctx, demo, img.ID))
		_, err := w.Get(ctx, admin, img.ID)
		w.is(err, fault.NotFound, img.ID)
		w.must(w.Recover(ctx))
		if !bytes.Equal(w.deployed(img.ID), disk()) {
			w.t.Error("the running deploy reads another disk")
		}
		w.must(w.Release(ctx, w.DB, "deploy/1"))
		w.must(w.Recover(ctx))
		if !bytes.Equal(w.deployed(img.ID), disk()) {
			w.t.Error("the second deploy lost its disk")
		}
		w.must(w.Release(ctx, w.DB, "deploy/2"))
		w.must(w.Release(ctx, w.DB, "deploy/2"))
		w.must(w.Recover(ctx))
		if len(w.keys()) != 0 {
			w.t.Errorf("left %v", w.keys())
		}
		_, err = w.DeployManifest(ctx, img.ID)
		w.is(err, fault.NotFound, img.ID)
	})
}

// TestAStoreThatIsDownDoesNotKeepADeletedImage deletes while the store fails and recovers when it is back.
func TestAStoreThatIsDownDoesNotKeepADeletedImage(t *testing.T) {
	each(t, func(w *world) {
		img := w.active(demo, image.Image{}, []byte("data"))
		down := newWorld(w.t, w.DB, image.Config{Blobs: downStore{w.blobs}})
		w.must(down.Delete(w.t.Context(), demo, img.ID))
		if len(w.keys()) != 2 {
			w.t.Errorf("blobs %v", w.keys())
		}
		w.is(down.Recover(w.t.Context()), fault.Unavailable, "try again")
		w.must(w.Recover(w.t.Context()))
		if len(w.keys()) != 0 {
			w.t.Errorf("left %v", w.keys())
		}
	})
}

type downStore struct{ image.Blobs }

func (downStore) Delete(context.Context, string) error { return io.ErrClosedPipe }

// hangingStore puts for as long as it may.
type hangingStore struct{ image.Blobs }

func (hangingStore) Put(ctx context.Context, _ string, _ io.Reader) (int64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}
