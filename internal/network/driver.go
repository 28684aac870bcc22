package network

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Groups are the security groups that ports are in. Which port is in which group is kept there.
type Groups interface {
	// Default names the project's default group, and makes it where there is none.
	Default(ctx context.Context, tx *db.Tx, project string) (id string, err error)
	// Check fails with NotFound and the reason NoSuchGroup for a group that the project may not use.
	Check(ctx context.Context, q db.Querier, project string, ids []string) error
	// SetPort puts the port in these groups and in no others. No groups are fine, also for a port that is gone.
	SetPort(ctx context.Context, tx *db.Tx, port string, ids []string) error
	// OfPorts are the groups of each port, by the port's id, always in the same order.
	OfPorts(ctx context.Context, q db.Querier, ports []string) (map[string][]string, error)
}

// Policies are the QoS policies that networks and ports name.
type Policies interface {
	// Check fails with NotFound and the reason NoSuchPolicy for a policy that the project may not use.
	Check(ctx context.Context, q db.Querier, project, id string) error
}

// Count tells how many of a resource a project has.
type Count func(ctx context.Context, q db.Querier, project string) (int, error)

// Owner tells whose a thing is; it fails with NotFound where there is none of that id.
type Owner func(ctx context.Context, q db.Querier, id string) (project string, err error)

// Surroundings are what the cloud has beside networks. The zero value is a cloud without any of it.
type Surroundings struct {
	Groups   Groups           // nil: there are no security groups, and no port is in any
	Policies Policies         // nil: there are none
	Counts   map[string]Count // of the resources that quotas limit and that are not this package's, by their names there
	Owners   map[string]Owner // of the things that RBAC policies share and that are not this package's, by object type
	Wires    []string         // the physical networks; none: any name is taken for one
	MTU      int              // of the wires, bytes; 0: 1500
	// Holds gives the fault of a port that whatever carries the networks has no way to hold; nil: it holds all.
	Holds func(*Port) error
}

// Surround tells the service its surroundings. It is called once, before the service is used.
func (s *Service) Surround(around Surroundings) {
	if around.Groups == nil {
		around.Groups = noGroups{}
	}
	if around.Policies == nil {
		around.Policies = noPolicies{}
	}
	if around.Holds == nil {
		around.Holds = func(*Port) error { return nil }
	}
	if around.MTU == 0 {
		around.MTU = 1500
	}
	s.around = around
}

type noGroups struct{}

func (noGroups) Default(context.Context, *db.Tx, string) (string, error) { return "", nil }

func (noGroups) Check(_ context.Context, _ db.Querier, _ string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return refuse(fault.NotFound, NoSuchGroup, "Security group %s does not exist", ids[0])
}

func (noGroups) SetPort(context.Context, *db.Tx, string, []string) error { return nil }

func (noGroups) OfPorts(context.Context, db.Querier, []string) (map[string][]string, error) {
	return nil, nil
}

type noPolicies struct{}

func (noPolicies) Check(_ context.Context, _ db.Querier, _, id string) error {
	return refuse(fault.NotFound, NoSuchPolicy, "QoS policy %s could not be found.", id)
}
