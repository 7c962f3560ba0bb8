// SPDX-License-Identifier: MIT

package scale_test

import (
	"testing"
	"time"

	"bos/internal/bos"
	"bos/internal/config"
	"bos/internal/decide"
	"bos/internal/sim"
	"bos/test/lab"
)

// switchedOn returns when which node was told to switch on, in order.
func switchedOn(l *lab.Lab) (at []time.Time, ids []string) {
	for _, c := range l.Site.Log() {
		if c.Operation != "On" {
			continue
		}
		for _, id := range c.Nodes {
			at, ids = append(at, c.Time), append(ids, id)
		}
	}
	return at, ids
}

// attemptedOnce checks that nobody paid for having to wait.
func attemptedOnce(t *testing.T, l *lab.Lab) {
	t.Helper()
	for _, id := range l.Site.Nodes() {
		ons := 0
		for _, op := range l.Operations(id) {
			if op == "On" {
				ons++
			}
		}
		if ons != 1 {
			t.Errorf("%s was told to switch on %d times", id, ons)
		}
	}
	l.CheckNoViolations(t)
}

func TestPowerOnRate(t *testing.T) {
	const nodes, rate = 60, 5
	cfg := lab.Config{Site: sim.Config{Nodes: nodes}, Edit: func(c *config.Config) { c.PowerOnRate = rate }}
	lab.Virtual(t, cfg, func(l *lab.Lab) {
		l.StartProcess()
		l.Discovered()
		all := l.Site.Nodes()
		l.Template("big", "cfg", lab.BootSet(l.Site.Images()[0], all[:nodes-1], nil))
		l.Template("small", "cfg", lab.BootSet(l.Site.Images()[0], all[nodes-1:], nil))
		begun := time.Now()
		l.Session("big", "big", "boot", nil)
		l.Wait(2 * time.Second)
		// Which nodes are first is nobody's business.
		waiting := 0
		for _, id := range all[:nodes-1] {
			rec := l.App().View().Record(id)
			if rec.Component.EventStats.Value().PowerOnAttempts.Value() > 0 {
				continue
			}
			waiting++
			if text := "waiting for its turn: at most 5 nodes are switched on in a second"; rec.Component.Error.Value() != text {
				t.Errorf("a node that waits shows %q", rec.Component.Error.Value())
			}
			if w := rec.Sealed.Wait; w == nil || w.By != decide.RolePowerOn || w.On != decide.OnPowerLimit || w.Due == 0 {
				t.Errorf("%+v", w)
			}
		}
		if waiting < nodes-1-3*rate || waiting > nodes-1-2*rate {
			t.Errorf("%d of %d nodes wait after two seconds", waiting, nodes-1)
		}
		l.Site.CheckTurns(l.Turns())
		posted := time.Now()
		l.Session("small", "small", "boot", nil)
		l.Complete("big", time.Hour)
		l.Complete("small", time.Hour)
		stable(t, l, all)
		attemptedOnce(t, l)
		at, ids := switchedOn(l)
		for i := rate; i < len(at); i++ {
			if gap := at[i].Sub(at[i-rate]); gap < time.Second {
				t.Errorf("%d nodes within %v", rate+1, gap)
			}
		}
		if took := at[len(at)-1].Sub(begun); took > nodes/rate*time.Second+3*time.Second {
			t.Errorf("the last node after %v", took)
		}
		for i, id := range ids {
			if id == all[nodes-1] && at[i].Sub(posted) > 3*time.Second {
				t.Errorf("the small session's node waited for %v", at[i].Sub(posted))
			}
		}
	})
}

func TestPowerOnInFlight(t *testing.T) {
	const nodes, most = 40, 8
	cfg := lab.Config{Site: sim.Config{Nodes: nodes}, Edit: func(c *config.Config) { c.PowerOnInFlight = most }}
	lab.Virtual(t, cfg, func(l *lab.Lab) {
		l.StartProcess()
		template(l)
		l.Session("boot", "all", "boot", nil)
		peak := 0
		l.Until(time.Hour, "the session is complete", func() bool {
			v := l.App().View()
			peak = max(peak, len(v.InStatus(bos.StatusPowerOnCalled)))
			s, ok := v.Session(bos.SessionKey{Name: "boot"})
			return ok && s.Session.Status.Status == bos.SessionComplete
		})
		if peak != most {
			t.Errorf("up to %d nodes on their way at a time", peak)
		}
		stable(t, l, l.Site.Nodes())
		attemptedOnce(t, l)
		// A place that becomes free is taken at once: what counts is how long the
		// nodes take.
		at, _ := switchedOn(l)
		if took := at[len(at)-1].Sub(at[0]); took > (nodes/most)*100*time.Second {
			t.Errorf("the last node %v after the first", took)
		}
	})
}
