// SPDX-License-Identifier: MIT

package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bos/test/conformance/compare"
)

// Trace is a recording of the operators: a world, what is done in it, and what
// comes of it.
type Trace struct {
	Name       string                     `json:"name"`
	Options    map[string]json.RawMessage `json:"options"`
	Nodes      json.RawMessage            `json:"nodes"`
	OnlyNodes  []string                   `json:"only_nodes"`
	WorldPatch json.RawMessage            `json:"world_patch"`
	Steps      []TraceStep                `json:"steps"`
	// Sessions are names and tenants.
	Sessions [][2]*string `json:"sessions"`
	// Components are the nodes that are looked at; nil is all.
	Components *[]string       `json:"components"`
	Expect     json.RawMessage `json:"expect"`
	Ours       []struct {
		Path   string          `json:"path"`
		Expect json.RawMessage `json:"expect"`
	} `json:"ours"`
	LooseTimes            bool     `json:"loose_times"`
	IgnoreStatus          bool     `json:"ignore_status"`
	IgnoreComponentFields []string `json:"ignore_component_fields"`
}

// TraceStep is one thing that is done.
type TraceStep struct {
	Do      string          `json:"do"`
	Method  string          `json:"method"`
	Path    string          `json:"path"`
	Tenant  string          `json:"tenant"`
	Body    json.RawMessage `json:"body"`
	Keep    bool            `json:"keep"`
	Name    string          `json:"name"`
	Status  string          `json:"status"`
	Timeout float64         `json:"timeout"`
	ID      string          `json:"id"`
	IDs     []string        `json:"ids"`
	Where   json.RawMessage `json:"where"`
	Nodes   json.RawMessage `json:"nodes"`
	// Defaults are knobs for all nodes.
	Defaults json.RawMessage `json:"defaults"`
	Seconds  float64         `json:"seconds"`
}

// ReadTrace reads a recording.
func ReadTrace(file string) (*Trace, error) {
	var t Trace
	if err := readJSON(file, &t); err != nil {
		return nil, err
	}
	if t.Name == "" || len(t.Expect) == 0 {
		return nil, fmt.Errorf("%s has no name or expects nothing", file)
	}
	return &t, nil
}

const (
	// look is how often a wait looks.
	look = 150 * time.Millisecond
	// maxWait is how long a wait lasts at most, unless it says otherwise.
	maxWait = time.Minute
	// settle is how long BOS has after discovery before the trace begins.
	settle = 500 * time.Millisecond
)

// options are those of a trace that says nothing.
func (t *Trace) options() ([]byte, error) {
	options := map[string]any{
		"bss_read_timeout": 20, "cfs_read_timeout": 20, "cleanup_completed_session_ttl": "7d", "clear_stage": false,
		"component_actual_state_ttl": "4h", "default_retry_policy": 2, "discovery_frequency": 1, "hsm_read_timeout": 20,
		"ims_errors_fatal": false, "ims_images_must_exist": false, "ims_read_timeout": 20, "logging_level": "INFO",
		"max_boot_wait_time": 8, "max_component_batch_size": 2800, "max_power_off_wait_time": 3, "max_power_on_wait_time": 3,
		"pcs_read_timeout": 20, "polling_frequency": 1, "reject_nids": false, "session_limit_required": false,
	}
	for name, v := range t.Options {
		options[name] = v
	}
	return json.Marshal(options)
}

// document is the trace's world; worlds is the folder of worlds.
func (t *Trace) document(worlds string) (json.RawMessage, error) {
	var doc json.RawMessage
	if err := readJSON(filepath.Join(worlds, "base.json"), &doc); err != nil {
		return nil, err
	}
	change := func(name string, edit func(json.RawMessage) (json.RawMessage, error)) error {
		all, err := parseObject(doc)
		if err != nil {
			return err
		}
		member, err := edit(all.members[name])
		if err != nil {
			return err
		}
		all.set(name, member)
		doc, err = json.Marshal(all)
		return err
	}
	var err error
	if isObject(t.Nodes) {
		err = change("nodes", func(old json.RawMessage) (json.RawMessage, error) { return merge(old, t.Nodes, 2) })
	}
	if len(t.OnlyNodes) > 0 {
		err = errors.Join(err, change("nodes", func(old json.RawMessage) (json.RawMessage, error) { return keep(old, t.OnlyNodes) }))
	}
	if err != nil || !isObject(t.WorldPatch) {
		return doc, err
	}
	return merge(doc, t.WorldPatch, 2)
}

// Run plays a trace on a BOS that knows nothing yet, and returns every
// difference.
func (t *Trace) Run(ctx context.Context, site *Site, worlds string, devs *compare.Deviations) []string {
	want, err := t.expectation(devs)
	if err != nil {
		return []string{"what is expected can't be read: " + err.Error()}
	}
	p := &player{ctx: ctx, site: site, trace: t}
	got, err := p.play(worlds)
	if err != nil {
		return []string{"it can't be played: " + err.Error()}
	}
	t.loosen(want)
	t.loosen(got)
	rules := compare.Rules{Base: site.Base}
	return rules.Match(want, settleLists(want, got), "$")
}

// expectation is what must come of a trace.
func (t *Trace) expectation(devs *compare.Deviations) (any, error) {
	want, err := compare.Decode(t.Expect)
	if err != nil {
		return nil, err
	}
	for _, o := range t.Ours {
		v, err := compare.Decode(o.Expect)
		if err != nil {
			return nil, err
		}
		if _, err := compare.Put(want, o.Path, v); err != nil {
			return nil, err
		}
	}
	for _, o := range devs.Trace(t.Name) {
		old, err := compare.Put(want, o.Path, o.Expect)
		if err != nil {
			return nil, err
		}
		switch old.(type) {
		case map[string]any, []any:
			if o.Expect == "<any>" {
				return nil, fmt.Errorf("%s: a deviation may not accept anything for a whole object", o.Path)
			}
		}
	}
	return want, nil
}

// player plays one trace.
type player struct {
	ctx   context.Context
	site  *Site
	trace *Trace
	// notes are what the steps saw.
	notes []any
}

// ask sends a request and returns the status and the body.
func (p *player) ask(method, path, tenant string, body []byte) (int, any, error) {
	a, err := p.site.To.Send(p.ctx, jsonRequest(method, path, tenant, body))
	if err != nil {
		return 0, nil, err
	}
	return a.Status, a.Value(), nil
}

// play does what the trace says and returns what came of it.
func (p *player) play(worlds string) (any, error) {
	doc, err := p.trace.document(worlds)
	if err != nil {
		return nil, err
	}
	options, err := p.trace.options()
	if err != nil {
		return nil, err
	}
	if status, body, err := p.ask(http.MethodPatch, "/v2/options", "", options); err != nil || isFailure(status) {
		return nil, errors.Join(fmt.Errorf("the options are refused: %v", body), err)
	}
	if err := p.site.World.Load(doc); err != nil {
		return nil, err
	}
	if err := p.discovered(doc); err != nil {
		return nil, err
	}
	time.Sleep(settle)
	p.site.World.ClearLog()
	for i := range p.trace.Steps {
		if err := p.step(&p.trace.Steps[i]); err != nil {
			return nil, fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return p.outcome()
}

// discovered waits until BOS has all nodes that HSM has.
func (p *player) discovered(doc json.RawMessage) error {
	var in struct {
		Nodes map[string]struct {
			Missing bool `json:"missing_hsm"`
		}
	}
	if err := json.Unmarshal(doc, &in); err != nil {
		return err
	}
	all := func() (bool, error) {
		_, body, err := p.ask(http.MethodGet, "/v2/components", "", nil)
		known := map[string]bool{}
		for _, c := range asList(body) {
			known[fmt.Sprint(member(c, "id"))] = true
		}
		for id, n := range in.Nodes {
			if !n.Missing && !known[id] {
				return false, err
			}
		}
		return true, err
	}
	if ok, err := p.until(maxWait, all); !ok || err != nil {
		return errors.Join(errors.New("not all nodes were discovered"), err)
	}
	return nil
}

// until looks whether something holds until it does or time is up.
func (p *player) until(within time.Duration, holds func() (bool, error)) (bool, error) {
	for end := time.Now().Add(within); ; {
		if ok, err := holds(); ok || err != nil {
			return ok, err
		}
		if time.Now().After(end) {
			return false, p.ctx.Err()
		}
		time.Sleep(look)
	}
}

func (p *player) note(what string, more map[string]any) {
	m := map[string]any{"step": what}
	for k, v := range more {
		m[k] = v
	}
	p.notes = append(p.notes, m)
}

// step does one thing.
func (p *player) step(s *TraceStep) error {
	switch s.Do {
	case "req":
		body := []byte(s.Body)
		if string(body) == "null" {
			body = nil
		}
		status, answer, err := p.ask(s.Method, s.Path, s.Tenant, body)
		note := map[string]any{"status": count(status)}
		if s.Keep {
			note["body"] = normal(answer)
		}
		p.note(s.Method+" "+s.Path, note)
		return err
	case "wait_session", "wait_component":
		return p.wait(s)
	case "world_set":
		return p.setWorld(s)
	case "sleep":
		time.Sleep(time.Duration(s.Seconds * float64(time.Second)))
		return nil
	case "clearlog":
		p.site.World.ClearLog()
		return nil
	case "snap_status":
		status, body, err := p.ask(http.MethodGet, "/v2/sessions/"+s.Name+"/status", s.Tenant, nil)
		p.note("status "+s.Name, map[string]any{"status": count(status), "body": normalStatus(body)})
		return err
	case "snap_components":
		_, body, err := p.ask(http.MethodGet, "/v2/components?ids="+strings.Join(s.IDs, ","), "", nil)
		p.note("components", map[string]any{"body": normal(body)})
		return err
	}
	return fmt.Errorf("there is no way to do %q", s.Do)
}

// wait waits for a session or a component to be in a state.
func (p *player) wait(s *TraceStep) error {
	within := maxWait
	if s.Timeout > 0 {
		within = time.Duration(s.Timeout * float64(time.Second))
	}
	what := fmt.Sprintf("wait session %s %s", s.Name, s.Status)
	holds := func() (bool, error) {
		status, body, err := p.ask(http.MethodGet, "/v2/sessions/"+s.Name, s.Tenant, nil)
		gone := s.Status == "gone" && status == http.StatusNotFound
		return gone || status == http.StatusOK && member(body, "status.status") == s.Status, err
	}
	if s.Do == "wait_component" {
		where, err := compare.Decode(s.Where)
		if err != nil {
			return err
		}
		wanted, _ := where.(map[string]any)
		what = fmt.Sprintf("wait component %s %s", s.ID, s.Where)
		holds = func() (bool, error) {
			status, body, err := p.ask(http.MethodGet, "/v2/components/"+s.ID, "", nil)
			ok := status == http.StatusOK
			for path, v := range wanted {
				ok = ok && len(compare.Rules{}.Match(v, member(body, path), path)) == 0
			}
			return ok, err
		}
	}
	ok, err := p.until(within, holds)
	if !ok && err == nil {
		p.note(what, map[string]any{"timeout": true})
	}
	return err
}

// setWorld changes knobs of the world.
func (p *player) setWorld(s *TraceStep) error {
	nodes, defaults := map[string]map[string]any{}, map[string]any{}
	if isObject(s.Nodes) {
		v, err := compare.Decode(s.Nodes)
		if err != nil {
			return err
		}
		all, _ := v.(map[string]any)
		for id, knobs := range all {
			nodes[id], _ = knobs.(map[string]any)
		}
	}
	if isObject(s.Defaults) {
		v, err := compare.Decode(s.Defaults)
		if err != nil {
			return err
		}
		defaults, _ = v.(map[string]any)
	}
	return p.site.World.Patch(nodes, defaults)
}

// outcome is what came of the trace.
func (p *player) outcome() (any, error) {
	calls, err := collapse(p.site.World.Calls())
	if err != nil {
		return nil, err
	}
	sessions, components := []any{}, []any{}
	for _, s := range p.trace.Sessions {
		name, tenant := *s[0], ""
		var shown any
		if s[1] != nil {
			tenant, shown = *s[1], *s[1]
		}
		_, record, err := p.ask(http.MethodGet, "/v2/sessions/"+name, tenant, nil)
		if err != nil {
			return nil, err
		}
		if m, ok := record.(map[string]any); ok {
			if list, ok := m["components"].(string); ok && list != "" {
				m["components"] = "<csv:" + sorted(list) + ">"
			}
		}
		_, status, err := p.ask(http.MethodGet, "/v2/sessions/"+name+"/status", tenant, nil)
		if err != nil {
			return nil, err
		}
		sessions = append(sessions, map[string]any{"name": name, "tenant": shown, "record": normal(record), "status": normalStatus(status)})
	}
	_, all, err := p.ask(http.MethodGet, "/v2/components", "", nil)
	if err != nil {
		return nil, err
	}
	for _, c := range asList(all) {
		if only := p.trace.Components; only == nil || slices.Contains(*only, fmt.Sprint(member(c, "id"))) {
			components = append(components, normal(c))
		}
	}
	notes := p.notes
	if notes == nil {
		notes = []any{}
	}
	return map[string]any{"steps": notes, "sessions": sessions, "components": components, "calls": calls}, nil
}
