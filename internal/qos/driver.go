package qos

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
)

// Shares knows who lets whom use which policy (RBAC).
type Shares interface {
	// SharedWith gives the ids of the policies that others share with the project.
	SharedWith(ctx context.Context, q db.Querier, project string) ([]string, error)
}

// Users knows what names policies: networks and ports, floating IPs and routers.
type Users interface {
	// UsersOf gives the things that name the policy.
	UsersOf(ctx context.Context, q db.Querier, policy string) ([]User, error)
}

// User is a thing that names a policy.
type User struct {
	Noun, ID string // "network" and its id
	// Scopes are the keys of reconcile.Networks whose rows depend on the policy by this thing: "port/…" of a network's
	// ports that have no policy of their own.
	Scopes []string
}
