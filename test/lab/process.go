// SPDX-License-Identifier: MIT

package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"bos/internal/app"
	"bos/internal/bos"
	"bos/internal/config"
	"bos/internal/store"
)

// leaseTime is how long a role stays taken after its leader has died or stopped
// moving.
const leaseTime = 10 * time.Second

// errDead is what a process gets that has died: it can't know any more.
var errDead = errors.New("the process is dead")

// Process is one BOS of a [Lab] in virtual time. Everything that it does to the
// world goes through it, so that it can be stopped between any two effects.
type Process struct {
	lab  *Lab
	name string
	app  *app.App
	// ahead is how far its machine's wall clock is ahead of time.
	ahead atomic.Int64
	// level is that of its log, as the option logging_level moves it.
	level *slog.LevelVar
	// started is closed once app is set, dead once nothing gets through any
	// more.
	started, dead chan struct{}
	running       sync.WaitGroup

	mu   sync.Mutex
	gone bool
	// until is the end of a pause.
	until time.Time
	// fuse is how many more effects it lives for, negative for ever; early says
	// that it dies before the last one happens.
	fuse  int
	early bool
	// hook runs before an effect that is so many after the next one.
	hook    func()
	hookIn  int
	leading map[store.Leadership]struct{}
}

// StartProcess starts one more BOS, with all operators or the named ones.
func (l *Lab) StartProcess(operators ...string) *Process {
	l.t.Helper()
	l.mu.Lock()
	l.numbered++
	p := &Process{
		lab: l, name: fmt.Sprintf("bos-%d", l.numbered), started: make(chan struct{}), dead: make(chan struct{}), fuse: -1,
		leading: map[store.Leadership]struct{}{}, level: &slog.LevelVar{},
	}
	l.all = append(l.all, p)
	l.mu.Unlock()
	cfg := config.Default()
	cfg.TimeScale = 1
	if l.edit != nil {
		l.edit(cfg)
	}
	if len(operators) > 0 {
		cfg.Operators = operators
	}
	if l.edit != nil {
		l.edit(cfg)
	}
	a, err := app.Start(context.Background(), cfg, app.Options{
		Log: l.log.With("process", p.name), Level: p.level, Site: l.Site, NoListen: true,
		Engine: &engine{p, l.Engine}, Holder: p.name, Transport: transport{p, l.Site.Transport()}, Wall: p.wall,
	})
	if err != nil {
		l.t.Fatalf("start a process: %v", err)
	}
	p.app = a
	close(p.started)
	return p
}

// SetWall sets the wall clock of the process's machine so far ahead of time;
// negative is behind.
func (p *Process) SetWall(ahead time.Duration) { p.ahead.Store(int64(ahead)) }

func (p *Process) wall() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) }

// Level returns the level of the process's log.
func (p *Process) Level() slog.Level { return p.level.Level() }

// App is the process's BOS.
func (p *Process) App() *app.App { return p.app }

// Dead reports whether the process died, by its fuse as well.
func (p *Process) Dead() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

// Stop ends the process with grace, if it still lives, and waits for its end.
func (p *Process) Stop() {
	p.lab.t.Helper()
	p.mu.Lock()
	gone := p.gone
	p.mu.Unlock()
	if !gone {
		if err := p.app.Stop(context.Background()); err != nil {
			p.lab.t.Errorf("stop %s: %v", p.name, err)
		}
		p.Crash()
	}
	p.running.Wait()
}

// Crash ends the process without any grace: from now on nothing that it does
// reaches the store or a service, nothing that they answer reaches it, and its
// roles are free when its lease has run out.
func (p *Process) Crash() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.die()
}

// CrashAfter has the process die of an effect after so many others: before it
// happens, or before the process learns that it did.
func (p *Process) CrashAfter(effects int, before bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fuse, p.early = effects, before
}

// At has something happen right before an effect of the process that is so many
// after the next one.
func (p *Process) At(effects int, do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook, p.hookIn = do, effects
}

// Pause keeps the process from writing to the store for a while, as if its
// machine stood still. Its roles are free when its lease has run out.
func (p *Process) Pause(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Now().Add(d)
	if d > leaseTime {
		p.loseRoles()
	}
}

// die is called with the lock held.
func (p *Process) die() {
	if p.gone {
		return
	}
	p.gone = true
	close(p.dead)
	p.loseRoles()
	p.running.Go(func() {
		<-p.started
		// It only has to end; whatever it still does leads to nothing.
		_ = p.app.Stop(context.Background())
	})
}

// loseRoles has the lease run out of what the process leads now.
func (p *Process) loseRoles() {
	for l := range p.leading {
		time.AfterFunc(leaseTime, func() { _ = l.Resign(context.Background()) })
	}
	clear(p.leading)
}

// pause waits for the end of a pause. It is what a write to the store does and a
// call of a service does not: between its last check and its call nothing keeps
// a process that stops right there from being late.
func (p *Process) pause() {
	p.mu.Lock()
	wait := time.Until(p.until)
	p.mu.Unlock()
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.dead:
	}
}

// effect makes one effect happen, unless the process is dead or dies of it.
func (p *Process) effect(do func()) error {
	p.mu.Lock()
	if hook := p.hook; hook != nil {
		if p.hookIn--; p.hookIn < 0 {
			p.hook = nil
			p.mu.Unlock()
			hook()
			p.mu.Lock()
		}
	}
	last := p.fuse == 0
	if p.fuse >= 0 {
		p.fuse--
	}
	if last && p.early {
		p.die()
	}
	if p.gone {
		p.mu.Unlock()
		return errDead
	}
	p.mu.Unlock()
	do()
	if last {
		p.Crash()
	}
	if p.Dead() {
		return errDead
	}
	return nil
}

// engine is the process's way to the store.
type engine struct {
	p     *Process
	inner store.Engine
}

func (e *engine) check() error {
	if e.p.Dead() {
		return bos.Unavailable("store", errDead)
	}
	return nil
}

// Get implements [store.Engine].
func (e *engine) Get(ctx context.Context, key string) (store.KV, error) {
	if err := e.check(); err != nil {
		return store.KV{}, err
	}
	return e.inner.Get(ctx, key)
}

// List implements [store.Engine].
func (e *engine) List(ctx context.Context, prefix string) ([]store.KV, int64, error) {
	if err := e.check(); err != nil {
		return nil, 0, err
	}
	return e.inner.List(ctx, prefix)
}

// Revision implements [store.Engine].
func (e *engine) Revision(ctx context.Context) (int64, error) {
	if err := e.check(); err != nil {
		return 0, err
	}
	return e.inner.Revision(ctx)
}

// Commit implements [store.Engine].
func (e *engine) Commit(ctx context.Context, txn store.Txn) (revision int64, err error) {
	commit := func() {
		e.p.pause()
		revision, err = e.inner.Commit(ctx, txn)
	}
	if len(txn.Ops) == 1 && txn.Ops[0].Key == store.KeyClock {
		// The clock's reading, once a second, is no step of anything.
		if err := e.check(); err != nil {
			return 0, err
		}
		commit()
		return revision, err
	}
	died := e.p.effect(commit)
	if died != nil {
		return 0, bos.Unavailable("store", died)
	}
	return revision, err
}

// Watch implements [store.Engine].
func (e *engine) Watch(ctx context.Context, prefix string, after int64) (store.Watcher, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	return e.inner.Watch(ctx, prefix, after)
}

// Campaign implements [store.Engine].
func (e *engine) Campaign(ctx context.Context, role, holder string) (store.Leadership, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	e.p.running.Go(func() {
		select {
		case <-e.p.dead:
			cancel()
		case <-stop:
		}
	})
	l, err := e.inner.Campaign(ctx, role, holder)
	if err != nil {
		return nil, err
	}
	e.p.mu.Lock()
	defer e.p.mu.Unlock()
	if e.p.gone {
		_ = l.Resign(ctx)
		return nil, bos.Unavailable("store", errDead)
	}
	e.p.leading[l] = struct{}{}
	return leadership{l, e.p}, nil
}

// Close implements [store.Engine]; the store belongs to the lab.
func (e *engine) Close() error { return nil }

type leadership struct {
	store.Leadership
	p *Process
}

// Alive implements [store.Leadership].
func (l leadership) Alive() bool { return !l.p.Dead() && l.Leadership.Alive() }

// Resign implements [store.Leadership].
func (l leadership) Resign(ctx context.Context) error {
	l.p.mu.Lock()
	gone := l.p.gone
	delete(l.p.leading, l.Leadership)
	l.p.mu.Unlock()
	if gone {
		return errDead
	}
	return l.Leadership.Resign(ctx)
}

// transport is the process's way to the services.
type transport struct {
	p     *Process
	inner http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (res *http.Response, err error) {
	call := func() { res, err = t.inner.RoundTrip(r) }
	if asks(r) {
		if t.p.Dead() {
			return nil, errDead
		}
		call()
		return res, err
	}
	if died := t.p.effect(call); died != nil {
		return nil, fmt.Errorf("the connection broke: %w", died)
	}
	return res, err
}

// asks reports whether a request changes nothing, as some that are POSTs.
func asks(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return true
	case http.MethodPost:
		return slices.ContainsFunc([]string{"/power-status", "/State/Components/Query", "/locks/status"}, func(path string) bool {
			return strings.HasSuffix(r.URL.Path, path)
		})
	}
	return false
}

// api is how clients and nodes reach whichever process lives.
type api struct{ lab *Lab }

// RoundTrip implements [http.RoundTripper].
func (a api) RoundTrip(r *http.Request) (*http.Response, error) {
	p := a.lab.alive()
	if p == nil {
		return nil, fmt.Errorf("dial %s: %w", r.URL.Host, syscall.ECONNREFUSED)
	}
	res := record(p.app.Handler(), r)
	if p.Dead() {
		return nil, fmt.Errorf("read from %s: %w", r.URL.Host, syscall.ECONNRESET)
	}
	return res, nil
}
