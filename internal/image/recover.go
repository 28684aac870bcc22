package image

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
)

// Recover puts right what processes that died left: images whose data came in become queued again and their blobs go,
// so do staged files that nobody came back for, and the trash. Call it at start and every minute or so; it is
// idempotent and harmless while other processes work, whose leases it respects.
func (s *Service) Recover(ctx context.Context) error {
	now := s.Clock.Now()
	dead, err := db.List(ctx, s.DB, scan, `SELECT `+columns+` FROM image WHERE working_until < $1
		OR (status = $2 AND working_until IS NULL AND updated_at < $3)`, now, Uploading, now.Add(-s.StagedFor))
	if err != nil {
		return err
	}
	failures := []error{}
	for _, found := range dead {
		failures = append(failures, s.recoverOne(ctx, found))
	}
	return errors.Join(append(failures, s.EmptyTrash(ctx))...)
}

func (s *Service) recoverOne(ctx context.Context, found record) error {
	reset := false
	err := s.DB.Tx(ctx, func(tx *db.Tx) error {
		reset = false
		r, err := load(ctx, tx, found.ID)
		if err != nil {
			return ignoreNotFound(err)
		}
		if r.blobs != found.blobs || r.staged != found.staged || !r.working.Equal(found.working) {
			return nil // it lives after all
		}
		reset = true
		if err := s.reset(ctx, tx, &r, "The server stopped while the image was imported; stage it again."); err != nil {
			return err
		}
		return update(ctx, tx, &r)
	})
	if reset && err == nil {
		s.Log.Warn("image put back to queued: the process that brought its data in died, or nobody imported it",
			"image", found.ID, "status", found.Status, "since", found.UpdatedAt.Format(time.RFC3339))
	}
	return err
}

// Orphans lists blobs that no image, hold or trash knows of. There are none unless the database was restored from a
// backup, or two clouds share a store; so they are for an operator to judge and are never deleted here.
func (s *Service) Orphans(ctx context.Context) ([]string, error) {
	// The store first: an attempt is in the database before its first blob.
	keys, err := s.Blobs.List(ctx, "")
	if err != nil {
		return nil, storeFault(err)
	}
	known, err := db.List(ctx, s.DB, func(row db.Scanner) (blobs string, err error) {
		return blobs, row.Scan(&blobs)
	}, `SELECT blobs FROM image UNION SELECT staged FROM image UNION SELECT blobs FROM image_hold UNION SELECT blobs FROM image_trash`)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(keys, func(key string) bool {
		blobs, _, _ := strings.Cut(key, ".")
		return slices.Contains(known, blobs)
	}), nil
}
