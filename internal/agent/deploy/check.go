package deploy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/deployimage"
)

// maxStored is the largest that a full extent may be in the blob: zstd's bound for data it cannot compress.
const maxStored = deployimage.ExtentSize + deployimage.ExtentSize>>8 + 4096

// Fetch gives the image's checked manifest. It asks again, for as long as patience lasts, when the network fails.
func Fetch(ctx context.Context, images Images, image string, patience time.Duration) (deployimage.Manifest, error) {
	var m deployimage.Manifest
	err := persist(ctx, patience, firstPause, func() (bool, error) {
		var err error
		m, err = images.Manifest(ctx, image)
		return false, err
	})
	if err != nil {
		return m, err
	}
	if err := check(m); err != nil {
		return m, failure.Wrap(err, agentapi.FaultRequest, "The image's manifest is wrong: %v.", err)
	}
	return m, nil
}

// check refuses a manifest that could not have come from our own converter, before anything is allocated or written by
// its numbers.
func check(m deployimage.Manifest) error {
	switch {
	case m.Version != deployimage.Version:
		return fmt.Errorf("its version is %d, and this agent knows %d", m.Version, deployimage.Version)
	case m.VirtualSize <= 0:
		return fmt.Errorf("its virtual size is %d", m.VirtualSize)
	case m.BlobSize < 0:
		return fmt.Errorf("its blob has %d bytes", m.BlobSize)
	}
	var end, data int64
	for i, e := range m.Extents {
		if err := checkExtent(m, e, end); err != nil {
			return fmt.Errorf("extent %d %w", i, err)
		}
		end = e.Offset + e.Length
		data += e.Length
	}
	if data != m.DataSize {
		return fmt.Errorf("its extents have %d bytes of data, and it says %d", data, m.DataSize)
	}
	return nil
}

func checkExtent(m deployimage.Manifest, e deployimage.Extent, previousEnd int64) error {
	sum, err := hex.DecodeString(e.SHA256)
	switch {
	case e.Offset < previousEnd:
		return fmt.Errorf("at %d begins before the end of the one before it", e.Offset)
	case e.Offset%deployimage.ExtentSize != 0:
		return fmt.Errorf("at %d is not aligned", e.Offset)
	case e.Offset >= m.VirtualSize || e.Length > m.VirtualSize-e.Offset:
		return fmt.Errorf("at %d reaches past the virtual size", e.Offset)
	case e.Length != min(deployimage.ExtentSize, m.VirtualSize-e.Offset):
		return fmt.Errorf("at %d has %d bytes", e.Offset, e.Length)
	case e.Size <= 0 || e.Size > maxStored:
		return fmt.Errorf("has %d bytes in the blob", e.Size)
	case e.Start < 0 || e.Start > m.BlobSize-e.Size:
		return fmt.Errorf("reaches past the blob")
	case e.Raw && e.Size != e.Length:
		return fmt.Errorf("is stored as it is, but its sizes differ")
	case err != nil || len(sum) != 32:
		return fmt.Errorf("has no SHA-256")
	}
	return nil
}

// firstPause after a failed request; the next ones double up to lastPause.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 5 * time.Second
)

// persist calls try until it succeeds, fails with a blame, or has not come forward for as long as patience lasts.
// try says whether it came forward.
func persist(ctx context.Context, patience, pause time.Duration, try func() (forward bool, err error)) error {
	wait, since := pause, time.Now()
	for {
		forward, err := try()
		var blamed *failure.Error
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &blamed):
			return err
		case forward:
			wait, since = pause, time.Now()
		case time.Since(since) > patience:
			return failure.Wrap(err, agentapi.FaultRetry, "The image could not be fetched from the control plane.")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait/2 + rand.N(wait)):
		}
		wait = min(2*wait, lastPause)
	}
}
