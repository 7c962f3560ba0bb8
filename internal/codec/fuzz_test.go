// SPDX-License-Identifier: MIT

package codec_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"bos/internal/bos"
	"bos/internal/codec"
)

// FuzzDecode compares with encoding/json what the front lets through: JSON
// without repeated members, and names in their own letter case.
func FuzzDecode(f *testing.F) {
	f.Add(document())
	f.Add([]byte(`[{"id":"x1","enabled":true,"retry_policy":-0},{"id":"a\n","session":"","status":{"phase":"configuring"}}]`))
	f.Add([]byte(`{"patch":{"error":"\ud83d\ude00"},"filters":{"ids":"a,b","session":null}}`))
	f.Add([]byte(`[{"id":null,"event_stats":{"power_on_attempts":9223372036854775808}},null]`))
	d := codec.NewDecoder(nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		// encoding/json knows names in any letter case, and two letters beyond
		// ASCII for s and k.
		if !jsontext.Value(data).IsValid() || bytes.ContainsFunc(data, func(r rune) bool { return r >= 'A' && r <= 'Z' || r == 'ſ' || r == 'K' }) ||
			bytes.Contains(data, []byte(`\u017f`)) || bytes.Contains(data, []byte(`\u212a`)) || bytes.Contains(data, []byte(`\u00`)) {
			return
		}
		compare[bos.Component](t, d, data)
		compare[[]bos.Component](t, d, data)
		compare[struct {
			Patch   bos.Component `json:"patch"`
			Filters struct {
				IDs     string `json:"ids"`
				Session string `json:"session"`
			} `json:"filters"`
		}](t, d, data)
	})
}

func compare[T any](t *testing.T, d *codec.Decoder, data []byte) {
	t.Helper()
	var quick, general T
	quickErr, generalErr := d.Decode(data, &quick), json.Unmarshal(data, &general)
	if (quickErr == nil) != (generalErr == nil) {
		t.Fatalf("%T of %s: %v; encoding/json: %v", general, data, quickErr, generalErr)
	}
	if quickErr == nil && !reflect.DeepEqual(quick, general) {
		t.Fatalf("%T of %s: %+v; encoding/json: %+v", general, data, quick, general)
	}
}
