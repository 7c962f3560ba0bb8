// SPDX-License-Identifier: MIT

package compare_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bos/test/conformance/compare"
)

func decode(t *testing.T, s string) any {
	t.Helper()
	v, err := compare.Decode([]byte(s))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

// match is a case of [compare.Rules.Match]; fault is in the one difference, ""
// for none.
type match struct {
	name, want, got string
	order           compare.Order
	fault           string
}

func TestMatch(t *testing.T) {
	const id = "0a1b2c3d-0000-4000-8000-0123456789ab"
	for _, tt := range []match{
		{name: "equal", want: `{"a":1,"b":[true,null,"x"]}`, got: `{"b":[true,null,"x"],"a":1.0}`},
		{name: "missing key", want: `{"a":1,"b":2}`, got: `{"a":1}`, fault: "$.b: missing, want 2"},
		{name: "further key", want: `{"a":1}`, got: `{"a":1,"b":2}`, fault: "$.b: unexpected 2"},
		{name: "null is not missing", want: `{"a":null}`, got: `{}`, fault: "$.a: missing"},
		{name: "missing is not null", want: `{}`, got: `{"a":null}`, fault: "$.a: unexpected null"},
		{name: "number", want: `1`, got: `2`, fault: "$: want 1, got 2"},
		{name: "large numbers", want: `9007199254740993`, got: `9007199254740992`, fault: "want 9007199254740993"},
		{name: "number and text", want: `1`, got: `"1"`, fault: `want 1, got "1"`},
		{name: "number and boolean", want: `1`, got: `true`, fault: "want 1, got true"},
		{name: "boolean", want: `true`, got: `false`, fault: "want true, got false"},
		{name: "boolean and number", want: `false`, got: `0`, fault: "want false, got 0"},
		{name: "null and empty", want: `null`, got: `""`, fault: `want null, got ""`},
		{name: "text", want: `"a"`, got: `"A"`, fault: `want "a", got "A"`},
		{name: "object and list", want: `{}`, got: `[]`, fault: "want object {}, got []"},
		{name: "list and object", want: `[]`, got: `{}`, fault: "want list [], got {}"},
		{name: "order of a list", want: `[1,2]`, got: `[2,1]`, fault: "$[0]: want 1, got 2"},
		{name: "length of a list", want: `[1,2]`, got: `[1]`, fault: "want 2 items, got 1"},
		{name: "named things", want: `[{"name":"a"},{"name":"b"}]`, got: `[{"name":"b"},{"name":"a"}]`, order: compare.Named},
		{name: "named things with order", want: `{"<ordered>":[{"name":"a"},{"name":"b"}]}`, got: `[{"name":"b"},{"name":"a"}]`, order: compare.Named, fault: `[0].name`},
		{name: "twice the same", want: `[{"name":"a"},{"name":"b"}]`, got: `[{"name":"a"},{"name":"a"}]`, order: compare.Named, fault: "no item matches"},
		{name: "things with ids", want: `[{"id":"a"},{"id":"b"}]`, got: `[{"id":"b"},{"id":"a"}]`, order: compare.Any},
		{name: "things with ids have an order", want: `[{"id":"a"},{"id":"b"}]`, got: `[{"id":"b"},{"id":"a"}]`, order: compare.Named, fault: `[0].id`},
		{name: "any order", want: `{"<unordered>":[1,2]}`, got: `[2,1]`},
		{name: "any order, one less", want: `{"<unordered>":[1,2]}`, got: `[2]`, fault: "want 2 items in any order"},
		{name: "any order, another", want: `{"<unordered>":[1,2]}`, got: `[2,3]`, fault: "no item matches 1; left: [2,3]"},
		{name: "any value", want: `{"a":"<any>"}`, got: `{"a":[{}]}`},
		{name: "any value must be there", want: `{"a":"<any>"}`, got: `{}`, fault: "$.a: missing"},
		{name: "any text within", want: `"a <any> b"`, got: `"a \n b b"`},
		{name: "any text within, no end", want: `"a <any> b"`, got: `"a b"`, fault: "want"},
		{name: "timestamp", want: `"<timestamp>"`, got: `"2026-01-02T03:04:05"`},
		{name: "timestamp with zone", want: `"<timestamp>"`, got: `"2026-01-02T03:04:05.6+01:00"`},
		{name: "timestamp within", want: `"at <timestamp>."`, got: `"at 2026-01-02T03:04:05."`},
		{name: "no timestamp", want: `"<timestamp>"`, got: `"2026-01-02 03:04:05"`, fault: "want"},
		{name: "null is no timestamp", want: `"<timestamp>"`, got: `null`, fault: "want"},
		{name: "a placeholder is a whole text", want: `"<timestamp>"`, got: `"2026-01-02T03:04:05 "`, fault: "want"},
		{name: "uuid", want: `"<uuid>"`, got: `"` + id + `"`},
		{name: "no uuid", want: `"<uuid>"`, got: `"` + strings.ToUpper(id) + `"`, fault: "want"},
		{name: "duration", want: `"<duration>"`, got: `"2 days, 0:00:01.5"`},
		{name: "no duration", want: `"<duration>"`, got: `"5s"`, fault: "want"},
		{name: "base", want: `"<base>/v2"`, got: `"http://bos/v2"`},
		{name: "another base", want: `"<base>/v2"`, got: `"http://bosx/v2"`, fault: "want"},
		{name: "points are points", want: `"<base>.<any>"`, got: `"http://bos-x"`, fault: "want"},
		{name: "csv", want: `"<csv:a,b>"`, got: `"b,a"`},
		{name: "csv, one more", want: `"<csv:a,b>"`, got: `"b,a,c"`, fault: "want any order of a,b"},
		{name: "csv within", want: `"not yours: <csv:a,b>"`, got: `"not yours: b,a"`},
		{name: "csv within, another", want: `"not yours: <csv:a,b>"`, got: `"not yours: b,b"`, fault: "want any order of a,b, got b,b"},
		{name: "words", want: `"<words>"`, got: `"the image is too large"`},
		{name: "no words", want: `"<words>"`, got: `" "`, fault: "want a text"},
		{name: "null is no words", want: `"<words>"`, got: `null`, fault: "want a text"},
		{name: "words about", want: `"<words:img-1>"`, got: `"image img-1 is too large"`},
		{name: "words about something else", want: `"<words:img-1>"`, got: `"the image is too large"`, fault: `should name "img-1"`},
		{name: "words as a key", want: `{"<words:img>":{"count":1}}`, got: `{"img is gone":{"count":1}}`},
		{name: "words as a key, another value", want: `{"<words:img>":{"count":1}}`, got: `{"img is gone":{"count":2}}`, fault: "no key for"},
		{name: "words as a key, a slip", want: `{"<words>":1}`, got: `{"KeyError: 'x'":1}`, fault: "no key for"},
		{name: "words as a key, and more", want: `{"<words>":1}`, got: `{"a":1,"b":1}`, fault: "$.b: unexpected 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := compare.Rules{Base: "http://bos", Order: tt.order}.Match(decode(t, tt.want), decode(t, tt.got), "$")
			check(t, got, tt.fault)
		})
	}
}

// check wants one difference with something in it, or none.
func check(t *testing.T, diffs []string, fault string) {
	t.Helper()
	switch {
	case fault == "" && len(diffs) > 0:
		t.Errorf("a difference where there is none: %v", diffs)
	case fault != "" && len(diffs) == 0:
		t.Errorf("it was not seen; want %s", fault)
	case fault != "" && !strings.Contains(strings.Join(diffs, "\n"), fault):
		t.Errorf("got %v; want %s", diffs, fault)
	}
}

// What the original let slip may be said in other words, but not in these.
func TestSlips(t *testing.T) {
	const (
		prefix = "The session template could not be created: "
		theirs = prefix + "bos.server.controllers.v2.boot_set.exceptions.BootSetArchMismatch: Boot set arch"
		set    = "Session template: 't' boot set: 'b': "
	)
	for _, tt := range []match{
		{name: "own words", want: theirs, got: prefix + "the image is for ARM"},
		{name: "without the beginning", want: theirs, got: "the image is for ARM", fault: "should begin with"},
		{name: "nothing after the beginning", want: theirs, got: prefix, fault: "want a text"},
		{name: "both boot sets", want: set + "a.b.CError: x; " + set + "plain", got: set + "own; " + set + "plain"},
		{name: "one boot set is missing", want: set + "a.b.CError: x; " + set + "plain", got: set + "own", fault: "want 2 messages"},
		{name: "plain text must be kept", want: set + "a.b.CError: x; " + set + "plain", got: set + "own; " + set + "other", fault: "want"},
		{name: "the same class name", want: theirs, got: theirs, fault: "is for the log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, compare.Rules{}.Match(tt.want, tt.got, "$"), tt.fault)
		})
	}
	for _, slip := range []string{
		"x.y.ZError happened", "ValueError: no", "frozenset({'a'})", "HTTPConnectionPool(host)", "see http://cray-ims/v3", "at http://127.0.0.1:80",
		"at http://localhost", "at https://[::1]", "Traceback (most", "goroutine 7 [running]", "panic: oh", "runtime error: index", "main.go:12", "a.py:3",
		"dial tcp 10.0.0.1", "map[a:b]", "&{x}", "0xc000123456", "list indices must be integers", "codec can't decode", "{'a': 1}", `{"a": 1}`,
	} {
		if compare.Words(slip, "") == "" {
			t.Errorf("%q was not seen", slip)
		}
	}
	for _, fine := range []string{"'x' is no name: it ends with a dot.", "hsm is away since 12:00", "boot set 'a' (X86)", "3.5 is no whole number", "see x.md"} {
		if bad := compare.Words(fine, ""); bad != "" {
			t.Errorf("%q: %s", fine, bad)
		}
	}
}

// leaf is a place in a value whose change must be seen.
type leaf struct {
	path   string
	change func(v any)
}

// sample fills the placeholders of what is expected and returns the places that
// count.
func sample(v any, path string) (any, []leaf) {
	var leaves []leaf
	switch v := v.(type) {
	case map[string]any:
		if l, ok := v["<unordered>"]; ok {
			return sample(l, path)
		}
		if l, ok := v["<ordered>"]; ok {
			return sample(l, path)
		}
		out := map[string]any{}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			inner, more := sample(v[k], path+"."+k)
			out[k] = inner
			leaves = append(leaves, more...)
			leaves = append(leaves, leaf{path + "." + k + " is missing", func(any) { delete(out, k) }})
		}
		leaves = append(leaves, leaf{path + " has more", func(any) { out["another"] = true }})
		return out, leaves
	case []any:
		out := make([]any, len(v))
		for i := range v {
			inner, more := sample(v[i], path+"[]")
			out[i] = inner
			leaves = append(leaves, more...)
			leaves = append(leaves, leaf{path + "[] is another", func(any) { out[i] = "another" }})
		}
		return out, leaves
	case string:
		for placeholder, value := range map[string]string{
			"<timestamp>": "2026-01-02T03:04:05", "<uuid>": "00000000-0000-4000-8000-000000000000", "<duration>": "0:00:01", "<base>": "http://bos",
			"<any>": "something", "<words>": "own words",
		} {
			v = strings.ReplaceAll(v, placeholder, value)
		}
		if inner, ok := strings.CutPrefix(v, "<csv:"); ok {
			v = strings.TrimSuffix(inner, ">")
		}
		return v, nil
	default:
		return v, nil
	}
}

// Whatever is taken from, added to or changed in a recorded answer is a
// difference.
func TestEveryChangeIsSeen(t *testing.T) {
	files, err := filepath.Glob("../testdata/scenarios/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	changes := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var s struct {
			Steps []struct {
				Name, Method string
				Expect       json.RawMessage
			}
		}
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
		for _, step := range s.Steps {
			if len(step.Expect) > 1024 {
				// Long lists have nothing new.
				continue
			}
			want, _ := decode(t, string(step.Expect)).(map[string]any)
			status, err := want["status"].(json.Number).Int64()
			if err != nil {
				t.Fatal(err)
			}
			if status == 500 {
				continue
			}
			media, _ := want["content_type"].(string)
			e := compare.Expect{Status: int(status), ContentType: media, Body: want["body"]}
			changes += seen(t, file+" "+step.Name, step.Method, e)
		}
	}
	if changes < 5000 {
		t.Errorf("only %d changes were tried", changes)
	}
}

// seen plays with one answer and returns how many changes were tried.
func seen(t *testing.T, where, method string, e compare.Expect) int {
	t.Helper()
	rules := compare.Rules{Base: "http://bos", Order: compare.Named}
	answer := func(v any) compare.Answer {
		a := compare.Answer{Status: e.Status, ContentType: e.ContentType}
		if m, ok := v.(map[string]any); ok && len(m) == 1 && m["<text>"] != nil {
			a.Body = []byte(m["<text>"].(string))
			return a
		}
		if v != nil {
			var err error
			if a.Body, err = json.Marshal(v); err != nil {
				t.Fatal(err)
			}
		}
		return a
	}
	v, leaves := sample(e.Body, "body")
	good := answer(v)
	if _, ok := e.Body.(map[string]any); ok && slices.ContainsFunc(rules.Answer(method, e, good, nil), func(d string) bool {
		// The recorded words are not always words that ours may use.
		return strings.Contains(d, "for the log") || strings.Contains(d, "want a text")
	}) {
		return 0
	}
	if diffs := rules.Answer(method, e, good, nil); len(diffs) > 0 {
		t.Errorf("%s: the recorded answer itself: %v", where, diffs)
		return 0
	}
	bad := good
	bad.Status++
	if len(rules.Answer(method, e, bad, nil)) == 0 {
		t.Errorf("%s: another status was not seen", where)
	}
	if bad = good; e.Body != nil && method != "OPTIONS" {
		bad.ContentType = "text/plain"
		if len(rules.Answer(method, e, bad, nil)) == 0 {
			t.Errorf("%s: another content type was not seen", where)
		}
	}
	tried := 2
	for i := range leaves {
		v, leaves := sample(e.Body, "body")
		leaves[i].change(v)
		tried++
		if len(rules.Answer(method, e, answer(v), nil)) == 0 {
			t.Errorf("%s: %s: it was not seen", where, leaves[i].path)
		}
	}
	return tried
}
