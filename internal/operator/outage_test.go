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

// An outage of any service in the middle of things costs no attempt and fails
// no node; it shows on the nodes, and its end is enough for the work to go on.
func TestOutages(t *testing.T) {
	outages := []struct {
		service string
		calls   string
		// attempts is how often the nodes may be powered on.
		attempts int
	}{
		{"hsm", "hsm.", 1},
		{"pcs", "pcs.", 1},
		{"pcs", "pcs.start", 1},
		{"bss", "bss.", 1},
		{"cfs", "cfs.", 1},
		{"cfs", "cfs.patch", 1},
	}
	for _, o := range outages {
		t.Run(o.calls, func(t *testing.T) {
			inVirtualTime(t, three, func(f *fixture) {
				begun := time.Now()
				f.world.set(func(w *world) {
					w.hook = func(_ context.Context, call string, _ []string) error {
						if strings.HasPrefix(call, o.calls) && time.Since(begun) < 2*time.Minute {
							return away(o.service)
						}
						return nil
					}
				})
				f.start()
				f.template("one", "s3://b/one", "cfg-1", three)
				f.session("boot", "one", bos.OperationBoot)
				f.wait(time.Minute)
				shown := 0
				for _, id := range three {
					if strings.Contains(f.node(id).Error.Value(), o.service) {
						shown++
					}
				}
				if s := f.state("boot"); s.Session.Status.Error != nil && strings.Contains(*s.Session.Status.Error, o.service) {
					shown = len(three)
				}
				if shown == 0 {
					t.Errorf("nothing says that %s is away:\n%s", o.service, f.dump())
				}
				f.complete("boot", 8*time.Minute)
				if took := time.Since(begun); took > 4*time.Minute {
					t.Errorf("the session took %s", took)
				}
				for _, id := range three {
					c := f.node(id)
					if c.StatusNow() != bos.StatusStable || c.Error.Value() != "" {
						t.Errorf("%s:\n%s", id, f.dump())
					}
					on := 0
					for _, call := range f.world.of(id) {
						if call == "pcs On" {
							on++
						}
					}
					if on != o.attempts {
						t.Errorf("%s was powered on %d times: %q", id, on, f.world.of(id))
					}
				}
			})
		})
	}
}

// Work that waits for a service goes on within seconds when it is back, also if
// every node waits for the same one and nobody looks at all of them for long.
func TestGoesOnSoon(t *testing.T) {
	for _, service := range []string{"hsm", "pcs", "bss", "cfs"} {
		t.Run(service, func(t *testing.T) {
			inVirtualTime(t, three, func(f *fixture) {
				const outage = 73 * time.Second
				begun := time.Now()
				asked := time.Duration(-1)
				f.world.set(func(w *world) {
					w.hook = func(_ context.Context, call string, _ []string) error {
						if !strings.HasPrefix(call, service+".") {
							return nil
						}
						if time.Since(begun) < outage {
							return away(service)
						}
						if asked < 0 {
							asked = time.Since(begun) - outage
						}
						return nil
					}
				})
				f.options(func(o *bos.Options) { o.PollingFrequency = 3600 })
				f.start()
				f.template("one", "s3://b/one", "cfg-1", three)
				f.session("boot", "one", bos.OperationBoot)
				f.wait(outage + 10*time.Second)
				var soon time.Duration
				f.world.set(func(*world) { soon = asked })
				if soon < 0 || soon > 5*time.Second {
					t.Errorf("%s is asked %s after it is back:\n%s", service, soon, f.dump())
				}
			})
		})
	}
}

// A lost answer to a power command is found out before anything is repeated.
func TestLostAnswer(t *testing.T) {
	inVirtualTime(t, three, func(f *fixture) {
		lost := 0
		f.world.set(func(w *world) {
			w.after = func(string) error {
				lost++
				if lost == 1 {
					return maybeDone("pcs")
				}
				return nil
			}
		})
		f.start()
		f.template("one", "s3://b/one", "cfg-1", three)
		f.session("boot", "one", bos.OperationBoot)
		f.complete("boot", 4*time.Minute)
		for _, id := range three {
			if got, want := f.world.of(id), []string{"bss", "cfs cfg-1", "pcs On"}; !slices.Equal(got, want) {
				t.Errorf("%s: calls %q, want %q", id, got, want)
			}
		}
	})
}

// A command that got no answer and was not carried out is sent again, as the
// same attempt by count.
func TestLostCommand(t *testing.T) {
	inVirtualTime(t, three, func(f *fixture) {
		lost := false
		f.world.set(func(w *world) {
			w.hook = func(_ context.Context, call string, _ []string) error {
				if call == "pcs.start" && !lost {
					lost = true
					return maybeDone("pcs")
				}
				return nil
			}
		})
		f.start()
		f.template("one", "s3://b/one", "", three)
		f.session("boot", "one", bos.OperationBoot)
		f.wait(30 * time.Second)
		for _, id := range three {
			c := f.node(id)
			if n := c.EventStats.Value().PowerOnAttempts.Value(); n != 1 {
				t.Errorf("%s: %d attempts", id, n)
			}
		}
		f.complete("boot", 4*time.Minute)
		for _, id := range three {
			if got, want := f.world.of(id), []string{"bss", "cfs", "bss", "cfs", "pcs On"}; !slices.Equal(trim(got), want) {
				t.Errorf("%s: calls %q, want %q", id, got, want)
			}
		}
	})
}

func trim(calls []string) []string {
	out := make([]string, len(calls))
	for i, c := range calls {
		out[i] = strings.TrimSpace(c)
	}
	return out
}

// A process that dies between the record of a command and its confirmation
// leaves it to its successor to find out.
func TestSuccessorAdopts(t *testing.T) {
	for _, sent := range []bool{true, false} {
		name := map[bool]string{true: "sent", false: "not sent"}[sent]
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, three, func(f *fixture) {
				dead := make(chan struct{})
				f.world.set(func(w *world) {
					die := func(ctx context.Context) error {
						close(dead)
						<-ctx.Done()
						return ctx.Err()
					}
					if sent {
						w.after = func(string) error {
							w.after = nil
							// The answer never reaches anybody.
							f.engine.Fail(errDown)
							close(dead)
							return maybeDone("pcs")
						}
						return
					}
					w.hook = func(ctx context.Context, call string, _ []string) error {
						if call == "pcs.start" {
							f.world.set(func(w *world) { w.hook = nil })
							f.engine.Fail(errDown)
							return die(ctx)
						}
						return nil
					}
				})
				stop := f.start()
				f.template("one", "s3://b/one", "", three)
				f.session("boot", "one", bos.OperationBoot)
				<-dead
				stop()
				f.engine.Fail(nil)
				f.engine.Depose("power-on")
				if len(f.view.Attempts(bos.ActionPoweringOn)) != 1 {
					t.Fatalf("no attempt was left behind:\n%s", f.dump())
				}
				f.start()
				f.complete("boot", 5*time.Minute)
				for _, id := range three {
					on := 0
					for _, call := range f.world.of(id) {
						if call == "pcs On" {
							on++
						}
					}
					if on != 1 {
						t.Errorf("%s was powered on %d times: %q", id, on, f.world.of(id))
					}
				}
			})
		})
	}
}

// Two processes with all operators: one acts, and when it loses its leadership
// the other goes on.
func TestTwoProcesses(t *testing.T) {
	inVirtualTime(t, three, func(f *fixture) {
		stop := f.start()
		second := f.start()
		f.template("one", "s3://b/one", "cfg-1", three)
		f.session("boot", "one", bos.OperationBoot)
		f.wait(20 * time.Second)
		for _, role := range []string{"status", "power-on", "session-completion"} {
			f.engine.Depose(role)
		}
		f.wait(20 * time.Second)
		stop()
		f.complete("boot", 3*time.Minute)
		second()
		for _, id := range three {
			if got, want := f.world.of(id), []string{"bss", "cfs cfg-1", "pcs On"}; !slices.Equal(got, want) {
				t.Errorf("%s: calls %q, want %q", id, got, want)
			}
		}
	})
}
