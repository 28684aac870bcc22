package placement_test

import (
	"strings"
	"testing"

	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/api/placement"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/instance"
	"github.com/ingotcloud/ingot/internal/instance/instancetest"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
)

func TestMachinesAsProviders(t *testing.T) {
	c := instancetest.New(t, dbtest.SQLite(t), machinetest.Spec{Name: "a", ResourceClass: "gold.x", Traits: []string{"CUSTOM_GPU"}}, machinetest.Spec{Name: "b"})
	c.Run()
	c.Spares()
	s := Serve(t, placement.Dialect(c.Service, c.DB))
	a, b := c.Machines[0].ID, c.Machines[1].ID
	ask := func(status int, token, path string, want ...string) {
		t.Helper()
		answer := s.Do(token, "GET", "/placement"+path, nil, "OpenStack-API-Version: placement 1.39")
		text := strings.ReplaceAll(answer.Text, " ", "")
		for _, w := range want {
			if gone, no := strings.CutPrefix(w, "!"); strings.Contains(text, gone) == no {
				t.Errorf("%s: %s, want %s", path, text, w)
			}
		}
		if answer.Status != status {
			t.Errorf("%s: %d, want %d: %s", path, answer.Status, status, text)
		}
	}
	ask(200, "", "/", `"max_version":"1.39"`)
	ask(403, Demo, "/resource_providers", `"errors":[{`)
	ask(200, Admin, "/resource_providers", a, b)
	ask(200, Admin, "/resource_providers?required=CUSTOM_GPU", a, "!"+b)
	ask(200, Admin, "/resource_providers?required=!CUSTOM_GPU", "!"+a, b)
	ask(200, Admin, "/resource_providers?resources=CUSTOM_GOLD_X:1", a, "!"+b)
	ask(400, Admin, "/resource_providers?nonsense=1")
	ask(200, Admin, "/resource_providers/"+a+"/inventories", `"CUSTOM_GOLD_X":{`, `"reserved":0`)
	ask(200, Admin, "/resource_providers/"+a+"/traits", "CUSTOM_GPU")
	ask(200, Admin, "/resource_classes", "CUSTOM_GOLD_X", "CUSTOM_BAREMETAL")
	ask(404, Admin, "/resource_providers/none", `"status":404`)
	i := c.Await(c.Create(c.Upload()).ID, instance.Active)
	ask(200, Admin, "/allocations/"+i.ID, i.Machine)
	ask(200, Admin, "/resource_providers/"+i.Machine+"/usages", ":1}")
	ask(200, Admin, "/resource_providers/"+i.Machine+"/allocations", i.ID)
}

func TestBrokenRequests(t *testing.T) {
	c := instancetest.New(t, dbtest.SQLite(t), machinetest.Spec{Name: "a", Traits: []string{"CUSTOM_GPU"}})
	d := placement.Dialect(c.Service, c.DB)
	b := Broken{Server: Serve(t, d), Dialect: d, Things: Things{"resource_providers": c.Machines[0].ID, "allocations": c.Machines[0].ID}}
	b.Run(t)
}
