// SPDX-License-Identifier: MIT

// Package lab runs the whole of BOS on a simulated site, for tests: one process
// over real HTTP in quick motion ([Real]), or any number of processes in
// virtual time, which can crash, be paused, and be started anew ([Virtual]).
package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bos/internal/app"
	"bos/internal/bos"
	"bos/internal/config"
	"bos/internal/sim"
	"bos/internal/store/mem"
	"bos/internal/view"
)

// QuickMotion is the time scale of a site over real HTTP: half a minute of it
// takes 0.3 s.
const QuickMotion = 0.01

// Lab is a simulated site and the BOS that runs it.
type Lab struct {
	t    testing.TB
	Site *sim.Site
	// Engine is the store in virtual time; nil over real HTTP.
	Engine *mem.Engine
	log    *slog.Logger
	Log    *Log

	client *http.Client
	base   string
	app    *app.App
	edit   func(*config.Config)

	mu        sync.Mutex
	numbered  int
	all       []*Process
	preferred *Process
}

// Config describes a lab.
type Config struct {
	// Site is the simulated site. In virtual time its time scale is 1, over real
	// HTTP it is QuickMotion unless it is set.
	Site sim.Config
	// Edit changes the configuration of each BOS. It may be nil.
	Edit func(*config.Config)
}

// Real starts a site and a BOS with an embedded store, all over real HTTP, and
// stops them when the test ends.
func Real(t testing.TB, cfg Config) *Lab {
	t.Helper()
	if cfg.Site.TimeScale == 0 {
		cfg.Site.TimeScale = QuickMotion
	}
	l := newLab(t, cfg)
	if err := l.Site.Start(); err != nil {
		t.Fatalf("start the site: %v", err)
	}
	t.Cleanup(l.Site.Close)
	c := config.Default()
	c.Listen, c.DataDir, c.TimeScale = "127.0.0.1:0", t.TempDir(), cfg.Site.TimeScale
	if cfg.Edit != nil {
		cfg.Edit(c)
	}
	a, err := app.Start(t.Context(), c, app.Options{Log: l.log, Site: l.Site, ThrowAway: true})
	if err != nil {
		t.Fatalf("start BOS: %v", err)
	}
	t.Cleanup(func() {
		if err := a.Stop(context.Background()); err != nil {
			t.Errorf("stop BOS: %v", err)
		}
	})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	l.app, l.base, l.client = a, a.URL(), &http.Client{Transport: transport}
	return l
}

// Virtual runs a test on a site in virtual time and a store in memory. There is
// no BOS until the test starts one with [Lab.StartProcess]; those that are left
// are stopped when the test returns.
func Virtual(t *testing.T, cfg Config, test func(*Lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg.Site.TimeScale = 1
		l := newLab(t, cfg)
		l.Engine = mem.New()
		l.base, l.client = "http://bos"+config.Default().Prefix, &http.Client{Transport: api{l}}
		l.Site.SetBOS(l.base, l.client)
		defer func() {
			for _, p := range l.processes() {
				p.Stop()
			}
			l.Site.Close()
			if err := l.Engine.Close(); err != nil {
				t.Errorf("close the store: %v", err)
			}
			// Leases of processes that died may still have to run out.
			time.Sleep(2 * leaseTime)
		}()
		test(l)
	})
}

func newLab(t testing.TB, cfg Config) *Lab {
	l := &Lab{t: t, Log: &Log{}, edit: cfg.Edit}
	var handler slog.Handler = l.Log
	if testing.Verbose() {
		handler = slog.NewMultiHandler(l.Log, slog.NewTextHandler(output(t), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	l.log = slog.New(handler)
	l.Site = sim.New(cfg.Site)
	return l
}

// output is where a test's log goes.
func output(t testing.TB) io.Writer {
	if o, ok := t.(interface{ Output() io.Writer }); ok {
		return o.Output()
	}
	return io.Discard
}

// T is the test that the lab belongs to: in virtual time that within the bubble.
func (l *Lab) T() testing.TB { return l.t }

func (l *Lab) processes() []*Process {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*Process(nil), l.all...)
}

// Prefer has clients and nodes talk to one process as long as it lives.
func (l *Lab) Prefer(p *Process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.preferred = p
}

// alive returns the preferred process, or the youngest one that lives; nil if
// there is none.
func (l *Lab) alive() *Process {
	all := l.processes()
	l.mu.Lock()
	if p := l.preferred; p != nil {
		all = append(all, p)
	}
	l.mu.Unlock()
	for i := len(all) - 1; i >= 0; i-- {
		p := all[i]
		select {
		case <-p.started:
			if !p.Dead() {
				return p
			}
		default:
		}
	}
	return nil
}

// App returns a BOS that lives.
func (l *Lab) App() *app.App {
	if l.app != nil {
		return l.app
	}
	if p := l.alive(); p != nil {
		return p.app
	}
	return nil
}

// Answer is what the API said.
type Answer struct {
	Status int
	Type   string
	Body   []byte
}

// Try sends a request to the API. An error says that nobody knows whether it
// was carried out. tenant may be empty; body may be nil, a text or anything
// that JSON can say.
func (l *Lab) Try(method, path, tenant string, body any) (Answer, error) {
	l.t.Helper()
	var payload []byte
	switch b := body.(type) {
	case nil:
	case string:
		payload = []byte(b)
	default:
		var err error
		if payload, err = json.Marshal(body); err != nil {
			l.t.Fatalf("encode a request: %v", err)
		}
	}
	r, err := http.NewRequestWithContext(l.t.Context(), method, l.base+"/v2"+path, bytes.NewReader(payload))
	if err != nil {
		l.t.Fatalf("make a request: %v", err)
	}
	if payload != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if tenant != "" {
		r.Header.Set("Cray-Tenant-Name", tenant)
	}
	res, err := l.client.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	return Answer{res.StatusCode, res.Header.Get("Content-Type"), answer}, err
}

// Do is [Lab.Try] for requests that must succeed: a status of 400 or more ends
// the test.
func (l *Lab) Do(method, path string, body any) Answer {
	l.t.Helper()
	a, err := l.Try(method, path, "", body)
	if err != nil {
		l.t.Fatalf("%s %s: %v", method, path, err)
	}
	if a.Status >= http.StatusBadRequest {
		l.t.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
	return a
}

// Options changes options of BOS.
func (l *Lab) Options(change map[string]any) {
	l.t.Helper()
	l.Do(http.MethodPatch, "/options", change)
}

// BootSet describes a boot set of an image of the site for some nodes.
func BootSet(image sim.Image, nodes []string, more map[string]any) map[string]any {
	set := map[string]any{"type": "s3", "path": image.ManifestPath, "etag": image.ETag, "node_list": nodes}
	for k, v := range more {
		if v == nil {
			delete(set, k)
			continue
		}
		set[k] = v
	}
	return set
}

// Template stores a session template with one boot set; "" is no configuration.
func (l *Lab) Template(name, configuration string, set map[string]any) {
	l.t.Helper()
	doc := map[string]any{"boot_sets": map[string]any{"compute": set}, "enable_cfs": configuration != ""}
	if configuration != "" {
		doc["cfs"] = map[string]any{"configuration": configuration}
	}
	l.Do(http.MethodPut, "/sessiontemplates/"+name, doc)
}

// Session creates a session; more may name further members of the request.
func (l *Lab) Session(name, template, operation string, more map[string]any) {
	l.t.Helper()
	doc := map[string]any{"name": name, "template_name": template, "operation": operation}
	for k, v := range more {
		doc[k] = v
	}
	l.Do(http.MethodPost, "/sessions", doc)
}

// Component returns a component as BOS has it.
func (l *Lab) Component(id string) bos.Component {
	l.t.Helper()
	rec := l.App().View().Record(id)
	if rec == nil {
		l.t.Fatalf("BOS has no component %q", id)
	}
	return rec.Component
}

// SessionState returns a session as BOS has it.
func (l *Lab) SessionState(name string) bos.SessionStatus {
	l.t.Helper()
	s, ok := l.App().View().Session(bos.SessionKey{Name: name})
	if !ok {
		l.t.Fatalf("BOS has no session %q", name)
	}
	return s.Session.Status
}

// Until waits until BOS is in some state, at most for a time of the site. What
// it is asked about must be in the view; it is asked again whenever that
// changes.
func (l *Lab) Until(within time.Duration, what string, holds func() bool) {
	l.t.Helper()
	if !l.Holds(within, holds) {
		l.t.Fatalf("%s: not within %s\n%s", what, within, l.Dump())
	}
}

// Holds is [Lab.Until] for what need not come to pass.
func (l *Lab) Holds(within time.Duration, holds func() bool) bool {
	deadline := time.NewTimer(l.real(within))
	defer deadline.Stop()
	for {
		a := l.App()
		if a == nil {
			return false
		}
		changed := make(chan struct{}, 1)
		tell := func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
		feed := a.View().Subscribe(view.Interest{
			Node: func(_, _ *view.Node) bool { tell(); return false }, Sessions: true, Options: true, Attempts: true,
		})
		again := l.await(a, feed, changed, deadline.C, holds)
		feed.Close()
		if again != nil {
			return *again
		}
	}
}

// await returns what Holds returns, nil if the process that it looked at died.
func (l *Lab) await(
	a *app.App, feed *view.Feed, changed <-chan struct{}, deadline <-chan time.Time, holds func() bool,
) *bool {
	var gone <-chan struct{}
	for _, p := range l.processes() {
		if p.app == a {
			gone = p.dead
		}
	}
	yes, no := true, false
	for !holds() {
		select {
		case <-feed.C():
			feed.Take()
		case <-changed:
		case <-gone:
			return nil
		case <-deadline:
			return &no
		}
	}
	return &yes
}

// Wait lets time of the site pass.
func (l *Lab) Wait(d time.Duration) {
	l.Holds(d, func() bool { return false })
}

// real turns time of the site into time.
func (l *Lab) real(d time.Duration) time.Duration {
	if l.app != nil {
		return l.app.Clock().Real(d)
	}
	return d
}

// Complete waits until a session is complete.
func (l *Lab) Complete(name string, within time.Duration) {
	l.t.Helper()
	l.Until(within, fmt.Sprintf("session %q complete", name), func() bool {
		s, ok := l.App().View().Session(bos.SessionKey{Name: name})
		return ok && s.Session.Status.Status == bos.SessionComplete
	})
}

// Discovered waits until BOS knows all nodes of the site.
func (l *Lab) Discovered() {
	l.t.Helper()
	nodes := l.Site.Nodes()
	l.Until(10*time.Minute, "all nodes discovered", func() bool {
		return len(l.App().View().Records(nodes)) == len(nodes)
	})
}
