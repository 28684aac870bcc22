package deploy

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/deployimage"
)

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
	if err := m.Validate(); err != nil {
		return m, failure.Wrap(err, agentapi.FaultRequest, "The image's manifest is wrong: %v.", err)
	}
	return m, nil
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
