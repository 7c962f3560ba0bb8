// SPDX-License-Identifier: MIT

package bos

import (
	"strings"
	"time"
	"unicode"
)

// Event is something that happened to a session or to a set of nodes. No
// secrets, tokens or kernel parameters are in it.
type Event struct {
	// Revision is the store's revision of its write; 0 while it is not written.
	// The store keeps it beside the document.
	Revision int64     `json:"revision,omitempty"`
	Time     EventTime `json:"time"`
	Type     EventType `json:"type"`
	// Session and Tenant are the session that it belongs to; empty for none.
	Session string `json:"session,omitempty"`
	Tenant  string `json:"tenant,omitempty"`
	// Count is how many nodes Nodes names, as a range; 0 and empty for an event
	// that is about no nodes.
	Count int    `json:"count"`
	Nodes string `json:"nodes"`
	Text  string `json:"text"`
}

// EventType is the kind of an event.
type EventType string

// The types of events.
const (
	EventSessionCreated   EventType = "session_created"
	EventSessionRunning   EventType = "session_running"
	EventSessionComplete  EventType = "session_complete"
	EventSessionCancelled EventType = "session_cancelled"
	EventSessionPaused    EventType = "session_paused"
	EventSessionResumed   EventType = "session_resumed"
	EventSessionDeleted   EventType = "session_deleted"
	// EventSetUp is about nodes that were given a goal, EventTakenOver about nodes
	// that a session has lost to another one.
	EventSetUp     EventType = "set_up"
	EventTakenOver EventType = "taken_over"
	// EventPhase is about nodes that came into another phase.
	EventPhase EventType = "phase"
	// EventAction is about nodes for which a command was sent, EventRefused about
	// those for which a service said no.
	EventAction  EventType = "action"
	EventRefused EventType = "refused"
	// EventServiceAway is about nodes that wait for a service, EventWaiting about
	// those that wait for something else; EventServiceBack says that a service
	// answers again.
	EventServiceAway EventType = "service_away"
	EventServiceBack EventType = "service_back"
	EventWaiting     EventType = "waiting"
	EventSucceeded   EventType = "succeeded"
	EventFailed      EventType = "failed"
	// EventEnabled and EventDisabled are about nodes that a client enabled or
	// disabled, EventReported about those that said what they run.
	EventEnabled  EventType = "enabled"
	EventDisabled EventType = "disabled"
	EventReported EventType = "reported"
	// EventDiscovered is about nodes that are new to BOS, EventReportExpired about
	// those whose last report is too old to count.
	EventDiscovered    EventType = "discovered"
	EventReportExpired EventType = "report_expired"
	// EventDropped says that events could not be kept.
	EventDropped EventType = "dropped"
)

// EventTypes returns all types.
func EventTypes() []EventType {
	return []EventType{
		EventSessionCreated, EventSessionRunning, EventSessionComplete, EventSessionCancelled, EventSessionPaused,
		EventSessionResumed, EventSessionDeleted, EventSetUp, EventTakenOver, EventPhase, EventAction, EventRefused,
		EventServiceAway, EventServiceBack, EventWaiting, EventSucceeded, EventFailed, EventEnabled, EventDisabled,
		EventReported, EventDiscovered, EventReportExpired, EventDropped,
	}
}

// SessionKey returns the session that the event belongs to; its name is empty
// for none.
func (e *Event) SessionKey() SessionKey { return SessionKey{Tenant: e.Tenant, Name: e.Session} }

// EventTime is a time in milliseconds, in UTC.
type EventTime struct{ time.Time }

const eventTimeLayout = "2006-01-02T15:04:05.000Z"

// MarshalText writes the time as RFC 3339 does.
func (t EventTime) MarshalText() ([]byte, error) {
	return t.UTC().AppendFormat(nil, eventTimeLayout), nil
}

// MarshalJSON writes the time as a text.
func (t EventTime) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, `"`+eventTimeLayout+`"`), nil
}

const (
	// maxEventText bounds the text of an event in bytes.
	maxEventText = 1000
	// maxEventWord bounds a word in it: longer runs are no words.
	maxEventWord = 200
	gap          = "…"
)

// EventText makes a text fit to be kept as an event's: one line, not too long,
// without values of parameters and without credentials. Our own sentences pass
// as they are; what clients and services say may hold anything.
func EventText(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	words := strings.Fields(text)
	secret := false
	for i, word := range words {
		name, value, assigned := strings.Cut(word, "=")
		bare := strings.Trim(strings.ToLower(word), `:"',`)
		switch {
		case secret:
			words[i] = gap
		case assigned && value != "":
			words[i] = name + "=" + gap
		case strings.Contains(word, "eyJ") && len(word) > 20, len(word) > maxEventWord:
			words[i] = gap
		}
		secret = bare == "bearer" || bare == "basic"
	}
	text = strings.Join(words, " ")
	if len(text) > maxEventText {
		text = strings.ToValidUTF8(text[:maxEventText-len(gap)], "") + gap
	}
	return text
}

// ClientEvent says what a client's write has made of a component; the type is
// empty if it is nothing to tell of. old is nil for one that is new.
func ClientEvent(old, now *Record) (EventType, string) {
	if old == nil {
		old = &Record{}
	}
	was, is := &old.Component, &now.Component
	if is.LastAction.Value().Action.Value() == ActionApplyStaged && old.Sealed.ActionAt != now.Sealed.ActionAt {
		return EventSetUp, "what was staged on them is applied"
	}
	if on := is.Enabled.Value(); on != was.Enabled.Value() {
		if on {
			return EventEnabled, "a client enabled them"
		}
		return EventDisabled, "a client disabled them"
	}
	runs := is.ActualState.Value().BootArtifacts.Value()
	if runs.Kernel.Value() == "" || SameArtifacts(runs, was.ActualState.Value().BootArtifacts.Value()) {
		return "", ""
	}
	if !is.WantsOff() && SameArtifacts(runs, is.DesiredArtifacts()) {
		return EventReported, "reported that they run what they shall"
	}
	return EventReported, "reported that they run something else than they shall"
}
