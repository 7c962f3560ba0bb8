// SPDX-License-Identifier: MIT

package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"bos/internal/bos"
	"bos/internal/store"
)

const pending = `{"name":"%s","tenant":null,"operation":"boot","template_name":"t","limit":"%s","stage":false,"include_disabled":false,
	"components":"","status":{"start_time":"2026-01-02T03:04:05","end_time":null,"status":"pending","error":null}}`

func TestCreateSession(t *testing.T) {
	s := start(t, stopClock)
	s.template("t")
	const ok = `"operation":"boot","template_name":"t"`
	s.do("POST", "/v2/sessions", `{`+ok+`,"name":"s"}`).wants(201).same(fmt.Sprintf(pending, "s", ""))
	s.do("GET", "/v2/sessions/s", "").is(fmt.Sprintf(pending, "s", ""))
	s.do("POST", "/v2/sessions", `{`+ok+`,"name":"s"}`).problem(409, "The resource to be created already exists", "Session 's' already exists")
	s.do("POST", "/v2/sessions", `{`+ok+`,"name":"l","limit":"x1, &grp ,!unknown"}`).wants(201).same(fmt.Sprintf(pending, "l", "x1, &grp ,!unknown"))
	s.do("POST", "/v2/sessions", `{`+ok+`,"name":"n","limit":null}`).wants(201).same(fmt.Sprintf(pending, "n", ""))

	var made bos.Session
	s.do("POST", "/v2/sessions", `{`+ok+`}`).wants(201).json(&made)
	rec, found := s.server.view.Session(made.Key())
	if !found || rec.Sealed.UID != made.Name || len(made.Name) != 36 {
		t.Errorf("%q is not the session's own identity: %v", made.Name, rec)
	}

	for body, words := range map[string]string{
		`{"operation":"boot","template_name":"none"}`:   "Session Template Name invalid: none",
		`{` + ok + `,"limit":"a,,b"}`:                   "limit",
		`{` + ok + `,"limit":" "}`:                      "limit",
		`{` + ok + `,"name":"s\n"}`:                     "name",
		`{` + ok + `,"tenant":"a"}`:                     "tenant",
		`{"operation":"configure","template_name":"t"}`: "operation",
	} {
		s.do("POST", "/v2/sessions", body).problem(400, "Bad Request", words)
	}
	s.as("tenant-a", "POST", "/v2/sessions", `{`+ok+`}`).problem(400, "Bad Request", "Session Template Name invalid: t")
	s.as("tenant-a", "PUT", "/v2/sessiontemplates/t", `{"boot_sets":{"c":`+bootSet+`}}`).wants(200)
	s.as("tenant-a", "POST", "/v2/sessions", `{`+ok+`,"name":"s"}`).wants(201)
	s.as("tenant-a", "POST", "/v2/sessions", `{`+ok+`,"name":"s"}`).
		problem(409, "The resource to be created already exists", "Session 's' already exists for tenant 'tenant-a'")
}

// What is asked for by options is looked at in the order of the contract.
func TestCreateSessionOptions(t *testing.T) {
	s := start(t, nil)
	post := func(limit string) reply {
		return s.do("POST", "/v2/sessions", `{"operation":"boot","template_name":"none","limit":"`+limit+`"}`)
	}
	post("nid1").problem(400, "Bad Request", "Session Template Name invalid")
	s.do("PATCH", "/v2/options", `{"session_limit_required":true,"reject_nids":true}`).wants(200)
	post("").problem(400, "Bad Request", "session_limit_required option is set, but this session has no limit specified")
	s.do("POST", "/v2/sessions", `{"operation":"boot","template_name":"none"}`).problem(400, "Bad Request", "session_limit_required")
	post("x1, &nid7").problem(400, "Bad Request", "reject_nids: session limit appears to contain NIDs: x1, &nid7")
	post("nid7,,").problem(400, "Bad Request", "reject_nids: ")
	post("x1,,").problem(400, "Bad Request", "limit")
	post("x1").problem(400, "Bad Request", "Session Template Name invalid: none")
}

// The template is checked for the operation, boot set by boot set in order, and
// images are asked for only as far as need be.
func TestCreateSessionChecksTemplate(t *testing.T) {
	s := start(t, nil)
	set := func(name, path string) string {
		return `"` + name + `":{"type":"s3","path":"s3://b/` + path + `/m.json","node_groups":["g"]}`
	}
	s.do("PUT", "/v2/sessiontemplates/t", `{"boot_sets":{`+set("z", "one")+","+set("m", "two")+","+set("a", "three")+`}}`).wants(200)
	gone := goodFacts()
	gone.ManifestErr = bos.Errorf(bos.CodeNotFound, "'s3://b/two/m.json' does not exist in S3")
	s.images.set("s3://b/two/m.json", gone)
	warned := goodFacts()
	warned.ImageErr = bos.Errorf(bos.CodeNotFound, "unknown")
	s.images.set("s3://b/one/m.json", warned)
	s.images.asked = nil

	post := func(operation string) reply {
		return s.do("POST", "/v2/sessions", `{"operation":"`+operation+`","template_name":"t","name":"s"}`)
	}
	const wrong = "Session template: 't' boot set: 'm': Can't find boot artifacts."
	for _, operation := range []string{"boot", "reboot"} {
		post(operation).problem(400, "Bad Request", "Session template fails check: "+wrong)
	}
	want := []string{"s3://b/one/m.json", "s3://b/two/m.json", "s3://b/one/m.json", "s3://b/two/m.json"}
	if !slices.Equal(s.images.asked, want) {
		t.Errorf("asked for %q", s.images.asked)
	}
	var verdict string
	s.do("GET", "/v2/sessiontemplatesvalid/t", "").wants(200).json(&verdict)
	if !strings.HasPrefix(verdict, wrong) {
		t.Errorf("verdict %q", verdict)
	}
	s.images.asked = nil
	post("shutdown").wants(201)
	if len(s.images.asked) > 0 {
		t.Errorf("asked for %q", s.images.asked)
	}
	s.images.set("s3://b/two/m.json", warned)
	s.do("GET", "/v2/sessiontemplatesvalid/t", "").is(`"Session template: 't' boot set: 'z': IMS image id 'one' does not exist in IMS; ` +
		`Session template: 't' boot set: 'm': IMS image id 'two' does not exist in IMS"`)
	s.do("DELETE", "/v2/sessions/s", "").wants(204)
	post("boot").wants(201)
}

func TestSessionFilters(t *testing.T) {
	s := start(t, stopClock)
	s.template("t")
	for _, name := range []string{"new", "hour", "old", "broken"} {
		s.session(name)
	}
	s.do("PATCH", "/v2/sessions/hour", `{"status":{"start_time":"2026-01-02T02:04:05Z","status":"running"}}`).wants(200)
	s.do("PATCH", "/v2/sessions/old", `{"status":{"start_time":"2020-01-01","status":"complete"}}`).wants(200)
	for query, want := range map[string]string{
		"": "broken hour new old", "?status=running": "hour", "?min_age=1h": "hour old", "?max_age=60M": "broken hour new", "?min_age=1W": "old",
		"?min_age=0": "broken hour new old", "?max_age=0": "broken new", "?status=pending&min_age=1m": "", "?status=pending&status=complete": "old",
		"?min_age=9999999w": "", "?max_age=9999999w": "broken hour new old", "?foo=1": "broken hour new old",
	} {
		if got := strings.Join(s.do("GET", "/v2/sessions"+query, "").names("name"), " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, query := range []string{"status=", "status=failed", "min_age=", "min_age=1", "max_age=1s", "min_age=%201d", "max_age=123456789d", "a;b", "%"} {
		s.do("GET", "/v2/sessions?"+query, "").problem(400, "Bad Request", "query")
	}
	for _, query := range []string{"?foo=1", "?status=complete;x", "?status=%zz", "?Status=complete"} {
		s.do("DELETE", "/v2/sessions"+query, "").problem(400, "Bad Request", "query")
	}
	s.do("DELETE", "/v2/sessions?min_age=1h&status=running", "").wants(204)
	s.do("DELETE", "/v2/sessions?max_age=1h", "").wants(204)
	if got := strings.Join(s.do("GET", "/v2/sessions", "").names("name"), " "); got != "broken new old" {
		t.Errorf("left: %s", got)
	}
	s.do("DELETE", "/v2/sessions", "").wants(204)
	if got := strings.Join(s.do("GET", "/v2/sessions", "").names("name"), " "); got != "broken new" {
		t.Errorf("left: %s", got)
	}
}

func TestPatchSession(t *testing.T) {
	s := start(t, stopClock)
	s.template("t")
	s.session("s")
	s.do("PATCH", "/v2/sessions/s", `{"status":{"end_time":"2026-01-03T00:00:00.5+01:00","error":"e"},"components":"x1,x2"}`).wants(200)
	const want = `{"name":"s","tenant":null,"operation":"boot","template_name":"t","limit":"","stage":false,"include_disabled":false,
		"components":"x1,x2","status":{"start_time":"2026-01-02T03:04:05","end_time":"2026-01-03T00:00:00.5+01:00","status":"pending","error":"e"}}`
	for _, body := range []string{
		`{"status":{"end_time":"never","error":"f"}}`, `{"status":{"start_time":""}}`, `{"status":{"start_time":"2026-13-01"}}`,
		`{"status":{"status":"failed"}}`, `{"status":{"start_time":null}}`, `{"limit":"x"}`, `{"status":{"x":1}}`, `null`, ``, `[]`,
	} {
		s.do("PATCH", "/v2/sessions/s", body).problem(400, "Bad Request")
	}
	s.do("PATCH", "/v2/sessions/s", `{}`).is(want)
	s.do("GET", "/v2/sessions/s", "").is(want)
	s.do("PATCH", "/v2/sessions/s", `{"status":{"end_time":null,"error":null},"components":""}`).is(fmt.Sprintf(pending, "s", ""))
	s.do("PATCH", "/v2/sessions/x", `{}`).problem(404, "The resource was not found", "Session 'x' does not exist")
}

// planned stores a running session with a plan of a number of chunks and a
// saved status.
func (s *site) planned(name string, chunks int) bos.SessionRecord {
	s.tb.Helper()
	rec := bos.NewSession(bos.SessionCreate{Operation: bos.OperationBoot, TemplateName: "t", Name: name}, "", "uid-"+name, s.server.now())
	rec.Sealed.Setup, rec.Sealed.Chunks = bos.SetupApplied, chunks
	rec.Session.Status.Status = bos.SessionRunning
	put := func(key string, doc any) {
		if _, err := s.store.PutDoc(s.tb.Context(), key, doc, nil); err != nil {
			s.tb.Fatal(err)
		}
	}
	put(store.SessionKey(rec.Session.Key()), rec)
	put(store.StatusKey(rec.Session.Key()), bos.ExtendedStatus{Status: bos.SessionRunning})
	for n := range chunks {
		put(store.PlanKey(rec.Sealed.UID, n), bos.PlanChunk{UID: rec.Sealed.UID, Nodes: []bos.PlannedNode{{ID: fmt.Sprint("x", n)}, {ID: "u", Unknown: true}}})
	}
	return rec
}

// left returns the keys of what there is beside sessions.
func (s *site) left(prefixes ...string) []string {
	s.tb.Helper()
	var keys []string
	for _, prefix := range prefixes {
		kvs, _, err := s.store.List(s.tb.Context(), prefix)
		if err != nil {
			s.tb.Fatal(err)
		}
		for _, kv := range kvs {
			keys = append(keys, kv.Key)
		}
	}
	return keys
}

// With a session go its saved status and its plan, however long.
func TestDeleteSessionLeavesNothing(t *testing.T) {
	s := start(t, nil)
	s.planned("other", 2)
	before := s.left(store.PrefixSessions, store.PrefixStatuses, store.PrefixPlans)
	s.do("PUT", "/v2/components/x0", `{"session":"long","enabled":true}`).wants(200)
	for name, chunks := range map[string]int{"none": 0, "short": 3, "long": 250} {
		s.planned(name, chunks)
		var shown bos.Session
		s.do("GET", "/v2/sessions/"+name, "").wants(200).json(&shown)
		if got := strings.Count(shown.Components, "x"); got != chunks {
			t.Errorf("%s shows %d components: %s", name, got, shown.Components)
		}
		s.do("DELETE", "/v2/sessions/"+name, "").wants(204)
		s.do("DELETE", "/v2/sessions/"+name, "").wants(404)
		if after := s.left(store.PrefixSessions, store.PrefixStatuses, store.PrefixPlans); !slices.Equal(after, before) {
			t.Errorf("%s left %q", name, after)
		}
	}
	s.do("GET", "/v2/components/x0", "").is(`{"id":"x0","session":"long","enabled":true,"status":{"status":"on_hold","status_override":"on_hold"}}`)
}

// A session that is sent back to pending begins anew, without its old plan.
func TestPendingAgainDropsThePlan(t *testing.T) {
	s := start(t, nil)
	old := s.planned("s", 130)
	var shown bos.Session
	s.do("PATCH", "/v2/sessions/s", `{"status":{"error":"e"}}`).wants(200).json(&shown)
	if got := strings.Count(shown.Components, "x"); got != 130 {
		t.Errorf("%d components", got)
	}
	s.do("PATCH", "/v2/sessions/s", `{"status":{"status":"pending"}}`).wants(200).json(&shown)
	rec, _ := s.server.view.Session(old.Session.Key())
	if shown.Components != "" || rec.Sealed.UID == old.Sealed.UID || rec.Sealed.Setup != bos.SetupNew {
		t.Errorf("%+v, %+v", shown, rec.Sealed)
	}
	if keys := s.left(store.PrefixPlans); len(keys) > 0 {
		t.Errorf("left: %q", keys)
	}
}

// The status of a complete session is the one that was saved; else it is as the
// nodes are.
func TestSavedStatus(t *testing.T) {
	s := start(t, stopClock)
	s.template("t")
	s.session("s")
	s.do("PUT", "/v2/components", `[{"id":"x1","session":"s","error":"bad"},{"id":"x2","staged_state":{"session":"s"}}]`).wants(200)
	status := func(state, errs, count string) string {
		return `{"status":"` + state + `","managed_components_count":` + count + `,"percent_staged":"*","percent_successful":"*","percent_failed":0,
			"error_summary":` + errs + `,"phases":"*","timing":"*"}`
	}
	live := status("pending", `{"bad":{"count":1,"list":"x1"}}`, "2")
	s.do("GET", "/v2/sessions/s/status", "").is(live)
	s.do("POST", "/v2/sessions/s/status", `not json`).is(live)
	s.do("PATCH", "/v2/sessions/s", `{"status":{"status":"complete"}}`).wants(200)
	s.do("PATCH", "/v2/components/x1", `{"error":""}`).wants(200)
	s.do("GET", "/v2/sessions/s/status", "").is(live)
	s.do("POST", "/v2/sessions/s/status", "").is(status("complete", `{}`, "2"))
	s.do("GET", "/v2/sessions/s/status", "").is(status("complete", `{}`, "2"))
	s.do("DELETE", "/v2/sessions/s", "").wants(204)
	s.do("GET", "/v2/sessions/s/status", "").problem(404, "The resource was not found", "Session 's' does not exist")
	s.session("s")
	s.do("PATCH", "/v2/sessions/s", `{"status":{"status":"complete"}}`).wants(200)
	s.do("GET", "/v2/sessions/s/status", "").is(status("complete", `{}`, "2"))
}
