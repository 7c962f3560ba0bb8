// SPDX-License-Identifier: MIT

package bench

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

// The names of the rows, as they are in the JSON output.
const (
	rowListAll     = "list-all"
	rowListSession = "list-session"
	rowListNone    = "list-none"
	rowGetOne      = "get-one"
	rowPatchBulk   = "patch-bulk"
	rowPutBulk     = "put-bulk"
	rowPatchSingle = "patch-single"
	rowPostSession = "post-session"
	rowRunning     = "running"
	rowFirstOn     = "first-on"
	rowBoot        = "boot"
	rowMemory      = "memory"
	rowPeak        = "memory-peak"
)

// The units of figures. Of rates more is better, of everything else less.
const (
	unitMillis  = "ms"
	unitSeconds = "s"
	unitRate    = "/s"
	unitMiB     = "MiB"
)

// row is one kind of work that is measured.
type row struct {
	name string
	work string
	unit string
	// limit says what the figure beside ours is; "" means that there is none.
	limit string
	// goal returns what the figure has to reach with so many nodes; nil if
	// nothing is asked of it.
	goal func(nodes int) *goal
}

// goalKind says what a goal compares with.
type goalKind int

const (
	// goalShare is a least share of the limit's rate.
	goalShare goalKind = iota
	// goalTimes is how many times the limit's time it may take.
	goalTimes
	// goalFaster is how many times faster than the original it has to be.
	goalFaster
	// goalAtMost is a bound of the figure itself, in its unit.
	goalAtMost
	// goalOverLimit is how many seconds more than the limit it may take, or a
	// tenth more if that is longer.
	goalOverLimit
)

// goal is what a figure has to reach.
type goal struct {
	kind  goalKind
	value float64
}

func always(kind goalKind, value float64) func(int) *goal {
	return func(int) *goal { return &goal{kind, value} }
}

// upTo returns a goal that depends on the number of nodes: the value of the
// first size that is not smaller; none beyond the last.
func upTo(kind goalKind, sizes ...sized) func(int) *goal {
	return func(nodes int) *goal {
		for _, s := range sizes {
			if nodes <= s.nodes {
				return &goal{kind, s.value}
			}
		}
		return nil
	}
}

type sized struct {
	nodes int
	value float64
}

const (
	limitBare     = "bare handler"
	limitRaw      = "raw store"
	limitRaw32    = "raw store, 32 writers"
	limitHardware = "hardware"
)

// rows are all rows in the order of the table.
func rows() []row {
	return []row{
		{rowListAll, "GET all components", unitMillis, limitBare, always(goalShare, 0.5)},
		{rowListSession, "GET those of a session (a tenth)", unitMillis, limitBare, upToOriginal(50)},
		{rowListNone, "GET by enabled and status, no match", unitMillis, limitBare, upToOriginal(100)},
		{rowGetOne, "GET one, 16 connections", unitRate, limitBare, always(goalShare, 0.7)},
		{rowPatchBulk, "PATCH 1,000 by ids", unitMillis, limitRaw, always(goalTimes, 1.5)},
		{rowPutBulk, "PUT 1,000", unitMillis, limitRaw, always(goalTimes, 2)},
		{rowPatchSingle, "PATCH one, 16 connections", unitRate, limitRaw32, always(goalShare, 0.6)},
		{rowPostSession, "POST session, images checked", unitMillis, "", nil},
		{rowRunning, "POST session to running, all nodes", unitSeconds, "", nil},
		{rowFirstOn, "POST session to the first power-on", unitSeconds, "", upTo(goalAtMost, sized{1000, 0.15}, sized{10000, 0.5}, sized{100000, 5})},
		{rowBoot, "boot of all nodes", unitSeconds, limitHardware, upTo(goalOverLimit, sized{10000, 1})},
		{rowMemory, "memory of the server after a reboot of all", unitMiB, "", upTo(goalAtMost, sized{10000, 200}, sized{100000, 700})},
		{rowPeak, "most memory it ever had", unitMiB, "", nil},
	}
}

// rowNames are the names of all rows in the order of the table.
func rowNames() []string {
	var names []string
	for _, r := range rows() {
		names = append(names, r.name)
	}
	return names
}

// upToOriginal is a goal of so many times the original, at the size at which the
// original was measured.
func upToOriginal(times float64) func(int) *goal {
	return func(nodes int) *goal {
		if nodes == originalNodes {
			return &goal{goalFaster, times}
		}
		return nil
	}
}

// originalNodes is how many components were stored when the original's reads
// and writes were measured.
const originalNodes = 10000

// Original is what is known of the original's speed.
type Original struct {
	Program    string           `json:"program"`
	Conditions string           `json:"conditions"`
	Figures    []OriginalFigure `json:"figures"`
}

// OriginalFigure is one measurement of the original: from the best to the worst
// of some runs.
type OriginalFigure struct {
	Row   string  `json:"row"`
	Nodes int     `json:"nodes"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Unit  string  `json:"unit"`
}

//go:embed original.json
var originalJSON []byte

func loadOriginal() (Original, error) {
	var o Original
	if err := json.Unmarshal(originalJSON, &o); err != nil {
		return o, fmt.Errorf("read the original's figures: %w", err)
	}
	return o, nil
}

// figure returns the original's figure of a row with so many nodes.
func (o Original) figure(row string, nodes int) *OriginalFigure {
	for i := range o.Figures {
		if f := &o.Figures[i]; f.Row == row && f.Nodes == nodes {
			return f
		}
	}
	return nil
}
