// SPDX-License-Identifier: MIT

package invariants_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"bos/internal/bos"
	"bos/internal/sim"
	"bos/test/lab"
)

// effects is more than how many things a BOS changes, in its store and in the
// services, from a session to the last confirmed command of its reboot.
const effects = 56

// atEveryStep has something happen to a BOS before each of its effects in turn,
// while it boots nodes and reboots them, and judges the outcome. trouble gets
// the process and the lab at the step.
func atEveryStep(t *testing.T, trouble func(r *run, p *lab.Process, step int), end func(r *run)) {
	t.Helper()
	for step := range effects {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: 4, Seed: 1}}, func(l *lab.Lab) {
				t := l.T()
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				ref, err := watch(ctx, l)
				if err != nil {
					t.Fatal(err)
				}
				r := &run{lab: l, ref: ref, nodes: l.Site.Nodes(), acked: map[string]int{}, sent: map[string]int{}, broken: map[string]bool{}}
				// One that only serves clients, so that they are not in the count.
				r.current = l.StartProcess("none")
				p := l.StartProcess()
				l.Discovered()
				l.Prefer(r.current)
				for i, image := range l.Site.Images()[:2] {
					l.Template(fmt.Sprintf("image-%d", i), "cfg", lab.BootSet(image, r.nodes, map[string]any{"rootfs_provider": "sbps"}))
				}
				trouble(r, p, step)
				l.Session("boot", "image-0", "boot", nil)
				l.Wait(5 * time.Minute)
				l.Session("reboot", "image-1", "reboot", nil)
				l.Wait(time.Minute)
				end(r)
				l.Until(2*time.Hour, "at rest", func() bool {
					v := l.App().View()
					return len(v.EnabledIDs()) == 0 && len(v.SessionsIn(bos.SessionPending)) == 0 && len(v.SessionsIn(bos.SessionRunning)) == 0
				})
				l.Wait(5 * time.Minute)
				calls := l.Site.Log()
				ref.commands(calls)
				ref.attemptsPerGoal(calls, 1, 1, func(string) bool { return false })
				ref.never("marked failed", func(rec *bos.Record) bool { return rec.Component.StatusNow() == bos.StatusFailed })
				for _, v := range l.Site.Violations() {
					ref.fault("%s %s: %s", v.Rule, v.Node, v.Detail)
				}
				for _, id := range r.nodes {
					r.judgeNode(id)
				}
				if len(ref.faults) > 0 {
					t.Error(strings.Join(ref.faults, "\n"))
				}
				cancel()
			})
		})
	}
}

// A BOS that dies at any step, before or after what it was about to do, leaves
// nothing undone and has nothing done twice.
func TestCrashAtEveryStep(t *testing.T) {
	for _, before := range []bool{true, false} {
		t.Run(fmt.Sprintf("before it happens: %t", before), func(t *testing.T) {
			atEveryStep(t, func(_ *run, p *lab.Process, step int) { p.CrashAfter(step, before) }, func(r *run) { r.lab.StartProcess() })
		})
	}
}

// A BOS that stands still at any step for longer than its lease, and then goes
// on, does nothing that its successor does.
func TestPauseAtEveryStep(t *testing.T) {
	atEveryStep(t, func(r *run, p *lab.Process, step int) {
		r.lab.StartProcess()
		p.At(step, func() { p.Pause(25 * time.Second) })
	}, func(*run) {})
}

// A goal that is replaced at any step is not acted for once its replacement was
// acknowledged, unless the command had been recorded.
func TestGoalReplacedAtEveryStep(t *testing.T) {
	atEveryStep(t, func(r *run, p *lab.Process, step int) {
		p.At(step, func() {
			for _, id := range r.nodes[:2] {
				a, err := r.lab.Try(http.MethodPatch, "/components/"+id, "", map[string]any{"desired_state": map[string]any{
					"boot_artifacts": map[string]any{"kernel": "", "kernel_parameters": "", "initrd": ""}, "configuration": "",
				}, "enabled": true})
				if err != nil || a.Status != http.StatusOK {
					r.ref.fault("replace the goal: %d %s %v", a.Status, a.Body, err)
				}
			}
		})
	}, func(*run) {})
}

// A reboot into what runs already restarts the nodes: the system that is about
// to go down can't report any more.
func TestRebootIntoTheSame(t *testing.T) {
	lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: 4}}, func(l *lab.Lab) {
		t := l.T()
		l.StartProcess()
		l.Discovered()
		nodes := l.Site.Nodes()
		l.Template("one", "cfg", lab.BootSet(l.Site.Images()[0], nodes, nil))
		l.Session("boot", "one", "boot", nil)
		l.Complete("boot", time.Hour)
		// While PCS does not answer, the nodes wait to be looked at.
		l.Site.InjectService("pcs", sim.ServiceFault{Kind: sim.ServiceDown, For: time.Minute})
		l.Session("reboot", "one", "reboot", nil)
		l.Wait(10 * time.Second)
		for _, id := range nodes {
			n, _ := l.Site.Node(id)
			report := map[string]any{"id": id, "actual_state": map[string]any{"bss_token": n.Token}}
			if a, err := l.Try(http.MethodPatch, "/components/"+id, "", report); err != nil || a.Status != http.StatusConflict {
				t.Errorf("a report meanwhile: %d %s %v", a.Status, a.Body, err)
			}
		}
		l.Complete("reboot", time.Hour)
		for _, id := range nodes {
			if got, want := l.Operations(id), []string{"On", "Soft-Off", "On"}; !slices.Equal(got, want) {
				t.Errorf("%s got %v, want %v", id, got, want)
			}
		}
		l.CheckNoViolations(t)
	})
}
