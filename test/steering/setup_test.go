// SPDX-License-Identifier: MIT

package steering

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"bos/internal/bos"
	"bos/internal/sim"
	"bos/internal/store"
	"bos/test/lab"
)

// site runs a test on a site with a template of all its nodes.
func site(t *testing.T, nodes int, test func(l *lab.Lab, p *lab.Process, nodes []string)) {
	lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: nodes}}, func(l *lab.Lab) {
		p := l.StartProcess()
		l.Discovered()
		l.Template("one", "cfg", lab.BootSet(l.Site.Images()[0], l.Site.Nodes(), nil))
		test(l, p, l.Site.Nodes())
		l.CheckNoViolations(t)
	})
}

// A session that is stopped while it is set up leaves no node behind that is
// driven on: whether set-up has reached it or not, it is cancelled; and after a
// pause set-up goes on where it was.
func TestStopDuringSetUp(t *testing.T) {
	for _, step := range []int{1, 6, 16} {
		for _, how := range []string{"cancel", "pause"} {
			t.Run(fmt.Sprint(how, step), func(t *testing.T) {
				site(t, 2100, func(l *lab.Lab, p *lab.Process, nodes []string) {
					reached := make(chan struct{})
					p.At(step, func() { close(reached) })
					l.Session("boot", "one", "boot", nil)
					<-reached
					before := l.SessionState("boot").Status
					o := outcome(l, http.MethodPost, "/sessions/boot/"+how)
					calls := len(l.Site.Log())
					if how == "cancel" {
						if o.Counts.Cancelled != o.Counts.Total || *o.Outcome != bos.VerdictCancelled {
							t.Errorf("%s: %+v", before, o)
						}
						l.Wait(time.Hour)
						for _, rec := range l.App().View().Records(nodes) {
							if rec.Component.Enabled.Value() {
								t.Fatalf("%s: %s is driven", before, rec.Component.ID)
							}
						}
					} else {
						l.Wait(time.Hour)
						now, state := outcome(l, http.MethodGet, "/sessions/boot/outcome"), l.SessionState("boot").Status
						// What is seen of the nodes moves them on, but nothing is done to them.
						if !now.Paused || now.Outcome != nil || now.Status != state || state == bos.SessionComplete ||
							now.Counts.Total != len(nodes) || now.Counts.Waiting+now.Counts.PoweringOn != len(nodes) {
							t.Errorf("%s: paused it is %+v, and then %s %+v", before, o, state, now)
						}
					}
					if late := acts(l, calls); len(late) > 0 {
						t.Errorf("%s: after it was stopped: %.500q", before, late)
					}
					if how == "cancel" {
						return
					}
					outcome(l, http.MethodPost, "/sessions/boot/resume")
					l.Complete("boot", 4*time.Hour)
					if o := outcome(l, http.MethodGet, "/sessions/boot/outcome"); o.Counts.Succeeded != len(nodes) {
						t.Errorf("%s: %+v", before, o)
					}
				})
			})
		}
	}
}

// Who looks at a node later sees that its session was stopped, and that it was
// found and fell silent.
func TestNodesAreTold(t *testing.T) {
	site(t, 4, func(l *lab.Lab, _ *lab.Process, nodes []string) {
		timeline := func(id string) (types []bos.EventType) {
			var page struct{ Events []bos.Event }
			if err := json.Unmarshal(l.Do(http.MethodGet, "/components/"+id+"/timeline", nil).Body, &page); err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				types = append(types, e.Type)
				if e.Type == bos.EventSessionCancelled && (e.Count != 1 || e.Nodes != nodes[3] || !strings.HasPrefix(e.Text, "are left as they are")) {
					t.Errorf("%+v", e)
				}
			}
			return types
		}
		l.Session("up", "one", "boot", nil)
		l.Complete("up", time.Hour)
		if err := l.Site.Inject(nodes[3], sim.Fault{Kind: sim.FaultNeverReports}); err != nil {
			t.Fatal(err)
		}
		l.Session("again", "one", "reboot", nil)
		l.Until(time.Hour, "one node left", func() bool {
			return outcome(l, http.MethodGet, "/sessions/again/outcome").Counts.Succeeded == 3
		})
		for _, how := range []string{"pause", "pause", "resume", "cancel", "cancel"} {
			outcome(l, http.MethodPost, "/sessions/again/"+how)
			l.Wait(time.Minute)
		}
		steered := func(id string) []bos.EventType {
			return slices.DeleteFunc(timeline(id), func(typ bos.EventType) bool { return !strings.HasPrefix(string(typ), "session_") })
		}
		want := []bos.EventType{bos.EventSessionPaused, bos.EventSessionResumed, bos.EventSessionCancelled}
		if got := steered(nodes[3]); !slices.Equal(got, want) {
			t.Errorf("of the one that was left: %v", got)
		}
		if got := steered(nodes[0]); len(got) > 0 {
			t.Errorf("of one that had made it: %v", got)
		}
		if err := l.Site.Inject(nodes[0], sim.Fault{Kind: sim.FaultNeverReports}); err != nil {
			t.Fatal(err)
		}
		l.Wait(9 * time.Hour)
		for _, typ := range []bos.EventType{bos.EventDiscovered, bos.EventReportExpired} {
			if got := timeline(nodes[0]); !slices.Contains(got, typ) {
				t.Errorf("no %s: %v", typ, got)
			}
		}
	})
}

// What a cancelled session has staged can't be applied any more; what a paused
// one has staged can, and waits for the end of the pause.
func TestStopStaged(t *testing.T) {
	site(t, 4, func(l *lab.Lab, _ *lab.Process, nodes []string) {
		stage := func(name string) {
			l.Session(name, "one", "reboot", map[string]any{"stage": true})
			l.Until(time.Minute, "staged", func() bool { return l.SessionState(name).Status == bos.SessionRunning })
		}
		apply := func(ids ...string) (out struct{ Succeeded, Failed, Ignored []string }) {
			a := l.Do(http.MethodPost, "/applystaged", map[string]any{"xnames": ids})
			if err := json.Unmarshal(a.Body, &out); err != nil {
				t.Fatal(err)
			}
			return out
		}
		stage("first")
		apply(nodes[0])
		l.Wait(10 * time.Second)
		o := outcome(l, http.MethodPost, "/sessions/first/cancel")
		if o.Counts.Cancelled != 4 || o.Counts.Total != 4 || len(o.Failures) != 2 {
			t.Errorf("cancelled: %+v", o)
		}
		calls := len(l.Site.Log())
		if got := apply(nodes...); len(got.Ignored) != 4 {
			t.Errorf("applied: %+v", got)
		}
		l.Wait(time.Hour)
		if late := acts(l, calls); len(late) > 0 {
			t.Errorf("after the cancellation: %q", late)
		}

		stage("second")
		if o := outcome(l, http.MethodPost, "/sessions/second/pause"); o.Counts.Staged != 4 || !o.Paused {
			t.Errorf("paused: %+v", o)
		}
		calls = len(l.Site.Log())
		if got := apply(nodes...); len(got.Succeeded) != 4 {
			t.Errorf("applied: %+v", got)
		}
		l.Wait(4 * time.Hour)
		if late := acts(l, calls); len(late) > 0 {
			t.Errorf("during the pause: %q", late)
		}
		outcome(l, http.MethodPost, "/sessions/second/resume")
		l.Complete("second", 2*time.Hour)
		if o := outcome(l, http.MethodGet, "/sessions/second/outcome"); o.Counts.Succeeded != 4 {
			t.Errorf("resumed: %+v", o)
		}
	})
}

// A pause survives the end of the process, and a cancellation whose API died is
// carried on by the next.
func TestStopSurvivesRestarts(t *testing.T) {
	site(t, 4, func(l *lab.Lab, p *lab.Process, nodes []string) {
		l.Session("up", "one", "boot", nil)
		l.Complete("up", time.Hour)
		l.Session("boot", "one", "reboot", nil)
		l.Wait(2 * time.Second)
		outcome(l, http.MethodPost, "/sessions/boot/pause")
		calls := len(l.Site.Log())
		p.Crash()
		p = l.StartProcess()
		l.Wait(2 * time.Hour)
		if o := outcome(l, http.MethodGet, "/sessions/boot/outcome"); !o.Paused || o.Counts.Total != len(nodes) {
			t.Errorf("paused: %+v", o)
		}
		if late := acts(l, calls); len(late) > 0 {
			t.Errorf("during the pause: %q", late)
		}
		// It was asked for, and no more than that.
		key := bos.SessionKey{Name: "boot"}
		rec, _ := l.App().View().Session(key)
		asked := *rec
		asked.Sealed.Cancelled, asked.Sealed.StoppedAt = true, l.App().Clock().Now()
		if _, err := l.App().Store().PutDoc(t.Context(), store.SessionKey(key), asked, nil); err != nil {
			t.Fatal(err)
		}
		p.Crash()
		l.StartProcess()
		l.Complete("boot", time.Minute)
		if o := outcome(l, http.MethodGet, "/sessions/boot/outcome"); *o.Outcome != bos.VerdictCancelled || o.Counts.Cancelled != len(nodes) {
			t.Errorf("cancelled: %+v", o)
		}
	})
}

// The nodes of a paused session that is deleted go on.
func TestDeletePaused(t *testing.T) {
	site(t, 4, func(l *lab.Lab, _ *lab.Process, nodes []string) {
		l.Session("up", "one", "boot", nil)
		l.Complete("up", time.Hour)
		l.Session("boot", "one", "reboot", nil)
		l.Wait(2 * time.Second)
		outcome(l, http.MethodPost, "/sessions/boot/pause")
		l.Wait(3 * time.Hour)
		if o := outcome(l, http.MethodGet, "/sessions/boot/outcome"); !o.Paused || o.Counts.PoweringOn != len(nodes) {
			t.Errorf("paused: %+v", o)
		}
		l.Do(http.MethodDelete, "/sessions/boot", nil)
		l.Until(time.Hour, "all nodes up", func() bool {
			for _, id := range nodes {
				c := l.Component(id)
				if c.Enabled.Value() || c.StatusNow() != bos.StatusStable || c.Error.Value() != "" {
					return false
				}
			}
			return true
		})
	})
}
