// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"bos/internal/config"
	"bos/internal/demo"
	"bos/internal/version"
)

func (p *program) demo() *cobra.Command {
	cfg := config.Demo()
	c := &cobra.Command{
		Use: "demo", Short: "Boot, reboot and shut down a simulated site", Args: noArgs,
		Long: "Starts a store in a temporary folder, the API, all operators and a simulated\n" +
			"site in one process, and boots, reboots and shuts down all of its nodes.\n" +
			"Ends with 0 if every node got there that could.",
		Example: "  bosd demo --nodes 1000\n  bosd demo --nodes 200 --faults many --seed 7 --output json",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := p.load(cfg); err != nil {
				return err
			}
			return p.runDemo(c.Context(), cfg)
		},
	}
	cfg.Bind(c.Flags(), config.GroupNodes, config.GroupSite, config.GroupDemo)
	return c
}

// errInterrupted is why a demonstration that was told to end has no result.
var errInterrupted = errors.New("interrupted")

// runDemo carries a demonstration out and shows it. Results go to the standard
// output; with JSON it has nothing else.
func (p *program) runDemo(ctx context.Context, cfg *config.Config) error {
	if !signal.Ignored(syscall.SIGHUP) {
		// A terminal that is closed must not leave the store behind.
		var stop func()
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
		defer stop()
	}
	out := p.stdout
	if cfg.Output == config.FormatJSON {
		out = p.stderr
	}
	log, level, shut, err := p.demoLog(cfg)
	if err != nil {
		return err
	}
	defer shut()
	show, leave := p.display(out)
	defer leave()
	d, err := demo.Start(ctx, demo.Config{
		Nodes: cfg.Nodes, Seed: cfg.Seed, TimeScale: cfg.TimeScale, Faults: cfg.Faults, Version: version.String(), Show: show,
		Log: log, Level: level,
	})
	if err != nil {
		return interrupted(ctx, err)
	}
	report, err := d.Run(ctx)
	leave()
	if err != nil {
		return errors.Join(interrupted(ctx, err), d.Close())
	}
	err = errors.Join(p.printReport(cfg, report), report.Err())
	if cfg.Keep {
		_, _ = fmt.Fprintf(out, "\nBOS goes on serving at %s until Ctrl-C; look at\n  %s\nor try\n  bos --url %[1]s sessions list\n", d.URL(), d.Dashboard())
		select {
		case <-ctx.Done():
		case failed := <-d.Failed():
			err = errors.Join(err, failed)
		}
	}
	return errors.Join(err, d.Close())
}

// interrupted says what Ctrl-C did to a demonstration instead of what came of it.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

// demoLog opens the log of a demonstration; nil if there is to be none. shut
// closes it.
func (p *program) demoLog(cfg *config.Config) (log *slog.Logger, level *slog.LevelVar, shut func(), err error) {
	if cfg.LogFile == "" {
		return nil, nil, func() {}, nil
	}
	f, err := os.Create(cfg.LogFile)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("make the log: %w", err)
	}
	level = &slog.LevelVar{}
	return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: level})), level, func() { _ = f.Close() }, nil
}

// display chooses how progress is shown: on a terminal in place, elsewhere line
// by line. leave ends it and may be called more than once.
func (p *program) display(out io.Writer) (show func(demo.Progress), leave func()) {
	f, ok := out.(*os.File)
	dumb := slices.Contains(p.environ, "TERM=dumb")
	if !ok || dumb || !term.IsTerminal(int(f.Fd())) {
		return demo.NewLines(out).Show, func() {}
	}
	screen := demo.NewScreen(out, p.environ)
	return screen.Show, sync.OnceFunc(screen.Close)
}

func (p *program) printReport(cfg *config.Config, report demo.Report) error {
	if cfg.Output == config.FormatJSON {
		return report.WriteJSON(p.stdout)
	}
	return report.WriteSummary(p.stdout)
}
