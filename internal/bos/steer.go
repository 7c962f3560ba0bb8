// SPDX-License-Identifier: MIT

package bos

import "fmt"

// TextCancelled is the error of a session that was cancelled.
const TextCancelled = "The session was cancelled"

// SteeredText says what it is for so many nodes that their session was cancelled,
// paused or resumed.
func SteeredText(event EventType, nodes int) string {
	done, what := "cancelled", "are left as they are: "
	switch event { //nolint:exhaustive // the three that are about sessions being steered
	case EventSessionPaused:
		done, what = "paused", "wait: "
	case EventSessionResumed:
		done, what = "resumed", "go on: "
	}
	if nodes == 0 {
		what = ""
	}
	return what + "the session was " + done
}

// OnResume is what the nodes of a paused session wait for.
const OnResume = "the end of the pause of its session"

// ByAdministrator is who has nodes wait that no operator has wait.
const ByAdministrator = "administrator"

// CancelNode gives a node of a session up that is being cancelled: what drives
// it stops, what is staged on it is dropped, and what was only planned for it
// is not carried out. False if the session is through with it, or never had it.
func (w Write) CancelNode(old Record, s *SessionRecord) (Record, bool) {
	key := s.Session.Key()
	left := old.Sealed.Left.of(key)
	if left != nil && left.CameTo == StandingCancelled {
		return old, false
	}
	cancelled := func(rec Record, while Standing) (Record, bool) {
		text := fmt.Sprintf("session '%s' was cancelled while %s%s", key.Name, while, while.goesOn())
		rec.Sealed.Left = rec.Sealed.Left.with(key, StandingCancelled, text)
		return rec, true
	}
	own := old.OwnSession() == key
	if standing := old.cameTo(); own && standing.inProgress() {
		rec, _ := cancelled(w.EndWait(old), standing)
		rec = w.Operate(rec, Component{
			Enabled: Some(false),
			Error:   Some(rec.Sealed.Left.Error),
			Status:  Some(Status{StatusOverride: Some(string(StatusOnHold))}),
		})
		if rec.stagedBy() == key {
			rec = w.unstage(rec)
		}
		return rec, true
	}
	if old.AwaitedStage() == key && (!own || !old.Component.Enabled.Value()) {
		return cancelled(w.unstage(old), StandingStaged)
	}
	if !own && s.Session.Status.Status == SessionPending && s.Sealed.Setup == SetupPlanned && old.Sealed.Plan != s.Sealed.UID {
		// As if set-up had been here: it does not come back.
		rec := old
		rec.Sealed.Plan = s.Sealed.UID
		if rec.stagedBy() == key {
			rec = w.unstage(rec)
		}
		if left != nil {
			// It was driven, and left.
			return rec, true
		}
		return cancelled(rec, StandingWaiting)
	}
	if old.stagedBy() == key {
		// It was applied here and is over; it is not to be applied once more.
		return w.unstage(old), true
	}
	return old, false
}

// goesOn says what may still happen to a node that was cancelled at a standing:
// what a service was told before is not taken back.
func (s Standing) goesOn() string {
	switch s {
	case StandingPoweringOff:
		return "; a command that pcs has may still switch it off"
	case StandingBooting:
		return "; it may still come up"
	case StandingConfiguring:
		return "; cfs may go on configuring it"
	case StandingSucceeded, StandingFailed, StandingCancelled, StandingTakenOver, StandingLeftOut,
		StandingWaiting, StandingPoweringOn, StandingStaged:
	}
	return ""
}

// CancelledIn reports whether a session gave the node up because it was
// cancelled.
func (r *Record) CancelledIn(key SessionKey) bool {
	left := r.Sealed.Left.of(key)
	return left != nil && left.CameTo == StandingCancelled
}

// stagedBy returns the session that staged a state on the node, applied or not.
func (r *Record) stagedBy() SessionKey {
	return SessionKey{Tenant: r.Sealed.StagedOwner, Name: r.Component.StagedSession()}
}

// unstage drops what is staged on a node.
func (w Write) unstage(old Record) Record {
	rec := old
	staged := EmptyStagedState()
	staged.LastUpdated = Some(Timestamp(w.Now))
	rec.Component.StagedState = Some(staged)
	rec.Sealed.StagedOwner, rec.Sealed.StagedOperation, rec.Sealed.StagedApplied = "", "", false
	return rec
}

// PauseNode notes on a node that its session is paused. False if it is noted, or
// the session does not drive it.
func (w Write) PauseNode(old Record, s *SessionRecord) (Record, bool) {
	wait := old.Sealed.Wait
	if old.OwnSession() != s.Session.Key() || !old.cameTo().inProgress() || wait != nil && wait.On == OnResume {
		return old, false
	}
	return w.Await(old, Wait{
		By: ByAdministrator, On: OnResume, Text: fmt.Sprintf("session '%s' is paused", s.Session.Name),
	}), true
}

// ResumeNode ends a node's pause. What was last done with it counts as done now,
// so that the time of the pause is no part of any wait. False if the session
// does not drive it.
func (w Write) ResumeNode(old Record, s *SessionRecord) (Record, bool) {
	if old.OwnSession() != s.Session.Key() || !old.cameTo().inProgress() {
		return old, false
	}
	rec := old
	if wait := old.Sealed.Wait; wait != nil && wait.On == OnResume {
		rec = w.EndWait(old)
	}
	if old.Sealed.ActionAt == 0 {
		return rec, true
	}
	rec.Sealed.ActionAt = w.Instant
	if mark := old.Sealed.Attempt; mark != nil && mark.At == old.Sealed.ActionAt {
		moved := *mark
		moved.At = w.Instant
		rec.Sealed.Attempt = &moved
	}
	return rec, true
}
