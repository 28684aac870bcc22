package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/deployimage"
	"github.com/ingotcloud/ingot/internal/fault"
)

// The blobs of one attempt. Their keys are the attempt's name and these.
const (
	deployBlob   = ".deploy"   // the deploy image
	manifestBlob = ".manifest" // its manifest, JSON
	originalBlob = ".original" // the upload as it was, where the deploy image cannot give it back
	stagedBlob   = ".staged"   // a file that waits for its import
)

var blobKinds = []string{deployBlob, manifestBlob, originalBlob, stagedBlob}

// Expect is what the client says of the data it sends; they are refused when they turn out to be something else.
type Expect struct {
	Size int64  // bytes; 0: it does not say
	MD5  string // hex; so too below
}

// Upload brings data into a queued image and returns when the image is active. When it fails the image is queued again
// and nothing stays behind.
func (s *Service) Upload(ctx context.Context, c Caller, id string, body io.Reader, expect Expect) error {
	if expect.Size > s.MaxSize {
		return fault.New(fault.TooLarge, "The image is larger than the limit of %d bytes.", s.MaxSize)
	}
	a, err := s.begin(ctx, c, id, beginUpload, "")
	if err != nil {
		return err
	}
	return s.run(ctx, a, func(ctx context.Context) error { return s.ingest(ctx, a, body, expect) })
}

// Stage takes a file for a later Import. The image stays in status uploading.
func (s *Service) Stage(ctx context.Context, c Caller, id string, body io.Reader) error {
	a, err := s.begin(ctx, c, id, beginStage, "")
	if err != nil {
		return err
	}
	return s.run(ctx, a, func(ctx context.Context) error {
		if _, err := s.Blobs.Put(ctx, a.name+stagedBlob, &limited{body, s.MaxSize}); err != nil {
			return storeFault(err)
		}
		return s.settle(ctx, a, func(_ db.Querier, r *record) error {
			r.staged, r.blobs = a.name, ""
			return nil
		})
	})
}

// Import brings the staged file in. It returns at once; the image is importing, and then active, or queued with the
// reason in Failure; Tasks tells of it too, with the request's id.
func (s *Service) Import(ctx context.Context, c Caller, id, request string) error {
	a, err := s.begin(ctx, c, id, beginImport, request)
	if err != nil {
		return err
	}
	s.imports.Go(func() {
		err := s.run(s.ctx, a, func(ctx context.Context) error {
			staged, err := s.Blobs.Open(ctx, a.staged+stagedBlob)
			if err != nil {
				return storeFault(err)
			}
			return errors.Join(s.ingest(ctx, a, staged, Expect{Size: staged.Size()}), staged.Close())
		})
		if err != nil {
			s.Log.Warn("image import failed", "image", id, "error", err)
		}
	})
	return nil
}

// attempt is one try to bring data into an image. Its name, drawn anew for each, fences: what an attempt does to the
// row happens only while the row names it.
type attempt struct {
	Image
	name   string
	staged string
}

// begin records the attempt before anything is written, so that Recover finds what a crash leaves.
func (s *Service) begin(ctx context.Context, c Caller, id string, on event, request string) (*attempt, error) {
	a := &attempt{name: uuid.NewString()}
	err := s.DB.Tx(ctx, func(tx *db.Tx) error {
		r, err := loadFor(ctx, tx, c, id)
		if err != nil {
			return err
		}
		if err := c.mayChange(&r.Image); err != nil {
			return err
		}
		if r.Status, err = r.Status.after(on); err != nil {
			return err
		}
		switch {
		case on != beginStage && (r.DiskFormat == "" || r.ContainerFormat == ""):
			return fault.New(fault.Invalid, "Properties disk_format, container_format must be set prior to saving data.")
		case on == beginImport && (r.staged == "" || !r.working.IsZero()):
			return fault.New(fault.Conflict, "The image's file is not staged yet.")
		}
		r.blobs, r.working, r.Failure = a.name, s.Clock.Now().Add(s.Lease), ""
		r.UpdatedAt = s.Clock.Now()
		a.Image, a.staged = r.Image, r.staged
		if on == beginImport {
			if err := s.beginTask(ctx, tx, c, a, request); err != nil {
				return err
			}
		}
		return update(ctx, tx, &r)
	})
	return a, err
}

// Why an attempt may be ended from outside.
var (
	errLost    error = fault.New(fault.Conflict, "The image was deleted, or taken for abandoned, while its data came in.")
	errStopped error = fault.New(fault.Unavailable, "The server stopped while the image's data came in; try again.")
)

// run does the work of an attempt under its lease, and cleans up when it fails.
func (s *Service) run(ctx context.Context, a *attempt, work func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		s.heartbeat(ctx, a, cancel)
	}()
	err := work(ctx)
	if cause := context.Cause(ctx); err != nil && (cause == errLost || cause == errStopped) {
		err = cause // whatever broke because of it
	}
	cancel(nil)
	<-beating
	if err == nil {
		return nil
	}
	// The client may be gone and the server stopping: cleaning up has its own time.
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer done()
	if cleanup := s.abandon(ctx, a.ID, a.name, fault.Message(err)); cleanup != nil {
		s.Log.Error("image attempt not cleaned up; recovery will do it", "image", a.ID, "error", cleanup)
	}
	return err
}

// heartbeat keeps the lease, and ends the attempt when the row is no longer its own.
func (s *Service) heartbeat(ctx context.Context, a *attempt, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(s.Lease / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := db.Changed(s.DB.ExecContext(ctx, `UPDATE image SET working_until = $3 WHERE id = $1 AND blobs = $2 AND working_until IS NOT NULL`,
			a.ID, a.name, s.Clock.Now().Add(s.Lease)))
		if err != nil {
			s.Log.Warn("image lease not renewed", "image", a.ID, "error", err) // the next beat tries again
		} else if changed == 0 {
			cancel(errLost)
		}
	}
}

// settle ends an attempt in one transaction, if the row is still its own.
func (s *Service) settle(ctx context.Context, a *attempt, change func(q db.Querier, r *record) error) error {
	err := s.DB.Tx(ctx, func(tx *db.Tx) error {
		r, err := load(ctx, tx, a.ID)
		if err != nil {
			return err
		}
		if r.blobs != a.name || r.working.IsZero() {
			return errLost
		}
		if err := change(tx, &r); err != nil {
			return err
		}
		r.working, r.UpdatedAt = time.Time{}, s.Clock.Now()
		if a.staged != "" { // an import that succeeded
			if err := discard(ctx, tx, a.staged, s.Clock.Now()); err != nil {
				return err
			}
			if err := s.endTask(ctx, tx, a.name, TaskSuccess, ""); err != nil {
				return err
			}
		}
		return update(ctx, tx, &r)
	})
	if fault.Is(err, fault.NotFound) {
		return errLost
	}
	return err
}

// abandon puts an image whose attempt failed back to queued and throws the attempt's blobs away. Without the row (the
// image was deleted) the blobs are trash already.
func (s *Service) abandon(ctx context.Context, id, name, reason string) error {
	err := s.DB.Tx(ctx, func(tx *db.Tx) error {
		r, err := load(ctx, tx, id)
		if fault.Is(err, fault.NotFound) || (err == nil && (r.blobs != name || r.working.IsZero())) {
			return discard(ctx, tx, name, s.Clock.Now())
		}
		if err != nil {
			return err
		}
		if err := s.reset(ctx, tx, &r, reason); err != nil {
			return err
		}
		return update(ctx, tx, &r)
	})
	if err != nil {
		return err
	}
	return s.EmptyTrash(ctx)
}

// reset takes everything that came in from the record; the caller stores it.
func (s *Service) reset(ctx context.Context, q db.Querier, r *record, reason string) (err error) {
	if r.Status == Importing {
		r.Failure = reason
		if err := s.endTask(ctx, q, r.blobs, TaskFailure, reason); err != nil {
			return err
		}
	}
	if r.Status, err = r.Status.after(fail); err != nil {
		return err
	}
	for _, blobs := range []string{r.blobs, r.staged} {
		if err := discard(ctx, q, blobs, s.Clock.Now()); err != nil {
			return err
		}
	}
	r.blobs, r.staged, r.working, r.UpdatedAt = "", "", time.Time{}, s.Clock.Now()
	return nil
}

// ingest is the one way for data to come in.
func (s *Service) ingest(ctx context.Context, a *attempt, body io.Reader, expect Expect) (err error) {
	file, err := fill(ctx, s.SpoolDir, body, s.MaxSize)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := expect.check(file, a.Properties); err != nil {
		return err
	}
	if err := s.checkQuota(ctx, s.DB, a.Project, Usage{Bytes: file.size}); err != nil {
		return err
	}
	select {
	case s.converting <- struct{}{}:
		defer func() { <-s.converting }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	source, err := inspect(ctx, file, &a.Image, s.MaxVirtualSize)
	if err != nil {
		return err
	}
	sum, err := s.convert(ctx, a.name, source)
	if err != nil {
		return storeFault(err)
	}
	if keepsOriginal(a.DiskFormat) {
		if _, err := s.Blobs.Put(ctx, a.name+originalBlob, io.NewSectionReader(file, 0, file.size)); err != nil {
			return storeFault(err)
		}
	}
	return s.settle(ctx, a, func(q db.Querier, r *record) (err error) {
		if err := s.checkQuota(ctx, q, r.Project, Usage{Bytes: file.size}); err != nil {
			return err
		}
		r.Size, r.VirtualSize, r.Checksum, r.Hash = file.size, source.Size(), file.md5, file.sha512
		r.manifest, r.staged = sum, ""
		r.Status, err = r.Status.after(finish)
		return err
	})
}

// keepsOriginal says whether the upload cannot be made again from the disk within it.
func keepsOriginal(diskFormat string) bool { return diskFormat == "qcow2" }

// check compares with what the client and the image's own properties say. Openstacksdk leaves checksums there.
func (e Expect) check(file *spool, properties map[string]string) error {
	if e.Size != 0 && e.Size != file.size {
		return fault.New(fault.Invalid, "The upload has %d bytes instead of the %d that were announced.", file.size, e.Size)
	}
	for _, sum := range []struct{ name, want, got string }{
		{"MD5", e.MD5, file.md5},
		{"MD5", properties["owner_specified.openstack.md5"], file.md5},
		{"SHA-256", properties["owner_specified.openstack.sha256"], file.sha256},
	} {
		if sum.want != "" && !strings.EqualFold(sum.want, sum.got) {
			return fault.New(fault.Invalid, "The upload's %s is %s instead of the %s that was announced.", sum.name, sum.got, sum.want)
		}
	}
	return nil
}

// convert stores the disk as a deploy image and gives the SHA-256 of its manifest.
func (s *Service) convert(ctx context.Context, name string, source deployimage.Source) (string, error) {
	var manifest deployimage.Manifest
	r, w := io.Pipe()
	group, both := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		manifest, err = deployimage.Write(both, source, w, nil)
		return errors.Join(err, w.CloseWithError(err))
	})
	group.Go(func() error {
		_, err := s.Blobs.Put(both, name+deployBlob, r)
		return errors.Join(err, r.CloseWithError(err))
	})
	if err := group.Wait(); err != nil {
		return "", err
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	_, err = s.Blobs.Put(ctx, name+manifestBlob, bytes.NewReader(text))
	return hex.EncodeToString(sum[:]), err
}

// storeFault puts words to the errors of a Blobs driver; faults pass.
func storeFault(err error) error {
	var known *fault.Error
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, ErrStoreFull):
		return full(err)
	}
	return fault.Wrap(err, fault.Unavailable, "The image store does not answer as it should; try again later.")
}

// limited refuses the body's first byte over the limit.
type limited struct {
	io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fault.New(fault.TooLarge, "The image is larger than the limit.")
	}
	if err != nil && err != io.EOF {
		err = fault.Wrap(err, fault.Invalid, "The upload broke off.")
	}
	return n, err
}
