// SPDX-License-Identifier: MIT

package operator_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"bos/internal/bos"
)

func count(calls []string, call string) int {
	n := 0
	for _, c := range calls {
		if c == call {
			n++
		}
	}
	return n
}

// Each bad node has a good one beside it, which must not suffer.
func TestBadNodes(t *testing.T) {
	bad, good := three[0], three[1]
	cases := []struct {
		name   string
		make   func(w *world, n *worldNode)
		status bos.StatusName
		err    string
		// calls and how often; -1 is at least twice.
		call  string
		times int
	}{
		{"never on", func(_ *world, n *worldNode) { n.neverOn = true }, bos.StatusFailed, "retry limit", "pcs On", 3},
		{"never reports", func(_ *world, n *worldNode) { n.neverReport = true }, bos.StatusFailed, "retry limit", "pcs On", 3},
		{"configuration fails", func(_ *world, n *worldNode) { n.configFails = true }, bos.StatusFailed, "cfs configuration failed", "pcs On", 1},
		{"BSS refuses", func(w *world, _ *worldNode) {
			w.hook = func(_ context.Context, call string, ids []string) error {
				if call == "bss.put" && slices.Contains(ids, bad) {
					return refused("bss", "no such host")
				}
				return nil
			}
		}, bos.StatusFailed, "no such host", "pcs On", 0},
		{"PCS refuses", func(w *world, _ *worldNode) {
			w.hook = func(_ context.Context, call string, ids []string) error {
				if call == "pcs.start" && slices.Contains(ids, bad) {
					return refused("pcs", "bad xname")
				}
				return nil
			}
		}, bos.StatusFailed, "bad xname", "pcs On", 0},
		{"locked in HSM after set-up", func(w *world, n *worldNode) {
			n.locked = true
			time.AfterFunc(100*time.Second, func() { w.set(func(*world) { n.locked = false }) })
		}, bos.StatusStable, "", "pcs On", -1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inVirtualTime(t, three[:2], func(f *fixture) {
				f.template("one", "s3://b/one", "cfg-1", three[:2])
				f.session("boot", "one", bos.OperationBoot)
				stop := f.start("session-setup")
				f.wait(time.Second)
				stop()
				f.world.set(func(w *world) { c.make(w, w.nodes[bad]) })
				f.start()
				f.complete("boot", 3*time.Hour)
				if got := f.node(good); got.StatusNow() != bos.StatusStable || got.Error.Value() != "" {
					t.Errorf("the good node:\n%s", f.dump())
				}
				got := f.node(bad)
				if got.StatusNow() != c.status || !strings.Contains(got.Error.Value(), c.err) || c.err == "" && got.Error.Value() != "" {
					t.Errorf("the bad node is %s: %q\n%s", got.StatusNow(), got.Error.Value(), f.dump())
				}
				if n := count(f.world.of(bad), c.call); n != c.times && (c.times >= 0 || n < 2) {
					t.Errorf("%q was called %d times: %q", c.call, n, f.world.of(bad))
				}
				if n := count(f.world.of(good), "pcs On"); n != 1 {
					t.Errorf("the good node was powered on %d times", n)
				}
			})
		})
	}
}

// A node that waits for a reservation says so, and its attempts stay what they
// were.
func TestReservationIsNoAttempt(t *testing.T) {
	for _, noLocks := range []bool{false, true} {
		inVirtualTime(t, three[:1], func(f *fixture) {
			id := three[0]
			f.template("one", "s3://b/one", "", three[:1])
			f.session("boot", "one", bos.OperationBoot)
			stop := f.start("session-setup")
			f.wait(time.Second)
			stop()
			f.world.set(func(w *world) { w.nodes[id].locked, w.noLocks = true, noLocks })
			f.start()
			f.wait(5 * time.Minute)
			c := f.node(id)
			if n := c.EventStats.Value().PowerOnAttempts.Value(); n > 1 || !strings.Contains(c.Error.Value(), "lock or a reservation") {
				t.Errorf("%d attempts, error %q\n%s", n, c.Error.Value(), f.dump())
			}
			f.world.set(func(w *world) { w.nodes[id].locked = false })
			f.complete("boot", 2*time.Minute)
			if f.node(id).Error.Value() != "" {
				t.Errorf("error after success: %q", f.node(id).Error.Value())
			}
		})
	}
}

// A shutdown that a node ignores is forced.
func TestForcedOff(t *testing.T) {
	inVirtualTime(t, three[:2], func(f *fixture) {
		bad := three[0]
		f.world.set(func(w *world) {
			w.nodes[three[0]].on, w.nodes[three[1]].on, w.nodes[bad].ignoreSoftOff = true, true, true
		})
		f.start()
		f.template("one", "s3://b/one", "", three[:2])
		f.session("down", "one", bos.OperationShutdown)
		f.complete("down", 10*time.Minute)
		if got, want := f.world.of(bad), []string{"pcs Soft-Off", "pcs Force-Off"}; !slices.Equal(got, want) {
			t.Errorf("calls %q, want %q", got, want)
		}
		if got, want := f.world.of(three[1]), []string{"pcs Soft-Off"}; !slices.Equal(got, want) {
			t.Errorf("calls %q, want %q", got, want)
		}
	})
}

// Whoever gives a node another goal while a command is being prepared keeps the
// command from going out.
func TestGoalReplacedWhilePreparing(t *testing.T) {
	inVirtualTime(t, three[:1], func(f *fixture) {
		id := three[0]
		f.template("one", "s3://b/one", "", three[:1])
		replaced := false
		f.world.set(func(w *world) {
			w.hook = func(_ context.Context, call string, _ []string) error {
				if call == "bss.put" && !replaced {
					replaced = true
					f.change(three[:1], func(_ string, old *bos.Record) bos.Record {
						return f.write().Patch(*old, bos.Component{
							DesiredState: bos.Some(bos.EmptyDesiredState()), Enabled: bos.Some(true),
						})
					})
				}
				return nil
			}
		})
		f.start()
		f.session("boot", "one", bos.OperationBoot)
		f.wait(10 * time.Minute)
		if n := count(f.world.of(id), "pcs On"); n != 0 {
			t.Errorf("the node was powered on for a goal that it no longer has: %q", f.world.of(id))
		}
		if c := f.node(id); c.StatusNow() != bos.StatusStable || c.Enabled.Value() {
			t.Errorf("the node did not reach its new goal:\n%s", f.dump())
		}
	})
}

// A node that HSM no longer knows is waited for, and says so.
func TestGoneFromHSM(t *testing.T) {
	inVirtualTime(t, three[:2], func(f *fixture) {
		gone := three[0]
		f.template("one", "s3://b/one", "", three[:2])
		f.session("boot", "one", bos.OperationBoot)
		stop := f.start("session-setup")
		f.wait(time.Second)
		stop()
		f.world.set(func(w *world) { w.nodes[gone].missing = true })
		f.start()
		f.wait(10 * time.Minute)
		if c := f.node(gone); !c.Enabled.Value() || !strings.Contains(c.Error.Value(), "does not know this node") {
			t.Errorf("the node does not say what it waits for:\n%s", f.dump())
		}
		if c := f.node(three[1]); c.Enabled.Value() {
			t.Errorf("the other node did not get on:\n%s", f.dump())
		}
		f.world.set(func(w *world) { w.nodes[gone].missing = false })
		f.complete("boot", 3*time.Minute)
	})
}
