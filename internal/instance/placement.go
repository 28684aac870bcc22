package instance

import (
	"context"
	"slices"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
)

// Metadata of aggregates that decides who gets their machines, by Nova's names.
const (
	// tenantsOnly has the projects, with commas between, that alone may have the machines: also filter_tenant_id1, ….
	tenantsOnly = "filter_tenant_id"
	// aggregateSpec is the prefix of a flavor's extra spec that the metadata of one of the machine's aggregates must match.
	aggregateSpec = "aggregate_instance_extra_specs:"
)

// placement says which machines an instance may have, as far as aggregates decide it: Nova's filters AvailabilityZone,
// AggregateMultiTenancyIsolation and AggregateInstanceExtraSpecs. A machine that an operator names (only) needs to pass
// none. The affinity of server groups needs nothing here: every server has a machine of its own (group.go).
func (s *Service) placement(ctx context.Context, q db.Querier, i *Instance, only string) (func(machine string) bool, error) {
	if only != "" {
		return func(machine string) bool { return machine == only }, nil
	}
	all, err := s.Aggregates(ctx, q)
	of := map[string][]*Aggregate{} // by machine
	for _, a := range all {
		for _, machine := range a.Machines {
			of[machine] = append(of[machine], a)
		}
	}
	return func(machine string) bool {
		return i.mayBeIn(of[machine])
	}, err
}

// mayBeIn reports whether the instance may have a machine that is in these aggregates.
func (i *Instance) mayBeIn(aggregates []*Aggregate) bool {
	zone, isolated, welcome := DefaultZone, false, false
	for _, a := range aggregates {
		if a.Zone != "" {
			zone = a.Zone
		}
		for key, value := range a.Metadata {
			if strings.HasPrefix(key, tenantsOnly) {
				isolated = true
				welcome = welcome || slices.Contains(strings.Split(value, ","), i.Project)
			}
		}
	}
	if i.Zone != "" && i.Zone != zone || isolated && !welcome {
		return false
	}
	for key, value := range i.Flavor.ExtraSpecs {
		name, ok := strings.CutPrefix(key, aggregateSpec)
		if ok && !slices.ContainsFunc(aggregates, func(a *Aggregate) bool { return a.Metadata[name] == value }) {
			return false
		}
	}
	return true
}
