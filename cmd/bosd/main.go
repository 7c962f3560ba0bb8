// SPDX-License-Identifier: MIT

// Command bosd is the Boot Orchestration Service: its API and its operators, a
// simulated site to try it on, and a demonstration of the two together.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"bos/internal/config"
	"bos/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// The exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// errUsage marks a fault of the one who started the command.
var errUsage = errors.New("wrong usage")

// run carries out a command line and returns its exit status.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	root := p.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage):
		_, _ = fmt.Fprintf(stderr, "bosd: %v\n", err)
		return exitUsage
	default:
		_, _ = fmt.Fprintf(stderr, "bosd: %v\n", err)
		return exitFailed
	}
}

// program is what the commands share.
type program struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "bosd",
		Short: "Boot Orchestration Service",
		Long: "bosd boots, reboots and shuts down the nodes of a supercomputer.\n\n" +
			"Every flag can also be set in the environment, as BOS_ and its name in\n" +
			"capitals with underscores, or in a YAML file (--config).",
		Args: noArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.AddCommand(p.serve(), p.operator(), p.cluster(), p.backup(), p.restore(), p.importing(), p.simulate(), p.demo(), p.bench(), p.configuration(), p.man(), p.version())
	return root
}

// usage marks an error as a fault of the one who started the command.
func usage(err error) error { return fmt.Errorf("%w: %w", errUsage, err) }

// noArgs refuses arguments.
func noArgs(c *cobra.Command, args []string) error {
	if err := cobra.NoArgs(c, args); err != nil {
		return usage(err)
	}
	return nil
}

// load completes a command's configuration and checks it; everything that is
// wrong is reported at once.
func (p *program) load(cfg *config.Config) error {
	warnings, err := cfg.Load(p.environ)
	for _, w := range warnings {
		_, _ = fmt.Fprintf(p.stderr, "bosd: warning: %s\n", w)
	}
	if err = errors.Join(err, cfg.Validate()); err != nil {
		return usage(err)
	}
	return nil
}

// logger returns the log of a process and its level.
func (p *program) logger(cfg *config.Config) (*slog.Logger, *slog.LevelVar) {
	level := &slog.LevelVar{}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == config.FormatJSON {
		return slog.New(slog.NewJSONHandler(p.stderr, opts)), level
	}
	return slog.New(slog.NewTextHandler(p.stderr, opts)), level
}

func (p *program) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.stdout, "bosd", version.String())
			return err
		},
	}
}
