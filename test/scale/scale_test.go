// SPDX-License-Identifier: MIT

// Package scale_test shows how BOS behaves with many nodes, many sessions and
// services that bear little: what is done in one go, in which order, and how
// often.
package scale_test

import (
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

// template stores a template for all nodes of the site.
func template(l *lab.Lab) {
	l.Discovered()
	l.Template("all", "cfg", lab.BootSet(l.Site.Images()[0], l.Site.Nodes(), nil))
}

// stable checks that nodes came to rest without an error.
func stable(t *testing.T, l *lab.Lab, nodes []string) {
	t.Helper()
	for _, id := range nodes {
		if c := l.Component(id); c.StatusNow() != bos.StatusStable || c.Error.Value() != "" || c.Enabled.Value() {
			t.Fatalf("%s is %s: %s", id, c.StatusNow(), c.Error.Value())
		}
	}
}

// From the POST of a session to the first command nobody waits for a timer, but
// for the moments in which passes gather what belongs together.
func TestNothingWaitsForATimer(t *testing.T) {
	lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: 64, Delays: sim.Delays{BSSPerHost: -1}}}, func(l *lab.Lab) {
		l.StartProcess()
		template(l)
		// Nobody is to be near the end of an interval of polling by chance.
		for i := range 5 {
			l.Wait(time.Duration(i)*time.Second + 137*time.Millisecond)
			name := fmt.Sprintf("boot-%d", i)
			begun := time.Now()
			l.Session(name, "all", "boot", map[string]any{"limit": l.Site.Nodes()[i]})
			l.Until(time.Minute, "the node is told to switch on", func() bool { return len(l.Operations(l.Site.Nodes()[i])) > 0 })
			for _, c := range l.CallsTo(l.Site.Nodes()[i]) {
				if c.Operation != "On" {
					continue
				}
				if took := c.Time.Sub(begun); took > 50*time.Millisecond {
					t.Errorf("%s: the first command after %v", name, took)
				}
			}
			l.Complete(name, time.Hour)
		}
	})
}

// Services that take few nodes at once get few: what they refuse is tried in
// smaller parts, and the next time in parts that fit.
func TestServicesThatTakeFewAtOnce(t *testing.T) {
	const nodes, most = 300, 40
	for name, status := range map[string]int{"413": http.StatusRequestEntityTooLarge, "400": http.StatusBadRequest} {
		t.Run(name, func(t *testing.T) {
			lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: nodes}}, func(l *lab.Lab) {
				l.StartProcess()
				template(l)
				for _, service := range []string{"hsm", "pcs", "bss", "cfs"} {
					l.Site.InjectService(service, sim.ServiceFault{Kind: sim.ServiceStatus, Status: status, MoreThan: most})
				}
				l.Session("boot", "all", "boot", nil)
				l.Complete("boot", time.Hour)
				stable(t, l, l.Site.Nodes())
				calls, refused := map[string]int{}, map[string]int{}
				for _, c := range l.Site.Log() {
					calls[c.Service]++
					if c.Status == status {
						refused[c.Service]++
					}
				}
				for service, n := range refused {
					if n > 30 || n > calls[service]/2 {
						t.Errorf("%s refused %d of %d calls", service, n, calls[service])
					}
				}
				if len(refused) != 4 {
					t.Errorf("refused: %v", refused)
				}
				l.CheckNoViolations(t)
			})
		})
	}
}

// The option max_component_batch_size caps what every service is asked at once.
func TestBatchSizeOption(t *testing.T) {
	lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: 50}}, func(l *lab.Lab) {
		l.StartProcess()
		template(l)
		l.Options(map[string]any{"max_component_batch_size": 7})
		for _, service := range []string{"hsm", "pcs", "bss", "cfs"} {
			l.Site.InjectService(service, sim.ServiceFault{Kind: sim.ServiceStatus, Status: http.StatusTeapot, MoreThan: 7})
		}
		l.Session("boot", "all", "boot", nil)
		l.Complete("boot", time.Hour)
		stable(t, l, l.Site.Nodes())
		for _, c := range l.Site.Log() {
			if c.Status == http.StatusTeapot {
				t.Fatalf("%s %s %s was about more than 7 nodes", c.Service, c.Method, c.Path)
			}
		}
	})
}
