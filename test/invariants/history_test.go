// SPDX-License-Identifier: MIT

package invariants_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"bos/internal/bos"
	"bos/internal/sim"
	"bos/test/lab"
)

// histories is how many histories of a family are played unless -rapid.checks
// says otherwise.
const histories = "25"

func TestMain(m *testing.M) {
	flag.Parse()
	if checks := flag.Lookup("rapid.checks"); checks != nil && checks.Value.String() == checks.DefValue {
		if err := checks.Value.Set(histories); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// siteNodes is how many nodes the site of a history has.
const siteNodes = 8

// step is one thing that happens in a history, some time after the former one.
type step struct {
	After time.Duration
	Do    string
	// The rest depends on Do.
	Nodes     []int
	Operation string
	Image     int
	Service   string
	Fault     sim.ServiceFaultKind
	Method    string
	Path      string
	For       time.Duration
	Delay     time.Duration
	Node      sim.FaultKind
	Effects   int
	Before    bool
}

func (s step) String() string {
	text := fmt.Sprintf("%s later: %s", s.After, s.Do)
	switch s.Do {
	case "session", "stage":
		text += fmt.Sprintf(" %s image %d on %v", s.Operation, s.Image, s.Nodes)
	case "service", "slow":
		text += fmt.Sprintf(" %s %s%s %s (%s) for %s", s.Service, s.Method, s.Path, s.Fault, s.Delay, s.For)
	case "node":
		text += fmt.Sprintf(" %v %s for %s", s.Nodes, s.Node, s.For)
	case "crash":
		text += fmt.Sprintf(" after %d effects, before %t, for %s", s.Effects, s.Before, s.For)
	case "pause":
		text += fmt.Sprintf(" for %s", s.For)
	default:
		text += fmt.Sprintf(" %v", s.Nodes)
	}
	return text
}

// kinds says what may happen in a family of histories, and how often.
type kinds []string

// draw draws a history.
func (k kinds) draw(t *rapid.T) []step {
	seconds := func(name string, lo, hi int) time.Duration {
		return time.Duration(rapid.IntRange(lo*10, hi*10).Draw(t, name)) * 100 * time.Millisecond
	}
	var out []step
	for i := range rapid.IntRange(2, 12).Draw(t, "steps") {
		s := step{Do: "session", After: seconds("after", 0, 120)}
		if i > 0 {
			s.Do = rapid.SampledFrom(k).Draw(t, "do")
		}
		s.After /= rapid.SampledFrom([]time.Duration{1, 12, 80, 80}).Draw(t, "soon")
		s.Nodes = rapid.SliceOfNDistinct(rapid.IntRange(0, siteNodes-1), 1, siteNodes, rapid.ID).Draw(t, "nodes")
		slices.Sort(s.Nodes)
		switch s.Do {
		case "session", "stage":
			s.Operation = rapid.SampledFrom([]string{"boot", "reboot", "shutdown"}).Draw(t, "operation")
			s.Image = rapid.IntRange(0, 1).Draw(t, "image")
		case "service":
			s.Service = rapid.SampledFrom([]string{"hsm", "pcs", "pcs", "bss", "cfs", "ims", "s3"}).Draw(t, "service")
			s.Fault = rapid.SampledFrom([]sim.ServiceFaultKind{
				sim.ServiceDown, sim.ServiceReset, sim.ServiceSlow, sim.ServiceStatus, sim.ServiceGarbage,
				sim.ServiceHalf, sim.ServiceHang, sim.ServiceLost,
			}).Draw(t, "fault")
			if s.Fault != sim.ServiceDown && rapid.Bool().Draw(t, "writes only") {
				s.Method = map[string]string{"bss": http.MethodPut, "pcs": http.MethodPost, "cfs": http.MethodPatch, "ims": http.MethodPatch}[s.Service]
				s.Path = map[string]string{"pcs": "/transitions"}[s.Service]
			}
			s.For, s.Delay = seconds("for", 1, 300)/rapid.SampledFrom([]time.Duration{1, 20}).Draw(t, "short"), seconds("delay", 0, 15)
		case "slow":
			s.Service = rapid.SampledFrom([]string{"ims", "bss", "cfs", "pcs"}).Draw(t, "service")
			s.Fault, s.Delay, s.For = sim.ServiceSlow, seconds("delay", 2, 15), seconds("for", 10, 200)
		case "node":
			s.Node = rapid.SampledFrom([]sim.FaultKind{
				sim.FaultNeverPowersOn, sim.FaultSlowPowerOn, sim.FaultPowerOnFails, sim.FaultSoftOffIgnored, sim.FaultNeverReports,
				sim.FaultLocked, sim.FaultReserved, sim.FaultBMCHangs, sim.FaultBMCRefuses, sim.FaultBMCRejects,
			}).Draw(t, "node fault")
			s.Nodes = s.Nodes[:1]
			// Longer than a power-on may take, a node is as good as dead. One that
			// comes on so late that PCS shows it later than [decide.Staleness] after
			// the command, with another command in between, deceives everybody.
			longest := 110
			if s.Node == sim.FaultSlowPowerOn {
				longest = 30
			}
			s.For = seconds("for", 10, longest)
		case "crash":
			s.Effects, s.Before = rapid.IntRange(0, 25).Draw(t, "effects"), rapid.Bool().Draw(t, "before")
			s.For = seconds("for", 1, 30)
		case "pause":
			s.For = seconds("for", 1, 40)
		}
		out = append(out, s)
	}
	return out
}

// run is a history on its way.
type run struct {
	lab     *lab.Lab
	ref     *referee
	current *lab.Process
	nodes   []string
	// acked is the last value of retry_policy that BOS acknowledged for a node;
	// sent is one of which nobody knows.
	acked, sent map[string]int
	numbered    int
	crashes     int
	broken      map[string]bool
}

// play carries a history out and returns what was wrong.
func play(t *testing.T, steps []step) (faults []string) {
	lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: siteNodes, Seed: 1}}, func(l *lab.Lab) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ref, err := watch(ctx, l)
		if err != nil {
			t.Fatal(err)
		}
		r := &run{
			lab: l, ref: ref, nodes: l.Site.Nodes(), acked: map[string]int{}, sent: map[string]int{}, broken: map[string]bool{},
		}
		r.current = l.StartProcess()
		l.Discovered()
		projected := map[string]any{"rootfs_provider": "sbps"}
		for i, more := range []map[string]any{nil, projected} {
			l.Template(fmt.Sprintf("image-%d", i), fmt.Sprintf("cfg-%d", i), lab.BootSet(l.Site.Images()[i], r.nodes, more))
		}
		checking := make(chan struct{})
		go func() {
			defer close(checking)
			r.checkTurns(ctx)
		}()
		for _, s := range steps {
			r.pass(s.After)
			r.step(s)
		}
		r.end()
		cancel()
		<-checking
		faults = ref.faults
	})
	return faults
}

// pass lets time pass and keeps a BOS running.
func (r *run) pass(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
	if r.current.Dead() {
		r.current.Stop()
		r.current = r.lab.StartProcess()
	}
}

func (r *run) checkTurns(ctx context.Context) {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.lab.Site.CheckTurns(r.lab.Turns())
		}
	}
}

func (r *run) ids(s step) []string {
	out := make([]string, len(s.Nodes))
	for i, n := range s.Nodes {
		out[i] = r.nodes[n]
	}
	return out
}

// step makes one thing happen. Requests to BOS may fail: it may be dead.
func (r *run) step(s step) {
	l := r.lab
	r.numbered++
	switch s.Do {
	case "session", "stage":
		_, _ = l.Try(http.MethodPost, "/sessions", "", map[string]any{
			"name": fmt.Sprintf("session-%d", r.numbered), "template_name": fmt.Sprintf("image-%d", s.Image),
			"operation": s.Operation, "limit": strings.Join(r.ids(s), ","), "stage": s.Do == "stage",
		})
	case "apply":
		_, _ = l.Try(http.MethodPost, "/applystaged", "", map[string]any{"xnames": r.ids(s)})
	case "cancel":
		for _, id := range r.ids(s) {
			_, _ = l.Try(http.MethodPatch, "/components/"+id, "", map[string]any{"enabled": false})
		}
	case "clear":
		for _, id := range r.ids(s) {
			_, _ = l.Try(http.MethodPatch, "/components/"+id, "", map[string]any{"desired_state": map[string]any{
				"boot_artifacts": map[string]any{"kernel": "", "kernel_parameters": "", "initrd": ""}, "configuration": "",
			}, "enabled": true})
		}
	case "policy":
		for _, id := range r.ids(s) {
			value := 100 + r.numbered
			r.sent[id] = value
			if a, err := l.Try(http.MethodPatch, "/components/"+id, "", map[string]any{"retry_policy": value}); err == nil && a.Status == http.StatusOK {
				r.acked[id] = value
				delete(r.sent, id)
			}
		}
	case "service", "slow":
		l.Site.InjectService(s.Service, sim.ServiceFault{Kind: s.Fault, For: s.For, Delay: s.Delay, Method: s.Method, Path: s.Path})
	case "node":
		id := r.ids(s)[0]
		r.broken[id] = true
		if err := l.Site.Inject(id, sim.Fault{Kind: s.Node, Delay: s.For, Times: 1}); err != nil {
			r.ref.fault("inject: %v", err)
		}
	case "crash":
		r.crashes++
		r.current.CrashAfter(s.Effects, s.Before)
		r.pass(s.For)
	case "pause":
		r.crashes++
		r.current.Pause(s.For)
		second := l.StartProcess()
		r.pass(s.For)
		r.current.Stop()
		r.current = second
	}
}

// settleWithin is how long a site that is healed may take to come to rest.
const settleWithin = 12 * time.Hour

// end heals everything, waits until all is at rest, and judges.
func (r *run) end() {
	l := r.lab
	for _, id := range r.nodes {
		if r.broken[id] {
			_ = l.Site.Inject(id, sim.Fault{})
		}
	}
	for _, name := range sim.Services() {
		l.Site.InjectService(name, sim.ServiceFault{})
	}
	r.current.CrashAfter(-1, false)
	r.pass(time.Second)
	atRest := func() bool {
		v := l.App().View()
		return len(v.EnabledIDs()) == 0 && len(v.SessionsIn(bos.SessionPending)) == 0 && len(v.Attempts(bos.ActionPoweringOn)) == 0
	}
	if !l.Holds(settleWithin, atRest) {
		r.ref.fault("not at rest after %s:\n%s", settleWithin, l.Dump())
	}
	// What PCS shows may lag, and sessions are completed last.
	l.Wait(5 * time.Minute)
	calls := l.Site.Log()
	r.ref.commands(calls)
	r.ref.attemptsPerGoal(calls, l.App().View().Options().DefaultRetryPolicy, r.crashes, func(id string) bool {
		return r.broken[id] || r.acked[id] != 0 || r.sent[id] != 0
	})
	for _, v := range l.Site.Violations() {
		r.ref.fault("%s %s: %s", v.Rule, v.Node, v.Detail)
	}
	for _, id := range r.nodes {
		r.judgeNode(id)
	}
	if len(r.broken) == 0 {
		r.ref.never("marked failed although every node is healthy", func(rec *bos.Record) bool {
			return rec.Component.StatusNow() == bos.StatusFailed
		})
	}
}

// judgeNode compares what BOS says of a node with what is so.
func (r *run) judgeNode(id string) {
	c, site := r.lab.Component(id), first(r.lab.Site.Node(id))
	if want := r.acked[id]; want != 0 && r.sent[id] == 0 && c.RetryPolicy.Value() != want {
		r.ref.fault("%s: retry_policy is %d; %d was acknowledged", id, c.RetryPolicy.Value(), want)
	}
	if c.Session.Value() == "" || c.StatusNow() != bos.StatusStable || c.Status.Value().Phase.Value() != "" || r.canceled(id) {
		return
	}
	want := c.DesiredState.Value().BootArtifacts.Value().Kernel.Value()
	if want == "" && site.Power != "off" || want != "" && (site.Power != "on" || site.Kernel != want) {
		r.ref.fault("%s: BOS says that it is stable with kernel %q, but it is %s with kernel %q\n%s",
			id, want, site.Power, site.Kernel, r.lab.Dump())
	}
}

// canceled reports whether the last thing that disabled a node was a client.
func (r *run) canceled(id string) bool {
	r.ref.mu.Lock()
	defer r.ref.mu.Unlock()
	versions := r.ref.nodes[id]
	for i := len(versions) - 1; i > 0; i-- {
		if was, is := versions[i-1].rec, versions[i].rec; was.Component.Enabled.Value() && !is.Component.Enabled.Value() {
			return is.Component.Status.Value() == was.Component.Status.Value()
		}
	}
	return true
}

func first[A, B any](a A, _ B) A { return a }

// check draws histories and plays them.
func check(t *testing.T, k kinds) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		steps := k.draw(rt)
		if faults := play(t, steps); len(faults) > 0 {
			var b strings.Builder
			for _, s := range steps {
				fmt.Fprintf(&b, "%s\n", s)
			}
			rt.Fatalf("%s\nin this history:\n%s", strings.Join(faults, "\n"), b.String())
		}
	})
}

func TestSessions(t *testing.T) { check(t, kinds{"session", "session", "cancel", "clear", "policy"}) }

func TestCrashes(t *testing.T) {
	check(t, kinds{"session", "crash", "crash", "pause", "policy"})
}

func TestOutages(t *testing.T) { check(t, kinds{"session", "service", "service", "policy"}) }

// Goals that are replaced while slow services are told about them.
func TestReplacedGoals(t *testing.T) {
	check(t, kinds{"session", "clear", "cancel", "slow", "slow"})
}

func TestBadNodes(t *testing.T) { check(t, kinds{"session", "node", "node"}) }

func TestEverything(t *testing.T) {
	check(t, kinds{"session", "stage", "apply", "cancel", "clear", "policy", "service", "node", "crash", "pause"})
}
