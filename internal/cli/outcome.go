// SPDX-License-Identifier: MIT

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"bos/internal/client"

	"github.com/spf13/cobra"
)

// What a command that waits for a session exits with, beside exitOK for when
// every node made it.
const (
	// exitPartly is for when some nodes made it and others did not.
	exitPartly = 3
	// exitNone is for when no node made it.
	exitNone = 4
)

// outcome is where the nodes of a session are, and how it ended.
type outcome struct {
	Session   string      `json:"session"`
	Tenant    string      `json:"tenant"`
	Operation string      `json:"operation"`
	Template  string      `json:"template_name"`
	Status    string      `json:"status"`
	Outcome   *string     `json:"outcome"`
	Paused    bool        `json:"paused"`
	Start     string      `json:"start_time"`
	End       *string     `json:"end_time"`
	Error     *string     `json:"error"`
	Counts    counts      `json:"counts"`
	Failures  []failure   `json:"failures"`
	Slowest   []slow      `json:"slowest"`
	TakenOver []takenOver `json:"taken_over_by"`
}

// counts says how many nodes are where; each is in one place.
type counts struct {
	Total       int `json:"total"`
	Succeeded   int `json:"succeeded"`
	Failed      int `json:"failed"`
	Cancelled   int `json:"cancelled"`
	TakenOver   int `json:"taken_over"`
	LeftOut     int `json:"left_out"`
	Waiting     int `json:"waiting"`
	PoweringOff int `json:"powering_off"`
	PoweringOn  int `json:"powering_on"`
	Booting     int `json:"booting"`
	Configuring int `json:"configuring"`
	Staged      int `json:"staged"`
}

// failure is an error that some nodes show.
type failure struct {
	Error string `json:"error"`
	Count int    `json:"count"`
	Nodes string `json:"nodes"`
}

// slow is a node that has been in a phase for long.
type slow struct {
	Node  string `json:"node"`
	Phase string `json:"phase"`
	Since string `json:"since"`
}

// takenOver is nodes that another session has.
type takenOver struct {
	Session string `json:"session"`
	Tenant  string `json:"tenant"`
	Count   int    `json:"count"`
	Nodes   string `json:"nodes"`
}

// complete reports whether the session has ended.
func (o *outcome) complete() bool { return o.Status == "complete" }

// made is how many nodes are where the session wanted them.
func (o *outcome) made() int { return o.Counts.Succeeded + o.Counts.Staged }

// done is how many nodes nothing more happens to in this session.
func (o *outcome) done() int {
	c := o.Counts
	return o.made() + c.Failed + c.Cancelled + c.TakenOver + c.LeftOut
}

// exit is what a command that waited for the session exits with.
func (o *outcome) exit() error {
	switch made := o.made(); {
	case made > 0 && made == o.Counts.Total && val(o.Outcome) != "cancelled":
		return nil
	case made > 0:
		return &exitStatus{exitPartly}
	}
	return &exitStatus{exitNone}
}

// exitStatus ends the program with a status when all has been said.
type exitStatus struct{ status int }

func (e *exitStatus) Error() string { return "exit status " + strconv.Itoa(e.status) }

// bucket is one of the places that a node is in.
type bucket struct {
	name  string
	count int
	style style
}

// buckets are all places in the order in which a node comes through them.
func (c counts) buckets() []bucket {
	return []bucket{
		{"waiting", c.Waiting, plain},
		{"powering off", c.PoweringOff, busy},
		{"powering on", c.PoweringOn, busy},
		{"booting", c.Booting, busy},
		{"configuring", c.Configuring, busy},
		{"staged", c.Staged, held},
		{"succeeded", c.Succeeded, good},
		{"failed", c.Failed, bad},
		{"cancelled", c.Cancelled, held},
		{"taken over", c.TakenOver, held},
		{"left out", c.LeftOut, held},
	}
}

// String lists the places where nodes are: 60 succeeded, 2 failed.
func (c counts) String() string {
	var parts []string
	for _, b := range c.buckets() {
		if b.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", b.count, b.name))
		}
	}
	if len(parts) == 0 {
		return "no nodes yet"
	}
	return strings.Join(parts, ", ")
}

// state is what is shown of how a session is: its outcome once there is one.
func (o *outcome) state() (string, style) {
	switch text := val(o.Outcome); {
	case text == "succeeded":
		return text, good
	case text == "cancelled":
		return text, held
	case text != "":
		return text, bad
	case o.Paused:
		return "paused", held
	case o.Status == "running":
		return o.Status, busy
	}
	return o.Status, plain
}

// outcomeLines bounds how many lines the names of nodes get in an outcome. As
// JSON it has all of them.
const outcomeLines = 6

// outcomeView shows where the nodes of a session are.
func outcomeView(s *screen, raw json.RawMessage) error {
	one, err := client.Decode[outcome](raw)
	if err != nil {
		return err
	}
	var f fields
	f.add("Session", one.Session)
	f.some("Tenant", one.Tenant)
	f.add("Operation", one.Operation)
	f.add("Template", one.Template)
	text, st := one.state()
	f.styled("Status", text, st)
	f.add("Started", s.moment(one.Start))
	if ended := val(one.End); ended != "" {
		f.add("Ended", s.moment(ended))
	}
	if text := val(one.Error); text != "" {
		f.styled("Error", text, bad)
	}
	f.add("Nodes", strconv.Itoa(one.Counts.Total))
	if err := f.write(s); err != nil {
		return err
	}
	if one.Counts.Total > 0 {
		t := table{columns: []column{{title: "STATE"}, {title: "NODES", right: true}, {title: "PERCENT", right: true}}}
		for _, b := range one.Counts.buckets() {
			if b.count > 0 {
				t.row(cell{b.name, b.style}, cell{strconv.Itoa(b.count), b.style},
					cell{percent(b.count, one.Counts.Total), b.style})
			}
		}
		if err := t.after(s); err != nil {
			return err
		}
	}
	return one.more(s)
}

// more shows what stands under the counts.
func (o *outcome) more(s *screen) error {
	title := "FAILED"
	switch {
	case o.Counts.Cancelled > 0 && o.Counts.Failed > 0:
		title = "NOT DONE"
	case o.Counts.Cancelled > 0:
		title = "CANCELLED"
	}
	t := table{columns: []column{
		{title: title, right: true}, {title: "NODES", min: 20, wrap: true, most: outcomeLines}, {title: "ERROR", below: true},
	}}
	for _, one := range o.Failures {
		t.row(cell{text: strconv.Itoa(one.Count)}, cell{text: one.Nodes}, cell{one.Error, bad})
	}
	if err := t.after(s); err != nil {
		return err
	}
	t = table{columns: []column{{title: "SLOWEST"}, {title: "PHASE"}, {title: "FOR"}}}
	for _, one := range o.Slowest {
		t.row(cell{text: one.Node}, cell{text: phaseName(one.Phase)}, cell{text: s.age(one.Since)})
	}
	if err := t.after(s); err != nil {
		return err
	}
	t = table{columns: []column{{title: "TAKEN OVER BY"}, {title: "COUNT", right: true}, {title: "NODES", min: 20, wrap: true, most: outcomeLines}}}
	for _, one := range o.TakenOver {
		t.row(cell{text: one.Session}, cell{text: strconv.Itoa(one.Count)}, cell{text: one.Nodes})
	}
	return t.after(s)
}

// after draws a table after a blank line, unless nothing is in it.
func (t *table) after(s *screen) error {
	if len(t.rows) == 0 {
		return nil
	}
	if _, err := io.WriteString(s.out, "\n"); err != nil {
		return err
	}
	return t.write(s)
}

// phaseName is what people call a phase.
func phaseName(phase string) string { return strings.ReplaceAll(phase, "_", " ") }

// percent says how much of a whole a part is. What is not all is not 100 %,
// and what is something is not 0 %.
func percent(part, whole int) string {
	n := part * 100 / max(whole, 1)
	if n == 0 && part > 0 {
		return "<1%"
	}
	return strconv.Itoa(n) + "%"
}

// sessionsOutcomeCommand shows an outcome.
func (a *app) sessionsOutcomeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "outcome NAME", Short: "Show where the nodes of a session are and how it ended",
		Long: `Show where the nodes of a session are, each in exactly one place, and how the session ended:
succeeded, partial, failed or cancelled. 'bos watch NAME' shows the same as it changes.`,
		Args: oneName("NAME"), ValidArgsFunction: first(a.completeSessions),
		RunE: a.document(orUnsupported((*client.Client).Outcome, "keeps no outcomes"), outcomeView),
	}
}

// orUnsupported makes a request say so if the server can't do what it is for.
func orUnsupported(
	ask func(*client.Client, context.Context, string) (json.RawMessage, error), what string,
) func(*client.Client, context.Context, string) (json.RawMessage, error) {
	return func(bos *client.Client, ctx context.Context, name string) (json.RawMessage, error) {
		raw, err := ask(bos, ctx, name)
		if err != nil {
			return nil, unsupported(err, what)
		}
		return raw, nil
	}
}

// sessionsControlCommands are those that hold and end sessions.
func (a *app) sessionsControlCommands() []*cobra.Command {
	command := func(
		use, short, long string, act func(*client.Client, context.Context, string) (json.RawMessage, error),
	) *cobra.Command {
		return &cobra.Command{
			Use: use + " NAME", Short: short, Long: long, Args: oneName("NAME"),
			ValidArgsFunction: first(a.completeSessions),
			RunE:              a.document(orUnsupported(act, "can't "+use+" sessions"), outcomeView),
		}
	}
	return []*cobra.Command{
		command("cancel", "End a session where its nodes are",
			`End a session. BOS does nothing more to its nodes; commands that the power control service
has, and configurations that CFS was told to apply, are not taken back. Nodes that were
through stay as they are, the others are disabled, with an error that says how far they were
and what may still happen to them. The outcome is shown; 'bos why NODE' shows what a node is
like now.`,
			(*client.Client).CancelSession),
		command("pause", "Do nothing more to the nodes of a session until it is resumed",
			`Do nothing more to the nodes of a session until it is resumed. What was begun goes on:
commands that the power control service has are not taken back.`,
			(*client.Client).PauseSession),
		command("resume", "Let a paused session go on", `Let a paused session go on. All its waits begin anew.`,
			(*client.Client).ResumeSession),
	}
}
