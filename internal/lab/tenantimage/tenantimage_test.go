package tenantimage

import (
	"os"
	"testing"

	"github.com/ingotcloud/ingot/internal/fault"
)

func build(t *testing.T) string {
	t.Helper()
	image, err := Build(t.Context(), Options{})
	if fault.Is(err, fault.Unavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func TestX(t *testing.T) {
	p := build(t)
	t.Log(p)
	st, _ := os.Stat(p)
	t.Log(st.Size())
}
