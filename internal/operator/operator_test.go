// SPDX-License-Identifier: MIT

package operator_test

import (
	"slices"
	"testing"
	"time"

	"bos/internal/bos"
)

var three = []string{"x1c0s0b0n0", "x1c0s1b0n0", "x1c0s2b0n0"}

func TestBootRebootShutdown(t *testing.T) {
	inVirtualTime(t, three, func(f *fixture) {
		f.start()
		f.template("one", "s3://b/one", "cfg-1", three)
		f.template("two", "s3://b/two", "cfg-2", three)

		f.session("boot", "one", bos.OperationBoot)
		f.complete("boot", 3*time.Minute)
		for _, id := range three {
			c := f.node(id)
			if got := c.StatusNow(); got != bos.StatusStable || c.Enabled.Value() || c.Error.Value() != "" {
				t.Errorf("%s after boot: %s\n%s", id, got, f.dump())
			}
			if got, want := f.world.of(id), []string{"bss", "cfs cfg-1", "pcs On"}; !slices.Equal(got, want) {
				t.Errorf("%s: calls %q, want %q", id, got, want)
			}
		}

		f.session("reboot", "two", bos.OperationReboot)
		f.complete("reboot", 4*time.Minute)
		for _, id := range three {
			want := []string{"bss", "cfs cfg-1", "pcs On", "pcs Soft-Off", "bss", "cfs cfg-2", "pcs On"}
			if got := f.world.of(id); !slices.Equal(got, want) {
				t.Errorf("%s: calls %q, want %q", id, got, want)
			}
		}

		f.session("down", "two", bos.OperationShutdown)
		f.complete("down", 2*time.Minute)
		for _, id := range three {
			if c := f.node(id); c.StatusNow() != bos.StatusStable || f.world.nodes[id].on {
				t.Errorf("%s after shutdown:\n%s", id, f.dump())
			}
		}
		if open := f.view.Attempts(bos.ActionPoweringOn); len(open) != 0 {
			t.Errorf("attempts that nobody closed: %+v", open)
		}
	})
}
