// SPDX-License-Identifier: MIT

package compare

import (
	"fmt"
	"regexp"
	"strings"
)

// The rules by which texts are looked at.
var (
	// theirs finds what the original lets slip into texts: names of classes,
	// addresses inside, stacks, dumped objects.
	theirs = regexp.MustCompile(`\b[a-z_]+(?:\.[a-z_0-9]+)+\.[A-Z]\w+|\b[A-Z]\w*(?:Error|Exception)\b|frozenset\(|HTTPConnectionPool|https?://cray-|Traceback` +
		`|indices must be|codec can't decode|\{'\w+'\s*:`)
	// internals finds what must not slip into ours.
	internals = regexp.MustCompile(`(?:\b[a-z_]\w*\.)+[A-Z]\w*(?:Error|Exception|NotFound|Mismatch|Unknown|TooBig|Artifacts|NotImplemented)\b|\b\w*(?:Error|Exception):` +
		`|frozenset\(|HTTPConnectionPool|https?://(?:cray-|127\.|localhost|\[)|Traceback|goroutine [0-9]|panic:|runtime error|\.(?:go|py):[0-9]+` +
		`|dial tcp|map\[|&\{|0x[0-9a-f]{6}|indices must be|codec can't decode|\{['"]\w+['"]\s*:`)
	// beginning is what every text keeps of the recorded one, whatever follows.
	beginning = regexp.MustCompile(`\A(?:Session template fails check: |The session template could not be (?:created|patched): )?` +
		`(?:Session template: '[^']*' boot set: '[^']*': )?`)
	// validators finds details that the original's schema validator, router or
	// printer of exceptions worded.
	validators = regexp.MustCompile(`is not of type|does not match|Additional properties|read-only|is too (long|short)|should be non-empty|(maximum|minimum) of` +
		`|required property|is not one of|not valid under any|Wrong type, expected|not valid JSON|Invalid Content-type` +
		`|method is not allowed|requested URL was not found|internal error|Error parsing|not found for tenant|has too many|expected (at|to)`)
	// namers find the field that a recorded detail names.
	namers = []*regexp.Regexp{
		regexp.MustCompile(` - '([^']+)'$`), regexp.MustCompile(`\A'([^']+)' is a required property`), regexp.MustCompile(`\('([^']+)' was unexpected\)`),
	}
)

// ownWords reads <words> and <words:ABOUT>.
func ownWords(s string) (about string, ok bool) {
	if s == "<words>" {
		return "", true
	}
	about, ok = strings.CutPrefix(s, "<words:")
	if !ok || !strings.HasSuffix(about, ">") {
		return "", false
	}
	return strings.TrimSuffix(about, ">"), true
}

// Words returns what is wrong with a text in words of our own, "" if nothing
// is: it must say something, name what it is about, and hold nothing that is
// for the log only.
func Words(got any, about string) string {
	text, ok := got.(string)
	if !ok || strings.TrimSpace(text) == "" {
		return "want a text, got " + show(got)
	}
	if !strings.Contains(text, about) {
		return fmt.Sprintf("should name %q: %s", about, show(text))
	}
	if found := internals.FindString(text); found != "" {
		return fmt.Sprintf("%q is for the log, not for users: %s", found, show(text))
	}
	return ""
}

// slipped compares with a text in which the original let something slip: ours
// has its fixed beginnings and then words of its own.
func (r Rules) slipped(want string, got any, path string) []string {
	text, ok := got.(string)
	if !ok {
		return []string{path + ": want a text, got " + show(got)}
	}
	wanted, said := messages(want), messages(text)
	if len(wanted) != len(said) {
		return []string{fmt.Sprintf("%s: want %d messages such as %s, got %s", path, len(wanted), show(want), show(text))}
	}
	for i, w := range wanted {
		head, s := beginning.FindString(w), said[i]
		if !theirs.MatchString(w) {
			if out := r.matchText(w, s, path); out != nil {
				return out
			}
			continue
		}
		rest, ok := strings.CutPrefix(s, head)
		if !ok {
			return []string{fmt.Sprintf("%s: should begin with %s: %s", path, show(head), show(s))}
		}
		if bad := Words(rest, ""); bad != "" {
			return []string{path + ": " + bad}
		}
	}
	return nil
}

// messages cuts a text into the messages of its boot sets.
func messages(s string) []string {
	const next = "; Session template: '"
	var out []string
	for {
		i := strings.Index(s, next)
		if i < 0 {
			return append(out, s)
		}
		out = append(out, s[:i])
		s = s[i+len("; "):]
	}
}

// named returns the field that a recorded detail names.
func named(detail string) string {
	for _, namer := range namers {
		if m := namer.FindStringSubmatch(detail); m != nil {
			parts := strings.Split(m[1], ".")
			return parts[len(parts)-1]
		}
	}
	return ""
}

// ownDetail excuses a detail that may be in words of our own, and returns what
// is wrong with it. The body that is expected is not changed.
func ownDetail(want map[string]any, got any) (map[string]any, []string) {
	detail, ok := want["detail"].(string)
	if !ok || !validators.MatchString(detail) {
		return want, nil
	}
	if theirs.MatchString(detail) && beginning.FindString(detail) != "" {
		// Match looks at the beginning too.
		return want, nil
	}
	excused := union(want, map[string]any{"detail": anything})
	m, _ := got.(map[string]any)
	said := m["detail"]
	if bad := Words(said, ""); bad != "" {
		first, _, _ := strings.Cut(detail, "\n")
		return excused, []string{fmt.Sprintf("body.detail: %s (such as %s)", bad, show(first))}
	}
	if field := named(detail); field != "" && !strings.Contains(fmt.Sprint(said), field) {
		return excused, []string{fmt.Sprintf("body.detail: should name %q: %s", field, show(said))}
	}
	return excused, nil
}
