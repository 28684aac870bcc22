package server

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/ingotcloud/ingot/internal/config"
	"github.com/ingotcloud/ingot/internal/machine"
)

// A Keystone that is not there ends the start with words.
func TestNoStartWithoutTheKeystone(t *testing.T) {
	t.Setenv("INGOT_HOME", t.TempDir())
	c, err := config.Load("")
	if err != nil {
		t.Fatal(err)
	}
	c.Identity.Keystone.URL, c.Identity.Keystone.Username, c.Identity.Keystone.Password = "http://127.0.0.1:1/v3", "u", "p"
	p, err := build(t.Context(), c, slog.New(slog.DiscardHandler), machine.Access{})
	if p != nil || err == nil || !strings.Contains(err.Error(), "http://127.0.0.1:1/v3") {
		t.Errorf("%v, %v", p, err)
	}
}
