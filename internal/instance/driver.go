package instance

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
)

// Images is what instances need of images (internal/image). Hold keeps an image's data until Release of the holder, also
// when the image is deleted meanwhile; it fails with Conflict when the image has no data. Both are idempotent and take
// part in the caller's transaction.
type Images interface {
	Hold(ctx context.Context, q db.Querier, image, holder string) error
	Release(ctx context.Context, q db.Querier, holder string) error
}
