// SPDX-License-Identifier: MIT

package apitypes

import (
	"bytes"
	"encoding/json"
	"testing"
)

// What the service answers goes through the types and comes out as it was.
func TestTypesKeepAnswers(t *testing.T) {
	for text, value := range map[string]any{
		`{"name":"s1","tenant":null,"operation":"boot","template_name":"t1","limit":"","stage":false,"include_disabled":false,` +
			`"components":"x1","status":{"start_time":"2026-11-23T09:26:40","end_time":null,"status":"running","error":null}}`: new(Session),
		`{"id":"x1","enabled":false,"actual_state":{"bss_token":""},"status":{"phase":"","status":"stable"},"retry_policy":0}`: new(Component),
		`{"name":"t1","tenant":null,"boot_sets":{"a":{"path":"p","type":"s3","arch":"X86","node_list":["x1"]}}}`:               new(SessionTemplate),
		`{"patch":{"error":""},"filters":{"ids":"a","session":null}}`:                                                          new(ComponentsFilteredUpdate),
		`{"clear_stage":true,"an option that nobody knows":[1,{"a":null}]}`:                                                    new(OptionsPatch),
		`{"type":"about:blank","title":"Bad Request","status":400,"detail":"id: must not be empty"}`:                           new(ProblemDetails),
	} {
		d := json.NewDecoder(bytes.NewReader([]byte(text)))
		d.DisallowUnknownFields()
		if err := d.Decode(value); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := json.Marshal(value)
		if err != nil {
			t.Error(err)
		}
		if normal(t, got) != normal(t, []byte(text)) {
			t.Errorf("got %s, want %s", got, text)
		}
	}
}

func normal(t *testing.T, text []byte) string {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	sorted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(sorted)
}
