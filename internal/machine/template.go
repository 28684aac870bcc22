package machine

import (
	"context"

	"github.com/ingotcloud/ingot/internal/db"
)

// DeployTemplate is a list of steps under the name of a trait. Operators keep them here; no deploy runs them yet.
type DeployTemplate struct {
	Card
	Name  string
	Steps []DeployStep
}

// DeployStep is one of them, as Ironic has it.
type DeployStep struct {
	Interface string         `json:"interface"`
	Step      string         `json:"step"`
	Args      map[string]any `json:"args"`
	Priority  int            `json:"priority"`
}

func scanTemplate(row db.Scanner) (*DeployTemplate, error) {
	var t DeployTemplate
	return &t, row.Scan(append(t.scanned(), &t.Name, db.JSON(&t.Steps))...)
}

// DeployTemplates gives all of them, oldest first.
func (s *Service) DeployTemplates(ctx context.Context, q db.Querier) ([]*DeployTemplate, error) {
	return db.List(ctx, q, scanTemplate, `SELECT `+cardColumns+`, name, steps FROM machine_deploy_template ORDER BY created_at, id`)
}

// DeployTemplate finds one by its id or name.
func (s *Service) DeployTemplate(ctx context.Context, q db.Querier, ident string) (*DeployTemplate, error) {
	found, err := db.List(ctx, q, scanTemplate, `SELECT `+cardColumns+`, name, steps FROM machine_deploy_template WHERE id = $1 OR name = $1`, ident)
	return one(found, err, "Deploy template", ident)
}

// SaveDeployTemplate makes a template, or changes it.
func (s *Service) SaveDeployTemplate(ctx context.Context, tx *db.Tx, t *DeployTemplate) error {
	taken := "A deploy template with UUID " + t.ID + " or name " + t.Name + " already exists."
	return s.write(ctx, tx, "machine_deploy_template", &t.Card, `name, steps`, []any{t.Name, db.JSON(t.Steps)}, taken)
}

// DeleteDeployTemplate forgets a template.
func (s *Service) DeleteDeployTemplate(ctx context.Context, tx *db.Tx, t *DeployTemplate) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM machine_deploy_template WHERE id = $1`, t.ID)
	return err
}
