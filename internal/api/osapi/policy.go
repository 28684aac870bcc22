package osapi

import (
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

// Policy says who may call a route. It looks at roles and scope only; whether the thing asked for belongs to the
// caller is the handler's question (identity.Caller.Reads), and there the answer is 404, never 403.
type Policy struct {
	name  string
	allow func(*identity.Caller) bool // nil: no token needed
}

func (p Policy) String() string { return p.name }

// The policies. Roles imply each other: who is admin is member, who is member is reader.
var (
	// Public needs no token: version documents, and asking for a token.
	Public = Policy{"public", nil}
	// Any needs a valid token, also an unscoped one.
	Any = Policy{"any", func(*identity.Caller) bool { return true }}
	// ProjectReader reads in the project of its token.
	ProjectReader = Policy{"project-reader", func(c *identity.Caller) bool { return c.ProjectID != "" && c.Has(identity.RoleReader) }}
	// ProjectMember changes things in the project of its token.
	ProjectMember = Policy{"project-member", func(c *identity.Caller) bool { return c.ProjectID != "" && c.Has(identity.RoleMember) }}
	// Reader reads in its project or, with system scope, in all of them.
	Reader = Policy{"reader", func(c *identity.Caller) bool { return c.Has(identity.RoleReader) && (c.ProjectID != "" || c.System) }}
	// Member changes things in its project or, with system scope, in all of them.
	Member = Policy{"member", func(c *identity.Caller) bool { return c.Has(identity.RoleMember) && (c.ProjectID != "" || c.System) }}
	// SystemReader reads what belongs to the cloud: the role reader with system scope, or any admin.
	SystemReader = Policy{"system-reader", func(c *identity.Caller) bool { return c.ReadsAll() }}
	// DomainReader reads users, groups and projects: of its domain, or of the whole cloud. The handler asks
	// identity.Caller.ReadsDomain which.
	DomainReader = Policy{"domain-reader", func(c *identity.Caller) bool { return c.ReadsDomain(c.DomainID) }}
	// DomainManager changes users, groups and projects: of its domain, or of the whole cloud. The handler asks
	// identity.Caller.ManagesDomain which.
	DomainManager = Policy{"domain-manager", func(c *identity.Caller) bool { return c.ManagesDomain(c.DomainID) }}
	// Admin operates the cloud.
	Admin = Policy{"admin", func(c *identity.Caller) bool { return c.IsAdmin() }}
	// Service is for the cloud's own services, and for admins.
	Service = Policy{"service", func(c *identity.Caller) bool { return c.Has(identity.RoleService) || c.IsAdmin() }}
)

func (p Policy) check(c *identity.Caller) error {
	if p.allow(c) {
		return nil
	}
	return fault.New(fault.Forbidden, "You are not authorized to perform the requested action: it needs %s.", p.name)
}
