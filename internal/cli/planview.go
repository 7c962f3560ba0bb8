// SPDX-License-Identifier: MIT

package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"bos/internal/client"
)

// plan is what a session would do.
type plan struct {
	Operation       string `json:"operation"`
	Template        string `json:"template_name"`
	Tenant          string `json:"tenant"`
	Limit           string `json:"limit"`
	Stage           bool   `json:"stage"`
	IncludeDisabled bool   `json:"include_disabled"`
	nodeSet
	Racks    int `json:"racks"`
	BootSets []struct {
		Name string `json:"name"`
		nodeSet
		Artifacts struct {
			Kernel string `json:"kernel"`
		} `json:"boot_artifacts"`
		Configuration string `json:"configuration"`
	} `json:"boot_sets"`
	Included []struct {
		Action string `json:"action"`
		Why    string `json:"why"`
		nodeSet
	} `json:"included"`
	Excluded []struct {
		Reason string `json:"reason"`
		Why    string `json:"why"`
		nodeSet
	} `json:"excluded"`
	TakenOver []takenOver `json:"taken_over"`
	Warnings  []string    `json:"warnings"`
}

// nodeSet is nodes and how many they are.
type nodeSet struct {
	Count int    `json:"count"`
	Nodes string `json:"nodes"`
}

// size says how large the plan is: 64 nodes in 2 racks.
func (p *plan) size() string {
	return fmt.Sprintf("%s in %s", plural(p.Count, "node"), plural(p.Racks, "rack"))
}

// plural counts things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return thousands(n) + " " + thing + "s"
}

// thousands writes a number so that its size is seen.
func thousands(n int) string {
	text := strconv.Itoa(n)
	if n < 10000 {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		if i > 0 && (len(text)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// planLines bounds how many lines the names of nodes get in a plan: of many
// nodes their number says more. As JSON a plan has all of them.
const planLines = 3

// planView shows which nodes a session would have, and what it would do.
func planView(s *screen, raw json.RawMessage) error {
	one, err := client.Decode[plan](raw)
	if err != nil {
		return err
	}
	var f fields
	operation := one.Operation
	if one.Stage {
		operation = "stage " + operation
	}
	f.add("Operation", operation)
	f.add("Template", one.Template)
	f.some("Tenant", one.Tenant)
	f.add("Limit", foldLimit(one.Limit))
	f.add("Nodes", one.size())
	if err := f.write(s); err != nil {
		return err
	}
	t := table{columns: []column{
		{title: "WOULD", min: 10}, {title: "COUNT", right: true}, {title: "NODES", min: 20, wrap: true, most: planLines}, {title: "WHY", below: true},
	}}
	for _, part := range one.Included {
		st := busy
		if part.Action == "none" {
			st = plain
		}
		t.row(cell{actionName(part.Action), st}, cell{text: strconv.Itoa(part.Count)}, cell{text: part.Nodes}, cell{text: part.Why})
	}
	if err := t.after(s); err != nil {
		return err
	}
	t = table{columns: []column{
		{title: "LEFT OUT", min: 10}, {title: "COUNT", right: true}, {title: "NODES", min: 20, wrap: true, most: planLines}, {title: "WHY", below: true},
	}}
	for _, part := range one.Excluded {
		t.row(cell{phaseName(part.Reason), held}, cell{text: strconv.Itoa(part.Count)}, cell{text: part.Nodes}, cell{text: part.Why})
	}
	if err := t.after(s); err != nil {
		return err
	}
	t = table{columns: []column{
		{title: "TAKEN OVER FROM", min: 15}, {title: "COUNT", right: true}, {title: "NODES", min: 20, wrap: true, most: planLines},
	}}
	for _, part := range one.TakenOver {
		t.row(cell{part.Session, bad}, cell{text: strconv.Itoa(part.Count)}, cell{text: part.Nodes})
	}
	if err := t.after(s); err != nil {
		return err
	}
	t = table{columns: []column{{title: "BOOT SET", min: 8}, {title: "COUNT", right: true}, {title: "CONFIGURATION", min: 13}, {title: "KERNEL", min: 20}}}
	for _, part := range one.BootSets {
		t.row(cell{text: part.Name}, cell{text: strconv.Itoa(part.Count)}, cell{text: part.Configuration}, cell{text: part.Artifacts.Kernel})
	}
	if err := t.after(s); err != nil {
		return err
	}
	return one.warnings(s)
}

// warnings shows what speaks against the session, without forbidding it.
func (p *plan) warnings(s *screen) error {
	t := table{columns: []column{{title: "WARNING"}}}
	for _, text := range p.Warnings {
		t.row(cell{text, held})
	}
	return t.after(s)
}

// actionName is what people call what is done to a node.
func actionName(action string) string {
	known := map[string]string{
		"none": "nothing", "power_off_gracefully": "turn off gracefully", "power_off_forcefully": "turn off forcefully",
		"power_on": "turn on", "wait_for_report": "wait for report",
	}
	return cmp.Or(known[action], phaseName(action))
}
