// SPDX-License-Identifier: MIT

package cli

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"bos/internal/bos"

	"github.com/clipperhouse/displaywidth"
)

const (
	// narrowest and widest bound the width of a picture, in columns.
	narrowest, widest = 40, 120
	// nameColumn is what stands before a bar, numberColumn what stands behind.
	nameColumn, numberColumn = 14, 16
	// kindColumn is for what kind of event it is.
	kindColumn = 16
	// failuresShown and slowestShown bound what is under the bars.
	failuresShown, slowestShown = 5, 3
)

// canvas is what pictures are drawn on.
type canvas struct {
	width, height int
	now           time.Time
	// plain says that only ASCII can be shown.
	plain bool
	lines [][]cell
}

// add appends a line of parts that follow each other.
func (c *canvas) add(parts ...cell) { c.lines = append(c.lines, parts) }

// bar is a part of a whole, so wide. What there is at all is seen, and what is
// not all does not look so.
func (c *canvas) bar(part, whole, width int, st style) []cell {
	width = max(width, 4)
	full, empty := "█", "░"
	if c.plain {
		full, empty = "#", "."
	}
	n := 0
	if whole > 0 {
		n = part * width / whole
		if n == 0 && part > 0 {
			n = 1
		}
	}
	n = min(n, width)
	return []cell{{strings.Repeat(full, n), st}, {strings.Repeat(empty, width-n), faint}}
}

// share is a bar among others, whose rests are left blank: they would only
// repeat each other.
func (c *canvas) share(part, whole, width int, st style) []cell {
	bar := c.bar(part, whole, width, st)
	bar[1].text = strings.Repeat(" ", utf8.RuneCountInString(bar[1].text))
	return bar
}

// size is how wide the picture is.
func (c *canvas) size() int { return min(max(c.width-1, narrowest), widest) }

// render returns the lines with their styles, none wider or more than there is
// room for.
func (c *canvas) render(s *screen) []string {
	lines := c.lines
	if c.height > 1 && len(lines) > c.height-1 {
		lines = lines[:c.height-1]
	}
	var out []string
	for _, line := range lines {
		// The last column is left free: some terminals begin a line after it.
		room := c.width - 1
		var b strings.Builder
		for _, part := range line {
			text := truncate(clip(part.text), room)
			room -= displaywidth.String(text)
			b.WriteString(s.paint(text, part.style))
		}
		out = append(out, b.String())
	}
	return out
}

// clip makes a text one line of characters that can be shown, with its blanks.
func clip(text string) string {
	lead := len(text) - len(strings.TrimLeft(text, " "))
	tail := len(text) - len(strings.TrimRight(text, " "))
	if lead == len(text) {
		return text
	}
	return text[:lead] + clean(text) + text[len(text)-tail:]
}

// truncate cuts a text that is wider than there is room for.
func truncate(text string, room int) string {
	if room < 2*len(ellipsis) {
		return displaywidth.TruncateString(text, max(room, 0), "")
	}
	return displaywidth.TruncateString(text, room, ellipsis)
}

// pad makes a text so wide.
func pad(text string, width int) string {
	text = truncate(text, width)
	return text + strings.Repeat(" ", max(width-displaywidth.String(text), 0))
}

// right makes a text so wide, flush right.
func right(text string, width int) string {
	return strings.Repeat(" ", max(width-displaywidth.String(text), 0)) + text
}

// draw draws what is watched.
func (w *watched) draw(c *canvas) {
	if w.only != "" {
		if p := w.one(); p != nil {
			w.drawSession(c, p)
		} else {
			c.add(cell{text: " "}, cell{w.only, header}, cell{text: "  waiting for word of it"})
		}
	} else {
		w.drawFleet(c)
	}
	if w.notice != "" {
		st := held
		if strings.HasPrefix(w.notice, tellsNothing) {
			// That is how it is, and no trouble.
			st = faint
		}
		c.add()
		c.add(cell{text: " "}, cell{w.notice, st})
	}
	w.drawEvents(c)
}

// drawSession draws one session: how far it is, where its nodes are, what
// failed, what is slow.
func (w *watched) drawSession(c *canvas, p *progress) {
	state, st := p.state()
	head := []cell{
		{text: " "}, {p.Session, header}, {text: gap + p.Operation + " " + p.Template + gap}, {state, st}, {text: gap + p.age(c.now)},
	}
	if p.Tenant != "" {
		head = append(head, cell{text: gap + "tenant " + p.Tenant})
	}
	c.add(head...)
	if text := val(p.Error); text != "" {
		c.add(cell{text: " "}, cell{text, bad})
	}
	c.add()
	total := p.Counts.Total
	if total == 0 {
		c.add(cell{text: " no nodes yet"}, cell{text: gap + p.left(c.now)})
		return
	}
	width := c.size() - nameColumn - numberColumn
	line := append([]cell{{text: " " + pad("done", nameColumn-1)}}, c.bar(p.done(), total, width, header)...)
	c.add(append(line, cell{right(thousands(p.done()), 8), header}, cell{right(percent(p.done(), total), 6), header})...)
	under := "of " + plural(total, "node")
	for _, text := range []string{p.left(c.now), p.speed(c.now)} {
		if text != "" {
			under += ", " + text
		}
	}
	c.add(cell{text: strings.Repeat(" ", nameColumn)}, cell{text: under})
	c.add()
	for _, b := range p.Counts.buckets() {
		if !p.seen[b.name] && b.name != "succeeded" && b.name != "failed" {
			continue
		}
		line := append([]cell{{text: " " + pad(b.name, nameColumn-1)}}, c.share(b.count, total, width, b.style)...)
		st := b.style
		if b.count == 0 {
			st = faint
		}
		c.add(append(line, cell{right(thousands(b.count), 8), st}, cell{right(percent(b.count, total), 6), st})...)
	}
	w.drawTrouble(c, p)
}

// speed says how many nodes get through.
func (p *progress) speed(now time.Time) string {
	rate := p.pace.rate(now)
	switch {
	case p.settled() || rate == 0 || p.left(now) == "":
		return ""
	case rate >= 1:
		return plural(int(rate+0.5), "node") + " a second"
	case rate*60 >= 1:
		return plural(int(rate*60+0.5), "node") + " a minute"
	}
	return plural(int(rate*3600+0.5), "node") + " an hour"
}

// drawTrouble draws the slowest nodes and the failures.
func (w *watched) drawTrouble(c *canvas, p *progress) {
	if slowest := p.Slowest; len(slowest) > 0 && !p.complete() {
		c.add()
		for i, one := range slowest[:min(len(slowest), slowestShown)] {
			name := ""
			if i == 0 {
				name = "slowest"
			}
			text := pad(one.Node, 18) + phaseName(one.Phase)
			if since, err := bos.ParseTimestamp(one.Since); err == nil {
				text += " for " + roughly(max(c.now.Sub(since), 0))
			}
			c.add(cell{text: " " + pad(name, nameColumn-1)}, cell{text, held})
		}
	}
	if len(p.Failures) > 0 {
		c.add()
	}
	for i, one := range p.Failures {
		if i == failuresShown {
			c.add(cell{text: " and " + plural(len(p.Failures)-i, "other error")})
			break
		}
		c.add(cell{" " + pad("failed", 7) + right(thousands(one.Count), 5) + " ", bad}, cell{text: truncate(one.Nodes, c.size()-nameColumn)})
		c.add(cell{text: strings.Repeat(" ", nameColumn)}, cell{one.Error, bad})
	}
}

// drawFleet draws all nodes by their status, and the sessions.
func (w *watched) drawFleet(c *canvas) {
	if f := w.fleet; f != nil {
		c.add(cell{text: " "}, cell{plural(f.Total, "node"), header}, cell{text: gap + thousands(f.Enabled) + " enabled"})
		c.add()
		// Statuses that nobody knows were set by hand; they come last.
		names := statuses()
		for _, name := range slices.Sorted(maps.Keys(f.ByStatus)) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		const nameWidth = 29
		width := c.size() - nameWidth - numberColumn
		for _, name := range names {
			n := f.ByStatus[name]
			if n == 0 {
				continue
			}
			st := statusStyle(name)
			line := append([]cell{{text: " " + pad(phaseName(name), nameWidth-1)}}, c.share(n, f.Total, width, st)...)
			c.add(append(line, cell{right(thousands(n), 8), st}, cell{right(percent(n, f.Total), 6), st})...)
		}
		c.add()
	}
	shown := w.shown()
	if len(shown) == 0 {
		c.add(cell{text: " no sessions"})
	}
	longest := 0
	for _, p := range shown {
		longest = max(longest, displaywidth.String(p.Session))
	}
	for _, p := range shown {
		w.drawLine(c, p, min(longest, max(c.size()-restOfLine, 12)))
	}
}

// restOfLine is what a session's line has beside its name, as a rule.
const restOfLine = 80

// drawLine draws a session among others.
func (w *watched) drawLine(c *canvas, p *progress, nameWidth int) {
	state, st := p.state()
	const barWidth = 20
	total := p.Counts.Total
	line := []cell{{text: " "}, {pad(p.Session, nameWidth) + gap, header}, {text: pad(p.Operation, 9)}}
	line = append(line, c.bar(p.done(), total, barWidth, st)...)
	line = append(line, cell{text: right(percent(p.done(), total), 6) + gap}, cell{pad(state, 9), st})
	if total > 0 {
		line = append(line, cell{text: gap + plural(total, "node")})
	}
	if p.Counts.Failed > 0 {
		line = append(line, cell{gap + thousands(p.Counts.Failed) + " failed", bad})
	}
	if left := p.left(c.now); left != "" && left != state {
		line = append(line, cell{text: gap + left})
	}
	c.add(line...)
}

// drawEvents draws the last events as far as there is room.
func (w *watched) drawEvents(c *canvas) {
	room := c.height - len(c.lines) - 3
	if c.height == 0 || room < 1 || len(w.events.events) == 0 {
		return
	}
	c.add()
	// The bars tell of phases.
	events := slices.DeleteFunc(slices.Clone(w.events.events), func(e event) bool { return e.Type == "phase" })
	for _, e := range events[max(len(events)-room, 0):] {
		line := []cell{{text: " "}}
		for i, part := range e.line(true) {
			if i == 0 {
				// The day is known to who watches.
				if _, clock, ok := strings.Cut(part.text, " "); ok {
					part.text = clock
				}
			}
			if part.text == w.only && i == 2 {
				continue
			}
			if i == 1 {
				part.text = pad(part.text, kindColumn)
			}
			line = append(line, part, cell{text: gap})
		}
		c.add(line...)
	}
}
