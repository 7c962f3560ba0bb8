// SPDX-License-Identifier: MIT

package operator_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"bos/internal/bos"
	"bos/internal/store"
	"bos/internal/view"
)

// A set-up that is interrupted at any moment is carried on from its plan: every
// node is written once, none is left out.
func TestSetUpIsCarriedOn(t *testing.T) {
	ids := make([]string, 250)
	for i := range ids {
		ids[i] = fmt.Sprintf("x1c0s%db0n0", i)
	}
	for commits := 1; commits < 9; commits++ {
		t.Run(fmt.Sprint(commits), func(t *testing.T) {
			inVirtualTime(t, ids, func(f *fixture) {
				f.template("one", "s3://b/one", "", ids)
				f.session("boot", "one", bos.OperationBoot)
				f.commits.failAfter(commits)
				stop := f.start("session-setup")
				f.wait(time.Second)
				stop()
				f.commits.failAfter(-1)
				f.engine.Depose("session-setup")
				// Whoever carries on must not resolve again: another answer now
				// would orphan nodes.
				if f.state("boot").Sealed.Setup == bos.SetupPlanned {
					f.template("one", "s3://b/other", "", ids[:1])
				}
				counted := map[string]int{}
				feed := f.view.Subscribe(view.Interest{Node: func(_, next *view.Node) bool {
					counted[next.ID()]++
					return false
				}})
				before := map[string]bool{}
				for _, id := range ids {
					before[id] = f.view.Record(id).Sealed.Plan != ""
				}
				f.start("session-setup")
				f.wait(10 * time.Second)
				feed.Close()
				if s := f.state("boot"); s.Session.Status.Status != bos.SessionRunning {
					t.Fatalf("the session is %s", s.Session.Status.Status)
				}
				for _, id := range ids {
					c := f.node(id)
					if c.DesiredState.Value().BootArtifacts.Value().Kernel.Value() != "s3://b/one/kernel" || !c.Enabled.Value() {
						t.Fatalf("%s was not set up: %+v", id, c)
					}
					if want := map[bool]int{true: 0, false: 1}[before[id]]; counted[id] != want {
						t.Fatalf("%s was written %d times, want %d", id, counted[id], want)
					}
				}
				s := f.state("boot")
				if got := strings.Count(f.view.Members(&s), ",") + 1; got != len(ids) {
					t.Errorf("the session has %d members", got)
				}
			})
		})
	}
}

func TestSetUpFailures(t *testing.T) {
	cases := []struct {
		name  string
		given func(f *fixture)
		want  string
	}{
		{"no template", func(*fixture) {}, "Session template 'one' does not exist"},
		{"no nodes", func(f *fixture) { f.template("one", "s3://b/one", "", []string{"x9c0s0b0n0"}) }, "No nodes were found to act upon."},
		{"none in BOS", func(f *fixture) {
			f.world.set(func(w *world) { w.nodes["x9c0s0b0n0"] = &worldNode{} })
			f.template("one", "s3://b/one", "", []string{"x9c0s0b0n0"})
		}, "All nodes found to act upon do not exist as BOS components"},
		{"image", func(f *fixture) {
			f.template("one", "s3://b/one", "", three)
			f.images.set(bos.Errorf(bos.CodeInvalid, "two kernels"))
		}, "boot set 'compute': two kernels"},
		{"hsm refuses", func(f *fixture) {
			f.template("one", "s3://b/one", "", three)
			f.world.hook = func(_ context.Context, call string, _ []string) error {
				if call == "hsm.query" {
					return refused("hsm", "go away")
				}
				return nil
			}
		}, "go away"},
		{"all locked", func(f *fixture) {
			f.template("one", "s3://b/one", "", three[:1])
			f.world.set(func(w *world) { w.nodes[three[0]].locked = true })
		}, "No nodes were found to act upon."},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inVirtualTime(t, three, func(f *fixture) {
				c.given(f)
				f.session("boot", "one", bos.OperationBoot)
				f.start("session-setup")
				f.complete("boot", 10*time.Second)
				s := f.state("boot")
				if s.Session.Status.Error == nil || !strings.Contains(*s.Session.Status.Error, c.want) {
					t.Errorf("error %v, want %q", s.Session.Status.Error, c.want)
				}
				if len(f.world.calls) != 0 {
					t.Errorf("nodes were touched: %q", f.world.calls)
				}
			})
		})
	}
}

// A session that waits for a service delays no other one.
func TestWaitingSessionDelaysNoOther(t *testing.T) {
	inVirtualTime(t, three, func(f *fixture) {
		f.template("stuck", "s3://b/one", "", three[:1])
		f.world.set(func(w *world) {
			w.hook = func(ctx context.Context, call string, ids []string) error {
				if call == "hsm.query" && len(ids) == 1 && ids[0] == three[0] {
					select {
					case <-ctx.Done():
					case <-time.After(20 * time.Second):
					}
					return away("hsm")
				}
				return nil
			}
		})
		f.template("good", "s3://b/one", "", three[1:])
		f.start("session-setup")
		for i := range 5 {
			f.session(fmt.Sprintf("stuck-%d", i), "stuck", bos.OperationBoot)
		}
		f.session("good", "good", bos.OperationBoot)
		f.wait(2 * time.Second)
		if got := f.state("good").Session.Status.Status; got != bos.SessionRunning {
			t.Errorf("the good session is %s", got)
		}
		f.wait(time.Minute)
		s := f.state("stuck-0")
		if s.Session.Status.Status != bos.SessionPending || s.Session.Status.Error == nil || !strings.Contains(*s.Session.Status.Error, "hsm") {
			t.Errorf("the waiting session: %+v", s.Session.Status)
		}
		f.world.set(func(w *world) { w.hook = nil })
		f.wait(time.Minute)
		s = f.state("stuck-0")
		if s.Session.Status.Status != bos.SessionRunning || s.Session.Status.Error != nil {
			t.Errorf("the session after the outage: %+v", s.Session.Status)
		}
	})
}

// A staged session touches nothing but the staged state, and is complete once
// every node that it staged was applied.
// Large sessions that are being set up don't keep a small one waiting until they
// are done, however many there are.
func TestSmallSessionIsSetUpBetweenLargeOnes(t *testing.T) {
	ids := make([]string, 7000)
	for i := range ids {
		ids[i] = fmt.Sprintf("x%dc0s%db0n0", 1000+i/64, i%64)
	}
	inVirtualTime(t, ids, func(f *fixture) {
		f.template("large", "s3://b/one", "", ids)
		f.template("small", "s3://b/one", "", ids[:1])
		f.commits.slow(20 * time.Millisecond)
		f.start("session-setup")
		const large = 10
		for i := range large {
			f.session(fmt.Sprintf("large-%d", i), "large", bos.OperationBoot)
		}
		running := func(name string) bool { return f.state(name).Session.Status.Status == bos.SessionRunning }
		f.session("small", "small", bos.OperationBoot)
		for range 10_000 {
			if running("small") {
				break
			}
			f.wait(10 * time.Millisecond)
		}
		if !running("small") {
			t.Fatal("the small session does not run")
		}
		for i := range large {
			if name := fmt.Sprintf("large-%d", i); running(name) {
				t.Errorf("%s runs already", name)
			}
		}
	})
}

func TestStagedSession(t *testing.T) {
	inVirtualTime(t, three, func(f *fixture) {
		f.start()
		f.template("one", "s3://b/one", "", three[:2])
		f.session("staged", "one", bos.OperationBoot, func(c *bos.SessionCreate) { c.Stage = true })
		f.wait(30 * time.Second)
		if got := f.state("staged").Session.Status.Status; got != bos.SessionRunning {
			t.Fatalf("the staged session is %s", got)
		}
		if len(f.world.calls) != 0 {
			t.Errorf("staging touched nodes: %q", f.world.calls)
		}
		for _, id := range three[:2] {
			f.change([]string{id}, func(_ string, old *bos.Record) bos.Record {
				rec, outcome := f.write().ApplyStaged(*old, false, func(bos.SessionKey) (bos.Operation, bool) { return "", false })
				if outcome != bos.StagedSucceeded {
					t.Errorf("%s: %v", id, outcome)
				}
				return rec
			})
		}
		f.complete("staged", 3*time.Minute)
	})
}

// A client that deletes a session while it is set up ends its set-up, and its
// plan goes too.
func TestDeletedSessionLeavesNothing(t *testing.T) {
	inVirtualTime(t, three, func(f *fixture) {
		f.template("one", "s3://b/one", "", three)
		f.session("boot", "one", bos.OperationBoot)
		f.start("session-setup", "session-cleanup")
		f.wait(2 * time.Second)
		if _, err := f.store.DeleteDoc(context.Background(), store.SessionKey(bos.SessionKey{Name: "boot"})); err != nil {
			t.Fatal(err)
		}
		f.wait(time.Minute)
		if kvs, _, err := f.store.List(context.Background(), store.PrefixPlans); err != nil || len(kvs) != 0 {
			t.Errorf("plans that belong to nobody: %d %v", len(kvs), err)
		}
	})
}
