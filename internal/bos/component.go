// SPDX-License-Identifier: MIT

// Package bos is the domain of the Boot Orchestration Service: components,
// sessions, session templates and options with their exact JSON presence
// rules, the rules by which writes change them, and what is computed from
// them. Everything here is pure: values in, values out.
package bos

// Component is BOS's record of one node, as clients see it. Every field but
// the id may be absent.
type Component struct {
	ID           string            `json:"id"`
	ActualState  Opt[ActualState]  `json:"actual_state,omitzero"`
	DesiredState Opt[DesiredState] `json:"desired_state,omitzero"`
	StagedState  Opt[StagedState]  `json:"staged_state,omitzero"`
	LastAction   Opt[LastAction]   `json:"last_action,omitzero"`
	EventStats   Opt[EventStats]   `json:"event_stats,omitzero"`
	Status       Opt[Status]       `json:"status,omitzero"`
	Enabled      Opt[bool]         `json:"enabled,omitzero"`
	Error        Opt[string]       `json:"error,omitzero"`
	Session      Opt[string]       `json:"session,omitzero"`
	RetryPolicy  Opt[int]          `json:"retry_policy,omitzero"`
}

// BootArtifacts are what a node boots: S3 paths of kernel and initrd, and the
// kernel parameters.
type BootArtifacts struct {
	Kernel           Opt[string] `json:"kernel,omitzero"`
	KernelParameters Opt[string] `json:"kernel_parameters,omitzero"`
	Initrd           Opt[string] `json:"initrd,omitzero"`
}

// ActualState is what a node last reported to have booted. LastUpdated is a
// [Timestamp] text.
type ActualState struct {
	BootArtifacts Opt[BootArtifacts] `json:"boot_artifacts,omitzero"`
	BSSToken      Opt[string]        `json:"bss_token,omitzero"`
	LastUpdated   Opt[string]        `json:"last_updated,omitzero"`
}

// DesiredState is what a node shall run; empty artifacts mean off.
type DesiredState struct {
	BootArtifacts Opt[BootArtifacts] `json:"boot_artifacts,omitzero"`
	Configuration Opt[string]        `json:"configuration,omitzero"`
	BSSToken      Opt[string]        `json:"bss_token,omitzero"`
	LastUpdated   Opt[string]        `json:"last_updated,omitzero"`
}

// StagedState waits on a node until applystaged makes it the desired state.
type StagedState struct {
	BootArtifacts Opt[BootArtifacts] `json:"boot_artifacts,omitzero"`
	Configuration Opt[string]        `json:"configuration,omitzero"`
	Session       Opt[string]        `json:"session,omitzero"`
	LastUpdated   Opt[string]        `json:"last_updated,omitzero"`
}

// LastAction is the last thing that BOS did to a node, and whether it failed.
type LastAction struct {
	Action      Opt[Action] `json:"action,omitzero"`
	Failed      Opt[bool]   `json:"failed,omitzero"`
	LastUpdated Opt[string] `json:"last_updated,omitzero"`
}

// EventStats count the attempts since the node last had a new goal or reached
// one.
type EventStats struct {
	PowerOnAttempts          Opt[int] `json:"power_on_attempts,omitzero"`
	PowerOffGracefulAttempts Opt[int] `json:"power_off_graceful_attempts,omitzero"`
	PowerOffForcefulAttempts Opt[int] `json:"power_off_forceful_attempts,omitzero"`
}

// Status is the stored part of a component's status; what clients see as
// status.status is computed at every read ([Component.StatusNow]).
type Status struct {
	Phase          Opt[Phase]  `json:"phase,omitzero"`
	StatusOverride Opt[string] `json:"status_override,omitzero"`
}

// Phase is the part of the boot process that a node is in. Only the status
// operator sets it.
type Phase string

// The phases; none means that nothing is to be done.
const (
	PhaseNone        Phase = ""
	PhasePoweringOn  Phase = "powering_on"
	PhasePoweringOff Phase = "powering_off"
	PhaseConfiguring Phase = "configuring"
)

// Action is something that BOS does to a node.
type Action string

// The actions, as clients see them in last_action.
const (
	ActionPoweringOn            Action = "powering_on"
	ActionPoweringOffGracefully Action = "powering_off_gracefully"
	ActionPoweringOffForcefully Action = "powering_off_forcefully"
	ActionSessionSetup          Action = "session_setup"
	ActionApplyStaged           Action = "apply_staged"
	ActionNewlyDiscovered       Action = "newly_discovered"
	ActionActualStateCleanup    Action = "actual_state_cleanup"
)

// StatusName is a component's computed status. A status_override that a client
// wrote may be any other text.
type StatusName string

// The statuses that BOS computes or sets.
const (
	StatusStable                   StatusName = "stable"
	StatusOnHold                   StatusName = "on_hold"
	StatusFailed                   StatusName = "failed"
	StatusConfiguring              StatusName = "configuring"
	StatusPowerOnPending           StatusName = "power_on_pending"
	StatusPowerOnCalled            StatusName = "power_on_called"
	StatusPowerOffPending          StatusName = "power_off_pending"
	StatusPowerOffGracefullyCalled StatusName = "power_off_gracefully_called"
	StatusPowerOffForcefullyCalled StatusName = "power_off_forcefully_called"
)

// StatusNow computes the status from what is stored: the override if there is
// one, else it follows from the phase and the last action.
func (c *Component) StatusNow() StatusName {
	status := c.Status.Value()
	if override := status.StatusOverride.Value(); override != "" {
		return StatusName(override)
	}
	last := c.LastAction.Value()
	switch status.Phase.Value() {
	case PhasePoweringOn:
		if last.Action.Value() == ActionPoweringOn && !last.Failed.Value() {
			return StatusPowerOnCalled
		}
		return StatusPowerOnPending
	case PhasePoweringOff:
		switch last.Action.Value() {
		case ActionPoweringOffGracefully:
			return StatusPowerOffGracefullyCalled
		case ActionPoweringOffForcefully:
			return StatusPowerOffForcefullyCalled
		default:
			return StatusPowerOffPending
		}
	case PhaseConfiguring:
		return StatusConfiguring
	case PhaseNone:
	}
	return StatusStable
}

// DesiredArtifacts returns the artifacts that the node shall boot.
func (c *Component) DesiredArtifacts() BootArtifacts {
	return c.DesiredState.Value().BootArtifacts.Value()
}

// WantsOff reports whether the node shall be off: its desired kernel is empty.
func (c *Component) WantsOff() bool {
	return c.DesiredArtifacts().Kernel.Value() == ""
}

// StagedSession returns the name of the session that staged a state here, or "".
func (c *Component) StagedSession() string {
	return c.StagedState.Value().Session.Value()
}

// EmptyBootArtifacts are artifacts that are present and empty: off.
func EmptyBootArtifacts() BootArtifacts {
	return BootArtifacts{Kernel: Some(""), KernelParameters: Some(""), Initrd: Some("")}
}

// EmptyActualState is an actual state that matches nothing.
func EmptyActualState() ActualState {
	return ActualState{BootArtifacts: Some(EmptyBootArtifacts()), BSSToken: Some("")}
}

// EmptyDesiredState is the desired state of a node of which nothing is wanted.
func EmptyDesiredState() DesiredState {
	return DesiredState{
		BootArtifacts: Some(EmptyBootArtifacts()),
		Configuration: Some(""),
		BSSToken:      Some(""),
	}
}

// EmptyStagedState is what clear_stage leaves behind: no session key.
func EmptyStagedState() StagedState {
	return StagedState{BootArtifacts: Some(EmptyBootArtifacts()), Configuration: Some("")}
}

// ZeroEventStats are the counters of a node that has a new goal.
func ZeroEventStats() EventStats {
	return EventStats{
		PowerOnAttempts:          Some(0),
		PowerOffGracefulAttempts: Some(0),
		PowerOffForcefulAttempts: Some(0),
	}
}

// Discovered is the component that discovery makes of a node that BOS did not
// know.
func Discovered(id string) Component {
	return Component{
		ID:           id,
		ActualState:  Some(EmptyActualState()),
		DesiredState: Some(EmptyDesiredState()),
		StagedState:  Some(StagedState{}),
		LastAction:   Some(LastAction{Action: Some(ActionNewlyDiscovered), Failed: Some(false)}),
		EventStats:   Some(ZeroEventStats()),
		Enabled:      Some(false),
		Error:        Some(""),
		Session:      Some(""),
	}
}
