package identity

import (
	"context"
	"encoding/json"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Policy is a text that services keep here for each other. Nothing of ours reads it: our policies stand in the routes.
type Policy struct {
	ID, Type, Blob string
	Extra          Extra
}

const policyColumns = `SELECT id, type, blob, extra FROM identity_policy`

func scanPolicy(row db.Scanner) (p Policy, err error) {
	return p, row.Scan(&p.ID, &p.Type, &p.Blob, db.JSON(&p.Extra))
}

// PutPolicy stores a policy, new or known. An empty id is drawn.
func (s *Service) PutPolicy(ctx context.Context, p Policy) (Policy, error) {
	if p.Type == "" || len(p.Type) > 255 || p.Blob == "" {
		return p, fault.New(fault.Invalid, "Invalid input for field 'policy': it has a type of 1 to 255 characters and a blob.")
	}
	if p.ID == "" {
		p.ID = newID()
	}
	_, err := s.db.ExecContext(ctx, `INSERT INTO identity_policy (id, type, blob, extra) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET type = excluded.type, blob = excluded.blob, extra = excluded.extra`, p.ID, p.Type, p.Blob, db.JSON(p.Extra))
	return p, err
}

// Policy finds a policy by id.
func (s *Service) Policy(ctx context.Context, id string) (Policy, error) {
	p, err := scanPolicy(s.db.QueryRowContext(ctx, policyColumns+" WHERE id = $1", id))
	return p, missing(err, "policy", id)
}

// Policies lists policies by id; a non-empty type narrows the list.
func (s *Service) Policies(ctx context.Context, typ string) ([]Policy, error) {
	var where db.Where
	if typ != "" {
		where.And("type = ?", typ)
	}
	return db.List(ctx, s.db, scanPolicy, policyColumns+where.String()+" ORDER BY id", where.Args...)
}

// DeletePolicy deletes a policy.
func (s *Service) DeletePolicy(ctx context.Context, id string) error {
	return remove(ctx, s.db, "identity_policy", "policy", id)
}

// DomainConfig is what a domain would have of its own where identities come from LDAP: groups of options. It is kept for
// clients that manage it, as in a Keystone without domain-specific drivers; users of this cloud live in its database.
type DomainConfig map[string]map[string]any

// DefaultDomainConfig holds the options there are, with what they are for domains without a configuration.
func DefaultDomainConfig() DomainConfig {
	return DomainConfig{
		"identity": {"driver": "sql", "list_limit": nil},
		"ldap":     {"url": "ldap://localhost", "user": nil, "password": nil, "suffix": "cn=example,cn=com", "user_tree_dn": nil, "group_tree_dn": nil},
	}
}

// check refuses what is no option.
func (c DomainConfig) check() error {
	known := DefaultDomainConfig()
	if len(c) == 0 {
		return fault.New(fault.Invalid, "Invalid domain configuration: no options are given.")
	}
	for group, options := range c {
		if known[group] == nil {
			return fault.New(fault.Forbidden, "Invalid domain specific configuration: group %s is not supported for domain specific configurations.", group)
		}
		for option := range options {
			if _, ok := known[group][option]; !ok {
				return fault.New(fault.Forbidden, "Invalid domain specific configuration: option %s in group %s is not supported for domain specific configurations.", option, group)
			}
		}
	}
	return nil
}

func configPurpose(domainID string) string { return "domain-config " + domainID }

// DomainConfig gives a domain's configuration. It fails with fault.NotFound when there is none.
func (s *Service) DomainConfig(ctx context.Context, domainID string) (DomainConfig, error) {
	return s.getDomainConfig(ctx, s.db, domainID)
}

func (s *Service) getDomainConfig(ctx context.Context, q db.Querier, domainID string) (c DomainConfig, err error) {
	if _, err := getDomain(ctx, q, "id", domainID); err != nil {
		return nil, err
	}
	sealed := ""
	if err := q.QueryRowContext(ctx, `SELECT sealed FROM identity_domain_config WHERE domain_id = $1`, domainID).Scan(&sealed); err != nil {
		return nil, missing(err, "domain configuration for domain", domainID)
	}
	text, err := s.keyring.Unseal(configPurpose(domainID), sealed)
	if err != nil {
		return nil, err
	}
	return c, json.Unmarshal(text, &c)
}

// UpdateDomainConfig changes a domain's configuration, which is empty before it is made; an empty one is none.
func (s *Service) UpdateDomainConfig(ctx context.Context, domainID string, change func(DomainConfig) error) (DomainConfig, error) {
	var config DomainConfig
	err := s.db.Tx(ctx, func(tx *db.Tx) (err error) {
		if _, err := getDomain(ctx, tx, "id", domainID); err != nil {
			return err
		}
		config, err = s.getDomainConfig(ctx, tx, domainID)
		if fault.Is(err, fault.NotFound) {
			config, err = DomainConfig{}, nil
		}
		if err != nil {
			return err
		}
		if err := change(config); err != nil {
			return err
		}
		if len(config) == 0 {
			_, err := tx.ExecContext(ctx, `DELETE FROM identity_domain_config WHERE domain_id = $1`, domainID)
			return err
		}
		if err := config.check(); err != nil {
			return err
		}
		text, err := json.Marshal(config)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO identity_domain_config (domain_id, sealed) VALUES ($1, $2) ON CONFLICT (domain_id) DO UPDATE SET sealed = excluded.sealed`,
			domainID, s.keyring.Seal(configPurpose(domainID), text))
		return err
	})
	return config, err
}
