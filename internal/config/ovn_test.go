package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/config"
)

func TestOVN(t *testing.T) {
	c, err := config.Load(write(t, `ovn:
  nb: ssl:192.0.2.1:6641,ssl:[2001:db8::1]:6641
  sb: unix:/run/ovn/sb.sock
  tls: {cert: c.pem, key: k.pem, ca: a.pem}
  external_physical: outside
`))
	if err != nil {
		t.Fatal(err)
	}
	want := config.OVN{NB: "ssl:192.0.2.1:6641,ssl:[2001:db8::1]:6641", SB: "unix:/run/ovn/sb.sock", Owner: "ingot", NeedToFrag: true,
		TLS: config.OVNTLS{Cert: "c.pem", Key: "k.pem", CA: "a.pem"}, ExternalPhysical: "outside"}
	if d := cmp.Diff(want, c.OVN); d != "" {
		t.Error(d)
	}
	if c := config.Default(); c.OVN.NB != "" {
		t.Errorf("an OVN that nobody named: %+v", c.OVN)
	}
}

func TestEveryMistakeAboutOVNIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"nb: tcp:192.0.2.1:6641":                       ":2: ovn.nb: nb and sb belong together",
		"sb: tcp:192.0.2.1:6642":                       ":2: ovn.sb: nb and sb belong together",
		"{nb: 192.0.2.1, sb: unix:/x}":                 `:2: ovn.nb: "192.0.2.1" is not unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT`,
		"{nb: unix:/x, sb: unix:x}":                    `:2: ovn.sb: "unix:x" is not`,
		`{nb: unix:/x, sb: "tcp:192.0.2.1:1,tcp::2"}`:  `:2: ovn.sb: "tcp::2" is not`,
		"{nb: unix:/x, sb: ssl:h:1}":                   "ovn.tls: an endpoint with ssl: needs cert, key and ca",
		"{nb: unix:/x, sb: unix:/y, tls: {ca: a.pem}}": ":2: ovn.tls: cert, key and ca belong together",
		"{nb: unix:/x, sb: unix:/y, pretend: true}":    ":2: ovn.pretend: it stands in place of nb and sb",
		`owner: ""`:                           `:2: ovn.owner: it must be a word, not ""`,
		"owner: two words":                    `:2: ovn.owner: it must be a word, not "two words"`,
		`external_physical: "physnet1:br-ex"`: `:2: ovn.external_physical: "physnet1:br-ex" is no name`,
		"{nb: unix:/x, sb: unix:/y, databases: tcp:h:1 }": "unknown field",
	} {
		_, err := config.Load(write(t, "ovn:\n  "+text+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gave %v, want %s", text, err, want)
		}
	}
}
