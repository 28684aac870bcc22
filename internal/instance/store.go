package instance

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/tenancy"
	"github.com/ingotcloud/ingot/internal/workflow"
)

const columns = `id, project, owner, name, description, hostname, reservation, launch_index, flavor, image, key_name, public_key,
	user_data, config_drive, zone, metadata, tags, access_v4, access_v6, disk_config, ports, vm_state, task_state, power, locked_by,
	lock_reason, machine, fault, created_at, updated_at, launched_at, deleted_at, server_group`

func scan(row db.Scanner) (*Instance, error) {
	var i Instance
	err := row.Scan(&i.ID, &i.Project, &i.Owner, &i.Name, &i.Description, &i.Hostname, &i.Reservation, &i.LaunchIndex,
		db.JSON(&i.Flavor), &i.Image, &i.KeyName, &i.PublicKey, &i.UserData, &i.ConfigDrive, &i.Zone, db.JSON(&i.Metadata),
		db.JSON(&i.Tags), &i.AccessIPv4, &i.AccessIPv6, &i.DiskConfig, db.JSON(&i.Ports), &i.VMState, &i.TaskState, &i.Power, &i.LockedBy,
		&i.LockReason, &i.Machine, db.JSON(&i.Fault), &i.Created, &i.Updated, db.NullTime(&i.Launched), db.NullTime(&i.Deleted), &i.Group)
	return &i, err
}

// Viewer is who looks: a project, or an operator who sees all.
type Viewer = tenancy.Viewer

func notFound(id string) error {
	return fault.New(fault.NotFound, "Instance %s could not be found.", id)
}

// Get finds an instance that is not deleted. Another project's is not found.
func (s *Service) Get(ctx context.Context, q db.Querier, v Viewer, id string) (*Instance, error) {
	i, err := scan(q.QueryRowContext(ctx, `SELECT `+columns+` FROM instance WHERE id = $1 AND deleted_at IS NULL`, id))
	if errors.Is(err, sql.ErrNoRows) || err == nil && !v.All && i.Project != v.Project {
		return nil, notFound(id)
	}
	return i, err
}

// GetAlways is Get, and finds deleted ones too.
func (s *Service) GetAlways(ctx context.Context, q db.Querier, v Viewer, id string) (*Instance, error) {
	i, err := s.byID(ctx, q, id)
	if err == nil && !v.All && i.Project != v.Project {
		return nil, notFound(id)
	}
	return i, err
}

// byID finds an instance for our own work, also a deleted one.
func (s *Service) byID(ctx context.Context, q db.Querier, id string) (*Instance, error) {
	i, err := scan(q.QueryRowContext(ctx, `SELECT `+columns+` FROM instance WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, notFound(id)
	}
	return i, err
}

// List gives the instances of a project, or of all with an empty one, newest first: those that are there, or those that
// are deleted.
func (s *Service) List(ctx context.Context, project string, deleted bool) ([]*Instance, error) {
	var where db.Where
	if project != "" {
		where.And("project = ?", project)
	}
	if deleted {
		where.And("deleted_at IS NOT NULL")
	} else {
		where.And("deleted_at IS NULL")
	}
	return db.List(ctx, s.db, scan, `SELECT `+columns+` FROM instance`+where.String()+` ORDER BY created_at DESC, launch_index, id`, where.Args...)
}

func (s *Service) insert(ctx context.Context, tx *db.Tx, i *Instance) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO instance (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
		$14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, NULL, NULL, $31)`,
		i.ID, i.Project, i.Owner, i.Name, i.Description, i.Hostname, i.Reservation, i.LaunchIndex, db.JSON(i.Flavor), i.Image,
		i.KeyName, i.PublicKey, i.UserData, i.ConfigDrive, i.Zone, db.JSON(i.Metadata), db.JSON(i.Tags), i.AccessIPv4, i.AccessIPv6,
		i.DiskConfig, db.JSON(i.Ports), i.VMState, i.TaskState, i.Power, i.LockedBy, i.LockReason, i.Machine, db.JSON(i.Fault),
		i.Created, i.Updated, i.Group)
	return err
}

// save writes what may change of an instance.
func (s *Service) save(ctx context.Context, tx *db.Tx, i *Instance) error {
	i.Updated = s.clock.Now()
	_, err := tx.ExecContext(ctx, `UPDATE instance SET name = $2, description = $3, hostname = $4, metadata = $5, tags = $6, access_v4 = $7,
		access_v6 = $8, disk_config = $9, ports = $10, vm_state = $11, task_state = $12, power = $13, locked_by = $14, lock_reason = $15,
		machine = $16, fault = $17, updated_at = $18, launched_at = $19, deleted_at = $20,
		image = $21, key_name = $22, public_key = $23, user_data = $24 WHERE id = $1`,
		i.ID, i.Name, i.Description, i.Hostname, db.JSON(i.Metadata), db.JSON(i.Tags), i.AccessIPv4, i.AccessIPv6, i.DiskConfig,
		db.JSON(i.Ports), i.VMState, i.TaskState, i.Power, i.LockedBy, i.LockReason, i.Machine, db.JSON(i.Fault), i.Updated,
		db.NullTime(&i.Launched), db.NullTime(&i.Deleted), i.Image, i.KeyName, i.PublicKey, i.UserData)
	return err
}

// record notes what was asked of an instance, with the run that does it; an empty run for what was done at once.
func (s *Service) record(ctx context.Context, tx *db.Tx, i *Instance, by By, action, run string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO instance_action (request, instance, action, owner, project, run, started_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, by.Request, i.ID, action, by.User, by.Project, run, s.clock.Now())
	return err
}

// recordEvent notes an action that no run does, with its event. One that is on record already is left as it is.
func (s *Service) recordEvent(ctx context.Context, tx *db.Tx, i *Instance, by By, action string, e Event) error {
	started := e.Started
	if started.IsZero() {
		started = s.clock.Now()
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO instance_action (request, instance, action, owner, project, run, started_at, event, words, failed, ended_at)
		VALUES ($1, $2, $3, $4, $5, '', $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
		by.Request, i.ID, action, by.User, by.Project, started, e.Name, e.Words, e.Failed, db.NullTime(&e.Ended))
	return err
}

// NoteBoot puts on record what went wrong at a boot of an instance: an action that nobody asked for, one for each boot and
// event. Told again, it adds nothing. NotFound when the instance does not exist.
func (s *Service) NoteBoot(ctx context.Context, id string, began time.Time, e Event) error {
	space, err := uuid.Parse(id)
	if err != nil {
		return notFound(id)
	}
	request := "req-" + uuid.NewSHA1(space, fmt.Appendf(nil, "boot %d %s", began.UnixMicro(), e.Name)).String()
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		i, err := s.Get(ctx, tx, Viewer{All: true}, id)
		if err != nil {
			return err
		}
		return s.recordEvent(ctx, tx, i, By{Project: i.Project, Request: request}, "boot", e)
	})
}

func scanAction(row db.Scanner) (*Action, error) {
	var a Action
	err := row.Scan(&a.Request, &a.Instance, &a.Action, &a.Owner, &a.Project, &a.Run, &a.Started, &a.Failed, db.NullTime(&a.ended), db.NullTime(&a.Event.Ended), &a.Event.Name, &a.Event.Words)
	a.Event.Failed = a.Failed
	a.Updated = a.Started
	for _, ended := range []time.Time{a.ended, a.Event.Ended} {
		if ended.After(a.Updated) {
			a.Updated = ended
		}
	}
	return &a, err
}

const actions = `SELECT a.request, a.instance, a.action, a.owner, a.project, a.run, a.started_at, coalesce(r.status IN ('aborted', 'stuck'), a.failed),
	r.ended_at, a.ended_at, a.event, a.words
	FROM instance_action a LEFT JOIN workflow_run r ON r.id = a.run WHERE a.instance = $1`

// Actions lists what was asked of an instance, newest first.
func (s *Service) Actions(ctx context.Context, instance string) ([]*Action, error) {
	return db.List(ctx, s.db, scanAction, actions+` ORDER BY a.started_at DESC, a.request`, instance)
}

// Action finds what a request asked of an instance.
func (s *Service) Action(ctx context.Context, instance, request string) (*Action, error) {
	a, err := scanAction(s.db.QueryRowContext(ctx, actions+` AND a.request = $2`, instance, request))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "Action for request_id %s on instance %s not found", request, instance)
	}
	return a, err
}

// Steps are what happened in an action, oldest first.
func (s *Service) Steps(ctx context.Context, a *Action) ([]workflow.StepRecord, error) {
	return workflow.StepsOf(ctx, s.db, a.Run)
}

// Running is the work that is being done on an instance; nil when none is.
func (s *Service) Running(ctx context.Context, instance string) (*workflow.Run, error) {
	return workflow.ActiveOf(ctx, s.db, Resource(instance))
}
