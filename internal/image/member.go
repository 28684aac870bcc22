package image

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Member is a project with which an image is shared.
type Member struct {
	Image     string
	Project   string
	Status    MemberStatus
	CreatedAt time.Time
	UpdatedAt time.Time
}

const (
	memberColumns = `image, project, status, created_at, updated_at`
	maxMembers    = 128
)

func scanMember(row db.Scanner) (m Member, err error) {
	err = row.Scan(&m.Image, &m.Project, &m.Status, db.NullTime(&m.CreatedAt), db.NullTime(&m.UpdatedAt))
	return m, err
}

// AddMember shares an image with a project, which accepts or rejects it later.
func (s *Service) AddMember(ctx context.Context, c Caller, id, project string) (Member, error) {
	m := Member{Image: id, Project: project, Status: Pending, CreatedAt: s.Clock.Now()}
	m.UpdatedAt = m.CreatedAt
	if project == "" || len(project) > maxName || !storable(project) {
		return m, fault.New(fault.Invalid, "A member is the id of a project.")
	}
	err := s.DB.Tx(ctx, func(tx *db.Tx) error {
		r, err := loadFor(ctx, tx, c, id)
		if err != nil {
			return err
		}
		if err := c.mayChange(&r.Image); err != nil {
			return err
		}
		if r.Visibility != Shared {
			return fault.New(fault.Forbidden, "Only shared images have members.")
		}
		var members int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM image_member WHERE image = $1`, id).Scan(&members); err != nil {
			return err
		}
		if members >= maxMembers {
			return fault.New(fault.TooLarge, "The limit of %d members is exceeded.", maxMembers)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO image_member (`+memberColumns+`) VALUES ($1, $2, $3, $4, $5)`,
			m.Image, m.Project, m.Status, m.CreatedAt, m.UpdatedAt)
		if db.IsDuplicate(err) {
			return fault.New(fault.Conflict, "Member %s is duplicated for image %s", project, id)
		}
		return err
	})
	return m, err
}

// Members lists with whom an image is shared. A member learns of itself only.
func (s *Service) Members(ctx context.Context, c Caller, id string) ([]Member, error) {
	r, err := loadFor(ctx, s.DB, c, id)
	if err != nil {
		return nil, err
	}
	if r.Visibility != Shared {
		return nil, fault.New(fault.Forbidden, "Only shared images have members.")
	}
	members, err := db.List(ctx, s.DB, scanMember, `SELECT `+memberColumns+` FROM image_member
		WHERE image = $1 AND ($2 OR project = $3) ORDER BY created_at, project`, id, c.owns(&r.Image), c.Project)
	return members, err
}

// Member finds one of them.
func (s *Service) Member(ctx context.Context, c Caller, id, project string) (Member, error) {
	return s.member(ctx, s.DB, c, id, project)
}

func (s *Service) member(ctx context.Context, q db.Querier, c Caller, id, project string) (Member, error) {
	absent := fault.New(fault.NotFound, "%s not found in the member list of the image %s.", project, id)
	r, err := loadFor(ctx, q, c, id)
	if err != nil {
		return Member{}, err
	}
	if !storable(project) || r.Visibility != Shared || (!c.owns(&r.Image) && project != c.Project) {
		return Member{}, absent
	}
	m, err := scanMember(q.QueryRowContext(ctx, `SELECT `+memberColumns+` FROM image_member WHERE image = $1 AND project = $2`, id, project))
	if errors.Is(err, sql.ErrNoRows) {
		return m, absent
	}
	return m, err
}

// SetMember is the member's own answer; the owner cannot give it.
func (s *Service) SetMember(ctx context.Context, c Caller, id, project string, status MemberStatus) (Member, error) {
	var m Member
	if status != Pending && status != Accepted && status != Rejected {
		return m, fault.New(fault.Invalid, "The status must be one of pending, accepted, rejected.")
	}
	err := s.DB.Tx(ctx, func(tx *db.Tx) (err error) {
		if m, err = s.member(ctx, tx, c, id, project); err != nil {
			return err
		}
		if !c.Admin && c.Project != project {
			return fault.New(fault.Forbidden, "You are not permitted to modify 'status' on this image member.")
		}
		m.Status, m.UpdatedAt = status, s.Clock.Now()
		_, err = tx.ExecContext(ctx, `UPDATE image_member SET status = $3, updated_at = $4 WHERE image = $1 AND project = $2`, id, project, m.Status, m.UpdatedAt)
		return err
	})
	return m, err
}

// RemoveMember ends the sharing. Only the owner does.
func (s *Service) RemoveMember(ctx context.Context, c Caller, id, project string) error {
	return s.DB.Tx(ctx, func(tx *db.Tx) error {
		r, err := loadFor(ctx, tx, c, id)
		if err != nil {
			return err
		}
		if err := c.mayChange(&r.Image); err != nil {
			return err
		}
		if _, err := s.member(ctx, tx, c, id, project); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM image_member WHERE image = $1 AND project = $2`, id, project)
		return err
	})
}
