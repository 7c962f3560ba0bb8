// SPDX-License-Identifier: MIT

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bos/internal/bench"
	"bos/internal/config"
	"bos/internal/version"
)

// benchTimeScale makes the simulated hardware take some 12 s for a boot, as it
// did when the original was measured.
const benchTimeScale = 0.1

func (p *program) bench() *cobra.Command {
	cfg := bench.Config{Nodes: []int{1000, 10000, 100000}, TimeScale: benchTimeScale, Rounds: 7, Calls: 4000, Version: version.String()}
	output := config.FormatText
	c := &cobra.Command{
		Use: "bench", Short: "Measure BOS beside the original and the limits of this machine", Args: noArgs,
		Long: "Measures what users of BOS wait for, on a server and a simulated site that it\n" +
			"starts as processes of their own, or on a server that is there (--url). Beside it\n" +
			"are the original's figures, and what this machine could do at best: a handler\n" +
			"that only writes the same bytes, a store that only stores them.\n\n" +
			"A server that is measured loses its components.",
		Example: "  bosd bench --nodes 1000\n  bosd bench --nodes 1000,10000,100000 --output json\n" +
			"  bosd bench --nodes 1000 --url http://127.0.0.1:9000/apis/bos --site http://127.0.0.1:27707 --pid 4711",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := p.fromEnvironment(c.Flags()); err != nil {
				return usage(err)
			}
			if output != config.FormatText && output != config.FormatJSON {
				return usage(fmt.Errorf("output: must be text or json, not %q", output))
			}
			if err := cfg.Validate(); err != nil {
				return usage(err)
			}
			var err error
			if cfg.Program, err = os.Executable(); err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			cfg.Progress = func(text string) { _, _ = fmt.Fprintln(p.stderr, "bosd bench:", text) }
			report, err := bench.Run(c.Context(), cfg)
			if output == config.FormatJSON {
				enc := json.NewEncoder(p.stdout)
				enc.SetIndent("", "  ")
				return errors.Join(err, enc.Encode(report))
			}
			return errors.Join(err, report.WriteTable(p.stdout))
		},
	}
	f := c.Flags()
	f.IntSliceVar(&cfg.Nodes, "nodes", cfg.Nodes, "`numbers` of nodes to measure with, one after the other (BOS_NODES)")
	f.StringSliceVar(&cfg.Rows, "rows", nil, "`names` of the rows to measure, as the JSON output shows them; all by default (BOS_ROWS)")
	f.StringVar(&cfg.URL, "url", "", "base `URL` of a server on this host to measure in place of one that is started (BOS_URL)")
	f.StringVar(&cfg.Site, "site", "", "base `URL` of the control of the simulated site around that server (BOS_SITE)")
	f.IntVar(&cfg.PID, "pid", 0, "`process` of that server, for its memory (BOS_PID)")
	f.StringVar(&cfg.Dir, "dir", "", "`folder` for the stores that are made and removed again (BOS_DIR)")
	f.Float64Var(&cfg.TimeScale, "time-scale", cfg.TimeScale, "`factor` of all times of the simulated site, above 0 and at most 1 (BOS_TIME_SCALE)")
	f.IntVar(&cfg.Rounds, "rounds", cfg.Rounds, "`number` of times that each row is measured (BOS_ROUNDS)")
	f.IntVar(&cfg.Calls, "calls", cfg.Calls, "`number` of requests in a round of single requests (BOS_CALLS)")
	f.StringVar(&output, "output", output, "`format` of the result, text or json (BOS_OUTPUT)")
	c.AddCommand(&cobra.Command{
		Use: "bare", Short: "Serve the handler that only writes bytes", Args: noArgs, Hidden: true,
		RunE: func(c *cobra.Command, _ []string) error { return bench.ServeBare(c.Context(), p.stdout) },
	})
	return c
}

// fromEnvironment sets the flags that were not given from the environment: BOS_
// and the name in capitals.
func (p *program) fromEnvironment(flags *pflag.FlagSet) error {
	var faults []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "BOS_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		for _, entry := range p.environ {
			if value, ok := strings.CutPrefix(entry, name+"="); ok && !f.Changed {
				if err := flags.Set(f.Name, value); err != nil {
					faults = append(faults, fmt.Errorf("%s: %w", name, err))
				}
			}
		}
	})
	return errors.Join(faults...)
}
