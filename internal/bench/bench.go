// SPDX-License-Identifier: MIT

// Package bench measures BOS: every kind of work that its users wait for,
// beside what the original took, and beside the limits of the machine in the
// same run. What is measured runs in processes of its own, as it would in
// service. Only this host is measured, every loop is bounded, and the figures
// to trust are ratios: two things that were measured in turn.
package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Config says what to measure.
type Config struct {
	// Nodes are the sizes of the fleets, one after the other.
	Nodes []int
	// Program is bosd, which serves what is measured and what it is compared
	// with.
	Program string
	// Version is shown in the report.
	Version string
	// URL is a service to measure in place of one that is started: its base URL
	// with its prefix, on this host. Its components are overwritten.
	URL string
	// Site is the base URL of the control of the simulated site around that
	// service. Without it no session is run.
	Site string
	// PID is that service's process, for its memory; 0 means that it is not
	// known.
	PID int
	// Dir is where stores are made, and removed again; "" is the system's folder
	// for such things. The raw store and the server's are on the same disk.
	Dir string
	// TimeScale is how much faster than real hardware the simulated one is.
	TimeScale float64
	// Rounds is how often each row is measured.
	Rounds int
	// Calls is how many requests a row of single requests makes in a round.
	Calls int
	// Rows are the rows to measure by their names in the report; none means all.
	Rows []string
	// Progress is told what is being done; nil tells nobody.
	Progress func(text string)
	Log      *slog.Logger
}

// The bounds of a configuration.
const (
	// MaxNodes is the largest fleet that is measured.
	MaxNodes = 200000
	minNodes = 10
	// MaxRounds bounds how often a row is measured.
	MaxRounds = 50
	// MaxCalls bounds the requests of a round.
	MaxCalls = 1000000
)

// Validate reports everything that is wrong at once.
func (c *Config) Validate() error {
	var faults []error
	if len(c.Nodes) == 0 {
		faults = append(faults, errors.New("nodes: at least one size is needed"))
	}
	for _, n := range c.Nodes {
		if n < minNodes || n > MaxNodes {
			faults = append(faults, fmt.Errorf("nodes: must be %d to %d, not %d", minNodes, MaxNodes, n))
		}
	}
	if c.URL != "" {
		if err := loopback(c.URL); err != nil {
			faults = append(faults, fmt.Errorf("url: %w", err))
		}
		if len(c.Nodes) > 1 {
			faults = append(faults, errors.New("nodes: with a url there can be one size only"))
		}
	}
	if c.Site != "" {
		if err := loopback(c.Site); err != nil {
			faults = append(faults, fmt.Errorf("site: %w", err))
		}
	}
	if c.URL == "" && (c.Site != "" || c.PID != 0) {
		faults = append(faults, errors.New("site, pid: these belong to a service at a url"))
	}
	if c.TimeScale <= 0 || c.TimeScale > 1 {
		faults = append(faults, fmt.Errorf("time-scale: must be above 0 and at most 1, not %g", c.TimeScale))
	}
	if c.Rounds < 1 || c.Rounds > MaxRounds {
		faults = append(faults, fmt.Errorf("rounds: must be 1 to %d, not %d", MaxRounds, c.Rounds))
	}
	if c.Calls < 1 || c.Calls > MaxCalls {
		faults = append(faults, fmt.Errorf("calls: must be 1 to %d, not %d", MaxCalls, c.Calls))
	}
	for _, name := range c.Rows {
		if names := rowNames(); !slices.Contains(names, name) {
			faults = append(faults, fmt.Errorf("rows: there is no %q; there are %s", name, strings.Join(names, ", ")))
		}
	}
	return errors.Join(faults...)
}

// wants reports whether one of these rows is to be measured.
func (c *Config) wants(rows ...string) bool {
	return len(c.Rows) == 0 || slices.ContainsFunc(rows, func(name string) bool { return slices.Contains(c.Rows, name) })
}

// Run measures everything. On an error the report holds what was measured
// before.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	report := &Report{
		Began: time.Now(), Program: cfg.Version,
		Machine: fmt.Sprintf("%d CPUs, %s, %s/%s", runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH),
	}
	if err := cfg.Validate(); err != nil {
		return report, err
	}
	var err error
	if report.Original, err = loadOriginal(); err != nil {
		return report, err
	}
	for _, nodes := range cfg.Nodes {
		size, err := measure(ctx, cfg, nodes, report.Original)
		report.Sizes = append(report.Sizes, size)
		if err != nil {
			return report, fmt.Errorf("%d nodes: %w", nodes, err)
		}
	}
	return report, nil
}

// run is the measurement of one size.
type run struct {
	cfg   Config
	nodes int
	dir   string

	// bos is what is measured; site is the control of the simulated site, nil
	// without one; pid is the server's process, 0 if it is not known.
	bos  *target
	site *target
	pid  int
	bare *target
	raw  *rawStore
	// started are the processes to stop, in the order of their start; server is
	// the one that is measured, nil if it was there before.
	started []*process
	server  *process

	ids  []string
	docs docs
	// patched counts the components that were changed one by one.
	patched int
	out     []measured
	size    Size
}

// measure starts what is needed, measures one size and stops it again.
func measure(ctx context.Context, cfg Config, nodes int, original Original) (size Size, err error) {
	r := &run{cfg: cfg, nodes: nodes, size: Size{Nodes: nodes}}
	if r.dir, err = os.MkdirTemp(cfg.Dir, "bosd-bench-"); err != nil {
		return r.size, fmt.Errorf("make a folder: %w", err)
	}
	defer func() {
		if err != nil && r.server != nil {
			err = r.server.fault(err)
		}
		err = errors.Join(err, r.stop(), os.RemoveAll(r.dir))
		size = r.size
		size.Rows = results(nodes, r.out, original)
	}()
	if err := r.start(ctx); err != nil {
		return r.size, err
	}
	if r.site != nil && cfg.wants(rowPostSession, rowRunning, rowFirstOn, rowBoot, rowMemory, rowPeak) {
		if err := r.sessions(ctx); err != nil {
			return r.size, err
		}
	}
	if err := r.fill(ctx); err != nil {
		return r.size, err
	}
	defer func() { err = errors.Join(err, r.clear(context.WithoutCancel(ctx))) }()
	for _, step := range []func(context.Context) error{r.reads, r.writes} {
		if err := step(ctx); err != nil {
			return r.size, err
		}
	}
	return r.size, nil
}

// say tells what is being done.
func (r *run) say(format string, args ...any) {
	r.cfg.Progress(fmt.Sprintf("%s nodes: ", grouped(r.nodes)) + fmt.Sprintf(format, args...))
}

func (r *run) note(format string, args ...any) {
	r.size.Notes = append(r.size.Notes, fmt.Sprintf(format, args...))
}

// stop ends everything that start has started, last first.
func (r *run) stop() error {
	var faults []error
	for _, t := range []*target{r.bos, r.site, r.bare} {
		if t != nil {
			t.close()
		}
	}
	if r.raw != nil {
		faults = append(faults, r.raw.close())
	}
	for i := len(r.started) - 1; i >= 0; i-- {
		faults = append(faults, r.started[i].stop())
	}
	return errors.Join(faults...)
}
