// SPDX-License-Identifier: MIT

//go:build traces

package conformance_test

import (
	"testing"

	"bos/test/conformance/replay"
)

// What happens to nodes is what happened to them, over real HTTP, with an
// embedded store, each trace in a world and on a BOS of its own.
func TestTracesForReal(t *testing.T) {
	devs := deviations(t)
	t.Run("traces", func(t *testing.T) {
		for _, file := range recordings(t, "traces") {
			t.Run(name(file), func(t *testing.T) {
				t.Parallel()
				trace, err := replay.ReadTrace(file)
				if err != nil {
					t.Fatal(err)
				}
				site := replay.Start(t, "all")
				report(t, trace.Run(t.Context(), site, worlds, devs))
			})
		}
	})
	for _, d := range devs.UnusedPlaces() {
		t.Errorf("the deviation of %s matches nothing", d)
	}
}
