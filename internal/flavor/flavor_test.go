package flavor_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/flavor"
)

var (
	admin = flavor.Viewer{ProjectID: "admin", Admin: true}
	demo  = flavor.Viewer{ProjectID: "demo"}
)

func small() flavor.Flavor {
	return flavor.Flavor{ID: "1", Name: "bm.small", RAM: 1024, VCPUs: 2, Disk: 8, Public: true, ExtraSpecs: map[string]string{"ingot:substrate": "metal"}}
}

func TestLifeOfAFlavor(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := flavor.NewStore(d, clock.NewFake()), t.Context()
		made, err := s.Create(ctx, small())
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Get(ctx, demo, "1")
		if diff := cmp.Diff(made, got); diff != "" || err != nil {
			t.Fatalf("%v\n%s", err, diff)
		}
		for _, twin := range []flavor.Flavor{{ID: "1", Name: "other", RAM: 1, VCPUs: 1}, {ID: "2", Name: "bm.small", RAM: 1, VCPUs: 1}} {
			if _, err := s.Create(ctx, twin); !fault.Is(err, fault.Conflict) {
				t.Errorf("a second %s/%s: %v", twin.ID, twin.Name, err)
			}
		}
		words := "a small machine"
		if _, err := s.Describe(ctx, "1", &words); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SetExtraSpecs(ctx, "1", map[string]string{"a": "1", "b": "2"}); err != nil {
			t.Fatal(err)
		}
		if err := s.UnsetExtraSpec(ctx, "1", "a"); err != nil {
			t.Fatal(err)
		}
		if err := s.UnsetExtraSpec(ctx, "1", "a"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a spec that is not there: %v", err)
		}
		made.Description, made.ExtraSpecs = &words, map[string]string{"ingot:substrate": "metal", "b": "2"}
		got, err = s.Get(ctx, demo, "1")
		if diff := cmp.Diff(made, got); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		if err := s.Delete(ctx, "1"); err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{
			"delete": s.Delete(ctx, "1"), "get": second(s.Get(ctx, admin, "1")), "describe": second(s.Describe(ctx, "1", nil)),
			"allow": second(s.Allow(ctx, "1", "demo")), "access": second(s.Access(ctx, "1")),
		} {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s of a deleted flavor: %v", name, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestPrivateFlavorsDoNotExistForOthers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, ctx := flavor.NewStore(d, clock.NewFake()), t.Context()
		private := small()
		private.ID, private.Name, private.Public, private.RAM = "p", "private", false, 4096
		for _, f := range []flavor.Flavor{small(), private} {
			if _, err := s.Create(ctx, f); err != nil {
				t.Fatal(err)
			}
		}
		no := false
		seen := func(v flavor.Viewer, f flavor.Filter) string {
			list, err := s.List(ctx, v, f)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, f := range list {
				ids = append(ids, f.ID)
			}
			return fmt.Sprint(ids)
		}
		expect := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		expect("a tenant", seen(demo, flavor.Filter{Public: &no}), "[1]")
		expect("the admin", seen(admin, flavor.Filter{}), "[1 p]")
		expect("the admin's private", seen(admin, flavor.Filter{Public: &no}), "[p]")
		expect("large memory", seen(admin, flavor.Filter{MinRAM: 2048}), "[p]")
		expect("large disk", seen(admin, flavor.Filter{MinDisk: 9}), "[]")
		if _, err := s.Get(ctx, demo, "p"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a tenant gets it: %v", err)
		}

		list, err := s.Allow(ctx, "p", "demo")
		if fmt.Sprint(list) != "[demo]" || err != nil {
			t.Fatal(list, err)
		}
		expect("a tenant with access", seen(demo, flavor.Filter{}), "[1 p]")
		expect("another tenant", seen(flavor.Viewer{ProjectID: "x"}, flavor.Filter{}), "[1]")
		if _, err := s.Allow(ctx, "p", "demo"); !fault.Is(err, fault.Conflict) {
			t.Errorf("allowed twice: %v", err)
		}
		if _, err := s.Allow(ctx, "1", "demo"); !fault.Is(err, fault.Conflict) {
			t.Errorf("access to a public one: %v", err)
		}
		if _, err := s.Access(ctx, "1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("the list of a public one: %v", err)
		}
		if list, err := s.Deny(ctx, "p", "demo"); len(list) != 0 || err != nil {
			t.Fatal(list, err)
		}
		if _, err := s.Deny(ctx, "p", "demo"); !fault.Is(err, fault.NotFound) {
			t.Errorf("denied twice: %v", err)
		}
		expect("a tenant without access", seen(demo, flavor.Filter{}), "[1]")
	})
}

func TestWhatAFlavorMayBe(t *testing.T) {
	s := flavor.NewStore(dbtest.SQLite(t), clock.NewFake())
	for name, edit := range map[string]func(*flavor.Flavor){
		"no name": func(f *flavor.Flavor) { f.Name = "" }, "a blank name": func(f *flavor.Flavor) { f.Name = " " },
		"a control character": func(f *flavor.Flavor) { f.Name = "a\x00" }, "a long name": func(f *flavor.Flavor) { f.Name = strings.Repeat("a", 256) },
		"a slash in the id": func(f *flavor.Flavor) { f.ID = "a/b" }, "no memory": func(f *flavor.Flavor) { f.RAM = 0 },
		"negative disk": func(f *flavor.Flavor) { f.Disk = -1 }, "huge": func(f *flavor.Flavor) { f.VCPUs = math.MaxInt32 + 1 },
		"not a number": func(f *flavor.Flavor) { f.RxTxFactor = math.NaN() }, "a bad key": func(f *flavor.Flavor) { f.ExtraSpecs = map[string]string{"a/b": ""} },
		"a long value": func(f *flavor.Flavor) { f.ExtraSpecs = map[string]string{"a": strings.Repeat("v", 256)} },
	} {
		f := small()
		edit(&f)
		if _, err := s.Create(t.Context(), f); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
