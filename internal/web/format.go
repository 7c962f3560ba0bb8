// SPDX-License-Identifier: MIT

package web

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bos/internal/xname"
)

// functions are what templates can use.
func (s *site) functions() template.FuncMap {
	return template.FuncMap{
		"asset": s.assetPath, "segment": url.PathEscape, "number": number, "percent": percent, "when": when, "ago": ago,
		"lasted": lasted, "plural": plural, "label": label, "glyph": glyph, "sessionPath": sessionPath, "templatePath": templatePath,
		"capital": capital, "clip": clip, "add": func(a, b int) int { return a + b },
		"rowsOf": rowsOf, "nodesAt": nodesAt, "operations": operations,
	}
}

// timeForms are how times are written: with a zone, and as the API's contract
// has them, in UTC.
func timeForms() []string { return []string{time.RFC3339Nano, "2006-01-02T15:04:05"} }

// parseTime reads a time of the API; the zero time is none.
func parseTime(text string) time.Time {
	for _, form := range timeForms() {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// when writes a time of the API for machines, "" if there is none.
func when(text string) string {
	t := parseTime(text)
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02T15:04:05Z")
}

// ago says how long before now a time of the API was, or how long after.
func ago(now time.Time, text string) string {
	t := parseTime(text)
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	switch {
	case d < 0 && d > -time.Second, d >= 0 && d < time.Second:
		return "now"
	case d < 0:
		return "in " + span(-d)
	}
	return span(d) + " ago"
}

// lasted says how long something took that began and ended at times of the API;
// what has not ended goes on until now.
func lasted(now time.Time, from, to string) string {
	begun, ended := parseTime(from), parseTime(to)
	if begun.IsZero() {
		return ""
	}
	if ended.IsZero() {
		ended = now
	}
	return span(max(0, ended.Sub(begun)))
}

// span writes a length of time in its two largest units.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < day:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", d/day, int(d.Hours())%24)
}

// number writes a count with its thousands apart.
func number(n int) string {
	text := strconv.Itoa(n)
	var out strings.Builder
	for i, c := range text {
		if i > 0 && (len(text)-i)%3 == 0 && text[i-1] != '-' {
			out.WriteRune('\u202f')
		}
		out.WriteRune(c)
	}
	return out.String()
}

// percent is how much of a total something is, rounded down: 100 means all.
func percent(part, total int) int {
	if total <= 0 {
		return 0
	}
	return part * 100 / total
}

// plural writes a count with what is counted.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// label writes a name of the API for people.
func label(name string) string { return strings.ReplaceAll(name, "_", " ") }

// mostRange bounds how much of a range is shown in a line, in bytes.
const mostRange = 160

// clip shortens a range of nodes at one of its commas.
func clip(text string) string {
	if len(text) <= mostRange {
		return text
	}
	cut := text[:mostRange]
	if at := strings.LastIndexByte(cut, ','); at > 0 {
		cut = cut[:at]
	}
	return strings.ToValidUTF8(cut, "") + ",…"
}

func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// glyph is the shape that stands for a status beside its colour; the map draws
// the same ones.
func glyph(status string) string {
	switch status {
	case "stable", "succeeded", "complete", "Valid":
		return "✓"
	case "failed":
		return "✕"
	case "power_on_pending", "pending", "waiting":
		return "△"
	case "power_on_called", "powering_on", "booting":
		return "▲"
	case "power_off_pending":
		return "▽"
	case "power_off_gracefully_called", "power_off_forcefully_called", "powering_off":
		return "▼"
	case "configuring":
		return "◆"
	case "on_hold", "paused", "staged":
		return "‖"
	case "partial":
		return "◐"
	case "cancelled":
		return "⊘"
	case "running":
		return "▶"
	}
	return "•"
}

// mostLinks bounds how many nodes of a range get a link of their own.
const mostLinks = 8

// nodeRange is a range of nodes as a page shows it: the first ones with a link.
type nodeRange struct {
	Text  string
	Nodes []string
	// More says that there are nodes without a link.
	More bool
}

// nodesOf reads a range of nodes.
func nodesOf(text string) nodeRange {
	out := nodeRange{Text: text}
	all, err := xname.Expand(text)
	if err != nil {
		out.More = true
		return out
	}
	out.Nodes = all[:min(len(all), mostLinks)]
	out.More = len(all) > mostLinks
	return out
}

// sessionPath is where the page of a session is, from the place of a tenant or,
// without one, from the root of the pages: what a tenant has is in its place.
func sessionPath(here, tenant, name string) string { return pathOf(here, tenant, "sessions", name) }

// templatePath is where the page of a template is, likewise.
func templatePath(here, tenant, name string) string { return pathOf(here, tenant, "templates", name) }

func pathOf(here, tenant, kind, name string) string {
	place := kind + "/" + url.PathEscape(name)
	if tenant != "" && here == "" {
		return "t/" + url.PathEscape(tenant) + "/" + place
	}
	return place
}

// rowsPart is what the template of a list of sessions works with.
type rowsPart struct {
	Page page
	Rows []sessionRow
	Kind string
}

func rowsOf(p page, rows []sessionRow, kind string) rowsPart { return rowsPart{p, rows, kind} }

// nodesPart is what the template of a range of nodes works with.
type nodesPart struct {
	Page  page
	Range nodeRange
}

func nodesAt(p page, text string) nodesPart { return nodesPart{p, nodesOf(text)} }

// operations are what a session can do.
func operations() []string { return []string{"boot", "reboot", "shutdown"} }
