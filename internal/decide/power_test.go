// SPDX-License-Identifier: MIT

package decide_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

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

func TestPowerOn(t *testing.T) {
	opts := bos.DefaultOptions()
	pend := func(id string) *node { return newNode().id(id).wants("a", "c").phase("powering_on") }
	in := decide.PowerInput{Now: now, Options: opts, BatchSize: 1000, Nodes: []decide.PowerNode{
		{Record: &pend("x10").rec, Power: off, InHSM: true},
		{Record: &pend("x2").rec, Power: off, InHSM: true},
		{Record: &pend("on").rec, Power: on, InHSM: true},
		{Record: &pend("unseen").rec, InHSM: true},
		{Record: &pend("gone").rec, Power: off},
		{Record: &pend("open").rec, Power: off, InHSM: true, Open: true},
		{Record: &pend("tired").attempts(3, 0, 0).rec, Power: off, InHSM: true},
		{Record: &pend("tired2").attempts(3, 0, 0).err("bss refused").rec, Power: off, InHSM: true},
		{Record: &newNode().id("called").wants("a", "c").phase("powering_on").did(bos.ActionPoweringOn, recent).rec, Power: off, InHSM: true},
		{Record: &pend("reserved").waits(decide.RolePowerOn, decide.OnReservation, now-1).rec, Power: off, InHSM: true, Reserved: true},
		{Record: &pend("soon").waits(decide.RolePowerOn, decide.OnReservation, now+7).rec, Power: off, InHSM: true},
		{Record: &pend("free").waits(decide.RolePowerOn, decide.OnReservation, now-1).rec, Power: off, InHSM: true},
	}}
	plan := decide.PowerOn(in)
	if len(plan.Batches) != 1 {
		t.Fatalf("%+v", plan)
	}
	if diff := cmp.Diff([]string{"free", "x2", "x10"}, plan.Batches[0].Nodes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]decide.GiveUp{{ID: "tired", Text: decide.TextRetryLimit}, {ID: "tired2"}}, plan.GiveUps); diff != "" {
		t.Error(diff)
	}
	if plan.Due["reserved"] != now.Add(decide.ReservationPause) || plan.Due["soon"] != now+7 {
		t.Errorf("%v", plan.Due)
	}
	zero := pend("x1")
	zero.rec.Component.RetryPolicy = bos.Some(0)
	if p := decide.PowerOn(decide.PowerInput{Options: opts, BatchSize: 1, Nodes: []decide.PowerNode{{Record: &zero.rec, Power: off, InHSM: true}}}); len(p.GiveUps) != 1 {
		t.Errorf("a retry policy of 0 does not fail before the first attempt: %+v", p)
	}
}

func TestPowerOnAway(t *testing.T) {
	away := decide.Services{"bss": {Service: "bss", Text: "bss is away", Next: now + 9}}
	fresh, waiting := newNode().id("a").wants("a", "c").phase("powering_on"), newNode().id("b").wants("a", "c").phase("powering_on")
	waiting.waits(decide.RolePowerOn, "bss", 0)
	in := decide.PowerInput{Now: now, Options: bos.DefaultOptions(), BatchSize: 10, Away: away, Nodes: []decide.PowerNode{
		{Record: &fresh.rec, Power: off, InHSM: true}, {Record: &waiting.rec, Power: off, InHSM: true},
	}}
	plan := decide.PowerOn(in)
	if len(plan.Batches) != 0 || len(plan.Holds) != 1 || plan.Holds[0].ID != "a" || plan.Holds[0].Wait.On != "bss" || plan.Due["b"] != now+9 {
		t.Errorf("%+v", plan)
	}
	// CFS is nobody's concern where there is none.
	in.Away = decide.Services{"cfs": {Service: "cfs"}}
	if in.NoCFS = true; len(decide.PowerOn(in).Batches) != 1 {
		t.Error("waits for a service that the site does not have")
	}
	in.Away, in.Probes = nil, map[string]bool{"bss": true}
	if plan := decide.PowerOn(in); len(plan.Batches) != 1 || len(plan.Batches[0].Nodes) != 1 || !slices.Equal(plan.Probed, []string{"bss"}) || plan.Due["b"] == 0 {
		t.Errorf("a probe is more than one node: %+v", plan)
	}
	// A trial of a service is nothing to those who don't need it.
	in.Probes = map[string]bool{"ims": true}
	if plan := decide.PowerOn(in); len(plan.Batches) != 1 || len(plan.Batches[0].Nodes) != 2 || plan.Probed != nil {
		t.Errorf("kept back from a service that they don't need: %+v", plan)
	}
}

func TestPowerOnGroups(t *testing.T) {
	sbps := func(id, image, config string) *node {
		n := newNode().id(id).wants(image, config).phase("powering_on")
		d := n.rec.Component.DesiredState.Value()
		a := d.BootArtifacts.Value()
		a.KernelParameters = bos.Some("quiet root=sbps-s3:s3://boot-images/" + image + "/rootfs:e")
		d.BootArtifacts = bos.Some(a)
		n.rec.Component.DesiredState = bos.Some(d)
		return n
	}
	var nodes []decide.PowerNode
	for _, n := range []*node{
		sbps("x1", "a", "c"), sbps("x2", "a", "d"), sbps("x3", "b", "c"), sbps("x4", "deleted/a", "c"),
		newNode().id("x5").wants("a", "c").phase("powering_on"),
	} {
		nodes = append(nodes, decide.PowerNode{Record: &n.rec, Power: off, InHSM: true})
	}
	in := decide.PowerInput{Options: bos.DefaultOptions(), BatchSize: 10, Nodes: nodes}
	plan := decide.PowerOn(in)
	if len(plan.Batches) != 2 || !slices.Equal(plan.Batches[0].Nodes, []string{"x5"}) {
		t.Fatalf("nodes that need no IMS wait with those that do: %+v", plan.Batches)
	}
	b := plan.Batches[1]
	names := func(groups [][]string) string {
		var out []string
		for _, g := range groups {
			out = append(out, strings.Join(g, "+"))
		}
		return strings.Join(out, " ")
	}
	var boots, configs, images [][]string
	for _, g := range b.Boots {
		boots = append(boots, g.Nodes)
	}
	for _, g := range b.Configs {
		configs = append(configs, g.Nodes)
	}
	for _, g := range b.Images {
		images = append(images, append([]string{g.ImageID}, g.Nodes...))
	}
	if got := names(boots); got != "x1+x2 x3" {
		t.Errorf("boots %s", got)
	}
	if got := names(configs); got != "x1+x3 x2" {
		t.Errorf("configs %s", got)
	}
	if got := names(images); got != "a+x1+x2 b+x3" {
		t.Errorf("images %s", got)
	}
	if text := b.Refused["x4"]; len(b.Refused) != 1 || !strings.Contains(text, "deleted/a") {
		t.Errorf("refused %v", b.Refused)
	}
	in.NoIMS = true
	if b := decide.PowerOn(in).Batches[0]; len(b.Images) != 0 || len(b.Refused) != 0 {
		t.Errorf("images without IMS: %+v", b)
	}
}

func TestPowerOff(t *testing.T) {
	opts := bos.DefaultOptions()
	stuck := newNode().id("x1").phase("powering_off").did(bos.ActionPoweringOffGracefully, recent)
	long := newNode().id("x2").phase("powering_off").did(bos.ActionPoweringOffForcefully, 1)
	pend := newNode().id("x3").phase("powering_off").did(bos.ActionSessionSetup, 1)
	in := decide.PowerInput{Now: now, Options: opts, BatchSize: 50, Nodes: []decide.PowerNode{
		{Record: &stuck.rec, InHSM: true}, {Record: &long.rec, InHSM: true}, {Record: &pend.rec, InHSM: true},
	}}
	forceful := decide.PowerOffForceful(in)
	if len(forceful.Batches) != 1 || forceful.Batches[0].Nodes[0] != "x2" || forceful.Due["x1"] != recent.Add(300*time.Second) {
		t.Errorf("%+v", forceful)
	}
	graceful := decide.PowerOffGraceful(in)
	if len(graceful.Batches) != 1 || graceful.Batches[0].Nodes[0] != "x3" || len(graceful.Batches[0].Nodes) != 1 {
		t.Errorf("%+v", graceful)
	}
}

// Every node is in at most one place of a plan, no batch is too big, and nobody
// is commanded who must not be.
func TestPowerPlansAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := decide.PowerInput{Now: now, Options: bos.DefaultOptions(), BatchSize: rapid.IntRange(1, 4).Draw(t, "batch")}
		if rapid.Bool().Draw(t, "probe") {
			in.Probes = map[string]bool{rapid.SampledFrom([]string{"hsm", "bss", "ims"}).Draw(t, "probes"): true}
		}
		if rapid.Bool().Draw(t, "away") {
			in.Away = decide.Services{"pcs": {Service: "pcs", Next: now + 1}}
		}
		byID := map[string]decide.PowerNode{}
		for i := range rapid.IntRange(0, 12).Draw(t, "n") {
			n := newNode().id(fmt.Sprintf("x%d", i)).wants("a", "c").
				phase(rapid.SampledFrom([]bos.Phase{"powering_on", "powering_off", "configuring"}).Draw(t, "phase")).
				did(rapid.SampledFrom([]bos.Action{bos.ActionSessionSetup, bos.ActionPoweringOn, bos.ActionPoweringOffGracefully}).Draw(t, "last"), 1).
				attempts(rapid.IntRange(0, 3).Draw(t, "a"), rapid.IntRange(0, 3).Draw(t, "g"), 0)
			n.rec.Component.Enabled = bos.Some(rapid.Bool().Draw(t, "enabled"))
			pn := decide.PowerNode{Record: &n.rec, Power: rapid.SampledFrom([]decide.Power{on, off, {}}).Draw(t, "power"),
				InHSM: rapid.Bool().Draw(t, "hsm"), Open: rapid.Bool().Draw(t, "open")}
			byID[n.rec.Component.ID] = pn
			in.Nodes = append(in.Nodes, pn)
		}
		for _, plan := range []decide.PowerPlan{decide.PowerOn(in), decide.PowerOffGraceful(in), decide.PowerOffForceful(in)} {
			seen := map[string]bool{}
			take := func(id string) {
				if seen[id] {
					t.Fatalf("%s twice", id)
				}
				seen[id] = true
			}
			for _, b := range plan.Batches {
				if len(b.Nodes) > in.BatchSize || len(b.Nodes) == 0 {
					t.Fatalf("a batch of %d", len(b.Nodes))
				}
				for _, id := range b.Nodes {
					take(id)
					n := byID[id]
					if !n.Record.Component.Enabled.Value() || !n.InHSM || n.Open || in.Away != nil ||
						b.Action == bos.ActionPoweringOn && !n.Power.Off() || b.Action == bos.ActionPoweringOffForcefully && n.Power.Off() {
						t.Fatalf("%s %s must not be commanded", b.Action, id)
					}
				}
				inGroups := len(b.Refused)
				for _, g := range b.Boots {
					inGroups += len(g.Nodes)
				}
				if b.Action == bos.ActionPoweringOn && inGroups != len(b.Nodes) {
					t.Fatalf("%d of %d nodes are in boot groups", inGroups, len(b.Nodes))
				}
			}
			if in.Probes["hsm"] && len(seen) > 1 {
				t.Fatalf("%d nodes try hsm", len(seen))
			}
			for _, g := range plan.GiveUps {
				take(g.ID)
			}
			for _, h := range plan.Holds {
				take(h.ID)
			}
		}
	})
}
