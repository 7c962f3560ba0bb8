// SPDX-License-Identifier: MIT

package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"bos/internal/bos"
	"bos/internal/events"
	"bos/internal/store"
	"bos/internal/store/mem"
	"bos/internal/xname"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recording runs a test in virtual time with a recorder that writes into a store.
func recording(t *testing.T, test func(r *events.Recorder, engine *mem.Engine, stop func())) {
	synctest.Test(t, func(t *testing.T) {
		engine := mem.New()
		r := events.New(engine, slog.New(slog.DiscardHandler), nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Run(ctx)
		}()
		stop := func() {
			cancel()
			<-done
		}
		test(r, engine, stop)
		stop()
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
}

// kept returns what is in the store, in its order, as type, session, nodes, text.
func kept(t *testing.T, engine *mem.Engine) (lines []string, all []bos.Event) {
	t.Helper()
	kvs, _, err := engine.List(t.Context(), store.PrefixEvents)
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range kvs {
		var e bos.Event
		if err := json.Unmarshal(kv.Value, &e); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s %s/%s %d %s: %s", e.Type, e.Tenant, e.Session, e.Count, e.Nodes, e.Text))
		all = append(all, e)
	}
	return lines, all
}

var session = bos.SessionKey{Tenant: "blue", Name: "s"}

// What happens to many nodes within a moment is one event that names them as a
// range; what differs in anything else is another one.
func TestSets(t *testing.T) {
	recording(t, func(r *events.Recorder, engine *mem.Engine, _ func()) {
		for n := range 1000 {
			r.Record(bos.EventAction, session, "pcs took the command On", fmt.Sprintf("x1c0s%db0n%d", n/4, n%4))
		}
		time.Sleep(time.Millisecond)
		r.Record(bos.EventRefused, session, "no", "x1c0s0b0n0", "x1c0s0b0n0")
		time.Sleep(time.Millisecond)
		r.Record(bos.EventSessionComplete, session, "done")
		if lines, _ := kept(t, engine); lines != nil {
			t.Errorf("written at once: %q", lines)
		}
		time.Sleep(time.Second)
		want := []string{
			"action blue/s 1000 x1c0s[0-249]b0n[0-3]: pcs took the command On",
			"refused blue/s 1 x1c0s0b0n0: no",
			"session_complete blue/s 0 : done",
		}
		got, _ := kept(t, engine)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if s := r.Stats(); s != (events.Stats{Written: 3}) {
			t.Errorf("%+v", s)
		}
	})
}

// A thousand nodes that report one by one for minutes make few events.
func TestTrickle(t *testing.T) {
	recording(t, func(r *events.Recorder, engine *mem.Engine, _ func()) {
		for n := range 6000 {
			r.Record(bos.EventReported, session, "reported", fmt.Sprintf("x1c0s%db0n0", n))
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		_, all := kept(t, engine)
		nodes := 0
		for _, e := range all {
			nodes += e.Count
		}
		if nodes != 6000 || len(all) > 50 {
			t.Errorf("%d events of %d nodes", len(all), nodes)
		}
		// After a while the first one is quick again.
		r.Record(bos.EventReported, session, "reported", "x1")
		time.Sleep(300 * time.Millisecond)
		if _, now := kept(t, engine); len(now) != len(all)+1 {
			t.Errorf("%d events, %d before", len(now), len(all))
		}
	})
}

// Names that don't fold make several events, each within the bounds of a
// document.
func TestLongRanges(t *testing.T) {
	recording(t, func(r *events.Recorder, engine *mem.Engine, stop func()) {
		for n := range 20_000 {
			r.Record(bos.EventSetUp, session, "shall be booted", fmt.Sprintf("node-%05d.example", n))
		}
		stop()
		_, all := kept(t, engine)
		seen := map[string]bool{}
		for _, e := range all {
			ids, err := xname.Expand(e.Nodes)
			if err != nil || len(ids) != e.Count || len(e.Nodes) > 64<<10 {
				t.Fatalf("%d nodes in %d bytes, %v", e.Count, len(e.Nodes), err)
			}
			for _, id := range ids {
				seen[id] = true
			}
		}
		if len(seen) != 20_000 {
			t.Errorf("%d nodes", len(seen))
		}
	})
}

// A store that is away loses nothing that there is room for, and keeps nobody
// waiting; what there is no room for is counted, and an event says so.
func TestStoreAway(t *testing.T) {
	recording(t, func(r *events.Recorder, engine *mem.Engine, _ func()) {
		engine.Fail(errors.New("away"))
		begun := time.Now()
		for n := range 5000 {
			r.Record(bos.EventSessionCreated, bos.SessionKey{Name: fmt.Sprintf("s%d", n)}, "asked for")
		}
		r.Record(bos.EventAction, session, "too many", make([]string, 1<<20+1)...)
		if took := time.Since(begun); took != 0 {
			t.Errorf("it took %v", took)
		}
		time.Sleep(time.Minute)
		if s := r.Stats(); s.Dropped != 5001-4096 || s.Waiting != 4096 || s.Written != 0 {
			t.Errorf("%+v", s)
		}
		engine.Fail(nil)
		time.Sleep(time.Minute)
		lines, _ := kept(t, engine)
		told := 0
		for _, line := range lines {
			if strings.HasPrefix(line, "dropped") {
				told++
			}
		}
		if told != 1 || len(lines) != 4097 {
			t.Errorf("%d events, %d tell of what is lost", len(lines), told)
		}
	})
}

// What waits when the process ends is written.
func TestFarewell(t *testing.T) {
	recording(t, func(r *events.Recorder, engine *mem.Engine, stop func()) {
		r.Record(bos.EventSessionCreated, session, "asked for")
		stop()
		if lines, _ := kept(t, engine); len(lines) != 1 {
			t.Errorf("%q", lines)
		}
	})
}

// Nothing of what services or clients say leaks into events that must not.
func TestTexts(t *testing.T) {
	for text, want := range map[string]string{
		"bss refused: console=ttyS0 spire_join_token=7c9e root=live:https://x?t=1": "bss refused: console=… spire_join_token=… root=…",
		"bss_referral_token=d9b2d63d-a233-4123-847a-7c1a4b1e7f3a":                  "bss_referral_token=…",
		"Authorization: Bearer abcdefgh and more":                                  "Authorization: Bearer … and more",
		"token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x is bad":                      "token … is bad",
		"two\nlines\x1b[31m":      "two lines [31m",
		"a = b":                   "a = b",
		strings.Repeat("x", 300):  "…",
		"pcs took the command On": "pcs took the command On",
	} {
		if got := bos.EventText(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	if got := bos.EventText(strings.Repeat("word ", 1000)); len(got) > 1000 {
		t.Errorf("%d bytes", len(got))
	}
}

// Without a recorder nothing is recorded, and nothing fails.
func TestNone(t *testing.T) {
	var r *events.Recorder
	r.Record(bos.EventAction, session, "x")
	r.RecordNodes(bos.EventAction, "x", []*bos.Record{{}})
}
