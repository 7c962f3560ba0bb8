// SPDX-License-Identifier: MIT

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// clearHelp explains the flags that clear states.
const clearHelp = `--clear-desired-state empties everything in the desired state and --clear-staged-state
everything in the staged state with its session; --clear-pending-state does both. A field
that is given beside is set. None of them disables a component: BOS turns a node off that is
enabled and has an empty desired state.`

// leaf is a field of a component that a flag sets.
type leaf struct {
	// path leads to the field; the flag is named after it.
	path []string
	kind kind
	help string
}

func (l leaf) flag() string {
	return strings.ReplaceAll(strings.Join(l.path, "-"), "_", "-")
}

// leaves are all fields of a component that may be written.
func leaves() []leaf {
	artifacts := func(state, of string) []leaf {
		return []leaf{
			{[]string{state, "boot_artifacts", "kernel"}, kindString, "kernel " + of},
			{[]string{state, "boot_artifacts", "kernel_parameters"}, kindString, "kernel parameters " + of},
			{[]string{state, "boot_artifacts", "initrd"}, kindString, "initrd " + of},
		}
	}
	return slices.Concat(
		[]leaf{
			{[]string{"enabled"}, kindBool, "whether BOS works on the node"},
			{[]string{"error"}, kindString, "what went wrong on the node"},
			{[]string{"session"}, kindString, "session that works on the node"},
			{[]string{"retry_policy"}, kindNumber, "attempts of one kind before the node counts as failed"},
		},
		artifacts("actual_state", "that the node runs"),
		[]leaf{{[]string{"actual_state", "bss_token"}, kindString, "token of what the node runs"}},
		artifacts("desired_state", "that the node shall run"),
		[]leaf{
			{[]string{"desired_state", "configuration"}, kindString, "configuration that the node shall get"},
			{[]string{"desired_state", "bss_token"}, kindString, "token of what the node shall run"},
		},
		artifacts("staged_state", "to be staged"),
		[]leaf{
			{[]string{"staged_state", "configuration"}, kindString, "configuration that is staged"},
			{[]string{"staged_state", "session"}, kindString, "session that is staged"},
			{[]string{"last_action", "action"}, kindString, "what BOS did to the node last"},
			{[]string{"last_action", "failed"}, kindBool, "whether that failed"},
			{[]string{"event_stats", "power_on_attempts"}, kindNumber, "how often the node was turned on"},
			{[]string{"event_stats", "power_off_graceful_attempts"}, kindNumber, "how often the node was turned off gracefully"},
			{[]string{"event_stats", "power_off_forceful_attempts"}, kindNumber, "how often the node was turned off forcefully"},
			{[]string{"status", "phase"}, kindString, "phase: powering_on, powering_off, configuring or empty"},
			{[]string{"status", "status_override"}, kindString, "status that hides the computed one"},
		})
}

// change is what the flags of an update command say.
type change struct {
	clearDesired, clearStaged, clearPending boolean
}

// define adds the flags to a command.
func (c *change) define(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	for _, l := range leaves() {
		switch l.kind {
		case kindBool:
			a.booleanVar(flags, new(boolean), l.flag(), l.help+" (true or false)")
		case kindNumber:
			flags.Int(l.flag(), 0, l.help)
		case kindString, kindNull, kindArray, kindObject:
			flags.String(l.flag(), "", l.help)
		}
	}
	a.booleanVar(flags, &c.clearDesired, "clear-desired-state", "empty the desired state")
	a.booleanVar(flags, &c.clearStaged, "clear-staged-state", "empty the staged state")
	a.booleanVar(flags, &c.clearPending, "clear-pending-state", "empty the desired and the staged state")
	complete(cmd, "session", a.completeSessions)
	complete(cmd, "staged-state-session", a.completeSessions)
	complete(cmd, "status-phase", words("powering_on", "powering_off", "configuring"))
	complete(cmd, "last-action-action", words(
		"actual_state_cleanup", "apply_staged", "newly_discovered", "powering_off_forcefully",
		"powering_off_gracefully", "powering_on", "session_setup"))
}

// patch adds what the flags say to a patch and returns it in JSON.
func (c *change) patch(cmd *cobra.Command, patch *tree) (json.RawMessage, error) {
	if c.clearDesired || c.clearPending {
		clearState(patch, "desired_state", "bss_token")
	}
	if c.clearStaged || c.clearPending {
		clearState(patch, "staged_state", "session")
	}
	for _, l := range leaves() {
		if flag := cmd.Flags().Lookup(l.flag()); flag.Changed {
			patch.set(&tree{kind: l.kind, text: flag.Value.String()}, l.path...)
		}
	}
	if len(patch.keys) == 0 {
		return nil, misused(errors.New("say what to change"))
	}
	return patch.JSON(), nil
}

// clearState empties a state: its artifacts, its configuration, and one field
// more that only this state has.
func clearState(patch *tree, state, own string) {
	for _, name := range []string{"kernel", "kernel_parameters", "initrd"} {
		patch.set(stringTree(""), state, "boot_artifacts", name)
	}
	patch.set(stringTree(""), state, "configuration")
	patch.set(stringTree(""), state, own)
}

// patchFlag reads the value of --patch.
func (a *app) patchFlag(value string) (*tree, error) {
	if value == "" {
		return objectTree(), nil
	}
	text, from := []byte(value), "--patch"
	if file, ok := strings.CutPrefix(value, "@"); ok {
		var err error
		if text, err = a.readFile(file); err != nil {
			return nil, err
		}
		from = file
	}
	t, err := parseJSON(text)
	if err != nil {
		return nil, misused(fmt.Errorf("%s is not JSON: %w", from, err))
	}
	if t.kind != kindObject {
		return nil, misused(errors.New(strconv.Quote(from) + " is not a JSON object"))
	}
	return t, nil
}
