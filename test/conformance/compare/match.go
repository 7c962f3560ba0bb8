// SPDX-License-Identifier: MIT

// Package compare holds what BOS does against what was recorded of the original
// service, by the rules of the recordings: placeholders, lists without order,
// texts in words of our own, and declared deviations. It is strict: whatever is
// not excused by a rule is a difference.
//
// JSON values are as [Decode] makes them: numbers are [json.Number].
package compare

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// Order says which lists count as sets.
type Order int

const (
	// Strict is none.
	Strict Order = iota
	// Named are lists of objects that have a name.
	Named
	// Any are lists of objects that have a name or an id.
	Any
)

// The placeholders of expected values.
const (
	// anything is any value at all.
	anything = "<any>"
	// unordered and ordered are the only member of an object that stands for a
	// list.
	unordered = "<unordered>"
	ordered   = "<ordered>"
	// plainText is the only member of an object that stands for a body that is
	// not JSON.
	plainText = "<text>"
)

// The patterns of placeholders within texts.
const (
	Timestamp = `[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?`
	UUID      = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`
	Duration  = `(?:[0-9]+ days?, )?[0-9]+:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?`
)

// Rules are the rules that are open to choice.
type Rules struct {
	// Base is what <base> stands for.
	Base string
	// Order says which lists count as sets.
	Order Order
}

// Match returns how a value differs from what is expected; path is where it is.
func (r Rules) Match(want, got any, path string) []string {
	switch w := want.(type) {
	case map[string]any:
		return r.matchObject(w, got, path)
	case []any:
		return r.matchList(w, got, path)
	case string:
		return r.matchText(w, got, path)
	case json.Number:
		g, ok := got.(json.Number)
		if ok && sameNumber(w, g) {
			return nil
		}
	default:
		if want == got {
			return nil
		}
	}
	return []string{differ(path, want, got)}
}

func differ(path string, want, got any) string {
	return fmt.Sprintf("%s: want %s, got %s", path, show(want), show(got))
}

// maxShown bounds what is shown of a value, in characters.
const maxShown = 300

// show writes a value for the reader of a report.
func show(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if s := []rune(string(raw)); len(s) > maxShown {
		return string(s[:maxShown]) + "..."
	}
	return string(raw)
}

// sameNumber compares by value: 1 is 1.0.
func sameNumber(a, b json.Number) bool {
	if a == b {
		return true
	}
	x, okX := new(big.Rat).SetString(a.String())
	y, okY := new(big.Rat).SetString(b.String())
	return okX && okY && x.Cmp(y) == 0
}

// only returns the member of an object that has just this one.
func only(m map[string]any, key string) (any, bool) {
	v, ok := m[key]
	return v, ok && len(m) == 1
}

func (r Rules) matchObject(want map[string]any, got any, path string) []string {
	if list, ok := only(want, unordered); ok {
		l, _ := list.([]any)
		return r.matchSet(l, got, path)
	}
	if list, ok := only(want, ordered); ok {
		r.Order = Strict
		return r.Match(list, got, path)
	}
	g, ok := got.(map[string]any)
	if !ok {
		return []string{fmt.Sprintf("%s: want object %s, got %s", path, show(want), show(got))}
	}
	out, exact, left := r.matchLoose(want, g, path)
	for _, k := range slices.Sorted(maps.Keys(union(exact, left))) {
		at := path + "." + k
		w, wanted := exact[k]
		v, there := g[k]
		switch {
		case !there:
			out = append(out, fmt.Sprintf("%s: missing, want %s", at, show(w)))
		case !wanted:
			out = append(out, fmt.Sprintf("%s: unexpected %s", at, show(v)))
		default:
			out = append(out, r.Match(w, v, at)...)
		}
	}
	return out
}

func union(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// matchLoose finds partners for the keys that are texts in words of our own. It
// returns the differences, the other keys that are wanted, and the members that
// have no partner yet.
func (r Rules) matchLoose(want, got map[string]any, path string) (out []string, exact, left map[string]any) {
	exact, left = maps.Clone(want), map[string]any{}
	for k, v := range got {
		if _, ok := want[k]; !ok {
			left[k] = v
		}
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		about, ours := ownWords(k)
		if _, there := got[k]; there || !ours && !theirs.MatchString(k) {
			continue
		}
		delete(exact, k)
		found := false
		for _, candidate := range slices.Sorted(maps.Keys(left)) {
			if Words(candidate, about) == "" && len(r.Match(want[k], got[candidate], path)) == 0 {
				delete(left, candidate)
				found = true
				break
			}
		}
		if !found {
			out = append(out, fmt.Sprintf("%s: no key for %s: %s; left: %s", path, show(k), show(want[k]), show(left)))
		}
	}
	return out, exact, left
}

func (r Rules) matchList(want []any, got any, path string) []string {
	g, ok := got.([]any)
	if !ok {
		return []string{fmt.Sprintf("%s: want list %s, got %s", path, show(want), show(got))}
	}
	if len(want) != len(g) {
		return []string{fmt.Sprintf("%s: want %d items, got %d: %s", path, len(want), len(g), show(g))}
	}
	if r.isSet(want) {
		return r.matchSet(want, got, path)
	}
	var out []string
	for i, w := range want {
		out = append(out, r.Match(w, g[i], fmt.Sprintf("%s[%d]", path, i))...)
	}
	return out
}

// isSet reports whether the order of a list does not count.
func (r Rules) isSet(want []any) bool {
	if r.Order == Strict || len(want) == 0 {
		return false
	}
	return !slices.ContainsFunc(want, func(w any) bool {
		m, _ := w.(map[string]any)
		_, named := m["name"]
		_, known := m["id"]
		return !named && !(r.Order == Any && known)
	})
}

func (r Rules) matchSet(want []any, got any, path string) []string {
	g, ok := got.([]any)
	if !ok || len(g) != len(want) {
		return []string{fmt.Sprintf("%s: want %d items in any order, got %s", path, len(want), show(got))}
	}
	rest := slices.Clone(g)
	for _, w := range want {
		i := slices.IndexFunc(rest, func(v any) bool { return len(r.Match(w, v, path)) == 0 })
		if i < 0 {
			return []string{fmt.Sprintf("%s: no item matches %s; left: %s", path, show(w), show(rest))}
		}
		rest = slices.Delete(rest, i, i+1)
	}
	return nil
}

// placeholder finds the placeholders within a text.
var placeholder = regexp.MustCompile(`<timestamp>|<uuid>|<duration>|<any>|<base>|<csv:[^>]*>`)

func (r Rules) matchText(want string, got any, path string) []string {
	if want == anything {
		return nil
	}
	if about, ok := ownWords(want); ok {
		if bad := Words(got, about); bad != "" {
			return []string{path + ": " + bad}
		}
		return nil
	}
	if theirs.MatchString(want) {
		return r.slipped(want, got, path)
	}
	return r.matchPattern(want, got, path)
}

// matchPattern compares with a text that may have placeholders.
func (r Rules) matchPattern(want string, got any, path string) []string {
	different := []string{differ(path, want, got)}
	text, ok := got.(string)
	if !ok {
		return different
	}
	if inner, ok := strings.CutPrefix(want, "<csv:"); ok && strings.HasSuffix(inner, ">") {
		inner = strings.TrimSuffix(inner, ">")
		if sameItems(inner, text) {
			return nil
		}
		return []string{fmt.Sprintf("%s: want any order of %s, got %s", path, inner, text)}
	}
	var pattern strings.Builder
	var sets []string
	from := 0
	for _, at := range placeholder.FindAllStringIndex(want, -1) {
		pattern.WriteString(regexp.QuoteMeta(want[from:at[0]]))
		from = at[1]
		switch p := want[at[0]:at[1]]; p {
		case "<timestamp>":
			pattern.WriteString(Timestamp)
		case "<uuid>":
			pattern.WriteString(UUID)
		case "<duration>":
			pattern.WriteString(Duration)
		case anything:
			pattern.WriteString(`(?s:.*)`)
		case "<base>":
			pattern.WriteString(regexp.QuoteMeta(r.Base))
		default:
			pattern.WriteString(`(.*)`)
			sets = append(sets, p[len("<csv:"):len(p)-1])
		}
	}
	pattern.WriteString(regexp.QuoteMeta(want[from:]))
	groups := regexp.MustCompile(`\A(?:` + pattern.String() + `)\z`).FindStringSubmatch(text)
	if groups == nil {
		return different
	}
	for i, set := range sets {
		if !sameItems(set, groups[i+1]) {
			return []string{fmt.Sprintf("%s: want any order of %s, got %s", path, set, groups[i+1])}
		}
	}
	return nil
}

// sameItems compares comma-separated lists without order.
func sameItems(a, b string) bool {
	x, y := strings.Split(a, ","), strings.Split(b, ",")
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}
