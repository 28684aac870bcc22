package image

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"

	"github.com/ingotcloud/ingot/internal/deployimage"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Download gives an image's data as they were uploaded. The caller closes it; ctx holds until then.
func (s *Service) Download(ctx context.Context, c Caller, id string) (Image, io.ReadSeekCloser, error) {
	r, err := loadFor(ctx, s.DB, c, id)
	if err != nil {
		return Image{}, nil, err
	}
	switch {
	case r.Status == Deactivated && !c.Admin:
		return r.Image, nil, fault.New(fault.Forbidden, "The requested image has been deactivated. Image data download is forbidden.")
	case !r.Status.HasData():
		return r.Image, nil, fault.New(fault.NotFound, "Image %s has no data.", id)
	case keepsOriginal(r.DiskFormat):
		blob, err := s.Blobs.Open(ctx, r.blobs+originalBlob)
		if err != nil {
			return r.Image, nil, storeFault(err)
		}
		return r.Image, blob, nil
	}
	manifest, err := s.manifest(ctx, r.blobs, r.manifest)
	if err != nil {
		return r.Image, nil, err
	}
	blob, err := s.Blobs.Open(ctx, r.blobs+deployBlob)
	if err != nil {
		return r.Image, nil, storeFault(err)
	}
	disk, err := deployimage.Open(manifest, blob)
	if err != nil {
		return r.Image, nil, errors.Join(err, blob.Close())
	}
	return r.Image, section{io.NewSectionReader(disk, 0, disk.Size()), blob}, nil
}

type section struct {
	*io.SectionReader
	io.Closer
}

// DeployManifest is the manifest of an image's deploy image: of one that has data, or had when a holder took it.
func (s *Service) DeployManifest(ctx context.Context, id string) (deployimage.Manifest, error) {
	blobs, sum, err := s.data(ctx, id)
	if err != nil {
		return deployimage.Manifest{}, err
	}
	return s.manifest(ctx, blobs, sum)
}

// OpenBlob opens the blob of an image's deploy image, as DeployManifest finds it. ctx holds for as long as it is open.
func (s *Service) OpenBlob(ctx context.Context, id string) (Blob, error) {
	blobs, _, err := s.data(ctx, id)
	if err != nil {
		return nil, err
	}
	blob, err := s.Blobs.Open(ctx, blobs+deployBlob)
	return blob, storeFault(err)
}

// data finds the blobs of an image, deleted or not.
func (s *Service) data(ctx context.Context, id string) (blobs, manifest string, err error) {
	err = s.DB.QueryRowContext(ctx, `SELECT blobs, manifest_sha256 FROM image WHERE id = $1 AND status IN ($2, $3)
		UNION SELECT blobs, manifest_sha256 FROM image_hold WHERE image = $1`, id, Active, Deactivated).Scan(&blobs, &manifest)
	if errors.Is(err, sql.ErrNoRows) {
		err = notFound(id)
	}
	return blobs, manifest, err
}

func (s *Service) manifest(ctx context.Context, blobs, sum string) (m deployimage.Manifest, err error) {
	blob, err := s.Blobs.Open(ctx, blobs+manifestBlob)
	if err != nil {
		return m, storeFault(err)
	}
	defer func() { err = errors.Join(err, blob.Close()) }()
	text, err := io.ReadAll(blob)
	if err != nil {
		return m, storeFault(err)
	}
	if found := sha256.Sum256(text); hex.EncodeToString(found[:]) != sum {
		return m, fault.New(fault.Internal, "The stored manifest of the image is damaged.")
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, err
	}
	return m, m.Validate()
}

func ignoreNotFound(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
