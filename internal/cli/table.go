// SPDX-License-Identifier: MIT

package cli

import (
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/clipperhouse/displaywidth"
)

// gap is what stands between two columns.
const gap = "  "

// ellipsis ends a text that was cut. It is ASCII, since the console at hand may
// be a serial line.
const ellipsis = "..."

// style is how a text is shown on a terminal.
type style string

const (
	plain  style = ""
	header style = "1"
	good   style = "32"
	bad    style = "31"
	busy   style = "36"
	held   style = "33"
	faint  style = "2"
)

// cell is a text in a table.
type cell struct {
	text  string
	style style
}

// column is how the cells of a column are laid out.
type column struct {
	title string
	// min is how narrow the column may become when the table is too wide for
	// the screen; 0 means that it is never cut.
	min int
	// drop says that the column may be left out when the table is too wide:
	// above 0 before anything is cut, below 0 when cutting was not enough. The
	// one with the highest number goes first.
	drop int
	// right sets numbers flush.
	right bool
	// optional leaves the column out if nothing is in it.
	optional bool
	// wrap breaks texts at commas instead of cutting them.
	wrap bool
	// most is how many lines a wrapped text may have; 0 is as many as it needs.
	most int
	// below puts texts on lines of their own under the row when the table is
	// too wide, whole. Only the last column may be so.
	below bool
}

// table is rows of cells under columns.
type table struct {
	columns []column
	rows    [][]cell
	// notes are what stands under the rows.
	notes []cell
}

// row appends a row.
func (t *table) row(cells ...cell) {
	for i := range cells {
		cells[i].text = clean(cells[i].text)
	}
	t.rows = append(t.rows, cells)
}

// write draws the table as wide as it is, or as the screen.
func (t *table) write(s *screen) error {
	widths := t.layout(s.width)
	head := make([]cell, len(t.columns))
	for i, c := range t.columns {
		head[i] = cell{c.title, header}
	}
	var b strings.Builder
	t.line(&b, s, widths, head)
	for i, row := range t.rows {
		t.line(&b, s, widths, row)
		if t.notes != nil && t.notes[i].text != "" {
			for line := range strings.Lines(prose(t.notes[i].text, s.width, "  ", "  ")) {
				b.WriteString(s.paint(strings.TrimSuffix(line, "\n"), t.notes[i].style) + "\n")
			}
		}
		// Long tables are written as they are drawn.
		if b.Len() > 1<<15 {
			if _, err := io.WriteString(s.out, b.String()); err != nil {
				return err
			}
			b.Reset()
		}
	}
	_, err := io.WriteString(s.out, b.String())
	return err
}

// layout makes the table fit on a screen as well as it can, and returns how
// wide its columns are. First the last column gives way, then those that may
// be left out, and then the widest of those that may be cut.
func (t *table) layout(screen int) []int {
	for i := len(t.columns) - 1; i >= 0; i-- {
		if t.columns[i].optional && !t.used(i) {
			t.remove(i)
		}
	}
	widths := t.natural()
	if screen == 0 {
		return widths
	}
	last := len(t.columns) - 1
	if rest := screen - total(widths[:last]) - len(gap); t.columns[last].below && widths[last] > rest {
		t.notes = make([]cell, len(t.rows))
		for i, row := range t.rows {
			t.notes[i] = row[last]
		}
		widths = t.without(widths, last)
	}
	widths = t.dropping(widths, screen, func(drop int) bool { return drop > 0 })
	t.shrink(widths, screen)
	return t.dropping(widths, screen, func(drop int) bool { return drop < 0 })
}

// dropping leaves columns out until the table fits, or none is left that may
// be left out now.
func (t *table) dropping(widths []int, screen int, now func(drop int) bool) []int {
	for total(widths) > screen {
		next := -1
		for i, c := range t.columns {
			if now(c.drop) && (next < 0 || c.drop > t.columns[next].drop) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		widths = t.without(widths, next)
	}
	return widths
}

// natural returns how wide the columns are if nothing is cut.
func (t *table) natural() []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = displaywidth.String(c.title)
		for _, row := range t.rows {
			widths[i] = max(widths[i], displaywidth.String(shown(row[i], false)))
		}
	}
	return widths
}

// shrink cuts the widest columns until the table fits, or can't.
func (t *table) shrink(widths []int, screen int) {
	for over := total(widths) - screen; over > 0; over-- {
		widest := -1
		for i, c := range t.columns {
			least := max(c.min, displaywidth.String(c.title))
			if c.min > 0 && widths[i] > least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		// A text may be as long as a message; no more than the screen counts.
		if widths[widest] > screen {
			over -= widths[widest] - screen - 1
			widths[widest] = screen
			continue
		}
		widths[widest]--
	}
}

// total is how wide columns are together.
func total(widths []int) int {
	sum := len(gap) * max(len(widths)-1, 0)
	for _, w := range widths {
		sum += w
	}
	return sum
}

// used reports whether there is anything in a column.
func (t *table) used(i int) bool {
	return slices.ContainsFunc(t.rows, func(row []cell) bool { return row[i].text != "" })
}

// remove takes a column out.
func (t *table) remove(i int) {
	t.columns = slices.Delete(t.columns, i, i+1)
	for r := range t.rows {
		t.rows[r] = slices.Delete(t.rows[r], i, i+1)
	}
}

// without takes a column out of the table and returns the widths of the
// others.
func (t *table) without(widths []int, i int) []int {
	t.remove(i)
	return slices.Delete(widths, i, i+1)
}

// line draws a row, on several lines if a text is wrapped.
func (t *table) line(b *strings.Builder, s *screen, widths []int, row []cell) {
	parts := make([][]string, len(row))
	lines := 1
	for i, c := range row {
		text := shown(c, i == len(row)-1)
		if t.columns[i].wrap {
			parts[i] = atMost(wrap(text, widths[i]), t.columns[i].most, widths[i])
		} else {
			parts[i] = []string{displaywidth.TruncateString(text, widths[i], ellipsis)}
		}
		lines = max(lines, len(parts[i]))
	}
	for n := range lines {
		pending := 0
		for i, c := range row {
			text := ""
			if n < len(parts[i]) {
				text = parts[i][n]
			}
			fill := max(widths[i]-displaywidth.String(text), 0)
			if t.columns[i].right {
				pending, fill = pending+fill, 0
			}
			// Blanks are held back until something follows them.
			if text != "" {
				b.WriteString(strings.Repeat(" ", pending))
				b.WriteString(s.paint(text, c.style))
				pending = 0
			}
			pending += fill + len(gap)
		}
		b.WriteByte('\n')
	}
}

// shown returns what stands in a cell: a dash for nothing, so that programs
// that split at blanks find the columns, except at the end of a line.
func shown(c cell, last bool) string {
	if c.text == "" && !last {
		return "-"
	}
	return c.text
}

// paint gives a text its style.
func (s *screen) paint(text string, st style) string {
	if !s.colour || st == plain {
		return text
	}
	return "\x1b[" + string(st) + "m" + text + "\x1b[0m"
}

// wrap breaks a text into lines of a width: after commas that are not within a
// range, and elsewhere if it must be.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	parts := splitList(text)
	for i, part := range parts {
		if i < len(parts)-1 {
			part += ","
		}
		if line != "" && displaywidth.String(line+part) > width {
			lines = append(lines, line)
			line = ""
		}
		line += part
		for displaywidth.String(line) > width {
			head := displaywidth.TruncateString(line, width, "")
			if head == "" {
				break
			}
			lines = append(lines, head)
			line = line[len(head):]
		}
	}
	return append(lines, line)
}

// prose breaks a sentence into lines of a width between its words; 0 leaves it
// on one. The first line begins with something, and the others with something
// as wide.
func prose(text string, width int, first, next string) string {
	var b strings.Builder
	line := first
	for i, word := range strings.Fields(clean(text)) {
		switch {
		case i == 0:
			line += word
		case width > 0 && displaywidth.String(line)+1+displaywidth.String(word) > width:
			b.WriteString(line + "\n")
			line = next + word
		default:
			line += " " + word
		}
	}
	return b.String() + line + "\n"
}

// atMost leaves out the lines that are too many, and shows that they were.
func atMost(lines []string, most, width int) []string {
	if most == 0 || len(lines) <= most {
		return lines
	}
	last := displaywidth.TruncateString(lines[most-1], max(width-len(ellipsis), 0), "")
	return append(lines[:most-1:most-1], last+ellipsis)
}

// clean makes a text one line of characters that can be shown: what comes from
// elsewhere must not command the terminal.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ReplacementChar
	}, s))
}
