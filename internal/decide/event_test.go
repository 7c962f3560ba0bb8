// SPDX-License-Identifier: MIT

package decide_test

import (
	"testing"

	"bos/internal/decide"
)

func TestRunningText(t *testing.T) {
	for _, c := range []struct {
		nodes, unknown int
		paused         bool
		want           string
	}{
		{64, 0, false, "the session runs with 64 nodes"},
		{1, 0, false, "the session runs with 1 node"},
		{1, 2, false, "the session runs with 1 node; 2 more are left out, of which BOS has no components"},
		{0, 0, true, "the session runs with 0 nodes; it was paused meanwhile, and nothing is done for them"},
	} {
		if got := decide.RunningText(c.nodes, c.unknown, c.paused); got != c.want {
			t.Errorf("%q", got)
		}
	}
}
