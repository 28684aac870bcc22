package securitygroup

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
)

// The kinds of things in Neutron's words, for sharing and for quotas.
const (
	GroupKind        = "security_group"
	RuleKind         = "security_group_rule"
	AddressGroupKind = "address_group"
)

// Shares knows who lets whom use what (RBAC).
type Shares interface {
	// SharedWith gives the ids of the things of a kind that are shared with the project, its own among them.
	SharedWith(ctx context.Context, q db.Querier, kind, project string) ([]string, error)
	// Unshare forgets with whom a thing that is being deleted was shared. It is no error when it was with nobody.
	Unshare(ctx context.Context, tx *db.Tx, kind, id string) error
}

// Quotas knows how many of a kind of thing a project may have. It asks CountGroups and CountRules how many it has.
type Quotas interface {
	// WithinQuota fails with fault.Quota when the project has as many as it may.
	WithinQuota(ctx context.Context, tx *db.Tx, project, kind string) error
}

type nobodyShares struct{}

func (nobodyShares) SharedWith(context.Context, db.Querier, string, string) ([]string, error) {
	return nil, nil
}

func (nobodyShares) Unshare(context.Context, *db.Tx, string, string) error { return nil }

type noQuotas struct{}

func (noQuotas) WithinQuota(context.Context, *db.Tx, string, string) error { return nil }
