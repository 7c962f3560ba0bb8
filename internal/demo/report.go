// SPDX-License-Identifier: MIT

package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"bos/internal/bos"
	"bos/internal/sim"
	"bos/internal/xname"
)

// Report is what came of a demonstration. Its JSON is a contract.
type Report struct {
	Nodes      int         `json:"nodes"`
	Operations []Operation `json:"operations"`
	// Faults are all nodes that were broken, in their natural order.
	Faults []Fault `json:"faults"`
	// Violations are what the simulated site saw that no correct client does.
	Violations []sim.Violation `json:"-"`
}

// Operation is what came of one operation.
type Operation struct {
	Operation bos.Operation `json:"operation"`
	Succeeded int           `json:"succeeded"`
	Failed    int           `json:"failed"`
	// Seconds is how long it took, HardwareSeconds for how much of that the
	// simulated hardware was at work for a node that it wasn't done with.
	Seconds         float64 `json:"seconds"`
	HardwareSeconds float64 `json:"hardware_seconds"`
	// Outcomes are those of all nodes, in their natural order.
	Outcomes []Outcome `json:"-"`
}

// Outcome is what an operation made of a node.
type Outcome struct {
	Node string
	OK   bool
	// Reason is why it failed.
	Reason string
	// Remark is what was unusual about a success.
	Remark string
	// Expected says that the node was broken so that it could not succeed.
	Expected bool
}

// String says what came of the node, for people.
func (o Outcome) String() string {
	switch {
	case !o.OK:
		return "failed: " + o.Reason
	case o.Remark != "":
		return "succeeded " + o.Remark
	}
	return "succeeded"
}

// Fault is a broken node, how it was broken, and what BOS reported of it.
type Fault struct {
	Node     string `json:"node"`
	Injected string `json:"injected"`
	Reported string `json:"reported"`
	// Reports are what Reported joins: one for each different outcome.
	Reports []string `json:"-"`
}

// The reasons that BOS doesn't give as a component's error.
const (
	reasonLeftOut = "left out of the session at set-up"
	reasonGivenUp = "cancelled, since nothing had changed for longer than BOS waits for anything"
)

// judge finds out what an operation made of each node: what BOS says, and
// whether the node itself agrees.
func judge(
	s step, nodes []string, faults map[string]sim.Fault, session bos.Session, comps []bos.Component, log *tracker,
	seen *witness, truth func(string) (sim.NodeState, bool),
) Operation {
	byID := make(map[string]*bos.Component, len(comps))
	for i := range comps {
		byID[comps[i].ID] = &comps[i]
	}
	result := Operation{Operation: s.operation, Outcomes: make([]Outcome, 0, len(nodes))}
	for _, id := range nodes {
		o := Outcome{Node: id}
		o.Reason = reasonOf(session, byID[id], log.seen[id])
		if o.Reason == "" {
			state, _ := truth(id)
			o.Reason = untrue(s, state)
		}
		o.OK = o.Reason == ""
		if o.OK {
			result.Succeeded++
			o.Remark = seen.remark(id)
		} else {
			result.Failed++
			o.Expected = !CouldSucceed(faults[id], s.operation)
		}
		result.Outcomes = append(result.Outcomes, o)
	}
	return result
}

// reasonOf says why a node failed by what BOS shows of it; empty if it did not.
func reasonOf(session bos.Session, c *bos.Component, seen *sighting) string {
	switch {
	case c == nil && session.Status.Error != nil && *session.Status.Error != "":
		return "the session failed: " + *session.Status.Error
	case c == nil:
		return reasonLeftOut
	case seen != nil && seen.cancelled != "":
		return strings.TrimSuffix(fmt.Sprintf("%s (%s, %s", reasonGivenUp, seen.cancelled, c.Error.Value()), ", ") + ")"
	case c.StatusNow() == bos.StatusStable && c.Error.Value() == "" && !c.Enabled.Value():
		return ""
	case c.Error.Value() != "":
		return c.Error.Value()
	}
	return fmt.Sprintf("no error is shown (%s)", c.StatusNow())
}

// untrue says how a node is not as BOS says that it is; empty if it is.
func untrue(s step, n sim.NodeState) string {
	if s.operation == bos.OperationShutdown {
		if n.Power != "off" {
			return "BOS says that it is off, but it is on"
		}
		return ""
	}
	switch {
	case n.Power != "on" || !n.Up:
		return "BOS says that it runs, but it is not up"
	case !strings.Contains(n.Kernel, s.image.ID):
		return "BOS says that it runs " + s.image.Name + ", but its kernel is " + n.Kernel
	case n.Config != s.configuration || n.ConfigStatus != "configured":
		return fmt.Sprintf("BOS says that it is configured with %s, but it is %s with %q", s.configuration, n.ConfigStatus, n.Config)
	}
	return ""
}

// reported sums up what BOS reported of each broken node.
func reported(faults map[string]sim.Fault, operations []Operation) []Fault {
	out := []Fault{}
	byNode := map[string][]Outcome{}
	for _, op := range operations {
		for _, o := range op.Outcomes {
			byNode[o.Node] = append(byNode[o.Node], o)
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(faults), xname.Compare) {
		var names, texts []string
		for i, o := range byNode[id] {
			name := string(operations[i].Operation)
			if text := o.String(); len(texts) > 0 && texts[len(texts)-1] == text {
				names[len(names)-1] += ", " + name
			} else {
				names, texts = append(names, name), append(texts, text)
			}
		}
		for i := range texts {
			texts[i] = names[i] + " " + texts[i]
		}
		out = append(out, Fault{Node: id, Injected: describe(faults[id]), Reported: strings.Join(texts, "; "), Reports: texts})
	}
	return out
}

// WriteJSON writes the report as one line of JSON.
func (r Report) WriteJSON(w io.Writer) error {
	if r.Operations == nil {
		r.Operations = []Operation{}
	}
	if r.Faults == nil {
		r.Faults = []Fault{}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// Err says what went wrong: nodes that failed and could have succeeded, and
// what the site saw that no correct client does. Nil if all is well.
func (r Report) Err() error {
	var faults []string
	for _, op := range r.Operations {
		n, first := 0, ""
		for _, o := range op.Outcomes {
			if !o.OK && !o.Expected {
				if n == 0 {
					first = o.Node + " " + o.String()
				}
				n++
			}
		}
		if n > 0 {
			faults = append(faults, fmt.Sprintf("%s: %d node(s) failed that could have succeeded, the first: %s", op.Operation, n, first))
		}
	}
	if n := len(r.Violations); n > 0 {
		v := r.Violations[0]
		faults = append(faults, fmt.Sprintf("the simulated site saw %d commands that no correct client sends, the first: %s %s: %s",
			n, v.Rule, v.Node, v.Detail))
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(faults, "; "))
}
