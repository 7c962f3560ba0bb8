// SPDX-License-Identifier: MIT

package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"bos/internal/api/apitypes"
	"bos/internal/client"

	"github.com/spf13/cobra"
)

// confirmAbove is how many nodes a session may have without a question, unless
// said otherwise.
const confirmAbove = 50

// sessionFlags are the flags of commands that make a session, or plan one.
type sessionFlags struct {
	limit, name            string
	stage, includeDisabled boolean
}

// define adds the flags to a command.
func (f *sessionFlags) define(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.limit, "limit", "", "only these of the template's nodes: nodes, ranges, groups and roles")
	a.booleanVar(flags, &f.stage, "stage", "prepare the session on its nodes and wait there")
	a.booleanVar(flags, &f.includeDisabled, "include-disabled", "include nodes that are disabled in the hardware state manager")
	complete(cmd, "limit", a.completeNodes)
}

// body is the session as the API takes it.
func (f *sessionFlags) body(cmd *cobra.Command, operation, template string) (*tree, error) {
	body := objectTree()
	body.put("operation", stringTree(operation))
	body.put("template_name", stringTree(template))
	flags := cmd.Flags()
	if flags.Changed("name") {
		body.put("name", stringTree(f.name))
	}
	if flags.Changed("limit") {
		expanded, err := expandLimit(f.limit)
		if err != nil {
			return nil, err
		}
		body.put("limit", stringTree(expanded))
	}
	if flags.Changed("stage") {
		body.put("stage", boolTree(bool(f.stage)))
	}
	if flags.Changed("include-disabled") {
		body.put("include_disabled", boolTree(bool(f.includeDisabled)))
	}
	return body, nil
}

// operationName reads an operation, in any letter case as the cray CLI does.
func operationName(text string) (string, error) {
	switch operation := strings.ToLower(text); operation {
	case "boot", "reboot", "shutdown":
		return operation, nil
	}
	return "", misused(fmt.Errorf("the operation must be boot, reboot or shutdown, not %q", text))
}

func (a *app) planCommand() *cobra.Command {
	f := &sessionFlags{}
	cmd := &cobra.Command{
		Use: "plan boot|reboot|shutdown TEMPLATE", Short: "Show what a session would do, without making it",
		Long: `Show which nodes a session would have, why each of the others is left out, and what would be
done to each now. Nothing is written and no node is touched.`,
		Example: `  bos plan reboot compute --limit 'x3000c0s[1-4]b0n0'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return asUsage(cmd, errors.New("an operation and a template are needed"))
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			switch len(args) {
			case 0:
				return []string{"boot", "reboot", "shutdown"}, cobra.ShellCompDirectiveNoFileComp
			case 1:
				return a.completeTemplates(cmd, args, begun)
			}
			return nothing(cmd, args, begun)
		},
		RunE: run(func(cmd *cobra.Command, args []string) error {
			operation, err := operationName(args[0])
			if err != nil {
				return err
			}
			body, err := f.body(cmd, operation, args[1])
			if err != nil {
				return err
			}
			bos, err := a.client(cmd)
			if err != nil {
				return err
			}
			raw, err := bos.Plan(cmd.Context(), body.JSON())
			if err != nil {
				return unsupported(err, "can't plan sessions")
			}
			return a.show(raw, planView)
		}),
	}
	f.define(a, cmd)
	return cmd
}

// unsupported says what a server can't do that doesn't know a path.
func unsupported(err error, what string) error {
	if client.IsUnsupported(err) {
		return fmt.Errorf("this server %s; it is the original BOS, or older than this program: %w", what, err)
	}
	return err
}

// verb is what a command that makes a session and may wait for it needs.
type verb struct {
	sessionFlags
	wait, yes boolean
	above     int
}

// verbCommand makes the command that boots, reboots or shuts down.
func (a *app) verbCommand(operation, short string) *cobra.Command {
	v := &verb{}
	cmd := &cobra.Command{
		Use: operation + " TEMPLATE", Short: short,
		Long: strings.ToUpper(operation[:1]) + operation[1:] + ` the nodes of a session template.

If more than --confirm-above nodes are concerned, their number and that of their racks are
named and must be confirmed; where there is no terminal to ask on, --yes is needed. 'bos
plan ` + operation + ` TEMPLATE' shows more and writes nothing.

With --wait the progress is shown until the session is complete, with --stage until it is
staged. The exit status is then 0 if every node made it, 3 if some did, and 4 if none did.`,
		Example: "  bos " + operation + " compute --limit 'x3000c0s[1-4]b0n[0-1]' --wait",
		Args:    oneName("TEMPLATE"), ValidArgsFunction: first(a.completeTemplates),
		RunE: run(func(cmd *cobra.Command, args []string) error { return a.runVerb(cmd, v, operation, args[0]) }),
	}
	v.define(a, cmd)
	flags := cmd.Flags()
	flags.StringVar(&v.name, "name", "", "name of the session; a UUID if not given")
	a.booleanVar(flags, &v.wait, "wait", "show the progress and wait until the session is complete")
	a.booleanVar(flags, &v.yes, "yes", "do not ask")
	flags.IntVar(&v.above, "confirm-above", confirmAbove, "ask if the session has more nodes than these")
	return cmd
}

func (a *app) runVerb(cmd *cobra.Command, v *verb, operation, template string) error {
	body, err := v.body(cmd, operation, template)
	if err != nil {
		return err
	}
	bos, err := a.client(cmd)
	if err != nil {
		return err
	}
	if err := a.confirm(cmd, bos, v, body); err != nil {
		return err
	}
	raw, err := bos.CreateSession(cmd.Context(), body.JSON())
	if err != nil {
		return err
	}
	made, err := client.Decode[apitypes.Session](raw)
	if err != nil {
		return err
	}
	if v.wait {
		return a.await(cmd, bos, made.Name)
	}
	if err := a.show(raw, sessionView); err != nil {
		return err
	}
	if a.sys.Terminal && a.format == formatTable {
		return a.say("\nbos watch %s shows the progress.", made.Name)
	}
	return nil
}

// confirm plans a session and asks whether it is meant, if it is large.
func (a *app) confirm(cmd *cobra.Command, bos *client.Client, v *verb, body *tree) error {
	if v.yes {
		return nil
	}
	plannable := objectTree()
	for i, key := range body.keys {
		if key != "name" {
			plannable.put(key, body.items[i])
		}
	}
	operation, template := body.get("operation").text, body.get("template_name").text
	raw, err := bos.Plan(cmd.Context(), plannable.JSON())
	if client.IsUnsupported(err) {
		return a.ask(fmt.Sprintf("%s the nodes of %s? This server can't say how many they are.", operation, template))
	}
	if err != nil {
		return err
	}
	planned, err := client.Decode[plan](raw)
	if err != nil {
		return err
	}
	if planned.Count == 0 {
		return a.nothingPlanned(&planned)
	}
	if planned.Count <= v.above {
		return nil
	}
	if err := a.tellPlan(&planned); err != nil {
		return err
	}
	if v.stage {
		operation = "stage a " + operation + " of"
	}
	return a.ask(fmt.Sprintf("%s %s with the template %s?", operation, planned.size(), template))
}

// nothingPlanned says why a session would have no nodes.
func (a *app) nothingPlanned(p *plan) error {
	fmt.Fprintln(a.sys.Stderr, "bos: the session would have no nodes, so it was not made")
	for _, part := range p.Excluded {
		fmt.Fprintf(a.sys.Stderr, "  %s: %s (%s)\n", clean(part.Nodes), clean(part.Why), plural(part.Count, "node"))
	}
	return &exitStatus{exitNone}
}

// toldNodes is how much is said of the names of nodes before a question, in
// columns.
const toldNodes = 200

// tellPlan says, before a question, what the answer decides.
func (a *app) tellPlan(p *plan) error {
	s := a.screen()
	s.out = a.sys.Stderr
	if err := s.say("nodes", truncate(p.Nodes, toldNodes)); err != nil {
		return err
	}
	for _, part := range p.Included {
		if err := s.say(actionName(part.Action), plural(part.Count, "node")); err != nil {
			return err
		}
	}
	for _, part := range p.TakenOver {
		if err := s.say("taken over", fmt.Sprintf("%s from the session %s", plural(part.Count, "node"), part.Session)); err != nil {
			return err
		}
	}
	for _, text := range p.Warnings {
		if err := s.say("warning", text); err != nil {
			return err
		}
	}
	return nil
}

// say writes a line that begins with what it is about.
func (s *screen) say(about, text string) error {
	_, err := fmt.Fprintf(s.out, "  %s: %s\n", about, clean(text))
	return err
}

// ask asks whether to go on. Without someone to ask the answer is no.
func (a *app) ask(question string) error {
	question = strings.ToUpper(question[:1]) + question[1:]
	if !a.sys.Interactive {
		return fmt.Errorf("%s There is no terminal to ask on; --yes says yes", question)
	}
	fmt.Fprintf(a.sys.Stderr, "%s Type yes to go on: ", question)
	line, err := bufio.NewReader(io.LimitReader(a.sys.Stdin, 1<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if strings.TrimSpace(strings.ToLower(line)) != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}

// showDocument shows something in the format that was asked for, if one was.
func (a *app) showDocument(v any, table func(*screen, json.RawMessage) error) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	return a.show(raw, table)
}
