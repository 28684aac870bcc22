package workflow

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ingotcloud/ingot/internal/db"
)

// Flow is the recipe of one kind of long work over the state struct S, which is kept as JSON between steps.
type Flow[S any] struct {
	Name  string // in the database: never renamed while runs exist
	Steps []Step[S]
}

// Step is one line of a recipe. Name is its identity in the database and never changes; Title is the sentence that
// console, log and tests show.
type Step[S any] struct {
	Name, Title string
	do, undo    body[S]
}

// TxBody runs inside the transaction that records the step.
type TxBody[S any] func(ctx context.Context, tx *db.Tx, run *Run, s *S) error

// DoBody touches the world and is written as "ensure".
type DoBody[S any] func(ctx context.Context, run *Run, s *S) error

// body is one of the two kinds, or nothing.
type body[S any] struct {
	tx TxBody[S]
	do DoBody[S]
}

// Tx makes a step whose body commits together with the step's record.
func Tx[S any](name, title string, f TxBody[S]) Step[S] {
	return Step[S]{Name: name, Title: title, do: body[S]{tx: f}}
}

// Do makes a step whose body touches the world.
func Do[S any](name, title string, f DoBody[S]) Step[S] {
	return Step[S]{Name: name, Title: title, do: body[S]{do: f}}
}

// UndoTx adds what takes the step back, inside the transaction that records the undo. It also runs when the step's own
// body failed half way, so it must accept that nothing was done yet.
func (s Step[S]) UndoTx(f TxBody[S]) Step[S] {
	s.undo = body[S]{tx: f}
	return s
}

// UndoDo adds what takes the step back in the world; like UndoTx it must accept that nothing was done yet.
func (s Step[S]) UndoDo(f DoBody[S]) Step[S] {
	s.undo = body[S]{do: f}
	return s
}

// Wrap puts f around every body of a flow: how a test fails or stops a flow at a chosen point. The call runs the body
// and gives its error.
func (flow Flow[S]) Wrap(f func(step string, backward bool, call func() error) error) Flow[S] {
	wrap := func(step string, backward bool, b body[S]) body[S] {
		switch {
		case b.tx != nil:
			inner := b.tx
			b.tx = func(ctx context.Context, tx *db.Tx, run *Run, s *S) error {
				return f(step, backward, func() error { return inner(ctx, tx, run, s) })
			}
		case b.do != nil:
			inner := b.do
			b.do = func(ctx context.Context, run *Run, s *S) error {
				return f(step, backward, func() error { return inner(ctx, run, s) })
			}
		}
		return b
	}
	steps := make([]Step[S], len(flow.Steps))
	for i, step := range flow.Steps {
		step.do, step.undo = wrap(step.Name, false, step.do), wrap(step.Name, true, step.undo)
		steps[i] = step
	}
	return Flow[S]{Name: flow.Name, Steps: steps}
}

// recipe is a Flow without its type parameter: what the engine handles.
type recipe struct {
	name  string
	steps []recipeStep
}

type recipeStep struct {
	name, title string
	forward     call
	backward    call
}

// call is a body bound to decoding and encoding of the state. At most one of the two is set.
type call struct {
	tx func(ctx context.Context, tx *db.Tx, run *Run) error
	do func(ctx context.Context, run *Run) error
}

func (c call) none() bool { return c.tx == nil && c.do == nil }

func (flow Flow[S]) recipe() (recipe, error) {
	r := recipe{name: flow.Name}
	seen := map[string]bool{}
	for _, step := range flow.Steps {
		if step.Name == "" || seen[step.Name] || step.do.tx == nil && step.do.do == nil {
			return recipe{}, fmt.Errorf("flow %s: step %q has no name, no body, or the name of another", flow.Name, step.Name)
		}
		seen[step.Name] = true
		r.steps = append(r.steps, recipeStep{step.Name, step.Title, step.do.bind(), step.undo.bind()})
	}
	if len(r.steps) == 0 {
		return recipe{}, fmt.Errorf("flow %s has no steps", flow.Name)
	}
	return r, nil
}

func (b body[S]) bind() call {
	switch {
	case b.tx != nil:
		return call{tx: func(ctx context.Context, tx *db.Tx, run *Run) error {
			return withState(run, func(s *S) error { return b.tx(ctx, tx, run, s) })
		}}
	case b.do != nil:
		return call{do: func(ctx context.Context, run *Run) error {
			return withState(run, func(s *S) error { return b.do(ctx, run, s) })
		}}
	}
	return call{}
}

// withState lends the decoded state to f. The run keeps the new state also when f failed; the engine decides whether
// that is saved.
func withState[S any](run *Run, f func(*S) error) error {
	var s S
	if err := json.Unmarshal(run.state, &s); err != nil {
		return Stuck(fmt.Errorf("the state of run %s does not fit flow %s: %w", run.ID, run.Flow, err))
	}
	outcome := f(&s)
	state, err := json.Marshal(s)
	if err != nil {
		return Stuck(fmt.Errorf("the state of run %s cannot be kept: %w", run.ID, err))
	}
	run.state = state
	return outcome
}

func (r recipe) index(step string) int {
	for i := range r.steps {
		if r.steps[i].name == step {
			return i
		}
	}
	return -1
}
