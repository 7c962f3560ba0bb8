// SPDX-License-Identifier: MIT

// Package crash kills a server at random moments while it reboots nodes and
// takes writes, and breaks its disk. What clients were told is compared with
// what is there, and what the site received with what should have been sent.
package crash_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"testing"
	"time"

	"bos/internal/sim"
	"bos/test/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

const (
	// everydayKills and everydayNodes are the size of the test every day; make
	// crash-test has 200 and 1,000.
	everydayKills = 6
	everydayNodes = 60
	// timeScale makes the site twenty times as fast as a real one.
	timeScale = 0.05
	// retryPolicy is how many attempts of one kind a node gets.
	retryPolicy = 3
	// maxRecordAge is how long after its record a command may go out.
	maxRecordAge = 5 * time.Second
	// grace is what a command needs from its sender to the site's log.
	grace = time.Second
)

// world is a server that is killed again and again, and what it works on.
type world struct {
	t     *testing.T
	site  *sim.Site
	api   *rig.API
	bosd  *rig.Process
	nodes []string
	rng   *rand.Rand
	kills []time.Time
}

func TestKilled(t *testing.T) {
	kills, count := rig.Number(t, "TEST_CRASH_KILLS", everydayKills), rig.Number(t, "TEST_CRASH_NODES", everydayNodes)
	seed := uint64(rig.Number(t, "TEST_CRASH_SEED", int(time.Now().UnixNano()&0xffffff)+1))
	t.Logf("seed %d", seed)
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1))}
	w.site = rig.Site(t, sim.Config{Nodes: count, TimeScale: timeScale, PoweredOn: true, Seed: seed})
	w.nodes = w.site.Nodes()
	address := rig.Address(t)
	args, environ := rig.SiteArgs(w.site)
	w.bosd = rig.New(t, "bosd", environ, append([]string{"serve", "--listen", address, "--data-dir", t.TempDir()}, args...)...)
	w.api = rig.NewAPI(t, address)
	w.site.SetBOS("http://"+address, nil)
	w.bosd.Start()
	w.api.Ready(0)
	w.prepare()

	begun := time.Now()
	m := newModel(t, w.api)
	rounds := 0
	for len(w.kills) < kills && !t.Failed() {
		rounds++
		w.round(rounds, kills)
	}
	m.end()
	for rule, n := range w.site.Stats().Violations {
		t.Errorf("the site saw %d violations of %s", n, rule)
	}
	for i, v := range w.site.Violations() {
		if i < 20 {
			t.Errorf("%s %s %s: %s", v.Time.Format("15:04:05.000"), v.Rule, v.Node, v.Detail)
		}
	}
	t.Logf("killed %d times in %v during %d reboots of %d nodes; %d acknowledged writes and %d reads agree",
		len(w.kills), time.Since(begun).Round(time.Second), rounds, count, m.acked.Load(), m.checked.Load())
}

// prepare sets the site up for reboots into one image after the other.
func (w *world) prepare() {
	w.api.Until(time.Minute, "the nodes are discovered", func() error {
		var found []any
		w.api.Get("/v2/components", &found)
		if len(found) < len(w.nodes) {
			return fmt.Errorf("%d of %d", len(found), len(w.nodes))
		}
		return nil
	})
	w.api.Do(http.MethodPatch, "/v2/options", map[string]any{
		"max_power_on_wait_time": 30, "max_power_off_wait_time": 30, "max_boot_wait_time": 60, "default_retry_policy": retryPolicy,
		"polling_frequency": 5,
	})
	for i, image := range w.site.Images()[:2] {
		w.api.Do(http.MethodPut, fmt.Sprintf("/v2/sessiontemplates/image%d", i), map[string]any{
			"cfs":       map[string]any{"configuration": fmt.Sprint("configuration-", i)},
			"boot_sets": map[string]any{"all": map[string]any{"type": "s3", "path": image.ManifestPath, "node_list": w.nodes}},
		})
	}
	w.api.Do(http.MethodPut, "/v2/sessiontemplates/victim", map[string]any{
		"boot_sets": map[string]any{"all": map[string]any{"type": "s3", "path": w.site.Images()[0].ManifestPath, "node_list": w.nodes[:1]}},
	})
}

// round reboots all nodes while the server is killed, until the session is
// complete, and looks at what was sent.
func (w *world) round(n, kills int) {
	w.t.Helper()
	begun, name := time.Now(), fmt.Sprintf("reboot-%d", n)
	w.api.Do(http.MethodPost, "/v2/sessions", map[string]any{
		"name": name, "operation": "reboot", "template_name": fmt.Sprintf("image%d", n%2),
	})
	before := len(w.kills)
	withdrawn := map[string]withdrawal{}
	for quiet := time.Now(); !w.complete(name); {
		if len(w.kills) > before {
			quiet = w.kills[len(w.kills)-1]
		}
		// However often it was killed, it must end once it is left in peace.
		if time.Since(quiet) > 10*time.Minute {
			w.t.Fatalf("session %s does not end", name)
		}
		if len(w.kills) >= kills {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		w.withdraw(name, withdrawn)
		w.moment()
		w.bosd.Kill()
		w.kills = append(w.kills, time.Now())
		w.bosd.Start()
		if w.rng.IntN(4) > 0 {
			w.api.Ready(0)
		}
	}
	w.judge(name, begun, len(w.kills)-before, withdrawn)
}

// moment waits for the moment to kill: any, that of the start too, or, every
// other time, one right after the server has told BSS or PCS something, which is
// when a command is half recorded, half sent or half confirmed.
func (w *world) moment() {
	// Sometimes long enough to get something done, on a busy machine too.
	longest := []time.Duration{3 * time.Second, 3 * time.Second, 10 * time.Second}[w.rng.IntN(3)]
	within := time.Duration(w.rng.Int64N(int64(longest)))
	if w.rng.IntN(2) == 0 {
		time.Sleep(within)
		return
	}
	calls := func() int {
		s := w.site.Stats()
		return s.Calls["bss"] + s.Transitions
	}
	before, end := calls(), time.Now().Add(within)
	for calls() == before && time.Now().Before(end) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Duration(w.rng.Int64N(int64(20 * time.Millisecond))))
}

// complete reports whether a session has ended; a server that does not answer
// does not know.
func (w *world) complete(name string) bool {
	a, err := w.api.Try(w.t.Context(), http.MethodGet, "/v2/sessions/"+name, nil)
	if err != nil || a.Status >= http.StatusInternalServerError {
		return false
	}
	var s struct {
		Status struct{ Status, Error string }
	}
	if err := a.Into(&s); err != nil || !a.OK() || s.Status.Error != "" {
		w.t.Fatalf("session %s: %d %.300s, %v", name, a.Status, a.Body, err)
	}
	return s.Status.Status == "complete"
}

// withdrawal is a write that took a node's goal back, and when it was
// acknowledged.
type withdrawal struct {
	at time.Time
	// off says that the node was to be off from then on; otherwise it was not to
	// be touched at all.
	off bool
}

// withdraw takes the goals of some nodes back, in the midst of the session: of
// nodes that have got one from it, since what comes before that is replaced by
// it, and rightly so.
func (w *world) withdraw(session string, done map[string]withdrawal) {
	for range max(1, len(w.nodes)/200) {
		node := w.nodes[w.rng.IntN(len(w.nodes))]
		if _, twice := done[node]; twice || !w.driven(node, session) {
			continue
		}
		off := w.rng.IntN(2) == 0
		patch := map[string]any{"enabled": false}
		if off {
			patch = map[string]any{"desired_state": map[string]any{
				"configuration": "", "boot_artifacts": map[string]any{"kernel": "", "kernel_parameters": "", "initrd": ""},
			}}
		}
		a, err := w.api.Try(w.t.Context(), http.MethodPatch, "/v2/components/"+node, patch)
		if err == nil && a.OK() {
			done[node] = withdrawal{time.Now(), off}
		}
	}
}

// driven reports whether a session has given a node its goal, and it is not
// there yet. Set-up gives each node its goal once.
func (w *world) driven(node, session string) bool {
	a, err := w.api.Try(w.t.Context(), http.MethodGet, "/v2/components/"+node, nil)
	if err != nil || !a.OK() {
		return false
	}
	var c struct {
		Enabled bool
		Session string
	}
	if err := a.Into(&c); err != nil {
		w.t.Error(err)
	}
	return c.Enabled && c.Session == session
}

// judge compares what the site received with what it should have received.
func (w *world) judge(name string, begun time.Time, kills int, withdrawn map[string]withdrawal) {
	w.t.Helper()
	ended := time.Now()
	on := map[string]int{}
	transitions := 0
	for _, call := range w.site.Log() {
		if call.Operation == "" || call.Time.Before(begun) || call.Time.After(ended) || call.Status >= http.StatusBadRequest {
			continue
		}
		transitions++
		for _, node := range call.Nodes {
			if call.Operation == "On" {
				on[node]++
			}
			back, taken := withdrawn[node]
			if taken && call.Time.After(back.at.Add(maxRecordAge+grace)) && (!back.off || call.Operation == "On") {
				w.t.Errorf("%s: %s was sent %s %v after its goal was taken back", name, node, call.Operation, call.Time.Sub(back.at))
			}
		}
	}
	most := 0
	for node, n := range on {
		most = max(most, n)
		if n > retryPolicy+kills {
			w.t.Errorf("%s: %s was switched on %d times with %d crashes", name, node, n, kills)
		}
	}
	wrong := 0
	for _, node := range w.nodes {
		state, _ := w.site.Node(node)
		if _, taken := withdrawn[node]; !taken && (!state.Up || state.Kernel == "") {
			if wrong++; wrong <= 5 {
				a := w.api.Do(http.MethodGet, "/v2/components/"+node, nil)
				w.t.Errorf("%s: %s is not up at the end: %+v\n%s", name, node, state, a.Body)
			}
		}
	}
	w.t.Logf("%s: %v, %d crashes, %d power transitions, at most %d power-ons of a node, %d goals taken back",
		name, ended.Sub(begun).Round(time.Millisecond), kills, transitions, most, len(withdrawn))
}
