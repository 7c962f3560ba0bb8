// SPDX-License-Identifier: MIT

package operator_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/store"
)

// stepCase is one thing that an operator asks of a service for a node.
type stepCase struct {
	name string
	// operation, on a node that is on or off, leads to the step.
	operation bos.Operation
	on        bool
	action    bos.Action
	// call is the call of the world; only from after on it is the step's own.
	call    string
	after   time.Duration
	service string
	sbps    bool
	// command is what PCS gets in the end; retry is when a refusal is followed
	// by the next attempt, 0 if another operator goes on then.
	command string
	retry   time.Duration
}

func steps() []stepCase {
	o := bos.DefaultOptions()
	return []stepCase{
		{name: "SBPS tagging", operation: bos.OperationBoot, action: bos.ActionPoweringOn, call: "ims.tag", service: "ims", sbps: true, command: "pcs On", retry: o.MaxPowerOnWait()},
		{name: "BSS", operation: bos.OperationBoot, action: bos.ActionPoweringOn, call: "bss.put", service: "bss", command: "pcs On", retry: o.MaxPowerOnWait()},
		{name: "CFS", operation: bos.OperationBoot, action: bos.ActionPoweringOn, call: "cfs.patch", service: "cfs", command: "pcs On", retry: o.MaxPowerOnWait()},
		{name: "power-on", operation: bos.OperationBoot, action: bos.ActionPoweringOn, call: "pcs.start", service: "pcs", command: "pcs On", retry: o.MaxPowerOnWait()},
		{name: "power-off-graceful", operation: bos.OperationShutdown, on: true, action: bos.ActionPoweringOffGracefully, call: "pcs.start", service: "pcs", command: "pcs Soft-Off"},
		{
			name: "power-off-forceful", operation: bos.OperationShutdown, on: true, action: bos.ActionPoweringOffForcefully,
			call: "pcs.start", after: o.MaxPowerOffWait(), service: "pcs", command: "pcs Force-Off", retry: o.MaxPowerOffWait(),
		},
	}
}

// begin sets the step's node up, with a hook on the step's call. It returns the
// time at which the step is due.
func (s stepCase) begin(f *fixture, hook func() error) time.Time {
	id := three[0]
	params := ""
	if s.sbps {
		params = "root=sbps-s3:s3://b/one/rootfs:etag"
	}
	set := bos.BootSet{Type: "s3", Path: "s3://b/one", NodeList: bos.Some(three[:1]), KernelParameters: bos.Some(params)}
	var t bos.Template
	t.BootSets.Set("compute", set)
	f.put(store.TemplateKey(bos.TemplateKey{Name: "one"}), bos.TemplateRecord{Template: t.Sanitize("one", "")})
	f.world.set(func(w *world) {
		w.nodes[id].on, w.nodes[id].ignoreSoftOff = s.on, s.after > 0
	})
	f.session("s", "one", s.operation)
	begun := time.Now()
	f.world.set(func(w *world) {
		w.hook = func(_ context.Context, call string, _ []string) error {
			if call == s.call && time.Since(begun) >= s.after {
				return hook()
			}
			return nil
		}
	})
	f.start()
	f.wait(s.after)
	return begun.Add(s.after)
}

func attemptsOf(f *fixture, s stepCase) int {
	return f.node(three[0]).EventStats.Value().Attempts(s.action)
}

// untilTrue waits second by second.
func (f *fixture) untilTrue(within time.Duration, what string, holds func() bool) {
	f.t.Helper()
	for begun := time.Now(); !holds(); f.wait(time.Second) {
		if time.Since(begun) > within {
			f.t.Fatalf("%s: not within %s\n%s", what, within, f.dump())
		}
	}
}

// A command that is accepted is an attempt, shows nothing, and is waited for.
func TestAccepted(t *testing.T) {
	for _, s := range steps() {
		t.Run(s.name, func(t *testing.T) {
			inVirtualTime(t, three[:1], func(f *fixture) {
				s.begin(f, func() error { return nil })
				f.untilTrue(30*time.Second, "the attempt", func() bool { return attemptsOf(f, s) == 1 })
				c := f.node(three[0])
				if c.Error.Value() != "" || c.LastAction.Value().Action.Value() != s.action {
					t.Errorf("%s", f.dump())
				}
				turn, ok := decide.Turn(f.view.Record(three[0]), f.view.Options(), false, false)
				if !ok || turn.Owner == "" || turn.Due == 0 || turn.Awaiting == "" {
					t.Errorf("turn %+v", turn)
				}
				f.complete("s", time.Hour)
			})
		})
	}
}

// A refusal is an attempt, shows the service's words, and is followed by the
// next one when the node has had its time.
func TestRefused(t *testing.T) {
	for _, s := range steps() {
		t.Run(s.name, func(t *testing.T) {
			inVirtualTime(t, three[:1], func(f *fixture) {
				var mu sync.Mutex
				var asked []time.Time
				s.begin(f, func() error {
					mu.Lock()
					defer mu.Unlock()
					if asked = append(asked, time.Now()); len(asked) <= 2 {
						return refused(s.service, "not like this")
					}
					return nil
				})
				seen := func() []time.Time {
					mu.Lock()
					defer mu.Unlock()
					return slices.Clone(asked)
				}
				f.untilTrue(30*time.Second, "the refusal shows", func() bool {
					return attemptsOf(f, s) == 1 && strings.Contains(f.node(three[0]).Error.Value(), "not like this")
				})
				if got := count(f.world.of(three[0]), s.command); got != 0 {
					t.Errorf("%d commands after a refusal", got)
				}
				if s.retry == 0 {
					// Who can't be shut down is cut off in time.
					f.untilTrue(2*bos.DefaultOptions().MaxPowerOffWait(), "cut off", func() bool { return len(seen()) >= 2 })
				}
				f.complete("s", time.Hour)
				times := seen()
				if len(times) < 3 || s.retry > 0 && (times[1].Sub(times[0]) < s.retry || times[1].Sub(times[0]) > s.retry+20*time.Second) {
					t.Errorf("asked at %v", times)
				}
				if c := f.node(three[0]); c.Error.Value() != "" {
					t.Errorf("the error stays after success: %s", c.Error.Value())
				}
			})
		})
	}
}

// A service that is away is no attempt, is named with the time since when, and
// the step is done soon after its return.
func TestAway(t *testing.T) {
	const outage = 10 * time.Minute
	for _, s := range steps() {
		t.Run(s.name, func(t *testing.T) {
			inVirtualTime(t, three[:1], func(f *fixture) {
				var until atomic.Pointer[time.Time]
				begun := s.begin(f, func() error {
					if back := until.Load(); back == nil || time.Now().Before(*back) {
						return away(s.service)
					}
					return nil
				})
				back := begun.Add(outage)
				until.Store(&back)
				f.untilTrue(40*time.Second, "the service is named", func() bool {
					return strings.Contains(f.node(three[0]).Error.Value(), "waiting for "+s.service+", which has not answered since")
				})
				for time.Now().Before(back.Add(-time.Second)) {
					f.wait(time.Second)
					c := f.node(three[0])
					if n := attemptsOf(f, s); n > 1 || c.StatusNow() == bos.StatusFailed || !c.Enabled.Value() {
						t.Fatalf("%d attempts, %s\n%s", n, c.StatusNow(), f.dump())
					}
				}
				if n := attemptsOf(f, s); n != 0 || count(f.world.of(three[0]), s.command) != 0 {
					t.Errorf("%d attempts during the outage\n%s", n, f.dump())
				}
				f.untilTrue(45*time.Second, "the step is done", func() bool { return count(f.world.of(three[0]), s.command) == 1 })
				if n := attemptsOf(f, s); n != 1 {
					t.Errorf("%d attempts after the outage", n)
				}
				f.complete("s", time.Hour)
			})
		})
	}
}

// A lock or a reservation is no attempt, and is waited out.
func TestHeld(t *testing.T) {
	for _, s := range steps() {
		if s.call != "pcs.start" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			inVirtualTime(t, three[:1], func(f *fixture) {
				id := three[0]
				lock := func(w *world) { w.nodes[id].locked = true }
				// Locked at set-up it would be left out.
				s.begin(f, func() error {
					f.world.set(lock)
					return nil
				})
				f.untilTrue(40*time.Second, "it says what it waits for", func() bool {
					return strings.Contains(f.node(id).Error.Value(), "lock or a reservation") && attemptsOf(f, s) == 0
				})
				sent := count(f.world.of(id), s.command)
				f.wait(5 * time.Minute)
				if n := attemptsOf(f, s); n != 0 || count(f.world.of(id), s.command) != sent {
					t.Errorf("%d attempts, %d commands while locked\n%s", n, count(f.world.of(id), s.command), f.dump())
				}
				f.world.set(func(w *world) { w.hook, w.nodes[id].locked = nil, false })
				f.untilTrue(15*time.Second, "the next command", func() bool { return count(f.world.of(id), s.command) == sent+1 })
				f.complete("s", time.Hour)
			})
		})
	}
}

// An image is tagged once in a pass, however many commands its nodes are in, and
// all of them share the answer.
func TestTaggedOnce(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		inVirtualTime(t, three, func(f *fixture) {
			f.options(func(o *bos.Options) { o.MaxComponentBatchSize = 1 })
			set := bos.BootSet{
				Type: "s3", Path: "s3://b/one", NodeList: bos.Some(three), KernelParameters: bos.Some("root=sbps-s3:s3://b/one/rootfs:e"),
			}
			var tt bos.Template
			tt.BootSets.Set("compute", set)
			f.put(store.TemplateKey(bos.TemplateKey{Name: "one"}), bos.TemplateRecord{Template: tt.Sanitize("one", "")})
			asked := 0
			f.world.set(func(w *world) {
				w.hook = func(_ context.Context, call string, _ []string) error {
					if call != "ims.tag" {
						return nil
					}
					asked++
					if refuse {
						return refused("ims", "no such image")
					}
					return nil
				}
			})
			f.session("boot", "one", bos.OperationBoot)
			f.start()
			f.wait(time.Minute)
			if asked != 1 {
				t.Errorf("ims was asked %d times (it refuses: %t)", asked, refuse)
			}
			for _, id := range three {
				c := f.node(id)
				if n := c.EventStats.Value().PowerOnAttempts.Value(); n != 1 || refuse != strings.Contains(c.Error.Value(), "no such image") {
					t.Errorf("%s: %d attempts, %q", id, n, c.Error.Value())
				}
			}
		})
	}
}

// What a session's set-up waits for is shown as it is now.
func TestSessionShowsWhatItWaitsForNow(t *testing.T) {
	inVirtualTime(t, three, func(f *fixture) {
		f.world.set(func(w *world) {
			w.hook = func(_ context.Context, call string, _ []string) error {
				if strings.HasPrefix(call, "hsm.") {
					return away("hsm")
				}
				return nil
			}
		})
		f.images.set(bos.Unavailable("s3", errDown))
		f.template("one", "s3://b/one", "", three)
		f.session("boot", "one", bos.OperationBoot)
		f.start(decide.RoleSessionSetup)
		shows := func(service string) func() bool {
			return func() bool {
				err := f.state("boot").Session.Status.Error
				return err != nil && strings.HasPrefix(*err, "waiting for "+service+",")
			}
		}
		f.untilTrue(10*time.Second, "waiting for hsm", shows("hsm"))
		f.world.set(func(w *world) { w.hook = nil })
		f.untilTrue(time.Minute, "waiting for s3", shows("s3"))
		f.images.set(nil)
		f.untilTrue(time.Minute, "running", func() bool { return f.state("boot").Session.Status.Status == bos.SessionRunning })
		if err := f.state("boot").Session.Status.Error; err != nil {
			t.Errorf("a running session still shows %q", *err)
		}
	})
}
