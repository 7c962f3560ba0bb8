// SPDX-License-Identifier: MIT

package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"bos/test/conformance/compare"
)

// Scenario is a recording of the API: requests, one after the other, and what
// was answered.
type Scenario struct {
	Name       string          `json:"name"`
	World      string          `json:"world"`
	WorldPatch json.RawMessage `json:"world_patch"`
	Steps      []Step          `json:"steps"`
}

// Step is one request of a scenario, or a pause.
type Step struct {
	Name    string            `json:"name"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
	// Raw bodies are sent as they are, in ISO-8859-1 if Latin1 is set. A null
	// is only a body if NullBody is set.
	Raw      bool `json:"raw"`
	Latin1   bool `json:"latin1"`
	NullBody bool `json:"null_body"`
	// Capture names variables and the members of the answer that they get.
	Capture map[string]string `json:"capture"`
	// Expect is what the original did; Ours overrides parts of it.
	Expect json.RawMessage `json:"expect"`
	Ours   json.RawMessage `json:"ours"`
	// Special is "sleep", for some seconds.
	Special string  `json:"special"`
	Seconds float64 `json:"seconds"`
}

// ReadScenario reads a recording.
func ReadScenario(file string) (*Scenario, error) {
	var s Scenario
	if err := readJSON(file, &s); err != nil {
		return nil, err
	}
	if s.Name == "" || len(s.Steps) == 0 {
		return nil, fmt.Errorf("%s has no name or no steps", file)
	}
	return &s, nil
}

func readJSON(file string, into any) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	return nil
}

// Document is the world of the scenario; worlds is the folder of worlds.
func (s *Scenario) Document(worlds string) ([]byte, error) {
	var doc json.RawMessage
	name := s.World
	if name == "" {
		name = "base"
	}
	if err := readJSON(filepath.Join(worlds, name+".json"), &doc); err != nil {
		return nil, err
	}
	if len(s.WorldPatch) == 0 {
		return doc, nil
	}
	return merge(doc, s.WorldPatch, 2)
}

// variable is a place for a captured value.
var variable = regexp.MustCompile(`\$\{(\w+)\}`)

// variables are captured values.
type variables map[string]string

// text fills the places in a text.
func (v variables) text(s string) string {
	return variable.ReplaceAllStringFunc(s, func(place string) string {
		if value, ok := v[place[2:len(place)-1]]; ok {
			return value
		}
		return place
	})
}

// json fills the places in JSON; they are within strings.
func (v variables) json(raw []byte) ([]byte, error) {
	var fault error
	out := variable.ReplaceAllFunc(raw, func(place []byte) []byte {
		value, ok := v[string(place[2:len(place)-1])]
		if !ok {
			return place
		}
		quoted, err := json.Marshal(value)
		fault = errors.Join(fault, err)
		return bytes.Trim(quoted, `"`)
	})
	return out, fault
}

// request makes the request of a step.
func (s *Step) request(vars variables) (Request, error) {
	r := Request{Method: s.Method, Path: vars.text(s.Path), Header: s.Headers}
	null := bytes.Equal(bytes.TrimSpace(s.Body), []byte("null"))
	if len(s.Body) == 0 || null && !s.NullBody {
		return r, nil
	}
	raw, err := vars.json(s.Body)
	if err != nil {
		return r, err
	}
	if !s.Raw {
		var b bytes.Buffer
		err = json.Compact(&b, raw)
		r.Body = b.Bytes()
		return r, err
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return r, fmt.Errorf("a raw body is a text: %w", err)
	}
	r.Body = []byte(text)
	if s.Latin1 {
		r.Body = latin1(text)
	}
	return r, nil
}

// expectation is what the answer of a step must be.
func (s *Step) expectation(vars variables) (compare.Expect, error) {
	var e compare.Expect
	for _, part := range []json.RawMessage{s.Expect, s.Ours} {
		if len(part) == 0 {
			continue
		}
		raw, err := vars.json(part)
		if err != nil {
			return e, err
		}
		v, err := compare.Decode(raw)
		if err != nil {
			return e, err
		}
		m, _ := v.(map[string]any)
		if status, ok := m["status"].(json.Number); ok {
			n, err := status.Int64()
			if err != nil {
				return e, err
			}
			e.Status = int(n)
		}
		if media, ok := m["content_type"]; ok {
			e.ContentType, _ = media.(string)
		}
		if body, ok := m["body"]; ok {
			e.Body = body
		}
	}
	if e.Status == 0 {
		return e, errors.New("it does not say which status is expected")
	}
	return e, nil
}

// order says which lists count as sets in the answer of a step: what a PATCH by
// filter changed comes in any order.
func (s *Step) order() compare.Order {
	if s.Method == "PATCH" && isObject(s.Body) {
		return compare.Any
	}
	return compare.Named
}

// Run plays the steps of a scenario and returns every difference. The store
// must be empty and the world loaded.
func (s *Scenario) Run(ctx context.Context, to Sender, base string, devs *compare.Deviations) []string {
	vars := variables{}
	var out []string
	for i := range s.Steps {
		step := &s.Steps[i]
		for _, d := range s.step(ctx, step, to, base, devs, vars) {
			out = append(out, fmt.Sprintf("step %d '%s': %s", i+1, step.Name, d))
		}
	}
	return out
}

func (s *Scenario) step(
	ctx context.Context, step *Step, to Sender, base string, devs *compare.Deviations, vars variables,
) []string {
	switch step.Special {
	case "":
	case "sleep":
		time.Sleep(time.Duration(step.Seconds * float64(time.Second)))
		return nil
	default:
		return []string{fmt.Sprintf("there is no way to do %q", step.Special)}
	}
	r, err := step.request(vars)
	if err != nil {
		return []string{"it can't be sent: " + err.Error()}
	}
	want, err := step.expectation(vars)
	if err != nil {
		return []string{"what is expected can't be read: " + err.Error()}
	}
	got, err := to.Send(ctx, r)
	if err != nil {
		return []string{"there is no answer: " + err.Error()}
	}
	rules := compare.Rules{Base: strings.TrimSuffix(base, "/"), Order: step.order()}
	diffs := rules.Answer(step.Method, want, got, devs.Step(s.Name, step.Name))
	if m, ok := got.Value().(map[string]any); ok {
		for name, member := range step.Capture {
			if v, ok := m[member]; ok {
				vars[name] = fmt.Sprint(v)
			}
		}
	}
	return diffs
}
