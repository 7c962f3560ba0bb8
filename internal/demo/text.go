// SPDX-License-Identifier: MIT

package demo

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"bos/internal/xname"
)

// Lines shows progress as plain lines: what begins and ends, each failure, and
// once a second how far an operation is.
type Lines struct {
	w    io.Writer
	last Progress
	said time.Time
}

// NewLines returns a display that writes lines to w.
func NewLines(w io.Writer) *Lines { return &Lines{w: w} }

// lineEvery is how often a line says how far a running operation is.
const lineEvery = time.Second

// Show writes what is new since the last call.
func (l *Lines) Show(p Progress) {
	now := time.Now()
	for _, line := range news(l.last, p, now.Sub(l.said) >= lineEvery) {
		_, _ = fmt.Fprintln(l.w, line)
		l.said = now
	}
	l.last = p
}

// news returns the lines that tell two progresses apart. due says that a line
// about a running operation is due.
func news(old, now Progress, due bool) []string {
	var lines []string
	if old.URL == "" && now.URL != "" {
		lines = append(lines, headline(now), "API: "+now.URL)
	}
	if now.Options != old.Options {
		lines = append(lines, "options: "+now.Options)
	}
	if now.Doing != "" && now.Doing != old.Doing && due {
		lines = append(lines, now.Doing)
	}
	for i, s := range now.Steps {
		before := Step{}
		if i < len(old.Steps) {
			before = old.Steps[i]
		}
		if s.Stage != StageWaiting && before.Stage == StageWaiting {
			lines = append(lines, fmt.Sprintf("%s: %d nodes to %s", s.Operation, now.Nodes, s.Goal))
		}
	}
	lines = append(lines, failureLines(now.Failures[len(old.Failures):])...)
	for i, s := range now.Steps {
		before := Step{}
		if i < len(old.Steps) {
			before = old.Steps[i]
		}
		switch {
		case s.Stage == StageEnded && before.Stage != StageEnded:
			lines = append(lines, fmt.Sprintf("%s: ended after %s: %d succeeded, %d failed",
				s.Operation, seconds(s.Total), s.Counts.Succeeded, s.Counts.Failed))
		case s.Stage == StageRunning && due && s.Total > 0:
			lines = append(lines, fmt.Sprintf("%s: %s: %s", s.Operation, seconds(s.Total), s.Counts))
		}
	}
	return lines
}

// failureLines folds the nodes that failed for the same reason.
func failureLines(list []Failure) []string {
	type key struct{ operation, reason string }
	var keys []key
	nodes := map[key][]string{}
	for _, f := range list {
		k := key{string(f.Operation), f.Reason}
		if nodes[k] == nil {
			keys = append(keys, k)
		}
		nodes[k] = append(nodes[k], f.Node)
	}
	lines := make([]string, 0, len(keys))
	for _, k := range keys {
		lines = append(lines, fmt.Sprintf("%s: %s failed: %s", k.operation, xname.Fold(nodes[k]), k.reason))
	}
	return lines
}

func headline(p Progress) string {
	text := fmt.Sprintf("BOS drives %d simulated nodes, %g times as fast as real hardware (seed %d)", p.Nodes, 1/p.TimeScale, p.Seed)
	if p.Faults != 0 {
		text += ", with " + p.Faults.String() + " faults"
	}
	return text
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// String lists the counts that are not zero.
func (c Counts) String() string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{
		{c.Waiting, "waiting"}, {c.PoweringOff, "powering off"}, {c.PoweringOn, "powering on"},
		{c.Configuring, "configuring"}, {c.Succeeded, "succeeded"}, {c.Failed, "failed"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return strings.Join(parts, ", ")
}

// WriteSummary writes what came of the demonstration, for people.
func (r Report) WriteSummary(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-10s %8s %10s %8s %9s   %s\n", "operation", "nodes", "succeeded", "failed", "seconds", "of which hardware")
	for _, op := range r.Operations {
		fmt.Fprintf(&b, "%-10s %8d %10d %8d %9.1f   %.1f\n",
			op.Operation, r.Nodes, op.Succeeded, op.Failed, op.Seconds, op.HardwareSeconds)
	}
	for _, op := range r.Operations {
		byReason := map[string][]string{}
		for _, o := range op.Outcomes {
			if !o.OK {
				byReason[o.Reason] = append(byReason[o.Reason], o.Node)
			}
		}
		if len(byReason) > 0 {
			fmt.Fprintf(&b, "\n%s failed for\n", op.Operation)
		}
		for _, reason := range slices.SortedFunc(maps.Keys(byReason), func(x, y string) int {
			return xname.Compare(byReason[x][0], byReason[y][0])
		}) {
			fmt.Fprintf(&b, "  %s: %s\n", xname.Fold(byReason[reason]), reason)
		}
	}
	if len(r.Faults) > 0 {
		b.WriteString("\nWhat was injected, and what BOS reported\n")
	}
	for _, f := range foldFaults(r.Faults) {
		fmt.Fprintf(&b, "  %s: %s\n      %s\n", f.Node, f.Injected, strings.Join(f.Reports, "\n      "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// foldFaults joins nodes with the same fault and the same report.
func foldFaults(faults []Fault) []Fault {
	type key struct{ injected, reported string }
	nodes := map[key][]string{}
	var out []Fault
	for _, f := range faults {
		k := key{f.Injected, f.Reported}
		if nodes[k] == nil {
			out = append(out, f)
		}
		nodes[k] = append(nodes[k], f.Node)
	}
	for i, f := range out {
		out[i].Node = xname.Fold(nodes[key{f.Injected, f.Reported}])
	}
	slices.SortStableFunc(out, func(a, b Fault) int { return strings.Compare(a.Injected, b.Injected) })
	return out
}
