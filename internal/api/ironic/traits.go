package ironic

import (
	"regexp"
	"slices"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// noTraitsYet answers versions that took "traits" for the name of a field.
func noTraitsYet(r *osapi.Request) (any, error) { return nil, tooNew(r, "the path traits") }

func (a *api) listTraits(r *osapi.Request) (any, error) {
	n, err := a.find(r)
	if err != nil {
		return nil, err
	}
	return object{"traits": n.Traits}, nil
}

// maxTraits of a node (ironic/objects/trait.py).
const maxTraits = 50

var traitName = regexp.MustCompile(`^[A-Z0-9_]{1,255}$`)

// changeTraits saves what change makes of a node's traits.
func (a *api) changeTraits(r *osapi.Request, change func(traits []string) ([]string, error)) (any, error) {
	n, err := a.findToChange(r)
	if err != nil {
		return nil, err
	}
	return nil, a.db.Tx(r.Context(), func(tx *db.Tx) error {
		m, err := a.machines.Get(r.Context(), tx, n.ID)
		if err != nil {
			return err
		}
		traits, err := change(slices.Clone(m.Traits))
		if err != nil {
			return err
		}
		for _, trait := range traits {
			if !traitName.MatchString(trait) {
				return fault.New(fault.Invalid, "Invalid trait %q: a trait has capital letters, digits and underscores only.", trait)
			}
		}
		slices.Sort(traits)
		m.Traits = slices.Compact(traits)
		if len(m.Traits) > maxTraits {
			return fault.New(fault.Invalid, "A node may have %d traits.", maxTraits)
		}
		return a.machines.Update(r.Context(), tx, m)
	})
}

func (a *api) setTraits(r *osapi.Request) (any, error) {
	var body struct {
		Traits []string `json:"traits"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return a.changeTraits(r, func([]string) ([]string, error) { return body.Traits, nil })
}

func (a *api) clearTraits(r *osapi.Request) (any, error) {
	return a.changeTraits(r, func([]string) ([]string, error) { return nil, nil })
}

func (a *api) addTrait(r *osapi.Request) (any, error) {
	return a.changeTraits(r, func(traits []string) ([]string, error) { return append(traits, r.Path("trait")), nil })
}

func (a *api) removeTrait(r *osapi.Request) (any, error) {
	return a.changeTraits(r, func(traits []string) ([]string, error) {
		at := slices.Index(traits, r.Path("trait"))
		if at < 0 {
			return nil, fault.New(fault.NotFound, "The node doesn't have a trait '%s'", r.Path("trait"))
		}
		return slices.Delete(traits, at, at+1), nil
	})
}
