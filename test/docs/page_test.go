// SPDX-License-Identifier: MIT

package docs

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// block is a fenced block of a page.
type block struct {
	// line is where the page has it, counted from 1.
	line int
	// info are the words behind the fence: the language and what is to be done.
	info []string
	text string
	// output is the block with what it shows; nil if the page doesn't say.
	output *block
}

// has reports whether the block is marked with a word.
func (b *block) has(word string) bool { return slices.Contains(b.info, word) }

// value returns what a mark KEY=VALUE of the block says, or "".
func (b *block) value(key string) string {
	for _, word := range b.info {
		if v, ok := strings.CutPrefix(word, key+"="); ok {
			return v
		}
	}
	return ""
}

// runs reports whether the block's commands are run.
func (b *block) runs() bool { return b.has("sh") && !b.has("no-run") }

// blocksOf returns the fenced blocks of a page. A block of output belongs to the
// block before it.
func blocksOf(page string) ([]*block, error) {
	var all []*block
	var open *block
	var text []string
	for i, line := range strings.Split(page, "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case !fence && open != nil:
			text = append(text, line)
		case !fence && strings.HasPrefix(strings.TrimSpace(line), "```"):
			return nil, fmt.Errorf("line %d: a fence that is indented is not found by this test", i+1)
		case !fence:
		case open == nil:
			open, text = &block{line: i + 1, info: strings.Fields(info)}, nil
		default:
			open.text = strings.Join(text, "\n")
			if open.has("output") {
				if len(all) == 0 || all[len(all)-1].output != nil {
					return nil, fmt.Errorf("line %d: output of no command", open.line)
				}
				all[len(all)-1].output = open
			} else {
				all = append(all, open)
			}
			open = nil
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the block does not end", open.line)
	}
	return all, nil
}

// rest stands for text, or for lines where it is alone, that a page leaves out.
const rest = "…"

var (
	moment = regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d+)?( UTC|Z)?`)
	span   = regexp.MustCompile(`\b((\d+(\.\d+)?(ms|s|m|h|d))+|\d+:\d\d:\d\d)\b`)
)

// canon makes lines comparable: times and durations are never the same twice,
// and columns are as wide as their widest entry.
func canon(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		line = span.ReplaceAllString(moment.ReplaceAllString(line, "TIME"), "SPAN")
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// shows checks that what a command printed is what its page shows.
func shows(page, printed string) error {
	want, got := canon(page), canon(printed)
	skip := false
	for _, line := range want {
		if line == rest {
			skip = true
			continue
		}
		parts := strings.Split(line, rest)
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		same, err := regexp.Compile("^" + strings.Join(parts, ".*") + "$")
		if err != nil {
			return fmt.Errorf("compare with %q: %w", line, err)
		}
		at := slices.IndexFunc(got, same.MatchString)
		if at < 0 || at > 0 && !skip {
			return fmt.Errorf("no line is where this one should be: %s", line)
		}
		got, skip = got[at+1:], false
	}
	if len(got) > 0 && !skip {
		return errors.New("more is printed than the page shows, from: " + got[0])
	}
	return nil
}
