package image_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/db/dbtest"
	"github.com/ingotcloud/ingot/internal/driver/blob/folder"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/image"
)

var (
	demo  = image.Caller{Project: "demo"}
	other = image.Caller{Project: "other"}
	admin = image.Caller{Project: "admin", Admin: true}
)

// world is a service with what it stands on.
type world struct {
	*image.Service
	t     *testing.T
	clock *clock.Fake
	blobs image.Blobs
}

func each(t *testing.T, test func(*world)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) { test(newWorld(t, d, image.Config{})) })
}

func newWorld(t *testing.T, d *db.DB, config image.Config) *world {
	t.Helper()
	w := &world{t: t, clock: clock.NewFake(), blobs: config.Blobs}
	if w.blobs == nil {
		blobs, err := folder.Open(filepath.Join(t.TempDir(), "images"))
		w.must(err)
		w.blobs = blobs
	}
	config.DB, config.Blobs, config.Clock = d, w.blobs, w.clock
	if config.SpoolDir == "" {
		config.SpoolDir = t.TempDir()
	}
	config.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	w.Service = image.New(config)
	t.Cleanup(w.Close)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// is demands a fault of that kind, whose words hold a part.
func (w *world) is(err error, kind fault.Kind, words string) {
	w.t.Helper()
	if !fault.Is(err, kind) || !bytes.Contains([]byte(fault.Message(err)), []byte(words)) {
		w.t.Errorf("got %v (kind %d), want kind %d with %q", err, fault.KindOf(err), kind, words)
	}
}

func (w *world) create(c image.Caller, img image.Image) image.Image {
	w.t.Helper()
	if img.DiskFormat == "" {
		img.DiskFormat, img.ContainerFormat = "raw", "bare"
	}
	made, err := w.Create(w.t.Context(), c, img)
	w.must(err)
	w.clock.Step(time.Second)
	return made
}

func (w *world) active(c image.Caller, img image.Image, data []byte) image.Image {
	w.t.Helper()
	made := w.create(c, img)
	w.must(w.Upload(w.t.Context(), c, made.ID, bytes.NewReader(data), image.Expect{}))
	return w.get(made.ID)
}

func (w *world) get(id string) image.Image {
	w.t.Helper()
	img, err := w.Get(w.t.Context(), admin, id)
	w.must(err)
	return img
}

func (w *world) keys() []string {
	w.t.Helper()
	keys, err := w.blobs.List(w.t.Context(), "")
	w.must(err)
	orphans, err := w.Orphans(w.t.Context())
	w.must(err)
	if len(orphans) != 0 {
		w.t.Errorf("orphans: %v", orphans)
	}
	return keys
}

func (w *world) download(c image.Caller, id string) ([]byte, error) {
	w.t.Helper()
	_, r, err := w.Download(w.t.Context(), c, id)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // read only
	return io.ReadAll(r)
}

func (w *world) names(c image.Caller, f image.Filter, p image.Page) []string {
	w.t.Helper()
	if p.Limit == 0 {
		p.Limit = 100
	}
	images, err := w.List(w.t.Context(), c, f, p)
	w.must(err)
	names := []string{}
	for _, img := range images {
		names = append(names, img.Name)
	}
	return names
}

func random(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(data) // never fails
	return data
}

func TestCreateKeepsWhatATenantSaysAndNothingElse(t *testing.T) {
	each(t, func(w *world) {
		made := w.create(demo, image.Image{
			Name: "täst", MinDisk: 3, MinRAM: 4, Protected: true, Hidden: true, Tags: []string{"b", "a", "b"},
			Properties: map[string]string{"os_type": "linux"}, Status: image.Active, Size: 7, Checksum: "x",
		})
		got := w.get(made.ID)
		if got.Status != image.Queued || got.Size != 0 || got.Checksum != "" || got.Project != "demo" || got.Visibility != image.Shared ||
			got.Name != "täst" || got.MinDisk != 3 || got.MinRAM != 4 || !got.Protected || !got.Hidden ||
			!slices.Equal(got.Tags, []string{"a", "b"}) || got.Properties["os_type"] != "linux" || !got.CreatedAt.Equal(made.CreatedAt) {
			t := w.t
			t.Errorf("got %+v", got)
		}
		_, err := w.Create(w.t.Context(), demo, image.Image{ID: made.ID})
		w.is(err, fault.Conflict, "already exists")
		_, err = w.Create(w.t.Context(), demo, image.Image{ID: "../../etc/passwd"})
		w.is(err, fault.Invalid, "id")
		_, err = w.Create(w.t.Context(), demo, image.Image{Project: "other"})
		w.is(err, fault.Forbidden, "owned by")
		_, err = w.Create(w.t.Context(), demo, image.Image{Visibility: image.Public})
		w.is(err, fault.Forbidden, "publicize")
		_, err = w.Create(w.t.Context(), demo, image.Image{DiskFormat: "floppy"})
		w.is(err, fault.Invalid, "floppy")
		_, err = w.Create(w.t.Context(), demo, image.Image{MinDisk: -1})
		w.is(err, fault.Invalid, "min_disk")
	})
}

// TestWhoSeesWhat is the table of Glance's visibility rules.
func TestWhoSeesWhat(t *testing.T) {
	each(t, func(w *world) {
		ids := map[image.Visibility]string{}
		for _, v := range image.Visibilities {
			ids[v] = w.create(admin, image.Image{Name: string(v), Project: "demo", Visibility: v}).ID
		}
		_, err := w.AddMember(w.t.Context(), demo, ids[image.Shared], "other")
		w.must(err)
		stranger := image.Caller{Project: "stranger"}
		for _, row := range []struct {
			who  image.Caller
			by   string
			gets []image.Visibility
			list []string
		}{
			{demo, "the owner", image.Visibilities, []string{"community", "private", "public", "shared"}},
			{admin, "an admin", image.Visibilities, []string{"private", "public", "shared"}},
			{other, "a member that did not answer", []image.Visibility{image.Community, image.Public, image.Shared}, []string{"public"}},
			{stranger, "a stranger", []image.Visibility{image.Community, image.Public}, []string{"public"}},
			{image.Caller{}, "a caller without project", []image.Visibility{image.Community, image.Public}, []string{"public"}},
		} {
			for _, v := range image.Visibilities {
				_, err := w.Get(w.t.Context(), row.who, ids[v])
				if seen := err == nil; seen != slices.Contains(row.gets, v) || (err != nil && !fault.Is(err, fault.NotFound)) {
					w.t.Errorf("%s gets the %s image: %v", row.by, v, err)
				}
			}
			got := w.names(row.who, image.Filter{}, image.Page{Sort: []image.Sort{{Key: "name"}}})
			if !slices.Equal(got, row.list) {
				w.t.Errorf("%s lists %v instead of %v", row.by, got, row.list)
			}
			if got := w.names(row.who, image.Filter{Visibility: image.Community}, image.Page{}); !slices.Equal(got, []string{"community"}) {
				w.t.Errorf("%s asks for community images: %v", row.by, got)
			}
		}
		if got := w.names(other, image.Filter{Visibility: image.Shared, MemberStatus: image.Pending}, image.Page{}); !slices.Equal(got, []string{"shared"}) {
			w.t.Errorf("pending: %v", got)
		}
		_, err = w.SetMember(w.t.Context(), demo, ids[image.Shared], "other", image.Accepted)
		w.is(err, fault.Forbidden, "not permitted")
		_, err = w.SetMember(w.t.Context(), other, ids[image.Shared], "other", image.Accepted)
		w.must(err)
		if got := w.names(other, image.Filter{}, image.Page{Sort: []image.Sort{{Key: "name"}}}); !slices.Equal(got, []string{"public", "shared"}) {
			w.t.Errorf("accepted: %v", got)
		}
	})
}

func TestOnlyTheOwnerChanges(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.t.Context()
		public := w.active(admin, image.Image{Project: "demo", Visibility: image.Public}, []byte("data"))
		private := w.create(demo, image.Image{Visibility: image.Private})
		before := []image.Image{w.get(public.ID), w.get(private.ID)}
		for id, kind := range map[string]fault.Kind{public.ID: fault.Forbidden, private.ID: fault.NotFound} {
			for verb, err := range map[string]error{
				"update":     second(w.Update(ctx, other, id, func(i *image.Image) error { i.Name = "mine"; return nil })),
				"delete":     w.Delete(ctx, other, id),
				"upload":     w.Upload(ctx, other, id, bytes.NewReader([]byte("x")), image.Expect{}),
				"stage":      w.Stage(ctx, other, id, bytes.NewReader([]byte("x"))),
				"import":     w.Import(ctx, other, id, "req-test"),
				"deactivate": w.Deactivate(ctx, other, id),
				"reactivate": w.Reactivate(ctx, other, id),
				"add member": second(w.AddMember(ctx, other, id, "other")),
			} {
				if !fault.Is(err, kind) {
					w.t.Errorf("%s: %v", verb, err)
				}
			}
		}
		for i, img := range before {
			if now := w.get(img.ID); now.Name != img.Name || now.Status != img.Status || !now.UpdatedAt.Equal(img.UpdatedAt) {
				w.t.Errorf("image %d changed: %+v", i, now)
			}
		}
		if _, err := w.download(other, private.ID); !fault.Is(err, fault.NotFound) {
			w.t.Errorf("download: %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestUpdateRules(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.t.Context()
		img := w.active(demo, image.Image{Name: "a"}, []byte("data"))
		w.clock.Step(time.Hour)
		got, err := w.Update(ctx, demo, img.ID, func(i *image.Image) error {
			i.Name, i.Properties["p"], i.Tags = "b", "q", append(i.Tags, "t")
			i.Status, i.Size, i.Checksum = image.Queued, 0, "" // not a tenant's to set
			return nil
		})
		w.must(err)
		if got.Name != "b" || got.Properties["p"] != "q" || got.Status != image.Active || got.Size != 4 || !got.UpdatedAt.After(img.UpdatedAt) {
			w.t.Errorf("got %+v", got)
		}
		_, err = w.Update(ctx, demo, img.ID, func(i *image.Image) error { i.DiskFormat = "qcow2"; return nil })
		w.is(err, fault.Forbidden, "queued")
		_, err = w.Update(ctx, demo, img.ID, func(i *image.Image) error { i.Project = "other"; return nil })
		w.is(err, fault.Forbidden, "owner")
		_, err = w.Update(ctx, demo, img.ID, func(i *image.Image) error { i.Visibility = image.Public; return nil })
		w.is(err, fault.Forbidden, "publicize")
		_, err = w.Update(ctx, admin, img.ID, func(i *image.Image) error { i.Visibility, i.Protected = image.Public, true; return nil })
		w.must(err)
		w.is(w.Delete(ctx, demo, img.ID), fault.Forbidden, "protected")
	})
}

func TestListFiltersSortsAndPages(t *testing.T) {
	each(t, func(w *world) {
		a := w.active(demo, image.Image{Name: "a", Tags: []string{"x", "y"}, Properties: map[string]string{"os": "linux"}}, random(10))
		w.active(demo, image.Image{Name: "b", Tags: []string{"x"}, MinDisk: 9}, random(20))
		w.create(demo, image.Image{Name: "c", DiskFormat: "qcow2", ContainerFormat: "bare", Protected: true})
		w.create(demo, image.Image{Name: "d", Hidden: true})
		yes, ten, nine := true, int64(15), int64(9)
		for i, row := range []struct {
			filter image.Filter
			want   []string
		}{
			{image.Filter{}, []string{"c", "b", "a"}},
			{image.Filter{Hidden: &yes}, []string{"d"}},
			{image.Filter{Names: []string{"a", "c"}}, []string{"c", "a"}},
			{image.Filter{Statuses: []string{"active"}}, []string{"b", "a"}},
			{image.Filter{DiskFormats: []string{"qcow2"}}, []string{"c"}},
			{image.Filter{Tags: []string{"x"}}, []string{"b", "a"}},
			{image.Filter{Tags: []string{"x", "y"}}, []string{"a"}},
			{image.Filter{Properties: map[string]string{"os": "linux"}}, []string{"a"}},
			{image.Filter{Properties: map[string]string{"os": "LINUX"}}, []string{}},
			{image.Filter{SizeMin: &ten}, []string{"b"}},
			{image.Filter{MinDisk: &nine}, []string{"b"}},
			{image.Filter{Protected: &yes}, []string{"c"}},
			{image.Filter{Checksum: a.Checksum}, []string{"a"}},
			{image.Filter{Hash: a.Hash}, []string{"a"}},
			{image.Filter{Owner: "nobody"}, []string{}},
			{image.Filter{Created: []image.TimeFilter{{Op: "gt", At: a.CreatedAt}}}, []string{"c", "b"}},
			{image.Filter{Created: []image.TimeFilter{{Op: "lte", At: a.CreatedAt}}}, []string{"a"}},
			{image.Filter{Created: []image.TimeFilter{{Op: "eq", At: a.CreatedAt}}}, []string{"a"}},
			{image.Filter{Created: []image.TimeFilter{{Op: "neq", At: a.CreatedAt}, {Op: "lt", At: a.CreatedAt.Add(time.Hour)}, {Op: "gte", At: a.CreatedAt}}}, []string{"c", "b"}},
		} {
			if got := w.names(demo, row.filter, image.Page{}); !slices.Equal(got, row.want) {
				w.t.Errorf("filter %d: %v instead of %v", i, got, row.want)
			}
		}
		for _, key := range []string{"name", "size", "status", "created_at", "protected", "visibility"} {
			for _, desc := range []bool{false, true} {
				sort := []image.Sort{{Key: key, Desc: desc}, {Key: "name"}}
				whole := w.names(demo, image.Filter{}, image.Page{Sort: sort})
				paged, marker := []string{}, ""
				for {
					images, err := w.List(w.t.Context(), demo, image.Filter{}, image.Page{Limit: 1, Marker: marker, Sort: sort})
					w.must(err)
					if len(images) == 0 {
						break
					}
					paged, marker = append(paged, images[0].Name), images[0].ID
				}
				if len(whole) != 3 || !slices.Equal(whole, paged) {
					w.t.Errorf("by %s desc=%v: %v at once, %v by pages", key, desc, whole, paged)
				}
			}
		}
		_, err := w.List(w.t.Context(), other, image.Filter{}, image.Page{Limit: 1, Marker: a.ID})
		w.is(err, fault.Invalid, "marker")
		_, err = w.List(w.t.Context(), demo, image.Filter{}, image.Page{Limit: 1, Sort: []image.Sort{{Key: "id; DROP TABLE image"}}})
		w.is(err, fault.Invalid, "sort_key")
	})
}

func TestMembers(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.t.Context()
		img := w.create(demo, image.Image{})
		_, err := w.Members(ctx, other, img.ID)
		w.is(err, fault.NotFound, img.ID)
		for _, project := range []string{"other", "third"} {
			_, err := w.AddMember(ctx, demo, img.ID, project)
			w.must(err)
		}
		_, err = w.AddMember(ctx, demo, img.ID, "other")
		w.is(err, fault.Conflict, "duplicated")
		all, err := w.Members(ctx, demo, img.ID)
		own, err2 := w.Members(ctx, other, img.ID)
		if err != nil || err2 != nil || len(all) != 2 || len(own) != 1 || own[0].Project != "other" || own[0].Status != image.Pending {
			w.t.Errorf("the owner sees %v (%v), the member %v (%v)", all, err, own, err2)
		}
		_, err = w.Member(ctx, other, img.ID, "third")
		w.is(err, fault.NotFound, "third")
		_, err = w.SetMember(ctx, other, img.ID, "other", "maybe")
		w.is(err, fault.Invalid, "pending")
		w.is(w.RemoveMember(ctx, other, img.ID, "third"), fault.Forbidden, "not permitted")
		w.must(w.RemoveMember(ctx, demo, img.ID, "other"))
		w.is(w.RemoveMember(ctx, demo, img.ID, "other"), fault.NotFound, "other")
		_, err = w.Get(ctx, other, img.ID)
		w.is(err, fault.NotFound, img.ID)
	})
}

type noMore struct{ limit image.Usage }

func (q noMore) CheckImages(_ context.Context, _ db.Querier, _ string, wanted image.Usage) error {
	if wanted.Images > q.limit.Images || wanted.Bytes > q.limit.Bytes {
		return fault.New(fault.Quota, "The quota is used up.")
	}
	return nil
}

func TestQuota(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d, image.Config{Quota: noMore{image.Usage{Images: 2, Bytes: 15}}})
		w.active(demo, image.Image{}, random(10))
		second := w.create(demo, image.Image{})
		_, err := w.Create(t.Context(), demo, image.Image{})
		w.is(err, fault.Quota, "used up")
		w.create(other, image.Image{})
		w.is(w.Upload(t.Context(), demo, second.ID, bytes.NewReader(random(6)), image.Expect{}), fault.Quota, "used up")
		if img := w.get(second.ID); img.Status != image.Queued || len(w.keys()) != 2 {
			t.Errorf("got %+v and %v", img, w.keys())
		}
		w.must(w.Upload(t.Context(), demo, second.ID, bytes.NewReader(random(5)), image.Expect{}))
	})
}

// TestTextThatNoEngineTakes is about the client's mistakes that PostgreSQL reports as its own errors.
func TestTextThatNoEngineTakes(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.t.Context()
		img := w.create(demo, image.Image{})
		for _, bad := range []string{"a\x00b", "a\xffb"} {
			for i, made := range []image.Image{
				{Name: bad}, {Tags: []string{bad}}, {Properties: map[string]string{bad: "x"}}, {Properties: map[string]string{"x": bad}},
			} {
				if _, err := w.Create(ctx, demo, made); !fault.Is(err, fault.Invalid) {
					w.t.Errorf("create %d: %v", i, err)
				}
			}
			for i, f := range []image.Filter{
				{Names: []string{bad}}, {Tags: []string{bad}}, {Properties: map[string]string{bad: "x"}}, {Owner: bad},
			} {
				if _, err := w.List(ctx, demo, f, image.Page{Limit: 1}); !fault.Is(err, fault.Invalid) {
					w.t.Errorf("list %d: %v", i, err)
				}
			}
			_, err := w.Get(ctx, admin, bad)
			w.is(err, fault.NotFound, "No image")
			_, err = w.List(ctx, demo, image.Filter{}, image.Page{Limit: 1, Marker: bad})
			w.is(err, fault.Invalid, "marker")
			_, err = w.AddMember(ctx, demo, img.ID, bad)
			w.is(err, fault.Invalid, "member")
			_, err = w.Member(ctx, demo, img.ID, bad)
			w.is(err, fault.NotFound, "member list")
		}
		_, err := w.Create(ctx, image.Caller{Admin: true}, image.Image{})
		w.is(err, fault.Invalid, "owner")
	})
}
