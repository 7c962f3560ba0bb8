// SPDX-License-Identifier: MIT

package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bos/internal/sim"
	"bos/internal/store"
	"bos/test/rig"
)

// formerBuild names a bosd of an earlier build; make upgrade-test builds one.
const formerBuild = "TEST_FORMER_BOSD"

// sameEverywhere writes documents through one member and reads them through the
// next, again and again, until it is ended: members of all builds must show what
// was acknowledged.
type sameEverywhere struct {
	f       *fleet
	done    chan struct{}
	running sync.WaitGroup
	read    atomic.Int64
	last    map[string]string
}

func newSameEverywhere(f *fleet) *sameEverywhere {
	s := &sameEverywhere{f: f, done: make(chan struct{}), last: map[string]string{}}
	s.running.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-s.done:
				return
			default:
			}
			s.one(n)
		}
	})
	return s
}

// one writes and reads one document, of a size that is worth packing.
func (s *sameEverywhere) one(n int) {
	id := fmt.Sprintf("same%d", n%20)
	text := fmt.Sprintf("number %d %s", n, strings.Repeat("and so on ", 40))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	a, err := s.f.Retry(ctx, http.MethodPut, "/v2/components/"+id, map[string]any{"error": text})
	if err != nil || !a.OK() {
		s.f.t.Errorf("write %s: %d %s, %v", id, a.Status, a.Body, err)
		return
	}
	s.last[id] = text
	// The next member in turn answers.
	s.check(ctx, id)
	time.Sleep(5 * time.Millisecond)
}

func (s *sameEverywhere) check(ctx context.Context, id string) {
	a, err := s.f.Retry(ctx, http.MethodGet, "/v2/components/"+id, nil)
	var c struct{ Error string }
	if err == nil {
		err = a.Into(&c)
	}
	if err != nil || c.Error != s.last[id] {
		s.f.t.Errorf("%s: acknowledged was %.40q, there is %.40q: %d, %v", id, s.last[id], c.Error, a.Status, err)
	}
	s.read.Add(1)
}

// end ends it and looks at all documents through every member.
func (s *sameEverywhere) end() {
	close(s.done)
	s.running.Wait()
	for range s.f.Members {
		for id := range s.last {
			s.check(s.f.Context(30*time.Second), id)
		}
		// One more, so that each is asked of each member.
		s.f.Do(http.MethodGet, "/v2/version", nil)
	}
}

// replace restarts all members, one after the other, and boots nodes after the
// first ones.
func (f *fleet) replace(how string, sessions int, each func(p *rig.Process)) {
	f.t.Helper()
	for i, p := range f.Members {
		begun := time.Now()
		p.Stop()
		each(p)
		p.Start()
		f.Ready(i)
		f.t.Logf("m%d is %s after %v", i, how, time.Since(begun).Round(time.Millisecond))
		if i >= sessions {
			continue
		}
		name := fmt.Sprintf("%s-%d", how, i)
		f.session(name, "reboot")
		f.complete(name)
	}
}

// Three members of a former build are replaced one by one, under load and with
// sessions at each step; then they are told that all are of this build. Whoever
// reads sees what was acknowledged, whatever build has it. A former build can come
// back before that, and is not let in afterwards.
func TestUpgrade(t *testing.T) {
	former := os.Getenv(formerBuild)
	if former == "" {
		t.Skipf("%s names no bosd of an earlier build; make upgrade-test builds one", formerBuild)
	}
	site := rig.Site(t, sim.Config{Nodes: rig.Number(t, "TEST_CLUSTER_NODES", everydayNodes), TimeScale: timeScale})
	f := &fleet{Cluster: rig.NewClusterOf(t, former, site), t: t, site: site, nodes: site.Nodes()}
	f.prepare()
	f.session("before", "boot")
	f.complete("before")
	begun := time.Now()
	l, same := newLoad(f, 4), newSameEverywhere(f)
	f.replace("upgraded", 3, func(p *rig.Process) { p.Use("") })
	f.schema(2, 1)
	// Until they are told so, there is a way back.
	for _, program := range []string{former, ""} {
		f.Members[1].Stop()
		f.Members[1].Use(program)
		f.Members[1].Start()
		f.Ready(1)
	}
	f.replace("raised", 1, func(p *rig.Process) { *p.Args() = append(*p.Args(), "--cluster-upgraded") })
	f.schema(2, 2)
	l.end()
	same.end()
	f.sent(begun, 4)
	t.Logf("%d writes, %d tries again, none failed, the longest took %v; %d documents were read through another member than they were written through",
		l.written.Load(), l.retried.Load(), time.Duration(l.longest.Load()).Round(time.Millisecond), same.read.Load())

	late := f.Members[0]
	late.Stop()
	late.Use(former)
	*late.Args() = (*late.Args())[:len(*late.Args())-1]
	late.Start()
	select {
	case <-late.Done():
	case <-time.After(time.Minute):
		t.Fatal("a former build goes on with a store that it can't read")
	}
	const says = "needs a build that reads version 2; this one reads up to 1"
	if err := late.Ended(); err == nil || !strings.Contains(late.Log(), says) {
		t.Errorf("a former build ends with %v and does not say %q", err, says)
	}
	late.Use("")
	late.Start()
	f.Ready(0)
	f.session("after", "reboot")
	f.complete("after")
}

// schema checks which version the store has, and which it needs.
func (f *fleet) schema(version, reader int) {
	f.t.Helper()
	for line := range strings.Lines(rig.Command(f.t, nil, "backup", "--etcd-endpoints", strings.Join(f.Clients, ","))) {
		var doc struct {
			Key   string
			Value []byte
		}
		if err := json.Unmarshal([]byte(line), &doc); err != nil || doc.Key != store.KeySchema {
			continue
		}
		var got store.Schema
		if err := json.Unmarshal(doc.Value, &got); err != nil || got.Version != version || got.MinReader != reader {
			f.t.Errorf("the store's schema is %s, not version %d for readers of %d", doc.Value, version, reader)
		}
		return
	}
	f.t.Error("a copy of the store has no schema")
}

// sent checks that every node got each power command of some reboots once, and
// that the site has nothing to complain about.
func (f *fleet) sent(since time.Time, reboots int) {
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
		if n != reboots {
			f.t.Errorf("%s was sent %d times in %d reboots", what, n, reboots)
		}
	}
	if len(sent) != 2*len(f.nodes) {
		f.t.Errorf("%d power commands for %d nodes", len(sent), len(f.nodes))
	}
	for i, v := range f.site.Violations() {
		if i < 20 {
			f.t.Errorf("%s %s: %s", v.Rule, v.Node, v.Detail)
		}
	}
}
