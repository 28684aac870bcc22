package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/ingotcloud/ingot/internal/driver/ovn"
	"github.com/ingotcloud/ingot/internal/driver/ovn/nbdb"
)

// northbound is OVN's database as the library offers it, without the cloud's driver.
type northbound struct {
	client.Client
	driver *ovn.Client // only to wait for the chassis
}

func openNorthbound(ctx context.Context, nb, sb string) (*northbound, error) {
	models, err := nbdb.FullDatabaseModel()
	if err != nil {
		return nil, err
	}
	quiet := logr.FromSlogHandler(slog.DiscardHandler)
	n := &northbound{}
	if n.Client, err = client.NewOVSDBClient(models, client.WithEndpoint(nb), client.WithLogger(&quiet)); err != nil {
		return nil, err
	}
	if err := n.Connect(ctx); err != nil {
		return nil, err
	}
	if _, err := n.MonitorAll(ctx); err != nil {
		n.Client.Close()
		return nil, err
	}
	if n.driver, err = ovn.Connect(ctx, ovn.Options{NB: nb, SB: sb, Owner: "bench", Logger: slog.New(slog.DiscardHandler)}); err != nil {
		n.Client.Close()
		return nil, err
	}
	return n, n.driver.Wait(ctx)
}

func (n *northbound) close() {
	n.driver.Close()
	n.Client.Close()
}

// ports is how many logical ports the switches have.
func (n *northbound) ports() int { return n.Cache().Table(nbdb.LogicalSwitchPortTable).Len() }

// have waits until the switches have so many ports.
func (n *northbound) have(ctx context.Context, ports int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n.ports() != ports {
		select {
		case <-ctx.Done():
			return fmt.Errorf("OVN has %d ports instead of %d: %w", n.ports(), ports, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// rows of a database, by UUID.
type rows map[string]model.Model

// networkTables are those that networks, groups and ports have rows in.
var networkTables = []string{nbdb.DHCPOptionsTable, nbdb.LogicalSwitchTable, nbdb.LogicalSwitchPortTable, nbdb.PortGroupTable, nbdb.ACLTable}

func (n *northbound) rows() rows {
	all := rows{}
	for _, table := range networkTables {
		for uuid, row := range n.Cache().Table(table).Rows() {
			all[uuid] = row
		}
	}
	return all
}

// without leaves the rows that others has not.
func (r rows) without(others rows) rows {
	left := rows{}
	for uuid, row := range r {
		if others[uuid] == nil {
			left[uuid] = row
		}
	}
	return left
}

// units are rows that belong into one transaction, in an order in which each finds what it refers to: DHCP's options,
// switches with their ports, groups with their rules.
func (r rows) units() (units [][]model.Model) {
	var switches, groups [][]model.Model
	for _, row := range r {
		switch row := row.(type) {
		case *nbdb.DHCPOptions:
			units = append(units, []model.Model{row})
		case *nbdb.LogicalSwitch:
			switches = append(switches, append(r.named(row.Ports), row))
		case *nbdb.PortGroup:
			groups = append(groups, append(r.named(row.ACLs), row))
		}
	}
	return append(append(units, switches...), groups...)
}

func (r rows) named(uuids []string) (list []model.Model) {
	for _, uuid := range uuids {
		list = append(list, r[uuid])
	}
	return list
}

// write inserts the rows, some in each transaction.
func (n *northbound) write(ctx context.Context, r rows) error {
	var pending []ovsdb.Operation
	flush := func() error {
		results, err := n.Transact(ctx, pending...)
		if err != nil {
			return err
		}
		_, err = ovsdb.CheckOperationResults(results, pending)
		pending = nil
		return err
	}
	for _, unit := range r.units() {
		for _, row := range unit {
			inserts, err := n.Create(row)
			if err != nil {
				return err
			}
			pending = append(pending, inserts...)
		}
		if len(pending) >= batch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(pending) == 0 {
		return nil
	}
	return flush()
}
