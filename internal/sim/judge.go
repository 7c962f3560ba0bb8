// SPDX-License-Identifier: MIT

package sim

import (
	"fmt"
	"hash/maphash"
	"log/slog"
	"time"
)

// The rules of the judge.
const (
	// RuleNodeTwice: a transition names a node twice.
	RuleNodeTwice = "node_named_twice"
	// RuleAttemptRepeated: the same operation went to a node again under the
	// attempt id of an earlier one.
	RuleAttemptRepeated = "attempt_repeated"
	// RuleStillOpen: an operation went to a node whose task of the same operation
	// had not ended.
	RuleStillOpen = "operation_still_open"
	// RuleOnNotOff: On for a node that power-status does not show as off.
	RuleOnNotOff = "on_while_not_off"
	// RuleOnWhileReserved: On for a node that PCS still holds for a transition
	// of another operation.
	RuleOnWhileReserved = "on_while_reserved"
	// RuleOnWithoutParameters: On for a node that got no boot parameters since its
	// last On, or whose last ones BSS refused.
	RuleOnWithoutParameters = "on_without_boot_parameters"
	// RuleEmptyList: an empty list where it means everything.
	RuleEmptyList = "empty_list"
	// RuleMalformedName: a name that is no xname in normal form, sent to PCS, or
	// no node's xname in normal form, sent to BSS.
	RuleMalformedName = "malformed_name"
	// RuleTooBig: a request larger than the service takes.
	RuleTooBig = "too_big"
	// RuleTurnWithoutReason: an enabled component with neither a due time nor an
	// awaited observation.
	RuleTurnWithoutReason = "turn_without_due_or_awaited"
	// RuleTurnWithoutOwner: an enabled component that nobody owns.
	RuleTurnWithoutOwner = "turn_without_owner"
	// RuleTurnOverdue: an enabled component whose due time passed long ago.
	RuleTurnOverdue = "turn_overdue"
)

// Violation is something that no correct client of the site does.
type Violation struct {
	// Time is when the site noticed.
	Time time.Time `json:"time"`
	// Rule is one of the Rule constants.
	Rule string `json:"rule"`
	// Node is the node concerned, "" where none is.
	Node string `json:"node,omitempty"`
	// Detail says what was wrong, for people.
	Detail string `json:"detail"`
}

// Turn is whose turn a component is as BOS sees it.
type Turn struct {
	// ID is the component, Owner who acts next, Awaiting what is being waited for.
	ID, Owner, Awaiting string
	// Due is when Owner acts at the latest; the zero time means not before
	// Awaiting was observed.
	Due time.Time
}

const (
	// maxViolations bounds what is kept; Stats counts all.
	maxViolations = 10000
	// turnGrace is how late an owner may be, before scaling.
	turnGrace = 30 * time.Second
	// rememberedAttempts is how many attempts of a node are compared.
	rememberedAttempts = 6
)

// putState is how far a node's boot parameters are.
type putState uint8

// The states of a node's boot parameters.
const (
	putNone putState = iota
	putFresh
	putUsed
	putRefused
)

// judgedNode is what the judge remembers of a node.
type judgedNode struct {
	attempts [rememberedAttempts]uint64
	next     uint8
	put      putState
	// open counts the unfinished tasks of each operation.
	open [operations]uint8
}

// judge collects violations; the site's lock guards it.
type judge struct {
	list    []Violation
	counts  map[string]int
	seed    maphash.Seed
	flagged map[string]string
}

func newJudge() judge {
	return judge{counts: map[string]int{}, seed: maphash.MakeSeed(), flagged: map[string]string{}}
}

// violate records a violation; the lock must be held.
func (s *Site) violate(rule, node, detail string) {
	s.judge.counts[rule]++
	if len(s.judge.list) >= maxViolations {
		return
	}
	s.judge.list = append(s.judge.list, Violation{time.Now(), rule, node, detail})
	s.cfg.Logger.Warn("violation", slog.String("rule", rule), slog.String("node", node), slog.String("detail", detail))
}

// Violations returns what was found wrong so far, oldest first: the first 10,000.
func (s *Site) Violations() []Violation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Violation(nil), s.judge.list...)
}

func (s *Site) judgeEmpty(service, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violate(RuleEmptyList, "", service+": "+what)
}

func (s *Site) judgeTooBig(service, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violate(RuleTooBig, "", service+": "+what)
}

// judgeNames looks at names sent to PCS, which takes any kind of xname.
func (s *Site) judgeNames(service string, names []string) {
	for _, x := range names {
		if _, normal, ok := xnameType(x); !ok || normal != x {
			s.malformed(service, x)
		}
	}
}

// judgeNodeNames looks at names that must be those of nodes.
func (s *Site) judgeNodeNames(service string, names []string) {
	for _, x := range names {
		if !isNodeXname(x) {
			s.malformed(service, x)
		}
	}
}

func (s *Site) malformed(service, x string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violate(RuleMalformedName, x, service+" was sent a name that is no xname in normal form")
}

// judgeTransition looks at a transition that PCS has accepted; the lock must be
// held.
func (s *Site) judgeTransition(op operation, attempt string, names []string) {
	key := uint64(0)
	if attempt == "" {
		s.stats.WithoutAttempt++
	} else {
		key = maphash.String(s.judge.seed, op.String()+" "+attempt) | 1
	}
	seen := make(map[string]bool, len(names))
	for _, x := range names {
		if _, normal, ok := xnameType(x); !ok || normal != x {
			s.violate(RuleMalformedName, x, "a transition names something that is no xname in normal form")
		}
		if seen[x] {
			s.violate(RuleNodeTwice, x, op.String()+" names the node twice")
			continue
		}
		seen[x] = true
		if i, ok := s.lookup(x); ok {
			s.judgeNode(op, attempt, key, i)
		}
	}
}

// judgeNode looks at one node of a transition.
func (s *Site) judgeNode(op operation, attempt string, key uint64, i int32) {
	j, x := &s.nodes[i].judged, s.comps[i].id
	if key != 0 {
		for _, old := range j.attempts {
			if old == key {
				s.violate(RuleAttemptRepeated, x, fmt.Sprintf("%s again under attempt %s", op, attempt))
				break
			}
		}
		j.attempts[j.next] = key
		j.next = (j.next + 1) % rememberedAttempts
	}
	if j.open[op] > 0 {
		s.violate(RuleStillOpen, x, op.String()+" while the former "+op.String()+" had not ended")
	}
	if j.open[op] < 255 {
		j.open[op]++
	}
	if op != opOn {
		return
	}
	if shown := s.shownPower(i); !s.knownToPCS(i) || shown != powerOff {
		s.violate(RuleOnNotOff, x, fmt.Sprintf("On while power-status shows %q", shown))
	}
	if c := &s.comps[i]; c.reserved(s.now()) && s.holdsFor(c.res.owner, op) {
		s.violate(RuleOnWhileReserved, x, "On while PCS holds the node for transition "+c.res.owner)
	}
	switch j.put {
	case putFresh:
		j.put = putUsed
	case putNone, putUsed:
		s.violate(RuleOnWithoutParameters, x, "On without boot parameters since the last On")
	case putRefused:
		s.violate(RuleOnWithoutParameters, x, "On although BSS refused the last boot parameters")
	}
}

// holdsFor reports whether the holder of a reservation is a transition of another
// operation.
func (s *Site) holdsFor(owner string, op operation) bool {
	t := s.pcs.transitions[owner]
	return t != nil && t.op != op
}

// judgeSettled notes that a task has ended. An On that never reached its BMC has
// not used the node's boot parameters.
func (s *Site) judgeSettled(op operation, i int32, applied bool) {
	if i == noNode || int(i) >= len(s.nodes) {
		return
	}
	j := &s.nodes[i].judged
	if j.open[op] > 0 {
		j.open[op]--
	}
	if op == opOn && !applied && j.put == putUsed {
		j.put = putFresh
	}
}

// judgePut notes how a write of boot parameters ended.
func (s *Site) judgePut(hosts []string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range hosts {
		if i, known := s.lookup(x); known {
			s.nodes[i].judged.put = pick(ok, putFresh, putRefused)
		}
	}
}

// judgeRefusedPut notes that a fault refused a write of boot parameters.
func (s *Site) judgeRefusedPut(body []byte) {
	if in, err := decodeParams(body); err == nil {
		s.judgePut(in.Hosts, false)
	}
}

// CheckTurns judges whose turn the enabled components of BOS are. One with
// neither a due time nor an awaited observation, one without an owner, and one
// whose due time passed more than 30 s (scaled) ago is a violation; it is
// recorded again only when it was all right in between or its due time changed.
func (s *Site) CheckTurns(turns []Turn) {
	now := time.Now()
	grace := s.scaled(turnGrace)
	s.mu.Lock()
	defer s.mu.Unlock()
	flagged := map[string]string{}
	for _, t := range turns {
		var rule, detail string
		switch {
		case t.Owner == "":
			rule, detail = RuleTurnWithoutOwner, "nobody's turn"
		case t.Due.IsZero() && t.Awaiting == "":
			rule, detail = RuleTurnWithoutReason, t.Owner+" waits for nothing and has no due time"
		case !t.Due.IsZero() && now.Sub(t.Due) > grace:
			rule = RuleTurnOverdue
			detail = fmt.Sprintf("%s was due %s ago, awaiting %q", t.Owner, now.Sub(t.Due).Round(time.Millisecond), t.Awaiting)
		default:
			continue
		}
		mark := rule + t.Due.String()
		flagged[t.ID] = mark
		if s.judge.flagged[t.ID] != mark {
			s.violate(rule, t.ID, detail)
		}
	}
	s.judge.flagged = flagged
}
