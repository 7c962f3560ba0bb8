// SPDX-License-Identifier: MIT

package decide_test

import (
	"slices"
	"strconv"
	"testing"

	"bos/internal/bos"
	"bos/internal/decide"
)

// Commands that can go out at once share the nodes, but don't get small for it.
func TestPowerOnSpreads(t *testing.T) {
	for _, c := range []struct {
		nodes, batch, slots int
		want                []int
	}{
		{1000, 1000, 0, []int{1000}},
		{1000, 1000, 1, []int{1000}},
		{1000, 1000, 4, []int{250, 250, 250, 250}},
		{1001, 1000, 4, []int{251, 251, 251, 248}},
		{150, 1000, 8, []int{100, 50}},
		{100, 1000, 8, []int{100}},
		{150, 50, 8, []int{50, 50, 50}},
		{9000, 1000, 2, slices.Repeat([]int{1000}, 9)},
	} {
		in := decide.PowerInput{Options: bos.DefaultOptions(), BatchSize: c.batch, Slots: c.slots}
		for i := range c.nodes {
			n := newNode().id("x"+strconv.Itoa(i)).wants("a", "c").phase("powering_on")
			in.Nodes = append(in.Nodes, decide.PowerNode{Record: &n.rec, Power: off, InHSM: true})
		}
		var got []int
		for _, b := range decide.PowerOn(in).Batches {
			got = append(got, len(b.Nodes))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%d nodes over %d slots: commands of %v", c.nodes, c.slots, got)
		}
	}
}
