// SPDX-License-Identifier: MIT

package bos

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"bos/internal/xname"
)

// Standing is where a node of a session stands. Every node of a session has
// exactly one.
type Standing string

// The standings. Those from [StandingWaiting] on are of nodes that the session
// still drives; the others are what nodes came to.
const (
	StandingSucceeded Standing = "succeeded"
	StandingFailed    Standing = "failed"
	StandingCancelled Standing = "cancelled"
	// StandingTakenOver is of a node that another session drives now.
	StandingTakenOver Standing = "taken_over"
	// StandingLeftOut is of a node that somebody disabled or deleted, or that BOS
	// never knew.
	StandingLeftOut     Standing = "left_out"
	StandingWaiting     Standing = "waiting"
	StandingPoweringOff Standing = "powering_off"
	StandingPoweringOn  Standing = "powering_on"
	// StandingBooting is of a node that was told to switch on and has not reported
	// yet.
	StandingBooting     Standing = "booting"
	StandingConfiguring Standing = "configuring"
	// StandingStaged is of a node whose staged state was not applied yet.
	StandingStaged Standing = "staged"
)

// inProgress reports whether the session drives a node of this standing on.
func (s Standing) inProgress() bool {
	switch s {
	case StandingWaiting, StandingPoweringOff, StandingPoweringOn, StandingBooting, StandingConfiguring:
		return true
	case StandingSucceeded, StandingFailed, StandingCancelled, StandingTakenOver, StandingLeftOut, StandingStaged:
	}
	return false
}

// Left is what a node came to in a session that it left, or in which it was
// given up, while that session was not complete. Former is the one before.
type Left struct {
	Tenant  string   `json:"tenant,omitempty"`
	Session string   `json:"session"`
	CameTo  Standing `json:"came_to"`
	// Error is the node's error at that time.
	Error  string `json:"error,omitempty"`
	Former *Left  `json:"former,omitempty"`
}

// mostLeft bounds how many sessions a node remembers. Only sessions that are
// not complete matter, and of these a node is seldom in two.
const mostLeft = 8

// of returns what a node came to in a session; nil if it did not leave it.
func (l *Left) of(key SessionKey) *Left {
	for ; l != nil; l = l.Former {
		if l.Tenant == key.Tenant && l.Session == key.Name {
			return l
		}
	}
	return nil
}

// without returns the list without a session, with at most so many entries.
func (l *Left) without(key SessionKey, most int) *Left {
	if l == nil || most == 0 {
		return nil
	}
	if l.Tenant == key.Tenant && l.Session == key.Name {
		return l.Former.without(key, most)
	}
	kept := *l
	kept.Former = l.Former.without(key, most-1)
	return &kept
}

// with returns the list with what a node came to in a session.
func (l *Left) with(key SessionKey, cameTo Standing, text string) *Left {
	return &Left{
		Tenant: key.Tenant, Session: key.Name, CameTo: cameTo, Error: text,
		Former: l.without(key, mostLeft-1),
	}
}

// cameTo is where a component stands in the session that drives it.
func (r *Record) cameTo() Standing {
	c := &r.Component
	status := c.StatusNow()
	if status == StatusFailed {
		return StandingFailed
	}
	if c.Enabled.Value() {
		switch status {
		case StatusPowerOffPending, StatusPowerOffGracefullyCalled, StatusPowerOffForcefullyCalled:
			return StandingPoweringOff
		case StatusPowerOnPending:
			return StandingPoweringOn
		case StatusPowerOnCalled:
			return StandingBooting
		case StatusConfiguring:
			return StandingConfiguring
		case StatusStable, StatusOnHold, StatusFailed:
		}
		return StandingWaiting
	}
	if status == StatusStable {
		return StandingSucceeded
	}
	// Whoever disabled it on account of an error left the error there.
	text := c.Error.Value()
	if w := r.Sealed.Wait; text == "" || w != nil && w.Text == text {
		return StandingLeftOut
	}
	return StandingFailed
}

// Member is a node of a session.
type Member struct {
	ID string
	// Record is nil if there is no component; Unknown says that there was none
	// when the session was set up.
	Record  *Record
	Unknown bool
}

// standing says where a member of a session stands, its error, and who took it
// over.
func (m Member) standing(s *SessionRecord) (standing Standing, text string, by SessionKey) {
	rec, key := m.Record, s.Session.Key()
	if rec == nil || m.Unknown {
		return StandingLeftOut, "", by
	}
	own := rec.OwnSession()
	left := rec.Sealed.Left.of(key)
	switch {
	case left != nil && left.CameTo == StandingCancelled:
		return left.CameTo, left.Error, by
	case rec.AwaitedStage() == key && (own != key || !rec.Component.Enabled.Value()):
		return StandingStaged, "", by
	case own == key:
		return rec.cameTo(), rec.Component.Error.Value(), by
	case left != nil:
		return left.CameTo, left.Error, by
	case s.Session.Status.Status == SessionPending && rec.Sealed.Plan != s.Sealed.UID:
		return StandingWaiting, "", by
	}
	by = own
	if s.Session.Stage {
		if stage := rec.stagedBy(); stage.Name != "" && stage != key {
			by = stage
		}
	}
	if by.Name == "" {
		return StandingLeftOut, "", by
	}
	return StandingTakenOver, "", by
}

// Counts are the nodes of a session by their standing. Total is their sum.
type Counts struct {
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

func (c *Counts) add(s Standing) {
	c.Total++
	switch s {
	case StandingSucceeded:
		c.Succeeded++
	case StandingFailed:
		c.Failed++
	case StandingCancelled:
		c.Cancelled++
	case StandingTakenOver:
		c.TakenOver++
	case StandingLeftOut:
		c.LeftOut++
	case StandingWaiting:
		c.Waiting++
	case StandingPoweringOff:
		c.PoweringOff++
	case StandingPoweringOn:
		c.PoweringOn++
	case StandingBooting:
		c.Booting++
	case StandingConfiguring:
		c.Configuring++
	case StandingStaged:
		c.Staged++
	}
}

// Result is what the nodes of a session came to so far. That of a session that
// completes is stored; see [StoredResult].
type Result struct {
	Counts Counts `json:"counts"`
	// Failures are the failed and the cancelled nodes by their error, most first.
	Failures []Failure `json:"failures"`
	// Slowest are the nodes in progress on which something was last done longest
	// ago.
	Slowest     []SlowNode  `json:"slowest"`
	TakenOverBy []TakenOver `json:"taken_over_by"`
}

// Failure are nodes with the same error. Nodes is a folded range; see
// [xname.Fold].
type Failure struct {
	Error string `json:"error"`
	Count int    `json:"count"`
	Nodes string `json:"nodes"`
}

// SlowNode is a node in progress, and when BOS last did something for it.
type SlowNode struct {
	Node  string   `json:"node"`
	Phase Standing `json:"phase"`
	// Since is a time as in RFC 3339.
	Since string `json:"since"`
}

// TakenOver are nodes that another session drives. One that is not the
// tenant's, who asks, has no name.
type TakenOver struct {
	Session string `json:"session"`
	Tenant  string `json:"tenant"`
	Count   int    `json:"count"`
	Nodes   string `json:"nodes"`
}

const (
	// mostSlowest is how many of the slowest nodes are named.
	mostSlowest = 5
	// mostFailures is how many different errors are told apart, mostErrorText how
	// many bytes of each are shown.
	mostFailures  = 100
	mostErrorText = 1024
	otherErrors   = "other errors"
	// mostTakers is how many other sessions are told apart.
	mostTakers = 100
)

// ResultOf counts the nodes of a session.
func ResultOf(s *SessionRecord, members []Member) Result {
	r := Result{Failures: []Failure{}, Slowest: []SlowNode{}, TakenOverBy: []TakenOver{}}
	failures := map[string][]string{}
	takers := map[SessionKey][]string{}
	for _, m := range members {
		standing, text, by := m.standing(s)
		r.Counts.add(standing)
		switch {
		case standing == StandingFailed || standing == StandingCancelled:
			text = clipText(text)
			failures[text] = append(failures[text], m.ID)
		case standing == StandingTakenOver:
			if s.Session.Tenant != "" && by.Tenant != s.Session.Tenant {
				by = SessionKey{}
			}
			takers[by] = append(takers[by], m.ID)
		case standing.inProgress():
			r.slow(s, m, standing)
		}
	}
	for _, g := range largest(failures, strings.Compare, mostFailures, otherErrors) {
		r.Failures = append(r.Failures, Failure{Error: g.key, Count: len(g.ids), Nodes: xname.Fold(g.ids)})
	}
	for _, g := range largest(takers, SessionKey.Compare, mostTakers, SessionKey{}) {
		r.TakenOverBy = append(r.TakenOverBy, TakenOver{Session: g.key.Name, Tenant: g.key.Tenant, Count: len(g.ids), Nodes: xname.Fold(g.ids)})
	}
	return r
}

// slow keeps the slowest nodes.
func (r *Result) slow(s *SessionRecord, m Member, standing Standing) {
	since := m.Record.Component.LastAction.Value().LastUpdated.Value()
	if m.Record.OwnSession() != s.Session.Key() || since == "" {
		since = s.Session.Status.StartTime
	}
	at, err := ParseTimestamp(since)
	if err != nil {
		return
	}
	n := SlowNode{Node: m.ID, Phase: standing, Since: at.UTC().Format(time.RFC3339)}
	compare := func(a, b SlowNode) int {
		return cmp.Or(strings.Compare(a.Since, b.Since), xname.Compare(a.Node, b.Node))
	}
	place, _ := slices.BinarySearchFunc(r.Slowest, n, compare)
	if place == mostSlowest {
		return
	}
	r.Slowest = slices.Insert(r.Slowest, place, n)
	r.Slowest = r.Slowest[:min(len(r.Slowest), mostSlowest)]
}

// clipText bounds an error text.
func clipText(text string) string {
	if len(text) <= mostErrorText {
		return text
	}
	end := mostErrorText
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// idGroup are nodes that have something in common.
type idGroup[K comparable] struct {
	key K
	ids []string
}

// largest returns groups, the largest first. Those beyond most are one, with the
// key rest.
func largest[K comparable](groups map[K][]string, compare func(a, b K) int, most int, rest K) []idGroup[K] {
	out := make([]idGroup[K], 0, len(groups))
	for key, ids := range groups {
		out = append(out, idGroup[K]{key, ids})
	}
	slices.SortFunc(out, func(a, b idGroup[K]) int {
		return cmp.Or(cmp.Compare(len(b.ids), len(a.ids)), compare(a.key, b.key))
	})
	if len(out) <= most {
		return out
	}
	others := idGroup[K]{key: rest}
	for _, g := range out[most-1:] {
		others.ids = append(others.ids, g.ids...)
	}
	return append(out[:most-1], others)
}

// Verdict is how a complete session ended.
type Verdict string

// The verdicts. A session without nodes has failed.
const (
	VerdictSucceeded Verdict = "succeeded"
	VerdictPartial   Verdict = "partial"
	VerdictFailed    Verdict = "failed"
	VerdictCancelled Verdict = "cancelled"
)

// Outcome is how far a session is and what its nodes came to.
type Outcome struct {
	Session      string       `json:"session"`
	Tenant       string       `json:"tenant"`
	Operation    Operation    `json:"operation"`
	TemplateName string       `json:"template_name"`
	Status       SessionState `json:"status"`
	// Outcome is nil until the session is complete.
	Outcome   *Verdict `json:"outcome"`
	Paused    bool     `json:"paused"`
	StartTime string   `json:"start_time"`
	EndTime   *string  `json:"end_time"`
	Error     *string  `json:"error"`
	Result
}

// OutcomeOf tells the outcome of a session whose nodes came to a result.
func OutcomeOf(s *SessionRecord, r Result) Outcome {
	o := Outcome{
		Session: s.Session.Name, Tenant: s.Session.Tenant, Operation: s.Session.Operation,
		TemplateName: s.Session.TemplateName, Status: s.Session.Status.Status,
		Paused:    s.Sealed.Paused && s.Stopped(),
		StartTime: s.Session.Status.StartTime, EndTime: s.Session.Status.EndTime, Error: s.Session.Status.Error,
		Result: r,
	}
	if o.Status != SessionComplete {
		return o
	}
	verdict := VerdictPartial
	switch {
	case s.Sealed.Cancelled:
		verdict = VerdictCancelled
	case r.Counts.Succeeded == 0:
		verdict = VerdictFailed
	case r.Counts.Succeeded == r.Counts.Total:
		verdict = VerdictSucceeded
	}
	o.Outcome = &verdict
	return o
}
