// SPDX-License-Identifier: MIT

package demo

import (
	"fmt"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"

	"bos/internal/bos"
	"bos/internal/xname"
)

// part is one of the ways that nodes are in, and how a bar shows it: by a colour
// and, for those who see none, by a sign.
type part struct {
	name  string
	sign  string
	style lipgloss.Style
	count func(Counts) int
}

// parts returns the parts of a bar from left to right.
func parts() []part {
	colour := func(c string) lipgloss.Style { return lipgloss.NewStyle().Foreground(lipgloss.Color(c)) }
	return []part{
		{"succeeded", "█", colour("2"), func(c Counts) int { return c.Succeeded }},
		{"failed", "×", colour("1"), func(c Counts) int { return c.Failed }},
		{"configuring", "▓", colour("6"), func(c Counts) int { return c.Configuring }},
		{"powering on", "▒", colour("3"), func(c Counts) int { return c.PoweringOn }},
		{"powering off", "░", colour("5"), func(c Counts) int { return c.PoweringOff }},
		{"waiting", "·", colour("8"), func(c Counts) int { return c.Waiting }},
	}
}

const (
	// narrowest and widest bound the width of the picture, in columns.
	narrowest, widest = 40, 110
	// nameColumn stands in front of a bar, secondsColumn behind it, after how
	// many nodes of how many made it.
	nameColumn, secondsColumn = 10, 26
)

// picture draws progress for a terminal of some columns and lines.
func picture(p Progress, width, height int) string {
	width = min(max(width-1, narrowest), widest)
	bold, faint := lipgloss.NewStyle().Bold(true), lipgloss.NewStyle().Faint(true)
	var lines []string
	add := func(line string) { lines = append(lines, " "+line) }
	add(bold.Render("BOS") + faint.Render(" "+titleOf(p)))
	if p.URL != "" {
		add(faint.Render("API " + p.URL))
	}
	add("")
	for _, s := range p.Steps {
		lines = append(lines, stepLines(s, p.Nodes, width)...)
		add("")
	}
	add(legend())
	if p.Doing != "" {
		add("")
		add(p.Doing + faint.Render(" …"))
	}
	if !p.Over && len(p.Failures) > 0 {
		room := height - len(lines) - 3
		lines = append(lines, failurePart(p.Failures, room)...)
	}
	for i, line := range lines {
		lines[i] = clip(line, width)
	}
	return strings.Join(lines, "\n") + "\n"
}

func titleOf(p Progress) string {
	text := fmt.Sprintf("drives %d simulated nodes, %g times as fast as real ones, seed %d", p.Nodes, 1/p.TimeScale, p.Seed)
	if p.Faults != 0 {
		text += ", " + p.Faults.String() + " faults"
	}
	return text
}

// stepLines draws an operation: its bar, and under it what is going on.
func stepLines(s Step, nodes, width int) []string {
	faint := lipgloss.NewStyle().Faint(true)
	name := lipgloss.NewStyle().Width(nameColumn).Bold(s.Stage == StageRunning).Faint(s.Stage == StageWaiting)
	digits := len(strconv.Itoa(nodes))
	numbers := fmt.Sprintf("  %*d/%d", digits, s.Counts.Succeeded, nodes)
	size := max(10, width-nameColumn-len(numbers)-secondsColumn)
	under := "to " + s.Goal
	switch s.Stage {
	case StageWaiting:
		numbers = ""
	case StageRunning:
		numbers += "  " + seconds(s.Total)
		if text := s.Counts.running(); text != "" {
			under += ": " + text
		}
		bold := lipgloss.NewStyle().Bold(true)
		numbers = bold.Render(numbers)
	case StageEnded:
		numbers += fmt.Sprintf("  %s, hardware %s", seconds(s.Total), seconds(s.Hardware))
		if s.Counts.Failed > 0 {
			under += fmt.Sprintf(": %d failed", s.Counts.Failed)
		}
	}
	first := " " + name.Render(string(s.Operation)) + bar(s.Counts, size) + numbers
	// What a node is to become explains a bar, it doesn't compete with it.
	second := strings.Repeat(" ", 1+nameColumn) + faint.Render(under)
	return []string{first, second}
}

// running lists the counts of nodes that are on their way, or failed.
func (c Counts) running() string {
	c.Succeeded = 0
	return c.String()
}

// bar draws how many nodes are how far, so wide. What there is at all is seen.
func bar(c Counts, size int) string {
	all := parts()
	counts := make([]int, len(all))
	for i, p := range all {
		counts[i] = p.count(c)
	}
	var b strings.Builder
	for i, n := range shares(counts, size) {
		if n == 0 {
			continue
		}
		b.WriteString(all[i].style.Render(strings.Repeat(all[i].sign, n)))
	}
	return b.String()
}

// shares divides size among counts in proportion; what is not 0 gets at least 1
// as long as there is room.
func shares(counts []int, size int) []int {
	total, some := 0, 0
	for _, n := range counts {
		total += n
		if n > 0 {
			some++
		}
	}
	out := make([]int, len(counts))
	if total == 0 || some > size {
		return out
	}
	left := size
	for i, n := range counts {
		if n > 0 {
			out[i] = max(1, n*size/total)
			left -= out[i]
		}
	}
	for ; left != 0; left -= sign(left) {
		// The largest one can best stand a cell more or less.
		largest := 0
		for i := range out {
			if out[i] > out[largest] || out[i] == out[largest] && counts[i] > counts[largest] {
				largest = i
			}
		}
		out[largest] += sign(left)
	}
	return out
}

func sign(n int) int {
	if n < 0 {
		return -1
	}
	return 1
}

func legend() string {
	var names []string
	for _, p := range parts() {
		names = append(names, p.style.Render(p.sign)+" "+p.name)
	}
	return strings.Join(names, "  ")
}

// failurePart draws the last failures, folded, in at most so many lines.
func failurePart(list []Failure, room int) []string {
	type key struct {
		operation bos.Operation
		reason    string
	}
	var keys []key
	nodes := map[key][]string{}
	for _, f := range list {
		k := key{f.Operation, f.Reason}
		if nodes[k] == nil {
			keys = append(keys, k)
		}
		nodes[k] = append(nodes[k], f.Node)
	}
	red, faint := lipgloss.NewStyle().Foreground(lipgloss.Color("1")), lipgloss.NewStyle().Faint(true)
	const linesEach = 2
	shown := max(1, room/linesEach)
	lines := []string{""}
	if hidden := len(keys) - shown; hidden > 0 {
		lines = append(lines, faint.Render(fmt.Sprintf(" %d earlier kinds of failure are in the summary at the end", hidden)))
		keys = keys[hidden:]
	}
	for _, k := range keys {
		lines = append(lines,
			" "+red.Render(fmt.Sprintf("× %-8s", k.operation))+fmt.Sprintf(" %d failed: %s", len(nodes[k]), xname.Fold(nodes[k])),
			strings.Repeat(" ", 1+nameColumn)+faint.Render(" "+k.reason))
	}
	return lines
}

// clip cuts a line that may hold colours.
func clip(line string, width int) string {
	if lipgloss.Width(line) <= width {
		return line
	}
	return lipgloss.NewStyle().MaxWidth(max(1, width-1)).Render(line) + "…"
}
