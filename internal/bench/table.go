// SPDX-License-Identifier: MIT

package bench

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// text says a goal in a few words.
func (g goal) text(unit string) string {
	v := strconv.FormatFloat(g.value, 'g', -1, 64)
	switch g.kind {
	case goalShare:
		return fmt.Sprintf("≥ %.0f%% of the limit", g.value*100)
	case goalTimes:
		return "≤ " + v + "x the limit's time"
	case goalFaster:
		return "≥ " + v + "x the original"
	case goalOverLimit:
		return "≤ limit + " + v + " s or 10%"
	case goalAtMost:
	}
	return "≤ " + v + " " + unit
}

// WriteTable writes a report for people: one table for each size, and what a
// node costs from the smallest size to the largest.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(cells ...string) { _, _ = fmt.Fprintln(t, strings.Join(cells, "\t")) }
	line("measured on " + r.Machine + ", " + r.Began.Format("2006-01-02 15:04"))
	line("original: " + r.Original.Program + "; " + r.Original.Conditions)
	for _, size := range r.Sizes {
		line("")
		heading := fmt.Sprintf("%s nodes, list of %.1f MB", grouped(size.Nodes), float64(size.Bytes)/1e6)
		if size.Hardware > 0 {
			heading += fmt.Sprintf(", hardware needs %.1f s to boot", size.Hardware)
		}
		line(heading)
		line("work", "original", "ours", "limit", "of limit", "faster", "goal", "")
		for _, row := range size.Rows {
			line(row.cells()...)
		}
		for _, note := range size.Notes {
			line("note: " + note)
		}
	}
	r.writeCurve(line)
	return t.Flush()
}

// cells are a row of the table.
func (r Result) cells() []string {
	original, limit, share, faster, goal, verdict := "", "", "", "", "", ""
	if o := r.Original; o != nil {
		if original = amount(o.Low); o.High != o.Low {
			original += "-" + amount(o.High)
		}
		original += " " + o.Unit
		faster = fmt.Sprintf("%.3gx", r.Faster)
	}
	if r.Limit != nil {
		limit = amount(r.Limit.Median) + " " + r.Unit + " (" + r.LimitOf + ")"
		share = fmt.Sprintf("%.0f%%", r.Share*100)
	}
	if r.Met != nil {
		goal, verdict = r.Goal, "missed"
		if *r.Met {
			verdict = "met"
		}
	}
	return []string{r.Work, original, amount(r.Ours.Median) + " " + r.Unit, limit, share, faster, goal, verdict}
}

// curved are the rows of which the cost of one node is shown.
func curved() []string { return []string{rowListAll, rowRunning, rowFirstOn, rowBoot, rowMemory} }

// writeCurve shows what one node costs at each size.
func (r *Report) writeCurve(line func(...string)) {
	if len(r.Sizes) < 2 {
		return
	}
	line("")
	header := []string{"cost of a node"}
	for _, size := range r.Sizes {
		header = append(header, grouped(size.Nodes)+" nodes")
	}
	line(header...)
	for _, name := range curved() {
		cells := []string{name}
		found := false
		for _, size := range r.Sizes {
			cell := ""
			for _, row := range size.Rows {
				if row.Row == name {
					cell, found = perNode(row, size.Nodes), true
				}
			}
			cells = append(cells, cell)
		}
		if found {
			line(cells...)
		}
	}
}

// perNode is a row's figure for one node: microseconds, or KiB. Of a boot only
// what it takes beyond the hardware counts.
func perNode(r Result, nodes int) string {
	value := r.Ours.Median
	switch r.Unit {
	case unitMiB:
		return fmt.Sprintf("%.1f KiB", value*1024/float64(nodes))
	case unitSeconds:
		value *= 1000
		if r.Row == rowBoot && r.Limit != nil {
			value -= r.Limit.Median * 1000
		}
	}
	return fmt.Sprintf("%.1f µs", value*1000/float64(nodes))
}

// amount writes a figure with three digits, or all before the point.
func amount(v float64) string {
	switch {
	case v >= 100:
		return grouped(int(v + 0.5))
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// grouped writes a number with commas between thousands.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
