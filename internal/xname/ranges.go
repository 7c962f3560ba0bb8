// SPDX-License-Identifier: MIT

package xname

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MaxExpanded bounds how many names [Expand] returns: what a user types may
// not grow without limit.
const MaxExpanded = 1 << 20

// maxNumber bounds a number inside a range, so that counting never overflows.
const maxNumber = 1 << 30

// Expand turns a comma-separated list of names and ranges into names:
// "x1c0s[0-1,4]b0n0,uan01" becomes x1c0s0b0n0, x1c0s1b0n0, x1c0s4b0n0 and
// uan01. A range whose first number has leading zeros keeps that width
// ("nid[001-003]"). Blanks around items are dropped. Errors name the item and
// what is wrong with it; more than [MaxExpanded] names is one of them, and so is a name of more than
// 127 characters.
func Expand(list string) ([]string, error) {
	items, err := splitList(list)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, item := range items {
		if item = strings.TrimSpace(item); item == "" {
			return nil, fmt.Errorf("empty name in the list %q", clip(list))
		}
		if out, err = expandItem(out, item); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// splitList splits at commas outside of brackets.
func splitList(list string) ([]string, error) {
	var items []string
	depth, start := 0, 0
	for i := range len(list) {
		switch list[i] {
		case '[':
			depth++
		case ']':
			depth--
		case ',':
			if depth == 0 {
				items = append(items, list[start:i])
				start = i + 1
			}
		}
		if depth < 0 || depth > 1 {
			return nil, fmt.Errorf("unbalanced brackets in %q", clip(list))
		}
	}
	if depth != 0 {
		return nil, fmt.Errorf("unbalanced brackets in %q", clip(list))
	}
	return append(items, list[start:]), nil
}

// expandItem appends the names of one item to out.
func expandItem(out []string, item string) ([]string, error) {
	heads := []string{""}
	rest := item
	for {
		open := strings.IndexByte(rest, '[')
		if open < 0 {
			break
		}
		shut := strings.IndexByte(rest, ']')
		numbers, err := expandNumbers(rest[open+1:shut], item)
		if err != nil {
			return nil, err
		}
		if len(out)+len(heads)*len(numbers) > MaxExpanded {
			return nil, fmt.Errorf("%q stands for more than %d names", clip(item), MaxExpanded)
		}
		if len(heads[0])+open+len(numbers[0]) > maxLength {
			return nil, tooLong(item)
		}
		next := make([]string, 0, len(heads)*len(numbers))
		for _, h := range heads {
			for _, n := range numbers {
				next = append(next, h+rest[:open]+n)
			}
		}
		heads, rest = next, rest[shut+1:]
	}
	if len(out)+len(heads) > MaxExpanded {
		return nil, fmt.Errorf("the list stands for more than %d names", MaxExpanded)
	}
	for _, h := range heads {
		if len(h)+len(rest) > maxLength {
			return nil, tooLong(item)
		}
		out = append(out, h+rest)
	}
	return out, nil
}

// tooLong is the error of an item whose names can't be ids: what it stands for
// could else take any amount of memory.
func tooLong(item string) error {
	return fmt.Errorf("%q stands for names of more than %d characters", clip(item), maxLength)
}

// expandNumbers expands what stands between two brackets.
func expandNumbers(spec, item string) ([]string, error) {
	var out []string
	for part := range strings.SplitSeq(spec, ",") {
		first, last, isRange := strings.Cut(part, "-")
		lo, err := number(first, item)
		if err != nil {
			return nil, err
		}
		hi := lo
		if isRange {
			if hi, err = number(last, item); err != nil {
				return nil, err
			}
		}
		if hi < lo {
			return nil, fmt.Errorf("the range %q in %q runs backwards", clip(part), clip(item))
		}
		if len(out)+hi-lo+1 > MaxExpanded {
			return nil, fmt.Errorf("%q stands for more than %d names", clip(item), MaxExpanded)
		}
		width := 0
		if len(first) > 1 && first[0] == '0' {
			width = len(first)
		}
		for n := lo; n <= hi; n++ {
			out = append(out, fmt.Sprintf("%0*d", width, n))
		}
	}
	return out, nil
}

func number(s, item string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > maxNumber || leadingDigits(s) != len(s) || len(s) > maxLength {
		return 0, fmt.Errorf("%q in %q is no number", clip(s), clip(item))
	}
	return n, nil
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}

// Fold writes a set of names as a comma-separated list of names and ranges
// that [Expand] turns back into the same set. Names are folded level by level
// from the innermost outwards; what is no xname in normal form stands for
// itself. Duplicates count once.
func Fold(names []string) string {
	var plain []string
	byShape := map[string][]block{}
	var shapes []string
	for _, name := range names {
		letters, numbers, ok := levels(name)
		if !ok {
			plain = append(plain, name)
			continue
		}
		shape := strings.Join(letters, ",")
		if _, seen := byShape[shape]; !seen {
			shapes = append(shapes, shape)
		}
		byShape[shape] = append(byShape[shape], newBlock(letters, numbers))
	}
	slices.Sort(shapes)
	var out []string
	for _, shape := range shapes {
		for _, b := range foldBlocks(byShape[shape]) {
			out = append(out, b.String())
		}
	}
	slices.SortFunc(plain, Compare)
	return strings.Join(append(out, slices.Compact(plain)...), ",")
}

// levels splits a name in normal form into its letters and numbers.
func levels(name string) (letters []string, numbers []int, ok bool) {
	if !isXname(name) || Canonical(name) != name {
		return nil, nil, false
	}
	for name != "" {
		l := strings.IndexAny(name, "0123456789")
		d := leadingDigits(name[l:])
		n, err := strconv.Atoi(name[l : l+d])
		if err != nil || n > maxNumber {
			return nil, nil, false
		}
		letters = append(letters, name[:l])
		numbers = append(numbers, n)
		name = name[l+d:]
	}
	return letters, numbers, true
}

// block is a product of sets of numbers, one per level.
type block struct {
	letters []string
	sets    [][]int
}

func newBlock(letters []string, numbers []int) block {
	sets := make([][]int, len(numbers))
	for i, n := range numbers {
		sets[i] = []int{n}
	}
	return block{letters, sets}
}

// foldBlocks merges blocks that differ in one level only, innermost level
// first.
func foldBlocks(blocks []block) []block {
	for level := len(blocks[0].sets) - 1; level >= 0; level-- {
		merged := map[string]int{}
		kept := blocks[:0:0]
		for _, b := range blocks {
			key := b.keyWithout(level)
			if i, seen := merged[key]; seen {
				kept[i].sets[level] = append(kept[i].sets[level], b.sets[level]...)
				continue
			}
			merged[key] = len(kept)
			kept = append(kept, b)
		}
		for _, b := range kept {
			slices.Sort(b.sets[level])
			b.sets[level] = slices.Compact(b.sets[level])
		}
		blocks = kept
	}
	slices.SortFunc(blocks, func(a, b block) int { return Compare(a.first(), b.first()) })
	return blocks
}

func (b block) keyWithout(level int) string {
	var key strings.Builder
	for i, set := range b.sets {
		if i == level {
			continue
		}
		key.WriteString(strconv.Itoa(i))
		key.WriteByte(':')
		writeSet(&key, set)
		key.WriteByte(';')
	}
	return key.String()
}

func (b block) first() string {
	var name strings.Builder
	for i, set := range b.sets {
		name.WriteString(b.letters[i])
		name.WriteString(strconv.Itoa(set[0]))
	}
	return name.String()
}

// String writes the block as a name with ranges.
func (b block) String() string {
	var name strings.Builder
	for i, set := range b.sets {
		name.WriteString(b.letters[i])
		if len(set) == 1 {
			name.WriteString(strconv.Itoa(set[0]))
			continue
		}
		name.WriteByte('[')
		writeSet(&name, set)
		name.WriteByte(']')
	}
	return name.String()
}

// writeSet writes sorted numbers as ranges: 0-3,7.
func writeSet(out *strings.Builder, set []int) {
	for i := 0; i < len(set); {
		j := i
		for j+1 < len(set) && set[j+1] == set[j]+1 {
			j++
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(strconv.Itoa(set[i]))
		if j > i {
			out.WriteByte('-')
			out.WriteString(strconv.Itoa(set[j]))
		}
		i = j + 1
	}
}
