package ironic

import (
	"context"
	"regexp"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/machine"
)

type templateBody struct {
	Name  string     `json:"name"`
	Steps []stepBody `json:"steps"`
	Extra object     `json:"extra"`
}

// stepBody is one step; all its fields must be there (DEPLOY_STEP_SCHEMA in ironic/api/controllers/v1/utils.py).
type stepBody struct {
	Interface string  `json:"interface"`
	Step      string  `json:"step"`
	Args      *object `json:"args"`
	Priority  *int    `json:"priority"`
}

// stepInterfaces are those that have deploy steps (ironic/conductor/steps.py).
var stepInterfaces = regexp.MustCompile(`^(power|management|deploy|bios|raid)$`)

func (a *api) templates() *kept[machine.DeployTemplate, templateBody] {
	return &kept[machine.DeployTemplate, templateBody]{
		api: a, path: "deploy_templates", noun: "Deploy template", since: osapi.V(1, 55), reads: osapi.SystemReader, byName: true,
		collection: collection{key: "deploy_templates", brief: []string{"uuid", "name", "links"}},
		list:       a.machines.DeployTemplates, get: a.machines.DeployTemplate, save: a.machines.SaveDeployTemplate, remove: a.machines.DeleteDeployTemplate,
		card: func(t *machine.DeployTemplate) *machine.Card { return &t.Card },
		view: func(r *osapi.Request, t *machine.DeployTemplate) object {
			steps := []object{}
			for _, s := range t.Steps {
				steps = append(steps, object{"interface": s.Interface, "step": s.Step, "args": masking(s.Args), "priority": s.Priority})
			}
			return carded(r, &t.Card, "deploy_templates", object{"name": t.Name, "steps": steps})
		},
		body: func(t *machine.DeployTemplate) templateBody {
			b := templateBody{Name: t.Name, Steps: []stepBody{}, Extra: orEmpty(t.Extra)}
			for _, s := range t.Steps {
				args := orEmpty(s.Args)
				b.Steps = append(b.Steps, stepBody{s.Interface, s.Step, &args, &s.Priority})
			}
			return b
		},
		read: readTemplate,
	}
}

func readTemplate(_ context.Context, _ *db.Tx, b templateBody, t *machine.DeployTemplate) error {
	if !traitName.MatchString(b.Name) {
		return fault.New(fault.Invalid, "Schema error for template: the name must be a trait: capital letters, digits and underscores.")
	}
	if len(b.Steps) == 0 {
		return fault.New(fault.Invalid, "Schema error for template: it needs steps.")
	}
	t.Name, t.Extra, t.Steps = b.Name, b.Extra, nil
	seen := map[[2]string]bool{}
	for _, s := range b.Steps {
		key := [2]string{s.Interface, s.Step}
		switch {
		case !stepInterfaces.MatchString(s.Interface) || s.Step == "" || s.Args == nil || s.Priority == nil || *s.Priority < 0:
			return fault.New(fault.Invalid, "Schema error for template: a step needs an interface, a step, args and a priority from 0.")
		case seen[key]:
			return fault.New(fault.Invalid, "Duplicate deploy steps: interface %s, step %s.", s.Interface, s.Step)
		}
		seen[key] = true
		t.Steps = append(t.Steps, machine.DeployStep{Interface: s.Interface, Step: s.Step, Args: *s.Args, Priority: *s.Priority})
	}
	return nil
}
