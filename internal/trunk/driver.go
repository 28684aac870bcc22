package trunk

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
)

// Quotas knows how many trunks a project may have. It asks Count how many it has.
type Quotas interface {
	// WithinQuota fails with fault.Quota when the project has as many as it may.
	WithinQuota(ctx context.Context, tx *db.Tx, project, kind string) error
}

type noQuotas struct{}

func (noQuotas) WithinQuota(context.Context, *db.Tx, string, string) error { return nil }
