// SPDX-License-Identifier: MIT

package cli

import (
	"io"
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// fields are names with values, one to a line.
type fields struct {
	lines []field
}

type field struct {
	name  string
	value cell
}

// add appends a field; an empty value is shown as a dash.
func (f *fields) add(name, value string) { f.styled(name, value, plain) }

// styled appends a field whose value has a style.
func (f *fields) styled(name, value string, st style) {
	if value = clean(value); value == "" {
		value, st = "-", plain
	}
	f.lines = append(f.lines, field{name, cell{value, st}})
}

// some appends a field unless its value is empty.
func (f *fields) some(name, value string) {
	if value != "" {
		f.add(name, value)
	}
}

// title appends a line that has no value: the fields after it belong to it.
func (f *fields) title(name string) { f.lines = append(f.lines, field{name: name}) }

// write draws the fields. Values are never cut: who looks at one thing wants
// all of it.
func (f *fields) write(s *screen) error {
	width := 0
	for _, l := range f.lines {
		if l.value.text != "" {
			width = max(width, displaywidth.String(l.name))
		}
	}
	var b strings.Builder
	for _, l := range f.lines {
		if l.value.text == "" {
			b.WriteString(s.paint(l.name, header) + "\n")
			continue
		}
		fill := strings.Repeat(" ", width-displaywidth.String(l.name))
		b.WriteString(l.name + fill + gap + s.paint(l.value.text, l.value.style) + "\n")
	}
	_, err := io.WriteString(s.out, b.String())
	return err
}
