// SPDX-License-Identifier: MIT

package lab_test

import (
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bos/internal/bos"
	"bos/internal/sim"
	"bos/test/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func boot(t *testing.T, l *lab.Lab) {
	t.Helper()
	l.Discovered()
	nodes := l.Site.Nodes()
	l.Template("one", "cfg", lab.BootSet(l.Site.Images()[0], nodes, nil))
	l.Session("boot", "one", "boot", nil)
	l.Complete("boot", time.Hour)
	for _, id := range nodes {
		if c := l.Component(id); c.StatusNow() != bos.StatusStable || c.Error.Value() != "" {
			t.Errorf("%s is %s: %s", id, c.StatusNow(), c.Error.Value())
		}
	}
	l.CheckNoViolations(t)
}

func TestReal(t *testing.T) {
	boot(t, lab.Real(t, lab.Config{Site: sim.Config{Nodes: 8}}))
}

func TestVirtual(t *testing.T) {
	lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: 8}}, func(l *lab.Lab) {
		l.StartProcess()
		boot(t, l)
	})
}

// A process that dies is followed by another one, which carries on.
func TestCrash(t *testing.T) {
	lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: 8}}, func(l *lab.Lab) {
		first := l.StartProcess()
		l.Discovered()
		first.CrashAfter(15, false)
		nodes := l.Site.Nodes()
		l.Template("one", "cfg", lab.BootSet(l.Site.Images()[0], nodes, nil))
		l.Session("boot", "one", "boot", nil)
		l.Wait(time.Minute)
		if !first.Dead() {
			t.Fatal("the process still lives")
		}
		l.StartProcess()
		l.Complete("boot", time.Hour)
		l.CheckNoViolations(t)
	})
}

// A change of the options is live in every process within a second, the log's
// level with it.
func TestOptionsWithinASecond(t *testing.T) {
	lab.Virtual(t, lab.Config{Site: sim.Config{Nodes: 1}}, func(l *lab.Lab) {
		var processes []*lab.Process
		for range 3 {
			processes = append(processes, l.StartProcess())
		}
		l.Discovered()
		for _, level := range []slog.Level{slog.LevelDebug, slog.LevelError, slog.LevelInfo} {
			l.Options(map[string]any{"logging_level": level.String(), "max_boot_wait_time": 77 + int(level)})
			l.Wait(time.Second)
			for i, p := range processes {
				if got := p.App().View().Options().MaxBootWaitTime; got != 77+int(level) {
					t.Errorf("after a second process %d has max_boot_wait_time %d", i, got)
				}
				if p.Level() != level {
					t.Errorf("after a second process %d logs at %s, want %s", i, p.Level(), level)
				}
			}
		}
	})
}
