package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// Credential is a secret that the identity keeps for a user: EC2 keys, the key of one-time passwords, anything else that
// clients put there. The blob is encrypted at rest.
type Credential struct {
	ID, UserID string
	ProjectID  *string
	Type, Blob string
	Extra      Extra
}

// TypeEC2 credentials hold {"access", "secret"}; their id is the hash of the access key, as in Keystone.
const TypeEC2 = "ec2"

const credentialColumns = `SELECT id, user_id, project_id, type, sealed, extra FROM identity_credential`

func (s *Service) scanCredential(row db.Scanner) (c Credential, err error) {
	sealed := ""
	if err := row.Scan(&c.ID, &c.UserID, &c.ProjectID, &c.Type, &sealed, db.JSON(&c.Extra)); err != nil {
		return c, err
	}
	blob, err := s.keyring.Unseal(credentialPurpose(c.ID), sealed)
	c.Blob = string(blob)
	return c, err
}

func credentialPurpose(id string) string { return "credential " + id }

// CreateCredential stores a new credential. Its user must exist, and its project where it names one.
func (s *Service) CreateCredential(ctx context.Context, c Credential) (Credential, error) {
	if err := c.check(); err != nil {
		return c, err
	}
	c.ID = newID()
	if strings.EqualFold(c.Type, TypeEC2) {
		c.ID = ec2ID(c.Blob)
	}
	return c, s.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := getUser(ctx, tx, c.UserID); err != nil {
			return err
		}
		if c.ProjectID != nil {
			if _, err := getProject(ctx, tx, *c.ProjectID); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO identity_credential (id, user_id, project_id, type, sealed, used_step, extra) VALUES ($1, $2, $3, $4, $5, 0, $6)`,
			c.ID, c.UserID, c.ProjectID, c.Type, s.keyring.Seal(credentialPurpose(c.ID), []byte(c.Blob)), db.JSON(c.Extra))
		return taken(err, "credential", c.ID)
	})
}

func (c *Credential) check() error {
	if c.Type == "" || len(c.Type) > 255 {
		return fault.New(fault.Invalid, "Invalid input for field 'type': a credential's type has 1 to 255 characters.")
	}
	switch strings.ToLower(c.Type) {
	case TypeEC2:
		if c.ProjectID == nil {
			return fault.New(fault.Invalid, "Expecting to find project_id in credential: an ec2 credential is for a project.")
		}
		if ec2Access(c.Blob) == "" {
			return fault.New(fault.Invalid, "Invalid blob in credential: that of an ec2 credential is a JSON object with access and secret.")
		}
	case "totp":
		if _, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(strings.ToUpper(c.Blob), "=")); err != nil || c.Blob == "" {
			return fault.Wrap(err, fault.Invalid, "Invalid blob in credential: that of a totp credential is a key in base32.")
		}
	}
	return nil
}

func ec2Access(blob string) string {
	var keys struct {
		Access string `json:"access"`
		Secret string `json:"secret"`
	}
	if json.Unmarshal([]byte(blob), &keys) != nil {
		return ""
	}
	return keys.Access
}

func ec2ID(blob string) string { return EC2CredentialID(ec2Access(blob)) }

// EC2CredentialID is the id of the credential with the access key.
func EC2CredentialID(access string) string {
	sum := sha256.Sum256([]byte(access))
	return hex.EncodeToString(sum[:])
}

// NewEC2Keys draws keys for an EC2 credential.
func NewEC2Keys() (access, secret string) { return newID(), newID() }

// Credential finds a credential by id.
func (s *Service) Credential(ctx context.Context, id string) (Credential, error) {
	return s.getCredential(ctx, s.db, id)
}

func (s *Service) getCredential(ctx context.Context, q db.Querier, id string) (Credential, error) {
	c, err := s.scanCredential(q.QueryRowContext(ctx, credentialColumns+" WHERE id = $1", id))
	return c, missing(err, "credential", id)
}

// CredentialFilter narrows a list; empty fields do not.
type CredentialFilter struct{ UserID, Type string }

// Credentials lists credentials by id.
func (s *Service) Credentials(ctx context.Context, f CredentialFilter) ([]Credential, error) {
	var where db.Where
	if f.UserID != "" {
		where.And("user_id = ?", f.UserID)
	}
	if f.Type != "" {
		where.And("type = ?", f.Type)
	}
	return db.List(ctx, s.db, s.scanCredential, credentialColumns+where.String()+" ORDER BY id", where.Args...)
}

// UpdateCredential changes a credential; its owner stays.
func (s *Service) UpdateCredential(ctx context.Context, id string, change func(*Credential) error) (Credential, error) {
	return amend(ctx, s.db,
		func(q db.Querier) (Credential, error) { return s.getCredential(ctx, q, id) }, change,
		func(q db.Querier, c Credential) error {
			if err := c.check(); err != nil {
				return err
			}
			if c.ProjectID != nil {
				if _, err := getProject(ctx, q, *c.ProjectID); err != nil {
					return err
				}
			}
			_, err := q.ExecContext(ctx, `UPDATE identity_credential SET project_id = $2, type = $3, sealed = $4, used_step = 0, extra = $5 WHERE id = $1`,
				id, c.ProjectID, c.Type, s.keyring.Seal(credentialPurpose(id), []byte(c.Blob)), db.JSON(c.Extra))
			return err
		})
}

// DeleteCredential deletes a credential.
func (s *Service) DeleteCredential(ctx context.Context, id string) error {
	return remove(ctx, s.db, "identity_credential", "credential", id)
}
