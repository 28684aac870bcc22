package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
)

// reportEvery bounds the rate of progress reports: two a second are a smooth bar.
const reportEvery = 500 * time.Millisecond

// take deals with one delivery: it runs a new command, answers a known one again, refuses one of an older epoch.
func (a *Agent) take(ctx context.Context, c agentapi.Command) {
	a.mu.Lock()
	known, isKnown := a.finished[c.ID]
	current := a.current
	outdated := c.Epoch < a.epoch
	seen := a.epoch
	a.epoch = max(a.epoch, c.Epoch)
	a.mu.Unlock()

	switch {
	case isKnown:
		a.deliver(ctx, known)
	case current != nil && current.command.ID == c.ID:
		// Already at it. The control plane will hand it out again at once, so wait a little.
		waitFor(ctx, current.done, a.Heartbeat)
	case outdated:
		a.Log.Warn("refused an order of an older epoch", "command", c.ID, "epoch", c.Epoch, "seen", seen)
		err := failure.New(agentapi.FaultRequest, "The order is of epoch %d, and the machine has seen %d: it is outdated.", c.Epoch, seen)
		a.deliver(ctx, conclude(c, nil, err))
	case c.Kind == agentapi.KindLog:
		a.deliver(ctx, conclude(c, a.LogText(), nil)) // beside a running command: that is when one wants it
	default:
		if current != nil && current.command.Epoch < c.Epoch {
			a.stop(errFenced)
		} else if current != nil {
			waitFor(ctx, current.done, 0)
		}
		if ctx.Err() == nil {
			a.start(ctx, c)
		}
	}
}

// waitFor returns when done is closed, ctx ends, or after the time; 0 is no limit.
func waitFor(ctx context.Context, done <-chan struct{}, limit time.Duration) {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (a *Agent) start(ctx context.Context, c agentapi.Command) {
	runCtx, cancel := context.WithCancelCause(ctx)
	r := &run{command: c, cancel: cancel, done: make(chan struct{})}
	a.mu.Lock()
	a.current = r
	a.mu.Unlock()
	a.Status(fmt.Sprintf("%s (machine %s)", describe(c.Kind), a.UUID))
	a.Log.Info("command started", "command", c.ID, "kind", c.Kind, "epoch", c.Epoch)
	go a.execute(ctx, runCtx, r)
}

func describe(kind agentapi.Kind) string {
	switch kind {
	case agentapi.KindInspect:
		return "inspecting the hardware"
	case agentapi.KindErase:
		return "erasing the disks"
	case agentapi.KindDeploy:
		return "deploying an image"
	case agentapi.KindBoot:
		return "starting what is on the disk"
	case agentapi.KindRescue:
		return "preparing the rescue system"
	}
	return "working: " + string(kind)
}

// execute runs one command to its end and reports it. The result is remembered before it is sent, so that no failure
// on the way makes the command run again. The jump of a boot or rescue comes last: after it there is nobody to report.
func (a *Agent) execute(ctx, runCtx context.Context, r *run) {
	began := time.Now()
	progress, stopReports := a.watch(runCtx, r)
	result, jump, err := a.perform(runCtx, r.command, progress)
	stopReports()
	unwanted := context.Cause(runCtx)
	if unwanted != nil {
		err = failure.Wrap(unwanted, agentapi.FaultRetry, "The command was stopped.")
	}
	r.cancel(nil)
	report := conclude(r.command, result, err)
	if err != nil {
		a.Log.Error("command failed", "command", r.command.ID, "kind", r.command.Kind, "fault", report.Fault, "error", err)
	} else {
		a.Log.Info("command done", "command", r.command.ID, "kind", r.command.Kind, "seconds", time.Since(began).Seconds())
	}
	a.remember(report)
	taken := unwanted == nil && a.deliver(ctx, report)
	if taken && jump != nil && err == nil {
		a.Status("leaving for " + map[agentapi.Kind]string{agentapi.KindBoot: "the system on the disk", agentapi.KindRescue: "the rescue system"}[r.command.Kind])
		if err := jump(); err != nil {
			a.Log.Error("leaving failed", "error", err)
		}
	}
	a.mu.Lock()
	a.current = nil
	a.mu.Unlock()
	close(r.done)
}

// perform calls the hardware. A panic there is this command's failure, not the agent's end.
func (a *Agent) perform(ctx context.Context, c agentapi.Command, progress Progress) (result any, jump func() error, err error) {
	defer func() {
		if p := recover(); p != nil {
			a.Log.Error("panic", "command", c.ID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	switch c.Kind {
	case agentapi.KindInspect:
		result, err = a.Hardware.Inspect(ctx, progress)
	case agentapi.KindErase:
		if c.Erase == nil {
			return nil, nil, incomplete(c)
		}
		result, err = a.Hardware.Erase(ctx, *c.Erase, progress)
	case agentapi.KindDeploy:
		if c.Deploy == nil {
			return nil, nil, incomplete(c)
		}
		result, err = a.Hardware.Deploy(ctx, *c.Deploy, a.client, progress)
	case agentapi.KindBoot:
		if c.Boot == nil {
			return nil, nil, incomplete(c)
		}
		result, jump, err = a.Hardware.Boot(ctx, *c.Boot)
	case agentapi.KindRescue:
		if c.Rescue == nil {
			return nil, nil, incomplete(c)
		}
		jump, err = a.Hardware.Rescue(ctx, *c.Rescue)
	case agentapi.KindRelease: // what ran before is gone already: see take
	default:
		err = failure.New(agentapi.FaultRequest, "This agent (%s) does not know the command %q.", a.Version, c.Kind)
	}
	return result, jump, err
}

func incomplete(c agentapi.Command) error {
	return failure.New(agentapi.FaultRequest, "The %s command has no %s order in it.", c.Kind, c.Kind)
}

// conclude makes the last report of a command.
func conclude(c agentapi.Command, result any, err error) agentapi.Report {
	report := agentapi.Report{Command: c.ID, State: agentapi.Done}
	if err == nil && result != nil {
		report.Result, err = json.Marshal(result)
	}
	if err != nil {
		report.State = agentapi.Failed
		report.Fault, report.Error = failure.Of(err)
	}
	return report
}

func (a *Agent) remember(report agentapi.Report) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.finished[report.Command] = report
	a.order = append(a.order, report.Command)
	if len(a.order) > remembered {
		delete(a.finished, a.order[0])
		a.order = a.order[1:]
	}
}

// deliver repeats a last report until it is taken (true), no longer wanted (409, false) or ctx ends (false).
func (a *Agent) deliver(ctx context.Context, report agentapi.Report) bool {
	retry := a.newRetry()
	for ctx.Err() == nil {
		err := a.client.report(ctx, report)
		if err == nil {
			return true
		}
		if hasStatus(err, http.StatusConflict) {
			a.Log.Info("the control plane no longer wants this report", "command", report.Command)
			return false
		}
		a.Log.Warn("reporting failed, trying again", "command", report.Command, "error", err)
		retry.pause(ctx)
	}
	return false
}

// watch reports a command as running: at once, on progress at most every reportEvery, and every Heartbeat. A 409
// cancels the command. The returned stop waits until no report is under way, so that the last one comes last.
func (a *Agent) watch(ctx context.Context, r *run) (progress Progress, stop func()) {
	var mu sync.Mutex
	var latest *agentapi.Progress
	progress = func(p agentapi.Progress) {
		mu.Lock()
		defer mu.Unlock()
		latest = &p
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(reportEvery)
		defer ticker.Stop()
		var sent *agentapi.Progress
		var sentAt time.Time
		for {
			mu.Lock()
			now := latest
			mu.Unlock()
			if now != sent || time.Since(sentAt) >= a.Heartbeat {
				err := a.client.report(ctx, agentapi.Report{Command: r.command.ID, State: agentapi.Running, Progress: now})
				switch {
				case hasStatus(err, http.StatusConflict):
					r.cancel(errNotOurs)
					return
				case err != nil && !errors.Is(err, context.Canceled):
					a.Log.Warn("reporting progress failed", "command", r.command.ID, "error", err)
				}
				sent, sentAt = now, time.Now()
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return progress, func() { cancel(); <-done }
}
