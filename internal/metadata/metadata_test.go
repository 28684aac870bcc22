package metadata_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/metadata"
)

const secret = "a secret that is long enough"

var (
	now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	who = metadata.Caller{Network: "net", Address: netip.MustParseAddr("10.0.0.5")}
)

// full is a server with everything.
func full() *metadata.Content {
	return &metadata.Content{
		ID: "83679162-1378-4288-a2d4-70e13ec132aa", Name: "test", Hostname: "test.example", Project: "f7ac731cc11f40efbc03a9f9e1d1d21f", Zone: "nova",
		LaunchIndex: 1, Properties: map[string]string{"role": "web"}, KeyName: "mykey", PublicKey: "ssh-ed25519 AAAA me",
		UserData: []byte("#!/bin/sh\n\xff"), NetworkData: map[string]any{"links": []any{}, "networks": []any{}, "services": []any{}}, Seed: []byte{1, 2, 3},
		Reservation: "r-8v1d3xyz", Flavor: "bm.small", Image: "5a1b2c3d-0000-4000-8000-000000000000",
		LocalIPv4: netip.MustParseAddr("10.0.0.5"), PublicIPv4: netip.MustParseAddr("203.0.113.7"), SecurityGroups: []string{"default", "web"},
	}
}

type servers map[metadata.Caller]*metadata.Content

func (s servers) MetadataOf(_ context.Context, c metadata.Caller) (*metadata.Content, error) {
	if content := s[c]; content != nil {
		return content, nil
	}
	return nil, fault.New(fault.NotFound, "No server has the address %s.", c.Address)
}

func door(s servers) *metadata.Door {
	return &metadata.Door{Servers: s, Secret: []byte(secret), Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
}

// ask asks in the name of the caller.
func ask(t *testing.T, d *metadata.Door, c metadata.Caller, method, path string) (status int, body, kind string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader("body"))
	c.Sign(r.Header, []byte(secret), now)
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(text), w.Header().Get("Content-Type")
}

// The listings and texts are Nova's (nova/tests/unit/test_metadata.py and doc/source/user/metadata.rst), but for
// block-device-mapping.
func TestTreesAreNovas(t *testing.T) {
	d := door(servers{who: full()})
	for path, want := range map[string]string{
		"/openstack":                                    "2012-08-10\n2013-04-04\n2013-10-17\n2015-10-15\n2016-06-30\n2016-10-06\n2017-02-22\n2018-08-27\n2020-10-14\nlatest",
		"/openstack/":                                   "2012-08-10\n2013-04-04\n2013-10-17\n2015-10-15\n2016-06-30\n2016-10-06\n2017-02-22\n2018-08-27\n2020-10-14\nlatest",
		"/openstack/2012-08-10":                         "meta_data.json\nuser_data",
		"/openstack/2013-04-04/":                        "meta_data.json\nuser_data\npassword",
		"/openstack/latest":                             "meta_data.json\nuser_data\npassword\nvendor_data.json\nnetwork_data.json\nvendor_data2.json",
		"/openstack/latest/user_data":                   "#!/bin/sh\n\xff",
		"/openstack/latest/password":                    "",
		"/openstack/latest/vendor_data.json":            "{}",
		"/openstack/latest/vendor_data2.json":           `{"static":{}}`,
		"/openstack/latest/network_data.json":           `{"links":[],"networks":[],"services":[]}`,
		"/":                                             "1.0\n2007-01-19\n2007-03-01\n2007-08-29\n2007-10-10\n2007-12-15\n2008-02-01\n2008-09-01\n2009-04-04\nlatest",
		"/ec2":                                          "1.0\n2007-01-19\n2007-03-01\n2007-08-29\n2007-10-10\n2007-12-15\n2008-02-01\n2008-09-01\n2009-04-04\nlatest",
		"/latest":                                       "meta-data/\nuser-data",
		"/2009-04-04/user-data":                         "#!/bin/sh\n\xff",
		"/ec2/latest/meta-data/":                        ec2Listing,
		"//latest//meta-data":                           ec2Listing,
		"/1.0/meta-data":                                "ami-id\nami-launch-index\nami-manifest-path\nhostname\ninstance-id\nlocal-ipv4\npublic-keys/\nreservation-id\nsecurity-groups",
		"/latest/meta-data/ami-id":                      "ami-5a1b2c3d",
		"/latest/meta-data/ami-launch-index":            "1",
		"/latest/meta-data/hostname":                    "test.example",
		"/latest/meta-data/instance-id":                 "i-83679162",
		"/latest/meta-data/instance-type":               "bm.small",
		"/latest/meta-data/local-ipv4":                  "10.0.0.5",
		"/latest/meta-data/public-ipv4":                 "203.0.113.7",
		"/latest/meta-data/placement/":                  "availability-zone",
		"/latest/meta-data/placement/availability-zone": "nova",
		"/latest/meta-data/public-keys/":                "0=mykey",
		"/latest/meta-data/public-keys/0":               "openssh-key",
		"/latest/meta-data/public-keys/0/openssh-key":   "ssh-ed25519 AAAA me",
		"/latest/meta-data/reservation-id":              "r-8v1d3xyz",
		"/latest/meta-data/security-groups":             "default\nweb",
	} {
		if status, body, _ := ask(t, d, who, "GET", path); status != 200 || body != want {
			t.Errorf("%s: %d %q, want %q", path, status, body, want)
		}
	}
}

const ec2Listing = "ami-id\nami-launch-index\nami-manifest-path\nhostname\ninstance-action\ninstance-id\ninstance-type\nlocal-hostname\n" +
	"local-ipv4\nplacement/\npublic-hostname\npublic-ipv4\npublic-keys/\nreservation-id\nsecurity-groups"

func TestMetaDataByVersion(t *testing.T) {
	d := door(servers{who: full()})
	want := map[string]any{
		"uuid": "83679162-1378-4288-a2d4-70e13ec132aa", "name": "test", "hostname": "test.example", "availability_zone": "nova", "launch_index": 1.0,
		"meta": map[string]any{"role": "web"}, "public_keys": map[string]any{"mykey": "ssh-ed25519 AAAA me"},
		"keys": []any{map[string]any{"name": "mykey", "type": "ssh", "data": "ssh-ed25519 AAAA me"}},
	}
	for _, step := range []struct {
		version string
		adds    map[string]any
	}{
		{"2012-08-10", nil},
		{"2013-04-04", map[string]any{"random_seed": base64.StdEncoding.EncodeToString([]byte{1, 2, 3})}},
		{"2015-10-15", map[string]any{"project_id": "f7ac731cc11f40efbc03a9f9e1d1d21f"}},
		{"2016-06-30", map[string]any{"devices": []any{}}},
		{"2018-08-27", nil},
		{"2020-10-14", map[string]any{"dedicated_cpus": []any{}}},
		{"latest", nil},
	} {
		for key, value := range step.adds {
			want[key] = value
		}
		status, body, kind := ask(t, d, who, "GET", "/openstack/"+step.version+"/meta_data.json")
		var got map[string]any
		if err := json.Unmarshal([]byte(body), &got); status != 200 || kind != "application/json" || err != nil {
			t.Fatalf("%s: %d %s %q", step.version, status, kind, body)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", step.version, diff)
		}
	}
}

// cloud-init's OpenStack data source (cloudinit/sources/helpers/openstack.py, BaseReader.read_v2): the list of versions, the
// newest that it knows, its files, and then a walk of EC2's tree, where what ends with a slash is a folder and a key is
// "0=name".
func TestAsCloudInitCrawls(t *testing.T) {
	d := door(servers{who: full()})
	get := func(path string) string {
		t.Helper()
		status, body, _ := ask(t, d, who, "GET", path)
		if status != 200 {
			t.Fatalf("%s: %d %s", path, status, body)
		}
		return body
	}
	version := "latest"
	for _, known := range []string{"2018-08-27", "2017-02-22", "2016-10-06", "2016-06-30", "2015-10-15", "2013-10-17", "2013-04-04", "2012-08-10"} {
		if strings.Contains("\n"+get("/openstack")+"\n", "\n"+known+"\n") {
			version = known
			break
		}
	}
	if version != "2018-08-27" {
		t.Errorf("it takes %s", version)
	}
	for _, file := range []string{"meta_data.json", "user_data", "vendor_data.json", "vendor_data2.json", "network_data.json"} {
		text := get("/openstack/" + version + "/" + file)
		var object map[string]any
		if strings.HasSuffix(file, ".json") && json.Unmarshal([]byte(text), &object) != nil {
			t.Errorf("%s: %q", file, text)
		}
	}
	leaves := 0
	var walk func(path string)
	walk = func(path string) {
		for _, name := range strings.Split(get(path), "\n") {
			if key, _, isKey := strings.Cut(name, "="); isKey {
				if !strings.HasPrefix(get(path+key+"/openssh-key"), "ssh-") {
					t.Error("no key")
				}
				leaves++
			} else if strings.HasSuffix(name, "/") {
				walk(path + name)
			} else {
				get(path + name)
				leaves++
			}
		}
	}
	walk("/latest/meta-data/")
	if leaves != 15 {
		t.Errorf("%d leaves", leaves)
	}
}

func TestABareServerHasNoMoreThanItHas(t *testing.T) {
	d := door(servers{who: {ID: "u"}})
	for path, want := range map[string]string{
		"/openstack/latest": "meta_data.json\npassword\nvendor_data.json\nnetwork_data.json\nvendor_data2.json",
		"/latest":           "meta-data/",
	} {
		if _, body, _ := ask(t, d, who, "GET", path); body != want {
			t.Errorf("%s: %q", path, body)
		}
	}
	for _, path := range []string{"/openstack/latest/user_data", "/latest/user-data", "/latest/meta-data/public-keys/"} {
		if status, _, _ := ask(t, d, who, "GET", path); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	d := door(servers{who: full()})
	stranger := metadata.Caller{Network: "net", Address: netip.MustParseAddr("10.0.0.6")}
	elsewhere := metadata.Caller{Network: "other", Address: who.Address}
	for _, c := range []struct {
		who          metadata.Caller
		method, path string
		status       int
	}{
		{stranger, "GET", "/openstack", 404},
		{elsewhere, "GET", "/openstack", 404},
		{who, "GET", "/openstack/1999-01-01", 404},
		{who, "GET", "/openstack/2012-08-10/network_data.json", 404},
		{who, "GET", "/openstack/latest/meta_data.json/x", 404},
		{who, "GET", "/openstack/latest/../../../etc/passwd", 404},
		{who, "GET", "/latest/meta-data/ami-id/x", 404},
		{who, "GET", "/latest/api/token", 404},
		{who, "GET", "/latest/meta-data/public-keys/1", 404},
		{who, "POST", "/openstack/latest/password", 403},
		{who, "POST", "/openstack/2012-08-10/password", 404},
		{who, "PUT", "/openstack/latest/meta_data.json", 405},
		{who, "DELETE", "/", 405},
	} {
		if status, body, _ := ask(t, d, c.who, c.method, c.path); status != c.status || body == "" {
			t.Errorf("%s %s of %v: %d %q, want %d", c.method, c.path, c.who, status, body, c.status)
		}
	}
}

func TestOnlyAChassisIsBelieved(t *testing.T) {
	d := door(servers{who: full()})
	for name, forge := range map[string]func(h http.Header){
		"nothing":         func(h http.Header) { clear(h) },
		"another secret":  func(h http.Header) { who.Sign(h, []byte("a guess"), now) },
		"another network": func(h http.Header) { h.Set("X-Ingot-Network", "other") },
		"another address": func(h http.Header) { h.Set("X-Ingot-Address", "10.0.0.6") },
		"another time":    func(h http.Header) { h.Set("X-Ingot-Time", "1") },
		"long ago":        func(h http.Header) { who.Sign(h, []byte(secret), now.Add(-6*time.Minute)) },
		"in the future":   func(h http.Header) { who.Sign(h, []byte(secret), now.Add(6*time.Minute)) },
		"no address":      func(h http.Header) { metadata.Caller{Network: "net"}.Sign(h, []byte(secret), now) },
		"rubbish":         func(h http.Header) { h.Set("X-Ingot-Signature", "xyz") },
		"an empty one":    func(h http.Header) { h.Set("X-Ingot-Signature", "") },
		"a shortened one": func(h http.Header) { h.Set("X-Ingot-Signature", h.Get("X-Ingot-Signature")[:32]) },
	} {
		r := httptest.NewRequest("GET", "/openstack", nil)
		who.Sign(r.Header, []byte(secret), now)
		forge(r.Header)
		w := httptest.NewRecorder()
		if d.ServeHTTP(w, r); w.Code != 401 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// The drive tells what the service tells.
func TestTheDriveIsTheSame(t *testing.T) {
	content := full()
	d := door(servers{who: content})
	files, err := content.Drive()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 10 {
		t.Errorf("%d files", len(files))
	}
	for path, text := range files {
		if status, body, _ := ask(t, d, who, "GET", "/"+path); status != 200 || body != string(text) {
			t.Errorf("%s: %d %q is not %q", path, status, body, text)
		}
	}
}
