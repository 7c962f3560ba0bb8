// SPDX-License-Identifier: MIT

package demo

import (
	"maps"
	"math"
	"slices"
	"time"

	"bos/internal/bos"
	"bos/internal/sim"
	"bos/internal/xname"
)

// Progress is how far a demonstration is. It is a value: nobody changes one that
// was handed out.
type Progress struct {
	Nodes     int
	Seed      uint64
	TimeScale float64
	Faults    sim.FaultLevel
	URL       string
	// Doing is what happens apart from the operations; empty for nothing.
	Doing string
	// Options are those that were set.
	Options string
	Steps   []Step
	// Failures are the nodes that failed, in the order in which it was seen.
	Failures []Failure
	// Over says that all operations have ended.
	Over bool
}

// Stage is whether an operation has begun and ended.
type Stage int

// The stages.
const (
	StageWaiting Stage = iota
	StageRunning
	StageEnded
)

// Step is how far one operation is.
type Step struct {
	Operation bos.Operation
	// Goal is what the nodes are to run then, for people.
	Goal   string
	Stage  Stage
	Counts Counts
	// Total is how long the operation takes so far, Hardware how much of that was
	// the simulated hardware's.
	Total, Hardware time.Duration
	// Result is set once it has ended.
	Result Operation
}

// Counts say how many nodes are how far. All of them together are all nodes.
type Counts struct {
	// Waiting nodes wait for their turn, for a service or for a look at them.
	Waiting, PoweringOff, PoweringOn, Configuring, Succeeded, Failed int
}

// Failure is a node that failed.
type Failure struct {
	Operation bos.Operation
	Node      string
	Reason    string
}

func newProgress(cfg Config, url string, images []sim.Image) Progress {
	goal := func(image sim.Image, configuration string) string { return image.Name + " with " + configuration }
	return Progress{
		Nodes: cfg.Nodes, Seed: cfg.Seed, TimeScale: cfg.TimeScale, Faults: cfg.Faults, URL: url,
		Steps: []Step{
			{Operation: bos.OperationBoot, Goal: goal(images[0], firstConfig), Counts: Counts{Waiting: cfg.Nodes}},
			{Operation: bos.OperationReboot, Goal: goal(images[1], secondConfig), Counts: Counts{Waiting: cfg.Nodes}},
			{Operation: bos.OperationShutdown, Goal: "off", Counts: Counts{Waiting: cfg.Nodes}},
		},
	}
}

// clone returns a copy that may be changed. Failures are only ever appended.
func (p Progress) clone() Progress {
	p.Steps = slices.Clone(p.Steps)
	p.Failures = slices.Clip(p.Failures)
	return p
}

func (p *Progress) begin(index int) {
	p.Doing = ""
	p.Steps[index].Stage = StageRunning
}

// look takes note of a look at the session of a running operation.
func (p *Progress) look(index int, l look, total, hardware time.Duration) {
	s := &p.Steps[index]
	s.Total, s.Hardware = total, hardware
	s.Counts = countsOf(p.Nodes, l)
	failed := map[string]string{}
	for _, c := range l.failed {
		failed[c.ID] = c.Error.Value()
	}
	for _, f := range p.Failures {
		if f.Operation == s.Operation {
			delete(failed, f.Node)
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(failed), xname.Compare) {
		p.Failures = append(p.Failures, Failure{s.Operation, id, failed[id]})
	}
}

// end takes note of what came of an operation.
func (p *Progress) end(index int, result Operation) {
	s := &p.Steps[index]
	s.Stage, s.Result = StageEnded, result
	s.Total, s.Hardware = toDuration(result.Seconds), toDuration(result.HardwareSeconds)
	s.Counts = Counts{Succeeded: result.Succeeded, Failed: result.Failed}
	known := map[string]bool{}
	for _, f := range p.Failures {
		if f.Operation == s.Operation {
			known[f.Node] = true
		}
	}
	for _, o := range result.Outcomes {
		if !o.OK && !known[o.Node] {
			p.Failures = append(p.Failures, Failure{s.Operation, o.Node, o.Reason})
		}
	}
}

// toDuration turns seconds into a duration.
func toDuration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// countsOf counts the nodes of a session by how far they are. The percentages
// that BOS gives have two decimals, enough to count 5,000 nodes exactly; of
// more they may be off by one, until the operation ends.
func countsOf(nodes int, l look) Counts {
	n := float64(l.status.ManagedComponentsCount)
	count := func(percent float64) int { return int(math.Round(percent * n / 100)) }
	phases := l.status.Phases
	c := Counts{
		PoweringOff: count(phases.PercentPoweringOff),
		PoweringOn:  count(phases.PercentPoweringOn),
		Configuring: count(phases.PercentConfiguring),
		Succeeded:   count(l.status.PercentSuccessful),
		Failed:      len(l.failed),
	}
	c.Waiting = max(0, nodes-c.PoweringOff-c.PoweringOn-c.Configuring-c.Succeeded-c.Failed)
	return c
}
