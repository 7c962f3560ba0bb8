// SPDX-License-Identifier: MIT

// Package steering cancels, pauses and resumes sessions at every step of their
// way, on a simulated site in virtual time; the site's log says whether anybody
// acted for a session that was stopped.
package steering

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bos/internal/bos"
	"bos/internal/sim"
	"bos/test/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The steps of a reboot at which sessions are stopped, by the number of effects
// (writes and calls that change something) that BOS has had since the session
// was created.
const steps = 32

// outcome asks for the outcome of a session, or does something with it.
func outcome(l *lab.Lab, method, path string) bos.Outcome {
	l.T().Helper()
	var o bos.Outcome
	a := l.Do(method, path, nil)
	if err := json.Unmarshal(a.Body, &o); err != nil {
		l.T().Fatalf("%s: %v", a.Body, err)
	}
	c := o.Counts
	sum := c.Succeeded + c.Failed + c.Cancelled + c.TakenOver + c.LeftOut + c.Waiting + c.PoweringOff + c.PoweringOn + c.Booting + c.Configuring + c.Staged
	if sum != c.Total {
		l.T().Errorf("the counts do not add up: %+v", c)
	}
	return o
}

// acts returns what was done to nodes after so many calls of the site.
func acts(l *lab.Lab, after int) []string {
	var out []string
	for _, c := range l.Site.Log()[after:] {
		if len(c.Nodes) > 0 {
			out = append(out, fmt.Sprintf("%s %s %s %s %v", c.Time.Format(time.TimeOnly), c.Service, c.Method, c.Operation, c.Nodes))
		}
	}
	return out
}

// atStep begins a reboot of running nodes, lets it come to a step, and goes on
// with test while BOS does.
func atStep(t *testing.T, step int, test func(l *lab.Lab, nodes []string)) {
	lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: 4}}, func(l *lab.Lab) {
		p := l.StartProcess()
		l.Discovered()
		nodes := l.Site.Nodes()
		l.Template("one", "cfg", lab.BootSet(l.Site.Images()[0], nodes, nil))
		l.Session("boot", "one", "boot", nil)
		l.Complete("boot", time.Hour)
		reached := make(chan struct{})
		p.At(step, func() { close(reached) })
		l.Session("again", "one", "reboot", nil)
		select {
		case <-reached:
		case <-time.After(2 * time.Hour):
			t.Fatalf("there is no step %d", step)
		}
		test(l, nodes)
		l.CheckNoViolations(t)
	})
}

// After a cancellation was acknowledged, nobody acts for the session any more,
// at whatever step it comes; it is complete, and every node has its place.
func TestCancelAtEveryStep(t *testing.T) {
	for step := range steps {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			atStep(t, step, func(l *lab.Lab, nodes []string) {
				begun := time.Now()
				o := outcome(l, http.MethodPost, "/sessions/again/cancel")
				calls := len(l.Site.Log())
				if took := time.Since(begun); took > 10*time.Second {
					t.Errorf("it took %v", took)
				}
				if l.SessionState("again").Status != bos.SessionComplete || *o.Outcome != bos.VerdictCancelled {
					t.Errorf("it is %+v", o)
				}
				l.Wait(4 * time.Hour)
				if late := acts(l, calls); len(late) > 0 {
					t.Errorf("after the cancellation: %q", late)
				}
				for _, id := range nodes {
					if c := l.Component(id); c.Enabled.Value() && c.Session.Value() == "again" {
						t.Errorf("%s is still driven: %+v", id, c)
					}
				}
				// Twice is harmless, and what it came to stays.
				again := outcome(l, http.MethodPost, "/sessions/again/cancel")
				if again.Counts != o.Counts || *again.EndTime != *o.EndTime {
					t.Errorf("it was %+v, and is %+v", o, again)
				}
				// The nodes can be booted by the next session.
				l.Session("next", "one", "boot", nil)
				l.Complete("next", 4*time.Hour)
				if next := outcome(l, http.MethodGet, "/sessions/next/outcome"); *next.Outcome != bos.VerdictSucceeded || next.Counts.Total != len(nodes) {
					t.Errorf("the next session: %+v", next)
				}
			})
		})
	}
}

// While a session is paused nobody acts for it, however long that takes; then
// every node makes it, for the pause counts as no wait.
func TestPauseAtEveryStep(t *testing.T) {
	for step := range steps {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			atStep(t, step, func(l *lab.Lab, nodes []string) {
				o := outcome(l, http.MethodPost, "/sessions/again/pause")
				calls := len(l.Site.Log())
				if !o.Paused || o.Outcome != nil {
					t.Fatalf("it is %+v", o)
				}
				l.Wait(4 * time.Hour)
				if late := acts(l, calls); len(late) > 0 {
					t.Errorf("during the pause: %q", late)
				}
				if l.SessionState("again").Status != bos.SessionComplete {
					outcome(l, http.MethodPost, "/sessions/again/pause")
					if o := outcome(l, http.MethodPost, "/sessions/again/resume"); o.Paused {
						t.Fatalf("it is %+v", o)
					}
				}
				l.Complete("again", time.Hour)
				o = outcome(l, http.MethodGet, "/sessions/again/outcome")
				if *o.Outcome != bos.VerdictSucceeded || o.Counts.Succeeded != len(nodes) || o.Paused {
					t.Errorf("it is %+v\n%s", o, l.Dump())
				}
			})
		})
	}
}
