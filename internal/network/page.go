package network

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Page is a part of a list that begins with the oldest. The zero one is all of it.
type Page struct {
	After string // id of the last thing of the page before; empty: the first page
	Limit int    // how many; 0: all that are left
}

// narrow gives the condition that holds for what is on the page of the table's rows, and for nothing else. It fails with
// Invalid when the thing that the page comes after is not in the list.
func (p Page) narrow(ctx context.Context, q db.Querier, table Table, where db.Where) (db.Where, error) {
	if p == (Page{}) {
		return where, nil
	}
	if p.After != "" {
		marker := where
		marker.And(`id = ?`, p.After)
		found, err := exists(ctx, q, `SELECT 1 FROM `+string(table)+marker.String(), marker.Args...)
		if err != nil {
			return where, err
		}
		if !found {
			return where, fault.New(fault.Invalid, "marker [%s] not found", p.After)
		}
		where.And(`(created_at, id) > (SELECT m.created_at, m.id FROM `+string(table)+` m WHERE m.id = ?)`, p.After)
	}
	if p.Limit == 0 {
		return where, nil
	}
	ids, err := db.List(ctx, q, scanID, `SELECT id FROM `+string(table)+where.String()+` ORDER BY created_at, id LIMIT `+placeholder(len(where.Args)+1), append(where.Args, p.Limit)...)
	var on db.Where
	if in(&on, `id`, ids); len(ids) == 0 {
		on.And(`1 = 0`)
	}
	return on, err
}
