// SPDX-License-Identifier: MIT

package scale_test

import (
	"net/http"
	"testing"
	"time"

	"bos/internal/bos"
	"bos/internal/sim"
	"bos/test/lab"
)

// The session that loses some of its nodes to another one while it runs says so
// in its status, before and after it is complete. Its counts and its error are
// what they always were.
func TestLoserOfARaceSaysSo(t *testing.T) {
	lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: 4}}, func(l *lab.Lab) {
		l.StartProcess()
		l.Discovered()
		nodes := l.Site.Nodes()
		l.Template("all", "cfg", lab.BootSet(l.Site.Images()[0], nodes, nil))
		l.Template("two", "cfg", lab.BootSet(l.Site.Images()[1], nodes[2:], nil))
		l.Session("loser", "all", "boot", nil)
		l.Until(time.Minute, "it runs", func() bool { return l.SessionState("loser").Status == bos.SessionRunning })
		l.Session("winner", "two", "boot", nil)
		l.Until(time.Minute, "it runs", func() bool { return l.SessionState("winner").Status == bos.SessionRunning })
		check := func(when string) {
			t.Helper()
			var status bos.ExtendedStatus
			decodeInto(t, l.Do(http.MethodGet, "/sessions/loser/status", nil).Body, &status)
			got := status.ErrorSummary["Taken over by session 'winner'"]
			if want := nodes[2] + "," + nodes[3]; got.Count != 2 || got.List != want {
				t.Errorf("%s: %+v", when, status.ErrorSummary)
			}
			if status.ManagedComponentsCount != 2 {
				t.Errorf("%s: %d components are managed", when, status.ManagedComponentsCount)
			}
			if e := l.SessionState("loser").Error; e != nil {
				t.Errorf("%s: the session's error is %q", when, *e)
			}
		}
		check("while it runs")
		l.Complete("loser", time.Hour)
		l.Complete("winner", time.Hour)
		check("when it is complete")
		var status bos.ExtendedStatus
		decodeInto(t, l.Do(http.MethodGet, "/sessions/winner/status", nil).Body, &status)
		if len(status.ErrorSummary) != 0 || status.ManagedComponentsCount != 2 {
			t.Errorf("the winner: %+v", status)
		}
		// What comes after a session is complete takes nothing from it.
		l.Session("later", "all", "reboot", nil)
		l.Complete("later", time.Hour)
		check("after a later session")
		stable(t, l, nodes)
		l.CheckNoViolations(t)
	})
}
