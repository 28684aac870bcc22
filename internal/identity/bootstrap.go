package identity

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"

	"github.com/google/uuid"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Bootstrap is what a cloud begins with.
type Bootstrap struct {
	AdminPassword string // of the user admin when it is made; later changes are made by the API
	Region        string // empty: RegionOne
	Catalog       []BootstrapService
}

// BootstrapService is a service of this cloud, as the configuration has it.
type BootstrapService struct {
	Type string // "compute"
	Name string // "nova"
	URL  string // of all three interfaces; $(project_id)s stands for the token's project
}

// The implied roles that every cloud has: who holds the first holds the second.
var impliedRoles = [][2]string{{RoleAdmin, RoleManager}, {RoleManager, RoleMember}, {RoleMember, RoleReader}}

// Bootstrap makes what must exist: the domain default, the roles, the project and the user admin (admin of its project
// and of the system), the region and the catalog. It may run at every start, also of several processes at once: what
// exists stays as it is, but the catalog's entries of the configuration follow it.
func (s *Service) Bootstrap(ctx context.Context, b Bootstrap) error {
	defer s.catalogs.forget()
	if b.AdminPassword == "" {
		return errors.New("bootstrap: no password for the admin")
	}
	if b.Region == "" {
		b.Region = "RegionOne"
	}
	admin, err := s.findUser(ctx, Naming{Name: "admin", DomainID: DefaultDomain})
	if fault.Is(err, fault.NotFound) {
		admin = User{ID: newID(), DomainID: DefaultDomain, Name: "admin", Enabled: true, Options: Extra{}, Extra: Extra{}}
		var hash string
		hash, err = s.hash(ctx, b.AdminPassword)
		s.setPassword(&admin, hash, true)
	}
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		roles, err := ensureRoles(ctx, tx)
		if err != nil {
			return err
		}
		if err := ensureAdmin(ctx, tx, admin, roles[RoleAdmin]); err != nil {
			return err
		}
		return ensureCatalog(ctx, tx, b)
	})
}

func ensureRoles(ctx context.Context, q db.Querier) (map[string]string, error) {
	ids := map[string]string{}
	for _, name := range []string{RoleAdmin, RoleManager, RoleMember, RoleReader, RoleService} {
		role, err := getCloudRole(ctx, q, name)
		if fault.Is(err, fault.NotFound) {
			role = Role{ID: newID(), Name: name, Options: Extra{"immutable": true}, Extra: Extra{}}
			err = insertRole(ctx, q, role)
		}
		if err != nil {
			return nil, err
		}
		ids[name] = role.ID
	}
	for _, pair := range impliedRoles {
		if err := imply(ctx, q, ids[pair[0]], ids[pair[1]]); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func ensureAdmin(ctx context.Context, q db.Querier, admin User, role string) error {
	_, err := getDomain(ctx, q, "id", DefaultDomain)
	if fault.Is(err, fault.NotFound) {
		err = insertDomain(ctx, q, Domain{ID: DefaultDomain, Name: "Default", Description: "The default domain", Enabled: true, Options: Extra{}, Extra: Extra{}})
	}
	if err != nil {
		return err
	}
	project, err := scanProject(q.QueryRowContext(ctx, projectColumns+" WHERE domain_id = $1 AND name = 'admin'", DefaultDomain))
	if errors.Is(err, sql.ErrNoRows) {
		project = Project{ID: newID(), DomainID: DefaultDomain, ParentID: DefaultDomain, Name: "admin", Enabled: true,
			Description: "Bootstrap project for initializing the cloud.", Tags: []string{}, Options: Extra{}, Extra: Extra{}}
		err = insertProject(ctx, q, project)
	}
	if err != nil {
		return err
	}
	err = q.QueryRowContext(ctx, `SELECT id FROM identity_user WHERE domain_id = $1 AND name = 'admin'`, DefaultDomain).Scan(&admin.ID)
	if errors.Is(err, sql.ErrNoRows) {
		err = insertUser(ctx, q, admin)
	}
	if err != nil {
		return err
	}
	for _, target := range []Target{{OnProject, project.ID}, OnTheSystem} {
		if err := assign(ctx, q, Assignment{UserID: admin.ID, Target: target, RoleID: role}); err != nil {
			return err
		}
	}
	return nil
}

func ensureCatalog(ctx context.Context, q db.Querier, b Bootstrap) error {
	if err := putRegion(ctx, q, Region{ID: b.Region, Extra: Extra{}}); err != nil {
		return err
	}
	for _, c := range b.Catalog {
		service := CatalogService{ID: stableID("service", c.Type), Type: c.Type, Name: c.Name, Enabled: true, Extra: Extra{}}
		if err := putService(ctx, q, service); err != nil {
			return err
		}
		for _, i := range interfaces {
			e := Endpoint{ID: stableID("endpoint", b.Region, c.Type, i), ServiceID: service.ID, Interface: i, RegionID: &b.Region, URL: c.URL, Enabled: true, Extra: Extra{}}
			if err := putEndpoint(ctx, q, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// stableID draws the same id for the same words, in every process and at every start.
func stableID(words ...string) string {
	text := ""
	for _, w := range words {
		text += w + "\x00"
	}
	id := uuid.NewSHA1(uuid.NameSpaceOID, []byte(text))
	return hex.EncodeToString(id[:])
}
