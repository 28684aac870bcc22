package image

import (
	"context"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
)

// Task is an import that was asked for, and what became of it.
type Task struct {
	ID, Image, Project, User, Request string
	Status                            TaskStatus
	Message                           string // why it failed
	Created, Updated                  time.Time
}

// TaskStatus is how far an import is, in Glance's words.
type TaskStatus string

// The task statuses.
const (
	TaskProcessing TaskStatus = "processing"
	TaskSuccess    TaskStatus = "success"
	TaskFailure    TaskStatus = "failure"
)

// Tasks lists the imports of an image that the caller sees, oldest first.
func (s *Service) Tasks(ctx context.Context, c Caller, id string) ([]Task, error) {
	if _, err := loadFor(ctx, s.DB, c, id); err != nil {
		return nil, err
	}
	return db.List(ctx, s.DB, func(row db.Scanner) (t Task, err error) {
		return t, row.Scan(&t.ID, &t.Image, &t.Project, &t.User, &t.Request, &t.Status, &t.Message, &t.Created, &t.Updated)
	}, `SELECT id, image, project, owner, request, status, message, created_at, updated_at FROM image_task WHERE image = $1 ORDER BY created_at, id`, id)
}

func (s *Service) beginTask(ctx context.Context, q db.Querier, c Caller, a *attempt, request string) error {
	now := s.Clock.Now()
	_, err := q.ExecContext(ctx, `INSERT INTO image_task (id, image, project, owner, request, status, message, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, '', $7, $7)`, a.name, a.ID, c.Project, c.User, request, TaskProcessing, now)
	return err
}

// endTask notes the end of an attempt, if it was an import.
func (s *Service) endTask(ctx context.Context, q db.Querier, attempt string, status TaskStatus, message string) error {
	_, err := q.ExecContext(ctx, `UPDATE image_task SET status = $2, message = $3, updated_at = $4 WHERE id = $1`, attempt, status, message, s.Clock.Now())
	return err
}
