// SPDX-License-Identifier: MIT

package web

import (
	"net/url"
	"slices"
	"strconv"
)

const (
	// mostEvents bounds how many events a page asks for, shownEvents how many of
	// them it shows: the latest.
	mostEvents  = 1000
	shownEvents = 100
)

// history is what happened, the latest first; Problem is why it can't be shown.
type history struct {
	Events  []event
	Problem *problem
}

// history reads the events at a path of the API.
func (v *visit) history(target string) (history, error) {
	var out history
	query := url.Values{"limit": {strconv.Itoa(mostEvents)}}
	var pageOf struct {
		Events []event
		Next   *int64
	}
	for {
		pageOf.Events, pageOf.Next = nil, nil
		var err error
		if out.Problem, err = optional(v.get(target+"?"+query.Encode(), &pageOf)); err != nil || out.Problem != nil {
			return out, err
		}
		out.Events = append(out.Events, pageOf.Events...)
		out.Events = slices.Clone(out.Events[max(0, len(out.Events)-shownEvents):])
		if pageOf.Next == nil || len(pageOf.Events) == 0 {
			break
		}
		query.Set("after", strconv.FormatInt(*pageOf.Next, 10))
	}
	slices.Reverse(out.Events)
	return out, nil
}

// nodeView is what the page of a node shows.
type nodeView struct {
	component
	Why     *why
	Problem *problem
	History history
}

// Announce is the state of the node in a sentence.
func (n nodeView) Announce() string {
	if n.Why != nil && n.Why.Summary != "" {
		return n.Why.Summary
	}
	return n.ID + ": " + label(n.Status.Status)
}

func (s *site) showNode(v *visit) error {
	id := v.r.PathValue("id")
	target := "/v2/components/" + url.PathEscape(id)
	var n nodeView
	if err := v.get(target, &n.component); err != nil {
		return err
	}
	var w why
	var err error
	if n.Problem, err = optional(v.get(target+"/why", &w)); err != nil {
		return err
	}
	if n.Problem == nil {
		n.Why = &w
	}
	if n.History, err = v.history(target + "/timeline"); err != nil {
		return err
	}
	p := v.newPage(id, "fleet", n)
	p.Events = "events?" + url.Values{"kinds": {"components,events"}, "component": {id}}.Encode()
	return v.show("node", p)
}
