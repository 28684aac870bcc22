package cinder_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/cinder"
	. "github.com/ingotcloud/ingot/internal/api/osapi/osapitest"
)

// What Horizon and openstack ask of a cloud without volumes, at their own versions.
func TestEmptyAndTruthful(t *testing.T) {
	s := Serve(t, cinder.Dialect())
	for _, x := range []struct {
		status              int
		token, method, path string
		version, want       string
	}{
		{300, "", "GET", "/", "", `"version":"3.70"`},
		{200, Demo, "GET", "/v3/" + DemoProject + "/volumes/detail?limit=21&sort=created_at:desc", "3.58", `{"volumes":[]}`},
		{200, Demo, "GET", "/v3/backups/detail?with_count=True", "3.45", `"count":0`},
		{200, Demo, "GET", "/v3/os-volume-transfer/detail", "", `{"transfers":[]}`},
		{200, Demo, "GET", "/v3/limits", "3.55", `"maxTotalVolumes":0`},
		{200, Demo, "GET", "/v3/os-quota-sets/" + DemoProject + "?usage=true", "", `"limit":0`},
		{403, Demo, "GET", "/v3/os-quota-sets/" + OtherProject, "", "Policy"},
		{403, Demo, "GET", "/v3/os-services", "", "system-reader"},
		{404, Demo, "GET", "/v3/volumes/none", "", "volume none could not be found"},
		{404, Demo, "GET", "/v3/types/default", "", "could not be found"},
		{501, Demo, "POST", "/v3/volumes", "", "no volumes yet"},
		{403, Reader, "POST", "/v3/volumes", "", "member"},
		{400, Demo, "GET", "/v3/" + OtherProject + "/volumes", "", "Malformed request URL"},
		{406, Demo, "GET", "/v3/volumes", "3.99", "not supported"},
	} {
		var headers []string
		if x.version != "" {
			headers = append(headers, "OpenStack-API-Version: volume "+x.version)
		}
		answer := s.Do(x.token, x.method, "/volume"+x.path, nil, headers...)
		if text := strings.ReplaceAll(answer.Text, " ", ""); answer.Status != x.status || !strings.Contains(text, strings.ReplaceAll(x.want, " ", "")) {
			t.Errorf("%s: %s", fmt.Sprint(x), answer.Text)
		}
	}
}

func TestBrokenRequests(t *testing.T) {
	d := cinder.Dialect()
	b := Broken{Server: Serve(t, d), Dialect: d, Bodies: Bodies{"*": `{"thing": {"name": "x"}}`}}
	b.Run(t)
}
