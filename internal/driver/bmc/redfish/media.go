package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"github.com/ingotcloud/ingot/internal/driver/bmc/around"
	"github.com/ingotcloud/ingot/internal/fault"
)

// InsertMedia ejects what is in the drive and inserts the image at url, which the BMC fetches itself. Where the BMC
// makes a task of it, InsertMedia waits for the task's end, as long as the context allows; each exchange is a call of
// its own to the wrappers.
func (d *Driver) InsertMedia(ctx context.Context, url string) error {
	var task *schemas.TaskMonitorInfo
	err := d.withDrive(ctx, "InsertMedia", func(v *schemas.VirtualMedia) error {
		if err := eject(v); err != nil {
			return err
		}
		inserted, protected := true, true
		order := schemas.VirtualMediaInsertMediaParameters{Image: url, Inserted: &inserted, WriteProtected: &protected}
		var err error
		v.DisableEtagMatch(true) // ejecting has just changed the resource
		task, err = v.InsertMedia(&order)
		return err
	})
	if err != nil || task == nil {
		return err
	}
	return d.wait(ctx, "InsertMedia task", task)
}

// EjectMedia empties the drive; an empty drive is fine.
func (d *Driver) EjectMedia(ctx context.Context) error {
	return d.withDrive(ctx, "EjectMedia", eject)
}

// Media is the URL in the drive.
func (d *Driver) Media(ctx context.Context) (string, error) {
	url := ""
	err := d.withDrive(ctx, "Media", func(v *schemas.VirtualMedia) error {
		url = v.Image
		return nil
	})
	return url, err
}

func eject(v *schemas.VirtualMedia) error {
	if v.Image == "" && (v.Inserted == nil || !*v.Inserted) {
		return nil
	}
	_, err := v.EjectMedia()
	return err
}

// withDrive runs f on the BMC's virtual CD drive: under the Manager, where most have it, or under the System, where
// newer schemas put it.
func (d *Driver) withDrive(ctx context.Context, op string, f func(v *schemas.VirtualMedia) error) error {
	return d.withSystem(ctx, op, func(_ context.Context, c *gofish.APIClient, s *schemas.ComputerSystem) error {
		managers, err := managersOf(c, s)
		if err != nil {
			return err
		}
		var drives []*schemas.VirtualMedia
		for _, m := range managers {
			found, err := m.VirtualMedia()
			if err != nil {
				return err
			}
			drives = append(drives, found...)
		}
		found, err := s.VirtualMedia()
		if err != nil {
			return err
		}
		drives = append(drives, found...)
		for _, kind := range []schemas.VirtualMediaType{schemas.CDVirtualMediaType, schemas.DVDVirtualMediaType} {
			for _, v := range drives {
				if slices.Contains(v.MediaTypes, kind) {
					return f(v)
				}
			}
		}
		return fault.New(fault.Unsupported, "The BMC has no virtual CD drive.")
	})
}

// managersOf are the system's own managers; a service that does not link them is asked for all.
func managersOf(c *gofish.APIClient, s *schemas.ComputerSystem) ([]*schemas.Manager, error) {
	managers, err := s.ManagedBy()
	if err != nil || len(managers) > 0 {
		return managers, err
	}
	return c.Service.Managers()
}

// The pauses between looks at a task, unless the BMC says otherwise by Retry-After.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 5 * time.Second
)

// wait looks at the task until it has ended.
func (d *Driver) wait(ctx context.Context, op string, task *schemas.TaskMonitorInfo) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		done := false
		err := d.run(ctx, op, func(_ context.Context, c *gofish.APIClient) (err error) {
			done, err = ended(c, task)
			return err
		})
		if err != nil || done {
			return err
		}
		if asked := time.Until(task.RetryAfter); asked > pause {
			pause = min(asked, longestPause)
		}
		if err := around.Sleep(ctx, pause); err != nil {
			return fault.Wrap(err, fault.Unavailable, "The BMC has not finished the task in time.")
		}
	}
}

// ended looks once. A task monitor answers 202 while the task runs, and then as the operation itself would have; some
// BMCs show the Task instead, and some give no monitor but only the Task.
func ended(c *gofish.APIClient, info *schemas.TaskMonitorInfo) (bool, error) {
	uri := info.TaskMonitor
	if uri == "" && info.Task != nil {
		uri = info.Task.ODataID
	}
	if uri == "" {
		return false, fault.New(fault.Unavailable, "The BMC took the order but does not say how it goes on.")
	}
	resp, err := c.Get(uri)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if at, err := schemas.ParseRetryAfter(resp.Header.Get("Retry-After")); err == nil {
		info.RetryAfter = at
	}
	var task schemas.Task
	if err := json.NewDecoder(resp.Body).Decode(&task); err != nil || task.TaskState == "" {
		if err != nil && !errors.Is(err, io.EOF) && resp.StatusCode == http.StatusAccepted {
			return false, err
		}
		return resp.StatusCode != http.StatusAccepted, nil // no task but the operation's own answer
	}
	switch task.TaskState {
	case schemas.CompletedTaskState:
		if task.TaskStatus == "" || task.TaskStatus == schemas.OKHealth {
			return true, nil
		}
	case schemas.ExceptionTaskState, schemas.KilledTaskState, schemas.CancelledTaskState, schemas.InterruptedTaskState:
	default:
		return false, nil
	}
	words := string(task.TaskState)
	for _, m := range task.Messages {
		if m.Message != "" {
			words = short(m.Message)
		}
	}
	return false, fault.New(fault.Invalid, "The BMC could not do it: %s", words)
}
