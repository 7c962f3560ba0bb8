// SPDX-License-Identifier: MIT

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"bos/internal/api/apitypes"
	"bos/internal/bos"
	"bos/internal/client"
)

// val returns what a pointer points to, or nothing.
func val[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

// sessionsView lists sessions, the newest last: next to the prompt. Those that run
// are asked whether they are paused, which their status does not say.
func sessionsView(ctx context.Context, server *client.Client) func(*screen, *client.Stream) error {
	return func(s *screen, list *client.Stream) error { return sessionTable(ctx, server, s, list) }
}

func sessionTable(ctx context.Context, server *client.Client, s *screen, list *client.Stream) error {
	var sessions []apitypes.Session
	for one, err := range client.Each[apitypes.Session](list) {
		if err != nil {
			return err
		}
		sessions = append(sessions, one)
	}
	slices.SortStableFunc(sessions, func(a, b apitypes.Session) int {
		return cmp.Compare(a.Status.StartTime, b.Status.StartTime)
	})
	t := table{columns: []column{
		{title: "NAME"}, {title: "TENANT", min: 8, optional: true}, {title: "OPERATION"},
		{title: "TEMPLATE", min: 8, drop: -1}, {title: "STATUS"}, {title: "STARTED", drop: 2}, {title: "AGE"},
		{title: "NODES", right: true, drop: 1}, {title: "ERROR", below: true},
	}}
	asked := 0
	for i := range sessions {
		one := &sessions[i]
		nodes := ""
		if one.Components != "" {
			nodes = strconv.Itoa(count(one.Components))
		}
		status := cell{string(one.Status.Status), sessionStyle(one)}
		if one.Status.Status != apitypes.SessionStateComplete && val(one.Tenant) == "" && asked < polledSessions {
			asked++
			if steered(ctx, server, one.Name) == "paused" {
				status = cell{"paused", held}
			}
		}
		t.row(
			cell{text: one.Name}, cell{text: val(one.Tenant)}, cell{text: operationOf(one)},
			cell{text: one.TemplateName}, status,
			cell{text: clock(one.Status.StartTime)}, cell{text: s.age(one.Status.StartTime)},
			cell{text: nodes}, cell{val(one.Status.Error), bad},
		)
	}
	return t.write(s)
}

func operationOf(one *apitypes.Session) string {
	if one.Stage {
		return "stage " + string(one.Operation)
	}
	return string(one.Operation)
}

func sessionStyle(one *apitypes.Session) style {
	switch {
	case val(one.Status.Error) != "":
		return bad
	case one.Status.Status == apitypes.SessionStateComplete:
		return good
	case one.Status.Status == apitypes.SessionStateRunning:
		return busy
	}
	return plain
}

// sessionView shows one session.
func sessionView(s *screen, raw json.RawMessage) error { return sessionFields(s, raw, "") }

// sessionFields shows one session, and what its status does not say.
func sessionFields(s *screen, raw json.RawMessage, more string) error {
	one, err := client.Decode[apitypes.Session](raw)
	if err != nil {
		return err
	}
	var f fields
	f.add("Name", one.Name)
	f.some("Tenant", val(one.Tenant))
	f.add("Operation", operationOf(&one))
	f.add("Template", one.TemplateName)
	status := string(one.Status.Status)
	if more != "" {
		status += ", " + more
	}
	f.styled("Status", status, sessionStyle(&one))
	f.add("Started", s.moment(one.Status.StartTime))
	f.add("Ended", s.moment(val(one.Status.EndTime)))
	f.add("Limit", foldLimit(one.Limit))
	if one.IncludeDisabled {
		f.add("Includes", "nodes that are disabled in the hardware state manager")
	}
	f.add("Nodes", nodesText(one.Components))
	f.styled("Error", val(one.Status.Error), bad)
	return f.write(s)
}

// nodesText says how many nodes a list has, and which.
func nodesText(list string) string {
	if list == "" {
		return ""
	}
	return fmt.Sprintf("%d: %s", count(list), foldList(list))
}

// statusView sums up how far a session is.
func statusView(s *screen, raw json.RawMessage) error {
	one, err := client.Decode[apitypes.SessionExtendedStatus](raw)
	if err != nil {
		return err
	}
	var f fields
	state := busy
	if one.Status == apitypes.SessionStateComplete {
		state = good
		if one.PercentFailed > 0 {
			state = bad
		}
	}
	f.styled("Status", string(one.Status), state)
	f.add("Started", s.moment(one.Timing.StartTime))
	if ended := val(one.Timing.EndTime); ended != "" {
		f.add("Ended", s.moment(ended))
	}
	f.add("Duration", one.Timing.Duration)
	f.add("Nodes", strconv.Itoa(one.ManagedComponentsCount))
	if err := f.write(s); err != nil {
		return err
	}
	if _, err := io.WriteString(s.out, "\n"); err != nil {
		return err
	}
	t := table{columns: []column{{title: "STATE"}, {title: "NODES", right: true}, {title: "PERCENT", right: true}}}
	for _, part := range []struct {
		name    string
		percent float64
		style   style
	}{
		{"successful", one.PercentSuccessful, good},
		{"failed", one.PercentFailed, bad},
		{"powering off", one.Phases.PercentPoweringOff, busy},
		{"powering on", one.Phases.PercentPoweringOn, busy},
		{"configuring", one.Phases.PercentConfiguring, busy},
		{"staged", one.PercentStaged, held},
	} {
		if part.percent == 0 {
			part.style = plain
		}
		nodes := math.Round(part.percent * float64(one.ManagedComponentsCount) / 100)
		t.row(cell{part.name, part.style}, cell{strconv.FormatFloat(nodes, 'f', 0, 64), part.style},
			cell{strconv.FormatFloat(part.percent, 'f', -1, 64) + "%", part.style})
	}
	if err := t.write(s); err != nil || len(one.ErrorSummary) == 0 {
		return err
	}
	return errorsView(s, one.ErrorSummary)
}

// errorsView lists the errors of a session, the most frequent first.
func errorsView(s *screen, summary map[string]apitypes.SessionErrorSummary) error {
	if _, err := io.WriteString(s.out, "\n"); err != nil {
		return err
	}
	t := table{columns: []column{
		{title: "ERRORS", right: true}, {title: "NODES", min: 20, wrap: true}, {title: "MESSAGE", below: true},
	}}
	for _, text := range slices.SortedFunc(maps.Keys(summary), func(a, b string) int {
		return cmp.Or(cmp.Compare(summary[b].Count, summary[a].Count), cmp.Compare(a, b))
	}) {
		t.row(cell{text: strconv.Itoa(summary[text].Count)}, cell{text: firstNodes(summary[text].List)}, cell{text, bad})
	}
	return t.write(s)
}

// firstNodes folds the nodes of an error summary, which ends in dots if there
// are more.
func firstNodes(list string) string {
	named, more := strings.CutSuffix(list, "...")
	if named = foldList(strings.TrimSuffix(named, ",")); more {
		return named + ",..."
	}
	return named
}

// clock shortens a time of the API.
func clock(at string) string {
	t, err := bos.ParseTimestamp(at)
	if err != nil {
		return at
	}
	return t.Format("2006-01-02 15:04")
}

// moment shows a time of the API and how long ago it is.
func (s *screen) moment(at string) string {
	t, err := bos.ParseTimestamp(at)
	if err != nil {
		return at
	}
	return fmt.Sprintf("%s UTC, %s ago", t.Format(time.DateTime), s.age(at))
}

// age says how long ago a time of the API is, as short as people say it.
func (s *screen) age(at string) string {
	t, err := bos.ParseTimestamp(at)
	if err != nil {
		return ""
	}
	// The clocks of two computers differ a little.
	d := max(s.now.Sub(t), 0)
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d < 14*day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}
