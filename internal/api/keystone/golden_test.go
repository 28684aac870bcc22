package keystone_test

import (
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/identity/identitytest"
)

var shape = osapitest.Shape{Optional: []string{"default_project_id", "immutable", "lock_password"}}

// The recorded answers of a real Keystone (Zed): ours have the same status, the same keys and the same types.
func TestGolden(t *testing.T) {
	c := boot(t, dbtest.SQLite(t))
	inDemo := object{"project": object{"id": c.DemoProject.ID}}
	bodies := map[string]any{
		"PATCH_v3_projects_ID":                  object{"project": object{"name": "demo", "description": "", "enabled": true}},
		"POST_v3_auth_tokens__password_project": passwordAuth("demo", identitytest.DemoPassword, inDemo),
		"POST_v3_auth_tokens__token_project":    object{"auth": object{"identity": object{"methods": []string{"token"}, "token": object{"id": c.demo}}, "scope": inDemo}},
		"POST_v3_projects":                      object{"project": object{"domain_id": "default", "name": "hzproj", "description": "d", "enabled": true}},
		"POST_v3_roles":                         object{"role": object{"name": "hzrole"}},
		"POST_v3_users": object{"user": object{"name": "hzuser", "domain_id": "default", "default_project_id": c.DemoProject.ID, "password": "p", "enabled": true,
			"options": object{"lock_password": false}}},
	}
	for _, recorded := range osapitest.Recordings(t, 20) {
		t.Run(recorded.Name, func(t *testing.T) {
			path := "/identity" + ourIDs(recorded.Request.Path, c)
			if recorded.Request.Query != "" {
				path += "?" + ourIDs(recorded.Request.Query, c)
			}
			shape.Check(t, recorded, c.Do(c.admin, recorded.Request.Method, path, bodies[recorded.Name], "X-Subject-Token: "+c.admin))
		})
	}
}

// ourIDs puts ids of this cloud in the place of the recorded ones.
func ourIDs(text string, c *cloud) string {
	segments := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("/&=", r) })
	for i, id := range segments {
		if len(id) != 32 {
			continue
		}
		switch segments[i-1] {
		case "projects", "scope.project.id":
			text = strings.ReplaceAll(text, id, c.DemoProject.ID)
		case "users":
			text = strings.ReplaceAll(text, id, c.Demo.ID)
		case "roles":
			text = strings.ReplaceAll(text, id, c.memberID)
		}
	}
	return text
}
