// SPDX-License-Identifier: MIT

package bos

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// maxNamedInError is how many nodes an error summary names before it ends in
// dots.
const maxNamedInError = 10

// ExtendedStatus sums up a session: how far its nodes are and what went wrong.
// Percentages are of all managed components, rounded to two decimals.
type ExtendedStatus struct {
	Status                 SessionState            `json:"status"`
	ManagedComponentsCount int                     `json:"managed_components_count"`
	Phases                 PhasePercentages        `json:"phases"`
	PercentStaged          float64                 `json:"percent_staged"`
	PercentSuccessful      float64                 `json:"percent_successful"`
	PercentFailed          float64                 `json:"percent_failed"`
	ErrorSummary           map[string]ErrorSummary `json:"error_summary"`
	Timing                 Timing                  `json:"timing"`
}

// PhasePercentages say how many of a session's nodes are in which phase.
type PhasePercentages struct {
	PercentComplete    float64 `json:"percent_complete"`
	PercentPoweringOn  float64 `json:"percent_powering_on"`
	PercentPoweringOff float64 `json:"percent_powering_off"`
	PercentConfiguring float64 `json:"percent_configuring"`
}

// ErrorSummary counts the nodes with one error and names the first of them.
type ErrorSummary struct {
	Count int    `json:"count"`
	List  string `json:"list"`
}

// Timing is when a session began and ended; Duration has the form of
// [FormatDuration].
type Timing struct {
	StartTime string  `json:"start_time"`
	EndTime   *string `json:"end_time"`
	Duration  string  `json:"duration"`
}

// Summarize computes the extended status of a session. active are the
// components that the session drives or drove; staged is how many wait for
// their staged state to be applied. A component that is both counts twice.
func Summarize(s *Session, active []*Record, staged int, now time.Time) ExtendedStatus {
	total := len(active) + staged
	var on, off, configuring, successful, failed int
	errs := map[string][]string{}
	for _, r := range active {
		c := &r.Component
		status := c.StatusNow()
		switch status {
		case StatusStable:
			successful++
		case StatusFailed:
			failed++
		default:
		}
		if c.Enabled.Value() && status != StatusOnHold {
			switch c.Status.Value().Phase.Value() {
			case PhasePoweringOn:
				on++
			case PhasePoweringOff:
				off++
			case PhaseConfiguring:
				configuring++
			case PhaseNone:
			}
		}
		if text := c.Error.Value(); text != "" {
			errs[text] = append(errs[text], c.ID)
		}
	}
	percent := func(n int) float64 {
		if total == 0 {
			return 0
		}
		return math.Round(float64(n)/float64(total)*1e4) / 1e2
	}
	return ExtendedStatus{
		Status:                 s.Status.Status,
		ManagedComponentsCount: total,
		Phases: PhasePercentages{
			PercentComplete:    percent(successful + failed),
			PercentPoweringOn:  percent(on),
			PercentPoweringOff: percent(off),
			PercentConfiguring: percent(configuring),
		},
		PercentStaged:     percent(staged),
		PercentSuccessful: percent(successful),
		PercentFailed:     percent(failed),
		ErrorSummary:      summarizeErrors(errs),
		Timing:            timingOf(s, now),
	}
}

// AddLost adds to a summary the nodes that a session was set up on and that
// another one drives now: whoever lost a race for a node is to find out. What
// is counted of the session's own nodes stays.
func (e *ExtendedStatus) AddLost(s *Session, lost []*Record) {
	errs := map[string][]string{}
	for _, r := range lost {
		text := TakenOverText(s.Tenant, r.OwnSession())
		errs[text] = append(errs[text], r.Component.ID)
	}
	for text, summary := range summarizeErrors(errs) {
		e.ErrorSummary[text] = summary
	}
}

// TakenOverText says to a tenant by whom a node was taken over; it is told no names
// that are not its own.
func TakenOverText(tenant string, by SessionKey) string {
	switch {
	case by.Name == "":
		return "No longer driven by this session"
	case by.Tenant == tenant:
		return fmt.Sprintf("Taken over by session '%s'", by.Name)
	case tenant == "":
		return fmt.Sprintf("Taken over by session '%s' of tenant '%s'", by.Name, by.Tenant)
	}
	return "Taken over by a session that is not this tenant's"
}

func summarizeErrors(errs map[string][]string) map[string]ErrorSummary {
	out := make(map[string]ErrorSummary, len(errs))
	for text, ids := range errs {
		slices.Sort(ids)
		list := strings.Join(ids[:min(len(ids), maxNamedInError)], ",")
		if len(ids) > maxNamedInError {
			list += "..."
		}
		out[text] = ErrorSummary{Count: len(ids), List: list}
	}
	return out
}

// timingOf measures a session's duration; one whose times can't be read lasts 0.
func timingOf(s *Session, now time.Time) Timing {
	t := Timing{StartTime: s.Status.StartTime, EndTime: s.Status.EndTime}
	end := now.UTC()
	start, err := ParseTimestamp(s.Status.StartTime)
	if err == nil && s.Status.EndTime != nil {
		end, err = ParseTimestamp(*s.Status.EndTime)
	}
	var d time.Duration
	if err == nil {
		d = end.Sub(start).Truncate(time.Microsecond)
	}
	t.Duration = FormatDuration(d)
	return t
}
