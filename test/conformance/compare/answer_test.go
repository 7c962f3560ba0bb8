// SPDX-License-Identifier: MIT

package compare_test

import (
	"strings"
	"testing"

	"bos/test/conformance/compare"
)

const problem = "application/problem+json"

func answer(status int, media string, body []byte) compare.Answer {
	return compare.Answer{Status: status, ContentType: media, Body: body}
}

func TestAnswer(t *testing.T) {
	worded := `{"detail":"'a' is too long - 'boot_sets.compute.path'","status":400,"title":"Bad Request","type":"about:blank"}`
	answered := func(detail string) string {
		return `{"detail":"` + detail + `","status":400,"title":"Bad Request","type":"about:blank"}`
	}
	plain := strings.ReplaceAll(worded, "'a' is too long - 'boot_sets.compute.path'", "Session Template Name invalid: t")
	crashed := `{"detail":"The server encountered an internal error","status":500,"title":"Internal Server Error","type":"about:blank"}`
	for _, tt := range []struct {
		name, method string
		status       int
		media, want  string
		got          compare.Answer
		fault        string
	}{
		{"own detail", "PUT", 400, problem, worded, answer(400, problem, []byte(answered("path: at most 4095 characters"))), ""},
		{"the recorded detail", "PUT", 400, problem, worded, answer(400, problem, []byte(worded)), ""},
		{"own detail without the field", "PUT", 400, problem, worded, answer(400, problem, []byte(answered("it is too long"))), `should name "path"`},
		{"own detail with a slip", "PUT", 400, problem, worded, answer(400, problem, []byte(answered("path: json: main.go:12"))), "for the log"},
		{"no detail", "PUT", 400, problem, worded, answer(400, problem, []byte(answered(""))), "want a text"},
		{"another title", "PUT", 400, problem, worded, answer(400, problem, []byte(strings.ReplaceAll(worded, "Bad Request", "Bad"))), "body.title"},
		{"another status inside", "PUT", 400, problem, worded, answer(400, problem, []byte(strings.ReplaceAll(worded, "400", "422"))), "body.status"},
		{"another status", "PUT", 400, problem, worded, answer(422, problem, []byte(worded)), "status: want 400, got 422"},
		{"another content type", "PUT", 400, problem, worded, answer(400, "application/json", []byte(worded)), "content type"},
		{"parameters", "PUT", 400, problem, worded, answer(400, "Application/Problem+JSON; charset=utf-8", []byte(worded)), ""},
		{"a fixed detail", "POST", 400, problem, plain, answer(400, problem, []byte(answered("there is no template t"))), "body.detail"},
		{"empty", "DELETE", 204, "application/json", `null`, answer(204, "", nil), ""},
		{"not empty", "DELETE", 204, "application/json", `null`, answer(204, "", []byte(`{}`)), "body: want null, got {}"},
		{"options", "OPTIONS", 200, "text/html", `null`, answer(200, "", nil), ""},
		{"plain text", "GET", 200, "text/plain", `{"<text>":"a <any>"}`, answer(200, "text/plain", []byte("a b")), ""},
		{"another plain text", "GET", 200, "text/plain", `{"<text>":"a <any>"}`, answer(200, "text/plain", []byte("b")), "want"},
		{"not JSON", "GET", 200, "application/json", `{"a":1}`, answer(200, "application/json", []byte(`{"a":1} x`)), "missing"},
		{"NaN is not JSON", "GET", 200, "application/json", `"<any>"`, answer(200, "application/json", []byte(`{"a":NaN}`)), ""},
		{"a crash, mended", "GET", 500, problem, crashed, answer(200, "application/json", []byte(`[]`)), ""},
		{"a crash, refused", "GET", 500, problem, crashed, answer(400, problem, []byte(answered("min_age: it is too large"))), ""},
		{"a crash, refused without a word", "GET", 500, problem, crashed, answer(400, problem, []byte(`{}`)), "want a text"},
		{"a crash, refused with a slip", "GET", 500, problem, crashed, answer(400, problem, []byte(answered("panic: oh"))), "for the log"},
		{"a crash, something is away", "GET", 500, problem, crashed, answer(503, problem, []byte(`{"detail":"tapms is away"}`)), ""},
		{"a crash like theirs", "GET", 500, problem, crashed, answer(500, problem, []byte(answered("oh"))), "the original crashed"},
		{"a crash of another kind", "GET", 500, problem, crashed, answer(502, problem, []byte(answered("oh"))), "the original crashed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := compare.Expect{Status: tt.status, ContentType: tt.media, Body: decode(t, tt.want)}
			check(t, compare.Rules{}.Answer(tt.method, want, tt.got, nil), tt.fault)
		})
	}
}

func TestDeviations(t *testing.T) {
	d, err := compare.ParseDeviations([]byte(`[
		{"scenario":"s","step":"one","why":"w","accept":{"status":[400,404],"body":{"a":"<any>"}}},
		{"scenario":"s","step":"two","why":"w","accept":{"status":503}},
		{"trace":"t","path":"$.sessions[0].record","why":"w","expect":"<absent>"}]`))
	if err != nil {
		t.Fatal(err)
	}
	want := compare.Expect{Status: 200, Body: "x"}
	one := d.Step("s", "one")
	check(t, compare.Rules{}.Answer("GET", want, compare.Answer{Status: 404, Body: []byte(`{"a":1}`)}, one), "")
	check(t, compare.Rules{}.Answer("GET", want, compare.Answer{Status: 200, Body: []byte(`{"a":1}`)}, one), "want one of [400 404] (deviation)")
	check(t, compare.Rules{}.Answer("GET", want, compare.Answer{Status: 404, Body: []byte(`{"b":1}`)}, one), "body.a: missing")
	if d.Step("s", "three") != nil || d.Step("t", "one") != nil {
		t.Error("a deviation that nobody declared")
	}
	if got := d.UnusedSteps(); len(got) != 1 || got[0] != "s, two" {
		t.Errorf("unused: %v", got)
	}
	if got := d.UnusedPlaces(); len(got) != 1 || got[0] != "t, $.sessions[0].record" {
		t.Errorf("unused: %v", got)
	}
	check(t, compare.Rules{}.Answer("GET", want, compare.Answer{Status: 503, Body: []byte("whatever")}, d.Step("s", "two")), "")
	if o := d.Trace("t"); len(o) != 1 || o[0].Expect != "<absent>" || len(d.UnusedSteps())+len(d.UnusedPlaces()) != 0 {
		t.Errorf("got %v", o)
	}
	for _, bad := range []string{
		`{}`, `[{}]`, `[{"scenario":"s","step":"one","accept":{"status":400}}]`, `[{"scenario":"s","step":"one","why":"","accept":{"status":400}}]`,
		`[{"scenario":"s","step":"*","why":"w","accept":{"status":400}}]`, `[{"scenario":"s","step":"a","why":"w","accept":{}}]`,
		`[{"scenario":"s","step":"a","why":"w","accept":{"status":[]}}]`, `[{"scenario":"s","step":"a","why":"w","accept":{"status":500}}]`,
		`[{"scenario":"s","step":"a","why":"w","accept":{"status":502}}]`, `[{"scenario":"s","step":"a","why":"w","accept":{"status":"400"}}]`,
		`[{"scenario":"s","step":"a","why":"w","accept":{"status":400,"more":1}}]`, `[{"scenario":"s","step":"a","why":"w","expect":1}]`,
		`[{"scenario":"s","step":"a","path":"$.a.b","why":"w","accept":{"status":400}}]`,
		`[{"scenario":"s","step":"a","why":"w","accept":{"status":400}},{"scenario":"s","step":"a","why":"w","accept":{"status":404}}]`,
		`[{"trace":"t","path":"$.a","why":"w","expect":1}]`, `[{"trace":"t","path":"$","why":"w","expect":1}]`,
		`[{"trace":"t","path":"a.b","why":"w","expect":1}]`, `[{"trace":"t","path":"$.a.b","why":"w"}]`,
	} {
		if _, err := compare.ParseDeviations([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestPut(t *testing.T) {
	for _, tt := range []struct{ path, value, want string }{
		{"$.a[0].b", `2`, `{"a":[{"b":2}],"c d":3}`},
		{"$['c d']", `"<absent>"`, `{"a":[{"b":1}]}`},
		{"$.e", `[]`, `{"a":[{"b":1}],"c d":3,"e":[]}`},
		{"$.a[0]", `null`, `{"a":[null],"c d":3}`},
		{"$.a[1]", `1`, ""}, {"$.a.b", `1`, ""}, {"$.x.y", `1`, ""}, {"$[0]", `1`, ""}, {"$.x", `"<absent>"`, ""}, {"$.a[0]", `"<absent>"`, ""}, {"$.a[x]", `1`, ""},
	} {
		doc := decode(t, `{"a":[{"b":1}],"c d":3}`)
		_, err := compare.Put(doc, tt.path, decode(t, tt.value))
		if (err != nil) != (tt.want == "") {
			t.Errorf("%s: %v", tt.path, err)
			continue
		}
		if tt.want != "" {
			check(t, compare.Rules{}.Match(decode(t, tt.want), doc, "$"), "")
		}
	}
}
