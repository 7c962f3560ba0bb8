// SPDX-License-Identifier: MIT

package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"bos/internal/admission"
	"bos/internal/bos"
)

// scene is one request of the story that the examples of the document tell, and
// which example its answer is.
type scene struct {
	operation string
	// path leaves out the prefix; the method is the operation's.
	path   string
	tenant string
	// body is sent instead of the request example of the name example.
	body string
	// status is that of the answer; example is the name of the example that it is,
	// and of the one that is sent. A medium with one example has one without a
	// name.
	status  int
	example string
	// at is the time of the day.
	at string
	// aside says that the request only prepares the next; its answer is no
	// example.
	aside bool
}

// examples are all examples of the document, by the place where they stand.
type examples struct {
	operations map[string]*exampleOperation
	requests   map[string]json.RawMessage
	answers    map[string]json.RawMessage
	// places finds where the answers of an operation and status are described:
	// many share one.
	places map[string]string
}

type exampleOperation struct {
	method   string
	hasBody  bool
	statuses []string
}

func readExamples(tb testing.TB) *examples {
	tb.Helper()
	parsed, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		tb.Fatal(err)
	}
	e := &examples{
		operations: map[string]*exampleOperation{}, requests: map[string]json.RawMessage{},
		answers: map[string]json.RawMessage{}, places: map[string]string{},
	}
	add := func(to map[string]json.RawMessage, place string, media *openapi3.MediaType) {
		named := map[string]any{}
		for name, example := range media.Examples {
			named[name] = example.Value.Value
		}
		if media.Example != nil {
			named[""] = media.Example
		}
		if len(named) == 0 {
			tb.Errorf("%s has no example", place)
		}
		for name, value := range named {
			text, err := json.Marshal(value)
			if err != nil {
				tb.Fatal(err)
			}
			to[strings.TrimSpace(place+" "+name)] = text
		}
	}
	for _, item := range parsed.Paths.Map() {
		for method, op := range item.Operations() {
			o := &exampleOperation{method: method}
			e.operations[op.OperationID] = o
			if op.RequestBody != nil {
				o.hasBody = true
				add(e.requests, op.OperationID, op.RequestBody.Value.Content.Get("application/json"))
			}
			for status, response := range op.Responses.Map() {
				o.statuses = append(o.statuses, status)
				place := op.OperationID + " " + status
				if response.Ref != "" {
					place = response.Ref[strings.LastIndex(response.Ref, "/")+1:]
				}
				e.places[op.OperationID+" "+status] = place
				for kind, media := range response.Value.Content {
					if kind == contentTypeStream {
						add(e.answers, place+" stream", media)
						continue
					}
					add(e.answers, place, media)
				}
			}
		}
	}
	return e
}

// excerpts are operations whose answers are too long, or differ too much from
// process to process, to stand in the document as they are.
var excerpts = []string{"get_metrics", "get_openapi_json", "get_openapi_yaml"}

// theatre plays the story.
type theatre struct {
	*site
	*examples
	oracle oracle
	now    time.Time
	// sent, seen and provoked are the request examples that were sent, the
	// answers' examples that came, and the statuses of operations.
	sent, seen, provoked map[string]bool
}

// The story uses every example of the document: it sends those of requests, and
// gets those of answers from the server, to the letter. And every status that
// the document lists is provoked.
func TestExamplesAreTrue(t *testing.T) {
	th := &theatre{examples: readExamples(t), sent: map[string]bool{}, seen: map[string]bool{}, provoked: map[string]bool{}}
	th.site = start(t, func(c *Config) {
		c.Now = func() time.Time { return th.now }
		c.Limits.Streams = admission.NewStreams(1)
	})
	th.tenants.nodes["vcluster-blue"] = []string{"x3000c0s1b0n0"}
	th.machines.set(func(m *machines) {
		m.compute = []string{"x3000c0s1b0n0", "x3000c0s1b0n1", "x3000c0s2b0n0"}
		m.on, m.disabled = bos.NewSet("x3000c0s1b0n0"), bos.NewSet("x3000c0s2b0n0")
	})
	th.oracle = newOracle(t)
	for _, act := range [][]scene{versionStory(), templateStory(), componentStory(), sessionStory(), optionStory(), errorStory()} {
		for _, s := range act {
			th.play(s)
		}
	}
	th.askAgain()
	th.stream()
	for _, s := range endStory() {
		th.play(s)
	}
	th.refuse()
	th.turnAway()
	th.storeIsAway()
	for id, o := range th.operations {
		for _, status := range o.statuses {
			if !th.provoked[id+" "+status] {
				t.Errorf("%s never answered %s", id, status)
			}
		}
	}
	for place := range th.requests {
		if !th.sent[place] {
			t.Errorf("the request example %q is not sent", place)
		}
	}
	for place := range th.answers {
		if !th.seen[place] {
			t.Errorf("the example %q was not answered", place)
		}
	}
}

// play sends one request and compares the answer with its example.
func (th *theatre) play(s scene) {
	th.tb.Helper()
	o := th.operations[s.operation]
	if o == nil {
		th.tb.Fatalf("there is no operation %s", s.operation)
	}
	at, err := time.Parse(time.DateTime, "2026-11-23 "+s.at)
	if err != nil {
		th.tb.Fatal(err)
	}
	th.now = at
	// What the former request made happen has a revision of its own.
	th.events.Flush(th.tb.Context())
	body, what := s.body, strings.TrimSpace(fmt.Sprint(s.operation, " ", s.status, " ", s.example))
	if body == "" && o.hasBody {
		place := strings.TrimSpace(s.operation + " " + s.example)
		if _, ok := th.requests[place]; !ok {
			place = s.operation
		}
		if body = string(th.requests[place]); body == "" {
			th.tb.Fatalf("%s: there is no request example", what)
		}
		th.sent[place] = true
	}
	r := th.request(step{method: o.method, path: DefaultPrefix + s.path, body: body, tenant: s.tenant})
	r.Host = "api.example.com"
	r.Header.Set("X-Forwarded-For", "10.1.1.1")
	r.Header.Set("X-Forwarded-Proto", "https")
	got := th.send(r)
	if got.status != s.status {
		th.tb.Fatalf("%s: status %d: %s", what, got.status, got.body)
	}
	th.check(s.operation, s.path, body, s.tenant, got)
	if s.aside || got.status == http.StatusNoContent {
		return
	}
	place := strings.TrimSpace(th.places[fmt.Sprint(s.operation, " ", s.status)] + " " + s.example)
	want, ok := th.answers[place]
	if !ok {
		th.tb.Fatalf("%s: there is no example %q", what, place)
	}
	th.seen[place] = true
	if slices.Contains(excerpts, s.operation) && got.status == http.StatusOK {
		return
	}
	if !strings.HasSuffix(got.header.Get("Content-Type"), "json") {
		got.body, _ = json.Marshal(string(got.body))
	}
	var a, b any
	got.json(&b)
	if err := json.Unmarshal(want, &a); err != nil {
		th.tb.Fatal(err)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		th.tb.Errorf("%s: the document (-) and the server (+): %s\n%s", what, diff, got.body)
	}
}

// check holds an answer against the document.
func (th *theatre) check(operation, path, body, tenant string, got reply) {
	th.tb.Helper()
	th.provoked[fmt.Sprint(operation, " ", got.status)] = true
	th.oracle.check(th.request(step{method: th.operations[operation].method, path: path, body: body, tenant: tenant}), got)
}

// paths are where operations are, for requests whose fault is elsewhere.
func (th *theatre) path(operation string) string {
	path := th.server.front.Operation(operation).Path
	for name, value := range map[string]string{
		"{component_id}": "x3000c0s1b0n0", "{session_id}": "boot-compute-1", "{session_template_id}": "compute-2026-11",
	} {
		path = strings.ReplaceAll(path, name, value)
	}
	return path
}

// stream follows what happens, and is one too many meanwhile.
func (th *theatre) stream() {
	th.tb.Helper()
	place := th.places["get_v2_events 200"] + " stream"
	var want string
	if err := json.Unmarshal(th.answers[place], &want); err != nil {
		th.tb.Fatal(err)
	}
	f := th.follow("", "?kinds=fleet")
	defer f.close()
	got := ""
	for range strings.Count(want, "\n\n") {
		got += f.next().String()
	}
	// The revision depends on how many requests the story has.
	if id := regexp.MustCompile(`id: \d+`); id.ReplaceAllString(got, "id") != id.ReplaceAllString(want, "id") {
		th.tb.Errorf("the document and the server differ:\n%s\n%s", want, got)
	}
	th.seen[place] = true
	r := th.request(step{method: http.MethodGet, path: th.path("get_v2_events")})
	r.Header.Set("Accept", contentTypeStream)
	refused := th.send(r)
	th.check("get_v2_events", th.path("get_v2_events"), "", "", refused)
	if refused.header.Get("Retry-After") != "10" {
		th.tb.Errorf("Retry-After: %q", refused.header.Get("Retry-After"))
	}
}

// askAgain asks once more for what has not changed.
func (th *theatre) askAgain() {
	th.tb.Helper()
	for id, o := range th.operations {
		if !slices.Contains(o.statuses, "304") {
			continue
		}
		r := th.request(step{method: o.method, path: th.path(id)})
		tag := th.send(r).header.Get("ETag")
		r = th.request(step{method: o.method, path: th.path(id)})
		r.Header.Set("If-None-Match", tag)
		got := th.send(r)
		if got.status != http.StatusNotModified || len(got.body) > 0 {
			th.tb.Errorf("%s: with the tag %s: %d %s", id, tag, got.status, got.body)
		}
		th.check(id, th.path(id), "", "", got)
	}
}

// refuse sends to every operation what it must refuse: a query that can't be
// read, a body of another type, and one that is too long.
func (th *theatre) refuse() {
	th.tb.Helper()
	for id, o := range th.operations {
		send := func(query, contentType string, body []byte) {
			r, err := http.NewRequestWithContext(th.tb.Context(), o.method, th.url+th.path(id)+query, bytes.NewReader(body))
			if err != nil {
				th.tb.Fatal(err)
			}
			r.Header.Set("Content-Type", contentType)
			got := th.send(r)
			th.check(id, th.path(id), "", "", got)
			if place := th.places[fmt.Sprint(id, " ", got.status)]; th.answers[place] != nil && equalJSON(th.answers[place], got.body) {
				th.seen[place] = true
			}
		}
		send("?a=%zz", "application/json", []byte("{}"))
		if o.hasBody {
			send("", "text/plain", []byte("{}"))
			send("", "application/json", make([]byte, th.server.front.Operation(id).MaxBody()+1))
		}
	}
}

// turnAway asks everything as somebody who does not say who they are, as one who
// may do nothing, and too often.
func (th *theatre) turnAway() {
	th.tb.Helper()
	defer func(a Access, l Limits) { th.server.access, th.server.limits = a, l }(th.server.access, th.server.limits)
	th.server.access = &gate{}
	wait := regexp.MustCompile(`try again in [^"]*`)
	for id, o := range th.operations {
		for i, status := range []string{"401", "403", "429"} {
			if !slices.Contains(o.statuses, status) {
				continue
			}
			th.server.limits.Rates = nil
			if status == "429" {
				th.server.limits.Rates = admission.NewRates(100, 1, 10)
				th.server.limits.Rates.Take(people()["guest"].Key(), time.Now().Add(time.Minute))
			}
			r := th.request(step{method: o.method, path: th.path(id)})
			if i > 0 {
				r.Header.Set("Authorization", "guest")
			}
			got := th.send(r)
			th.check(id, th.path(id), "", "", got)
			place := th.places[id+" "+status]
			same := func(text []byte) []byte { return wait.ReplaceAll(text, []byte("try again soon")) }
			if got.status == statusNumber(status) && equalJSON(same(th.answers[place]), same(got.body)) {
				th.seen[place] = true
			}
		}
	}
}

func statusNumber(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func equalJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && cmp.Equal(x, y)
}

// storeIsAway asks everything once more when the store is away.
func (th *theatre) storeIsAway() {
	th.tb.Helper()
	th.engine.Fail(errors.New("secret"))
	defer th.engine.Fail(nil)
	for id, o := range th.operations {
		if !slices.Contains(o.statuses, "503") {
			continue
		}
		body := string(th.requests[id])
		if body == "" && o.hasBody {
			body = string(th.requests[id+" list"])
		}
		got := th.send(th.request(step{method: o.method, path: th.path(id), body: body}))
		if got.status != http.StatusServiceUnavailable {
			th.tb.Errorf("%s: %d %s", id, got.status, got.body)
		}
		th.check(id, th.path(id), body, "", got)
		if place := th.places[id+" 503"]; equalJSON(th.answers[place], got.body) {
			th.seen[place] = true
		}
	}
	th.play(scene{operation: "get_healthz_v2", path: "/v2/healthz", status: 200, example: "away", at: "09:00:00"})
}
