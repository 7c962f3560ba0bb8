// SPDX-License-Identifier: MIT

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"bos/internal/api/apitypes"
	"bos/internal/client"
	"bos/internal/xname"

	"github.com/spf13/cobra"
)

func (a *app) componentsCommand() *cobra.Command {
	return group("components", "The record of each node",
		a.componentsListCommand(), a.componentsDescribeCommand(), a.componentsUpdateCommand(),
		a.componentsUpdateManyCommand(), a.componentsDeleteCommand())
}

func (a *app) componentsListCommand() *cobra.Command {
	var ids string
	var enabled, fold boolean
	cmd := &cobra.Command{
		Use: "list", Short: "List components",
		Long: `List the components that pass every filter given.

--fold puts nodes that are in the same situation on one line of the table.`,
		Example: `  bos components list --ids x3000c0s[1-4]b0n[0-1]
  bos components list --session boot-compute-1 --fold
  bos components list --status failed,on_hold`,
		Args: none,
	}
	flags := cmd.Flags()
	flags.StringVar(&ids, "ids", "", "only these nodes; ranges are expanded")
	flags.String("session", "", "only components that this session works on")
	flags.String("staged-session", "", "only components on which this session is staged")
	a.booleanVar(flags, &enabled, "enabled", "only components that are enabled (true), or that are not (false)")
	flags.String("phase", "", "only components in this phase: powering_on, powering_off or configuring")
	flags.String("status", "", "only components with one of these statuses, separated by commas")
	flags.String("start-after-id", "", "only components whose id comes after this one")
	flags.Int("page-size", 0, "at most this many components; 0 is all")
	a.booleanVar(flags, &fold, "fold", "one line for all nodes that are alike")
	complete(cmd, "ids", a.completeNodes)
	complete(cmd, "session", a.completeSessions)
	complete(cmd, "staged-session", a.completeSessions)
	complete(cmd, "phase", words("powering_on", "powering_off", "configuring"))
	complete(cmd, "status", words(statuses()...))
	complete(cmd, "start-after-id", a.completeNode)
	cmd.RunE = run(func(cmd *cobra.Command, _ []string) error {
		if fold && a.format != formatTable {
			return misused(errTableOnly)
		}
		view := componentsView
		if fold {
			view = foldedView
		}
		list, err := a.findComponents(cmd, ids)
		if err != nil {
			return err
		}
		return a.showList(list, view)
	})
	return cmd
}

// statuses are those that BOS gives to components.
func statuses() []string {
	return []string{
		"stable", "failed", "on_hold", "configuring", "power_on_pending", "power_on_called",
		"power_off_pending", "power_off_gracefully_called", "power_off_forcefully_called",
	}
}

// findComponents asks for the components that a list command's flags choose.
func (a *app) findComponents(cmd *cobra.Command, ids string) (*client.Stream, error) {
	query := given(cmd, "session", "staged-session", "enabled", "phase", "status", "start-after-id", "page-size")
	bos, err := a.client(cmd)
	if err != nil {
		return nil, err
	}
	if !cmd.Flags().Changed("ids") {
		return bos.Components(cmd.Context(), query)
	}
	names, err := expand(ids)
	if err != nil {
		return nil, err
	}
	if query.Has("page_size") && !client.OneRequest(names) {
		return nil, misused(fmt.Errorf("--page-size can't be used with as many as %d nodes in --ids", len(names)))
	}
	return bos.ComponentsOf(cmd.Context(), names, query)
}

func (a *app) componentsDescribeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "describe ID", Short: "Show a component, or those of a range of nodes", Args: oneName("ID"),
		ValidArgsFunction: first(a.completeNodes),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			ids, err := expand(args[0])
			if err != nil {
				return err
			}
			if len(ids) == 1 {
				return a.document((*client.Client).Component, componentView)(cmd, ids)
			}
			bos, err := a.client(cmd)
			if err != nil {
				return err
			}
			list, err := bos.ComponentsOf(cmd.Context(), ids, nil)
			if err != nil {
				return err
			}
			return a.describeSeveral(list, ids)
		}),
	}
}

// describeSeveral shows the components of some ids in full. Those that do not
// exist are an error once the others were shown.
func (a *app) describeSeveral(list *client.Stream, ids []string) error {
	var items []json.RawMessage
	found := map[string]bool{}
	for raw, err := range client.Each[json.RawMessage](list) {
		if err != nil {
			return err
		}
		one, err := client.Decode[apitypes.Component](raw)
		if err != nil {
			return err
		}
		found[one.ID] = true
		items = append(items, raw)
	}
	if err := a.showList(client.List(items), componentsInFull); err != nil {
		return err
	}
	missing := slices.DeleteFunc(ids, func(id string) bool { return found[id] })
	if len(missing) == 0 {
		return nil
	}
	return &client.Problem{
		Status: http.StatusNotFound, Title: "The resource was not found",
		Detail: "There is no component " + xname.Fold(missing),
	}
}

func (a *app) componentsUpdateCommand() *cobra.Command {
	change := &change{}
	cmd := &cobra.Command{
		Use: "update ID", Short: "Change a component, or those of a range of nodes",
		Long: `Change a component. Only what is given is changed; states are merged field by field.

` + clearHelp + `

With a range of nodes all of them are changed in the same way, or none if one of them does
not exist.`,
		Example: `  bos components update x3000c0s1b0n0 --enabled false
  bos components update x3000c0s1b0n0 --clear-pending-state --enabled false`,
		Args: oneName("ID"), ValidArgsFunction: first(a.completeNodes),
	}
	change.define(a, cmd)
	cmd.RunE = run(func(cmd *cobra.Command, args []string) error {
		ids, err := expand(args[0])
		if err != nil {
			return err
		}
		patch, err := change.patch(cmd, objectTree())
		if err != nil {
			return err
		}
		bos, err := a.client(cmd)
		if err != nil {
			return err
		}
		if len(ids) > 1 {
			list, err := bos.PatchComponents(cmd.Context(), ids, patch, false)
			if err != nil {
				return err
			}
			return a.showList(list, updatedView)
		}
		raw, err := bos.PatchComponent(cmd.Context(), ids[0], patch)
		if err != nil {
			return err
		}
		return a.show(raw, componentView)
	})
	return cmd
}

func (a *app) componentsUpdateManyCommand() *cobra.Command {
	change := &change{}
	var ids, session, given string
	var skip boolean
	cmd := &cobra.Command{
		Use:   "updatemany (--filter-ids IDS | --filter-session SESSION) ...",
		Short: "Make one change to many components",
		Long: `Make one change to many components: those of --filter-ids, or those that the session of
--filter-session works on. --patch takes the change in JSON, @FILE reads it from a file;
other flags are added to it.

` + clearHelp,
		Example: `  bos components updatemany --filter-session boot-compute-1 --enabled false
  bos components updatemany --filter-ids x3000c0s[1-4]b0n0 --patch '{"retry_policy": 5}'`,
		Args: none,
	}
	flags := cmd.Flags()
	flags.StringVar(&ids, "filter-ids", "", "change these nodes; ranges are expanded")
	flags.StringVar(&session, "filter-session", "", "change all components that this session works on")
	flags.StringVar(&given, "patch", "", "the change in JSON, or @FILE")
	a.booleanVar(flags, &skip, "skip-bad-ids", "leave nodes out that do not exist, instead of changing none")
	change.define(a, cmd)
	complete(cmd, "filter-ids", a.completeNodes)
	complete(cmd, "filter-session", a.completeSessions)
	cmd.RunE = run(func(cmd *cobra.Command, _ []string) error {
		if err := oneFilter(cmd); err != nil {
			return err
		}
		patch, err := a.patchFlag(given)
		if err != nil {
			return err
		}
		raw, err := change.patch(cmd, patch)
		if err != nil {
			return err
		}
		list, err := a.updateMany(cmd, ids, session, raw, bool(skip))
		if err != nil {
			return err
		}
		return a.showList(list, updatedView)
	})
	return cmd
}

// oneFilter checks that exactly one filter says what is to be changed.
func oneFilter(cmd *cobra.Command) error {
	flags := cmd.Flags()
	switch byIDs, bySession := flags.Changed("filter-ids"), flags.Changed("filter-session"); {
	case byIDs && bySession:
		return misused(errors.New("only one of --filter-ids and --filter-session can be given"))
	case !byIDs && !bySession:
		return misused(errors.New("--filter-ids or --filter-session is needed"))
	case bySession && flags.Lookup("filter-session").Value.String() == "":
		return misused(errors.New("--filter-session is empty"))
	case bySession && flags.Changed("skip-bad-ids"):
		return misused(errors.New("--skip-bad-ids is for --filter-ids"))
	}
	return nil
}

func (a *app) updateMany(cmd *cobra.Command, ids, session string, patch json.RawMessage, skip bool) (*client.Stream, error) {
	bos, err := a.client(cmd)
	if err != nil {
		return nil, err
	}
	if session != "" {
		return bos.PatchSession(cmd.Context(), session, patch)
	}
	names, err := expand(ids)
	if err != nil {
		return nil, err
	}
	return bos.PatchComponents(cmd.Context(), names, patch, skip)
}

func (a *app) componentsDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: "Delete a component, or those of a range of nodes",
		Long: `Delete the record of a node. If the hardware state manager still knows the node, it will be
discovered anew.

With a range of nodes the records are deleted one by one. Those that can't be deleted are
named at the end.`,
		Args: oneName("ID"), ValidArgsFunction: first(a.completeNodes),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			ids, err := expand(args[0])
			if err != nil {
				return err
			}
			bos, err := a.client(cmd)
			if err != nil {
				return err
			}
			var refused []error
			var deleted []string
			for _, id := range ids {
				err := bos.DeleteComponent(cmd.Context(), id)
				var problem *client.Problem
				switch {
				case err == nil:
					deleted = append(deleted, id)
				case errors.As(err, &problem):
					refused = append(refused, err)
				default:
					return err
				}
			}
			if len(deleted) > 0 {
				if err := a.say("The component %s was deleted.", xname.Fold(deleted)); err != nil {
					return err
				}
			}
			return errors.Join(refused...)
		}),
	}
}

func (a *app) applyStagedCommand() *cobra.Command {
	var xnames string
	create := &cobra.Command{
		Use: "create --xnames NODES", Short: "Start on each node the session that is staged there",
		Example: `  bos applystaged create --xnames x3000c0s[1-4]b0n0`,
		Args:    none,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			ids, err := expand(xnames)
			if err != nil {
				return err
			}
			bos, err := a.client(cmd)
			if err != nil {
				return err
			}
			raw, err := bos.ApplyStaged(cmd.Context(), ids)
			if err != nil {
				return err
			}
			return a.show(raw, appliedView)
		}),
	}
	create.Flags().StringVar(&xnames, "xnames", "", "the nodes; ranges are expanded")
	require(create, "xnames")
	complete(create, "xnames", a.completeNodes)
	return group("applystaged", "Start on chosen nodes what a staged session has prepared", create)
}
