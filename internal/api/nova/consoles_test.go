package nova_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/nova"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/keypair"

	"github.com/ingotcloud/ingot/internal/flavor"
)

// links hands out one token, and remembers for what.
type links struct {
	console
	asked []nova.ConsoleLink
}

func (l *links) Link(_ context.Context, link nova.ConsoleLink) (string, error) {
	l.asked = append(l.asked, link)
	return "T0KEN", nil
}

func (l *links) Linked(_ context.Context, token string) (string, error) {
	if token != "T0KEN" {
		return "", fault.New(fault.Unauthorized, "unknown")
	}
	return l.asked[0].Instance, nil
}

// withConsoles is a cloud whose servers have consoles.
func withConsoles(t *testing.T) (*cloud, *links) {
	c, l := start(t, 1), &links{}
	c.dialect = nova.Dialect(nova.Services{
		DB: c.DB, Instances: c.Instances, Flavors: flavor.NewStore(c.DB, c.Clock), Keypairs: keypair.NewStore(c.DB, c.Clock), Images: c.Images,
		Networks: c.Networks, Routers: c.Routers, Groups: c.Groups, Machines: c.Service, Console: l, Clock: c.Clock,
	})
	c.Server = Serve(t, c.dialect)
	return c, l
}

func TestRemoteConsoles(t *testing.T) {
	c, l := withConsoles(t)
	id := c.create(nil)
	ask := func(status int, token string, body object, version string) Answer {
		return c.ask(status, token, "POST", "/servers/"+id+"/remote-consoles", object{"remote_console": body}, at(version))
	}
	got := ask(200, Demo, object{"protocol": "serial", "type": "serial"}, "2.6").Body["remote_console"].(map[string]any)
	serial, err := url.Parse(got["url"].(string))
	if err != nil || serial.Scheme != "ws" || serial.Path != "/console/ws" || serial.Query().Get("token") != "T0KEN" || got["protocol"] != "serial" || got["type"] != "serial" {
		t.Errorf("%v %v", got, err)
	}
	got = ask(200, Demo, object{"protocol": "vnc", "type": "novnc"}, "2.96").Body["remote_console"].(map[string]any)
	page, err := url.Parse(got["url"].(string))
	if err != nil || page.Scheme != "http" || page.Path != "/console/" || page.Query().Get("path") != "console/ws?token=T0KEN" {
		t.Errorf("%v %v", got, err)
	}
	if len(l.asked) != 2 || l.asked[0].Screen || !l.asked[1].Screen || l.asked[0].Instance != id || l.asked[0].Project != DemoProject || !strings.HasPrefix(l.asked[0].Request, "req-") {
		t.Errorf("%+v", l.asked)
	}
	for _, body := range []object{{"protocol": "spice", "type": "spice-html5"}, {"protocol": "serial", "type": "novnc"}, {"protocol": "vnc", "type": "xvpvnc"}, {}} {
		ask(400, Demo, body, "2.8")
	}
	ask(404, Demo, object{"protocol": "serial", "type": "serial"}, "2.5")
	ask(404, Other, object{"protocol": "serial", "type": "serial"}, "2.6")
	ask(403, Reader, object{"protocol": "serial", "type": "serial"}, "2.6")

	act := func(status int, body object, version string) Answer {
		return c.ask(status, Demo, "POST", "/servers/"+id+"/action", body, at(version))
	}
	for action, kind := range map[string]string{"os-getVNCConsole": "novnc", "os-getSerialConsole": "serial"} {
		old := act(200, object{action: object{"type": kind}}, "2.1").Body["console"].(map[string]any)
		if old["type"] != kind || !strings.Contains(old["url"].(string), "T0KEN") {
			t.Errorf("%s: %v", action, old)
		}
		act(404, object{action: object{"type": kind}}, "2.6")
		act(400, object{action: object{"type": "xvpvnc"}}, "2.1")
	}
	act(400, object{"os-getSPICEConsole": object{"type": "spice-html5"}}, "2.1")

	answer := c.ask(200, Admin, "GET", "/os-console-auth-tokens/T0KEN", nil, at("2.31")).Body["console"].(map[string]any)
	if answer["instance_uuid"] != id || answer["host"] != "127.0.0.1" || answer["port"].(float64) < 1 || len(answer) != 4 {
		t.Errorf("%v", answer)
	}
	c.ask(404, Admin, "GET", "/os-console-auth-tokens/other", nil, at("2.31"))
	c.ask(403, Demo, "GET", "/os-console-auth-tokens/T0KEN", nil, at("2.31"))
}
