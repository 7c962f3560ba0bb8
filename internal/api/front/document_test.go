// SPDX-License-Identifier: MIT

package front

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"go.yaml.in/yaml/v3"
)

// theOperations are the contract's operations and, in the end, our own.
const theOperations = `
GET /  root_get
GET /v2  v2_get
GET /v2/version  get_version_v2
GET /v2/healthz  get_healthz_v2
GET /v2/sessiontemplates  get_v2_sessiontemplates
GET /v2/sessiontemplates/{session_template_id}  get_v2_sessiontemplate
PUT /v2/sessiontemplates/{session_template_id}  put_v2_sessiontemplate
PATCH /v2/sessiontemplates/{session_template_id}  patch_v2_sessiontemplate
DELETE /v2/sessiontemplates/{session_template_id}  delete_v2_sessiontemplate
GET /v2/sessiontemplatesvalid/{session_template_id}  get_v2_sessiontemplatesvalid
GET /v2/sessiontemplatetemplate  get_v2_sessiontemplatetemplate
GET /v2/sessions  get_v2_sessions
POST /v2/sessions  post_v2_session
DELETE /v2/sessions  delete_v2_sessions
GET /v2/sessions/{session_id}  get_v2_session
PATCH /v2/sessions/{session_id}  patch_v2_session
DELETE /v2/sessions/{session_id}  delete_v2_session
GET /v2/sessions/{session_id}/status  get_v2_session_status
POST /v2/sessions/{session_id}/status  save_v2_session_status
GET /v2/sessions/{session_id}/outcome  get_v2_session_outcome
POST /v2/sessions/{session_id}/cancel  cancel_v2_session
POST /v2/sessions/{session_id}/pause  pause_v2_session
POST /v2/sessions/{session_id}/resume  resume_v2_session
POST /v2/sessionplan  post_v2_session_plan
GET /v2/components  get_v2_components
PUT /v2/components  put_v2_components
PATCH /v2/components  patch_v2_components
GET /v2/components/{component_id}  get_v2_component
PUT /v2/components/{component_id}  put_v2_component
PATCH /v2/components/{component_id}  patch_v2_component
DELETE /v2/components/{component_id}  delete_v2_component
GET /v2/fleet  get_v2_fleet
GET /v2/components/{component_id}/timeline  get_v2_component_timeline
GET /v2/sessions/{session_id}/events  get_v2_session_events
GET /v2/events  get_v2_events
GET /v2/components/{component_id}/why  get_v2_component_why
POST /v2/applystaged  post_v2_apply_staged
GET /v2/options  get_v2_options
PATCH /v2/options  patch_v2_options
GET /metrics  get_metrics
GET /readyz  get_readyz
GET /livez  get_livez
GET /openapi.json  get_openapi_json
GET /openapi.yaml  get_openapi_yaml
`

func TestOperations(t *testing.T) {
	f := load(t)
	var got []string
	for _, o := range f.Operations() {
		got = append(got, o.Method+" "+o.Path+"  "+o.ID)
		if f.Operation(o.ID).Path != o.Path {
			t.Errorf("%s is not found by its id", o.ID)
		}
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(theOperations), "\n"), got); diff != "" {
		t.Error(diff)
	}
	if f.Operation("nope") != nil {
		t.Error("there is an operation nope")
	}
}

func TestDocumentIsValid(t *testing.T) {
	if err := newOracle(t).document.Validate(t.Context()); err != nil {
		t.Errorf("kin-openapi: %v", err)
	}
	doc, err := libopenapi.NewDocument(document(t))
	if err != nil {
		t.Fatalf("libopenapi: %v", err)
	}
	if _, err := doc.BuildV3Model(); err != nil {
		t.Errorf("libopenapi: %v", err)
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		t.Fatalf("libopenapi-validator: %v", errs)
	}
	if ok, problems := v.ValidateDocument(); !ok {
		for _, p := range problems {
			t.Errorf("libopenapi-validator: %s: %s", p.Message, p.Reason)
		}
	}
}

// Every operation is described and shown: a tag, a summary, a description, an
// example of its body and of its answers, and what a bad request looks like.
func TestDocumentIsComplete(t *testing.T) {
	o := newOracle(t)
	tags := map[string]bool{}
	for _, tag := range o.document.Tags {
		tags[tag.Name] = tag.Description != ""
	}
	o.each(func(method, path string, _ *openapi3.PathItem, op *openapi3.Operation) {
		where := method + " " + path
		if op.OperationID == "" || op.Summary == "" || op.Description == "" {
			t.Errorf("%s: operationId, summary and description are needed", where)
		}
		if len(op.Tags) != 1 || !tags[op.Tags[0]] {
			t.Errorf("%s: one tag that is described is needed", where)
		}
		if op.RequestBody != nil {
			wantExamples(t, where+" request", op.RequestBody.Value.Content)
		}
		statuses := op.Responses.Map()
		for status, response := range statuses {
			if status != "204" && status != "304" {
				wantExamples(t, where+" "+status, response.Value.Content)
			}
		}
		if statuses["400"] == nil {
			t.Errorf("%s: there is no 400", where)
		}
		if op.RequestBody != nil && (statuses["415"] == nil || statuses["413"] == nil) {
			t.Errorf("%s: there is no 413 or no 415", where)
		}
	})
}

func wantExamples(t *testing.T, where string, content openapi3.Content) {
	t.Helper()
	if len(content) == 0 {
		t.Errorf("%s: there is no content", where)
	}
	for media, c := range content {
		if c.Schema == nil || c.Schema.Ref == "" {
			t.Errorf("%s: %s needs a schema with a name", where, media)
		}
		if c.Example == nil && len(c.Examples) == 0 {
			t.Errorf("%s: %s needs an example", where, media)
		}
	}
}

// Every object is closed but those that are meant to be open, and every schema
// is described.
func TestDocumentIsStrict(t *testing.T) {
	open := map[string]bool{"Options": true, "OptionsPatch": true, "OpenAPIDocument": true, "BootSetMap": true}
	for name, ref := range newOracle(t).document.Components.Schemas {
		s := ref.Value
		if s.Description == "" {
			t.Errorf("%s: there is no description", name)
		}
		if s.Type.Is("object") && !open[name] {
			if closed := s.AdditionalProperties.Has; closed == nil || *closed {
				t.Errorf("%s: must be closed", name)
			}
		}
		if len(s.OneOf) > 0 && s.Extensions["x-bos-message"] == nil {
			t.Errorf("%s: alternatives need x-bos-message", name)
		}
		for field, property := range s.Properties {
			if property.Ref == "" && property.Value.Description == "" {
				t.Errorf("%s.%s: there is no description", name, field)
			}
		}
	}
}

// Every string, array and integer of a request has a limit, but those listed.
func TestRequestsAreLimited(t *testing.T) {
	unlimited := map[string]bool{
		"ComponentList":    true, // as many as the body can hold
		"SessionStartTime": true, // must be a time
		"SessionEndTime":   true,
	}
	var walk func(where string, ref *openapi3.SchemaRef)
	walk = func(where string, ref *openapi3.SchemaRef) {
		if ref.Value.ReadOnly {
			return
		}
		name := ref.Ref[strings.LastIndex(ref.Ref, "/")+1:]
		s := ref.Value
		enough := unlimited[name] || s.Enum != nil
		switch {
		case s.Type.Is("string"):
			enough = enough || s.MaxLength != nil || s.Pattern != "" && name == "OptionLoggingLevel"
		case s.Type.Is("array"):
			enough = enough || s.MaxItems != nil
			walk(where+"[]", s.Items)
		case s.Type.Is("integer"):
			enough = enough || s.Min != nil && s.Max != nil
		default:
			enough = true
		}
		if !enough {
			t.Errorf("%s (%s) has no limit", where, name)
		}
		for field, property := range s.Properties {
			walk(where+"."+field, property)
		}
		for _, alternative := range s.OneOf {
			walk(where, alternative)
		}
		if others := s.AdditionalProperties.Schema; others != nil {
			walk(where+".*", others)
		}
	}
	newOracle(t).each(func(_, _ string, _ *openapi3.PathItem, op *openapi3.Operation) {
		if op.RequestBody != nil {
			walk(op.OperationID, op.RequestBody.Value.Content.Get("application/json").Schema)
		}
	})
}

// The examples of requests are accepted.
func TestExamplesAreAccepted(t *testing.T) {
	f := load(t)
	for id, examples := range bodyExamples(t) {
		for _, example := range examples {
			if _, err := f.Operation(id).Body("application/json", example); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
}

// bodyExamples returns the examples of request bodies by operation.
func bodyExamples(tb testing.TB) map[string][][]byte {
	tb.Helper()
	all := map[string][][]byte{}
	newOracle(tb).each(func(_, _ string, _ *openapi3.PathItem, op *openapi3.Operation) {
		if op.RequestBody == nil {
			return
		}
		media := op.RequestBody.Value.Content.Get("application/json")
		values := []any{}
		if media.Example != nil {
			values = append(values, media.Example)
		}
		for _, example := range media.Examples {
			values = append(values, example.Value.Value)
		}
		for _, value := range values {
			text, err := json.Marshal(value)
			if err != nil {
				tb.Fatal(err)
			}
			all[op.OperationID] = append(all[op.OperationID], text)
		}
	})
	return all
}

func TestJSONIsTheDocument(t *testing.T) {
	var fromYAML, fromJSON any
	if err := yaml.Unmarshal(document(t), &fromYAML); err != nil {
		t.Fatal(err)
	}
	text := load(t).JSON()
	if err := json.Unmarshal(text, &fromJSON); err != nil {
		t.Fatal(err)
	}
	normal, err := json.Marshal(fromYAML)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(normal, &fromYAML); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fromYAML, fromJSON); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(string(text), `{"openapi":"3.0.3","info":{`) {
		t.Errorf("the order is not that of the document: %.60s", text)
	}
}

func TestMaxBody(t *testing.T) {
	for _, o := range load(t).Operations() {
		takes := slices.Contains([]string{"PUT", "PATCH", "POST"}, o.Method) &&
			!slices.Contains([]string{"save_v2_session_status", "cancel_v2_session", "pause_v2_session", "resume_v2_session"}, o.ID)
		if o.HasBody() != takes || (o.MaxBody() > 0) != takes {
			t.Errorf("%s: HasBody %t, MaxBody %d", o.ID, o.HasBody(), o.MaxBody())
		}
	}
}

func TestTenanted(t *testing.T) {
	for _, o := range load(t).Operations() {
		kind, _, _ := strings.Cut(strings.TrimPrefix(o.Path, "/v2/"), "/")
		want := slices.Contains([]string{"sessiontemplates", "sessiontemplatesvalid", "sessions", "components", "fleet", "events", "applystaged", "sessionplan"}, kind)
		if o.Tenanted() != want {
			t.Errorf("%s: Tenanted is %t", o.ID, o.Tenanted())
		}
	}
}

const tinyDocument = `
openapi: 3.0.3
paths:
  /a:
    put:
      operationId: a
      x-bos-max-body: 2048
      requestBody:
        content:
          application/json:
            schema: {$ref: '#/components/schemas/A'}
components:
  schemas:
    A:
      type: object
      additionalProperties: false
      properties:
        n: {type: integer}
        s: {type: string, pattern: ^x+$}
`

// A document that promises what would not be checked is refused.
func TestLoadRefuses(t *testing.T) {
	if _, err := Load([]byte(tinyDocument)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"no YAML":                {"openapi", "\t"},
		"no operations":          {"put:", "x-put:"},
		"no operationId":         {"operationId: a", "summary: a"},
		"no limit of the body":   {"x-bos-max-body: 2048", "summary: a"},
		"a bad limit":            {"2048", "many"},
		"no JSON":                {"application/json", "text/plain"},
		"an unknown keyword":     {"{type: integer}", "{type: integer, multipleOf: 2}"},
		"an unknown type":        {"{type: integer}", "{type: number}"},
		"no type":                {"{type: integer}", "{minimum: 2}"},
		"a limit that is none":   {"{type: integer}", "{type: integer, minimum: 1.5}"},
		"a bad pattern":          {"^x+$", "^x(+$"},
		"an unknown reference":   {"schemas/A'", "schemas/B'"},
		"a foreign reference":    {"'#/components/schemas/A'", "'other.yaml#/A'"},
		"an unknown requirement": {"properties:", "required: [z]\n      properties:"},
		"an array of nothing":    {"{type: integer}", "{type: array}"},
		"a number for YAML only": {"2048", ".inf"},
		"a parameter in cookies": {"requestBody:", "parameters: [{name: p, in: cookie, schema: {type: string}}]\n      requestBody:"},
		"a parameter with style": {"requestBody:", "parameters: [{name: p, in: query, style: form, schema: {type: string}}]\n      requestBody:"},
		"a list as parameter":    {"requestBody:", "parameters: [{name: p, in: query, schema: {type: array, items: {type: string}}}]\n      requestBody:"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(tinyDocument, change[0], change[1], 1)
			if changed == tinyDocument {
				t.Fatal("nothing was changed")
			}
			if _, err := Load([]byte(changed)); err == nil {
				t.Error("it was accepted")
			}
		})
	}
}
