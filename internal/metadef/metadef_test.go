package metadef_test

import (
	"testing"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/metadef"
)

func TestStore(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, s := t.Context(), metadef.NewStore(d, clock.Real{})
		operator, tenant := metadef.Viewer{All: true}, metadef.Viewer{Project: "tenant"}
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		refused := func(err error, kind fault.Kind) {
			t.Helper()
			if !fault.Is(err, kind) {
				t.Errorf("got %v, want %v", err, kind)
			}
		}
		names := func(v metadef.Viewer, namespace string, kind metadef.Kind) (all []string) {
			t.Helper()
			items, err := s.Items(ctx, v, namespace, kind)
			check(err)
			for _, i := range items {
				all = append(all, i.Name)
			}
			return all
		}
		_, err := s.Create(ctx, metadef.Namespace{Name: "hardware", Owner: "admin", Protected: true},
			[]metadef.Item{{Kind: metadef.Property, Name: "gpu", Body: map[string]any{"type": "string"}}})
		check(err)
		_, err = s.Create(ctx, metadef.Namespace{Name: "hardware"}, nil)
		refused(err, fault.Conflict)
		_, err = s.Get(ctx, tenant, "hardware")
		refused(err, fault.NotFound)
		refused(s.Delete(ctx, "hardware"), fault.Forbidden)
		refused(s.Remove(ctx, "hardware", metadef.Property, "gpu"), fault.Forbidden)

		_, err = s.Update(ctx, "hardware", func(n *metadef.Namespace) error {
			n.Name, n.Public, n.Protected = "devices", true, false
			return nil
		})
		check(err)
		if got := names(tenant, "devices", ""); len(got) != 1 || got[0] != "gpu" {
			t.Errorf("after the renaming the items are %q", got)
		}
		_, err = s.Add(ctx, "devices", metadef.Tag, false, metadef.Item{Name: "a"}, metadef.Item{Name: "a"})
		refused(err, fault.Conflict)
		if got := names(operator, "devices", metadef.Tag); len(got) != 0 {
			t.Errorf("half of the tags stayed: %q", got)
		}
		_, err = s.Add(ctx, "devices", metadef.Tag, false, metadef.Item{Name: "a"})
		check(err)
		_, err = s.Add(ctx, "devices", metadef.Tag, true, metadef.Item{Name: "b"}, metadef.Item{Name: "c"})
		check(err)
		_, err = s.Replace(ctx, "devices", metadef.Tag, "c", metadef.Item{Name: "b"})
		refused(err, fault.Conflict)
		_, err = s.Replace(ctx, "devices", metadef.Tag, "c", metadef.Item{Name: "d"})
		check(err)
		if got := names(operator, "devices", metadef.Tag); len(got) != 2 || got[0] != "b" || got[1] != "d" {
			t.Errorf("the tags are %q", got)
		}
		refused(s.Remove(ctx, "devices", metadef.Tag, "zz"), fault.NotFound)
		check(s.Remove(ctx, "devices", metadef.Tag, ""))
		check(s.Delete(ctx, "devices"))
		_, err = s.Item(ctx, operator, "devices", metadef.Property, "gpu")
		refused(err, fault.NotFound)
	})
}
