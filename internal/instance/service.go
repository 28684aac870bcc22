package instance

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"regexp"
	"strings"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/flavor"
	"github.com/ingotcloud/ingot/internal/machine"
	"github.com/ingotcloud/ingot/internal/workflow"
)

// Service is the instances' domain.
type Service struct {
	db       *db.DB
	clock    clock.Clock
	log      *slog.Logger
	engine   *workflow.Engine
	machines *machine.Service
	networks Networks
	images   Images
}

// New makes the service and registers its flows.
func New(d *db.DB, c clock.Clock, log *slog.Logger, engine *workflow.Engine, machines *machine.Service, networks Networks, images Images) *Service {
	s := &Service{db: d, clock: c, log: log, engine: engine, machines: machines, networks: networks, images: images}
	workflow.Register(engine, s.DeployFlow())
	workflow.Register(engine, s.DeleteFlow())
	workflow.Register(engine, s.PowerFlow())
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
	NICs                        []NIC
	Count                       int // 0 is 1
}

// Create makes instances and starts to deploy them: all of them or none.
func (s *Service) Create(ctx context.Context, by By, spec Spec) (made []*Instance, err error) {
	if _, err := base64.StdEncoding.DecodeString(spec.UserData); err != nil {
		return nil, fault.New(fault.Invalid, "User data needs to be valid base 64.")
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		made = nil
		reservation, now := "r-"+strings.ToLower(rand.Text()[:8]), s.clock.Now()
		for index := range max(spec.Count, 1) {
			i := &Instance{
				ID: uuid.NewString(), Project: by.Project, Owner: by.User, Name: spec.Name, Description: spec.Description,
				Reservation: reservation, LaunchIndex: index, Flavor: spec.Flavor, Image: spec.Image, KeyName: spec.KeyName,
				PublicKey: spec.PublicKey, UserData: spec.UserData, ConfigDrive: spec.ConfigDrive, Zone: spec.Zone,
				Metadata: spec.Metadata, Tags: spec.Tags, VMState: Building, TaskState: Scheduling, Power: machine.PowerUnknown,
				Created: now, Updated: now,
			}
			if spec.Count > 1 {
				i.Name = numbered(spec.Name, index)
			}
			if i.Hostname = spec.Hostname; i.Hostname == "" {
				i.Hostname = hostname(i.Name)
			}
			if i.Metadata == nil {
				i.Metadata = map[string]string{}
			}
			if err := s.insert(ctx, tx, i); err != nil {
				return err
			}
			if err := s.images.Hold(ctx, tx, i.Image, Resource(i.ID)); err != nil {
				return err
			}
			if err := s.networks.Plan(ctx, tx, i.ID, i.Project, i.Zone, spec.NICs); err != nil {
				return err
			}
			run, err := s.engine.Start(ctx, tx, "server-create", Resource(i.ID), by.Request, deploy{Instance: i.ID})
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

func numbered(name string, index int) string {
	return name + "-" + string(rune('1'+index%9)) + strings.Repeat("0", index/9)
}

var notInHostname = regexp.MustCompile(`[^a-z0-9.-]+`)

// hostname makes a DNS label out of a display name, as Nova does.
func hostname(name string) string {
	h := strings.Trim(notInHostname.ReplaceAllString(strings.ToLower(strings.ReplaceAll(name, " ", "-")), ""), ".-")
	if h == "" {
		return "server"
	}
	return strings.TrimRight(h[:min(len(h), 63)], ".-")
}

// Change edits an instance's own description: name, metadata, tags, lock. Nothing long comes of it.
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

// begin starts a flow on an instance that is in one of the states, unless it is locked for the caller.
func (s *Service) begin(ctx context.Context, v Viewer, id string, by By, action, flow string, task TaskState, state any, from ...VMState) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		i, err := s.Get(ctx, tx, v, id)
		if err != nil {
			return err
		}
		if err := unlocked(v, i); err != nil {
			return err
		}
		if i.TaskState != NoTask {
			return fault.New(fault.Conflict, "Cannot '%s' instance %s while it is in task_state %s", action, i.ID, i.TaskState)
		}
		for _, allowed := range from {
			if i.VMState != allowed {
				continue
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
		}
		return fault.New(fault.Conflict, "Cannot '%s' instance %s while it is in vm_state %s", action, i.ID, i.VMState)
	})
}

func unlocked(v Viewer, i *Instance) error {
	if i.Locked && !v.All {
		return fault.New(fault.Conflict, "Instance %s is locked", i.ID)
	}
	return nil
}

// change applies an edit inside a flow's transaction. The instance may be deleted already: then there is nothing to do.
func (s *Service) change(ctx context.Context, tx *db.Tx, id string, edit func(*Instance)) error {
	i, err := s.byID(ctx, tx, id)
	if err != nil {
		return err
	}
	edit(i)
	return s.save(ctx, tx, i)
}
