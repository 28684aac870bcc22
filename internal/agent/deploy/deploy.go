package deploy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ingotcloud/ingot/internal/agent/disk"
	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/deployimage"
)

// Images is where images come from; see agent.Images for the contract.
type Images interface {
	Manifest(ctx context.Context, image string) (deployimage.Manifest, error)
	Range(ctx context.Context, image string, start, length int64) (body io.ReadCloser, total int64, err error)
}

// DefaultPatience outlasts a restart of the control plane.
const DefaultPatience = 10 * time.Minute

// Job is one deployment. What has a default may stay zero; Log and Progress too.
type Job struct {
	Image       string
	Manifest    deployimage.Manifest // checked: see Fetch
	Images      Images
	ConfigDrive []byte // an ISO 9660 image; empty: none
	Disk        *disk.Disk
	Log         *slog.Logger
	Progress    func(agentapi.Progress)
	Patience    time.Duration // without one byte from the control plane; 0: 10 min
	Pause       time.Duration // after a first failed request, doubling; 0: 250 ms
	Writers     int           // extents decoded and written at once, each with a buffer of its own; 0: 8
}

// Run deploys and gives what it did; the result's Disk is the caller's to name.
func (j Job) Run(ctx context.Context) (agentapi.DeployResult, error) {
	var result agentapi.DeployResult
	start := time.Now()
	j.defaults()
	if need := Need(j.Manifest, j.ConfigDrive); need > j.Disk.Size {
		return result, tooSmall(need, j.Disk.Size)
	}
	for _, step := range []struct {
		sentence string
		total    int64
		body     func(context.Context, *agentapi.DeployResult, func(int64)) error
	}{
		{"Emptying the disk", j.Disk.Size, j.empty},
		{"Writing the image", j.Manifest.DataSize, j.write},
		{"Reading the image back", sampleSize(j.sample()), j.verify},
		{"Writing the config drive", int64(len(j.ConfigDrive)), j.finishTable},
	} {
		began := time.Now()
		if err := step.body(ctx, &result, j.meter(step.sentence, step.total)); err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return result, blameDisk(err, step.sentence)
		}
		j.Log.Info(step.sentence, "bytes", step.total, "seconds", time.Since(began).Seconds())
	}
	result.Seconds = time.Since(start).Seconds()
	j.Log.Info("deployed the image", "seconds", result.Seconds, "peak_kib", peakMemory())
	return result, nil
}

// peakMemory is the most memory that this program has held so far, in KiB; 0 when the kernel does not tell.
func peakMemory() int64 {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return usage.Maxrss
}

func (j *Job) defaults() {
	if j.Patience == 0 {
		j.Patience = DefaultPatience
	}
	if j.Pause == 0 {
		j.Pause = firstPause
	}
	if j.Writers == 0 {
		j.Writers = 8
	}
	if j.Progress == nil {
		j.Progress = func(agentapi.Progress) {}
	}
	if j.Log == nil {
		j.Log = slog.New(slog.DiscardHandler)
	}
}

// blameDisk makes the machine answer for what nobody else was blamed for: what is left are calls on its disk.
func blameDisk(err error, step string) error {
	var f *failure.Error
	if errors.As(err, &f) || errors.Is(err, context.Canceled) {
		return err
	}
	return failure.Wrap(err, agentapi.FaultMachine, "%s: the disk failed.", step)
}

func tooSmall(need, has int64) error {
	return failure.New(agentapi.FaultTooSmall, "The image and its config drive need a disk of %d MiB, and this one has %d MiB.", need>>20, has>>20)
}
