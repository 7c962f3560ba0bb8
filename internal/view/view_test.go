// SPDX-License-Identifier: MIT

package view_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/store"
	"bos/internal/store/mem"
	"bos/internal/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

// fixture is a view of a store in memory.
type fixture struct {
	engine *mem.Engine
	store  *store.Store
	view   *view.View
	stop   func()
}

func start(t tb) *fixture {
	t.Helper()
	f := &fixture{engine: mem.New()}
	f.store = store.New(forgetful{f.engine})
	f.view = view.New(clock.New(1), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f.view.Run(ctx, f.store)
	}()
	f.stop = func() {
		cancel()
		<-done
		if err := f.store.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	<-f.view.Ready()
	return f
}

func (f *fixture) put(t tb, recs ...bos.Record) {
	t.Helper()
	byID := map[string]bos.Record{}
	var ids []string
	for _, r := range recs {
		byID[r.Component.ID] = r
		ids = append(ids, r.Component.ID)
	}
	res, err := f.store.UpdateRecords(context.Background(), store.RecordUpdate{IDs: ids, Change: func(id string, _ *bos.Record) (*bos.Record, error) {
		r := byID[id]
		return &r, nil
	}})
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	if err := f.view.WaitFor(context.Background(), res.Revision); err != nil {
		t.Fatalf("wait: %v", err)
	}
}

func (f *fixture) doc(t tb, key string, doc any) {
	t.Helper()
	revision, err := f.store.PutDoc(context.Background(), key, doc, nil)
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	if err := f.view.WaitFor(context.Background(), revision); err != nil {
		t.Fatalf("wait: %v", err)
	}
}

func records() *rapid.Generator[bos.Record] {
	return rapid.Custom(func(t *rapid.T) bos.Record {
		name := rapid.SampledFrom([]string{"", "s1", "s2"})
		tenant := rapid.SampledFrom([]string{"", "blue"})
		r := bos.Record{
			Component: bos.Component{
				ID:      fmt.Sprintf("x%d", rapid.IntRange(0, 12).Draw(t, "id")),
				Session: bos.Some(name.Draw(t, "session")),
				Status: bos.Some(bos.Status{
					Phase:          bos.Some(rapid.SampledFrom([]bos.Phase{"", bos.PhasePoweringOn, bos.PhaseConfiguring}).Draw(t, "phase")),
					StatusOverride: bos.Some(rapid.SampledFrom([]string{"", "", "failed", "on_hold"}).Draw(t, "override")),
				}),
			},
			Sealed: bos.Sealed{Owner: tenant.Draw(t, "owner"), StagedOwner: tenant.Draw(t, "stagedOwner"), StagedApplied: rapid.Bool().Draw(t, "applied")},
		}
		if rapid.Bool().Draw(t, "hasEnabled") {
			r.Component.Enabled = bos.Some(rapid.Bool().Draw(t, "enabled"))
		}
		if staged := name.Draw(t, "staged"); staged != "" {
			r.Component.StagedState = bos.Some(bos.StagedState{Session: bos.Some(staged)})
		}
		return r
	})
}

// Whatever came and went, the indexes answer what a look at every component
// would.
func TestComponentsMatchAScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := start(t)
		defer f.stop()
		want := map[string]bos.Record{}
		for range rapid.IntRange(1, 15).Draw(t, "writes") {
			if r := records().Draw(t, "r"); rapid.IntRange(0, 4).Draw(t, "delete") > 0 {
				f.put(t, r)
				want[r.Component.ID] = r
			} else if _, ok := want[r.Component.ID]; ok {
				revision, err := f.store.DeleteRecord(context.Background(), r.Component.ID)
				if err != nil {
					t.Fatal(err)
				}
				if err := f.view.WaitFor(context.Background(), revision); err != nil {
					t.Fatal(err)
				}
				delete(want, r.Component.ID)
			}
		}
		for range 8 {
			checkFilter(t, f.view, want, filters().Draw(t, "filter"))
		}
		checkSessions(t, f.view, want)
	})
}

func filters() *rapid.Generator[view.Filter] {
	return rapid.Custom(func(t *rapid.T) view.Filter {
		id := rapid.SampledFrom([]string{"x0", "x1", "x10", "x5", "zz"})
		f := view.Filter{
			Session:       rapid.SampledFrom([]string{"", "", "s1", "s2", "none"}).Draw(t, "session"),
			StagedSession: rapid.SampledFrom([]string{"", "", "s1"}).Draw(t, "staged"),
			Phase:         rapid.SampledFrom([]bos.Phase{"", "", bos.PhasePoweringOn}).Draw(t, "phase"),
			StartAfter:    rapid.SampledFrom([]string{"", "", "x1", "x11", "y"}).Draw(t, "after"),
			PageSize:      rapid.IntRange(0, 3).Draw(t, "page"),
			Statuses:      rapid.SliceOfN(rapid.SampledFrom([]string{"stable", "failed", "on_hold", "bogus"}), 0, 2).Draw(t, "statuses"),
		}
		if rapid.Bool().Draw(t, "ids?") {
			f.IDs = bos.Some(rapid.SliceOfN(id, 0, 3).Draw(t, "ids"))
		}
		if rapid.Bool().Draw(t, "enabled?") {
			f.Enabled = bos.Some(rapid.Bool().Draw(t, "enabled"))
		}
		if rapid.Bool().Draw(t, "within?") {
			f.Within = bos.NewSet(rapid.SliceOfN(id, 0, 3).Draw(t, "within")...)
		}
		return f
	})
}

func checkFilter(t *rapid.T, v *view.View, all map[string]bos.Record, f view.Filter) {
	var want []string
	for id, r := range all {
		c := r.Component
		ids, haveIDs := f.IDs.Get()
		enabled, haveEnabled := f.Enabled.Get()
		is, set := c.Enabled.Get()
		if haveIDs && !slices.Contains(ids, id) || haveEnabled && (!set || is != enabled) ||
			f.Session != "" && c.Session.Value() != f.Session || f.StagedSession != "" && c.StagedSession() != f.StagedSession ||
			f.Phase != "" && c.Status.Value().Phase.Value() != f.Phase || f.Within != nil && !f.Within.Has(id) ||
			len(f.Statuses) > 0 && !slices.Contains(f.Statuses, string(c.StatusNow())) || f.StartAfter != "" && id <= f.StartAfter {
			continue
		}
		want = append(want, id)
	}
	slices.Sort(want)
	if f.PageSize > 0 && len(want) > f.PageSize {
		want = want[:f.PageSize]
	}
	var got []string
	for _, n := range v.Components(f) {
		got = append(got, n.ID())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%+v: %s", f, diff)
	}
}

func checkSessions(t *rapid.T, v *view.View, all map[string]bos.Record) {
	for _, key := range []bos.SessionKey{{Name: "s1"}, {Name: "s2"}, {Tenant: "blue", Name: "s1"}} {
		var active []string
		staged, busy := 0, false
		for id, r := range all {
			if r.OwnSession() == key {
				active = append(active, id)
				busy = busy || r.Component.Enabled.Value()
			}
			if r.AwaitedStage() == key {
				staged++
				busy = true
			}
		}
		slices.Sort(active)
		records, n := v.Driven(key)
		var got []string
		for _, r := range records {
			got = append(got, r.Component.ID)
		}
		if diff := cmp.Diff(active, got); diff != "" || n != staged || v.Busy(key) != busy {
			t.Fatalf("%+v: %s, staged %d of %d, busy %v", key, diff, n, staged, busy)
		}
	}
	enabled := v.EnabledIDs()
	for _, id := range v.InStatus(bos.StatusOnHold) {
		if !slices.Contains(enabled, id) || all[id].Component.Status.Value().StatusOverride.Value() != "on_hold" {
			t.Fatalf("%s is not enabled and on hold", id)
		}
	}
}

func TestFeed(t *testing.T) {
	f := start(t)
	defer f.stop()
	feed := f.view.Subscribe(view.Interest{
		Node:     func(_, next *view.Node) bool { return next != nil && next.Status == bos.StatusFailed },
		Sessions: true, Options: true, Attempts: true,
	})
	defer feed.Close()
	if c := feed.Take(); !c.Everything {
		t.Error("a new feed does not begin with everything")
	}
	failed := bos.Record{Component: bos.Component{ID: "a", Status: bos.Some(bos.Status{StatusOverride: bos.Some("failed")})}}
	f.put(t, failed)
	f.put(t, failed, bos.Record{Component: bos.Component{ID: "b"}})
	key := bos.SessionKey{Name: "s"}
	f.doc(t, store.SessionKey(key), bos.NewSession(bos.SessionCreate{Name: "s"}, "", "u", time.Now()))
	f.doc(t, store.KeyOptions, bos.DefaultOptions())
	f.doc(t, store.AttemptKey("a1"), bos.Attempt{ID: "a1"})
	<-feed.C()
	want := view.Changes{Nodes: []string{"a"}, Sessions: []bos.SessionKey{key}, Options: true, Attempts: true}
	if diff := cmp.Diff(want, feed.Take()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(view.Changes{}, feed.Take()); diff != "" {
		t.Errorf("taken twice: %s", diff)
	}
}

func TestCorruptDocumentsAreSkipped(t *testing.T) {
	f := start(t)
	defer f.stop()
	f.put(t, bos.Record{Component: bos.Component{ID: "good"}}, bos.Record{Component: bos.Component{ID: "bad"}})
	for _, key := range []string{
		store.ComponentKey("bad"), store.PrefixSessions + "nokey", store.TemplateKey(bos.TemplateKey{Name: "t"}), store.PrefixPlans + "u/x",
		store.StatusKey(bos.SessionKey{Name: "s"}), store.KeyOptions, store.AttemptKey("a"), store.TokenKey("t"), store.KeyClock,
	} {
		f.doc(t, key, "nonsense")
	}
	f.doc(t, store.ComponentKey("other"), bos.Record{Component: bos.Component{ID: "foreign"}})
	if n := f.view.Components(view.Filter{}); len(n) != 1 || n[0].ID() != "good" {
		t.Errorf("%d components", len(n))
	}
	if skipped := f.view.Skipped(); len(skipped) != 10 {
		t.Errorf("skipped: %v", skipped)
	}
	f.put(t, bos.Record{Component: bos.Component{ID: "bad"}})
	if skipped := f.view.Skipped(); len(skipped) != 9 {
		t.Errorf("a repaired document is still skipped: %v", skipped)
	}
}

func TestMembers(t *testing.T) {
	f := start(t)
	defer f.stop()
	s := bos.NewSession(bos.SessionCreate{Name: "s", TemplateName: "t"}, "blue", "uid", time.Now())
	f.doc(t, store.PlanKey("uid", 0), bos.PlanChunk{UID: "uid", Nodes: []bos.PlannedNode{{ID: "a"}, {ID: "b", Unknown: true}}})
	f.doc(t, store.PlanKey("uid", 1), bos.PlanChunk{UID: "uid", Nodes: []bos.PlannedNode{{ID: "c"}}})
	for _, tt := range []struct {
		setup  bos.SetupState
		edited bool
		want   string
	}{{bos.SetupPlanned, false, ""}, {bos.SetupApplied, false, "a,c"}, {bos.SetupApplied, true, "mine"}} {
		s.Sealed.Setup, s.Sealed.Edited, s.Session.Components = tt.setup, tt.edited, ""
		if tt.edited {
			s.Session.Components = "mine"
		}
		f.doc(t, store.SessionKey(s.Session.Key()), s)
		got, ok := f.view.Session(s.Session.Key())
		if !ok || f.view.Members(got) != tt.want {
			t.Errorf("%+v: %q", tt, f.view.Members(got))
		}
	}
	if n := len(f.view.Sessions("blue")); n != 1 || len(f.view.Sessions("green")) != 0 || len(f.view.SessionsIn(bos.SessionPending)) != 1 {
		t.Errorf("%d sessions", n)
	}
}

// A writer reads its own write; a view that is cut off says so.
// A session is listed under the state that it has, and under no other.
func TestSessionsByState(t *testing.T) {
	f := start(t)
	defer f.stop()
	s := bos.NewSession(bos.SessionCreate{Name: "s", TemplateName: "t"}, "", "uid", time.Now())
	key := store.SessionKey(s.Session.Key())
	check := func(pending, running, complete int) {
		t.Helper()
		for state, want := range map[bos.SessionState]int{
			bos.SessionPending: pending, bos.SessionRunning: running, bos.SessionComplete: complete,
		} {
			if n := len(f.view.SessionsIn(state)); n != want {
				t.Errorf("%d are %s, not %d", n, state, want)
			}
		}
	}
	f.doc(t, key, s)
	check(1, 0, 0)
	s.Session.Status.Status = bos.SessionRunning
	f.doc(t, key, s)
	check(0, 1, 0)
	s.Session.Status.Status = bos.SessionComplete
	f.doc(t, key, s)
	check(0, 0, 1)
	// One that can't be read any more is nowhere.
	f.doc(t, key, "nonsense")
	check(0, 0, 0)
	f.doc(t, key, s)
	check(0, 0, 1)
	revision, err := f.store.DeleteDoc(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.view.WaitFor(t.Context(), revision); err != nil {
		t.Fatal(err)
	}
	check(0, 0, 0)
}

// A view that lost its place in the history reads everything anew.
func TestReloadAfterCompaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.stop()
		f.put(t, bos.Record{Component: bos.Component{ID: "old"}})
		feed := f.view.Subscribe(view.Interest{})
		defer feed.Close()
		feed.Take()
		f.engine.Interrupt(func() {
			if _, err := f.engine.Commit(t.Context(), store.Txn{Ops: []store.Op{
				{Key: store.ComponentKey("old"), Delete: true, Expect: store.AnyRevision},
				{Key: store.ComponentKey("new"), Value: []byte(`{"doc":{"id":"new"},"sealed":{}}`), Expect: store.AnyRevision},
			}}); err != nil {
				t.Error(err)
			}
			f.engine.Compact(1 << 40)
		})
		time.Sleep(time.Second)
		synctest.Wait()
		if n := f.view.Components(view.Filter{}); len(n) != 1 || n[0].ID() != "new" {
			t.Errorf("%d components after the reload", len(n))
		}
		if c := feed.Take(); !c.Everything {
			t.Error("the feed was not told")
		}
	})
}

func TestAnswersShareTexts(t *testing.T) {
	f := start(t)
	defer f.stop()
	long := strings.Repeat("console=ttyS0 ", 50)
	var recs []bos.Record
	for i := range 50 {
		r := bos.Record{Component: bos.Discovered(fmt.Sprintf("x%d", i))}
		r.Component.DesiredState = bos.Some(bos.DesiredState{BootArtifacts: bos.Some(bos.BootArtifacts{KernelParameters: bos.Some(long)})})
		recs = append(recs, r)
	}
	f.put(t, recs...)
	a, b := f.view.Record("x1").Component.DesiredArtifacts(), f.view.Record("x2").Component.DesiredArtifacts()
	if pa, pb := a.KernelParameters.Value(), b.KernelParameters.Value(); pa != pb || !sameString(pa, pb) {
		t.Error("two nodes keep their own copies of the same kernel parameters")
	}
	n, _ := f.view.Node("x1")
	if shown := n.AppendJSON(nil); !json.Valid(shown) {
		t.Errorf("%s", shown)
	}
}
