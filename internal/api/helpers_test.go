// SPDX-License-Identifier: MIT

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/decide"
	"bos/internal/events"
	"bos/internal/store"
	"bos/internal/store/etcd"
	"bos/internal/store/mem"
	"bos/internal/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a running API with a store and a view of its own.
type site struct {
	tb     testing.TB
	url    string
	client *http.Client
	server *server
	store  *store.Store
	events *events.Recorder
	// engine is nil unless the store is the one in memory.
	engine  *mem.Engine
	images  *images
	tenants *tenants
	// machines are what plans ask.
	machines *machines
	log      *lockedBuffer
}

// start runs an API over a store in memory. change may be nil.
func start(tb testing.TB, change func(*Config)) *site {
	tb.Helper()
	engine := mem.New()
	s := startOver(tb, engine, change)
	s.engine = engine
	return s
}

// startEmbedded runs an API over an embedded etcd.
func startEmbedded(tb testing.TB) *site {
	tb.Helper()
	engine, err := etcd.OpenEmbedded(tb.Context(), etcd.Embedded{Dir: tb.TempDir(), ThrowAway: true})
	if err != nil {
		tb.Fatal(err)
	}
	return startOver(tb, engine, nil)
}

func startOver(tb testing.TB, engine store.Engine, change func(*Config)) *site {
	tb.Helper()
	s := &site{tb: tb, store: store.New(engine), images: newImages(), tenants: newTenants(), log: &lockedBuffer{}}
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := clock.New(1)
	v := view.New(c, log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = v.Run(ctx, s.store)
	}()
	<-v.Ready()
	cfg := Config{
		Store: s.store, View: v, Clock: c, Images: s.images, Tenants: s.tenants, Log: log,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, "up 1\n")
		}),
	}
	if change != nil {
		change(&cfg)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Explain = explainer(v, cfg.Now)
	s.machines = newMachines(s.tenants)
	s.machines.plan(&cfg)
	s.events = events.New(s.store, log, cfg.Now)
	cfg.Events = s.events
	h, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	s.server = h.(*server)
	srv := httptest.NewServer(h)
	s.url, s.client = srv.URL, srv.Client()
	tb.Cleanup(func() {
		srv.Close()
		cancel()
		<-done
		if err := s.store.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

// reply is an answer as a client sees it.
type reply struct {
	tb     testing.TB
	what   string
	status int
	header http.Header
	body   []byte
}

// do sends a request. Headers are pairs of a name and a value; a body that is
// not empty is JSON unless they say otherwise.
func (s *site) do(method, path, body string, headers ...string) reply {
	s.tb.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(context.Background(), method, s.url+path, in)
	if err != nil {
		s.tb.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	return s.send(r)
}

func (s *site) send(r *http.Request) reply {
	s.tb.Helper()
	resp, err := s.client.Do(r)
	if err != nil {
		s.tb.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.tb.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	return reply{s.tb, r.Method + " " + r.URL.RequestURI(), resp.StatusCode, resp.Header, body}
}

// as sends a request on behalf of a tenant.
func (s *site) as(tenant, method, path, body string) reply {
	s.tb.Helper()
	return s.do(method, path, body, "Cray-Tenant-Name", tenant)
}

// wants fails unless the answer has a status, and returns it.
func (r reply) wants(status int) reply {
	r.tb.Helper()
	if r.status != status {
		r.tb.Fatalf("%s: status %d, want %d: %s", r.what, r.status, status, r.body)
	}
	return r
}

// problem fails unless the answer is a problem with a status, a title and words
// in its detail.
func (r reply) problem(status int, title string, words ...string) {
	r.tb.Helper()
	r.wants(status)
	var d problemDocument
	r.json(&d)
	if got := r.header.Get("Content-Type"); got != contentTypeProblem {
		r.tb.Errorf("%s: content type %s", r.what, got)
	}
	if d.Type != typeBlank || d.Title != title || d.Status != status || d.Detail == "" {
		r.tb.Errorf("%s: %+v, want the title %q", r.what, d, title)
	}
	for _, w := range words {
		if !strings.Contains(d.Detail, w) {
			r.tb.Errorf("%s: detail %q does not say %q", r.what, d.Detail, w)
		}
	}
}

func (r reply) json(into any) {
	r.tb.Helper()
	if err := json.Unmarshal(r.body, into); err != nil {
		r.tb.Fatalf("%s: %v: %s", r.what, err, r.body)
	}
}

// is fails unless the answer is 200 with a JSON value.
func (r reply) is(want string) {
	r.tb.Helper()
	r.wants(http.StatusOK)
	r.same(want)
}

// same fails unless the body is a JSON value. The text "*" stands for any one.
func (r reply) same(want string) {
	r.tb.Helper()
	var got, expected any
	r.json(&got)
	if err := json.Unmarshal([]byte(want), &expected); err != nil {
		r.tb.Fatalf("%s: %v", want, err)
	}
	wild := cmp.FilterValues(func(a, b any) bool { return a == any("*") || b == any("*") }, cmp.Ignore())
	if diff := cmp.Diff(expected, got, wild); diff != "" {
		r.tb.Errorf("%s: %s", r.what, diff)
	}
}

// names returns the values of a field in a list of objects.
func (r reply) names(field string) []string {
	r.tb.Helper()
	var list []map[string]any
	r.wants(http.StatusOK).json(&list)
	out := []string{}
	for _, item := range list {
		out = append(out, item[field].(string))
	}
	return out
}

// images knows what the tests tell it of images, by path; all others are good.
type images struct {
	mu    sync.Mutex
	facts map[string]bos.BootSetFacts
	asked []string
	// hold, if it is set, is waited for by each question; held tells of that.
	hold, held chan struct{}
}

func newImages() *images { return &images{facts: map[string]bos.BootSetFacts{}} }

// goodFacts are those of an image that can be booted.
func goodFacts() bos.BootSetFacts {
	m, err := bos.ParseManifest([]byte(`{"artifacts":[
		{"type":"application/vnd.cray.image.kernel","link":{"path":"s3://b/k"}},
		{"type":"application/vnd.cray.image.initrd","link":{"path":"s3://b/i"}}]}`))
	return bos.BootSetFacts{Manifest: m, ManifestErr: err, Image: bos.ImageFacts{Arch: "x86_64"}}
}

func (i *images) set(path string, facts bos.BootSetFacts) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.facts[path] = facts
}

func (i *images) Resolve(_ context.Context, set bos.BootSet) (bos.BootSet, error) {
	switch id := set.IMSImageID.Value(); id {
	case "":
		return set, nil
	case "away":
		return set, bos.Unavailable("ims", errors.New("connection refused"))
	case "none":
		return set, bos.Errorf(bos.CodeInvalid, "ims_image_id: the IMS image '%s' does not exist", id)
	default:
		return set.WithImage(bos.ImageLink{Path: "s3://boot-images/" + id + "/manifest.json", ETag: "e1"})
	}
}

func (i *images) Facts(ctx context.Context, set *bos.BootSet) bos.BootSetFacts {
	i.mu.Lock()
	i.asked = append(i.asked, set.Path)
	facts, ok := i.facts[set.Path]
	hold := i.hold
	i.mu.Unlock()
	if hold != nil {
		i.held <- struct{}{}
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	if !ok {
		return goodFacts()
	}
	return facts
}

// tenants knows tenant-a (a1, a2, shared prefix a), tenant-b (b1, b2) and
// tenant-empty, and fails as the test says.
type tenants struct {
	mu    sync.Mutex
	nodes map[string][]string
	err   error
}

func newTenants() *tenants {
	return &tenants{nodes: map[string][]string{
		"tenant-a": {"a1", "a2", "a3"}, "tenant-b": {"b1", "b2"}, "tenant-empty": {},
	}}
}

func (t *tenants) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = err
}

func (t *tenants) Cached(_ context.Context, name string) ([]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return nil, t.err
	}
	nodes, ok := t.nodes[name]
	if !ok {
		return nil, bos.Errorf(bos.CodeNotFound, "there is no tenant '%s'", name)
	}
	return nodes, nil
}

// lockedBuffer takes what is logged.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// bootSet is a boot set that can be booted, as JSON.
const bootSet = `{"type":"s3","path":"s3://b/img/m.json","node_list":["x1c0s0b0n0"]}`

// template makes a template of one boot set.
func (s *site) template(name string) {
	s.tb.Helper()
	s.do("PUT", "/v2/sessiontemplates/"+name, `{"boot_sets":{"c":`+bootSet+`}}`).wants(http.StatusOK)
}

// session makes a session of template t.
func (s *site) session(name string) {
	s.tb.Helper()
	s.do("POST", "/v2/sessions", `{"operation":"boot","template_name":"t","name":"`+name+`"}`).wants(http.StatusCreated)
}

// fixed returns a clock that stands still.
func fixed(text string) func() time.Time {
	at, err := time.Parse(time.RFC3339, text)
	return func() time.Time {
		if err != nil {
			panic(err)
		}
		return at
	}
}

// notReadyView is a view that nobody feeds.
func notReadyView() *view.View { return view.New(clock.New(1), slog.New(slog.DiscardHandler)) }

// tillScript is how long nodes take here from being switched on to their boot
// script.
const tillScript = 83 * time.Second

// explainer explains components from what the store knows; nodes that were
// switched on have fetched their boot scripts.
func explainer(v *view.View, now func() time.Time) func(context.Context, *bos.Record, *bos.SessionRecord) bos.Why {
	return func(_ context.Context, rec *bos.Record, session *bos.SessionRecord) bos.Why {
		in := decide.WhyInput{Record: rec, Session: session, Options: v.Options(), Now: rec.Sealed.ActionAt, Wall: now()}
		acted, err := bos.ParseTimestamp(rec.Component.LastAction.Value().LastUpdated.Value())
		if ago := in.Wall.Sub(acted); err == nil && ago > tillScript {
			in.Now = in.Now.Add(ago)
			in.Script = decide.BootScript{Asked: decide.AsksScript(rec), At: acted.Add(tillScript)}
		}
		return decide.Why(in)
	}
}
