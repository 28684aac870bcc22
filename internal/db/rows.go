package db

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Scanner is a row: *sql.Row or *sql.Rows.
type Scanner interface{ Scan(dest ...any) error }

// List runs a query and scans each row with scan.
func List[T any](ctx context.Context, q Querier, scan func(Scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	var list []T
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, rows.Err()
}

// JSON wraps a pointer (to scan into) or a value (to store) of a column that holds JSON text.
func JSON(v any) interface {
	driver.Valuer
	Scan(any) error
} {
	return jsonColumn{v}
}

type jsonColumn struct{ v any }

func (c jsonColumn) Value() (driver.Value, error) {
	text, err := json.Marshal(c.v)
	return string(text), err
}

func (c jsonColumn) Scan(src any) error {
	switch text := src.(type) {
	case string:
		return json.Unmarshal([]byte(text), c.v)
	case []byte:
		return json.Unmarshal(text, c.v)
	case nil:
		return nil
	}
	return fmt.Errorf("a JSON column holds %T", src)
}

// Where collects conditions of a list query; the values become $1, $2, … in order.
type Where struct {
	terms []string
	Args  []any
}

// And adds a condition; each ? in it stands for the next value.
func (w *Where) And(condition string, values ...any) {
	for _, value := range values {
		w.Args = append(w.Args, value)
		condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(w.Args)), 1)
	}
	w.terms = append(w.terms, "("+condition+")")
}

// String is the WHERE clause, empty when there is no condition.
func (w *Where) String() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}

// NullTime stores the zero time as NULL and reads NULL as the zero time.
func NullTime(t *time.Time) interface {
	driver.Valuer
	Scan(any) error
} {
	return nullTime{t}
}

type nullTime struct{ t *time.Time }

func (n nullTime) Value() (driver.Value, error) {
	if n.t.IsZero() {
		return nil, nil
	}
	return n.t.UTC(), nil
}

func (n nullTime) Scan(src any) error {
	switch value := src.(type) {
	case nil:
		*n.t = time.Time{}
	case time.Time:
		*n.t = value.UTC()
	default:
		return fmt.Errorf("a TIMESTAMP column holds %T", src)
	}
	return nil
}
