package ironic_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/ironic"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/console"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine/machinetest"
	"github.com/ingotcloud/ingot/internal/network"
)

// screens have a picture of one machine.
type screens struct{ of string }

func (s *screens) MachineScreenshot(_ context.Context, machine string) (console.Picture, error) {
	if machine != s.of {
		return console.Picture{}, fault.New(fault.Unsupported, "The machine's BMC has no graphical console.")
	}
	return console.Picture{PNG: []byte("\x89PNG")}, nil
}

func TestScreenshot(t *testing.T) {
	rig := machinetest.NewRig(t, dbtest.SQLite(t), machinetest.Spec{Name: "m"}, machinetest.Spec{Name: "blind", IPMI: true})
	s := &screens{}
	with := services(rig, network.New(rig.DB, rig.Clock, slog.New(slog.DiscardHandler)))
	with.Screens = s
	c := &cloud{rig, Serve(t, ironic.Dialect(with)), t, "latest", nil}
	for _, m := range rig.Machines {
		c.enrol(m)
	}
	s.of = rig.Machines[0].ID
	const method = "/vendor_passthru/screenshot"
	if got := c.call(Admin, "GET", "/v1/nodes/m"+method, nil, 200); got.Text != "\x89PNG" || got.Header.Get("Content-Type") != "image/png" {
		t.Errorf("%s %v", got.Text, got.Header)
	}
	if got := c.call(Admin, "GET", "/v1/nodes/blind"+method, nil, 400); !strings.Contains(got.Text, "no graphical console") {
		t.Error(got.Text)
	}
	c.call(Admin, "POST", "/v1/nodes/m"+method, nil, 400)
	c.call(Admin, "GET", "/v1/nodes/none"+method, nil, 404)
	c.call(Admin, "GET", "/v1/nodes/m/vendor_passthru/other", nil, 400)
	c.call(Demo, "GET", "/v1/nodes/m"+method, nil, 403)
	methods := c.call(Admin, "GET", "/v1/nodes/m/vendor_passthru/methods", nil, 200).Body
	if shot, _ := methods["screenshot"].(object); shot == nil || shot["async"] != false {
		t.Errorf("%v", methods)
	}
}
