// SPDX-License-Identifier: MIT

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"bos/internal/client"
	"bos/internal/reporter"

	"github.com/spf13/cobra"
)

const reporterHelp = `Runs on a node and tells BOS which boot parameters the node came up with: once the
node is up, and again within the time after which BOS would forget. Reports that are
not taken are made again, for ever.

The node's name is that in NODE_IDENTITY, or else xname= on the kernel's command line.
What it reports is bss_referral_token= there; without one the node was not booted by
BOS, and the command ends. It reports every three quarters of bos_update_frequency=,
which BOS puts there too; with 0 it reports once and ends.

A token for the gateway comes from --token-file, or from a program that prints one:
--token-command. Both are asked anew for each report.`

// commandLineFile is where Linux shows the kernel's command line; maxCommandLine
// bounds it.
const (
	commandLineFile = "/proc/cmdline"
	maxCommandLine  = 1 << 20
)

// reportTimeout is how long one report may take unless --timeout says else.
const reportTimeout = 10 * time.Second

func (a *app) reporterCommand() *cobra.Command {
	var file, tokenCommand string
	cmd := &cobra.Command{
		Use: "reporter", Short: "Report from a node what it has booted", Long: reporterHelp, Args: none,
		Example: "  bos reporter --url https://api-gw-service-nmn.local/apis/bos --token-command /opt/cray/auth-utils/bin/get-auth-token",
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			a.tokenCommand = strings.Fields(tokenCommand)
			if !cmd.Flags().Changed("timeout") {
				a.flags.timeout = reportTimeout
			}
			return a.runReporter(cmd, file)
		}),
	}
	cmd.Flags().StringVar(&file, "cmdline", commandLineFile, "file with the kernel's command line")
	cmd.Flags().StringVar(&tokenCommand, "token-command", "", "program that prints the token to send, and its arguments")
	filesOnlyFor(cmd, "cmdline", "token-command")
	return cmd
}

func (a *app) runReporter(cmd *cobra.Command, file string) error {
	commandLine, err := readCommandLine(file)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(a.sys.Stderr, nil))
	node, err := reporter.Parse(commandLine, a.sys.Getenv("NODE_IDENTITY"))
	if errors.Is(err, reporter.ErrNoToken) {
		// A service manager that starts the command again would change nothing.
		log.Info(err.Error(), slog.String("node", node.ID)) //nolint:sloglint // the error is the message
		return nil
	}
	if err != nil {
		return err
	}
	bos, err := a.client(cmd)
	if err != nil {
		return err
	}
	r := reporter.Reporter{Node: node, Log: log, Send: sendReport(bos)}
	err = r.Run(cmd.Context())
	if errors.Is(err, context.Canceled) {
		// To be stopped is how it ends.
		return nil
	}
	return err
}

func readCommandLine(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading the kernel's command line: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxCommandLine))
	if err != nil {
		return "", fmt.Errorf("reading the kernel's command line: %w", err)
	}
	return string(text), nil
}

// sendReport makes the request that BOS and its gateway know of a node.
func sendReport(bos *client.Client) func(context.Context, reporter.Node) error {
	return func(ctx context.Context, n reporter.Node) error {
		body, err := json.Marshal(map[string]any{"id": n.ID, "actual_state": map[string]string{"bss_token": n.Token}})
		if err != nil {
			return fmt.Errorf("making the report: %w", err)
		}
		_, err = bos.PatchComponent(ctx, n.ID, body)
		return err
	}
}
