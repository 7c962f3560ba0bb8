// SPDX-License-Identifier: MIT

package replay

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bos/test/conformance/compare"
	"bos/test/conformance/world"
)

func count(n int) json.Number { return json.Number(strconv.Itoa(n)) }

func asList(v any) []any {
	l, _ := v.([]any)
	return l
}

// member returns a member of an object by a path with dots; nil if there is
// none.
func member(v any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// sorted orders a comma-separated list.
func sorted(list string) string {
	items := strings.Split(list, ",")
	slices.Sort(items)
	return strings.Join(items, ",")
}

// The texts that differ from run to run.
var (
	timestampRule = regexp.MustCompile(`\A` + compare.Timestamp + `\z`)
	durationRule  = regexp.MustCompile(`\A` + compare.Duration + `\z`)
	uuidRule      = regexp.MustCompile(`\A` + compare.UUID + `\z`)
	foreignRule   = regexp.MustCompile(`(?s)\A(.*not available to this tenant: )(.*)\z`)
	tokenRule     = regexp.MustCompile(`\s*\bbss_referral_token=\S+`)
)

// normal replaces what differs from run to run by placeholders.
func normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = normal(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = normal(x)
		}
		return out
	case string:
		switch {
		case timestampRule.MatchString(v) && v[:4] >= "2026":
			return "<timestamp>"
		case durationRule.MatchString(v):
			return "<duration>"
		case uuidRule.MatchString(v):
			return "<uuid>"
		}
		if m := foreignRule.FindStringSubmatch(v); m != nil {
			return m[1] + sorted(m[2])
		}
		return v
	default:
		return v
	}
}

// normalStatus is normal for an extended status: its lists of nodes have no
// order.
func normalStatus(v any) any {
	v = normal(v)
	summary, _ := member(v, "error_summary").(map[string]any)
	for _, e := range summary {
		m, _ := e.(map[string]any)
		list, ok := m["list"].(string)
		switch {
		case !ok:
		case strings.HasSuffix(list, "..."):
			m["list"] = "<any>..."
		default:
			m["list"] = "<csv:" + sorted(list) + ">"
		}
	}
	return v
}

// collapse turns the log of the world into what a recording has of it: the
// calls that change something, for each node, in their order, neighbours that
// are the same counted; and the changes of images.
func collapse(calls []world.Call) (any, error) {
	nodes := map[string]any{}
	add := func(id string, what map[string]any) {
		l := asList(nodes[id])
		if len(l) > 0 {
			last, _ := l[len(l)-1].(map[string]any)
			if reflect.DeepEqual(last["call"], any(what)) {
				times, _ := last["times"].(json.Number).Int64()
				last["times"] = count(int(times) + 1)
				return
			}
		}
		nodes[id] = append(l, map[string]any{"call": what, "times": count(1)})
	}
	images := map[string]int{}
	for _, c := range calls {
		body, _ := c.Body.(map[string]any)
		switch {
		case c.Service == "pcs" && c.Path == "/transitions":
			transitionCalls(body, add)
		case c.Service == "bss":
			for _, host := range asList(body["hosts"]) {
				add(fmt.Sprint(host), map[string]any{"bss": bootParameters(body)})
			}
		case c.Service == "cfs" && c.Method == "PATCH":
			filters, _ := body["filters"].(map[string]any)
			call := map[string]any{"cfs": body["patch"]}
			if more := without(filters, "ids"); len(more) > 0 {
				call["filters"] = more
			}
			for id := range strings.SplitSeq(fmt.Sprint(filters["ids"]), ",") {
				add(id, call)
			}
		case c.Service == "ims" && c.Method != "GET":
			if body == nil {
				body = map[string]any{}
			}
			key, err := json.Marshal([]any{c.Method, c.Path, body})
			if err != nil {
				return nil, err
			}
			images[string(key)]++
		}
	}
	tags, err := countImages(images)
	return map[string]any{"per_node": nodes, "ims": tags}, err
}

func without(m map[string]any, keys ...string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		if !slices.Contains(keys, k) {
			out[k] = v
		}
	}
	return out
}

// transitionCalls adds a command to power control for each of its nodes.
func transitionCalls(body map[string]any, add func(id string, what map[string]any)) {
	for _, location := range asList(body["location"]) {
		l, _ := location.(map[string]any)
		call := without(body, "location", "operation")
		call["pcs"] = body["operation"]
		for k, v := range without(l, "xname") {
			call[k] = v
		}
		add(fmt.Sprint(l["xname"]), call)
	}
}

// bootParameters is what a node is to boot. A token of our own in the kernel
// parameters is ours to choose.
func bootParameters(body map[string]any) map[string]any {
	out := without(body, "hosts", "macs")
	if params, ok := out["params"].(string); ok {
		out["params"] = tokenRule.ReplaceAllString(params, "")
	}
	return out
}

// countImages lists the changes of images with how often each was made.
func countImages(images map[string]int) ([]any, error) {
	keys := make([]string, 0, len(images))
	for key := range images {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	out := []any{}
	for _, key := range keys {
		v, err := compare.Decode([]byte(key))
		if err != nil {
			return nil, err
		}
		out = append(out, append(asList(v), count(images[key])))
	}
	return out, nil
}

// loosen takes out of an outcome what the original itself does not reproduce.
func (t *Trace) loosen(v any) {
	m, _ := v.(map[string]any)
	calls, _ := m["calls"].(map[string]any)
	delete(calls, "reads_info")
	if t.LooseTimes {
		nodes, _ := calls["per_node"].(map[string]any)
		for _, list := range nodes {
			for _, e := range asList(list) {
				if call, ok := e.(map[string]any); ok {
					call["times"] = count(0)
				}
			}
		}
		for i, e := range asList(calls["ims"]) {
			if l := asList(e); len(l) > 3 {
				asList(calls["ims"])[i] = l[:3]
			}
		}
	}
	if t.IgnoreStatus {
		for _, s := range asList(m["sessions"]) {
			if session, ok := s.(map[string]any); ok {
				delete(session, "status")
			}
		}
	}
	for _, c := range asList(m["components"]) {
		if component, ok := c.(map[string]any); ok {
			for _, field := range t.IgnoreComponentFields {
				delete(component, field)
			}
		}
	}
}

// settleLists turns the placeholders of an outcome back into values that match
// those of what is expected.
func settleLists(want, got any) any {
	switch g := got.(type) {
	case map[string]any:
		w, ok := want.(map[string]any)
		if !ok {
			return got
		}
		// The keys of a summary of errors may be in words of our own.
		var loose []any
		for k, v := range w {
			if _, ok := g[k]; !ok {
				loose = append(loose, v)
			}
		}
		out := make(map[string]any, len(g))
		for k, v := range g {
			partner, ok := w[k]
			if !ok && len(loose) == 1 {
				partner = loose[0]
			}
			out[k] = settleLists(partner, v)
		}
		return out
	case []any:
		w, ok := want.([]any)
		if !ok {
			return got
		}
		out := make([]any, len(g))
		for i, v := range g {
			out[i] = v
			if i < len(w) {
				out[i] = settleLists(w[i], v)
			}
		}
		return out
	case string:
		w, ok := want.(string)
		if !ok {
			return got
		}
		if inner, ok := strings.CutPrefix(g, "<csv:"); ok && strings.HasPrefix(w, "<csv:") && strings.HasSuffix(inner, ">") {
			return strings.TrimSuffix(inner, ">")
		}
		if g == w {
			switch g {
			case "<timestamp>":
				return "2026-01-01T00:00:00"
			case "<uuid>":
				return "00000000-0000-0000-0000-000000000000"
			case "<duration>":
				return "0:00:00"
			}
		}
		return got
	default:
		return got
	}
}
