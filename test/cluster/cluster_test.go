// SPDX-License-Identifier: MIT

// Package cluster kills, stops, restarts and cuts off members of a cluster of
// three while it boots nodes and takes writes. What the simulated site received
// says who acted, and whether anything was sent twice.
package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bos/internal/decide"
	"bos/internal/sim"
	"bos/test/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

const (
	// everydayNodes is the size of the site every day; make cluster-test has
	// more.
	everydayNodes = 40
	timeScale     = 0.05
	// firstWrite and acting are how long a cluster may take without its leader.
	firstWrite = 3 * time.Second
	acting     = 5 * time.Second
	// leniency is how many times as long it may take every day, on machines that
	// are busy with other things; make cluster-test allows none.
	leniency = 4
)

// within checks a time that is to be kept.
func within(t *testing.T, what string, took, limit time.Duration) {
	t.Helper()
	limit *= time.Duration(rig.Number(t, "TEST_CLUSTER_LENIENCY", leniency))
	if took > limit {
		t.Errorf("%s took %v, more than %v", what, took.Round(time.Millisecond), limit)
	}
}

// fleet is a cluster with a site that it has discovered.
type fleet struct {
	*rig.Cluster
	t     *testing.T
	site  *sim.Site
	nodes []string
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := startFleet(t)
	f.prepare()
	return f
}

func startFleet(t *testing.T, more ...string) *fleet {
	t.Helper()
	site := rig.Site(t, sim.Config{Nodes: rig.Number(t, "TEST_CLUSTER_NODES", everydayNodes), TimeScale: timeScale})
	return &fleet{Cluster: rig.NewCluster(t, site, more...), t: t, site: site, nodes: site.Nodes()}
}

// prepare waits for the nodes and describes what they are to run.
func (f *fleet) prepare() {
	f.t.Helper()
	f.Until(time.Minute, "the nodes are discovered", func() error {
		var found []any
		f.Get("/v2/components", &found)
		if len(found) < len(f.nodes) {
			return fmt.Errorf("%d of %d", len(found), len(f.nodes))
		}
		return nil
	})
	f.Do(http.MethodPatch, "/v2/options", map[string]any{
		"max_power_on_wait_time": 30, "max_power_off_wait_time": 30, "max_boot_wait_time": 60, "polling_frequency": 5,
	})
	f.Do(http.MethodPut, "/v2/sessiontemplates/all", map[string]any{
		"cfs":       map[string]any{"configuration": "configuration"},
		"boot_sets": map[string]any{"all": map[string]any{"type": "s3", "path": f.site.Images()[0].ManifestPath, "node_list": f.nodes}},
	})
}

// session creates a session; the name may be there already, from a try whose
// answer was lost.
func (f *fleet) session(name, operation string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	a, err := f.Retry(ctx, http.MethodPost, "/v2/sessions", map[string]any{"name": name, "operation": operation, "template_name": "all"})
	if err != nil || a.Status != http.StatusCreated && a.Status != http.StatusConflict {
		f.t.Fatalf("create a session: %d %s, %v", a.Status, a.Body, err)
	}
}

// complete waits until a session is complete, with all nodes where they should
// be.
func (f *fleet) complete(name string) {
	f.t.Helper()
	f.Until(5*time.Minute, "session "+name+" is complete", func() error {
		var s struct {
			Status struct{ Status, Error string }
		}
		f.Get("/v2/sessions/"+name, &s)
		if s.Status.Status != "complete" || s.Status.Error != "" {
			return fmt.Errorf("%+v", s.Status)
		}
		return nil
	})
	var status struct {
		Successful float64 `json:"percent_successful"`
	}
	if f.Get("/v2/sessions/"+name+"/status", &status); status.Successful != 100 {
		f.t.Errorf("session %s: %.1f %% of the nodes got there", name, status.Successful)
	}
}

// once checks that no node got a power command twice since a moment, and that
// the site has nothing else to complain about.
func (f *fleet) once(since time.Time) {
	f.t.Helper()
	sent := map[string]int{}
	for _, call := range f.site.Log() {
		if call.Operation == "" || call.Time.Before(since) || call.Status >= http.StatusBadRequest {
			continue
		}
		for _, node := range call.Nodes {
			sent[node+" "+call.Operation]++
		}
	}
	for what, n := range sent {
		if n > 1 {
			f.t.Errorf("%s was sent %d times", what, n)
		}
	}
	for i, v := range f.site.Violations() {
		if i < 20 {
			f.t.Errorf("%s %s: %s", v.Rule, v.Node, v.Detail)
		}
	}
}

// operating waits until others lead every operator that a member led, and returns
// when the last of them took over.
func (f *fleet) operating(former int, after time.Time) time.Time {
	f.t.Helper()
	var last time.Time
	f.Until(time.Minute, "somebody else leads the operators", func() error {
		last = time.Time{}
		for _, role := range decide.Roles() {
			member, since := f.Operating(role)
			if member == former {
				return fmt.Errorf("%s: m%d since %v", role, member, since)
			}
			if since.After(after) && since.After(last) {
				last = since
			}
		}
		return nil
	})
	return last
}

// operator returns the member that leads the operators.
func (f *fleet) operator() int {
	f.t.Helper()
	member := -1
	f.Until(time.Minute, "somebody leads the operators", func() error {
		if member, _ = f.Operating(decide.RolePowerOn); member < 0 {
			return errors.New("nobody does")
		}
		return nil
	})
	return member
}

// other returns a member that is none of some.
func other(not ...int) int {
	for member := range 3 {
		found := false
		for _, n := range not {
			found = found || n == member
		}
		if !found {
			return member
		}
	}
	return -1
}

// write waits until a member takes a write, and returns how long that took.
func (f *fleet) write(member int, since time.Time) time.Duration {
	f.t.Helper()
	f.Until(time.Minute, "a write", func() error {
		ctx, cancel := context.WithTimeout(f.t.Context(), 2*time.Second)
		defer cancel()
		a, err := f.Ask(ctx, member, http.MethodPut, "/v2/components/probe", map[string]any{"error": since.String()})
		if err == nil && !a.OK() {
			err = fmt.Errorf("%d %s", a.Status, a.Body)
		}
		return err
	})
	return time.Since(since)
}

// The member through which all writes go, and the one that operates, die in the
// midst of a boot: others take over within seconds, and nothing is sent twice.
func TestLeaderKilled(t *testing.T) {
	f := newFleet(t)
	begun := time.Now()
	f.session("boot", "boot")
	for _, who := range []string{"raft leader", "operating member"} {
		victim := f.Leader()
		if who == "operating member" {
			victim = f.operator()
		}
		operated := f.operator() == victim
		killed := time.Now()
		f.Members[victim].Kill()
		took := f.write(other(victim), killed)
		t.Logf("%s m%d killed: first write after %v", who, victim, took.Round(time.Millisecond))
		within(t, "the first write", took, firstWrite)
		if operated {
			after := f.operating(victim, killed).Sub(killed)
			t.Logf("%s m%d killed: all operators act again after %v", who, victim, after.Round(time.Millisecond))
			within(t, "the operators", after, acting)
		}
		f.Members[victim].Start()
		f.Ready(victim)
	}
	f.complete("boot")
	f.once(begun)
}

// A member that is told to end hands its roles over at once.
func TestDrain(t *testing.T) {
	f := newFleet(t)
	victim := f.operator()
	told := time.Now()
	f.Members[victim].Signal(syscall.SIGTERM)
	took := f.operating(victim, told).Sub(told)
	t.Logf("m%d was told to end: all operators act elsewhere after %v", victim, took.Round(time.Millisecond))
	within(t, "the hand-over", took, time.Second)
	f.Members[victim].Stop()
}

// A member that is cut off says so and does nothing; the others go on.
func TestPartition(t *testing.T) {
	f := newFleet(t)
	begun := time.Now()
	victim := f.operator()
	f.session("boot", "boot")
	cut := time.Now()
	f.Network.Isolate(victim)
	took := f.write(other(victim), cut)
	t.Logf("m%d is cut off: the majority takes a write after %v", victim, took.Round(time.Millisecond))
	within(t, "the first write", took, firstWrite)
	after := f.operating(victim, cut)
	t.Logf("m%d is cut off: the majority operates after %v", victim, after.Sub(cut).Round(time.Millisecond))
	for _, request := range [][3]string{{http.MethodGet, "/v2/components", ""}, {http.MethodPut, "/v2/components/minority", `{"enabled":false}`}} {
		asked := time.Now()
		a, err := f.Ask(t.Context(), victim, request[0], request[1], request[2])
		if err != nil || a.Status != http.StatusServiceUnavailable || !strings.Contains(string(a.Body), "store") {
			t.Errorf("the minority answers %s: %d %s, %v", request[0], a.Status, a.Body, err)
		}
		t.Logf("the minority answers %s with %d after %v", request[0], a.Status, time.Since(asked).Round(time.Millisecond))
	}
	f.Members[victim].Signal(syscall.SIGKILL)
	f.Network.Heal()
	f.Members[victim].Start()
	f.Ready(victim)
	f.complete("boot")
	f.once(begun)
	a := f.Do(http.MethodGet, "/v2/components", nil)
	if strings.Contains(string(a.Body), "minority") {
		t.Error("a write that the minority refused is there")
	}
}

// A member that was cut off and comes back goes on as one of three.
func TestPartitionHeals(t *testing.T) {
	f := newFleet(t)
	begun := time.Now()
	victim := f.operator()
	f.session("boot", "boot")
	f.Network.Isolate(victim)
	f.operating(victim, begun)
	f.Network.Heal()
	healed := time.Now()
	f.Ready(victim)
	t.Logf("m%d is back %v after the network", victim, time.Since(healed).Round(time.Millisecond))
	f.complete("boot")
	f.once(begun)
}

// A member that is stopped for half a minute and wakes up, in the belief that it
// leads, sends nothing.
func TestPaused(t *testing.T) {
	f := newFleet(t)
	begun := time.Now()
	victim := f.operator()
	f.session("boot", "boot")
	// In the midst of it, as far as a clock can tell.
	f.Until(time.Minute, "the first command", func() error {
		if f.site.Stats().Transitions == 0 {
			return errors.New("none yet")
		}
		return nil
	})
	paused := time.Now()
	f.Members[victim].Signal(syscall.SIGSTOP)
	after := f.operating(victim, paused)
	t.Logf("m%d is stopped: others operate after %v", victim, after.Sub(paused).Round(time.Millisecond))
	seconds := time.Duration(rig.Number(t, "TEST_CLUSTER_PAUSE", 8)) * time.Second
	time.Sleep(time.Until(paused.Add(seconds)))
	f.Members[victim].Signal(syscall.SIGCONT)
	f.Ready(victim)
	f.complete("boot")
	f.once(begun)
	t.Logf("m%d was stopped for %v", victim, seconds)
}

// load is clients that write through all members and try again.
type load struct {
	done    chan struct{}
	running sync.WaitGroup
	written atomic.Int64
	retried atomic.Int64
	longest atomic.Int64
}

func newLoad(f *fleet, clients int) *load {
	l := &load{done: make(chan struct{})}
	for client := range clients {
		l.running.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.done:
					return
				default:
				}
				l.one(f, client, n)
			}
		})
	}
	return l
}

func (l *load) one(f *fleet, client, n int) {
	begun := time.Now()
	for try := 0; ; try++ {
		a, err := f.Try(context.Background(), http.MethodPut, fmt.Sprintf("/v2/components/load%d", client), map[string]any{"retry_policy": n})
		if err == nil && a.OK() {
			break
		}
		if err == nil && a.Status < http.StatusInternalServerError || time.Since(begun) > 20*time.Second {
			f.t.Errorf("a client that tries again fails: %d %s, %v", a.Status, a.Body, err)
			return
		}
		l.retried.Add(1)
		time.Sleep(50 * time.Millisecond)
	}
	l.written.Add(1)
	for took := int64(time.Since(begun)); ; {
		longest := l.longest.Load()
		if took <= longest || l.longest.CompareAndSwap(longest, took) {
			return
		}
	}
}

func (l *load) end() {
	close(l.done)
	l.running.Wait()
}

// All members are restarted, one after the other, under load and in the midst of
// a boot.
func TestRollingRestart(t *testing.T) {
	f := newFleet(t)
	begun := time.Now()
	l := newLoad(f, 8)
	f.session("boot", "boot")
	for i, p := range f.Members {
		restarted := time.Now()
		p.Stop()
		p.Start()
		f.Ready(i)
		t.Logf("m%d restarted in %v", i, time.Since(restarted).Round(time.Millisecond))
	}
	f.complete("boot")
	l.end()
	f.once(begun)
	t.Logf("%d writes, %d tries again, none failed; the longest took %v",
		l.written.Load(), l.retried.Load(), time.Duration(l.longest.Load()).Round(time.Millisecond))
}
