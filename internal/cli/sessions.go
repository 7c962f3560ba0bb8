// SPDX-License-Identifier: MIT

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"bos/internal/client"

	"github.com/spf13/cobra"
)

func (a *app) sessionsCommand() *cobra.Command {
	cmd := group("sessions", "Operations on the nodes of a template",
		a.sessionsCreateCommand(), a.sessionsListCommand(), a.sessionsDescribeCommand(),
		a.sessionsDeleteCommand(), a.sessionsDeleteManyCommand(), a.sessionsStatusCommand(),
		a.sessionsOutcomeCommand())
	cmd.AddCommand(a.sessionsControlCommands()...)
	return cmd
}

func (a *app) sessionsCreateCommand() *cobra.Command {
	var template, operation string
	f := &sessionFlags{}
	cmd := &cobra.Command{
		Use:   "create --template-name TEMPLATE --operation boot|reboot|shutdown",
		Short: "Create a session, which starts at once or with --stage waits on its nodes",
		Long: `Create a session. It starts at once; with --stage it is prepared on its nodes and
waits there for 'bos applystaged create'.

--limit says which of the template's nodes the session is for: nodes, node ranges, groups
and roles, separated by commas and read from left to right. & in front of one keeps only
nodes that are in it too, ! only nodes that are not in it.

'bos boot', 'bos reboot' and 'bos shutdown' do the same, ask before many nodes are touched,
and can wait for the end.`,
		Example: `  bos sessions create --template-name compute --operation reboot --limit 'x3000c0s[1-4]b0n0'
  bos sessions create --template-name compute --operation boot --limit 'Compute,!x3000c0s1b0n0'`,
		Args: none,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			operation, err := operationName(operation)
			if err != nil {
				return err
			}
			body, err := f.body(cmd, operation, template)
			if err != nil {
				return err
			}
			bos, err := a.client(cmd)
			if err != nil {
				return err
			}
			raw, err := bos.CreateSession(cmd.Context(), body.JSON())
			if err != nil {
				return err
			}
			return a.show(raw, sessionView)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&template, "template-name", "", "template that says which nodes there are and what they run")
	flags.StringVar(&operation, "operation", "", "what to do: boot, reboot or shutdown")
	flags.StringVar(&f.name, "name", "", "name of the session; a UUID if not given")
	f.define(a, cmd)
	require(cmd, "template-name", "operation")
	complete(cmd, "template-name", a.completeTemplates)
	complete(cmd, "operation", words("boot", "reboot", "shutdown"))
	return cmd
}

// sessionFilter adds the flags that choose sessions to a command, and returns
// what makes a query of those that were given.
func sessionFilter(cmd *cobra.Command) func() url.Values {
	flags := cmd.Flags()
	flags.String("status", "", "only sessions in this state: pending, running or complete")
	flags.String("min-age", "", "only sessions that started this long ago or longer, such as 3m, 5h, 10d or 2w")
	flags.String("max-age", "", "only sessions that started this long ago or later")
	complete(cmd, "status", words("pending", "running", "complete"))
	return func() url.Values { return given(cmd, "status", "min-age", "max-age") }
}

// given returns the flags that were given as query parameters. One that was
// given empty is sent empty: left out, it would mean everything.
func given(cmd *cobra.Command, names ...string) url.Values {
	query := url.Values{}
	for _, name := range names {
		if flag := cmd.Flags().Lookup(name); flag.Changed {
			query.Set(strings.ReplaceAll(name, "-", "_"), flag.Value.String())
		}
	}
	return query
}

func (a *app) sessionsListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List sessions", Args: none}
	filter := sessionFilter(cmd)
	cmd.RunE = run(func(cmd *cobra.Command, _ []string) error {
		bos, err := a.client(cmd)
		if err != nil {
			return err
		}
		list, err := bos.Sessions(cmd.Context(), filter())
		if err != nil {
			return err
		}
		return a.showList(list, sessionsView(cmd.Context(), bos))
	})
	return cmd
}

func (a *app) sessionsDescribeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "describe NAME", Short: "Show a session", Args: oneName("NAME"),
		ValidArgsFunction: first(a.completeSessions),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			bos, err := a.client(cmd)
			if err != nil {
				return err
			}
			raw, err := bos.Session(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.show(raw, func(s *screen, raw json.RawMessage) error {
				return sessionFields(s, raw, steered(cmd.Context(), bos, args[0]))
			})
		}),
	}
}

// steered says what the status of a session does not: that it is paused, or how
// it ended. It is empty if the server does not say.
func steered(ctx context.Context, bos *client.Client, session string) string {
	raw, err := bos.Outcome(ctx, session)
	if err != nil {
		return ""
	}
	o, err := client.Decode[outcome](raw)
	if err != nil || o.Outcome == nil && !o.Paused {
		return ""
	}
	text, _ := o.state()
	return text
}

func (a *app) sessionsDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a session",
		Long: `Delete a session with its saved status. Nodes that it has begun to boot or shut down are
not stopped; 'bos components updatemany --filter-session NAME --enabled false' stops BOS
from working on them.`,
		Args: oneName("NAME"), ValidArgsFunction: first(a.completeSessions),
		RunE: a.removal((*client.Client).DeleteSession, "session"),
	}
}

func (a *app) sessionsDeleteManyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deletemany [--status STATUS] [--min-age AGE] [--max-age AGE]",
		Short: "Delete the sessions that pass the filters",
		Long: `Delete the sessions that pass every filter given. Without --status only complete sessions
are deleted. With a tenant only the tenant's sessions are deleted, without one only those of
no tenant.

At least one filter is needed; --status complete deletes all complete sessions.`,
		Example: `  bos sessions deletemany --min-age 2w`,
		Args:    none,
	}
	filter := sessionFilter(cmd)
	cmd.RunE = run(func(cmd *cobra.Command, _ []string) error {
		query := filter()
		if len(query) == 0 {
			return misused(errors.New("say which sessions: --status, --min-age or --max-age is needed"))
		}
		bos, err := a.client(cmd)
		if err != nil {
			return err
		}
		if err := bos.DeleteSessions(cmd.Context(), query); err != nil {
			return err
		}
		return a.say("The sessions were deleted.")
	})
	return cmd
}

func (a *app) sessionsStatusCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list NAME", Short: "Show how far a session is", Args: oneName("NAME"),
		ValidArgsFunction: first(a.completeSessions),
		RunE:              a.document((*client.Client).SessionStatus, statusView),
	}
	cmd := &cobra.Command{
		Use: "status NAME", Short: list.Short, Args: oneName("NAME"),
		ValidArgsFunction: list.ValidArgsFunction, RunE: list.RunE,
	}
	cmd.AddCommand(list)
	return cmd
}
