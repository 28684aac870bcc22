package router

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/network"
)

// Policies knows the QoS policies that floating IPs may name.
type Policies interface {
	// Check fails with NotFound for a policy that the project does not see.
	Check(ctx context.Context, q db.Querier, project, id string) error
}

// NoPolicies is a cloud without QoS policies.
type NoPolicies struct{}

// Check fails.
func (NoPolicies) Check(_ context.Context, _ db.Querier, _, id string) error {
	return refuse(fault.NotFound, NoSuchPolicy, "QoS policy %s could not be found.", id)
}

// NoSuchPolicy is why NoPolicies refuses.
const NoSuchPolicy network.Reason = "no such QoS policy"
