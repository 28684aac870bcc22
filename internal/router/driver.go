package router

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
)

// Policies knows the QoS policies that floating IPs may name.
type Policies interface {
	// Check fails with NotFound for a policy that the project does not see.
	Check(ctx context.Context, q db.Querier, project, id string) error
}
