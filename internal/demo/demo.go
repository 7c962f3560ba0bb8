// SPDX-License-Identifier: MIT

// Package demo shows BOS doing its main job, in one process: an embedded store
// in a temporary folder, the API, all operators, and a simulated site behind
// real HTTP. As a client of the API it puts session templates, boots every
// node, reboots all into another image with another configuration, and shuts
// them down; faults can be injected into nodes, and what BOS reports of each is
// held against what was injected.
//
// What is decided and computed is in pure functions ([Deal], [CouldSucceed],
// the judging of outcomes); [Demo] does the work and tells a [Progress] to
// whoever shows it.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"bos/internal/app"
	"bos/internal/client"
	"bos/internal/config"
	"bos/internal/sim"
	"bos/internal/store"
)

// Config says what is demonstrated.
type Config struct {
	// Nodes is the number of simulated compute nodes, from 1.
	Nodes int
	// Seed decides every random choice of the site and which nodes are broken.
	Seed uint64
	// TimeScale multiplies all times of the simulated site; above 0, at most 1.
	TimeScale float64
	Faults    sim.FaultLevel
	// Log takes what the service and the site log; nil drops it. Level is moved
	// by the option logging_level; it may be nil.
	Log     *slog.Logger
	Level   *slog.LevelVar
	Version string
	// Show is told of everything that changes; it must not keep the caller
	// waiting. Nil is nobody.
	Show func(Progress)

	// wire replaces sockets and files, for tests in virtual time.
	wire *wire
}

// wire is a store, and a way to the handler of the API.
type wire struct {
	engine    store.Engine
	transport func(http.Handler) http.RoundTripper
}

// Demo is a running demonstration. It must be closed.
type Demo struct {
	cfg    Config
	log    *slog.Logger
	dir    string
	site   *sim.Site
	app    *app.App
	client *client.Client
	nodes  []string
	images []sim.Image
	waits  waits
	// faults are those that were injected, by node.
	faults   map[string]sim.Fault
	progress Progress
	// begun is when the start began.
	begun time.Time
}

// clientTimeout bounds the wait for an answer of the API.
const clientTimeout = 30 * time.Second

// Start brings a site and a BOS for it up. ctx bounds the start only.
func Start(ctx context.Context, cfg Config) (*Demo, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	d := &Demo{cfg: cfg, log: cfg.Log}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Demo) start(ctx context.Context) error {
	begun := time.Now()
	settings := config.Demo()
	settings.Listen, settings.TimeScale = "127.0.0.1:0", d.cfg.TimeScale
	d.site = sim.New(sim.Config{Nodes: d.cfg.Nodes, Seed: d.cfg.Seed, TimeScale: d.cfg.TimeScale, Logger: d.log})
	d.nodes, d.images = d.site.Nodes(), d.site.Images()
	opts := app.Options{Log: d.log, Level: d.cfg.Level, Version: d.cfg.Version, ThrowAway: true, Site: d.site}
	var err error
	if w := d.cfg.wire; w != nil {
		opts.Engine, opts.Holder, opts.Transport, opts.NoListen = w.engine, "demo", d.site.Transport(), true
	} else {
		if d.dir, err = os.MkdirTemp("", "bosd-demo-"); err != nil {
			return fmt.Errorf("make a folder for the store: %w", err)
		}
		settings.DataDir = d.dir
		if err := d.site.Start(); err != nil {
			return fmt.Errorf("start the simulated site: %w", err)
		}
	}
	if d.app, err = app.Start(ctx, settings, opts); err != nil {
		return err
	}
	reach := client.Config{URL: d.app.URL(), Timeout: clientTimeout, UserAgent: "bosd-demo/" + d.cfg.Version}
	if w := d.cfg.wire; w != nil {
		reach.URL, reach.Transport = "http://bos"+settings.Prefix, w.transport(d.app.Handler())
		d.site.SetBOS(reach.URL, &http.Client{Transport: reach.Transport})
	}
	if d.client, err = client.New(reach); err != nil {
		return err
	}
	d.progress = newProgress(d.cfg, reach.URL, d.images)
	d.begun = begun
	return nil
}

// URL returns the base URL of the API that is demonstrated.
func (d *Demo) URL() string { return d.app.URL() }

// Dashboard returns the address of the dashboard.
func (d *Demo) Dashboard() string { return d.app.Dashboard() }

// Failed gets an error if the service can't go on.
func (d *Demo) Failed() <-chan error { return d.app.Failed() }

// Close ends everything and removes the store.
func (d *Demo) Close() error {
	var faults []error
	if d.client != nil {
		d.client.Close()
	}
	if d.app != nil {
		faults = append(faults, d.app.Stop(context.Background()))
	}
	if d.site != nil {
		d.site.Close()
	}
	if d.dir != "" {
		faults = append(faults, os.RemoveAll(d.dir))
	}
	return errors.Join(faults...)
}

// show tells of the progress so far. What it holds is not changed afterwards.
func (d *Demo) show(change func(p *Progress)) {
	p := d.progress.clone()
	change(&p)
	d.progress = p
	if d.cfg.Show != nil {
		d.cfg.Show(p)
	}
}

// Run carries the demonstration out. The report is complete only without an
// error; nodes that fail are none.
func (d *Demo) Run(ctx context.Context) (Report, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-d.app.Failed():
			cancel(err)
		case <-ctx.Done():
		}
	}()
	report, err := d.run(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return report, err
}

func (d *Demo) run(ctx context.Context) (Report, error) {
	report := Report{Nodes: d.cfg.Nodes}
	d.show(func(p *Progress) { p.Doing = "waiting until BOS has discovered all nodes" })
	if err := d.discovered(ctx); err != nil {
		return report, err
	}
	d.waits = waitsFor(d.cfg, time.Since(d.begun))
	if err := d.setOptions(ctx); err != nil {
		return report, err
	}
	if err := d.putTemplates(ctx); err != nil {
		return report, err
	}
	if err := d.inject(ctx); err != nil {
		return report, err
	}
	for i, s := range d.steps() {
		if i > 0 {
			if err := d.unlocked(ctx); err != nil {
				return report, err
			}
		}
		result, err := d.carryOut(ctx, i, s)
		if err != nil {
			return report, fmt.Errorf("%s: %w", s.operation, err)
		}
		report.Operations = append(report.Operations, result)
	}
	d.show(func(p *Progress) { p.Doing, p.Over = "", true })
	report.Violations = d.site.Violations()
	report.Faults = reported(d.faults, report.Operations)
	return report, nil
}

// inject breaks the nodes that are to be broken. What PCS must have noticed
// before the first operation comes first, who holds a node last.
func (d *Demo) inject(ctx context.Context) error {
	dealt := Deal(d.nodes, d.cfg.Faults, d.cfg.Seed, d.waits.held)
	if len(dealt) == 0 {
		return nil
	}
	d.show(func(p *Progress) {
		p.Doing = fmt.Sprintf("breaking %d nodes, and waiting until PCS has looked at all", len(dealt))
	})
	held := func(in Injection) bool { return in.Fault.Kind == sim.FaultLocked || in.Fault.Kind == sim.FaultReserved }
	if err := d.breakNodes(dealt, func(in Injection) bool { return !held(in) }); err != nil {
		return err
	}
	for before := d.site.Stats().Sweeps; d.site.Stats().Sweeps < before+sweepsToSee; {
		if err := pause(ctx, shortestPause); err != nil {
			return err
		}
	}
	if err := d.breakNodes(dealt, held); err != nil {
		return err
	}
	d.faults = d.site.InjectedFaults()
	return nil
}

// sweepsToSee is how many sweeps of PCS must end until one has begun and ended.
const sweepsToSee = 2

func (d *Demo) breakNodes(dealt []Injection, which func(Injection) bool) error {
	for _, in := range dealt {
		if !which(in) {
			continue
		}
		if err := d.site.Inject(in.Node, in.Fault); err != nil {
			return err
		}
	}
	return nil
}

// unlocked waits until nobody holds a node any more: after the first operation
// all that are not broken otherwise belong to each.
func (d *Demo) unlocked(ctx context.Context) error {
	for first := true; ; first = false {
		c := d.site.Counts()
		if c.Locked == 0 {
			return nil
		}
		if first {
			d.show(func(p *Progress) { p.Doing = fmt.Sprintf("waiting until %d locked nodes are released", c.Locked) })
		}
		if err := pause(ctx, shortestPause); err != nil {
			return err
		}
	}
}
