// SPDX-License-Identifier: MIT

// Package app is the one place where everything meets: it opens the store,
// feeds the view, reaches the services, runs the operators and serves the API,
// as the configuration says, in programs and in tests.
//
// The life of a request: the server here → package api, which checks it and
// writes to the store → the watch → the view, from which the answer comes. The
// life of a node: a session in the store → the view → the operators, which have
// package decide decide, record what they are about to do, and call the
// services → the observers and the node's own report → the view.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bos/internal/admission"
	"bos/internal/clock"
	"bos/internal/config"
	"bos/internal/events"
	"bos/internal/operator"
	"bos/internal/sim"
	"bos/internal/snapshot"
	"bos/internal/store"
	"bos/internal/tracing"
	"bos/internal/view"
)

// Options are what the configuration does not say.
type Options struct {
	// Log takes everything; nil logs nothing. Level, if it is set, is moved by
	// the option logging_level.
	Log   *slog.Logger
	Level *slog.LevelVar
	// Version is shown in the metrics.
	Version string
	// ThrowAway opens the embedded store without care for its data.
	ThrowAway bool
	// Tracing makes traces; nil makes none. Its owner closes it.
	Tracing *tracing.Tracing
	// NoAPI serves no API: the process runs operators, and serves metrics and
	// probes if the configuration says where.
	NoAPI bool
	// Site is a simulated site to use in place of the configured one; its owner
	// closes it.
	Site *sim.Site

	// Engine is a store to use in place of the configured one; Stop closes it.
	// Holder is the name of this process in its elections.
	Engine store.Engine
	Holder string
	// Transport carries the calls to all services; nil makes one for each.
	Transport http.RoundTripper
	// Wall is this machine's wall clock; nil means time.Now.
	Wall func() time.Time
	// NoListen serves the API on no socket, but by Handler alone.
	NoListen bool
}

// App is a running BOS. It must be stopped.
type App struct {
	cfg  *config.Config
	opts Options
	log  *slog.Logger

	store    *store.Store
	view     *view.View
	clock    *clock.Clock
	site     *sim.Site
	ownsSite bool
	services *services
	metrics  *metrics
	operated *operator.Deps
	events   *events.Recorder
	// closing is closed when the app begins to stop.
	closing <-chan struct{}
	// schedule makes copies of the store; nil makes none.
	schedule *snapshot.Schedule

	handler http.Handler
	// serving is the handler that answers at the moment.
	serving  atomic.Pointer[http.Handler]
	listener net.Listener
	bounded  *admission.Listener
	server   *http.Server
	guard    guard

	// retire ends the operators, cancel everything.
	retire, cancel context.CancelFunc
	running        sync.WaitGroup
	// failed gets why the app can't go on.
	failed chan error
}

// Start brings a BOS up: when it returns, the API answers and the operators
// stand for their roles. A store that is away is waited for, for as long as ctx
// lasts; the API says so meanwhile.
func Start(ctx context.Context, cfg *config.Config, opts Options) (*App, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	a := &App{cfg: cfg, opts: opts, log: opts.Log, site: opts.Site, failed: make(chan error, 1)}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	operate, retire := context.WithCancel(run)
	a.cancel, a.retire, a.closing = cancel, retire, operate.Done()
	if err := a.start(ctx, run, operate); err != nil {
		return nil, errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	}
	return a, nil
}

func (a *App) start(ctx, run, operate context.Context) error {
	var err error
	rate := 1.0
	if a.cfg.Simulate > 0 && a.site == nil {
		if err := a.startSite(); err != nil {
			return err
		}
	}
	if a.site != nil {
		rate = 1 / a.cfg.TimeScale
	}
	a.clock = clock.New(rate)
	if a.serves() {
		if err := a.prepareGuard(); err != nil {
			return err
		}
	}
	if a.serves() && !a.opts.NoListen {
		if err := a.listen(run); err != nil {
			return err
		}
	}
	var holder string
	a.store, holder, err = a.openStore(ctx, run)
	if err != nil {
		return err
	}
	err = a.patiently(ctx, func() error {
		_, err := a.store.Prepare(ctx, time.Now(), a.cfg.Cluster.Upgraded)
		return err
	})
	if err != nil {
		return fmt.Errorf("prepare the store: %w", err)
	}
	a.view = view.New(a.clock, a.log)
	a.running.Go(func() {
		if err := a.view.Run(run, a.store); err != nil && run.Err() == nil {
			a.fail(fmt.Errorf("feed the view: %w", err))
		}
	})
	select {
	case <-a.view.Ready():
	case err := <-a.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
	a.events = events.New(a.store, a.log, a.opts.Wall)
	a.running.Go(func() { a.events.Run(run) })
	a.metrics = newMetrics(a)
	if a.services, err = newServices(a); err != nil {
		return err
	}
	a.followOptions(run)
	a.copies(run)
	a.running.Go(func() { a.metrics.follow(run) })
	a.operated = a.deps(holder)
	a.running.Go(func() { operator.KeepClock(operate, a.operated) })
	if names := a.cfg.OperatorNames(); len(names) > 0 {
		a.running.Go(func() {
			if err := operator.Run(operate, a.operated, names); err != nil && operate.Err() == nil {
				a.fail(err)
			}
		})
	}
	if !a.serves() {
		return nil
	}
	if a.handler, err = a.newHandler(); err != nil {
		return fmt.Errorf("make the API: %w", err)
	}
	if !a.opts.NoListen {
		a.serve(run)
	}
	return nil
}

// fail ends the app because of an error that nothing in it can mend.
func (a *App) fail(err error) {
	select {
	case a.failed <- err:
	default:
	}
}

// Failed gets an error if the app can't go on; its owner stops it then.
func (a *App) Failed() <-chan error { return a.failed }

// serves reports whether there is an HTTP server.
func (a *App) serves() bool { return !a.opts.NoAPI || a.cfg.MetricsListen != "" }

// Handler returns the handler of the API, or of metrics and probes where there is
// none; nil if nothing is served.
func (a *App) Handler() http.Handler { return a.handler }

// wall returns what this machine's wall clock shows.
func (a *App) wall() time.Time {
	if a.opts.Wall == nil {
		return time.Now()
	}
	return a.opts.Wall()
}

// Addr returns the address that is listened on; "" if there is none.
func (a *App) Addr() string {
	if a.listener == nil {
		return ""
	}
	return a.listener.Addr().String()
}

// URL returns the API's base URL, with its prefix.
func (a *App) URL() string {
	scheme := "http://"
	if a.cfg.TLS() {
		scheme = "https://"
	}
	return scheme + a.Addr() + a.cfg.Prefix
}

// Dashboard returns the address of the dashboard.
func (a *App) Dashboard() string { return a.URL() + "/ui/" }

// View returns the app's view of the fleet.
func (a *App) View() *view.View { return a.view }

// Store returns the app's store.
func (a *App) Store() *store.Store { return a.store }

// Clock returns the fleet's clock.
func (a *App) Clock() *clock.Clock { return a.clock }

// Site returns the simulated site that the app uses; nil for a real one.
func (a *App) Site() *sim.Site { return a.site }

// Registry returns the app's metrics.
func (a *App) Registry() *prometheus.Registry { return a.metrics.registry }

// Stop ends everything: operators give their roles up, after a moment to finish
// what they have begun, while requests under way get the shutdown time. It
// returns when nothing of the app is running any more.
func (a *App) Stop(ctx context.Context) error {
	var faults []error
	if a.store != nil {
		// First of all, so that those who take over meet a leader that stays.
		if engine, ok := a.store.Engine.(interface{ Drain() }); ok {
			engine.Drain()
		}
	}
	a.retire()
	if a.server != nil {
		sctx, cancel := context.WithTimeout(ctx, a.cfg.ShutdownTimeout)
		if err := a.server.Shutdown(sctx); err != nil {
			faults = append(faults, a.server.Close())
		}
		cancel()
	}
	a.cancel()
	a.running.Wait()
	if err := a.guard.close(); err != nil {
		faults = append(faults, err)
	}
	if a.services != nil {
		a.services.close()
	}
	if a.store != nil {
		if err := a.store.Close(); err != nil {
			faults = append(faults, fmt.Errorf("close the store: %w", err))
		}
	}
	if a.ownsSite {
		a.site.Close()
	}
	return errors.Join(faults...)
}

// followOptions keeps what depends on live options in step with them.
func (a *App) followOptions(ctx context.Context) {
	feed := a.view.Subscribe(view.Interest{Options: true})
	a.running.Go(func() {
		defer feed.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case <-feed.C():
			}
			feed.Take()
			if a.opts.Level == nil {
				continue
			}
			if level := a.view.Options().LogLevel(); level != a.opts.Level.Level() {
				a.opts.Level.Set(level)
				a.log.Log(ctx, level, "the log level changed", slog.String("level", level.String()))
			}
		}
	})
}

// copies makes copies of the store from time to time, if that is configured.
func (a *App) copies(ctx context.Context) {
	c := a.cfg.Snapshots
	if c.Dir == "" || a.opts.NoAPI {
		return
	}
	a.schedule = &snapshot.Schedule{Store: a.store, Dir: c.Dir, Every: c.Every, Keep: c.Keep, Log: a.log}
	a.running.Go(func() { a.schedule.Run(ctx) })
}

// startSite starts a simulated site of the app's own.
func (a *App) startSite() error {
	a.site = sim.New(sim.Config{
		Nodes: a.cfg.Simulate, Seed: a.cfg.Seed, TimeScale: a.cfg.TimeScale, Faults: a.cfg.Faults, Logger: a.log,
	})
	if err := a.site.Start(); err != nil {
		a.site = nil
		return fmt.Errorf("start the simulated site: %w", err)
	}
	a.ownsSite = true
	for _, image := range a.site.Images() {
		a.log.Info("simulated image",
			slog.String("name", image.Name), slog.String("arch", image.Arch), slog.String("path", image.ManifestPath))
	}
	return nil
}
