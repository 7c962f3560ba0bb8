// SPDX-License-Identifier: MIT

package bos

import "time"

// Why explains one component: where it is, whose turn it is, since when, what
// the services last said of it, and what would unstick it. No kernel parameters
// and no tokens are in it.
type Why struct {
	ID      string     `json:"id"`
	Status  StatusName `json:"status"`
	Phase   Phase      `json:"phase"`
	Session string     `json:"session"`
	// Turn is whose turn it is: a service, an operator, [TurnNode],
	// [TurnAdministrator] or [TurnNobody].
	Turn string `json:"turn"`
	// Since is when that began; nil if nothing tells.
	Since   *string  `json:"since"`
	Summary string   `json:"summary"`
	Said    []Said   `json:"said"`
	Unstick []string `json:"unstick"`
	// Next is when BOS looks or acts again at the latest, nil if it waits for
	// something to be seen.
	Next *string `json:"next"`
}

// Said is what a service, or the node, last said about a component. At is nil
// if it is not known when that was.
type Said struct {
	Service string  `json:"service"`
	At      *string `json:"at"`
	Text    string  `json:"text"`
}

// Whose turn it may be beside a service's and an operator's.
const (
	TurnNode          = "node"
	TurnAdministrator = "administrator"
	TurnNobody        = "nobody"
)

// RFC3339 writes a time as the documents do that are this implementation's own:
// UTC, seconds, with a zone. The zero time is nil.
func RFC3339(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format(time.RFC3339)
	return &text
}
