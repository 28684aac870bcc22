package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/config"
)

func TestEveryMistakeHasItsLine(t *testing.T) {
	path := write(t, `listen: nowhere
workers: 0
machines:
  first: 10.9.9.9
  look_every: 1ms
`)
	_, err := config.Load(path)
	if err == nil {
		t.Fatal("a wrong file was taken")
	}
	for _, want := range []string{
		path + ":1: listen: it must be host:port",
		path + ":2: workers: at least one",
		path + ":4: machines.first: 10.9.9.9 is not in 10.77.0.0/24",
		path + ":5: machines.look_every: a second is the least",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not named: %s\nin: %v", want, err)
		}
	}
}

func TestUnknownKeysAndWrongTypesHaveTheirLine(t *testing.T) {
	for text, want := range map[string]string{
		"listen: 127.0.0.1:1\nmachine:\n  kernel: x\n": "[2:1]",
		"workers: many\n":                  "[1:10]",
		"machines:\n  address: 10.0.0.1\n": "no '/'",
	} {
		if _, err := config.Load(write(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gave %v", text, err)
		}
	}
}

func TestTheEnvironmentGoesOverTheFile(t *testing.T) {
	path := write(t, "home: /somewhere\nlisten: 127.0.0.1:1\n")
	t.Setenv("INGOT_LISTEN", "127.0.0.1:2")
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:2" || c.PublicURL != "http://127.0.0.1:2" || c.Database != "sqlite:/somewhere/ingot.db" {
		t.Errorf("got %+v", c)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ingot.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
