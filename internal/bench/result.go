// SPDX-License-Identifier: MIT

package bench

import (
	"slices"
	"time"
)

// Report is what a run has measured.
type Report struct {
	Began time.Time `json:"began"`
	// Program is the version measured; "" for a service that was already there.
	Program string `json:"program"`
	// Machine says where: CPUs, processors used, Go.
	Machine  string   `json:"machine"`
	Original Original `json:"original"`
	Sizes    []Size   `json:"sizes"`
}

// Size is what was measured with one number of nodes.
type Size struct {
	Nodes int `json:"nodes"`
	// Hardware is how many seconds the simulated hardware needs for the boot; 0
	// if there was no simulated site.
	Hardware float64 `json:"hardware_seconds,omitempty"`
	// Bytes is the size of the list of all components.
	Bytes int      `json:"list_bytes"`
	Rows  []Result `json:"rows"`
	// Notes are what has to be known beside the figures.
	Notes []string `json:"notes,omitempty"`
}

// Figure is what several measurements of the same thing came to.
type Figure struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Rounds int     `json:"rounds"`
}

// Result is a row of the table.
type Result struct {
	Row  string `json:"row"`
	Work string `json:"work"`
	Unit string `json:"unit"`
	Ours Figure `json:"ours"`
	// Limit is the figure of what it is compared with, measured in turn with
	// ours.
	LimitOf string  `json:"limit_of,omitempty"`
	Limit   *Figure `json:"limit,omitempty"`
	// Share is our rate as a share of the limit's: the median over the rounds,
	// each against its own neighbour.
	Share float64 `json:"share_of_limit,omitempty"`
	// Original is the original's figure at this size, Faster how many times
	// better ours is than the best of it.
	Original *OriginalFigure `json:"original,omitempty"`
	Faster   float64         `json:"times_faster,omitempty"`
	Goal     string          `json:"goal,omitempty"`
	Met      *bool           `json:"met,omitempty"`
}

// figure sums measurements up.
func figure(values []float64) Figure {
	if len(values) == 0 {
		return Figure{}
	}
	sorted := slices.Sorted(slices.Values(values))
	return Figure{Median: median(sorted), Low: sorted[0], High: sorted[len(sorted)-1], Rounds: len(sorted)}
}

// median is that of sorted values.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// measured is the raw outcome of a row: rounds of ours, and of the limit beside
// each of them if there is one.
type measured struct {
	row         string
	ours, limit []float64
}

// share returns our rate as a share of the limit's.
func (m measured) share(unit string) float64 {
	var shares []float64
	for i := range min(len(m.ours), len(m.limit)) {
		if m.ours[i] <= 0 || m.limit[i] <= 0 {
			continue
		}
		share := m.ours[i] / m.limit[i]
		if unit != unitRate {
			share = 1 / share
		}
		shares = append(shares, share)
	}
	slices.Sort(shares)
	return median(shares)
}

// results turns what was measured into the rows of the table, in its order.
// Rows that were not measured are left out.
func results(nodes int, all []measured, original Original) []Result {
	var out []Result
	for _, r := range rows() {
		i := slices.IndexFunc(all, func(m measured) bool { return m.row == r.name })
		if i < 0 {
			continue
		}
		out = append(out, result(r, nodes, all[i], original))
	}
	return out
}

func result(r row, nodes int, m measured, original Original) Result {
	out := Result{Row: r.name, Work: r.work, Unit: r.unit, Ours: figure(m.ours), Original: original.figure(r.name, nodes)}
	if len(m.limit) > 0 {
		limit := figure(m.limit)
		out.LimitOf, out.Limit, out.Share = r.limit, &limit, m.share(r.unit)
	}
	if o := out.Original; o != nil && out.Ours.Median > 0 {
		if r.unit == unitRate {
			out.Faster = out.Ours.Median / o.High
		} else {
			out.Faster = o.Low / out.Ours.Median
		}
	}
	if r.goal == nil {
		return out
	}
	if g := r.goal(nodes); g != nil {
		if met, known := g.met(out); known {
			out.Goal, out.Met = g.text(r.unit), &met
		}
	}
	return out
}

// met reports whether a result reaches the goal; known is false if what it is
// compared with was not measured.
func (g goal) met(r Result) (met, known bool) {
	switch g.kind {
	case goalShare:
		return r.Share >= g.value, r.Limit != nil
	case goalTimes:
		return r.Share >= 1/g.value, r.Limit != nil
	case goalFaster:
		return r.Faster >= g.value, r.Original != nil
	case goalOverLimit:
		if r.Limit == nil {
			return false, false
		}
		return r.Ours.Median <= r.Limit.Median+max(g.value, r.Limit.Median/10), true
	case goalAtMost:
	}
	return r.Ours.Median <= g.value, true
}
