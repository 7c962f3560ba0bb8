// SPDX-License-Identifier: MIT

package bos

// BeginAttempt records on a node that a power command is about to be sent:
// last action, one more attempt, no error. extra is written along (the BSS
// token of a power-on). What it replaces is kept, so that [Write.Withdraw] can
// put it back.
func (w Write) BeginAttempt(old Record, action Action, attemptID string, extra Component) Record {
	before := old.Component
	patch := extra
	patch.Error = Some("")
	patch.LastAction = Some(LastAction{Action: Some(action), Failed: Some(false)})
	patch.EventStats = Some(before.EventStats.Value().withAttempts(action, 1))
	rec := w.Operate(old, patch)
	rec.Sealed.Attempt = &AttemptMark{
		ID:         attemptID,
		Action:     action,
		At:         rec.Sealed.ActionAt,
		LastAction: before.LastAction.Value(),
		ActionAt:   old.Sealed.ActionAt,
	}
	rec.Sealed.Wait = nil
	if action == ActionPoweringOn {
		// Only a node that is off is switched on.
		rec.Sealed.Restart = false
	}
	return rec
}

// attempted reports whether the last thing that was done with a node is the
// attempt.
func (r *Record) attempted(attemptID string) bool {
	mark := r.Sealed.Attempt
	return mark != nil && mark.ID == attemptID && mark.At == r.Sealed.ActionAt
}

// Withdraw takes an attempt back that turned out to be none (the service was
// away, the node was locked or reserved) and notes what is awaited instead; a
// wait without On is none. A node that went on since (another action, another
// attempt) is returned unchanged.
func (w Write) Withdraw(old Record, attemptID string, wait Wait) (Record, bool) {
	if !old.attempted(attemptID) {
		return old, false
	}
	mark := old.Sealed.Attempt
	rec := old
	rec.Sealed.Attempt = nil
	rec.Sealed.ActionAt = mark.ActionAt
	rec.Component.LastAction = Some(mark.LastAction)
	// The counters may have been set back meanwhile.
	rec.Component.EventStats = Some(old.Component.EventStats.Value().withAttempts(mark.Action, -1))
	if wait.On == "" {
		return rec, true
	}
	return w.Await(rec, wait), true
}

// Refuse notes on a node that a service said no to its attempt, in text. The
// attempt counts. A node that went on since, or that shows the text already, is
// returned unchanged.
func (w Write) Refuse(old Record, attemptID, text string) (Record, bool) {
	if !old.attempted(attemptID) || old.Component.Error.Value() == text {
		return old, false
	}
	rec := old
	rec.Component.Error = Some(text)
	return rec, true
}

// Await notes what keeps a node from its next step and shows it as the node's
// error. The time since which the same thing is awaited is kept.
func (w Write) Await(old Record, wait Wait) Record {
	rec := old
	wait.Since = w.Instant
	if before := old.Sealed.Wait; before != nil && before.On == wait.On && before.By == wait.By {
		wait.Since = before.Since
		if before.Text != "" && old.Component.Error.Value() == before.Text {
			wait.Text = before.Text
		}
	}
	rec.Sealed.Wait = &wait
	if wait.Text != "" {
		rec.Component.Error = Some(wait.Text)
	}
	return rec
}

// EndWait drops a node's wait and the error text that went with it.
func (w Write) EndWait(old Record) Record {
	wait := old.Sealed.Wait
	if wait == nil {
		return old
	}
	rec := old
	rec.Sealed.Wait = nil
	if wait.Text != "" && rec.Component.Error.Value() == wait.Text {
		rec.Component.Error = Some("")
	}
	return rec
}

// Operate patches a record as an operator does: the node's session and its
// owner stay.
func (w Write) Operate(old Record, patch Component) Record {
	w.Tenant = old.Sealed.Owner
	if patch.DesiredState.IsSet() && !patch.Session.IsSet() {
		patch.Session = old.Component.Session
	}
	return w.Patch(old, patch)
}
