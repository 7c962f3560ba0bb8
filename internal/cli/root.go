// SPDX-License-Identifier: MIT

package cli

import (
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bos/internal/version"
)

// globalFlags are the flags that every command has.
type globalFlags struct {
	format    string
	url       string
	tenant    string
	tokenFile string
	caFile    string
	certFile  string
	keyFile   string
	context   string
	// configuration is one of the cray CLI.
	configuration string
	insecure      boolean
	quiet         boolean
	// verbose is how often -v was given.
	verbose int
	timeout time.Duration
}

const rootHelp = `bos boots, reboots and shuts down the nodes of a supercomputer through the Boot
Orchestration Service (BOS).

Nodes may be given as ranges wherever they are named: x3000c0s[1-4]b0n[0-1],uan01.
Tables show them folded in the same way.

The server is found by, in this order: --url; the context that --context names;
BOS_URL; the current context of the configuration file; the active configuration of
the cray CLI; ` + defaultURL + `.
The same holds for --tenant (BOS_TENANT), --token-file (BOS_TOKEN_FILE), --ca-file
(BOS_CA_FILE), --cert-file (BOS_CERT_FILE) and --key-file (BOS_KEY_FILE). The current
context is used as a whole or not at all: with --url or BOS_URL its tenant, token and
certificate are not sent.

The configuration file is $XDG_CONFIG_HOME/bos/config.yaml (or ~/.config/bos/config.yaml):

  current-context: prod
  contexts:
    prod:
      url: https://api-gw.example.com/apis/bos
      tenant: vcluster-blue
      token-file: ~/.config/bos/token

Where 'cray init' was run, nothing needs to be set: host, tenant and user come from
~/.config/cray/configurations (CRAY_CONFIG_DIR, CRAY_CONFIG, --configuration), the token
from ~/.config/cray/tokens or CRAY_CREDENTIALS. Unlike the cray CLI, bos checks the
gateway's certificate and leaves it to 'cray auth login' to renew a token.

Output is a table on a terminal and JSON otherwise, unless --format or BOS_FORMAT says
which (CRAY_FORMAT where the output is no terminal). The exit status is 0 for success, 1 if
the command is wrong or the server can't be reached, and 2 if the server refused. Commands that
wait for a session exit with 3 if only some nodes made it, and 4 if none did.`

const rootExample = `  bos reboot compute --limit 'x3000c0s[1-4]b0n[0-1]' --wait
  bos why x3000c0s1b0n0
  bos sessions create --template-name compute --operation boot --limit x3000c0s[1-4]b0n[0-1]
  bos sessions status NAME
  bos components list --status failed
  bos components updatemany --filter-ids x3000c0s[1-4]b0n0 --enabled false`

// root makes the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "bos",
		Short:         "Boot, reboot and shut down nodes through the Boot Orchestration Service",
		Long:          rootHelp,
		Example:       rootExample,
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			a.format, err = a.chooseFormat()
			if a.flags.quiet {
				a.out.Reset(io.Discard)
			}
			return asUsage(cmd, err)
		},
	}
	root.SetIn(a.sys.Stdin)
	root.SetOut(a.out)
	root.SetErr(a.sys.Stderr)
	root.SetFlagErrorFunc(asUsage)
	flags := root.PersistentFlags()
	flags.StringVar(&a.flags.format, "format", "", "how to show the answer: table, json, yaml or toml (BOS_FORMAT)")
	flags.StringVar(&a.flags.url, "url", "", "address of the server, with the gateway's prefix if there is one (BOS_URL)")
	flags.StringVar(&a.flags.tenant, "tenant", "", "tenant on whose behalf to ask (BOS_TENANT)")
	flags.StringVar(&a.flags.tokenFile, "token-file", "", "file with the token to send, read for each request (BOS_TOKEN_FILE)")
	flags.StringVar(&a.flags.caFile, "ca-file", "", "file with certificates to trust, in PEM (BOS_CA_FILE)")
	flags.StringVar(&a.flags.certFile, "cert-file", "", "file with the client certificate to show, in PEM (BOS_CERT_FILE)")
	flags.StringVar(&a.flags.keyFile, "key-file", "", "file with the key of that certificate, in PEM (BOS_KEY_FILE)")
	flags.StringVar(&a.flags.context, "context", "", "context of the configuration file to use")
	flags.StringVar(&a.flags.configuration, "configuration", "", "configuration of the cray CLI to use (CRAY_CONFIG)")
	a.booleanVar(flags, &a.flags.quiet, "quiet", "show errors only")
	flags.CountVarP(&a.flags.verbose, "verbose", "v", "show each request on the standard error")
	flags.DurationVar(&a.flags.timeout, "timeout", time.Minute, "how long to wait for an answer; 0 is for ever")
	a.booleanVar(flags, &a.flags.insecure, "insecure-skip-verify", "do not check the server's certificate")
	// The cray CLI calls it --token.
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "token" {
			name = "token-file"
		}
		return pflag.NormalizedName(name)
	})
	complete(root, "format", words("table", "json", "yaml", "toml"))
	complete(root, "context", a.completeContexts)
	complete(root, "configuration", a.completeConfigurations)
	root.AddCommand(
		a.versionCommand(), a.healthzCommand(), a.legacyListCommand(),
		a.verbCommand("boot", "Boot the nodes of a session template that are off or run something else"),
		a.verbCommand("reboot", "Turn the nodes of a session template off and on again"),
		a.verbCommand("shutdown", "Shut the nodes of a session template down"),
		a.planCommand(), a.watchCommand(), a.whyCommand(), a.eventsCommand(),
		a.sessionsCommand(),
		a.templatesCommand(), a.templatesValidCommand(), a.exampleTemplateCommand(),
		a.componentsCommand(), a.applyStagedCommand(),
		a.optionsCommand(),
		a.exportCommand(), a.importCommand(),
		a.reporterCommand(), a.jobCommand(), a.kubeCommand(),
		a.manCommand(),
	)
	filesOnlyFor(root, "file", "token-file", "ca-file", "cert-file", "key-file")
	return root
}

// group makes a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: noSubcommand, RunE: help}
	cmd.AddCommand(commands...)
	return cmd
}

// noSubcommand refuses a word that was meant as a command, which cobra would
// answer with help and success.
func noSubcommand(cmd *cobra.Command, args []string) error {
	return asUsage(cmd, cobra.NoArgs(cmd, args))
}

func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// asUsage marks an error as one of who typed the command.
func asUsage(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return &usageError{command: cmd.CommandPath(), err: err}
}

// oneName takes one argument and says what it is if it is missing.
func oneName(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return asUsage(cmd, errors.New(what+" is missing"))
		case len(args) > 1:
			return asUsage(cmd, errors.New("more than one "+what+" is given"))
		case args[0] == "":
			return asUsage(cmd, errors.New(what+" is empty"))
		}
		return nil
	}
}

// none takes no arguments.
func none(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return asUsage(cmd, errors.New("unexpected argument "+args[0]))
	}
	return nil
}

// run makes a command's action, whose errors of usage name the command.
func run(action func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := action(cmd, args)
		var usage *usageError
		if errors.As(err, &usage) && usage.command == "" {
			usage.command = cmd.CommandPath()
		}
		return err
	}
}

// misused makes an error of who typed the command.
func misused(err error) error { return &usageError{err: err} }
