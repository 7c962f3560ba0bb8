// SPDX-License-Identifier: MIT

package operator_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bos/internal/bos"
	"bos/internal/operator"
	"bos/internal/store"
)

func TestDiscovery(t *testing.T) {
	inVirtualTime(t, nil, func(f *fixture) {
		f.world.set(func(w *world) { w.nodes = newWorld(three...).nodes })
		f.start("discovery")
		f.wait(time.Second)
		for _, id := range three {
			c := f.node(id)
			if c.Enabled.Or(true) || c.LastAction.Value().Action.Value() != bos.ActionNewlyDiscovered {
				t.Errorf("%s: %+v", id, c)
			}
		}
		f.world.set(func(w *world) { w.nodes["x9c0s0b0n0"] = &worldNode{} })
		f.wait(301 * time.Second)
		f.node("x9c0s0b0n0")
		f.world.set(func(w *world) { delete(w.nodes, three[0]) })
		f.wait(time.Hour)
		f.node(three[0])
	})
}

func TestActualStateCleanup(t *testing.T) {
	inVirtualTime(t, three[:1], func(f *fixture) {
		id := three[0]
		token := "0c4b8a2e-0000-4000-8000-000000000001"
		f.put(store.TokenKey(token), store.Token{
			BootArtifacts: bos.BootArtifacts{Kernel: bos.Some("k"), KernelParameters: bos.Some("p"), Initrd: bos.Some("i")},
			UsedAt:        f.clock.Now(),
		})
		f.start("actual-state-cleanup")
		f.report(id, token)
		f.wait(4*time.Hour - time.Minute)
		if f.node(id).ActualState.Value().BootArtifacts.Value().Kernel.Value() != "k" {
			t.Error("the report was emptied too early")
		}
		f.wait(2 * time.Minute)
		c := f.node(id)
		if c.ActualState.Value().BootArtifacts.Value().Kernel.Value() != "" || c.LastAction.Value().Action.Value() != bos.ActionActualStateCleanup {
			t.Errorf("the report was not emptied: %+v", c)
		}
		// Nobody refers to the token now; it is kept for the lifetime of reports.
		f.wait(3 * time.Hour)
		if _, ok := f.view.Token(token); !ok {
			t.Error("the token was forgotten too early")
		}
		f.wait(8 * time.Hour)
		if _, ok := f.view.Token(token); ok {
			t.Error("the token was never forgotten")
		}
	})
}

func TestSessionCleanup(t *testing.T) {
	inVirtualTime(t, three, func(f *fixture) {
		f.start()
		f.template("one", "s3://b/one", "", three)
		f.session("boot", "one", bos.OperationBoot)
		f.complete("boot", 3*time.Minute)
		if _, ok := f.view.SavedStatus(bos.SessionKey{Name: "boot"}); !ok {
			t.Error("the extended status was not saved")
		}
		f.wait(6 * 24 * time.Hour)
		f.state("boot")
		f.wait(25 * time.Hour)
		if _, ok := f.view.Session(bos.SessionKey{Name: "boot"}); ok {
			t.Error("the session was not deleted")
		}
		for _, prefix := range []string{store.PrefixStatuses, store.PrefixPlans} {
			if kvs, _, err := f.store.List(context.Background(), prefix); err != nil || len(kvs) != 0 {
				t.Errorf("%d documents were left under %s (%v)", len(kvs), prefix, err)
			}
		}
	})
}

// Nothing is written while nothing happens.
func TestIdleWritesNothing(t *testing.T) {
	inVirtualTime(t, three, func(f *fixture) {
		f.start()
		f.template("one", "s3://b/one", "", three)
		f.session("boot", "one", bos.OperationBoot)
		f.complete("boot", 3*time.Minute)
		f.wait(10 * time.Minute)
		before, err := f.store.Revision(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		f.wait(3 * time.Hour)
		kvs, _, err := f.store.List(context.Background(), store.Root)
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range kvs {
			// Tokens note once an hour that they are still referred to.
			if kv.Revision > before && !strings.HasPrefix(kv.Key, store.PrefixTokens) {
				t.Errorf("%s was written while nothing happened", kv.Key)
			}
		}
	})
}

func TestUnknownOperator(t *testing.T) {
	inVirtualTime(t, nil, func(f *fixture) {
		if err := operator.Run(context.Background(), f.deps(), []string{"status", "nonsense"}); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("an unknown operator: %v", err)
		}
	})
}

// Options count at once: a shorter wait fires, a longer one holds.
func TestOptionsAreLive(t *testing.T) {
	inVirtualTime(t, three[:1], func(f *fixture) {
		id := three[0]
		f.world.set(func(w *world) { w.nodes[id].neverOn = true })
		f.start()
		f.template("one", "s3://b/one", "", three[:1])
		f.session("boot", "one", bos.OperationBoot)
		f.wait(65 * time.Second)
		f.options(func(o *bos.Options) { o.MaxPowerOnWaitTime = 70 })
		f.wait(10 * time.Second)
		if n := count(f.world.of(id), "pcs On"); n != 2 {
			t.Errorf("%d power-ons: %q", n, f.world.of(id))
		}
		f.options(func(o *bos.Options) { o.DefaultRetryPolicy = 2 })
		f.wait(75 * time.Second)
		if c := f.node(id); c.StatusNow() != bos.StatusFailed {
			t.Errorf("the retry limit of two does not count:\n%s", f.dump())
		}
		if !slices.Contains(f.world.of(id), "bss") {
			t.Error("nothing was done at all")
		}
	})
}
