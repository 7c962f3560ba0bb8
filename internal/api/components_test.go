// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"bos/internal/bos"
	"bos/internal/store"
)

const clockText = "2026-01-02T03:04:05Z"

const stamped = `"last_updated":"2026-01-02T03:04:05"`

func stopClock(c *Config) { c.Now = fixed(clockText) }

// Answers to writes show what was written; reads add the computed status.
func TestComponentWriteAndRead(t *testing.T) {
	s := start(t, stopClock)
	s.do("GET", "/v2/components/x1", "").problem(404, "The resource was not found", "Component 'x1' does not exist")
	s.do("PUT", "/v2/components/x1", `{"id":"other","enabled":true,"desired_state":{"configuration":"c"}}`).is(`{"id":"x1","enabled":true,
		"session":"","desired_state":{"configuration":"c",` + stamped + `},"status":{"status_override":"on_hold"},
		"event_stats":{"power_on_attempts":0,"power_off_graceful_attempts":0,"power_off_forceful_attempts":0}}`)
	s.do("PATCH", "/v2/components/x1", `{"id":"other","enabled":false,"status":{"phase":"configuring","status_override":""}}`).wants(200)
	s.do("GET", "/v2/components/x1", "").is(`{"id":"x1","enabled":false,"session":"",
		"desired_state":{"configuration":"c",` + stamped + `},"status":{"phase":"configuring","status":"configuring","status_override":""},
		"event_stats":{"power_on_attempts":0,"power_off_graceful_attempts":0,"power_off_forceful_attempts":0}}`)
	s.do("PUT", "/v2/components/x1", `{"error":"e"}`).is(`{"id":"x1","error":"e"}`)
	s.do("GET", "/v2/components", "").is(`[{"id":"x1","error":"e","status":{"phase":"","status":"stable","status_override":""}}]`)
	s.do("DELETE", "/v2/components/x1", "").wants(204)
	s.do("DELETE", "/v2/components/x1", "").problem(404, "The resource was not found", "Component 'x1' does not exist")
	s.do("PATCH", "/v2/components/x1", `{"error":""}`).problem(404, "The resource was not found", "'x1'")
	s.do("GET", "/v2/components", "").is(`[]`)
}

// Ids may be any characters but a slash.
func TestComponentIDs(t *testing.T) {
	s := start(t, nil)
	for path, id := range map[string]string{
		"any%20thing%21": "any thing!", "UPPER": "UPPER", "%C3%A9": "é", "a+b": "a+b", "a%00b": "a\x00b", "%2E%2E": "..", "a%25b": "a%b", "a;b": "a;b",
		"a%3Fb": "a?b", strings.Repeat("n", 127): strings.Repeat("n", 127),
	} {
		got := s.do("PUT", "/v2/components/"+path, `{"enabled":false}`).wants(200)
		var c bos.Component
		got.json(&c)
		if c.ID != id {
			t.Errorf("%s: id %q", path, c.ID)
		}
		s.do("GET", "/v2/components/"+path, "").wants(200)
		s.do("DELETE", "/v2/components/"+path, "").wants(204)
	}
	s.do("GET", "/v2/components/"+strings.Repeat("n", 128), "").problem(400, "Bad Request", "component_id")
	s.do("GET", "/v2/components/%ff", "").problem(400, "Bad Request", "component_id")
	if got := s.do("GET", "/v2/components", "").names("id"); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}

func TestComponentFilters(t *testing.T) {
	s := start(t, nil)
	s.do("PUT", "/v2/components", `[{"id":"a1","enabled":true,"session":"s1","status":{"phase":"powering_on"}},
		{"id":"a2","enabled":false,"session":"s1","status":{"phase":"powering_off"}},{"id":"b1","enabled":false,"staged_state":{"session":"st"}},
		{"id":"b2"},{"id":"B3","status":{"status_override":"failed"}}]`).wants(200)
	for query, want := range map[string]string{
		"": "B3 a1 a2 b1 b2", "?ids=b2,a1,zz,a1": "a1 b2", "?ids=,": "", "?session=s1": "a1 a2", "?session=none": "", "?staged_session=st": "b1",
		"?enabled=true": "a1", "?enabled=FALSE": "a2 b1", "?phase=": "B3 a1 a2 b1 b2", "?phase=powering_off": "a2", "?status=": "B3 a1 a2 b1 b2",
		"?status=failed,on_hold": "B3 a1", "?status=,": "", "?page_size=2": "B3 a1", "?page_size=2&start_after_id=a1": "a2 b1", "?start_after_id=b1x": "b2",
		"?page_size=0": "B3 a1 a2 b1 b2", "?session=s1&enabled=false": "a2", "?ids=a1&ids=b1": "b1", "?other=1": "B3 a1 a2 b1 b2",
		"?ids=" + strings.Repeat("a1,", 9000): "a1",
	} {
		if got := strings.Join(s.do("GET", "/v2/components"+query, "").names("id"), " "); got != want {
			t.Errorf("%.40s: %s, want %s", query, got, want)
		}
	}
	for _, query := range []string{
		"ids=", "session=", "session=-x", "staged_session=", "start_after_id=", "enabled=1", "enabled=", "phase=x", "page_size=-1", "page_size=1.0",
		"page_size=1048577", "page_size=", "ids=%zz", "session=s1;enabled=true", "status=" + strings.Repeat("s", 513),
	} {
		s.do("GET", "/v2/components?"+query, "").problem(400, "Bad Request", "query")
	}
}

func TestBulkPut(t *testing.T) {
	s := start(t, nil)
	s.do("PUT", "/v2/components", `[]`).is(`[]`)
	s.do("PUT", "/v2/components", `[{"id":"z","error":"1"},{"id":"a"},{"id":"z","error":"2"}]`).is(`[{"id":"z","error":"2"},{"id":"a"}]`)
	s.do("PUT", "/v2/components", `[{"id":"n1"},{"id":"n2","enabled":"x"}]`).problem(400, "Bad Request", "1.enabled")
	s.do("GET", "/v2/components/n1", "").wants(404)
}

func TestBulkPatch(t *testing.T) {
	s := start(t, nil)
	s.do("PUT", "/v2/components", `[{"id":"a"},{"id":"b"},{"id":"c","session":"s"},{"id":"d","session":"s"}]`).wants(200)
	s.do("PATCH", "/v2/components", `[]`).is(`[]`)
	s.do("PATCH", "/v2/components", "\n [{\"id\":\"b\",\"error\":\"1\"},{\"id\":\"a\",\"error\":\"2\"}]").is(`[{"id":"b","error":"1"},{"id":"a","error":"2"}]`)
	s.do("PATCH", "/v2/components", `[{"id":"a","error":"3"},{"id":"zz"}]`).problem(404, "The resource was not found", "'zz'")
	s.do("PATCH", "/v2/components?skip_bad_ids=TRUE", `[{"id":"a","error":"4"},{"id":"zz"}]`).is(`[{"id":"a","error":"4"}]`)
	s.do("PATCH", "/v2/components?skip_bad_ids=false", `[{"id":"zz"}]`).wants(404)
	s.do("PATCH", "/v2/components", `[{"id":"a","error":"5"},{"id":"a","retry_policy":1}]`).is(`[{"id":"a","error":"4","retry_policy":1}]`)

	s.do("PATCH", "/v2/components", `{"patch":{"id":"q","error":"6"},"filters":{"ids":"a,b,a","session":""}}`).
		is(`[{"id":"a","error":"6","retry_policy":1},{"id":"b","error":"6"}]`)
	s.do("PATCH", "/v2/components", `{"patch":{"error":"7"},"filters":{"ids":"a,zz"}}`).problem(404, "The resource was not found", "'zz'")
	s.do("PATCH", "/v2/components", `{"patch":{"error":"7"},"filters":{"ids":","}}`).problem(404, "The resource was not found")
	s.do("PATCH", "/v2/components?skip_bad_ids=true", `{"patch":{"error":"7"},"filters":{"ids":"zz,b"}}`).is(`[{"id":"b","error":"7"}]`)
	s.do("PATCH", "/v2/components", `{"patch":{"error":"8"},"filters":{"ids":"a","session":"s"}}`).problem(400, "Bad Request")
	s.do("PATCH", "/v2/components", `{"patch":{"error":"8"},"filters":{"session":"none"}}`).is(`[]`)

	// By session the answer looks like a read with the patch in it, and only that
	// one; the status is that of before.
	s.do("PATCH", "/v2/components", `{"patch":{"error":"9"},"filters":{"session":"s"}}`).
		is(`[{"id":"c","session":"s","error":"9","status":{"phase":"","status":"stable","status_override":""}},
			{"id":"d","session":"s","error":"9","status":{"phase":"","status":"stable","status_override":""}}]`)
	s.do("PATCH", "/v2/components/c", `{"error":"10"}`).is(`{"id":"c","session":"s","error":"10"}`)
	s.do("PATCH", "/v2/components", `{"patch":{"enabled":true},"filters":{"session":"s","ids":null}}`).
		is(`[{"id":"c","session":"s","enabled":true,"error":"10","status":{"phase":"","status":"stable","status_override":"on_hold"}},
			{"id":"d","session":"s","enabled":true,"error":"9","status":{"phase":"","status":"stable","status_override":"on_hold"}}]`)
	s.do("PATCH", "/v2/components", `{"patch":{"error":"","status":{"phase":"powering_on","status_override":""}},"filters":{"session":"s"}}`).
		is(`[{"id":"c","session":"s","enabled":true,"error":"","status":{"phase":"powering_on","status":"on_hold","status_override":""}},
			{"id":"d","session":"s","enabled":true,"error":"","status":{"phase":"powering_on","status":"on_hold","status_override":""}}]`)
	s.do("GET", "/v2/components?session=s&ids=c", "").
		is(`[{"id":"c","session":"s","enabled":true,"error":"","status":{"phase":"powering_on","status":"power_on_pending","status_override":""}}]`)
	s.do("PATCH", "/v2/components/c", `{"error":"11"}`).
		is(`{"id":"c","session":"s","enabled":true,"error":"11","status":{"phase":"powering_on","status_override":""}}`)
}

func TestActualStateConflict(t *testing.T) {
	for _, tc := range []struct {
		stored string
		status int
	}{
		{`{"enabled":true}`, 409},
		{`{"enabled":true,"last_action":{"action":"session_setup"}}`, 409},
		{`{"enabled":true,"last_action":{"action":"powering_on"}}`, 200},
		{`{"enabled":false,"status":{"phase":"powering_off"}}`, 200},
		{`{"status":{"phase":"powering_off"}}`, 200},
	} {
		s := start(t, nil)
		s.do("PUT", "/v2/components/x", tc.stored).wants(200)
		got := s.do("PATCH", "/v2/components/x", `{"enabled":false,"actual_state":{}}`).wants(tc.status)
		if tc.status == 409 {
			got.problem(409, "Actual state can not be updated.", "BOS is currently changing the state of the node, and the actual state can not be accurately recorded")
			s.do("PATCH", "/v2/components", `[{"id":"x","actual_state":{}}]`).wants(200)
			s.do("PATCH", "/v2/components/x", `{"status":{"status_override":"","phase":""}}`).wants(200)
			s.do("PATCH", "/v2/components/x", `{"actual_state":{}}`).wants(200)
		}
	}
}

// A report with a token that BOS gave out is one of the artifacts behind it,
// also if the token was stored a moment ago by somebody else.
func TestReportedToken(t *testing.T) {
	s := start(t, stopClock)
	s.do("PUT", "/v2/components/x", `{"enabled":false}`).wants(200)
	for i := range 20 {
		token := fmt.Sprint("token-", i)
		_, err := s.store.PutDoc(t.Context(), store.TokenKey(token), store.Token{BootArtifacts: bos.BootArtifacts{Kernel: bos.Some(token)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.do("PATCH", "/v2/components/x", `{"id":"x","actual_state":{"bss_token":"`+token+`"}}`).
			is(`{"id":"x","enabled":false,"actual_state":{"bss_token":"` + token + `","boot_artifacts":{"kernel":"` + token + `"},` + stamped + `}}`)
	}
	s.do("PATCH", "/v2/components/x", `{"actual_state":{"bss_token":"unknown"}}`).wants(200)
	if got := s.server.view.Record("x").Sealed.ActualAt; got == 0 {
		t.Error("the time of the report is not kept")
	}
	if strings.Contains(s.log.String(), "token-") {
		t.Error("a token is in the log")
	}
}

// What BOS keeps beside a component is neither shown nor lost.
func TestSealedPartStays(t *testing.T) {
	s := start(t, nil)
	sealed := bos.Sealed{Plan: "plan-1", StagedOperation: bos.OperationReboot, StagedOwner: "o", Owner: "o", Attempt: &bos.AttemptMark{ID: "at-1"}}
	rec := bos.Record{Component: bos.Component{ID: "x", Session: bos.Some("s"), StagedState: bos.Some(bos.StagedState{Session: bos.Some("st")})}, Sealed: sealed}
	if _, err := s.store.UpdateRecords(t.Context(), store.RecordUpdate{IDs: []string{"x"}, Change: func(string, *bos.Record) (*bos.Record, error) { return &rec, nil }}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct{ method, path, body string }{
		{"PATCH", "/v2/components/x", `{"error":"e"}`},
		{"PUT", "/v2/components/x", `{"session":"s","staged_state":{"session":"st"}}`},
		{"PUT", "/v2/components", `[{"id":"x","session":"s","staged_state":{"session":"st"}}]`},
		{"PATCH", "/v2/components", `{"patch":{"retry_policy":1},"filters":{"session":"s"}}`},
		{"GET", "/v2/components/x", ""},
	} {
		got := s.do(p.method, p.path, p.body).wants(200)
		if strings.Contains(string(got.body), "plan-1") || strings.Contains(string(got.body), "at-1") {
			t.Errorf("%s shows it: %s", got.what, got.body)
		}
		kept := s.server.view.Record("x").Sealed
		if !reflect.DeepEqual(kept, sealed) {
			t.Errorf("%s: %+v", got.what, kept)
		}
	}
}

// A write that changes nothing is none.
func TestUnchangedIsNotWritten(t *testing.T) {
	s := start(t, nil)
	s.do("PUT", "/v2/components/x", `{"error":"e"}`).wants(200)
	s.template("t")
	s.session("s")
	s.do("PATCH", "/v2/options", `{"clear_stage":true}`).wants(200)
	before, err := s.store.Revision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.do("PATCH", "/v2/components/x", `{"error":"e"}`).is(`{"id":"x","error":"e"}`)
	s.do("PUT", "/v2/components/x", `{"error":"e"}`).is(`{"id":"x","error":"e"}`)
	s.do("PATCH", "/v2/components", `[{"id":"x"}]`).is(`[{"id":"x","error":"e"}]`)
	s.do("PATCH", "/v2/sessiontemplates/t", `{}`).wants(200)
	s.do("PATCH", "/v2/sessions/s", `{}`).wants(200)
	s.do("PATCH", "/v2/options", `{"clear_stage":true,"what":1}`).wants(200)
	if after, _ := s.store.Revision(t.Context()); after != before {
		t.Errorf("revision %d, then %d", before, after)
	}
}

// A list is as long as it says, however long, and a component too large for the
// store is refused in words.
func TestLongLists(t *testing.T) {
	s := start(t, nil)
	var body strings.Builder
	body.WriteByte('[')
	for i := range 3000 {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"id":"x%04d","error":"%s"}`, i, strings.Repeat("e", 100))
	}
	body.WriteByte(']')
	if got := s.do("PUT", "/v2/components", body.String()).names("id"); len(got) != 3000 || got[2999] != "x2999" {
		t.Errorf("%d written", len(got))
	}
	got := s.do("GET", "/v2/components", "", "Accept-Encoding", "identity")
	if ids := got.names("id"); len(ids) != 3000 {
		t.Errorf("%d read", len(ids))
	}
	if got.header.Get("Content-Length") != fmt.Sprint(len(got.body)) {
		t.Error("another length than it says")
	}
	long := strings.Repeat(`\u0001`, 65535)
	s.do("PUT", "/v2/components/big", `{"error":"`+long+`","actual_state":{"bss_token":"`+long+`"},"desired_state":{"bss_token":"`+long+`"},
		"status":{"status_override":"`+long+`"}}`).problem(413, "Request Entity Too Large", "component")
	s.do("GET", "/v2/components/big", "").wants(404)
}

// A client that goes away while its request is answered harms nobody.
func TestClientGoesAway(t *testing.T) {
	s := start(t, nil)
	s.images.hold, s.images.held = make(chan struct{}), make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "PUT", s.url+"/v2/sessiontemplates/t", strings.NewReader(`{"boot_sets":{"c":`+bootSet+`}}`))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-s.images.held
		cancel()
	}()
	if resp, err := s.client.Do(r); err == nil {
		_ = resp.Body.Close()
		t.Fatal("an answer came")
	}
	s.do("GET", "/v2/sessiontemplates/t", "").wants(404)
	close(s.images.hold)
}
