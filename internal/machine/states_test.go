package machine

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/machine-states.md anew")

const statesPage = "../../docs/machine-states.md"

func allStates() []State {
	return []State{Enroll, Verifying, Manageable, Inspecting, InspectFailed, Cleaning, CleanFailed, Available, Deploying, DeployFailed, Active, Deleting, Adopting, AdoptFailed, Rescuing}
}

// Nobody is ever stuck: every state is reached from enroll, and from every state a way leads to available.
func TestEveryStateCanBeLeft(t *testing.T) {
	reach := func(from State, back bool) map[State]bool {
		seen, todo := map[State]bool{from: true}, []State{from}
		for len(todo) > 0 {
			state := todo[0]
			todo = todo[1:]
			for _, tr := range transitions {
				a, b := tr.from, tr.to
				if back {
					a, b = b, a
				}
				if a == state && !seen[b] {
					seen[b] = true
					todo = append(todo, b)
				}
			}
		}
		return seen
	}
	entered, home := reach(Enroll, false), reach(Available, true)
	for _, state := range allStates() {
		if !entered[state] {
			t.Errorf("nothing leads to %s", state)
		}
		if !home[state] {
			t.Errorf("no way leads from %s to available", state)
		}
		delete(entered, state)
	}
	for state := range entered {
		t.Errorf("the table has a state %q of its own", state)
	}
	known := map[string]bool{}
	for _, tr := range transitions {
		if key := string(tr.from + " → " + tr.to); known[key] || tr.why == "" {
			t.Errorf("%s is there twice or has no reason", key)
		} else {
			known[key] = true
		}
	}
}

// Where an operator finds a machine after a failure, a verb works.
func TestEveryFailureHasAVerb(t *testing.T) {
	for _, state := range []State{Enroll, InspectFailed, CleanFailed, DeployFailed, AdoptFailed} {
		if !slices.ContainsFunc(slices.Collect(maps.Values(verbs)), func(states []State) bool { return slices.Contains(states, state) }) {
			t.Errorf("no verb fits %s", state)
		}
	}
}

func TestTheStatesPageIsCurrent(t *testing.T) {
	want := page()
	if *update {
		if err := os.WriteFile(statesPage, []byte(want), 0o644); err != nil { //nolint:gosec // documentation
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(statesPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("docs/machine-states.md is not what the table says: go test ./internal/machine -run StatesPage -update")
	}
}

// page is docs/machine-states.md.
func page() string {
	var b strings.Builder
	b.WriteString(`# The states of a machine

This page is made from the table in ` + "`internal/machine/states.go`" + `. The names are those of Ironic's provision states; while
the work waits for the agent, the Bare Metal API shows ` + "`inspect wait`, `clean wait` and `wait call-back`" + ` for inspecting, cleaning
and deploying.

` + "```mermaid\nstateDiagram-v2\n    direction LR\n    [*] --> enroll\n")
	id := func(s State) string { return strings.ReplaceAll(string(s), " ", "_") }
	for _, state := range allStates() {
		if id(state) != string(state) {
			fmt.Fprintf(&b, "    state \"%s\" as %s\n", state, id(state))
		}
	}
	for _, tr := range transitions {
		fmt.Fprintf(&b, "    %s --> %s\n", id(tr.from), id(tr.to))
	}
	b.WriteString("```\n\n| from | to | when |\n|---|---|---|\n")
	for _, tr := range transitions {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", tr.from, tr.to, tr.why)
	}
	b.WriteString("\n## What an operator may ask\n\n| verb | in the states |\n|---|---|\n")
	for _, verb := range slices.Sorted(maps.Keys(verbs)) {
		names := []string{}
		for _, state := range verbs[verb] {
			names = append(names, string(state))
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", verb, strings.Join(names, ", "))
	}
	b.WriteString(`
A machine in trouble is *quarantined*: in maintenance, with the reason as its maintenance reason, its fault and its last
error. Nobody gets it. The ways back: end the maintenance (a spare that did not start its agent), ` + "`manage`" + ` and then what the
trouble asks for, or ` + "`deleted`" + ` (undeploy), which cleans a machine whose deploy failed. A maintenance that an operator ordered
stays until an operator ends it.
`)
	return b.String()
}
