// SPDX-License-Identifier: MIT

package world

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// hsm is the hardware state manager.
func (w *World) hsm(r request) answer {
	switch r.method + " " + strings.TrimPrefix(r.path, "/hsm/v2/") {
	case "GET groups":
		return say(http.StatusOK, members("label", w.groups))
	case "GET partitions":
		return say(http.StatusOK, members("name", w.partitions))
	case "GET State/Components":
		return say(http.StatusOK, map[string]any{"Components": w.components(w.visible())})
	case "POST State/Components/Query":
		return say(http.StatusOK, map[string]any{"Components": w.query(mapping(r.body))})
	case "GET locks/status":
		only := strings.EqualFold(first(r, "locked", ""), "true")
		out := []any{}
		for _, id := range w.visible() {
			locked := w.node(id)["locked"]
			if !only || truth(locked) {
				out = append(out, map[string]any{"ID": id, "Locked": locked, "Reserved": false, "ReservationDisabled": locked})
			}
		}
		return say(http.StatusOK, map[string]any{"Components": out})
	}
	return say(http.StatusNotFound, map[string]any{"title": "not found"})
}

// first returns the first value of a query parameter.
func first(r request, name, otherwise string) string {
	if v := r.query[name]; len(v) > 0 {
		return v[0]
	}
	return otherwise
}

func members(label string, t *table) []any {
	out := []any{}
	if t == nil {
		return out
	}
	for _, name := range t.names() {
		out = append(out, map[string]any{label: name, "description": "", "members": map[string]any{"ids": t.get(name)}})
	}
	return out
}

// components are nodes as HSM shows them.
func (w *World) components(ids []string) []any {
	out := []any{}
	for _, id := range ids {
		n := w.node(id)
		kind, ok := n["Type"]
		if !ok {
			kind = "Node"
		}
		c := map[string]any{
			"ID": id, "Type": kind, "State": n["State"], "Flag": "OK", "Enabled": n["Enabled"], "NetType": "Sling", "Class": "River",
		}
		for _, k := range []string{"Role", "SubRole", "Arch", "NID"} {
			if n[k] != nil {
				c[k] = n[k]
			}
		}
		out = append(out, c)
	}
	return out
}

func (w *World) query(body map[string]any) []any {
	asked := map[string]bool{}
	if ids, ok := body["ComponentIDs"]; ok {
		for _, id := range list(ids) {
			asked[text(id)] = true
		}
	}
	found := slices.DeleteFunc(w.components(w.visible()), func(c any) bool { return !asked[text(mapping(c)["ID"])] })
	enabled := body["enabled"]
	if enabled == nil {
		return found
	}
	values, ok := enabled.([]any)
	if !ok {
		values = []any{enabled}
	}
	wanted := map[string]bool{}
	for _, v := range values {
		wanted[lower(v)] = true
	}
	return slices.DeleteFunc(found, func(c any) bool { return !wanted[lower(mapping(c)["Enabled"])] })
}

// transition is a command that PCS took.
type transition struct {
	operation string
	ids       []string
	at        time.Time
}

// transitionEnd is when a transition is over whatever its nodes do.
const transitionEnd = 2 * time.Second

// pcs is power control.
func (w *World) pcs(r request) answer {
	switch {
	case r.path == "/power-status" && r.method == http.MethodPost:
		return say(http.StatusOK, map[string]any{"status": w.power(r)})
	case r.path == "/transitions" && r.method == http.MethodPost:
		body := mapping(r.body)
		t := transition{operation: text(needed(body, "operation")), at: time.Now()}
		for _, location := range list(needed(body, "location")) {
			id := text(needed(mapping(location), "xname"))
			t.ids = append(t.ids, id)
			w.command(id, t.operation)
		}
		name := uuid.NewString()
		w.transitions[name] = t
		return say(http.StatusOK, map[string]any{"transitionID": name, "operation": t.operation})
	case r.method == http.MethodGet && strings.HasPrefix(r.path, "/transitions/"):
		return w.transitionState(strings.TrimPrefix(r.path, "/transitions/"))
	}
	return say(http.StatusNotFound, map[string]any{})
}

// power is the power of the nodes that are asked for, of all if none are.
func (w *World) power(r request) []any {
	ids := w.nodes.names()
	if truth(r.body) {
		if asked := mapping(r.body)["xname"]; truth(asked) {
			ids = nil
			for _, id := range list(asked) {
				ids = append(ids, text(id))
			}
		}
	}
	out := []any{}
	for _, id := range ids {
		n, ok := w.nodes.get(id).(map[string]any)
		if !ok || truth(n["missing_pcs"]) {
			continue
		}
		state, ok := n["pcs_state"]
		if !ok {
			state = n["power"]
		}
		out = append(out, map[string]any{
			"xname": id, "powerState": state, "managementState": "available", "error": n["pcs_error"],
			"supportedPowerTransitions": []any{"On", "Soft-Off", "Force-Off"}, "lastUpdated": "2026-01-01T00:00:00Z",
		})
	}
	return out
}

func (w *World) transitionState(name string) answer {
	t, ok := w.transitions[name]
	if !ok {
		return answer{status: http.StatusNotFound, media: typeProblem, body: map[string]any{
			"title": "Not Found", "detail": "no such transition", "status": json.Number("404"),
		}}
	}
	want := "off"
	if t.operation == "On" {
		want = "on"
	}
	done := map[string]bool{}
	for _, id := range t.ids {
		if n, ok := w.nodes.get(id).(map[string]any); ok && n["power"] == want {
			done[id] = true
		}
	}
	over := len(done) == len(t.ids) || time.Since(t.at) > transitionEnd
	tasks := []any{}
	for _, id := range t.ids {
		task := map[string]any{"xname": id, "taskStatusDescription": ""}
		switch {
		case done[id]:
			task["taskStatus"] = "succeeded"
		case over:
			task["taskStatus"], task["error"] = "failed", "Timeout waiting for transition"
		default:
			task["taskStatus"] = "in-progress"
		}
		tasks = append(tasks, task)
	}
	status, left, failed := "in-progress", len(t.ids)-len(done), 0
	if over {
		status, left, failed = "completed", 0, left
	}
	count := func(n int) json.Number { return json.Number(strconv.Itoa(n)) }
	return say(http.StatusOK, map[string]any{
		"transitionID": name, "operation": t.operation, "transitionStatus": status, "tasks": tasks,
		"taskCounts": map[string]any{
			"total": count(len(t.ids)), "new": count(0), "in-progress": count(left), "failed": count(failed),
			"succeeded": count(len(done)), "un-supported": count(0),
		},
	})
}
