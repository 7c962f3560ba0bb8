// SPDX-License-Identifier: MIT

package invariants_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"bos/internal/bos"
	"bos/internal/sim"
	"bos/test/lab"
)

// walls says how far the wall clocks of three machines are ahead at a second of
// a run.
type walls func(second int) [3]time.Duration

// apart are the ways in which clocks are wrong.
func apart() map[string]walls {
	return map[string]walls{
		"apart by minutes": func(int) [3]time.Duration { return [3]time.Duration{7 * time.Minute, -5 * time.Minute, 0} },
		"the other way":    func(int) [3]time.Duration { return [3]time.Duration{-7 * time.Minute, 5 * time.Minute, 0} },
		"jumping": func(second int) [3]time.Duration {
			jump := []time.Duration{0, 9 * time.Minute, -9 * time.Minute, time.Hour, -4 * time.Minute}
			at := second / 7
			return [3]time.Duration{jump[at%5], jump[(at+1)%5], jump[(at+3)%5]}
		},
	}
}

// command is what PCS was sent for a node, and when after the session began.
type command struct {
	node, operation string
	after           time.Duration
}

// clocked carries out a reboot in three processes, and returns what PCS was
// sent. One node never reports, one ignores to be switched off gently, one is
// broken for a while, so that every wait comes to its end; answers of PCS are
// lost, and the process that leads crashes with commands under way.
func clocked(t *testing.T, walls walls) (sent []command) {
	cfg := lab.Config{Site: sim.Config{Nodes: siteNodes, Seed: 1, PoweredOn: true}}
	lab.Virtual(t, cfg, func(l *lab.Lab) {
		var processes []*lab.Process
		set := func(second int) {
			for i, ahead := range walls(second) {
				if i < len(processes) {
					processes[i].SetWall(ahead)
				}
			}
		}
		for range 3 {
			processes = append(processes, l.StartProcess())
			set(0)
		}
		l.Prefer(processes[1])
		l.Discovered()
		nodes := l.Site.Nodes()
		l.Options(map[string]any{"max_boot_wait_time": 300, "max_power_on_wait_time": 40, "max_power_off_wait_time": 60, "default_retry_policy": 2})
		l.Template("all", "cfg", lab.BootSet(l.Site.Images()[0], nodes, nil))
		l.Site.Inject(nodes[0], sim.Fault{Kind: sim.FaultNeverReports})
		l.Site.Inject(nodes[1], sim.Fault{Kind: sim.FaultSoftOffIgnored})
		l.Site.Inject(nodes[2], sim.Fault{Kind: sim.FaultNeverPowersOn})
		l.Site.InjectService("pcs", sim.ServiceFault{Kind: sim.ServiceLost, Method: http.MethodPost, Path: "/transitions"})
		begun := time.Now()
		l.Session("reboot", "all", "reboot", nil)
		for second := 0; l.SessionState("reboot").Status != bos.SessionComplete; second++ {
			switch set(second); second {
			case 10:
				l.Site.InjectService("pcs", sim.ServiceFault{})
			case 25:
				processes[0].Crash()
			case 3600:
				t.Fatalf("the session does not end\n%s", l.Dump())
			}
			l.Wait(time.Second)
		}
		l.CheckNoViolations(t)
		for _, node := range nodes {
			for _, call := range l.CallsTo(node) {
				if call.Service == "pcs" && call.Operation != "" {
					sent = append(sent, command{node, call.Operation, call.Time.Sub(begun)})
				}
			}
		}
	})
	return sent
}

// alike is how much later or earlier the same thing may happen in another run:
// looks at nodes come every second or two, and the gates' pauses are random.
const alike = 6 * time.Second

// Clocks that are apart by minutes, or jump, make no wait longer or shorter and
// have nothing sent twice: in three processes of which the leading one dies, PCS
// is sent the same as with equal clocks, at the same times.
func TestClocksApart(t *testing.T) {
	equal := clocked(t, func(int) [3]time.Duration { return [3]time.Duration{} })
	if len(equal) < 2*siteNodes || equal[len(equal)-1].after < time.Minute {
		t.Fatalf("too little was sent: %v", equal)
	}
	for name, walls := range apart() {
		t.Run(name, func(t *testing.T) {
			got := clocked(t, walls)
			same := slices.EqualFunc(equal, got, func(a, b command) bool {
				return a.node == b.node && a.operation == b.operation && (a.after-b.after).Abs() <= alike
			})
			if !same {
				t.Errorf("PCS was sent\n%s\nwith equal clocks\n%s", list(got), list(equal))
			}
		})
	}
}

func list(commands []command) (text string) {
	for _, c := range commands {
		text += fmt.Sprintf("  %s %s after %v\n", c.node, c.operation, c.after.Round(time.Millisecond))
	}
	return text
}
