package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/ingotcloud/ingot/internal/lab"
	lab_ovn "github.com/ingotcloud/ingot/internal/lab/ovn"
)

// batch is how many rows share a transaction where they are written straight.
const batch = 1000

// againstStraight fills the cloud with networks through its API, and another OVN with the very rows that came of it, in
// batches. Both count from the first request until all chassis have carried out the last row.
func (c *cloud) againstStraight(ctx context.Context, n *networks, nb *northbound, rack *lab.Description, count int) (goal, error) {
	api, rows, err := n.fillTimed(ctx, nb, count)
	if err != nil {
		return goal{}, err
	}
	straight, err := writeTimed(ctx, filepath.Join(c.home, "straight"), rack, rows)
	if err != nil {
		return goal{}, err
	}
	ratio := api.live.Seconds() / straight.live.Seconds()
	return goal{
		name: fmt.Sprintf("%d networks × %d ports, API / rows straight into OVN", count, portsEach), limit: "≤ 2.00", figure: fmt.Sprintf("%.2f", ratio), verdict: atMost(ratio, 2),
		behind: fmt.Sprintf("API: answered after %.1f s, in OVN after %.1f s, on the chassis after %.1f s; the %d rows straight: %.1f s, %.1f s",
			api.answered.Seconds(), api.written.Seconds(), api.live.Seconds(), len(rows), straight.written.Seconds(), straight.live.Seconds()),
	}, nil
}

// fillTimes are since the first request.
type fillTimes struct{ answered, written, live time.Duration }

// fillTimed gives the rows that OVN has of it, too.
func (n *networks) fillTimed(ctx context.Context, nb *northbound, count int) (t fillTimes, made rows, err error) {
	if err := nb.driver.Sync(ctx); err != nil {
		return t, nil, err
	}
	before, portsBefore := nb.rows(), nb.ports()
	began := time.Now()
	if err := n.fill(ctx, count); err != nil {
		return t, nil, err
	}
	t.answered = time.Since(began)
	if err := nb.have(ctx, portsBefore+count*(portsEach+1)); err != nil { // one of them is the metadata service's; ports come last
		return t, nil, err
	}
	t.written = time.Since(began)
	if err := nb.driver.Sync(ctx); err != nil {
		return t, nil, err
	}
	t.live = time.Since(began)
	return t, nb.rows().without(before), nil
}

// writeTimed starts an OVN with as many chassis as the rack has, and writes the rows.
func writeTimed(ctx context.Context, dir string, rack *lab.Description, rows rows) (t fillTimes, err error) {
	config := lab_ovn.Config{Name: "b" + rack.Run, Dir: dir, Logger: slog.New(slog.DiscardHandler)}
	for _, chassis := range rack.OVN.Chassis {
		config.Chassis = append(config.Chassis, lab_ovn.ChassisSpec{Name: chassis.Name})
	}
	cluster, err := lab_ovn.Start(ctx, config)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, cluster.Destroy()) }()
	nb, err := openNorthbound(ctx, cluster.NB(), cluster.SB())
	if err != nil {
		return t, err
	}
	defer nb.close()
	began := time.Now()
	if err := nb.write(ctx, rows); err != nil {
		return t, err
	}
	t.written = time.Since(began)
	if err := nb.driver.Sync(ctx); err != nil {
		return t, err
	}
	t.live = time.Since(began)
	return t, nil
}
