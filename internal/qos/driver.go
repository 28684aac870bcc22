package qos

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
)

// PolicyKind is what policies are called where they are shared.
const PolicyKind = "qos_policy"

// Shares knows who lets whom use what (RBAC).
type Shares interface {
	// SharedWith gives the ids of the things of a kind that are shared with the project, its own among them.
	SharedWith(ctx context.Context, q db.Querier, kind, project string) ([]string, error)
	// Unshare forgets with whom a thing that is being deleted was shared. It is no error when it was with nobody.
	Unshare(ctx context.Context, tx *db.Tx, kind, id string) error
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

type nobodyShares struct{}

func (nobodyShares) SharedWith(context.Context, db.Querier, string, string) ([]string, error) {
	return nil, nil
}

func (nobodyShares) Unshare(context.Context, *db.Tx, string, string) error { return nil }
