// SPDX-License-Identifier: MIT

package front

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/bos"
)

// The front and the general validator say the same of bodies made from the
// schemas, but for the intended differences: in those the front is stricter.
func TestFrontAgreesWithOracle(t *testing.T) {
	f, o := load(t), newOracle(t)
	for _, id := range slices.Sorted(maps.Keys(o.bodies)) {
		t.Run(id, func(t *testing.T) {
			var accepted, refused int
			rapid.Check(t, func(t *rapid.T) {
				m := &maker{t: t}
				m.value(o.bodies[id])
				body := m.out.String()
				want := m.strict == "" && o.accepts(id, []byte(body))
				mark := m.pick("", "", byteOrderMark)
				cleaned, err := f.Operation(id).Body("application/json", []byte(mark+body))
				if got := err == nil; got != want {
					t.Fatalf("%s\naccepted %t, want %t: %v (%s)", body, got, want, err, m.strict)
				}
				if err != nil {
					refused++
					wantCode(t, err, bos.CodeInvalid)
					return
				}
				accepted++
				wantSame(t, cleaned, []byte(body))
			})
			if accepted == 0 || refused == 0 {
				t.Errorf("%d were accepted and %d refused: that compares nothing", accepted, refused)
			}
		})
	}
}

// wantSame fails unless what was cleaned is clean and means the same.
func wantSame(tb rapid.TB, cleaned, body []byte) {
	tb.Helper()
	var got, want any
	if err := json.Unmarshal(cleaned, &got); err != nil {
		tb.Fatalf("%s: %v", cleaned, err)
	}
	if err := json.Unmarshal(body, &want); err != nil {
		tb.Fatalf("%s: %v", body, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Fatal(diff)
	}
	if !uniqueJSON(cleaned) {
		tb.Fatalf("%s: not clean", cleaned)
	}
}

// What is JSON is what the strict decoder takes for it.
func TestScannerAgreesWithDecoder(t *testing.T) {
	parts := []string{
		"{", "}", "[", "]", ",", ":", `"a"`, `"b"`, "1", "-0", "1.5e+3", "true", "null", "false", " ", "\n", `"\ud83d\ude00"`,
		`"\ud83d"`, `"\u00e9"`, "\"\xff\"", "\"é\"", "01", "1.", "-", "tru", `"`, `\`, "\x00", "é", "e", "+", `"\n"`, `"\q"`, "\"\x1f\"",
	}
	valid := []string{`{"a":1}`, `[]`, `{}`, `[1,2]`, `{"a":[{}]}`, `"x"`, `-1.5E-7`}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom(append(valid, parts...)).Draw(t, "text")
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			part := rapid.SampledFrom(append(parts, valid...)).Draw(t, "part")
			at := rapid.IntRange(0, len(text)).Draw(t, "at")
			end := min(at+rapid.IntRange(0, 2).Draw(t, "cut"), len(text))
			text = text[:at] + part + text[end:]
		}
		wantScanned(t, []byte(text))
	})
}

// Every byte is seen for what it is, wherever it stands in a string.
func TestScannerSeesEveryByte(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			text := []byte(`"` + strings.Repeat("x", 20) + `"`)
			text[1+at] = byte(c)
			wantScanned(t, text)
		}
	}
}

// wantScanned fails unless the scanner takes a text for JSON exactly if the
// decoder does.
func wantScanned(tb rapid.TB, text []byte) {
	tb.Helper()
	cleaned, nan, fault, at := clean(text)
	if got, want := fault == "" && nan == 0, strictJSON(text); got != want {
		tb.Fatalf("%q: scanned %t, want %t: %s at %d", text, got, want, fault, at)
	}
	if fault == "" && nan == 0 && !uniqueJSON(cleaned) {
		tb.Fatalf("%q: got %q, which is not clean", text, cleaned)
	}
	if at < 0 || at > len(text) {
		tb.Fatalf("%q: place %d", text, at)
	}
}

// wantTold fails unless an error tells the client something that is fit to be
// shown.
func wantTold(tb testing.TB, err error) {
	tb.Helper()
	message := wantCode(tb, err, bos.CodeInvalid)
	if len(message) > 4096 || !utf8.ValidString(message) {
		tb.Errorf("unfit: %q", message)
	}
	if strings.ContainsFunc(message, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		tb.Errorf("control characters: %q", message)
	}
}
