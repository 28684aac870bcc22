package instance

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/flavor"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/network"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// Service is the instances' domain.
type Service struct {
	db       *db.DB
	clock    clock.Clock
	log      *slog.Logger
	engine   *workflow.Engine
	machines *machine.Service
	networks *network.Service
	images   Images
}

// New makes the service and registers its flows.
func New(d *db.DB, c clock.Clock, log *slog.Logger, engine *workflow.Engine, machines *machine.Service, networks *network.Service, images Images) *Service {
	s := &Service{db: d, clock: c, log: log, engine: engine, machines: machines, networks: networks, images: images}
	workflow.Register(engine, s.DeployFlow())
	workflow.Register(engine, s.RebuildFlow())
	workflow.Register(engine, s.DeleteFlow())
	workflow.Register(engine, s.PowerFlow())
	workflow.Register(engine, s.RescueFlow())
	workflow.Register(engine, s.UnrescueFlow())
	return s
}

// By is who asks, and in which request.
type By struct {
	User, Project, Request string
}

// Spec is what a user asks for.
type Spec struct {
	Name, Description, Hostname string
	Flavor                      flavor.Flavor
	Image                       string
	KeyName, PublicKey          string
	UserData                    string // base64
	ConfigDrive                 bool
	Zone                        string
	Metadata                    map[string]string
	Tags                        []string
	AccessIPv4, AccessIPv6      string
	DiskConfig                  string // empty: MANUAL
	NICs                        []NIC
	AutoNetwork                 bool     // no NICs are named: the network that the project has, if it has one
	NeedsNetwork                bool     // … and it must have one
	SecurityGroups              []string // ids, of the ports that are made; nil: the project's default one
	Machine                     string   // id of the only one that will do; empty: any
	Group                       string
	Count                       int // 0 is 1
}

// Create makes instances and starts to deploy them: all of them or none.
func (s *Service) Create(ctx context.Context, by By, spec Spec) (made []*Instance, err error) {
	if _, err := base64.StdEncoding.DecodeString(spec.UserData); err != nil {
		return nil, fault.New(fault.Invalid, "User data needs to be valid base 64.")
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		made = nil
		count := max(spec.Count, 1)
		if err := s.zoneExists(ctx, tx, spec.Zone); err != nil {
			return err
		}
		if err := s.allow(ctx, tx, by.Project, Limits{"instances": count, "cores": count * spec.Flavor.VCPUs, "ram": count * spec.Flavor.RAM}); err != nil {
			return err
		}
		if spec.Group != "" {
			if err := s.join(ctx, tx, by.Project, spec.Group, count); err != nil {
				return err
			}
		}
		reservation, now := "r-"+strings.ToLower(rand.Text()[:8]), s.clock.Now()
		for index := range count {
			i := spec.instance(index)
			i.Project, i.Owner, i.Reservation, i.Created, i.Updated = by.Project, by.User, reservation, now, now
			if err := s.images.Hold(ctx, tx, i.Image, Resource(i.ID)); err != nil {
				return err
			}
			if err := s.plan(ctx, tx, i, spec); err != nil {
				return err
			}
			if err := s.insert(ctx, tx, i); err != nil {
				return err
			}
			run, err := s.engine.Start(ctx, tx, "server-create", Resource(i.ID), by.Request, deploy{Instance: i.ID, Only: spec.Machine})
			if err != nil {
				return err
			}
			if err := s.record(ctx, tx, i, by, "create", run); err != nil {
				return err
			}
			made = append(made, i)
		}
		return nil
	})
	return made, err
}

// instance is the index-th one of the spec, without what the request adds.
func (spec *Spec) instance(index int) *Instance {
	i := &Instance{
		ID: uuid.NewString(), Name: spec.Name, Description: spec.Description, Hostname: spec.Hostname, LaunchIndex: index,
		Flavor: spec.Flavor, Image: spec.Image, KeyName: spec.KeyName, PublicKey: spec.PublicKey, UserData: spec.UserData,
		ConfigDrive: spec.ConfigDrive, Zone: spec.Zone, Metadata: map[string]string{}, Tags: spec.Tags,
		AccessIPv4: spec.AccessIPv4, AccessIPv6: spec.AccessIPv6, Group: spec.Group, DiskConfig: cmp.Or(spec.DiskConfig, "MANUAL"),
		VMState: Building, TaskState: Scheduling, Power: machine.PowerUnknown,
	}
	maps.Copy(i.Metadata, spec.Metadata)
	if spec.Count > 1 {
		i.Name = fmt.Sprintf("%s-%d", spec.Name, index+1)
	}
	if i.Hostname == "" {
		i.Hostname = hostname(i.Name, i.ID)
	}
	return i
}

var (
	dashed        = regexp.MustCompile(`[ _.]`)
	notInHostname = regexp.MustCompile(`[^a-z0-9-]+`)
)

// hostname makes a DNS label out of a display name, as Nova does (nova/utils.py, sanitize_hostname).
func hostname(name, id string) string {
	h := notInHostname.ReplaceAllString(dashed.ReplaceAllString(strings.ToLower(name), "-"), "")
	if h = strings.Trim(h[:min(len(h), 63)], "-"); h == "" {
		return "server-" + id
	}
	return h
}

// Change edits an instance's own description: name, metadata, tags. Nothing long comes of it. The action is noted; an
// empty one is not.
func (s *Service) Change(ctx context.Context, v Viewer, id string, by By, action string, edit func(*Instance) error) (i *Instance, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if i, err = s.Get(ctx, tx, v, id); err != nil {
			return err
		}
		if err := edit(i); err != nil {
			return err
		}
		if action != "" {
			if err := s.record(ctx, tx, i, by, action, ""); err != nil {
				return err
			}
		}
		return s.save(ctx, tx, i)
	})
	return i, err
}

// Lock keeps an instance from being changed, by its owner's order or by an admin's.
func (s *Service) Lock(ctx context.Context, v Viewer, id string, by By, reason string) error {
	_, err := s.Change(ctx, v, id, by, "lock", func(i *Instance) error {
		if i.LockedBy == LockedByAdmin && !v.All {
			return nil // it stays the admin's
		}
		if i.LockedBy, i.LockReason = LockedByOwner, reason; v.All && i.Project != v.Project {
			i.LockedBy = LockedByAdmin
		}
		return nil
	})
	return err
}

// Unlock ends a lock; an admin's only an admin can end.
func (s *Service) Unlock(ctx context.Context, v Viewer, id string, by By) error {
	_, err := s.Change(ctx, v, id, by, "unlock", func(i *Instance) error {
		if i.LockedBy == LockedByAdmin && !v.All {
			return fault.New(fault.Forbidden, "Policy doesn't allow os_compute_api:os-lock-server:unlock:unlock_override to be performed.")
		}
		i.LockedBy, i.LockReason = NotLocked, ""
		return nil
	})
	return err
}

// ResetState declares an instance to be active or in error, whatever it was: the operator's last resort. Deleting is not
// interrupted by it.
func (s *Service) ResetState(ctx context.Context, id string, by By, to VMState) error {
	_, err := s.Change(ctx, Viewer{All: true}, id, by, "", func(i *Instance) error {
		if i.TaskState == DeletingIt {
			return fault.New(fault.Conflict, "Instance %s is being deleted; that goes on by itself.", i.ID)
		}
		i.VMState, i.TaskState = to, NoTask
		return nil
	})
	return err
}

// begin starts a flow on an instance that is in one of the states and has a machine, unless it is locked for the caller.
func (s *Service) begin(ctx context.Context, v Viewer, id string, by By, action, flow string, task TaskState, state any, from ...VMState) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		i, err := s.resting(ctx, tx, v, id, action, from...)
		if err != nil {
			return err
		}
		if i.Machine == "" {
			return errNoMachine
		}
		run, err := s.engine.Start(ctx, tx, flow, Resource(i.ID), by.Request, state)
		if err != nil {
			return err
		}
		i.TaskState = task
		if err := s.record(ctx, tx, i, by, action, run); err != nil {
			return err
		}
		return s.save(ctx, tx, i)
	})
}

// resting finds an instance that rests in one of the states and is not locked for the viewer; otherwise the action is a
// Conflict.
func (s *Service) resting(ctx context.Context, tx *db.Tx, v Viewer, id, action string, in ...VMState) (*Instance, error) {
	i, err := s.Get(ctx, tx, v, id)
	if err != nil {
		return nil, err
	}
	switch {
	case i.Unlocked(v) != nil:
		return nil, i.Unlocked(v)
	case i.TaskState != NoTask:
		return nil, fault.New(fault.Conflict, "Cannot '%s' instance %s while it is in task_state %s", action, i.ID, i.TaskState)
	case !slices.Contains(in, i.VMState):
		return nil, fault.New(fault.Conflict, "Cannot '%s' instance %s while it is in vm_state %s", action, i.ID, i.VMState)
	}
	return i, nil
}

// Unlocked fails when the instance is locked for the viewer.
func (i *Instance) Unlocked(v Viewer) error {
	if i.LockedBy != NotLocked && !v.All {
		return fault.New(fault.Conflict, "Instance %s is locked", i.ID)
	}
	return nil
}

// change applies an edit inside a flow's transaction.
func (s *Service) change(ctx context.Context, tx *db.Tx, id string, edit func(*Instance)) error {
	i, err := s.byID(ctx, tx, id)
	if err != nil {
		return err
	}
	edit(i)
	return s.save(ctx, tx, i)
}
