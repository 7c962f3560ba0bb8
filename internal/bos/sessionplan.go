// SPDX-License-Identifier: MIT

package bos

// SessionPlan is the dry run of a session: which nodes it would act upon, what
// would be done to each now, and which it would leave out. Every node that the
// template names is in exactly one group of Included or Excluded. Nodes are
// folded ranges; see [xname.Fold].
type SessionPlan struct {
	Operation       Operation `json:"operation"`
	TemplateName    string    `json:"template_name"`
	Tenant          string    `json:"tenant"`
	Limit           string    `json:"limit"`
	Stage           bool      `json:"stage"`
	IncludeDisabled bool      `json:"include_disabled"`
	// Count is how many nodes the session would have, Racks how many cabinets
	// they are in.
	Count     int              `json:"count"`
	Racks     int              `json:"racks"`
	Nodes     string           `json:"nodes"`
	BootSets  []PlannedBootSet `json:"boot_sets"`
	Included  []PlannedAction  `json:"included"`
	Excluded  []Exclusion      `json:"excluded"`
	TakenOver []TakenOver      `json:"taken_over"`
	Warnings  []string         `json:"warnings"`
}

// PlannedBootSet are the nodes that get the state of a boot set.
type PlannedBootSet struct {
	Name          string        `json:"name"`
	Count         int           `json:"count"`
	Nodes         string        `json:"nodes"`
	BootArtifacts BootArtifacts `json:"boot_artifacts"`
	Configuration string        `json:"configuration"`
}

// NextAction is what would be done to a node first.
type NextAction string

// What would be done to nodes.
const (
	NextPowerOn          NextAction = "power_on"
	NextPowerOffGraceful NextAction = "power_off_gracefully"
	NextPowerOffForceful NextAction = "power_off_forcefully"
	NextConfigure        NextAction = "configure"
	NextWaitForReport    NextAction = "wait_for_report"
	NextStage            NextAction = "stage"
	NextNone             NextAction = "none"
)

// PlannedAction are nodes to which the same would be done for the same reason.
type PlannedAction struct {
	Action NextAction `json:"action"`
	Why    string     `json:"why"`
	Count  int        `json:"count"`
	Nodes  string     `json:"nodes"`
}

// ExclusionReason is why a session does not act upon a node that its template
// names.
type ExclusionReason string

// The reasons.
const (
	ExcludedNotInLimit  ExclusionReason = "not_in_limit"
	ExcludedNotInHSM    ExclusionReason = "not_in_hsm"
	ExcludedLocked      ExclusionReason = "locked"
	ExcludedOtherTenant ExclusionReason = "other_tenant"
	ExcludedWrongArch   ExclusionReason = "wrong_arch"
	ExcludedDisabled    ExclusionReason = "disabled"
	ExcludedNoComponent ExclusionReason = "no_component"
)

// Text says it in a sentence.
func (r ExclusionReason) Text() string {
	switch r {
	case ExcludedNotInLimit:
		return "the limit leaves it out"
	case ExcludedNotInHSM:
		return "HSM does not know it"
	case ExcludedLocked:
		return "it is locked in HSM"
	case ExcludedOtherTenant:
		return "it does not belong to the tenant"
	case ExcludedWrongArch:
		return "its architecture is not the one of the boot set"
	case ExcludedDisabled:
		return "it is disabled in HSM; a session with include_disabled acts upon it"
	case ExcludedNoComponent:
		return "BOS has no component of it yet"
	}
	return string(r)
}

// Exclusion are nodes that are left out for the same reason.
type Exclusion struct {
	Reason ExclusionReason `json:"reason"`
	Why    string          `json:"why"`
	Count  int             `json:"count"`
	Nodes  string          `json:"nodes"`
}
