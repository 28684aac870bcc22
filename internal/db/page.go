package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Page is a part of a list that begins with the oldest. The zero one is all of it.
type Page struct {
	After string // id of the last thing of the page before; empty: the first page
	Limit int    // how many; 0: all that are left
}

// Narrow gives the condition that holds for what is on the page of the table's rows, and for nothing else; rows have an id
// and created_at. It fails with Invalid when the thing that the page comes after is not in the list.
func (p Page) Narrow(ctx context.Context, q Querier, table string, where Where) (Where, error) {
	if p == (Page{}) {
		return where, nil
	}
	if p.After != "" {
		marker := where
		marker.And(`id = ?`, p.After)
		var one int
		err := q.QueryRowContext(ctx, `SELECT 1 FROM `+table+marker.String(), marker.Args...).Scan(&one)
		if errors.Is(err, sql.ErrNoRows) {
			return where, fault.New(fault.Invalid, "marker [%s] not found", p.After)
		}
		if err != nil {
			return where, err
		}
		where.And(`(created_at, id) > (SELECT m.created_at, m.id FROM `+table+` m WHERE m.id = ?)`, p.After)
	}
	if p.Limit == 0 {
		return where, nil
	}
	ids, err := List(ctx, q, func(row Scanner) (id any, err error) { return id, row.Scan(&id) },
		fmt.Sprintf(`SELECT id FROM %s%s ORDER BY created_at, id LIMIT $%d`, table, where.String(), len(where.Args)+1), append(where.Args, p.Limit)...)
	if len(ids) == 0 {
		return Where{terms: []string{"1 = 0"}}, err
	}
	var on Where
	on.And(`id IN (?`+strings.Repeat(`, ?`, len(ids)-1)+`)`, ids...)
	return on, err
}
