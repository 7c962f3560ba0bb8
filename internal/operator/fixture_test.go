// SPDX-License-Identifier: MIT

package operator_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/decide"
	"bos/internal/observe"
	"bos/internal/operator"
	"bos/internal/store"
	"bos/internal/store/mem"
	"bos/internal/upstream/call"
	"bos/internal/upstream/cfs"
	"bos/internal/upstream/pcs"
	"bos/internal/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// images is what boot sets boot: the path of a boot set is its image.
type images struct {
	mu   sync.Mutex
	fail error
}

func (i *images) set(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fail = err
}

// Target implements operator.Images.
func (i *images) Target(_ context.Context, t *bos.Template, set *bos.BootSet, _ string) (bos.Target, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fail != nil {
		return bos.Target{}, i.fail
	}
	return bos.Target{
		BootArtifacts: bos.BootArtifacts{
			Kernel: bos.Some(set.Path + "/kernel"), Initrd: bos.Some(set.Path + "/initrd"),
			KernelParameters: bos.Some(strings.TrimSpace("quiet " + set.KernelParameters.Value())),
		},
		Configuration: t.ConfigurationFor(set),
	}, nil
}

// commits fails every commit after some: a process that dies between two steps.
type commits struct {
	*mem.Engine
	mu   sync.Mutex
	left int
	// takes is how long each takes.
	takes time.Duration
}

func (c *commits) slow(takes time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takes = takes
}

// failAfter lets so many commits pass; a negative number lets all.
func (c *commits) failAfter(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = n
}

// Commit implements store.Engine.
func (c *commits) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	c.mu.Lock()
	left, takes := c.left, c.takes
	if left > 0 {
		c.left--
	}
	c.mu.Unlock()
	if left == 0 {
		return 0, bos.Unavailable("store", errDown)
	}
	time.Sleep(takes)
	return c.Engine.Commit(ctx, txn)
}

// fixture is BOS without its API, on a store in memory, and a world around it.
type fixture struct {
	t       *testing.T
	world   *world
	engine  *mem.Engine
	commits *commits
	store   *store.Store
	view    *view.View
	clock   *clock.Clock
	images  *images
	stopAll func()
	stopOps func()
}

// inVirtualTime runs a test in a bubble with a world of some nodes.
func inVirtualTime(t *testing.T, ids []string, test func(f *fixture)) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{t: t, world: newWorld(ids...), engine: mem.New(), clock: clock.New(1), images: &images{}}
		f.commits = &commits{Engine: f.engine, left: -1}
		f.store = store.New(f.commits)
		f.view = view.New(f.clock, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { _ = f.view.Run(ctx, f.store) })
		<-f.view.Ready()
		f.world.report = f.report
		f.addNodes(ids)
		f.stopAll = func() {
			if f.stopOps != nil {
				f.stopOps()
			}
			cancel()
			running.Wait()
			if err := f.store.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		test(f)
		f.stopAll()
		// Timers of the world may still be pending; they touch nothing of ours.
		f.world.set(func(w *world) { w.report = func(string, string) {} })
	})
}

// start runs operators until the returned function is called.
func (f *fixture) start(names ...string) (stop func()) {
	f.t.Helper()
	if len(names) == 0 {
		names = decide.Roles()
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	deps := f.deps()
	go func() {
		defer close(done)
		_ = operator.Run(ctx, deps, names)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	f.stopOps = stop
	return stop
}

func (f *fixture) deps() *operator.Deps {
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(f.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	slowest := func() time.Duration { return f.view.Options().Polling() }
	return &operator.Deps{
		Store: f.store, View: f.view, Clock: f.clock, HSM: f.world, PCS: f.world, BSS: f.world, CFS: f.world, IMS: f.world,
		Images: f.images, Holder: "test", Log: log,
		Power: observe.New(observe.Config[decide.Power]{
			Service: decide.ServicePCS, Chunk: 1000, Revision: f.view.Revision, Slowest: slowest, Clock: f.clock, Log: log,
			Fetch: func(ctx context.Context, ids []string) (map[string]decide.Power, error) {
				list, err := f.world.PowerStatus(ctx, ids)
				return convert(list, func(p pcs.Power) decide.Power {
					return decide.Power{Found: p.Found, State: p.State, Error: p.Error}
				}), err
			},
		}),
		Config: observe.New(observe.Config[decide.Config]{
			Service: decide.ServiceCFS, Chunk: 200, Revision: f.view.Revision, Slowest: slowest, Clock: f.clock, Log: log,
			Fetch: func(ctx context.Context, ids []string) (map[string]decide.Config, error) {
				list, err := f.world.Components(ctx, ids)
				return convert(list, func(c cfs.Component) decide.Config {
					return decide.Config{Found: true, Desired: c.DesiredConfig, Status: c.ConfigurationStatus}
				}), err
			},
		}),
	}
}

func convert[A, B any](in map[string]A, f func(A) B) map[string]B {
	out := make(map[string]B, len(in))
	for id, a := range in {
		out[id] = f(a)
	}
	return out
}

func (f *fixture) write() bos.Write {
	return bos.Write{Now: time.Now(), Instant: f.clock.Now(), Tokens: f.view.Token}
}

func (f *fixture) addNodes(ids []string) {
	f.t.Helper()
	f.change(ids, func(id string, _ *bos.Record) bos.Record { return f.write().Put(nil, bos.Discovered(id)) })
}

// change writes components as a client does.
func (f *fixture) change(ids []string, change func(id string, old *bos.Record) bos.Record) {
	f.t.Helper()
	result, err := f.store.UpdateRecords(context.Background(), store.RecordUpdate{
		IDs: ids,
		Change: func(id string, old *bos.Record) (*bos.Record, error) {
			rec := change(id, old)
			return &rec, nil
		},
	})
	if err != nil {
		f.t.Fatalf("write components: %v", err)
	}
	if err := f.view.WaitFor(context.Background(), result.Revision); err != nil {
		f.t.Fatalf("view: %v", err)
	}
}

// report is a node's PATCH of its own component.
func (f *fixture) report(id, token string) {
	f.change([]string{id}, func(_ string, old *bos.Record) bos.Record {
		return f.write().Patch(*old, bos.Component{ActualState: bos.Some(bos.ActualState{BSSToken: bos.Some(token)})})
	})
}

// template stores a session template with one boot set.
func (f *fixture) template(name, image, configuration string, nodes []string) {
	f.t.Helper()
	set := bos.BootSet{Type: "s3", Path: image, NodeList: bos.Some(nodes)}
	t := bos.Template{CFS: bos.Some(bos.CFS{Configuration: bos.Some(configuration)})}
	t.BootSets.Set("compute", set)
	f.put(store.TemplateKey(bos.TemplateKey{Name: name}), bos.TemplateRecord{Template: t.Sanitize(name, "")})
}

func (f *fixture) put(key string, doc any) {
	f.t.Helper()
	revision, err := f.store.PutDoc(context.Background(), key, doc, nil)
	if err != nil {
		f.t.Fatalf("put %s: %v", key, err)
	}
	if err := f.view.WaitFor(context.Background(), revision); err != nil {
		f.t.Fatalf("view: %v", err)
	}
}

// session stores a pending session.
func (f *fixture) session(name, template string, op bos.Operation, edit ...func(*bos.SessionCreate)) {
	f.t.Helper()
	create := bos.SessionCreate{Name: name, TemplateName: template, Operation: op}
	for _, e := range edit {
		e(&create)
	}
	f.put(store.SessionKey(bos.SessionKey{Name: name}), bos.NewSession(create, "", "uid-"+name, time.Now()))
}

func (f *fixture) state(session string) bos.SessionRecord {
	f.t.Helper()
	s, ok := f.view.Session(bos.SessionKey{Name: session})
	if !ok {
		f.t.Fatalf("there is no session %q", session)
	}
	return *s
}

// complete waits in virtual time until a session is complete.
func (f *fixture) complete(session string, within time.Duration) {
	f.t.Helper()
	begun := time.Now()
	for f.state(session).Session.Status.Status != bos.SessionComplete {
		if time.Since(begun) > within {
			f.t.Fatalf("session %q is %s after %s:\n%s", session, f.state(session).Session.Status.Status, within, f.dump())
		}
		f.wait(time.Second)
	}
}

// wait lets virtual time pass.
func (f *fixture) wait(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

func (f *fixture) dump() string {
	var b strings.Builder
	for _, n := range f.view.Components(view.Filter{}) {
		fmt.Fprintf(&b, "%s %s\n   sealed %+v\n   %v\n", n.Status, n.AppendJSON(nil), n.Record.Sealed, f.world.of(n.ID()))
	}
	return b.String()
}

func (f *fixture) node(id string) *bos.Component {
	f.t.Helper()
	rec := f.view.Record(id)
	if rec == nil {
		f.t.Fatalf("there is no component %q", id)
	}
	return &rec.Component
}

func (f *fixture) options(change func(*bos.Options)) {
	f.t.Helper()
	o := f.view.Options()
	change(&o)
	f.put(store.KeyOptions, o)
}

var _ operator.Service = (*call.Service)(nil)
