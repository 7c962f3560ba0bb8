// SPDX-License-Identifier: MIT

package call

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// maxWords bounds the words of an error in characters.
	maxWords = 300
	// maxRawWords bounds what is cleaned, in bytes.
	maxRawWords = 8 << 10
	// minRedact is the length in bytes below which a text is too common to be
	// a secret; blotting it out would only damage other words.
	minRedact = 8
	// gap stands for what was taken out.
	gap = "…"
)

// The rules that clean words, in the order of their use. What they take out
// tells users nothing and strangers too much.
var (
	// BSS shows the record that it could not store, in braces and quotes.
	// Parameters may hold braces too, so what has no clear end has none.
	dumpRule = regexp.MustCompile(`'\{.*\}'|'?\{.*$`)
	// Python's objects, and markup.
	markupRule = regexp.MustCompile(`<[^<>]*>?`)
	// The target of a request, with its method if it stands before it.
	urlRule = regexp.MustCompile(`(?i)(\b(get|head|post|put|patch|delete)\s+)?["']?[a-z0-9+.-]*://[^\s"'<>)\]]*["']?:?`)
	// What Go's client adds about its own state to a time-out.
	waitingRule = regexp.MustCompile(` ?\((Client\.Timeout|Client\.Timeout or context cancellation|context deadline exceeded) (exceeded )?while (awaiting headers|reading body)\)`)
	// The Go network stack's descriptions of an address.
	networkRule = regexp.MustCompile(`(?i)\b((dial|read|write|listen) (tcp|udp|unix|ip)\w*:?|lookup \S+( on \S+)?|\S+->\S+)`)
	addressRule = regexp.MustCompile(`(\b\d{1,3}(\.\d{1,3}){3}\b|\[[0-9a-fA-F:]*:[0-9a-fA-F:.]*\])(:\d+)?:?`)
	hostRule    = regexp.MustCompile(`(?i)\b([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+(local|svc|internal|lan|cluster|com|net|org|io|gov|edu)\b(:\d+)?:?|\b[a-z][a-z0-9.-]*:\d{2,5}\b:?`)
	// Credentials.
	bearerRule = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=_.-]{8,}`)
	jwtRule    = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_.-]+`)
	// The values of assignments, such as kernel parameters, and runs that are
	// no words.
	valueRule = regexp.MustCompile(`([A-Za-z_][\w.-]*)=("[^"]*"|'[^']*'|[^\s,;()]+)`)
	runRule   = regexp.MustCompile(`\S{80,}`)
	// Names of types.
	goDecodeRule = regexp.MustCompile(`(json: )?cannot unmarshal (\w+) into Go .*$`)
	typeRule     = regexp.MustCompile(`\*?\b([A-Za-z_]\w*\.)+[A-Z]\w*\b:?|\b[A-Za-z_]\w*(Error|Exception)\b:?`)

	emptyQuotes = regexp.MustCompile(`""|''|\(\s*\)`)
	colonRule   = regexp.MustCompile(`\s*:(\s*:)+`)
	beforeRule  = regexp.MustCompile(`\s+([:,.;])`)
)

// Cleaner is [Clean] for the many records of one answer, most of which say the
// same. The zero value is ready; it must not be used by several goroutines.
type Cleaner struct{ known map[string]string }

// maxCleaned bounds what a Cleaner remembers.
const maxCleaned = 64

// Clean is [Clean].
func (c *Cleaner) Clean(text string) string {
	if clean, ok := c.known[text]; ok || text == "" {
		return clean
	}
	clean := Clean(text)
	if c.known == nil {
		c.known = map[string]string{}
	}
	if len(c.known) < maxCleaned {
		c.known[text] = clean
	}
	return clean
}

// Clean makes a text of a service fit for users: one line of at most 300
// characters without addresses, credentials, values of parameters, dumped
// records and names of types. Each of redact is taken out wherever it occurs,
// if it has at least 8 bytes.
func Clean(text string, redact ...string) string {
	if text == "" {
		return ""
	}
	text = strings.ToValidUTF8(text, "")
	for _, secret := range redact {
		if len(secret) >= minRedact {
			text = strings.ReplaceAll(text, secret, gap)
		}
	}
	if len(text) > maxRawWords {
		text = strings.ToValidUTF8(text[:maxRawWords], "")
	}
	text = oneLine(text)
	text = dumpRule.ReplaceAllString(text, gap)
	text = goDecodeRule.ReplaceAllString(text, "wrong type in JSON: $2")
	text = waitingRule.ReplaceAllString(text, "")
	text = markupRule.ReplaceAllString(text, " ")
	text = urlRule.ReplaceAllString(text, " ")
	text = networkRule.ReplaceAllString(text, " ")
	text = addressRule.ReplaceAllString(text, " ")
	text = bearerRule.ReplaceAllString(text, gap)
	text = jwtRule.ReplaceAllString(text, gap)
	text = valueRule.ReplaceAllString(text, "$1="+gap)
	text = hostRule.ReplaceAllString(text, " ")
	text = typeRule.ReplaceAllString(text, " ")
	text = runRule.ReplaceAllString(text, gap)
	text = emptyQuotes.ReplaceAllString(text, " ")
	text = colonRule.ReplaceAllString(text, ":")
	text = beforeRule.ReplaceAllString(text, "$1")
	text = strings.Trim(oneLine(text), ":,; ")
	return shorten(text)
}

// oneLine replaces what is no printable character by blanks and joins the
// words by single ones.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
}

// shorten cuts a text to the bound.
func shorten(text string) string {
	if utf8.RuneCountInString(text) <= maxWords {
		return text
	}
	runes := []rune(text)
	return strings.TrimRight(string(runes[:maxWords-1]), " ") + gap
}

// extractWords finds what the body of an answer says to people: the detail or
// title of a problem document, IMS's message and its map of errors, a JSON
// string (TAPMS), or plain text. Pages and what can't be read say nothing.
func extractWords(contentType string, body []byte) string {
	text := strings.TrimSpace(string(body))
	if text == "" {
		return ""
	}
	switch text[0] {
	case '{':
		return wordsOfObject([]byte(text))
	case '"':
		var s string
		if decodeLoosely([]byte(text), &s) != nil {
			return ""
		}
		return s
	case '[':
		var list []string
		if decodeLoosely([]byte(text), &list) != nil {
			return ""
		}
		return strings.Join(list, "; ")
	case '<':
		return ""
	}
	if strings.Contains(contentType, "json") || !utf8.ValidString(text) {
		return ""
	}
	return text
}

func decodeLoosely(data []byte, out any) error {
	return json.Unmarshal(data, out, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// wordsOfObject prefers what is most telling: the detail, then the message,
// then the title; the map of errors is added to it.
func wordsOfObject(data []byte) string {
	var members map[string]jsontext.Value
	if decodeLoosely(data, &members) != nil {
		return ""
	}
	words := ""
	for _, name := range []string{"detail", "message", "title", "error"} {
		var s string
		if v, ok := members[name]; ok && decodeLoosely(v, &s) == nil && strings.TrimSpace(s) != "" {
			words = strings.TrimSpace(s)
			break
		}
	}
	var parts []string
	if v, ok := members["errors"]; ok {
		parts = flatten("", v, parts, 0)
	}
	if len(parts) == 0 {
		return words
	}
	return strings.TrimSpace(words + " " + strings.Join(parts, "; "))
}

// flatten lists the texts in nested maps and lists with the path to each, in
// the order of the names. Depth and length are bounded: the body is not ours.
func flatten(path string, v jsontext.Value, out []string, depth int) []string {
	const maxDepth, maxParts = 5, 20
	if depth > maxDepth || len(out) >= maxParts {
		return out
	}
	switch v.Kind() {
	case '"':
		var s string
		if decodeLoosely(v, &s) != nil {
			return out
		}
		if path != "" {
			s = path + ": " + s
		}
		return append(out, s)
	case '[':
		var list []jsontext.Value
		if decodeLoosely(v, &list) != nil {
			return out
		}
		for _, item := range list {
			out = flatten(path, item, out, depth+1)
		}
	case '{':
		var members map[string]jsontext.Value
		if decodeLoosely(v, &members) != nil {
			return out
		}
		names := make([]string, 0, len(members))
		for name := range members {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			next := name
			if path != "" {
				next = path + "." + name
			}
			out = flatten(next, members[name], out, depth+1)
		}
	default:
		// Nothing else is a text.
	}
	return out
}
