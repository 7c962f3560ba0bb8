// SPDX-License-Identifier: MIT

package etcd_test

import (
	"bytes"
	"fmt"
	"testing"

	"bos/internal/store"
)

// Every member's file becomes smaller, that of the leader last, and nothing that
// is there is lost.
func TestDefragment(t *testing.T) {
	configs, engines := three(t)
	const documents = 40
	value := bytes.Repeat([]byte("0123456789abcdef"), 8<<10)
	for i := range documents {
		ops := []store.Op{{Key: fmt.Sprintf("/bos/large/%d", i), Value: value, Expect: store.Absent}}
		if _, err := engines[i%3].Commit(t.Context(), store.Txn{Ops: ops}); err != nil {
			t.Fatal(err)
		}
	}
	for i := 1; i < documents; i++ {
		ops := []store.Op{{Key: fmt.Sprintf("/bos/large/%d", i), Delete: true, Expect: store.AnyRevision}}
		if _, err := engines[i%3].Commit(t.Context(), store.Txn{Ops: ops}); err != nil {
			t.Fatal(err)
		}
	}
	a := admin(t, configs...)
	before, err := a.Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done, err := a.Defragment(t.Context())
	if err != nil || len(done) != len(configs) {
		t.Fatalf("%+v, %v", done, err)
	}
	for _, m := range before {
		if m.Leader && done[len(done)-1].Name != m.Name {
			t.Errorf("%s led and was not the last one: %+v", m.Name, done)
		}
	}
	for _, d := range done {
		if d.After >= d.Before/2 {
			t.Errorf("%s has %d bytes after %d", d.Name, d.After, d.Before)
		}
	}
	for _, e := range engines {
		if kv, err := e.Get(t.Context(), "/bos/large/0"); err != nil || !bytes.Equal(kv.Value, value) {
			t.Errorf("what was kept is lost: %v", err)
		}
	}
	write(t, engines[0], "/bos/after")
}
