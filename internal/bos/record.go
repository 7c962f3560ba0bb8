// SPDX-License-Identifier: MIT

package bos

import "time"

// Instant is a point on the fleet's one clock, in milliseconds. The clock is
// kept in the store and moves only while some process is up, so that neither a
// step nor the skew of a machine's clock fires or loses a wait. 0 means never.
type Instant int64

// Add returns the instant d later.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d.Milliseconds()) }

// Sub returns the time from o to i.
func (i Instant) Sub(o Instant) time.Duration { return time.Duration(i-o) * time.Millisecond }

// Record is all that BOS keeps of one node: the component that clients see,
// and the sealed part that no client sees, writes or erases. It travels in
// backups, not in exports.
type Record struct {
	Component Component `json:"doc"`
	Sealed    Sealed    `json:"sealed"`
	// Revision is the store's revision of the last write, 0 for a record that
	// was never stored.
	Revision int64 `json:"-"`
}

// Sealed is what BOS knows about a node beside its component.
type Sealed struct {
	// Owner is the tenant of the session named in Component.Session.
	Owner string `json:"owner,omitempty"`
	// StagedOwner is the tenant of the session named in the staged state.
	StagedOwner string `json:"staged_owner,omitempty"`
	// StagedOperation is the operation that session set-up staged; empty if a
	// client wrote the staged state.
	StagedOperation Operation `json:"staged_operation,omitempty"`
	// StagedApplied says that the staged state was applied, well or not: the
	// node no longer waits for its staged session.
	StagedApplied bool `json:"staged_applied,omitempty"`
	// Restart says that the node is to be off once before what it reports
	// counts: a reboot, also into what it runs already.
	Restart bool `json:"restart,omitempty"`
	// Plan is the UID of the session whose plan was last written to this node.
	Plan string `json:"plan,omitempty"`
	// Attempt is the last power command.
	Attempt *AttemptMark `json:"attempt,omitempty"`
	// Wait says what keeps an operator from acting on this node.
	Wait *Wait `json:"wait,omitempty"`
	// ActualAt and ActionAt are the fine times of actual_state and last_action.
	ActualAt Instant `json:"actual_at,omitempty"`
	ActionAt Instant `json:"action_at,omitempty"`
	// Left is what the node came to in sessions that it left before they were
	// complete.
	Left *Left `json:"left,omitempty"`
}

// AttemptMark ties a node to an [Attempt] and keeps what the attempt replaced,
// so that an attempt that turns out to be none can be withdrawn.
type AttemptMark struct {
	ID     string `json:"id"`
	Action Action `json:"action"`
	// At is when the attempt was made; LastAction and ActionAt are what it
	// replaced.
	At         Instant    `json:"at"`
	LastAction LastAction `json:"last_action,omitzero"`
	ActionAt   Instant    `json:"action_at,omitempty"`
}

// Wait is a reason why a node's turn has not come, with a name for what is
// awaited. Text is what the component shows as its error.
type Wait struct {
	// By is the operator that waits.
	By string `json:"by"`
	// On is what is awaited: the name of a service that is away, or
	// "reservation".
	On    string  `json:"on"`
	Since Instant `json:"since"`
	// Due is when to look again at the latest.
	Due  Instant `json:"due,omitempty"`
	Text string  `json:"text,omitempty"`
}

// OwnSession returns the session that drives the node.
func (r *Record) OwnSession() SessionKey {
	return SessionKey{Tenant: r.Sealed.Owner, Name: r.Component.Session.Value()}
}

// AwaitedStage returns the session whose staged state waits on this node; its
// name is empty if there is none or it was applied.
func (r *Record) AwaitedStage() SessionKey {
	if r.Sealed.StagedApplied {
		return SessionKey{}
	}
	return SessionKey{Tenant: r.Sealed.StagedOwner, Name: r.Component.StagedSession()}
}

// Attempt is one power command for a set of nodes, recorded before it is sent
// (kept apart from the nodes, one document a command).
type Attempt struct {
	// ID travels with the command in the header BOS-Attempt.
	ID     string   `json:"id"`
	Action Action   `json:"action"`
	Nodes  []string `json:"nodes"`
	// Fence is the create revision of the leadership under which it was
	// recorded; a successor adopts attempts with another fence.
	Fence int64 `json:"fence"`
	// RecordedAt and RecordedWall are when it was recorded, on the fleet's clock
	// and in UTC on PCS's.
	RecordedAt   Instant   `json:"recorded_at"`
	RecordedWall time.Time `json:"recorded_wall"`
	// Transitions are PCS's ids of the command, one for each part in which it
	// was sent; empty until PCS has confirmed it.
	Transitions []string `json:"transitions,omitempty"`
	// Unsure are the nodes whose part got no answer, so that it may have been
	// carried out.
	Unsure []string `json:"unsure,omitempty"`
}

// Operation returns the PCS operation of the attempt's action.
func (a Action) Operation() string {
	switch a {
	case ActionPoweringOn:
		return "On"
	case ActionPoweringOffGracefully:
		return "Soft-Off"
	case ActionPoweringOffForcefully:
		return "Force-Off"
	case ActionSessionSetup, ActionApplyStaged, ActionNewlyDiscovered, ActionActualStateCleanup:
	}
	return ""
}

// Attempts returns the counter of an action in event_stats.
func (s EventStats) Attempts(a Action) int {
	switch a {
	case ActionPoweringOn:
		return s.PowerOnAttempts.Value()
	case ActionPoweringOffGracefully:
		return s.PowerOffGracefulAttempts.Value()
	case ActionPoweringOffForcefully:
		return s.PowerOffForcefulAttempts.Value()
	case ActionSessionSetup, ActionApplyStaged, ActionNewlyDiscovered, ActionActualStateCleanup:
	}
	return 0
}

// withAttempts returns the counters with so many more attempts of an action.
func (s EventStats) withAttempts(a Action, more int) EventStats {
	n := Some(max(0, s.Attempts(a)+more))
	switch a {
	case ActionPoweringOn:
		s.PowerOnAttempts = n
	case ActionPoweringOffGracefully:
		s.PowerOffGracefulAttempts = n
	case ActionPoweringOffForcefully:
		s.PowerOffForcefulAttempts = n
	case ActionSessionSetup, ActionApplyStaged, ActionNewlyDiscovered, ActionActualStateCleanup:
	}
	return s
}
