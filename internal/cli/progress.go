// SPDX-License-Identifier: MIT

package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"bos/internal/bos"
	"bos/internal/client"
)

// eventsKept bounds the events that a picture may show.
const eventsKept = 100

// endedKept is how many sessions that ended are still shown.
const endedKept = 3

// fleet is how many nodes there are, and how they are.
type fleet struct {
	Total    int            `json:"total"`
	Enabled  int            `json:"enabled"`
	ByStatus map[string]int `json:"by_status"`
}

// progress is what is known of one session.
type progress struct {
	outcome
	pace pace
	// seen are the places where nodes were at some time, which stay in the
	// picture.
	seen map[string]bool
}

// sessionKey tells sessions apart: two tenants may give one name.
type sessionKey struct{ tenant, name string }

// watched is everything that is known of what is watched. It changes with what
// the server tells, and is drawn in between.
type watched struct {
	// only is the one session that is watched; empty for all.
	only     string
	sessions map[sessionKey]*progress
	fleet    *fleet
	events   ring
	// notice is what there is to say of the connection.
	notice string
	// gone says that the session is no more.
	gone bool
	// told are the last events, which may be told again.
	told seen
}

// update takes where the nodes of a session are.
func (w *watched) update(o outcome, now time.Time) *progress {
	if w.sessions == nil {
		w.sessions = map[sessionKey]*progress{}
	}
	key := sessionKey{o.Tenant, o.Session}
	p := w.sessions[key]
	if p == nil || p.Start != o.Start {
		p = &progress{seen: map[string]bool{}}
		// Without a time that can be read it has no age, and so no pace.
		p.pace.start, _ = bos.ParseTimestamp(o.Start)
		w.sessions[key] = p
	}
	p.outcome = o
	if o.Status != "pending" {
		p.pace.see(now, o.made())
	}
	for _, b := range o.Counts.buckets() {
		if b.count > 0 {
			p.seen[b.name] = true
		}
	}
	return p
}

// take takes what the server tells, and returns the event that it was, if any,
// and the session that changed, if any.
func (w *watched) take(m client.Message, now time.Time) (*event, *progress, error) {
	switch m.Kind {
	case "reset":
		// Everything is told anew; sessions that are not are no more.
		if w.only == "" {
			w.sessions = nil
		}
	case "session":
		told, err := client.Decode[struct {
			Deleted bool `json:"deleted"`
			Session struct {
				Name   string  `json:"name"`
				Tenant *string `json:"tenant"`
			} `json:"session"`
			Outcome *outcome `json:"outcome"`
		}](m.Data)
		if err != nil {
			return nil, nil, err
		}
		if told.Deleted {
			delete(w.sessions, sessionKey{val(told.Session.Tenant), told.Session.Name})
			w.gone = w.only != "" && told.Session.Name == w.only
			return nil, nil, nil
		}
		if told.Outcome != nil {
			return nil, w.update(*told.Outcome, now), nil
		}
	case "fleet":
		told, err := client.Decode[fleet](m.Data)
		if err != nil {
			return nil, nil, err
		}
		w.fleet = &told
	case "event":
		told, err := client.Decode[event](m.Data)
		if err != nil || !w.told.fresh(&told) {
			return nil, nil, err
		}
		return &told, nil, w.events.add(eventsKept)(told)
	}
	return nil, nil, nil
}

// one is the session that is watched, or nil before it was told of.
func (w *watched) one() *progress {
	for key, p := range w.sessions {
		if key.name == w.only {
			return p
		}
	}
	return nil
}

// shown are the sessions to show: those that run, and the last that ended.
func (w *watched) shown() []*progress {
	all := slices.SortedFunc(maps.Values(w.sessions), func(a, b *progress) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Session, b.Session), cmp.Compare(a.Tenant, b.Tenant))
	})
	ended := 0
	for _, p := range all {
		if p.complete() {
			ended++
		}
	}
	return slices.DeleteFunc(all, func(p *progress) bool {
		if !p.complete() {
			return false
		}
		ended--
		return ended >= endedKept
	})
}

// settled reports whether nothing more happens in the session by itself: it is
// complete, or what is left of it waits on its nodes to be applied.
func (p *progress) settled() bool {
	return p.complete() || p.Status == "running" && p.Counts.Staged > 0 && p.done() == p.Counts.Total
}

// state is what is shown of how the session is.
func (p *progress) state() (string, style) {
	if p.settled() && !p.complete() && !p.Paused {
		return "staged", held
	}
	return p.outcome.state()
}

// left says how long a session will take, as far as that can be told.
func (p *progress) left(now time.Time) string {
	switch {
	case p.complete(), p.settled() && !p.Paused:
		return ""
	case p.Paused:
		return "paused"
	case p.Status == "pending":
		return "being set up"
	}
	if p.done() == p.Counts.Total {
		return ""
	}
	if left, ok := p.pace.left(now, p.Counts.Total-p.done()); ok && p.Counts.Total > 0 && !p.stuck(now, left) {
		return "about " + roughly(max(left, time.Second)) + " left"
	}
	if rest := p.pace.rest(now); rest > 0 {
		return "none done for " + roughly(rest)
	}
	return ""
}

// stuck reports whether a node has been in its phase for so long that it can't be
// told by the age of the session how long it will take, which is all that who
// comes late has.
func (p *progress) stuck(now time.Time, left time.Duration) bool {
	if len(p.pace.samples) > 1 || len(p.Slowest) == 0 {
		return false
	}
	since, err := bos.ParseTimestamp(p.Slowest[0].Since)
	return err == nil && now.Sub(since) > 2*left
}

// age is how long a session has taken, or took.
func (p *progress) age(now time.Time) string {
	start, err := bos.ParseTimestamp(p.Start)
	if err != nil {
		return ""
	}
	if end, err := bos.ParseTimestamp(val(p.End)); err == nil {
		now = end
	}
	return roughly(max(now.Sub(start), 0))
}

// summary is a session in one line: where its nodes are, and how long it will
// take.
func (p *progress) summary(now time.Time) string {
	text, _ := p.state()
	if p.Counts.Total > 0 {
		text += ": " + strconv.Itoa(p.done()) + " of " + plural(p.Counts.Total, "node") + " done (" + p.Counts.String() + ")"
	}
	if left := p.left(now); left != "" && left != "paused" {
		text += ", " + left
	}
	if p.complete() {
		text += ", took " + p.age(now)
	}
	return text
}

// fromStatus makes an outcome of what the original tells of a session: shares
// in percent.
func fromStatus(session, status json.RawMessage) (outcome, error) {
	one, err := client.Decode[struct {
		Name      string  `json:"name"`
		Tenant    *string `json:"tenant"`
		Operation string  `json:"operation"`
		Template  string  `json:"template_name"`
		Status    struct {
			Start  string  `json:"start_time"`
			End    *string `json:"end_time"`
			Status string  `json:"status"`
			Error  *string `json:"error"`
		} `json:"status"`
	}](session)
	if err != nil {
		return outcome{}, err
	}
	far, err := client.Decode[struct {
		Count  int `json:"managed_components_count"`
		Phases struct {
			PoweringOn  float64 `json:"percent_powering_on"`
			PoweringOff float64 `json:"percent_powering_off"`
			Configuring float64 `json:"percent_configuring"`
		} `json:"phases"`
		Successful float64 `json:"percent_successful"`
		Failed     float64 `json:"percent_failed"`
		Staged     float64 `json:"percent_staged"`
		Errors     map[string]struct {
			Count int    `json:"count"`
			List  string `json:"list"`
		} `json:"error_summary"`
	}](status)
	if err != nil {
		return outcome{}, err
	}
	of := func(percent float64) int { return int(percent*float64(far.Count)/100 + 0.5) }
	o := outcome{
		Session: one.Name, Tenant: val(one.Tenant), Operation: one.Operation, Template: one.Template,
		Status: one.Status.Status, Start: one.Status.Start, End: one.Status.End, Error: one.Status.Error,
		Counts: counts{
			Total: far.Count, Succeeded: of(far.Successful), Failed: of(far.Failed), Staged: of(far.Staged),
			PoweringOff: of(far.Phases.PoweringOff), PoweringOn: of(far.Phases.PoweringOn), Configuring: of(far.Phases.Configuring),
		},
	}
	c := &o.Counts
	rest := c.Total - c.Succeeded - c.Failed - c.Staged - c.PoweringOff - c.PoweringOn - c.Configuring
	if o.complete() {
		// Nothing more happens to those that are none of these.
		c.LeftOut = max(rest, 0)
	} else {
		c.Waiting = max(rest, 0)
	}
	for _, text := range slices.Sorted(maps.Keys(far.Errors)) {
		o.Failures = append(o.Failures, failure{text, far.Errors[text].Count, firstNodes(far.Errors[text].List)})
	}
	if o.complete() {
		o.Outcome = ended(&o)
	}
	return o, nil
}

// ended says how a session ended that only counts tell of.
func ended(o *outcome) *string {
	text := "partial"
	switch o.made() {
	case 0:
		text = "failed"
	case o.Counts.Total:
		text = "succeeded"
	}
	return &text
}

// failureLine is a failure as a line of text.
func failureLine(f failure) string {
	return fmt.Sprintf("%s failed: %s: %s", plural(f.Count, "node"), f.Nodes, f.Error)
}
