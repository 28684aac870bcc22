package identity

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/db"
)

// catalogPictures keeps what all catalogs are made of, because every token that is shown shows one. It is never older than a
// second, and never older than what this process itself changed.
type catalogPictures struct {
	db      *db.DB
	clock   clock.Clock
	latest  atomic.Pointer[catalogPicture]
	changes atomic.Int64 // by this process
}

// catalogPicture is immutable.
type catalogPicture struct {
	at        time.Time // when it was read
	changes   int64     // what the count above was before that
	services  []CatalogService
	endpoints []Endpoint
	filtered  bool // there are projects that see a part of the endpoints only
}

// forget makes the next look in this process read again. It belongs after the change.
func (c *catalogPictures) forget() { c.changes.Add(1) }

func (c *catalogPictures) look(ctx context.Context) (*catalogPicture, error) {
	now, changes := c.clock.Now(), c.changes.Load()
	if p := c.latest.Load(); p != nil && p.changes == changes && now.Sub(p.at).Abs() < maxAge {
		return p, nil
	}
	p := &catalogPicture{at: now, changes: changes}
	var err error
	if p.services, err = db.List(ctx, c.db, scanService, serviceColumns+" ORDER BY id"); err != nil {
		return nil, err
	}
	if p.endpoints, err = db.List(ctx, c.db, scanEndpoint, endpointColumns+" ORDER BY id"); err != nil {
		return nil, err
	}
	err = c.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM identity_endpoint_project) OR EXISTS (SELECT 1 FROM identity_endpoint_group_project)`).Scan(&p.filtered)
	if err != nil {
		return nil, err
	}
	c.latest.Store(p)
	return p, nil
}
