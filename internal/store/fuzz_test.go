// SPDX-License-Identifier: MIT

package store_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"bos/internal/bos"
	"bos/internal/store"
	"bos/internal/store/mem"
)

// Whatever is found in the store is read, or refused; what is read is written so
// that it reads the same.
func FuzzDocuments(f *testing.F) {
	f.Add([]byte(`{"doc":{"id":"x1","enabled":true},"sealed":{"owner":"t"}}`), "x1")
	var full bos.Record
	if err := json.Unmarshal([]byte(`{"doc":{"id":"x1","enabled":false,"session":"s","error":"<e>\u2028","retry_policy":2,"actual_state":{"boot_artifacts":{"kernel":"k",
		"kernel_parameters":"p","initrd":"i"},"bss_token":"t","last_updated":"a"},"desired_state":{"boot_artifacts":{},"configuration":"c"},"staged_state":{"session":"s"},
		"last_action":{"action":"powering_on","failed":true},"event_stats":{"power_on_attempts":1},"status":{"phase":"","status_override":"failed"}},
		"sealed":{"owner":"t","staged_owner":"t","staged_operation":"boot","staged_applied":true,"plan":"u","attempt":{"id":"a"},"wait":{}}}`), &full); err != nil {
		f.Fatal(err)
	}
	f.Add(store.EncodeRecord(&full), "x1")
	f.Add([]byte(`{"doc":{"id":"\u0078\n","error":"\ud83d\ude00","retry_policy":-0,"event_stats":{"power_on_attempts":12}},"sealed":{"attempt":{"id":"a"}}}`), "x\n")
	f.Add([]byte(`{"doc":{"name":"s","tenant":"t","status":{"status":"running"}},"sealed":{"uid":"u","chunks":1}}`), "t\x00s")
	f.Add([]byte(`{"doc":{"name":"t","tenant":null,"boot_sets":{"b":{"path":"p","type":"s3"}}}}`), "\x00t")
	f.Add([]byte(`{"lists":[["x1"]],"doc":{"boot_sets":{"b":{"node_list":7}}}}`), "\x00t")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		kv := store.KV{Key: name, Value: data, Revision: 5}
		if rec, err := store.DecodeRecord(kv, name, nil); err == nil {
			text := store.EncodeRecord(rec)
			again, err := store.DecodeRecord(store.KV{Key: name, Value: text, Revision: 5}, name, nil)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			same(t, text, func() ([]byte, error) { return store.EncodeRecord(again), nil })
		}
		// The quick decoder reads what the general one reads, or leaves it to it.
		if quick, ok := bos.DecodeRecord(data, nil); ok {
			var general bos.Record
			if err := json.Unmarshal(data, &general); err != nil {
				t.Fatalf("%s is read, though %v", data, err)
			}
			if !reflect.DeepEqual(*quick, general) {
				t.Fatalf("%s is read as %+v, not as %+v", data, quick, general)
			}
		}
		key, ok := store.ParseTenantKey(name)
		if !ok {
			return
		}
		if back := store.SessionKey(key); back != store.PrefixSessions+name {
			t.Fatalf("%q became %q", name, back)
		}
		if rec, err := store.DecodeSession(kv, key); err == nil {
			text := encode(t, rec)
			again, err := store.DecodeSession(store.KV{Value: text}, key)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			same(t, text, func() ([]byte, error) { return store.Encode(again) })
		}
		if rec, err := store.DecodeTemplate(kv, key); err == nil {
			text := encode(t, rec)
			again, err := store.DecodeTemplate(store.KV{Value: text}, key)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			same(t, text, func() ([]byte, error) { return store.Encode(again) })
		}
		_, _ = store.Decode[bos.PlanChunk](kv)
		_, _ = store.Decode[store.Token](kv)
		_, _ = store.Decode[store.Schema](kv)
	})
}

func encode(t *testing.T, doc any) []byte {
	t.Helper()
	text, err := store.Encode(doc)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func same(t *testing.T, text []byte, again func() ([]byte, error)) {
	t.Helper()
	if got, err := again(); err != nil || !bytes.Equal(got, text) {
		t.Fatalf("%s became %s, %v", text, got, err)
	}
}

// A snapshot that can be restored can be taken again; others are refused.
func FuzzSnapshot(f *testing.F) {
	f.Add([]byte(`{"kind":"bos-snapshot","version":1,"count":2}` + "\n" + `{"key":"/bos/options","value":"e30="}` + "\n" + `{"key":"/bos/schema","value":"e30="}`))
	f.Add([]byte(`{"kind":"bos-snapshot","count":9999999999}`))
	f.Add([]byte(`{"kind":"bos-snapshot","version":1}` + "\n" + `{"key":"/bos/a","value":"e30="}` + "\n" + `{"end":true,"count":1,"sha256":""}`))
	f.Add([]byte(`{"kind":"bos-snapshot","count":-1}{"key":"","value":null}`))
	f.Add([]byte(`{"kind":"bos-snapshot","count":2}{"key":"/bos/a"}{"key":"/bos/a"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := store.New(mem.New())
		defer func() { _ = s.Close() }()
		n, err := s.Restore(t.Context(), bytes.NewReader(text))
		kvs, _, listErr := s.List(t.Context(), "")
		if listErr != nil {
			t.Fatal(listErr)
		}
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		if n != len(kvs) {
			t.Fatalf("%d restored, %d there", n, len(kvs))
		}
		for _, kv := range kvs {
			if !strings.HasPrefix(kv.Key, store.Root) {
				t.Fatalf("%q is not ours", kv.Key)
			}
		}
		var out bytes.Buffer
		if _, err := s.Snapshot(t.Context(), &out, time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
		other := store.New(mem.New())
		defer func() { _ = other.Close() }()
		if _, err := other.Restore(t.Context(), bytes.NewReader(out.Bytes())); err != nil {
			t.Fatalf("%s: %v", out.Bytes(), err)
		}
	})
}
