// SPDX-License-Identifier: MIT

package decide_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"bos/internal/bos"
	"bos/internal/decide"
	"bos/internal/xname"
)

// Every node that the boot sets name is in exactly one place of a dry run:
// included with what would be done, or left out with why; whatever the services
// say, and whatever the nodes do at the moment.
func TestDryRunPlacesEveryNodeOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		named := bos.Set{}
		in := decide.DryRunInput{
			Session: &bos.Session{
				Stage:     rapid.Bool().Draw(t, "stage"),
				Operation: rapid.SampledFrom([]bos.Operation{bos.OperationBoot, bos.OperationReboot, bos.OperationShutdown}).Draw(t, "operation"),
			},
			Records: map[string]*bos.Record{}, Power: map[string]decide.Power{}, Config: map[string]decide.Config{},
			Open:    func(*bos.Record) bool { return false },
			Running: func(bos.SessionKey) bool { return true },
			Write:   bos.Write{Instant: 1000}, Options: bos.DefaultOptions(), NoCFS: rapid.Bool().Draw(t, "no cfs"),
		}
		id := func(n int) string { return fmt.Sprintf("x%dc0s0b0n%d", 1000+n/3, n%3) }
		for range rapid.IntRange(0, 3).Draw(t, "sets") {
			set := decide.BootSetPlan{Target: bos.Target{BootArtifacts: bos.BootArtifacts{Kernel: bos.Some("k")}, Configuration: "c"}}
			if in.Session.Operation == bos.OperationShutdown {
				set.Target = decide.OffTarget()
			}
			for n := range 9 {
				switch rapid.IntRange(0, 2).Draw(t, "place") {
				case 0:
					set.Nodes = append(set.Nodes, id(n))
				case 1:
					set.Excluded = append(set.Excluded, decide.Excluded{ID: id(n), Reason: rapid.SampledFrom([]bos.ExclusionReason{
						bos.ExcludedLocked, bos.ExcludedNotInLimit,
					}).Draw(t, "reason")})
				default:
					continue
				}
				named.Add(id(n))
			}
			in.Sets = append(in.Sets, set)
		}
		for n := range 9 {
			if rapid.IntRange(0, 4).Draw(t, "none") == 0 {
				continue
			}
			in.Records[id(n)] = &bos.Record{Component: bos.Component{
				ID: id(n), Enabled: bos.Some(rapid.Bool().Draw(t, "enabled")), Session: bos.Some(rapid.SampledFrom([]string{"", "s", "t"}).Draw(t, "session")),
				ActualState: bos.Some(bos.ActualState{BootArtifacts: bos.Some(bos.BootArtifacts{Kernel: bos.Some(rapid.SampledFrom([]string{"", "k"}).Draw(t, "runs"))})}),
			}}
			in.Power[id(n)] = decide.Power{Found: rapid.Bool().Draw(t, "found"), State: rapid.SampledFrom([]string{"on", "off", "undefined"}).Draw(t, "power")}
			in.Config[id(n)] = decide.Config{
				Found: rapid.Bool().Draw(t, "in cfs"), Desired: rapid.SampledFrom([]string{"", "c"}).Draw(t, "config"),
				Status: rapid.SampledFrom([]string{"configured", "pending", "failed", "odd"}).Draw(t, "config status"),
			}
		}
		plan := decide.DryRun(in)
		place := map[string]string{}
		put := func(where, nodes string, count int) {
			ids, err := xname.Expand(nodes)
			if err != nil || len(ids) != count || count == 0 {
				t.Fatalf("%s: %q are %d nodes, not %d: %v", where, nodes, len(ids), count, err)
			}
			for _, id := range ids {
				if before, twice := place[id]; twice {
					t.Fatalf("%s is %s and %s", id, before, where)
				}
				place[id] = where
			}
		}
		included := 0
		for _, g := range plan.Included {
			put("included: "+string(g.Action)+": "+g.Why, g.Nodes, g.Count)
			included += g.Count
			if g.Why == "" || (g.Action == bos.NextStage) != in.Session.Stage {
				t.Fatalf("%+v", g)
			}
		}
		for _, g := range plan.Excluded {
			put("excluded: "+string(g.Reason), g.Nodes, g.Count)
		}
		for id := range named {
			if place[id] == "" {
				t.Fatalf("%s is nowhere", id)
			}
		}
		inSets := 0
		for _, set := range plan.BootSets {
			inSets += set.Count
		}
		if len(place) != len(named) || included != plan.Count || inSets != plan.Count || plan.Racks > 3 || plan.Count > 0 && plan.Racks == 0 {
			t.Fatalf("%d named, %d placed: %+v", len(named), len(place), plan)
		}
	})
}

// What a dry run says is done first is what the operators do.
func TestDryRunActions(t *testing.T) {
	artifacts := bos.BootArtifacts{Kernel: bos.Some("k"), KernelParameters: bos.Some("p"), Initrd: bos.Some("i")}
	for _, c := range []struct {
		operation bos.Operation
		power     string
		runs      bool
		config    decide.Config
		want      bos.NextAction
	}{
		{bos.OperationBoot, "off", false, decide.Config{Found: true}, bos.NextPowerOn},
		{bos.OperationBoot, "on", false, decide.Config{Found: true}, bos.NextPowerOffGraceful},
		{bos.OperationBoot, "on", true, decide.Config{Found: true, Desired: "other"}, bos.NextConfigure},
		{bos.OperationBoot, "on", true, decide.Config{Found: true, Desired: "c", Status: "configured"}, bos.NextNone},
		{bos.OperationBoot, "on", true, decide.Config{}, bos.NextNone},
		{bos.OperationReboot, "on", true, decide.Config{Found: true, Desired: "c", Status: "configured"}, bos.NextPowerOffGraceful},
		{bos.OperationReboot, "off", true, decide.Config{Found: true}, bos.NextPowerOn},
		{bos.OperationShutdown, "on", true, decide.Config{Found: true}, bos.NextPowerOffGraceful},
		{bos.OperationShutdown, "off", false, decide.Config{Found: true}, bos.NextNone},
	} {
		rec := &bos.Record{Component: bos.Component{ID: "x1c0s0b0n0"}}
		if c.runs {
			rec.Component.ActualState = bos.Some(bos.ActualState{BootArtifacts: bos.Some(artifacts)})
		}
		target := bos.Target{BootArtifacts: artifacts, Configuration: "c"}
		if c.operation == bos.OperationShutdown {
			target = decide.OffTarget()
		}
		plan := decide.DryRun(decide.DryRunInput{
			Session: &bos.Session{Operation: c.operation},
			Sets:    []decide.BootSetPlan{{Name: "c", Nodes: []string{"x1c0s0b0n0"}, Target: target}},
			Records: map[string]*bos.Record{"x1c0s0b0n0": rec},
			Power:   map[string]decide.Power{"x1c0s0b0n0": {Found: true, State: c.power}},
			Config:  map[string]decide.Config{"x1c0s0b0n0": c.config},
			Open:    func(*bos.Record) bool { return false }, Running: func(bos.SessionKey) bool { return false },
			Write: bos.Write{Instant: 1000}, Options: bos.DefaultOptions(),
		})
		if len(plan.Included) != 1 || plan.Included[0].Action != c.want {
			t.Errorf("%+v: %+v", c, plan.Included)
		}
	}
}
