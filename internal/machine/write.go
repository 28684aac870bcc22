package machine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Card is what all things have that operators note of their machines.
type Card struct {
	ID               string
	Extra            map[string]any
	Created, Updated time.Time
}

const cardColumns = `id, extra, created_at, updated_at`

func (c *Card) scanned() []any {
	return []any{&c.ID, db.JSON(&c.Extra), &c.Created, &c.Updated}
}

// write saves a card with the columns beside those that all have: as a new row when it has no time of creation yet. What
// is said when a unique column has the value already is the caller's, and a Conflict.
func (s *Service) write(ctx context.Context, tx *db.Tx, table string, c *Card, columns string, values []any, taken string) error {
	names := append(strings.Split(cardColumns, ", "), strings.Split(columns, ", ")...)
	now, fresh := s.clock.Now(), c.Created.IsZero()
	c.Updated = now
	if fresh {
		c.Created = now
	}
	if c.ID == "" {
		c.ID = uuid.NewString()
	}
	values = append([]any{c.ID, db.JSON(orEmpty(c.Extra)), c.Created, c.Updated}, values...)
	marks := make([]string, len(names))
	for i, name := range names {
		if marks[i] = fmt.Sprintf("$%d", i+1); !fresh {
			marks[i] = name + " = " + marks[i]
		}
	}
	query := `INSERT INTO ` + table + ` (` + strings.Join(names, ", ") + `) VALUES (` + strings.Join(marks, ", ") + `)`
	if !fresh {
		query = `UPDATE ` + table + ` SET ` + strings.Join(slices.Delete(marks, 0, 1), ", ") + ` WHERE id = $1`
	}
	_, err := tx.ExecContext(ctx, query, values...)
	if db.IsDuplicate(err) {
		return fault.New(fault.Conflict, "%s", taken)
	}
	return err
}

// one is the only one of what was found.
func one[T any](found []*T, err error, noun, ident string) (*T, error) {
	if err == nil && len(found) == 0 {
		err = fault.New(fault.NotFound, "%s %s could not be found.", noun, ident)
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}
