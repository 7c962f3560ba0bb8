// SPDX-License-Identifier: MIT

package demo

import (
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bos/internal/bos"
	"bos/internal/sim"
)

func TestShares(t *testing.T) {
	for _, c := range []struct {
		counts []int
		size   int
		want   []int
	}{
		{[]int{64, 0, 0}, 10, []int{10, 0, 0}},
		{[]int{1, 999}, 10, []int{1, 9}},
		{[]int{1, 1, 998}, 10, []int{1, 1, 8}},
		{[]int{50, 50}, 5, []int{3, 2}},
		{[]int{0, 0}, 5, []int{0, 0}},
		{[]int{1, 1, 1}, 2, []int{0, 0, 0}},
	} {
		if diff := cmp.Diff(c.want, shares(c.counts, c.size)); diff != "" {
			t.Errorf("shares of %v in %d (-want +got):\n%s", c.counts, c.size, diff)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.SliceOfN(rapid.IntRange(0, 1000), 1, 6).Draw(t, "counts")
		size := rapid.IntRange(6, 100).Draw(t, "size")
		total, sum := 0, 0
		for i, n := range shares(counts, size) {
			total += counts[i]
			sum += n
			if counts[i] > 0 != (n > 0) {
				t.Errorf("%d nodes get %d cells", counts[i], n)
			}
		}
		if total > 0 && sum != size {
			t.Errorf("%d cells of %d are filled", sum, size)
		}
	})
}

func some(p Progress) Progress {
	p.Steps = []Step{
		{
			Operation: bos.OperationBoot, Goal: "an image", Stage: StageEnded, Total: 2 * time.Second, Hardware: time.Second,
			Counts: Counts{Succeeded: 9, Failed: 1},
		},
		{
			Operation: bos.OperationReboot, Goal: "another image", Stage: StageRunning, Total: time.Second,
			Counts: Counts{Waiting: 1, PoweringOff: 2, PoweringOn: 3, Configuring: 1, Succeeded: 2, Failed: 1},
		},
		{Operation: bos.OperationShutdown, Goal: "off", Counts: Counts{Waiting: 10}},
	}
	p.Nodes, p.TimeScale, p.URL = 10, 0.01, "http://127.0.0.1:1/apis/bos"
	p.Failures = []Failure{{bos.OperationBoot, "x1c0s0b0n0", "no power"}, {bos.OperationReboot, "x1c0s0b0n0", "no power"}}
	return p
}

func TestPicture(t *testing.T) {
	p := some(Progress{Faults: sim.FaultsSome})
	for _, size := range [][2]int{{20, 5}, {80, 24}, {100, 40}, {300, 100}} {
		drawn := picture(p, size[0], size[1])
		for line := range strings.Lines(drawn) {
			if w := lipgloss.Width(strings.TrimRight(line, "\n")); w > max(size[0], narrowest+1) {
				t.Errorf("on %d columns a line has %d: %q", size[0], w, line)
			}
		}
	}
	drawn := picture(p, 100, 40)
	for _, text := range []string{"some faults", "boot", "9/10", "2.0 s, hardware 1.0 s", "3 powering on", "failed", "no power", "x1c0s0b0n0"} {
		if !strings.Contains(drawn, text) {
			t.Errorf("there is no %q in\n%s", text, drawn)
		}
	}
	if p.Over = true; strings.Contains(picture(p, 100, 40), "no power") {
		t.Error("failures are drawn although the summary follows")
	}
}

// The picture of failures never outgrows a terminal by much.
func TestPictureBoundsFailures(t *testing.T) {
	p := some(Progress{})
	for _, reason := range strings.Fields("a b c d e f g h i j k l m n o p q r s t u v w x y z") {
		p.Failures = append(p.Failures, Failure{bos.OperationReboot, "x1c0s0b0n1", reason})
	}
	if n := strings.Count(picture(p, 80, 24), "\n"); n > 24 {
		t.Errorf("%d lines on a terminal of 24", n)
	}
}

func TestNews(t *testing.T) {
	now := some(Progress{Doing: "something", Options: "o 1"})
	before := now.clone()
	before.Steps[0].Stage, before.Steps[1].Stage = StageRunning, StageWaiting
	before.Failures = nil
	got := news(before, now, true)
	want := []string{
		"reboot: 10 nodes to another image",
		"boot: x1c0s0b0n0 failed: no power",
		"reboot: x1c0s0b0n0 failed: no power",
		"boot: ended after 2.0 s: 9 succeeded, 1 failed",
		"reboot: 1.0 s: 1 waiting, 2 powering off, 3 powering on, 1 configuring, 2 succeeded, 1 failed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again := news(now, now, false); len(again) > 0 {
		t.Errorf("nothing is new, but %q", again)
	}
	if first := news(Progress{}, now, true); len(first) < 4 || !strings.Contains(first[0], "10 simulated nodes") {
		t.Errorf("at first it says %q", first)
	}
}

func TestCountsOf(t *testing.T) {
	l := look{status: bos.ExtendedStatus{ManagedComponentsCount: 3, PercentSuccessful: 33.33}}
	l.status.Phases.PercentPoweringOn = 33.33
	l.failed = make([]bos.Component, 1)
	want := Counts{Waiting: 1, PoweringOn: 1, Succeeded: 1, Failed: 1}
	if diff := cmp.Diff(want, countsOf(4, l)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func flying(id string, on int, text string) bos.Component {
	return bos.Component{
		ID: id, Enabled: bos.Some(true), Error: bos.Some(text),
		EventStats: bos.Some(bos.EventStats{PowerOnAttempts: bos.Some(on)}),
	}
}

func TestTracker(t *testing.T) {
	begun := time.Now()
	at := func(s int) time.Time { return begun.Add(time.Duration(s) * time.Second) }
	tr := newTracker(10*time.Second, 1)
	running := bos.ExtendedStatus{Status: bos.SessionRunning}
	tr.note(look{status: bos.ExtendedStatus{Status: bos.SessionPending}, whole: true}, at(0))
	if tr.inFlight() != nil {
		t.Error("before the session runs all of its nodes are known")
	}
	tr.note(look{status: running, inFlight: []bos.Component{flying("a", 0, ""), flying("b", 0, "wait")}, whole: true}, at(1))
	if n := len(tr.inFlight()); n != 2 {
		t.Errorf("%d nodes are in flight, want 2", n)
	}
	tr.note(look{status: running, inFlight: []bos.Component{flying("a", 1, ""), flying("b", 0, "wait")}, whole: true}, at(8))
	if ids := tr.giveUp(at(10)); len(ids) > 0 {
		t.Errorf("%v are given up too soon", ids)
	}
	if diff := cmp.Diff([]string{"b"}, tr.giveUp(at(12))); diff != "" {
		t.Errorf("given up (-want +got):\n%s", diff)
	}
	// A page that shows only what comes after a says nothing of a.
	tr.note(look{status: running, from: "a", whole: true}, at(13))
	if diff := cmp.Diff([]string{"a"}, tr.inFlight()); diff != "" {
		t.Errorf("in flight (-want +got):\n%s", diff)
	}
	if b := tr.seen["b"]; b.cancelled == "" {
		t.Errorf("what was seen: %+v", b)
	}
}

// The reasons why a node counts as failed.
func TestJudge(t *testing.T) {
	image := sim.Image{ID: "abc", Name: "image"}
	up := sim.NodeState{Power: "on", Up: true, Kernel: "s3://boot-images/abc/kernel", Config: "c", ConfigStatus: "configured"}
	stable := func(id string) bos.Component { return bos.Component{ID: id, Enabled: bos.Some(false)} }
	failed := stable("failed")
	failed.Error = bos.Some("no power")
	truth := map[string]sim.NodeState{"good": up, "liar": {Power: "off"}, "other image": up, "unconfigured": up}
	wrong := up
	wrong.Kernel = "s3://boot-images/def/kernel"
	truth["other image"] = wrong
	wrong = up
	wrong.ConfigStatus = "pending"
	truth["unconfigured"] = wrong
	nodes := []string{"good", "liar", "other image", "unconfigured", "failed", "left out", "given up"}
	given := stable("given up")
	log := newTracker(time.Second, 1)
	log.seen["given up"] = &sighting{cancelled: bos.StatusConfiguring}
	result := judge(step{operation: bos.OperationBoot, image: image, configuration: "c"}, nodes,
		map[string]sim.Fault{"failed": {Kind: sim.FaultNeverPowersOn}}, bos.Session{},
		[]bos.Component{stable("good"), stable("liar"), stable("other image"), stable("unconfigured"), failed, given}, log, &witness{},
		func(id string) (sim.NodeState, bool) { n, ok := truth[id]; return n, ok })
	if result.Succeeded != 1 || result.Failed != 6 {
		t.Errorf("%d succeeded, %d failed", result.Succeeded, result.Failed)
	}
	for i, want := range []string{
		"succeeded", "not up", "kernel is s3://boot-images/def", "pending", "no power", reasonLeftOut, "(configuring)",
	} {
		o := result.Outcomes[i]
		if !strings.Contains(o.String(), want) {
			t.Errorf("%s: %s, want %s", o.Node, o, want)
		}
		if o.Expected != (o.Node == "failed") {
			t.Errorf("%s: expected is %v", o.Node, o.Expected)
		}
	}
}

func TestWitness(t *testing.T) {
	w := &witness{session: "s", broken: map[string]sim.Fault{"a": {}, "b": {}}, seen: map[string]*testimony{}}
	see := func(id, session string, on, force int, text string) {
		w.see(&bos.Component{
			ID: id, Session: bos.Some(session), Error: bos.Some(text),
			EventStats: bos.Some(bos.EventStats{PowerOnAttempts: bos.Some(on), PowerOffForcefulAttempts: bos.Some(force)}),
		})
	}
	see("a", "another", 7, 7, "before")
	see("healthy", "s", 7, 7, "x")
	see("a", "s", 1, 0, "waiting")
	see("a", "s", 2, 1, "waiting")
	see("a", "s", 0, 0, "")
	see("b", "s", 1, 0, "")
	for id, want := range map[string]string{
		"a": "with 2 power-ons and with a forced power-off and after waiting", "b": "", "healthy": "", "nobody": "",
	} {
		if got := w.remark(id); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
}

// BOS must give a node up before the demonstration does, and whoever holds a
// node must let it go before the first operation ends.
func TestWaits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{
			Nodes:     rapid.IntRange(1, 100_000).Draw(t, "nodes"),
			TimeScale: rapid.Float64Range(0.0001, 1).Draw(t, "scale"),
			Faults:    rapid.SampledFrom([]sim.FaultLevel{sim.FaultsNone, sim.FaultsSome, sim.FaultsMany}).Draw(t, "faults"),
		}
		w := waitsFor(cfg, time.Duration(rapid.IntRange(0, 1e11).Draw(t, "started")))
		if longest := max(w.on, w.off, w.boot); w.stuck <= longest {
			t.Errorf("nodes are given up after %s, but BOS waits up to %s", w.stuck, longest)
		}
		if first := time.Duration(w.attempts) * w.on; w.held >= first {
			t.Errorf("nodes are held for %s, as long as the first operation takes: %s", w.held, first)
		}
		for name, value := range w.options() {
			if n, ok := value.(int); !ok || n < 1 || n > 1048576 {
				t.Errorf("%s is %v", name, value)
			}
		}
	})
}
