package keystone_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/api/keystone"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/identity"
	"github.com/ingotcloud/ingot/internal/identity/identitytest"
)

// bodies are good requests, with all fields that they may have.
var bodies = Bodies{
	"POST /v3/auth/tokens":                           `{"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "$user", "name": "u", "domain": {"id": "default", "name": "Default"}, "password": "p"}}}, "scope": {"project": {"id": "$project", "name": "p", "domain": {"id": "default", "name": "Default"}}}}}`,
	"POST /v3/auth/tokens for a domain":              `{"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"domain": {"id": "default"}}}}`,
	"POST /v3/auth/tokens for the system":            `{"auth": {"identity": {"methods": ["totp"], "totp": {"user": {"id": "$user", "passcode": "123456"}}}, "scope": {"system": {"all": true}}}}`,
	"POST /v3/auth/tokens of a machine":              `{"auth": {"identity": {"methods": ["application_credential"], "application_credential": {"id": "x", "name": "n", "user": {"id": "$user"}, "secret": "s"}}, "scope": {"OS-TRUST:trust": {"id": "x"}}}}`,
	"POST /v3/domains":                               `{"domain": {"name": "n", "description": "d", "enabled": true, "tags": ["t"], "options": {"immutable": false}}}`,
	"PATCH /v3/domains/{id}":                         `{"domain": {"description": "d", "tags": ["t"], "options": {"immutable": false}}}`,
	"PUT /v3/domains/{id}/{word}":                    `{"config": {"ldap": {"url": "u", "user_tree_dn": "d"}, "identity": {"driver": "sql"}}}`,
	"PATCH /v3/domains/{id}/{word}":                  `{"config": {"ldap": {"url": "u"}}}`,
	"PATCH /v3/domains/{id}/{word}/{group}":          `{"config": {"ldap": {"url": "u"}}}`,
	"PATCH /v3/domains/{id}/{word}/{group}/{option}": `{"config": {"url": "u"}}`,
	"POST /v3/projects":                              `{"project": {"name": "n", "description": "d", "enabled": true, "domain_id": "default", "parent_id": "$project", "is_domain": false, "tags": ["t"], "options": {"immutable": false}, "more": "x"}}`,
	"PATCH /v3/projects/{id}":                        `{"project": {"description": "d", "tags": ["t"], "options": {"immutable": false}, "more": "x"}}`,
	"PUT /v3/projects/{id}/tags":                     `{"tags": ["a", "b"]}`,
	"PUT /v3/projects/{id}/tags/{tag}":               "",
	"POST /v3/users":                                 `{"user": {"name": "n", "password": "p", "description": "d", "enabled": true, "domain_id": "default", "default_project_id": "$project", "email": "a@b", "options": {"ignore_password_expiry": true, "lock_password": false, "multi_factor_auth_rules": [["password"]]}, "federated": []}}`,
	"PATCH /v3/users/{id}":                           `{"user": {"description": "d", "default_project_id": "$project", "email": "a@b", "options": {"ignore_password_expiry": null}}}`,
	"POST /v3/users/{id}/password":                   `{"user": {"password": "new", "original_password": "wrong"}}`,
	"POST /v3/groups":                                `{"group": {"name": "n", "description": "d", "domain_id": "default", "more": "x"}}`,
	"PATCH /v3/groups/{id}":                          `{"group": {"name": "m", "description": "d"}}`,
	"POST /v3/roles":                                 `{"role": {"name": "n", "description": "d", "domain_id": null, "options": {"immutable": false}}}`,
	"PATCH /v3/roles/{id}":                           `{"role": {"description": "d", "options": {"immutable": false}}}`,
	"POST /v3/users/{user}/application_credentials":  `{"application_credential": {"name": "n", "description": "d", "secret": "s", "expires_at": "2099-01-01T00:00:00Z", "roles": [{"id": "$member"}], "unrestricted": false, "access_rules": [{"service": "compute", "method": "GET", "path": "/v2.1/servers"}, {"id": "$rule"}]}}`,
	"POST /v3/users/{user}/credentials/OS-EC2":       `{"tenant_id": "$project"}`,
	"POST /v3/credentials":                           `{"credential": {"user_id": "$user", "project_id": "$project", "type": "ec2", "blob": "{\"access\": \"a\", \"secret\": \"s\"}"}}`,
	"PATCH /v3/credentials/{id}":                     `{"credential": {"type": "cert", "blob": "b"}}`,
	"POST /v3/OS-TRUST/trusts":                       `{"trust": {"trustor_user_id": "$user", "trustee_user_id": "$user", "project_id": "$project", "impersonation": true, "roles": [{"id": "$member"}], "expires_at": "2099-01-01T00:00:00.000000Z", "remaining_uses": 3, "allow_redelegation": false, "redelegation_count": 0}}`,
	"POST /v3/regions":                               `{"region": {"id": "r", "description": "d", "parent_region_id": "$region"}}`,
	"PUT /v3/regions/{id}":                           `{"region": {"description": "d"}}`,
	"PATCH /v3/regions/{id}":                         `{"region": {"description": "d", "parent_region_id": null}}`,
	"POST /v3/services":                              `{"service": {"name": "n", "type": "t", "description": "d", "enabled": true}}`,
	"PATCH /v3/services/{id}":                        `{"service": {"name": "n", "description": "d"}}`,
	"POST /v3/endpoints":                             `{"endpoint": {"service_id": "$service", "interface": "public", "url": "http://a/$(project_id)s", "region_id": "$region", "enabled": true, "name": "n"}}`,
	"PATCH /v3/endpoints/{id}":                       `{"endpoint": {"url": "http://a/%(tenant_id)s", "interface": "internal"}}`,
	"POST /v3/OS-EP-FILTER/endpoint_groups":          `{"endpoint_group": {"name": "n", "description": "d", "filters": {"interface": "admin", "service_id": "$service", "region_id": "$region"}}}`,
	"PATCH /v3/OS-EP-FILTER/endpoint_groups/{id}":    `{"endpoint_group": {"name": "m", "filters": {"interface": "admin"}}}`,
	"POST /v3/registered_limits":                     `{"registered_limits": [{"service_id": "$service", "region_id": "$region", "resource_name": "r", "default_limit": 1, "description": "d"}]}`,
	"PATCH /v3/registered_limits/{id}":               `{"registered_limit": {"default_limit": 2, "description": "d"}}`,
	"POST /v3/limits":                                `{"limits": [{"project_id": "$project", "service_id": "$service", "region_id": null, "resource_name": "r", "resource_limit": 1, "description": "d"}]}`,
	"PATCH /v3/limits/{id}":                          `{"limit": {"resource_limit": 2, "description": "d"}}`,
	"POST /v3/policies":                              `{"policy": {"blob": "b", "type": "text/plain", "more": 1}}`,
	"PATCH /v3/policies/{id}":                        `{"policy": {"blob": "c", "type": "text/plain"}}`,
	"*":                                              "", // a grant or a membership is made by its path
}

func TestBrokenRequests(t *testing.T) {
	if testing.Short() {
		t.Skip("every route on two databases takes half a minute")
	}
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := boot(t, d)
		revoked := c.Token(t, "demo", identitytest.DemoPassword, "demo")
		if got := c.Do(c.admin, "DELETE", "/identity/v3/auth/tokens", nil, "X-Subject-Token: "+revoked); got.Status != 204 {
			t.Fatalf("%d %s", got.Status, got.Text)
		}
		things := c.things(t, c.Demo, c.DemoProject, c.demo, "mine")
		b := Broken{
			Server: c.Server, Dialect: keystone.Dialect(c.Service), Tenant: c.demo, Admin: c.admin, Dead: []string{revoked, strings.ToUpper(c.demo), c.demo[:len(c.demo)-4] + "AAAA"},
			Things: things, Bodies: bodies, Least: 150,
		}
		b.Restore = func() {
			c.restore(t)
			b.Tenant, b.Admin = c.demo, c.admin
		}
		b.Run(t)
	})
}

// restore brings the tokens and what they stand on back after a request that took them away.
func (c *cloud) restore(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	must(c.UpdateDomain(ctx, "default", func(d *identity.Domain) error { d.Name, d.Enabled = "Default", true; return nil }))
	must(c.UpdateUser(ctx, c.Demo.ID, nil, func(u *identity.User) error { u.Name, u.Enabled = "demo", true; return nil }))
	must(c.UpdateProject(ctx, c.DemoProject.ID, func(p *identity.Project) error { p.Name, p.Enabled = "demo", true; return nil }))
	time.Sleep(time.Millisecond) // a token of the same instant as a revocation is void
	c.admin, c.demo = c.Token(t, "admin", identitytest.AdminPassword, "admin"), c.Token(t, "demo", identitytest.DemoPassword, "demo")
}
