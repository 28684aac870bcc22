package server

import (
	"flag"
	"log/slog"
	"os"
	"testing"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/config"
	"github.com/ingotcloud/ingot/internal/machine"
)

var update = flag.Bool("update", false, "write docs/api.md anew")

const apiPage = "../../docs/api.md"

// The page of routes is made from the route tables, so that it cannot lie. -update writes it anew.
func TestTheAPIPageIsCurrent(t *testing.T) {
	t.Setenv("INGOT_HOME", t.TempDir())
	c, err := config.Load("")
	if err != nil {
		t.Fatal(err)
	}
	p, err := build(t.Context(), c, slog.New(slog.DiscardHandler), machine.Access{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	want := osapi.Markdown(p.dialects()...)
	if *update {
		if err := os.WriteFile(apiPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(apiPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Error("docs/api.md does not show the routes as they are; run this test with -update")
	}
}
