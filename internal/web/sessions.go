// SPDX-License-Identifier: MIT

package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	// sessionsPerPage is how many sessions that are over a page lists.
	sessionsPerPage = 25
	// mostActive bounds how many sessions that are not over are shown with their
	// progress.
	mostActive = 50
)

// sessionRow is a session in a list; Outcome is nil if it could not be had.
type sessionRow struct {
	session
	Outcome *outcome
}

// State is how the session is, in one word.
func (r sessionRow) State() string {
	if o := r.Outcome; o != nil {
		return o.State()
	}
	return r.Status.State
}

// State is how a session is, in one word: the outcome once it is over.
func (o *outcome) State() string {
	switch {
	case o.Outcome != "":
		return o.Outcome
	case o.Paused:
		return "paused"
	}
	return o.Status
}

// sessionList is what the page of the sessions shows.
type sessionList struct {
	Active []sessionRow
	// MoreActive is how many more there are that are not over.
	MoreActive int
	Over       []sessionRow
	Total      int
	Page, Last int
	Age        string
	Ages       []ageChoice
}

// ageChoice is how far back the list goes.
type ageChoice struct{ Age, Text string }

func ageChoices() []ageChoice {
	return []ageChoice{{"1h", "the last hour"}, {"1d", "the last day"}, {"1w", "the last week"}, {"", "all"}}
}

// defaultAge is how far back the list goes at first: sites keep thousands of
// sessions.
const defaultAge = "1d"

// in is the visit as one to the place of a tenant.
func (v *visit) in(tenant string) *visit {
	other := *v
	if tenant != "" {
		other.tenant = tenant
	}
	return &other
}

// sessionsIn lists the sessions of a state, the latest first.
func (v *visit) sessionsIn(query url.Values) ([]session, error) {
	var out []session
	if err := each(v, "/v2/sessions?"+query.Encode(), func(s session) { out = append(out, s) }); err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b session) int { return strings.Compare(b.Status.Start, a.Status.Start) })
	return out, nil
}

// rows adds to sessions what has become of them.
func (v *visit) rows(list []session) ([]sessionRow, error) {
	rows := make([]sessionRow, len(list))
	for i, s := range list {
		rows[i].session = s
		var o outcome
		p, err := optional(v.in(s.Tenant).get("/v2/sessions/"+url.PathEscape(s.Name)+"/outcome", &o))
		if err != nil {
			return nil, err
		}
		// One that was deleted meanwhile has none.
		if p == nil {
			rows[i].Outcome = &o
		}
	}
	return rows, nil
}

func (s *site) showSessions(v *visit) error {
	query := v.r.URL.Query()
	list := sessionList{Age: defaultAge, Ages: ageChoices(), Page: 1}
	if query.Has("age") {
		list.Age = query.Get("age")
	}
	known := slices.ContainsFunc(list.Ages, func(c ageChoice) bool { return c.Age == list.Age })
	if !known {
		return &problem{Status: http.StatusBadRequest, Title: "The list goes back for 1h, 1d, 1w or for ever"}
	}
	if n, err := strconv.Atoi(query.Get("page")); err == nil && n > 1 {
		list.Page = n
	}
	part := query.Get("part")
	if part != "over" {
		if err := v.listActive(&list); err != nil {
			return err
		}
	}
	if part != "active" {
		if err := v.listOver(&list); err != nil {
			return err
		}
	}
	p := v.newPage("Sessions", "sessions", list)
	p.Events = "events?kinds=sessions"
	return v.show("sessions", p)
}

// listActive reads the sessions that are not over.
func (v *visit) listActive(list *sessionList) error {
	var active []session
	for _, state := range []string{"pending", "running"} {
		some, err := v.sessionsIn(url.Values{"status": {state}})
		if err != nil {
			return err
		}
		active = append(active, some...)
	}
	shown := active[:min(len(active), mostActive)]
	list.MoreActive = len(active) - len(shown)
	var err error
	list.Active, err = v.rows(shown)
	return err
}

// listOver reads a page of the sessions that are over.
func (v *visit) listOver(list *sessionList) error {
	query := url.Values{"status": {"complete"}}
	if list.Age != "" {
		query.Set("max_age", list.Age)
	}
	all, err := v.sessionsIn(query)
	if err != nil {
		return err
	}
	list.Total = len(all)
	list.Last = max(1, (len(all)+sessionsPerPage-1)/sessionsPerPage)
	list.Page = min(list.Page, list.Last)
	from := (list.Page - 1) * sessionsPerPage
	list.Over, err = v.rows(all[from:min(len(all), from+sessionsPerPage)])
	return err
}

// sessionView is what the page of a session shows.
type sessionView struct {
	sessionRow
	Problem *problem
	History history
}

// Announce is the progress of the session in a sentence.
func (s sessionView) Announce() string {
	o := s.Outcome
	if o == nil {
		return s.Name + ": " + s.Status.State
	}
	text := s.Name + " " + label(o.State()) + ": " + number(o.Counts.Succeeded) + " of " + plural(o.Counts.Total, "node", "nodes") + " succeeded"
	if o.Counts.Failed > 0 {
		text += ", " + number(o.Counts.Failed) + " failed"
	}
	return text
}

// Over reports whether the session is over.
func (s sessionView) Over() bool { return s.Status.State == "complete" }

func (s *site) showSession(v *visit) error {
	name := v.r.PathValue("name")
	target := "/v2/sessions/" + url.PathEscape(name)
	var view sessionView
	if err := v.get(target, &view.session); err != nil {
		return err
	}
	var o outcome
	var err error
	if view.Problem, err = optional(v.get(target+"/outcome", &o)); err != nil {
		return err
	}
	if view.Problem == nil {
		view.Outcome = &o
	}
	if view.History, err = v.history(target + "/events"); err != nil {
		return err
	}
	p := v.newPage(name, "sessions", view)
	p.Events = "events?" + url.Values{"session": {name}, "kinds": {"sessions,events,fleet"}}.Encode()
	return v.show("session", p)
}

// steerSession cancels, pauses or resumes a session.
func (s *site) steerSession(v *visit) error {
	name, verb := v.r.PathValue("name"), v.r.PathValue("verb")
	if !slices.Contains([]string{"cancel", "pause", "resume"}, verb) {
		return notFound()
	}
	if err := v.post("/v2/sessions/"+url.PathEscape(name)+"/"+verb, nil, nil); err != nil {
		return err
	}
	redirect(v.w, http.StatusSeeOther, v.root+"sessions/"+url.PathEscape(name))
	return nil
}
