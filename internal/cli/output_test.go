// SPDX-License-Identifier: MIT

package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/clipperhouse/displaywidth"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// texts are strings with what formats trip over.
func texts() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", "yes", "No", "null", "~", "0:11:37", "2026-11-23T09:38:17", "2026-11-23", "1e5", "0x10", ".inf", "a: b",
		"a #b", "- a", "[x]", "{x}", "line\nline", "tab\t", `quote"back\slash`, "a:", " a", "a ", "<<", "=", "!x", "&x", "*x", "\u0085", "\u2028", "\ufeff",
	}))
}

// trees are JSON values of a depth.
func trees(depth int) *rapid.Generator[*tree] {
	return rapid.Custom(func(t *rapid.T) *tree {
		top := 3
		if depth > 0 {
			top = 5
		}
		switch rapid.IntRange(0, top).Draw(t, "kind") {
		case 0:
			return &tree{kind: kindNull}
		case 1:
			return boolTree(rapid.Bool().Draw(t, "bool"))
		case 2:
			return numberTree(rapid.SampledFrom([]string{"0", "-1", "3.5", "12345678901234567890", "75.0", "1e5", "-2E-7"}).Draw(t, "number"))
		case 3:
			return stringTree(texts().Draw(t, "text"))
		case 4:
			return &tree{kind: kindArray, items: rapid.SliceOfN(trees(depth-1), 0, 4).Draw(t, "items")}
		}
		o := objectTree()
		for range rapid.IntRange(0, 4).Draw(t, "members") {
			o.put(texts().Draw(t, "key"), trees(depth-1).Draw(t, "value"))
		}
		return o
	})
}

func TestIndenterOnlyAddsBlanks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := trees(4).Draw(t, "tree").JSON()
		var want bytes.Buffer
		if err := json.Indent(&want, raw, "", "  "); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		out := bufio.NewWriter(&got)
		in := newIndenter(out)
		var from io.Reader = bytes.NewReader(raw)
		if rapid.Bool().Draw(t, "slow") {
			from = iotest.OneByteReader(from)
		}
		if _, err := io.Copy(in, from); err != nil {
			t.Fatal(err)
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if err := out.Flush(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.String()+"\n", got.String()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestIndenterNoticesAnEnd(t *testing.T) {
	for _, text := range []string{"", " ", "[", `{"a"`, `{"a": 1`, `"a`, `"a\`, `[1, 2`} {
		in := newIndenter(bufio.NewWriter(io.Discard))
		if _, err := in.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := in.Close(); err == nil {
			t.Errorf("%q passed for a whole document", text)
		}
	}
}

func TestJSONKeepsOrderAndNumbers(t *testing.T) {
	const text = `{"z":1.50,"a":{"c":[],"b":null},"<":"&","n":12345678901234567890}`
	got, err := parseJSON([]byte(" " + text + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if string(got.JSON()) != text {
		t.Errorf("got %s", got.JSON())
	}
}

func TestJSONThatIsRefused(t *testing.T) {
	deep := strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1)
	for _, text := range []string{"", "{", `{"a":}`, `{} {}`, "nul", "\"\xff\"", deep, `{"a" 1}`} {
		if got, err := parseJSON([]byte(text)); err == nil {
			t.Errorf("%q was read as %s", text, got.JSON())
		}
	}
}

func TestYAMLComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := trees(4).Draw(t, "tree")
		var text bytes.Buffer
		if err := writeYAML(&text, want); err != nil {
			t.Fatal(err)
		}
		got, err := parseYAML(text.Bytes())
		if err != nil {
			t.Fatalf("%v in\n%s", err, text.String())
		}
		if diff := cmp.Diff(string(want.JSON()), string(got.JSON())); diff != "" {
			t.Fatalf("%s in\n%s", diff, text.String())
		}
	})
}

func TestYAMLThatIsRefused(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for name := 'b'; name < 'k'; name++ {
		bomb += string(name) + ": &" + string(name) + " [" + strings.Repeat("*"+string(name-1)+", ", 9) + "x]\n"
	}
	for _, text := range []string{"", "a: [", "a: &a [*a]", "? [a]\n: b", bomb} {
		if _, err := parseYAML([]byte(text)); err == nil {
			t.Errorf("this was read:\n%.100s", text)
		}
	}
}

func TestTOML(t *testing.T) {
	tests := []struct{ json, want string }{
		{`{}`, ""},
		{`[]`, "results = []\n"},
		{`"a"`, `results = "a"` + "\n"},
		{`{"a":{"b":1},"c":null,"d":true}`, "d = true\n\n[a]\nb = 1\n"},
		{`{"a":{"b":{"c":"x"}}}`, "[a.b]\nc = \"x\"\n"},
		{`{"a":{}}`, "[a]\n"},
		{`{"a":[{"b":1},{"b":2}]}`, "[[a]]\nb = 1\n\n[[a]]\nb = 2\n"},
		{`{"a":[{"b":1},2,null,[]]}`, `a = [{b = 1}, 2, "", []]` + "\n"},
		{`{"a.b":{"c d":"\u0000\"\\\n\t\r\u007f"}}`, "[\"a.b\"]\n\"c d\" = \"\\u0000\\\"\\\\\\n\\t\\r\\u007F\"\n"},
	}
	for _, test := range tests {
		parsed, err := parseJSON([]byte(test.json))
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := writeTOML(&got, parsed); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got.String()); diff != "" {
			t.Errorf("%s: %s", test.json, diff)
		}
	}
}

func TestTablesFitOnTheScreen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(40, 200).Draw(t, "width")
		table := table{columns: []column{
			{title: "NAME", min: 8}, {title: "TENANT", min: 6, optional: true}, {title: "STARTED", min: 7, drop: 1},
			{title: "NODES", min: 10, wrap: true}, {title: "ERROR", below: true},
		}}
		for range rapid.IntRange(0, 5).Draw(t, "rows") {
			row := make([]cell, len(table.columns))
			for i := range row {
				row[i].text = texts().Draw(t, "text")
			}
			table.row(row...)
		}
		var out strings.Builder
		if err := table.write(&screen{out: &out, width: width}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if got := displaywidth.String(line); got > width {
				t.Fatalf("a line of %d columns on a screen of %d: %q", got, width, line)
			}
			if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
				t.Fatalf("a line that commands the terminal: %q", line)
			}
		}
	})
}
