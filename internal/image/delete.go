package image

import (
	"context"
	"errors"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Delete makes an image go. Its blobs go too, now or when the last holder releases them.
func (s *Service) Delete(ctx context.Context, c Caller, id string) error {
	err := s.DB.Tx(ctx, func(tx *db.Tx) error {
		r, err := loadFor(ctx, tx, c, id)
		if err != nil {
			return err
		}
		switch {
		case !c.owns(&r.Image):
			return fault.New(fault.Forbidden, "You are not permitted to delete this image.")
		case r.Protected:
			return fault.New(fault.Forbidden, "Image %s is protected and cannot be deleted.", id)
		}
		for _, blobs := range []string{r.blobs, r.staged} {
			if err := discard(ctx, tx, blobs, s.Clock.Now()); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM image WHERE id = $1`, id)
		return err
	})
	if err != nil {
		return err
	}
	// The image is gone whatever happens to its blobs; a store that is down now is asked again by Recover.
	if err := s.EmptyTrash(context.WithoutCancel(ctx)); err != nil {
		s.Log.Warn("blobs of a deleted image are still there", "image", id, "error", err)
	}
	return nil
}

// Hold keeps the data of an active image for a holder ("deploy/<instance>") until Release, also when the image is
// deleted meanwhile. It takes part in the caller's transaction, and holding twice is no error.
func (s *Service) Hold(ctx context.Context, q db.Querier, id, holder string) error {
	r, err := load(ctx, q, id)
	if err != nil {
		return err
	}
	if r.Status != Active {
		return fault.New(fault.Conflict, "Image %s is not active.", id)
	}
	_, err = q.ExecContext(ctx, `INSERT INTO image_hold (holder, image, blobs, manifest_sha256, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (holder) DO UPDATE SET image = excluded.image, blobs = excluded.blobs, manifest_sha256 = excluded.manifest_sha256`,
		holder, id, r.blobs, r.manifest, s.Clock.Now())
	return err
}

// Release ends a Hold. Blobs that nobody needs any longer go with the next EmptyTrash. An unknown holder is no error.
func (s *Service) Release(ctx context.Context, q db.Querier, holder string) error {
	_, err := q.ExecContext(ctx, `DELETE FROM image_hold WHERE holder = $1`, holder)
	return err
}

// discard marks an attempt's blobs for deletion.
func discard(ctx context.Context, q db.Querier, blobs string, now time.Time) error {
	if blobs == "" {
		return nil
	}
	_, err := q.ExecContext(ctx, `INSERT INTO image_trash (blobs, created_at) VALUES ($1, $2) ON CONFLICT (blobs) DO NOTHING`, blobs, now)
	return err
}

// EmptyTrash deletes the blobs that are marked and not held. Several processes may do it at once.
func (s *Service) EmptyTrash(ctx context.Context) error {
	marked, err := db.List(ctx, s.DB, func(row db.Scanner) (blobs string, err error) {
		return blobs, row.Scan(&blobs)
	}, `SELECT blobs FROM image_trash WHERE NOT EXISTS (SELECT 1 FROM image_hold h WHERE h.blobs = image_trash.blobs)`)
	if err != nil {
		return err
	}
	var failures []error
	for _, blobs := range marked {
		if err := s.remove(ctx, blobs); err != nil {
			failures = append(failures, err)
			continue
		}
		// Only now, so that a crash between the two deletes them once more.
		if _, err := s.DB.ExecContext(ctx, `DELETE FROM image_trash WHERE blobs = $1`, blobs); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

func (s *Service) remove(ctx context.Context, blobs string) error {
	for _, kind := range blobKinds {
		if err := s.Blobs.Delete(ctx, blobs+kind); err != nil {
			return storeFault(err)
		}
	}
	return nil
}
