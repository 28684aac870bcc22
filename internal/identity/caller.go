package identity

import "slices"

// Caller is who makes a request and under which scope: what a valid token says.
//
// At most one of ProjectID, DomainID and System is set; a token without any of them is unscoped and may do little more
// than ask for a scoped one.
type Caller struct {
	UserID       string
	UserName     string
	UserDomainID string

	ProjectID       string // project scope
	ProjectName     string
	ProjectDomainID string

	DomainID string // domain scope
	System   bool   // system scope

	Roles []string // names, implied roles included

	// Token is the token's own account of itself; nil where a caller was made up by a test.
	Token *Token
}

// Has reports whether the caller holds the role (or one that implies it) in its scope.
func (c *Caller) Has(role string) bool { return slices.Contains(c.Roles, role) }

// IsAdmin reports whether the caller operates the cloud: the role admin on a project (what OpenStack's services accept
// until today) or on the system. A domain's admin is not the cloud's.
func (c *Caller) IsAdmin() bool { return c.Has(RoleAdmin) && (c.ProjectID != "" || c.System) }

// Reads reports whether the caller may know of something that belongs to the project: its own, or any for those who
// read the whole system. Where it is false, the answer is 404 and not 403, so that ids tell nothing.
func (c *Caller) Reads(projectID string) bool {
	return (c.ProjectID != "" && c.ProjectID == projectID) || c.ReadsAll()
}

// ReadsAll reports whether the caller sees every project's things.
func (c *Caller) ReadsAll() bool { return c.IsAdmin() || (c.System && c.Has(RoleReader)) }

// Writes reports whether the caller may change something that belongs to the project.
func (c *Caller) Writes(projectID string) bool {
	return (c.ProjectID != "" && c.ProjectID == projectID && c.Has(RoleMember)) || c.IsAdmin()
}

// ReadsDomain reports whether the caller sees the users, groups and projects of the domain.
func (c *Caller) ReadsDomain(domainID string) bool {
	return (c.DomainID != "" && c.DomainID == domainID && c.Has(RoleReader)) || c.ReadsAll()
}

// ManagesDomain reports whether the caller changes the users, groups and projects of the domain.
func (c *Caller) ManagesDomain(domainID string) bool {
	return (c.DomainID != "" && c.DomainID == domainID && c.Has(RoleManager)) || c.IsAdmin()
}

// Delegated reports whether the caller acts by a credential or a trust that somebody gave away, not by its own login.
func (c *Caller) Delegated() bool {
	return c.Token != nil && (c.Token.AppCredential != nil || c.Token.Trust != nil)
}

// Restricted reports whether the caller acts by a trust, or by an application credential that is not unrestricted: it
// gets at no credentials, trusts and secrets, by which it would outlive or outgrow what it was given.
func (c *Caller) Restricted() bool {
	return c.Delegated() && (c.Token.Trust != nil || c.Token.AppCredential.Restricted)
}

// The roles every cloud has. Admin implies manager implies member implies reader. A manager has its power on domains.
const (
	RoleAdmin   = "admin"
	RoleManager = "manager"
	RoleMember  = "member"
	RoleReader  = "reader"
	RoleService = "service"
)
