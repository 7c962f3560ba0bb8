// SPDX-License-Identifier: MIT

package web

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"bos/internal/xname"
)

// fleet is the status of every component, as the API sends it.
type fleet struct {
	Total    int
	IDs      []string
	Statuses []string
	Codes    string
}

// fleetCodes are the characters that stand for statuses.
const fleetCodes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// status returns the status of the component with a number.
func (f *fleet) status(i int) string {
	if i < len(f.Codes) {
		if at := strings.IndexByte(fleetCodes, f.Codes[i]); at >= 0 && at < len(f.Statuses) {
			return f.Statuses[at]
		}
	}
	return "other"
}

// statusCount is how many nodes have a status.
type statusCount struct {
	Status string
	Count  int
}

// cabinet is the summary of a cabinet: each of its nodes is in one count.
type cabinet struct {
	Name                           string
	Total, Stable, Failed, Working int
	OnHold                         int
}

// overview is what the page of the fleet shows beside the map.
type overview struct {
	Total    int
	Counts   []statusCount
	Cabinets []cabinet
	// Missing is what was looked for in vain.
	Missing string
}

// statusOrder are the statuses as the page lists them: what needs attention
// first, then what is under way.
func statusOrder() []string {
	return []string{
		"failed", "on_hold", "power_off_pending", "power_off_gracefully_called", "power_off_forcefully_called",
		"power_on_pending", "power_on_called", "configuring", "stable",
	}
}

// noCabinet collects the nodes whose names are no xnames.
const noCabinet = "other names"

// cabinetOf returns the cabinet that a node's name begins with.
func cabinetOf(id string) string {
	if !xname.IsNode(id) {
		return noCabinet
	}
	name, _, _ := strings.Cut(id, "c")
	return name
}

// summarise counts a fleet by status and by cabinet.
func summarise(f *fleet) overview {
	o := overview{Total: f.Total}
	byStatus, byCabinet := map[string]int{}, map[string]*cabinet{}
	for i, id := range f.IDs {
		status, name := f.status(i), cabinetOf(id)
		byStatus[status]++
		c := byCabinet[name]
		if c == nil {
			c = &cabinet{Name: name}
			byCabinet[name] = c
		}
		c.Total++
		switch status {
		case "stable":
			c.Stable++
		case "failed":
			c.Failed++
		case "on_hold":
			c.OnHold++
		default:
			c.Working++
		}
	}
	order := statusOrder()
	for status, n := range byStatus {
		o.Counts = append(o.Counts, statusCount{status, n})
	}
	rank := func(c statusCount) int {
		if at := slices.Index(order, c.Status); at >= 0 {
			return at
		}
		return len(order)
	}
	slices.SortFunc(o.Counts, func(a, b statusCount) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Status, b.Status))
	})
	for _, c := range byCabinet {
		o.Cabinets = append(o.Cabinets, *c)
	}
	slices.SortFunc(o.Cabinets, func(a, b cabinet) int { return xname.Compare(a.Name, b.Name) })
	return o
}

func (s *site) showFleet(v *visit) error {
	var f fleet
	if err := v.get("/v2/fleet", &f); err != nil {
		return err
	}
	o := summarise(&f)
	o.Missing = v.r.URL.Query().Get("missing")
	p := v.newPage("Fleet", "fleet", o)
	p.Events = "events?kinds=fleet"
	return v.show("fleet", p)
}

// find goes to the page of a node that somebody typed.
func (s *site) find(v *visit) error {
	id := xname.Canonical(strings.TrimSpace(v.r.URL.Query().Get("node")))
	if id == "" {
		redirect(v.w, 303, v.root)
		return nil
	}
	err := v.get("/v2/components/"+url.PathEscape(id), &component{})
	p, err := optional(err)
	switch {
	case err != nil:
		return err
	case p != nil && (p.Status == 404 || p.Status == 400):
		redirect(v.w, 303, v.root+"?"+url.Values{"missing": {id}}.Encode())
	case p != nil:
		return p
	default:
		redirect(v.w, 303, v.root+"nodes/"+url.PathEscape(id))
	}
	return nil
}
