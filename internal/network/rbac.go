package network

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// RBAC lets another project, or all of them, use what belongs to a project.
type RBAC struct {
	ID, Project string
	Kind        string // of the thing
	Object      string // its id
	Action      string
	Target      string // project; Everybody
}

// Everybody is the target that means all projects.
const Everybody = "*"

// What RBAC policies share (object_type). Those that are not this package's have their Surroundings.Owners.
const (
	SharedNetwork       = "network"
	SharedSubnetPool    = "subnetpool"
	SharedAddressScope  = "address_scope"
	SharedSecurityGroup = "security_group"
	SharedQoSPolicy     = "qos_policy"
	SharedAddressGroup  = "address_group"
)

// The actions.
const (
	AsShared   = "access_as_shared"
	AsExternal = "access_as_external" // of networks: routers may have their gateways on it
)

// sharedWith is the condition that the column's thing is shared with the project given as its value, in any way.
func sharedWith(column, kind string) string {
	return column + ` IN (SELECT r.object FROM network_rbac r WHERE r.kind = '` + kind + `' AND r.target IN ('*', ?))`
}

// sharedAs is that for networks and one action.
func sharedAs(column, action string) string {
	return column + ` IN (SELECT r.object FROM network_rbac r WHERE r.kind = 'network' AND r.action = '` + action + `' AND r.target IN ('*', ?))`
}

// SharedWith lists the ids of the things of a kind that others share with the project.
func (s *Service) SharedWith(ctx context.Context, q db.Querier, kind, project string) ([]string, error) {
	return db.List(ctx, q, scanID, `SELECT DISTINCT object FROM network_rbac WHERE kind = $1 AND target IN ('*', $2) ORDER BY object`, kind, project)
}

// Unshare forgets all RBAC policies of a thing, which is being deleted.
func (s *Service) Unshare(ctx context.Context, tx *db.Tx, kind, object string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM network_rbac WHERE kind = $1 AND object = $2`, kind, object)
	return err
}

const rbacColumns = `id, project, kind, object, action, target`

func scanRBAC(row db.Scanner) (*RBAC, error) {
	var r RBAC
	err := row.Scan(&r.ID, &r.Project, &r.Kind, &r.Object, &r.Action, &r.Target)
	return &r, err
}

func (r *RBAC) row() []any { return []any{r.ID, r.Project, r.Kind, r.Object, r.Action, r.Target} }

// RBACs are the policies that the viewer made.
func (s *Service) RBACs(ctx context.Context, q db.Querier, v Viewer) ([]*RBAC, error) {
	var where db.Where
	if !v.All {
		where.And(`project = ?`, v.Project)
	}
	return db.List(ctx, q, scanRBAC, `SELECT `+rbacColumns+` FROM network_rbac`+where.String()+` ORDER BY id`, where.Args...)
}

// RBAC finds a policy that the viewer made.
func (s *Service) RBAC(ctx context.Context, q db.Querier, v Viewer, id string) (*RBAC, error) {
	all, err := s.RBACs(ctx, q, v)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all, func(r *RBAC) bool { return r.ID == id })
	if at < 0 {
		return nil, refuse(fault.NotFound, NoSuchRBAC, "RBAC policy of type None with ID %s not found", id)
	}
	return all[at], nil
}

// CreateRBAC shares a thing. Who makes the policy must own the thing, unless it is one for All: otherwise the thing is
// NotFound. A second one of the same values is a Conflict.
func (s *Service) CreateRBAC(ctx context.Context, tx *db.Tx, v Viewer, r RBAC) (*RBAC, error) {
	if err := s.WithinQuota(ctx, tx, r.Project, "rbac_policy"); err != nil {
		return nil, err
	}
	owner, err := s.ownerOf(ctx, tx, r.Kind, r.Object)
	if err != nil {
		return nil, err
	}
	if !v.All && owner != v.Project {
		return nil, noObject(r.Kind, r.Object)
	}
	if r.Action != AsShared && (r.Action != AsExternal || r.Kind != SharedNetwork) {
		return nil, badInput("Invalid action '%s' for object type '%s'. Valid actions: %s", r.Action, r.Kind, AsShared)
	}
	if r.Target == "" || len(r.Target) > 255 {
		return nil, invalid("target_tenant", "'%s' is not a project", r.Target)
	}
	r.ID = uuid.NewString()
	twice, err := exists(ctx, tx, `SELECT 1 FROM network_rbac WHERE kind = $1 AND object = $2 AND action = $3 AND target = $4`, r.Kind, r.Object, r.Action, r.Target)
	if err != nil {
		return nil, err
	}
	if twice {
		return nil, refuse(fault.Conflict, RBACTwice, "An RBAC policy already exists with those values.")
	}
	if err := insert(ctx, tx, RBACTable, rbacColumns, r.row()); err != nil {
		return nil, err
	}
	return &r, s.alignExternal(ctx, tx, &r)
}

// ChangeRBAC gives a policy another target.
func (s *Service) ChangeRBAC(ctx context.Context, tx *db.Tx, v Viewer, id, target string) (*RBAC, error) {
	old, err := s.RBAC(ctx, tx, v, id)
	if err != nil || old.Target == target {
		return old, err
	}
	if err := s.DeleteRBAC(ctx, tx, v, id); err != nil {
		return nil, err
	}
	changed := *old
	changed.Target = target
	made, err := s.CreateRBAC(ctx, tx, Everything, changed)
	if err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE network_rbac SET id = $1 WHERE id = $2`, id, made.ID)
	made.ID = id
	return made, err
}

// DeleteRBAC shares no longer. It is a Conflict while somebody uses what only this policy allows.
func (s *Service) DeleteRBAC(ctx context.Context, tx *db.Tx, v Viewer, id string) error {
	r, err := s.RBAC(ctx, tx, v, id)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM network_rbac WHERE id = $1`, id); err != nil {
		return err
	}
	if used, err := s.usedUnshared(ctx, tx, r); err != nil {
		return err
	} else if used != "" {
		return refuse(fault.Conflict, RBACInUse, "RBAC policy on object %s cannot be removed because other objects depend on it.\nDetails: %s", r.Object, used)
	}
	return s.alignExternal(ctx, tx, r)
}

// usedUnshared tells what projects use of a thing that is not shared with them any more; empty: nothing.
func (s *Service) usedUnshared(ctx context.Context, q db.Querier, r *RBAC) (string, error) {
	left := ` AND NOT EXISTS (SELECT 1 FROM network_rbac r WHERE r.kind = $2 AND r.object = $1 AND r.target IN ('*', x.project)) LIMIT 1`
	query := map[string]string{
		SharedNetwork: `SELECT 1 FROM network_port x, network n WHERE n.id = $1 AND x.network = n.id AND x.project <> n.project AND x.project <> ''
			AND substr(x.device_owner, 1, 8) <> 'network:'`,
		SharedSubnetPool:   `SELECT 1 FROM network_subnet x, network_subnetpool p WHERE p.id = $1 AND x.subnetpool = p.id AND x.project <> p.project`,
		SharedAddressScope: `SELECT 1 FROM network_subnetpool x, network_address_scope a WHERE a.id = $1 AND x.address_scope = a.id AND x.project <> a.project`,
	}[r.Kind]
	if query == "" {
		return "", nil
	}
	used, err := exists(ctx, q, query+left, r.Object, r.Kind)
	if !used {
		return "", err
	}
	return "Other projects use it.", err
}

// alignExternal keeps what a network says of itself equal to its policies: it is external while any project may use it so.
func (s *Service) alignExternal(ctx context.Context, tx *db.Tx, r *RBAC) error {
	if r.Kind != SharedNetwork || r.Action != AsExternal {
		return nil
	}
	n, err := s.Network(ctx, tx, Everything, r.Object)
	if err != nil {
		return err
	}
	external, err := exists(ctx, tx, `SELECT 1 FROM network_rbac WHERE kind = 'network' AND object = $1 AND action = 'access_as_external' LIMIT 1`, n.ID)
	if err != nil || external == n.External {
		return err
	}
	if !external {
		if n.Default {
			return refuse(fault.Conflict, RBACInUse, "RBAC policy on object %s cannot be removed because other objects depend on it.\nDetails: It is the default external network.", n.ID)
		}
		if err := s.noGateways(ctx, tx, n); err != nil {
			return err
		}
	}
	n.External = external
	return s.saveNetwork(ctx, tx, n)
}

// share is a policy for everybody that the cloud makes for a thing's flag, like a network's "shared".
func (s *Service) share(ctx context.Context, tx *db.Tx, project, kind, object, action string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO network_rbac (`+rbacColumns+`) VALUES ($1, $2, $3, $4, $5, '*') ON CONFLICT (kind, object, action, target) DO NOTHING`,
		uuid.NewString(), project, kind, object, action)
	return err
}

// ownerOf is the project that a thing belongs to.
func (s *Service) ownerOf(ctx context.Context, q db.Querier, kind, id string) (project string, err error) {
	table, ours := map[string]Table{SharedNetwork: NetworkTable, SharedSubnetPool: SubnetPoolTable, SharedAddressScope: AddressScopeTable}[kind]
	if owner := s.around.Owners[kind]; owner != nil && !ours {
		return owner(ctx, q, id)
	}
	if !ours {
		return "", badInput("Object type '%s' cannot be shared here", kind)
	}
	err = q.QueryRowContext(ctx, `SELECT project FROM `+string(table)+` WHERE id = $1`, id).Scan(&project)
	if missing(err) {
		return "", noObject(kind, id)
	}
	return project, err
}

func noObject(kind, id string) error {
	why := map[string]Reason{SharedNetwork: NoSuchNetwork, SharedSubnetPool: NoSuchSubnetPool, SharedAddressScope: NoSuchAddressScope}[kind]
	if why == "" {
		why = NoSuchObject
	}
	return refuse(fault.NotFound, why, "The %s %s could not be found.", kind, id)
}
