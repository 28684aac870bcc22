package image

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Config is what a Service needs. DB and Blobs are required.
type Config struct {
	DB    *db.DB
	Blobs Blobs
	Clock clock.Clock  // nil: the real one
	Log   *slog.Logger // nil: slog.Default()
	Quota Quota        // nil: none

	SpoolDir       string        // where uploads wait for their check, as large as the largest of them; empty: the system's
	MaxSize        int64         // bytes of an upload; 0: 256 GiB
	MaxVirtualSize int64         // bytes of a disk; 0: 4 TiB
	Conversions    int           // how many run at once, further ones wait; 0: 2
	Lease          time.Duration // how long a process that died keeps an image from recovery; 0: one minute
	StagedFor      time.Duration // how long a staged file waits for its import; 0: one day
}

// Service is the package's door.
type Service struct {
	Config
	converting chan struct{} // a slot per conversion

	imports sync.WaitGroup
	ctx     context.Context // of imports, which outlive their request
	stop    context.CancelCauseFunc
}

// New makes a service. Close ends it.
func New(config Config) *Service {
	if config.Clock == nil {
		config.Clock = clock.Real{}
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	or(&config.MaxSize, 256<<30)
	or(&config.MaxVirtualSize, 4<<40)
	or(&config.Conversions, 2)
	or(&config.Lease, time.Minute)
	or(&config.StagedFor, 24*time.Hour)
	s := &Service{Config: config, converting: make(chan struct{}, config.Conversions)}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	return s
}

func or[T comparable](field *T, otherwise T) {
	var zero T
	if *field == zero {
		*field = otherwise
	}
}

// Close breaks running imports off, which puts their images back to queued, and waits for them.
func (s *Service) Close() {
	s.stop(errStopped)
	s.imports.Wait()
}

// Create makes an image without data. Of img count the fields that a tenant can set, ID (drawn when empty) and Project
// (the caller's when empty; only admins may name another).
func (s *Service) Create(ctx context.Context, c Caller, img Image) (Image, error) {
	if img.ID == "" {
		img.ID = uuid.NewString()
	} else if _, err := uuid.Parse(img.ID); err != nil || len(img.ID) != 36 {
		return Image{}, fault.New(fault.Invalid, "Invalid image id format")
	}
	if img.Project == "" {
		img.Project = c.Project
	}
	if img.Project != c.Project && !c.Admin {
		return Image{}, fault.New(fault.Forbidden, "You are not permitted to create images owned by '%s'", img.Project)
	}
	if img.Visibility == "" {
		img.Visibility = Shared
	}
	if err := img.validate(); err != nil {
		return Image{}, err
	}
	if err := c.mayPublish("", img.Visibility); err != nil {
		return Image{}, err
	}
	img.Status, img.CreatedAt = Queued, s.Clock.Now()
	img.UpdatedAt = img.CreatedAt
	img.Size, img.VirtualSize, img.Checksum, img.Hash, img.Failure = 0, 0, "", "", ""
	err := s.DB.Tx(ctx, func(tx *db.Tx) error {
		if err := s.checkQuota(ctx, tx, img.Project, Usage{Images: 1}); err != nil {
			return err
		}
		return insert(ctx, tx, &record{Image: img})
	})
	return img, err
}

// checkQuota asks whether the project may have so much more.
func (s *Service) checkQuota(ctx context.Context, q db.Querier, project string, more Usage) error {
	if s.Quota == nil {
		return nil
	}
	has, err := usage(ctx, q, project)
	if err != nil {
		return err
	}
	return s.Quota.CheckImages(ctx, q, project, Usage{has.Images + more.Images, has.Bytes + more.Bytes})
}

// Get finds an image that the caller may see.
func (s *Service) Get(ctx context.Context, c Caller, id string) (Image, error) {
	r, err := loadFor(ctx, s.DB, c, id)
	return r.Image, err
}

// List gives a page of the images that the filter wants and the caller may see.
func (s *Service) List(ctx context.Context, c Caller, f Filter, p Page) ([]Image, error) {
	records, err := list(ctx, s.DB, c, f, p)
	if err != nil {
		return nil, err
	}
	images := make([]Image, len(records))
	for i := range records {
		images[i] = records[i].Image
	}
	return images, nil
}

// Update lets edit change a copy of the image and stores what a tenant can set. Edit may be called more than once. Its
// error is Update's.
func (s *Service) Update(ctx context.Context, c Caller, id string, edit func(*Image) error) (Image, error) {
	var r record
	err := s.DB.Tx(ctx, func(tx *db.Tx) (err error) {
		if r, err = loadFor(ctx, tx, c, id); err != nil {
			return err
		}
		if err := c.mayChange(&r.Image); err != nil {
			return err
		}
		wanted := r.Image
		wanted.Tags, wanted.Properties = slices.Clone(r.Tags), maps.Clone(r.Properties)
		if wanted.Properties == nil {
			wanted.Properties = map[string]string{}
		}
		if err := edit(&wanted); err != nil {
			return err
		}
		if err := wanted.validate(); err != nil {
			return err
		}
		if err := mayBecome(c, &r.Image, &wanted); err != nil {
			return err
		}
		r.Project, r.Name, r.Visibility, r.Protected, r.Hidden = wanted.Project, wanted.Name, wanted.Visibility, wanted.Protected, wanted.Hidden
		r.DiskFormat, r.ContainerFormat, r.MinDisk, r.MinRAM = wanted.DiskFormat, wanted.ContainerFormat, wanted.MinDisk, wanted.MinRAM
		r.Tags, r.Properties, r.UpdatedAt = wanted.Tags, wanted.Properties, s.Clock.Now()
		return update(ctx, tx, &r)
	})
	return r.Image, err
}

func mayBecome(c Caller, before, after *Image) error {
	if err := c.mayPublish(before.Visibility, after.Visibility); err != nil {
		return err
	}
	if after.Project != before.Project && !c.Admin {
		return fault.New(fault.Forbidden, "Attribute 'owner' is read-only.")
	}
	// Data were checked against the format, so the format stays with the data.
	if (after.DiskFormat != before.DiskFormat || after.ContainerFormat != before.ContainerFormat) && before.Status != Queued {
		return fault.New(fault.Forbidden, "Attribute disk_format and container_format can be only replaced for a queued image.")
	}
	return nil
}

// Deactivate keeps an image's data from everybody but admins; Reactivate gives it back.
func (s *Service) Deactivate(ctx context.Context, c Caller, id string) error {
	return s.step(ctx, c, id, deactivate)
}

// Reactivate undoes Deactivate.
func (s *Service) Reactivate(ctx context.Context, c Caller, id string) error {
	return s.step(ctx, c, id, reactivate)
}

func (s *Service) step(ctx context.Context, c Caller, id string, on event) error {
	return s.DB.Tx(ctx, func(tx *db.Tx) error {
		r, err := loadFor(ctx, tx, c, id)
		if err != nil {
			return err
		}
		if err := c.mayChange(&r.Image); err != nil {
			return err
		}
		if r.Status, err = r.Status.after(on); err != nil {
			return fault.New(fault.Forbidden, "Not allowed to %s an image in status '%s'", on, r.Status)
		}
		r.UpdatedAt = s.Clock.Now()
		return update(ctx, tx, &r)
	})
}
