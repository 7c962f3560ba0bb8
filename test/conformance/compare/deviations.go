// SPDX-License-Identifier: MIT

package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Accept is what a deviation declares about an answer.
type Accept struct {
	Status  []int
	Body    any
	hasBody bool
}

func (a Accept) allows(status int) bool { return slices.Contains(a.Status, status) }

// Override is what a deviation declares about a place in a trace.
type Override struct {
	Path   string
	Expect any
}

// Deviations are the declared differences from what was recorded, beyond those
// that the recordings declare themselves. Each is about one step of a scenario
// or one place of a trace, and must be used. They are safe for concurrent use.
type Deviations struct {
	steps  map[[2]string]Accept
	places map[[2]string]Override
	why    map[[2]string]string

	mu   sync.Mutex
	used map[[2]string]bool
}

// ReadDeviations reads a file of deviations and checks it.
func ReadDeviations(file string) (*Deviations, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the deviations: %w", err)
	}
	return ParseDeviations(raw)
}

// entry is one deviation in its file.
type entry struct {
	Scenario string          `json:"scenario"`
	Step     string          `json:"step"`
	Trace    string          `json:"trace"`
	Path     string          `json:"path"`
	Why      string          `json:"why"`
	Accept   json.RawMessage `json:"accept"`
	Expect   json.RawMessage `json:"expect"`
}

// ParseDeviations is ReadDeviations for what was read already.
func ParseDeviations(raw []byte) (*Deviations, error) {
	var entries []json.RawMessage
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, fmt.Errorf("read the deviations: %w", err)
	}
	d := &Deviations{
		steps: map[[2]string]Accept{}, places: map[[2]string]Override{}, why: map[[2]string]string{}, used: map[[2]string]bool{},
	}
	for _, one := range entries {
		if err := d.add(one); err != nil {
			return nil, fmt.Errorf("deviation %s: %w", one, err)
		}
	}
	return d, nil
}

func (d *Deviations) add(raw json.RawMessage) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var e entry
	if err := decoder.Decode(&e); err != nil {
		return err
	}
	where := [2]string{e.Scenario, e.Step}
	trace := e.Trace != "" || e.Path != ""
	if trace {
		where = [2]string{e.Trace, e.Path}
		if e.Scenario != "" || e.Step != "" || e.Accept != nil || e.Expect == nil {
			return errors.New("a trace's has trace, path, why and expect")
		}
	} else if e.Accept == nil || e.Expect != nil {
		return errors.New("a scenario's has scenario, step, why and accept")
	}
	for _, s := range []string{where[0], where[1], e.Why} {
		if s == "" || strings.Contains(s, "*") {
			return errors.New("it names one place and a reason, without wildcards")
		}
	}
	if d.why[where] != "" {
		return errors.New("it is there twice")
	}
	d.why[where] = e.Why
	if trace {
		if keys, err := Keys(e.Path); err != nil || len(keys) < 2 {
			return errors.Join(errors.New("its path has two keys or more"), err)
		}
		v, err := Decode(e.Expect)
		d.places[where] = Override{Path: e.Path, Expect: v}
		return err
	}
	accept, err := parseAccept(e.Accept)
	d.steps[where] = accept
	return err
}

func parseAccept(raw json.RawMessage) (Accept, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var in struct {
		Status json.RawMessage `json:"status"`
		Body   json.RawMessage `json:"body"`
	}
	if err := decoder.Decode(&in); err != nil {
		return Accept{}, err
	}
	var a Accept
	if err := json.Unmarshal(in.Status, &a.Status); err != nil {
		var one int
		if err := json.Unmarshal(in.Status, &one); err != nil {
			return Accept{}, fmt.Errorf("status: %w", err)
		}
		a.Status = []int{one}
	}
	if len(a.Status) == 0 || slices.ContainsFunc(a.Status, func(s int) bool {
		return s < 100 || s >= 500 && s != http.StatusServiceUnavailable
	}) {
		return Accept{}, errors.New("status: one below 500, or 503")
	}
	if in.Body == nil {
		return a, nil
	}
	a.hasBody = true
	var err error
	a.Body, err = Decode(in.Body)
	return a, err
}

// Step returns what is declared about a step of a scenario, or nil.
func (d *Deviations) Step(scenario, step string) *Accept {
	where := [2]string{scenario, step}
	a, ok := d.steps[where]
	if !ok {
		return nil
	}
	d.use(where)
	return &a
}

// Trace returns what is declared about a trace.
func (d *Deviations) Trace(name string) []Override {
	var out []Override
	for where, o := range d.places {
		if where[0] == name {
			d.use(where)
			out = append(out, o)
		}
	}
	return out
}

func (d *Deviations) use(where [2]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used[where] = true
}

// UnusedSteps returns the deviations of scenarios that no step had a use for.
func (d *Deviations) UnusedSteps() []string { return unused(d, d.steps) }

// UnusedPlaces returns the deviations of traces that no trace had a use for.
func (d *Deviations) UnusedPlaces() []string { return unused(d, d.places) }

func unused[V any](d *Deviations, all map[[2]string]V) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for where := range all {
		if !d.used[where] {
			out = append(out, where[0]+", "+where[1])
		}
	}
	slices.Sort(out)
	return out
}

// keyRule finds the first key of a path.
var keyRule = regexp.MustCompile(`\A(?:\.([A-Za-z_]\w*)|\[([0-9]+)\]|\['([^']*)'\])`)

// Keys cuts a path such as $.a[0]['b c'] into "a", 0, "b c".
func Keys(path string) ([]any, error) {
	rest, ok := strings.CutPrefix(path, "$")
	if !ok || rest == "" {
		return nil, fmt.Errorf("bad path %s", path)
	}
	var out []any
	for rest != "" {
		m := keyRule.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("bad path %s", path)
		}
		rest = rest[len(m[0]):]
		switch {
		case m[2] != "":
			i, err := strconv.Atoi(m[2])
			if err != nil {
				return nil, fmt.Errorf("bad path %s: %w", path, err)
			}
			out = append(out, i)
		case m[1] != "":
			out = append(out, m[1])
		default:
			out = append(out, m[3])
		}
	}
	return out, nil
}

// absent is the value that takes a member away.
const absent = "<absent>"

// Put writes a value at a path of what is expected and returns what was there;
// "<absent>" takes the member away. All but the last key must be there.
func Put(root any, path string, value any) (old any, err error) {
	keys, err := Keys(path)
	if err != nil {
		return nil, err
	}
	at := root
	for _, k := range keys[:len(keys)-1] {
		if at, err = child(at, k); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	last := keys[len(keys)-1]
	switch in := at.(type) {
	case map[string]any:
		k, ok := last.(string)
		if !ok {
			return nil, fmt.Errorf("%s: an object has no item %v", path, last)
		}
		old, there := in[k]
		if value == absent {
			if !there {
				return nil, fmt.Errorf("%s: there is nothing to take away", path)
			}
			delete(in, k)
			return old, nil
		}
		in[k] = value
		return old, nil
	case []any:
		if old, err = child(at, last); err != nil || value == absent {
			return nil, errors.Join(err, fmt.Errorf("%s: a list keeps its items", path))
		}
		i, _ := last.(int)
		in[i] = value
		return old, nil
	}
	return nil, fmt.Errorf("%s: there is no such place", path)
}

func child(v, key any) (any, error) {
	switch in := v.(type) {
	case map[string]any:
		if k, ok := key.(string); ok {
			if c, ok := in[k]; ok {
				return c, nil
			}
		}
	case []any:
		if i, ok := key.(int); ok && i >= 0 && i < len(in) {
			return in[i], nil
		}
	}
	return nil, fmt.Errorf("there is no %v", key)
}
