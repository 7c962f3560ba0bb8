// SPDX-License-Identifier: MIT

package bos

import "time"

// Write is the context of a write of components: what the rules need to know
// beside the documents.
type Write struct {
	// Now stamps last_updated; Instant is the same moment on the fleet's clock.
	Now     time.Time
	Instant Instant
	// Tenant is who writes; it becomes the owner of session names that are new.
	Tenant string
	// Tokens looks up the boot artifacts behind a BSS token; nil knows none.
	Tokens func(token string) (BootArtifacts, bool)
	// Open reports whether a session is not complete, so that what a node came
	// to in it has to be remembered when the node leaves it; nil is true of all.
	Open func(SessionKey) bool
}

// Put replaces a component. The sealed part of old (nil if there was none)
// survives.
func (w Write) Put(old *Record, doc Component) Record {
	var sealed Sealed
	before := Component{ID: doc.ID}
	if old != nil {
		sealed, before = old.Sealed, old.Component
	}
	w.complete(&doc)
	w.stampSealed(&sealed, doc)
	rec := Record{Component: doc, Sealed: sealed}
	w.own(&rec, before, doc)
	return rec
}

// Patch merges a patch into a component: sub-objects key by key, boot
// artifacts too; other fields replace. The id of the patch is ignored.
func (w Write) Patch(old Record, patch Component) Record {
	w.complete(&patch)
	rec := Record{Component: merge(old.Component, patch), Sealed: old.Sealed, Revision: old.Revision}
	w.stampSealed(&rec.Sealed, patch)
	w.own(&rec, old.Component, patch)
	return rec
}

// PatchSelected is Patch for the components of a session, which are patched as
// they are read: one that had no status has an empty phase once its status is
// written.
func (w Write) PatchSelected(old Record, patch Component) Record {
	if !old.Component.Status.IsSet() && (patch.Status.IsSet() || patch.Enabled.Value()) {
		old.Component.Status = Some(emptyStatus())
	}
	return w.Patch(old, patch)
}

// emptyStatus is what a component without a status shows.
func emptyStatus() Status { return Status{Phase: Some(PhaseNone), StatusOverride: Some("")} }

// complete applies the rules that hold for every write, in their order, to
// what is written: token, times, hold, session, counters.
func (w Write) complete(doc *Component) {
	if actual, ok := doc.ActualState.Get(); ok {
		if token := actual.BSSToken.Value(); token != "" && w.Tokens != nil {
			if artifacts, known := w.Tokens(token); known {
				actual.BootArtifacts = Some(artifacts)
				doc.ActualState = Some(actual)
			}
		}
	}
	w.stamp(doc)
	if doc.Enabled.Value() {
		status := doc.Status.Value()
		status.StatusOverride = Some(string(StatusOnHold))
		doc.Status = Some(status)
	}
	desired, ok := doc.DesiredState.Get()
	if !ok {
		return
	}
	if doc.Session.Value() == "" {
		doc.Session = Some("")
	}
	if desired.BootArtifacts.IsSet() || desired.Configuration.IsSet() {
		doc.EventStats = Some(ZeroEventStats())
	}
}

// stamp sets last_updated on what is written. A token alone is no news.
func (w Write) stamp(doc *Component) {
	now := Some(Timestamp(w.Now))
	if s, ok := doc.ActualState.Get(); ok && !(s.BSSToken.IsSet() && !s.BootArtifacts.IsSet()) {
		s.LastUpdated = now
		doc.ActualState = Some(s)
	}
	if s, ok := doc.DesiredState.Get(); ok &&
		!(s.BSSToken.IsSet() && !s.BootArtifacts.IsSet() && !s.Configuration.IsSet()) {
		s.LastUpdated = now
		doc.DesiredState = Some(s)
	}
	if s, ok := doc.StagedState.Get(); ok {
		s.LastUpdated = now
		doc.StagedState = Some(s)
	}
	if s, ok := doc.LastAction.Get(); ok {
		s.LastUpdated = now
		doc.LastAction = Some(s)
	}
}

// stampSealed keeps the fine times of what is written. Marking an action as
// failed does not make it a new action. A new goal is no reboot until who sets
// it says so.
func (w Write) stampSealed(sealed *Sealed, written Component) {
	if s, ok := written.ActualState.Get(); ok && s.LastUpdated.IsSet() {
		sealed.ActualAt = w.Instant
	}
	if written.LastAction.Value().Action.IsSet() {
		sealed.ActionAt = w.Instant
	}
	if d := written.DesiredState.Value(); d.BootArtifacts.IsSet() || d.Configuration.IsSet() {
		sealed.Restart = false
	}
}

// own keeps track of whose the session names are: a name that changed belongs
// to the writer, an unchanged one keeps its owner. Staging anew ends the mark
// that the former stage was applied.
func (w Write) own(rec *Record, before, written Component) {
	former := Record{Component: before, Sealed: rec.Sealed}
	defer func() { w.Leave(&former, rec) }()
	if rec.Component.Session.Value() != before.Session.Value() {
		rec.Sealed.Owner = w.Tenant
	}
	if rec.Component.StagedSession() != before.StagedSession() {
		rec.Sealed.StagedOwner = w.Tenant
		rec.Sealed.StagedOperation = ""
	}
	if written.StagedState.Value().Session.Value() != "" {
		rec.Sealed.StagedApplied = false
	}
}

// Leave notes on a node that has left its former session what it came to there,
// if that is more than that it left. It is written once, however often it is
// called.
func (w Write) Leave(former, rec *Record) {
	key := former.OwnSession()
	if key.Name == "" || key == rec.OwnSession() || rec.Sealed.Left.of(key) != nil {
		return
	}
	cameTo := former.cameTo()
	if cameTo.inProgress() || w.Open != nil && !w.Open(key) {
		return
	}
	rec.Sealed.Left = rec.Sealed.Left.with(key, cameTo, former.Component.Error.Value())
}

// Join forgets what a node came to in a former session of a name: it belongs to
// another one of that name now.
func (r *Record) Join(key SessionKey) {
	if r.Sealed.Left.of(key) != nil {
		r.Sealed.Left = r.Sealed.Left.without(key, mostLeft)
	}
}

func merge(old, patch Component) Component {
	out := Component{
		ID:           old.ID,
		ActualState:  overlayWith(old.ActualState, patch.ActualState, mergeActual),
		DesiredState: overlayWith(old.DesiredState, patch.DesiredState, mergeDesired),
		StagedState:  overlayWith(old.StagedState, patch.StagedState, mergeStaged),
		LastAction:   overlayWith(old.LastAction, patch.LastAction, mergeLastAction),
		EventStats:   overlayWith(old.EventStats, patch.EventStats, mergeEventStats),
		Status:       overlayWith(old.Status, patch.Status, mergeStatus),
		Enabled:      old.Enabled.overlay(patch.Enabled),
		Error:        old.Error.overlay(patch.Error),
		Session:      old.Session.overlay(patch.Session),
		RetryPolicy:  old.RetryPolicy.overlay(patch.RetryPolicy),
	}
	return out
}

// overlayWith merges two optional values where both are present.
func overlayWith[T any](old, patch Opt[T], merge func(old, patch T) T) Opt[T] {
	o, haveOld := old.Get()
	p, havePatch := patch.Get()
	if haveOld && havePatch {
		return Some(merge(o, p))
	}
	return old.overlay(patch)
}

func mergeArtifacts(old, patch BootArtifacts) BootArtifacts {
	return BootArtifacts{
		Kernel:           old.Kernel.overlay(patch.Kernel),
		KernelParameters: old.KernelParameters.overlay(patch.KernelParameters),
		Initrd:           old.Initrd.overlay(patch.Initrd),
	}
}

func mergeActual(old, patch ActualState) ActualState {
	return ActualState{
		BootArtifacts: overlayWith(old.BootArtifacts, patch.BootArtifacts, mergeArtifacts),
		BSSToken:      old.BSSToken.overlay(patch.BSSToken),
		LastUpdated:   old.LastUpdated.overlay(patch.LastUpdated),
	}
}

func mergeDesired(old, patch DesiredState) DesiredState {
	return DesiredState{
		BootArtifacts: overlayWith(old.BootArtifacts, patch.BootArtifacts, mergeArtifacts),
		Configuration: old.Configuration.overlay(patch.Configuration),
		BSSToken:      old.BSSToken.overlay(patch.BSSToken),
		LastUpdated:   old.LastUpdated.overlay(patch.LastUpdated),
	}
}

func mergeStaged(old, patch StagedState) StagedState {
	return StagedState{
		BootArtifacts: overlayWith(old.BootArtifacts, patch.BootArtifacts, mergeArtifacts),
		Configuration: old.Configuration.overlay(patch.Configuration),
		Session:       old.Session.overlay(patch.Session),
		LastUpdated:   old.LastUpdated.overlay(patch.LastUpdated),
	}
}

func mergeLastAction(old, patch LastAction) LastAction {
	return LastAction{
		Action:      old.Action.overlay(patch.Action),
		Failed:      old.Failed.overlay(patch.Failed),
		LastUpdated: old.LastUpdated.overlay(patch.LastUpdated),
	}
}

func mergeEventStats(old, patch EventStats) EventStats {
	return EventStats{
		PowerOnAttempts:          old.PowerOnAttempts.overlay(patch.PowerOnAttempts),
		PowerOffGracefulAttempts: old.PowerOffGracefulAttempts.overlay(patch.PowerOffGracefulAttempts),
		PowerOffForcefulAttempts: old.PowerOffForcefulAttempts.overlay(patch.PowerOffForcefulAttempts),
	}
}

func mergeStatus(old, patch Status) Status {
	return Status{
		Phase:          old.Phase.overlay(patch.Phase),
		StatusOverride: old.StatusOverride.overlay(patch.StatusOverride),
	}
}
