// SPDX-License-Identifier: MIT

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"bos/internal/bos"
	"bos/internal/client"

	"github.com/clipperhouse/displaywidth"
	"github.com/spf13/cobra"
)

// timelineShown is how many of the last events of a node are shown beside why
// it is where it is.
const timelineShown = 12

// whyAnswer is why a node is where it is.
type whyAnswer struct {
	ID      string  `json:"id"`
	Status  string  `json:"status"`
	Phase   string  `json:"phase"`
	Session string  `json:"session"`
	Turn    string  `json:"turn"`
	Since   *string `json:"since"`
	Summary string  `json:"summary"`
	Said    []struct {
		Service string  `json:"service"`
		At      *string `json:"at"`
		Text    string  `json:"text"`
	} `json:"said"`
	Unstick []string `json:"unstick"`
	Next    *string  `json:"next"`
}

func (a *app) whyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "why NODE", Short: "Show why a node is where it is, and what would unstick it",
		Long: `Show where a node is and since when, whose turn it is (a service, an operator of BOS, the node
itself or an administrator), what each service last said of it, what would unstick it, and
what has happened to it. With a range of nodes each of them is shown.

As JSON, YAML or TOML the answer has no history; 'bos events --node NODE' has.`,
		Example: "  bos why x3000c0s1b0n0",
		Args:    oneName("NODE"), ValidArgsFunction: first(a.completeNodes),
		RunE: run(func(cmd *cobra.Command, args []string) error {
			ids, err := expand(args[0])
			if err != nil {
				return err
			}
			server, err := a.client(cmd)
			if err != nil {
				return err
			}
			answers := make([]json.RawMessage, 0, len(ids))
			for _, id := range ids {
				raw, err := server.Why(cmd.Context(), id)
				if err != nil {
					return unsupported(err, "can't say why a node is where it is")
				}
				answers = append(answers, raw)
			}
			one := func(s *screen, raw json.RawMessage) error { return whyView(cmd.Context(), server, s, raw) }
			if len(ids) == 1 {
				return a.show(answers[0], one)
			}
			return a.showList(client.List(answers), func(s *screen, list *client.Stream) error {
				return each(s, list, one)
			})
		}),
	}
}

// each shows the documents of a list one under the other.
func each(s *screen, list *client.Stream, view func(*screen, json.RawMessage) error) error {
	some := false
	for raw, err := range client.Each[json.RawMessage](list) {
		if err != nil {
			return err
		}
		if some {
			if _, err := io.WriteString(s.out, "\n"); err != nil {
				return err
			}
		}
		some = true
		if err := view(s, raw); err != nil {
			return err
		}
	}
	return nil
}

// whyView shows why a node is where it is, and what has happened to it.
func whyView(ctx context.Context, server *client.Client, s *screen, raw json.RawMessage) error {
	one, err := client.Decode[whyAnswer](raw)
	if err != nil {
		return err
	}
	var f fields
	f.add("Node", one.ID)
	f.styled("Status", one.Status, statusStyle(one.Status))
	if one.Phase != "" && one.Phase != one.Status {
		f.add("Phase", phaseName(one.Phase))
	}
	f.add("Session", one.Session)
	f.styled("Turn", one.Turn, busy)
	f.add("Since", s.moment(val(one.Since)))
	if next := val(one.Next); next != "" {
		f.add("Next", s.coming(next))
	}
	if err := f.write(s); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s.out, "\n%s", prose(one.Summary, s.width, "", "")); err != nil {
		return err
	}
	if err := one.said(s); err != nil {
		return err
	}
	if len(one.Unstick) > 0 {
		text := "\n" + s.paint("WHAT WOULD UNSTICK IT", header) + "\n"
		for _, way := range one.Unstick {
			text += prose(way, s.width, "- ", "  ")
		}
		if _, err := io.WriteString(s.out, text); err != nil {
			return err
		}
	}
	var last ring
	if err := pages(ctx, server, "", one.ID, 0, last.add(timelineShown)); err != nil {
		if client.IsUnsupported(err) {
			return nil
		}
		return err
	}
	happened := timelineTable(last.events)
	return happened.after(s)
}

// said shows what each service last said, whole: it may be what helps.
func (w *whyAnswer) said(s *screen) error {
	if len(w.Said) == 0 {
		return nil
	}
	rows := [][3]string{{"WHO", "SAID", "WHAT"}}
	for _, said := range w.Said {
		when := "-"
		if at := val(said.At); at != "" {
			when = s.age(at) + " ago"
		}
		rows = append(rows, [3]string{clean(said.Service), when, said.Text})
	}
	who, when := 0, 0
	for _, row := range rows {
		who, when = max(who, displaywidth.String(row[0])), max(when, displaywidth.String(row[1]))
	}
	text := "\n"
	for i, row := range rows {
		first := pad(row[0], who) + gap + pad(row[1], when) + gap
		lines := prose(row[2], s.width, first, strings.Repeat(" ", len(first)))
		if i == 0 {
			lines = s.paint(strings.TrimSuffix(lines, "\n"), header) + "\n"
		}
		text += lines
	}
	_, err := io.WriteString(s.out, text)
	return err
}

// coming says when something is going to be.
func (s *screen) coming(at string) string {
	t, err := bos.ParseTimestamp(at)
	if err != nil {
		return at
	}
	d := t.Sub(s.now)
	if d <= 0 {
		return "now"
	}
	return "in " + cmp.Or(roughly(d), "0s")
}
