// SPDX-License-Identifier: MIT

package front

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"testing"
)

// differs finds bodies that the front may refuse although the oracle accepts
// them: numbers that are no plain integers, and read-only fields that are null.
var differs = regexp.MustCompile(`[0-9][.eE]|null`)

// FuzzBody checks whatever is sent to each operation: nothing panics, what is
// accepted is clean and accepted by the oracle, and what is refused without an
// intended difference is refused by the oracle.
func FuzzBody(f *testing.F) {
	front, oracle := load(f), newOracle(f)
	ids := slices.Sorted(maps.Keys(oracle.bodies))
	seed := func(id string, body []byte) { f.Add(uint8(slices.Index(ids, id)), body) }
	for id, examples := range bodyExamples(f) {
		for _, example := range examples {
			seed(id, example)
		}
		for _, body := range []string{
			"", "null", "{}", "[]", `{"a":NaN}`, `{"a":1,"a":2}`, `[{"id":"a","id":"b"}]`, byteOrderMark + "{}", `{"a":`,
			`{"xnames":["x1"],"xnames":null}`, `{"status":{"phase":""},"session":"s\n"}`, `{"name":null,"last_action":{"last_updated":null}}`,
			`{"patch":{"error":"\ud83d\ude00"},"filters":{"ids":"a","session":null}}`, "\xff", `{"a":[[[[1e999]]]]}`,
			`{"boot_sets":{"a":{"path":"p","type":"s3","kernel_parameters":"a\r"}}}`, `{"retry_policy":3.0,"enabled":TRUE}`,
		} {
			seed(id, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		id := ids[int(which)%len(ids)]
		before := bytes.Clone(body)
		cleaned, err := front.Operation(id).Body("application/json", body)
		if !bytes.Equal(body, before) {
			t.Fatal("the body was changed")
		}
		text := bytes.TrimPrefix(body, []byte(byteOrderMark))
		if err != nil {
			wantTold(t, err)
			if strictJSON(text) && !differs.Match(text) && oracle.accepts(id, text) {
				t.Fatalf("%s: %q is refused: %v", id, text, err)
			}
			return
		}
		if !strictJSON(text) || !oracle.accepts(id, text) {
			t.Fatalf("%s: %q is accepted", id, text)
		}
		wantSame(t, cleaned, text)
		again, err := front.Operation(id).Body("", cleaned)
		if err != nil || !bytes.Equal(again, cleaned) {
			t.Fatalf("%s: %q, once cleaned, is %q, %v", id, cleaned, again, err)
		}
	})
}

// FuzzScanner compares the scanner with a strict decoder.
func FuzzScanner(f *testing.F) {
	for _, text := range []string{`{"a":[1,-2.5e3,true,null,"\ud83d\ude00é"]}`, "[", `"\ud800"`, "\"\xff\"", "01", ` {} `, "{}{}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { wantScanned(t, text) })
}

// FuzzParams checks whatever is sent as query, path and tenant.
func FuzzParams(f *testing.F) {
	front := load(f)
	all := front.Operations()
	f.Add(uint8(19), "ids=a,b&enabled=true&page_size=10", "x1", "blue")
	f.Add(uint8(13), "status=%zz;", "", "")
	f.Fuzz(func(t *testing.T, which uint8, query, path, name string) {
		o := all[int(which)%len(all)]
		values := map[string]string{"component_id": path, "session_id": path, "session_template_id": path}
		p, err := o.Params(values, query, tenant(name))
		if err != nil {
			wantTold(t, err)
			return
		}
		if size, ok := p.Int("page_size"); ok && (size < 0 || size > 1048576) {
			t.Errorf("page_size %d", size)
		}
		if o.Tenanted() && p.Tenant() != name {
			t.Errorf("tenant %q, want %q", p.Tenant(), name)
		}
	})
}
