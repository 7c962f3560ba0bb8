// SPDX-License-Identifier: MIT

package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/goleak"

	"bos/internal/app"
	"bos/internal/bos"
	"bos/internal/config"
	"bos/internal/decide"
	"bos/internal/sim"
)

// quick is the time scale of the sites here: half a minute takes 0.3 s.
const quick = 0.01

// patience bounds how long a test waits for anything.
const patience = time.Minute

// until waits until something holds. It looks again and again, since what is
// waited for is in another process as far as the test is concerned.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// noLeak checks at the end of a test that it left no goroutine.
func noLeak(t *testing.T) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		// Idle connections of the test's own client.
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t, before)
	})
}

// newSite starts a site that the test's apps use; it ends after them.
func newSite(t *testing.T, cfg sim.Config) *sim.Site {
	t.Helper()
	if cfg.TimeScale == 0 {
		cfg.TimeScale = quick
	}
	site := sim.New(cfg)
	t.Cleanup(site.Close)
	if err := site.Start(); err != nil {
		t.Fatalf("start the site: %v", err)
	}
	return site
}

// logbook keeps the lines that an app logged.
type logbook struct {
	mu    sync.Mutex
	lines []string
}

// Write implements io.Writer.
func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	return len(p), nil
}

// has reports whether a line has all of some texts.
func (l *logbook) has(texts ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.lines, func(line string) bool {
		return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) })
	})
}

// process is an app as a process of its own would run it.
type process struct {
	*app.App
	t     *testing.T
	log   *logbook
	level *slog.LevelVar
	stop  func()
}

// start starts an app; it is stopped when the test ends if it was not before.
func start(t *testing.T, opts app.Options, edit func(*config.Config)) *process {
	t.Helper()
	p := &process{t: t, log: &logbook{}, level: &slog.LevelVar{}}
	cfg := config.Default()
	cfg.Listen, cfg.TimeScale = "127.0.0.1:0", quick
	edit(cfg)
	var out io.Writer = p.log
	if testing.Verbose() {
		out = io.MultiWriter(p.log, t.Output())
	}
	opts.Log = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: p.level}))
	opts.Level, opts.ThrowAway = p.level, true
	a, err := app.Start(t.Context(), cfg, opts)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	p.App = a
	p.stop = sync.OnceFunc(func() {
		// A stop that hangs is shown with what it hangs in.
		late := time.AfterFunc(5*time.Second, func() {
			var stacks bytes.Buffer
			_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
			t.Errorf("the app still runs 5 s after it was told to stop:\n%s", &stacks)
		})
		defer late.Stop()
		if err := a.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	t.Cleanup(p.stop)
	return p
}

// try sends a request to the API; tenant may be empty.
func (p *process) try(method, path, tenant string, body any) (int, []byte, error) {
	p.t.Helper()
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			p.t.Fatal(err)
		}
		payload = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.URL()+"/v2"+path, payload)
	if err != nil {
		p.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if tenant != "" {
		r.Header.Set("Cray-Tenant-Name", tenant)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// do sends a request that must succeed. Where the store has no answer yet it
// asks again, as clients do.
func (p *process) do(method, path string, body any) []byte {
	p.t.Helper()
	var status int
	var answer []byte
	var err error
	until(p.t, "an answer to "+method+" "+path, func() bool {
		status, answer, err = p.try(method, path, "", body)
		return err != nil || status != http.StatusServiceUnavailable
	})
	if err != nil || status >= http.StatusBadRequest {
		p.t.Fatalf("%s %s: %d %s %v", method, path, status, answer, err)
	}
	return answer
}

// discovered waits until BOS knows the compute nodes of a site.
func (p *process) discovered(site *sim.Site) {
	p.t.Helper()
	nodes := site.Nodes()
	until(p.t, "all nodes known", func() bool { return len(p.View().Records(nodes)) == len(nodes) })
}

// template puts a template of the first image for all compute nodes.
func (p *process) template(site *sim.Site, configuration string) {
	p.t.Helper()
	image := site.Images()[0]
	doc := map[string]any{"enable_cfs": configuration != "", "boot_sets": map[string]any{"compute": map[string]any{
		"type": "s3", "path": image.ManifestPath, "etag": image.ETag, "node_groups": []string{"compute-all"},
	}}}
	if configuration != "" {
		doc["cfs"] = map[string]string{"configuration": configuration}
	}
	p.do(http.MethodPut, "/sessiontemplates/all", doc)
}

func (p *process) session(name, operation string) {
	p.t.Helper()
	p.do(http.MethodPost, "/sessions", map[string]string{"name": name, "operation": operation, "template_name": "all"})
}

// complete waits until a session is complete, and checks that all of a site's
// nodes run, without a mistake on the way.
func (p *process) complete(site *sim.Site, session string) {
	p.t.Helper()
	until(p.t, "session "+session+" complete", func() bool {
		s, ok := p.View().Session(bos.SessionKey{Name: session})
		return ok && s.Session.Status.Status == bos.SessionComplete
	})
	for _, id := range site.Nodes() {
		c := p.View().Record(id).Component
		if c.StatusNow() != bos.StatusStable || c.Error.Value() != "" || c.Session.Value() != session {
			p.t.Errorf("%s is %s in session %s: %s", id, c.StatusNow(), c.Session.Value(), c.Error.Value())
		}
		if n, _ := site.Node(id); !n.Up {
			p.t.Errorf("%s is said to run, but is not up", id)
		}
	}
	noViolations(p.t, site)
}

func noViolations(t *testing.T, site *sim.Site) {
	t.Helper()
	for _, v := range site.Violations() {
		t.Errorf("the site saw what no correct client does: %s %s: %s", v.Rule, v.Node, v.Detail)
	}
}

// ons counts the power-ons that each node got.
func ons(site *sim.Site) map[string]int {
	out := map[string]int{}
	for _, c := range site.Log() {
		if c.Operation != "On" {
			continue
		}
		for _, id := range c.Nodes {
			out[id]++
		}
	}
	return out
}

// cluster starts an etcd that several processes can reach, and returns its
// address.
func cluster(t *testing.T) string {
	t.Helper()
	anywhere, err := url.Parse("http://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.UnsafeNoFsync = t.TempDir(), "fatal", true
	cfg.TickMs, cfg.ElectionMs = 10, 100
	cfg.ListenClientUrls, cfg.ListenPeerUrls = []url.URL{*anywhere}, []url.URL{*anywhere}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatalf("start etcd: %v", err)
	}
	t.Cleanup(server.Close)
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(patience):
		t.Fatal("etcd is not ready")
	}
	return fmt.Sprintf("http://%s", server.Clients[0].Addr())
}

// operators are all operators but some.
func operators(without ...string) []string {
	return slices.DeleteFunc(decide.Roles(), func(name string) bool { return slices.Contains(without, name) })
}
