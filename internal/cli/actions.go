// SPDX-License-Identifier: MIT

package cli

import (
	"context"
	"encoding/json"

	"bos/internal/client"

	"github.com/spf13/cobra"
)

// document makes the action of a command that shows one document by name.
func (a *app) document(
	get func(*client.Client, context.Context, string) (json.RawMessage, error),
	table func(*screen, json.RawMessage) error,
) func(*cobra.Command, []string) error {
	return run(func(cmd *cobra.Command, args []string) error {
		bos, err := a.client(cmd)
		if err != nil {
			return err
		}
		raw, err := get(bos, cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return a.show(raw, table)
	})
}

// single makes the action of a command that shows the one document there is.
func (a *app) single(
	get func(*client.Client, context.Context) (json.RawMessage, error),
	table func(*screen, json.RawMessage) error,
) func(*cobra.Command, []string) error {
	return run(func(cmd *cobra.Command, _ []string) error {
		bos, err := a.client(cmd)
		if err != nil {
			return err
		}
		raw, err := get(bos, cmd.Context())
		if err != nil {
			return err
		}
		return a.show(raw, table)
	})
}

// removal makes the action of a command that deletes something by name.
func (a *app) removal(
	remove func(*client.Client, context.Context, string) error, kind string,
) func(*cobra.Command, []string) error {
	return run(func(cmd *cobra.Command, args []string) error {
		bos, err := a.client(cmd)
		if err != nil {
			return err
		}
		if err := remove(bos, cmd.Context(), args[0]); err != nil {
			return err
		}
		return a.say("The %s %s was deleted.", kind, args[0])
	})
}

// withAlias makes a group whose only command can be left out: bos version is
// bos version list.
func withAlias(use, short string, only *cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: noSubcommand, RunE: only.RunE}
	cmd.AddCommand(only)
	return cmd
}

// require marks flags without which a command can't do its work.
func require(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			// There is no such flag, which every run would show.
			panic(err)
		}
	}
}
