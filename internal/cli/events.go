// SPDX-License-Identifier: MIT

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bos/internal/bos"
	"bos/internal/client"

	"github.com/spf13/cobra"
)

const (
	// eventsPage is how many events are asked for at once.
	eventsPage = 1000
	// eventsShown is how many of the last events are shown unless said
	// otherwise, and eventsBefore how many before those that follow.
	eventsShown, eventsBefore = 100, 10
)

// event is something that happened to some nodes.
type event struct {
	Revision int64   `json:"revision"`
	Time     string  `json:"time"`
	Type     string  `json:"type"`
	Session  *string `json:"session"`
	Tenant   *string `json:"tenant"`
	nodeSet
	Text string `json:"text"`
	// raw is the event as the server sent it.
	raw json.RawMessage
}

// UnmarshalJSON keeps what is decoded, so that it can be shown as it is.
func (e *event) UnmarshalJSON(raw []byte) error {
	type bare event
	if err := json.Unmarshal(raw, (*bare)(e)); err != nil {
		return err
	}
	e.raw = append(json.RawMessage{}, raw...)
	return nil
}

// style is how an event is shown.
func (e *event) style() style {
	switch e.Type {
	case "failed", "refused", "service_away":
		return bad
	case "succeeded", "service_back", "session_complete":
		return good
	case "taken_over", "disabled", "session_cancelled", "session_paused":
		return held
	}
	return plain
}

// seen tells events that are told twice from those that are new: a stream that
// begins anew may repeat some. Several events may have one revision.
type seen struct {
	revision int64
	same     map[string]bool
}

// fresh reports whether an event is new, and remembers it.
func (s *seen) fresh(e *event) bool {
	switch {
	case e.Revision < s.revision:
		return false
	case e.Revision > s.revision || s.same == nil:
		s.revision, s.same = e.Revision, map[string]bool{}
	}
	key := e.Type + "\x00" + e.Nodes + "\x00" + e.Text
	known := s.same[key]
	s.same[key] = true
	return !known
}

// ring keeps the last events.
type ring struct {
	events []event
}

// add returns what keeps so many events.
func (r *ring) add(most int) func(event) error {
	return func(e event) error {
		if r.events = append(r.events, e); len(r.events) > most {
			r.events = r.events[len(r.events)-most:]
		}
		return nil
	}
}

// pages asks for the events after a revision, page by page.
func pages(ctx context.Context, bos *client.Client, session, node string, after int64, each func(event) error) error {
	for {
		query := url.Values{"limit": {strconv.Itoa(eventsPage)}}
		if after > 0 {
			query.Set("after", strconv.FormatInt(after, 10))
		}
		raw, err := bos.Events(ctx, session, node, query)
		if err != nil {
			return err
		}
		page, err := client.Decode[struct {
			Events []event `json:"events"`
			Next   *int64  `json:"next"`
		}](raw)
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			if err := each(e); err != nil {
				return err
			}
		}
		if page.Next == nil || *page.Next <= after {
			return nil
		}
		after = *page.Next
	}
}

// eventTable lays events out. Where nothing is cut, the names of nodes come last:
// as long as they are, nothing stands behind them.
func eventTable(events []event, width int) table {
	nodes, text := column{title: "NODES", min: 16}, column{title: "TEXT", below: true}
	columns := eventColumns()
	if width > 0 {
		columns = append(columns, nodes, text)
	} else {
		columns = append(columns, text, nodes)
	}
	t := table{columns: columns}
	for i := range events {
		e := &events[i]
		if width > 0 {
			t.row(append(e.cells(), cell{text: e.Nodes}, cell{text: e.Text})...)
		} else {
			t.row(append(e.cells(), cell{text: e.Text}, cell{text: e.Nodes})...)
		}
	}
	return t
}

// timelineTable lays the events of one node out: it is in all of them.
func timelineTable(events []event) table {
	t := table{columns: append(eventColumns(), column{title: "TEXT", below: true})}
	for i := range events {
		t.row(append(events[i].cells(), cell{text: events[i].Text})...)
	}
	return t
}

// eventColumns are what all tables of events begin with, and cells what stands
// there.
func eventColumns() []column {
	return []column{
		{title: "TIME"}, {title: "WHAT"}, {title: "SESSION", min: 8, optional: true}, {title: "COUNT", right: true},
	}
}

func (e *event) cells() []cell {
	count := ""
	if e.Count > 0 {
		count = strconv.Itoa(e.Count)
	}
	return []cell{{text: second(e.Time)}, {phaseName(e.Type), e.style()}, {text: val(e.Session)}, {text: count}}
}

// second shows a time of the API to the second.
func second(at string) string {
	t, err := bos.ParseTimestamp(at)
	if err != nil {
		return at
	}
	return t.Format(time.DateTime)
}

// line is an event as a line of text: with the names of all nodes, or if it shall
// be short, with their number.
func (e *event) line(short bool) []cell {
	line := []cell{{text: second(e.Time)}, {phaseName(e.Type), e.style()}}
	if session := val(e.Session); session != "" {
		line = append(line, cell{text: session})
	}
	text := e.Text
	if e.Count > 0 && !strings.Contains(text, e.Nodes) {
		// The text is the rest of a sentence about them, or what a service said.
		who := e.Nodes
		if short && e.Count > 1 {
			who = plural(e.Count, "node")
		}
		text = who + ": " + text
	}
	return append(line, cell{text: text})
}

func (a *app) eventsCommand() *cobra.Command {
	var session, node string
	var follow boolean
	var after int64
	var last int
	cmd := &cobra.Command{
		Use: "events", Short: "Show what has happened, and with --follow what happens",
		Long: `Show the last events, the oldest first: of all nodes, of a session or of a node. Nodes to which
the same happened at once are one event. --follow goes on with events as they happen, and
over connections that are lost; as JSON it writes one event to a line, and on a terminal the
number of nodes in place of their names.`,
		Example: "  bos events --session reboot-1 --follow\n  bos events --node x3000c0s1b0n0",
		Args:    none,
		RunE: run(func(cmd *cobra.Command, _ []string) error {
			if session != "" && node != "" {
				return misused(errors.New("only one of --session and --node can be given"))
			}
			if last < 1 {
				return misused(errors.New("--last must be 1 or more"))
			}
			if bool(follow) && !cmd.Flags().Changed("last") {
				last = eventsBefore
			}
			bos, err := a.client(cmd)
			if err != nil {
				return err
			}
			var kept ring
			keep := kept.add(last)
			if cmd.Flags().Changed("after") && !cmd.Flags().Changed("last") {
				keep = kept.add(1 << 20)
			}
			if err := pages(cmd.Context(), bos, session, node, after, keep); err != nil {
				return unsupported(err, "keeps no events")
			}
			if follow {
				return a.followEvents(cmd.Context(), bos, session, node, kept.events, after)
			}
			items := make([]json.RawMessage, 0, len(kept.events))
			for _, e := range kept.events {
				items = append(items, e.raw)
			}
			return a.showList(client.List(items), func(s *screen, list *client.Stream) error {
				defer list.Close()
				t := eventTable(kept.events, s.width)
				if node != "" {
					t = timelineTable(kept.events)
				}
				return t.write(s)
			})
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&session, "session", "", "only events of this session")
	flags.StringVar(&node, "node", "", "only events of this node")
	flags.Int64Var(&after, "after", 0, "only events after this revision")
	flags.IntVar(&last, "last", eventsShown, "only so many of the last events")
	a.booleanVar(flags, &follow, "follow", "go on with events as they happen")
	complete(cmd, "session", a.completeSessions)
	complete(cmd, "node", a.completeNode)
	return cmd
}

// followEvents shows events, and those that come after them until the program
// is interrupted.
func (a *app) followEvents(ctx context.Context, bos *client.Client, session, node string, kept []event, after int64) error {
	told := seen{revision: after}
	show := func(e event) error {
		if !told.fresh(&e) {
			return nil
		}
		if err := a.showEvent(&e); err != nil {
			return err
		}
		return a.out.Flush()
	}
	for _, e := range kept {
		if err := show(e); err != nil {
			return err
		}
	}
	query := url.Values{"kinds": {"events"}}
	if session != "" {
		query.Set("session", session)
	}
	if node != "" {
		query.Set("component", node)
	}
	f := &follower{bos: bos, query: query, interval: pollInterval, quiet: quietInterval}
	f.fetch = func(ctx context.Context) error { return pages(ctx, bos, session, node, told.revision, show) }
	f.tell = func(m client.Message) error {
		switch m.Kind {
		case "reset":
			// What happened while nobody listened is asked for.
			return f.fetch(ctx)
		case "event":
			e, err := client.Decode[event](m.Data)
			if err != nil {
				return err
			}
			return show(e)
		}
		return nil
	}
	f.notice = func(text string) error {
		if text != "" {
			fmt.Fprintln(a.sys.Stderr, "bos: "+text)
		}
		return nil
	}
	if err := f.run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	// To be stopped is how it ends.
	return nil
}

// showEvent writes one event to a line.
func (a *app) showEvent(e *event) error {
	if a.asked && a.format == formatJSON {
		_, err := fmt.Fprintf(a.out, "%s\n", e.raw)
		return err
	}
	s := a.screen()
	var line []string
	for i, c := range e.line(s.width > 0) {
		text := clean(c.text)
		if i == 1 && s.width > 0 {
			// People look for columns.
			text = pad(text, kindColumn)
		}
		line = append(line, s.paint(text, c.style))
	}
	_, err := fmt.Fprintln(a.out, strings.Join(line, gap))
	return err
}
