package securitygroup

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
)

// Kind is a kind of thing in Neutron's word, for sharing and for limits.
type Kind string

// The kinds.
const (
	GroupKind        Kind = "security_group"
	RuleKind         Kind = "security_group_rule"
	AddressGroupKind Kind = "address_group"
)

// Shares knows who lets whom use what (RBAC).
type Shares interface {
	// SharedWith gives the ids of the things of a kind that others share with the project, or that the project's own
	// share with everybody.
	SharedWith(ctx context.Context, q db.Querier, kind Kind, project string) ([]string, error)
}

// Limits knows how many of a kind of thing a project may have.
type Limits interface {
	// Limit is -1 where there is none.
	Limit(ctx context.Context, q db.Querier, project string, kind Kind) (int, error)
}
