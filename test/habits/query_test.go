// SPDX-License-Identifier: MIT

package habits

import (
	"fmt"
	"strings"
	"testing"
)

func TestQueries(t *testing.T) {
	s := filled(t)
	for query, want := range map[string]string{
		"": "x1 x2 x3 x4", "enabled=true": "x1 x4", "enabled=True": "x1 x4", "enabled=TRUE": "x1 x4", "enabled=tRuE": "x1 x4", "enabled=false": "x2",
		"enabled=False": "x2", "enabled=FALSE&session=s": "x2", "session=s": "x1 x2", "staged_session=s": "x3", "phase=powering_on": "x1", "phase=": "x1 x2 x3 x4",
		"status=": "x1 x2 x3 x4", "status=failed": "x4", "status=stable,failed": "x2 x3 x4", "status=stable%2Cfailed": "x2 x3 x4", "status=nonsense": "",
		// Ids, encoded or not.
		"ids=x1,x3": "x1 x3", "ids=x3%2Cx1": "x1 x3", "ids=x1%2cx3": "x1 x3", "ids=%781": "x1", "ids=x1,": "x1", "ids=,": "", "ids=x1,x1,none": "x1",
		"ids=x1+x2": "", "id%73=x1": "x1", "ids=x1,x3&enabled=true": "x1",
		// Unknown parameters are ignored, of repeated ones the last counts.
		"nonsense=1": "x1 x2 x3 x4", "nonsense": "x1 x2 x3 x4", "IDS=x1": "x1 x2 x3 x4", "ids=x1&ids=x2": "x2", "enabled=nonsense&enabled=false": "x2",
		"&&ids=x1&": "x1", "=": "x1 x2 x3 x4", "ids=x1&x=%E2%98%83": "x1", "ids=x1&x[]=1": "x1", "nonsense=%FF": "x1 x2 x3 x4",
		// Pages.
		"page_size=2": "x1 x2", "page_size=0": "x1 x2 x3 x4", "page_size=1048576": "x1 x2 x3 x4", "start_after_id=x2": "x3 x4", "start_after_id=x0": "x1 x2 x3 x4",
		"start_after_id=x1&page_size=2": "x2 x3", "page_size=002": "x1 x2", "page_size=+2": "x1 x2", "status=" + strings.Repeat("s", 512): "",
	} {
		s.request(t, "GET /v2/components?"+query).ids(want)
		s.request(t, "GET /apis/bos/v2/components?"+query).ids(want)
	}
	for query, name := range map[string]string{
		"enabled=": "enabled", "enabled=1": "enabled", "enabled=yes": "enabled", "enabled=t": "enabled", "enabled": "enabled", "enabled=true&enabled=x": "enabled",
		"ids=": "ids", "ids": "ids", "session=": "session", "staged_session=": "staged_session", "start_after_id=": "start_after_id", "session=a%2Fb": "session",
		"session=s%0A": "session", "phase=booting": "phase", "page_size=": "page_size", "page_size=3.0": "page_size", "page_size=1e2": "page_size",
		"page_size=true": "page_size", "page_size=-1": "page_size", "page_size=1048577": "page_size", "page_size=99999999999999999999": "page_size",
		"page_size=2+2": "page_size", "page_size=0x10": "page_size", "status=" + strings.Repeat("s", 513): "status", "ids=%FF": "ids",
		"start_after_id=" + strings.Repeat("i", 128): "start_after_id",
	} {
		s.request(t, "GET /v2/components?"+query).problem(400, "Bad Request", "parameter "+name)
	}
	s.request(t, "PATCH /v2/components?skip_bad_ids=maybe\n\n"+`[{"id":"x1"}]`).problem(400, "Bad Request", "parameter skip_bad_ids")
	s.request(t, "PATCH /v2/components?skip_bad_ids=TRUE\n\n"+`[{"id":"x1","error":"e"},{"id":"none"}]`).ids("x1")
	s.request(t, "PATCH /v2/components?skip_bad_ids=False\n\n"+`[{"id":"x1"},{"id":"none"}]`).problem(404, "The resource was not found", "'none'")
}

// A query that can't be read is refused wherever it is sent: a filter that got
// lost would mean everything.
func TestMalformedQueries(t *testing.T) {
	s := filled(t)
	for _, query := range []string{"ids=%zz", "%", "a=%1", "ids=x1;enabled=true", ";", "nonsense=%g0", "a=1;b=2", "status=complete&%2"} {
		for _, request := range []string{
			"GET /?", "GET /v2?", "GET /v2/healthz?", "GET /v2/components?", "GET /v2/components/x1?", "GET /v2/sessions?", "DELETE /v2/sessions?",
			"GET /v2/sessions/s?", "DELETE /v2/sessions/s?", "GET /v2/sessiontemplates?", "DELETE /v2/components/x1?", "GET /v2/options?",
			"POST /v2/sessions/s/status?", "GET /v2/sessiontemplatesvalid/t?",
		} {
			s.request(t, request+query).problem(400, "Bad Request", "query")
		}
		s.request(t, "PATCH /v2/components?"+query+"\n\n"+`[{"id":"x1","error":"changed"}]`).problem(400, "Bad Request", "query string")
	}
	s.request(t, "GET /v2/components?ids=x1").ids("x1")
	s.request(t, "GET /v2/components/x1").is(`{"id":"x1","enabled":true,"session":"s","status":{"phase":"powering_on","status":"on_hold","status_override":"on_hold"}}`)
}

// Sessions are filtered by age in any letter case. Where they are deleted, a
// parameter that nobody knows deletes nothing.
func TestSessionQueries(t *testing.T) {
	s := filled(t)
	count := func(query string) int {
		var list []any
		s.request(t, "GET /v2/sessions?"+query).wants(200).decode(&list)
		return len(list)
	}
	for query, want := range map[string]int{
		"": 1, "min_age=0": 1, "min_age=0m": 1, "min_age=3m": 0, "max_age=3m": 1, "max_age=3M": 1, "max_age=1H": 1, "max_age=10d": 1, "max_age=2W": 1, "min_age=1D": 0,
		"status=pending": 1, "status=complete": 0, "status=pending&max_age=1h": 1, "status=complete&status=pending": 1, "staus=complete": 1,
	} {
		if got := count(query); got != want {
			t.Errorf("%q: %d sessions, want %d", query, got, want)
		}
	}
	for _, query := range []string{
		"min_age=", "min_age=3", "min_age=3x", "min_age=-3m", "min_age=03m", "min_age=3m%0A", "max_age=1.5h", "max_age=3%20m", "status=", "status=Complete", "status=gone",
	} {
		name, _, _ := strings.Cut(query, "=")
		s.request(t, "GET /v2/sessions?"+query).problem(400, "Bad Request", "parameter "+name)
		s.request(t, "DELETE /v2/sessions?"+query).problem(400, "Bad Request", "parameter "+name)
	}
	for _, query := range []string{"staus=complete", "status=pending&x=", "STATUS=pending", "=", "id=s"} {
		s.request(t, "DELETE /v2/sessions?"+query).problem(400, "Bad Request", "no such parameter")
	}
	s.request(t, "DELETE /v2/sessions").wants(204)
	if got := count(""); got != 1 {
		t.Errorf("%d sessions are left, of those that are not complete", got)
	}
	s.request(t, "DELETE /v2/sessions?status=complete&status=pending").wants(204)
	if got := count(""); got != 0 {
		t.Errorf("%d sessions are left", got)
	}
}

// A list of ids may be as long as a large site.
func TestVeryLongQuery(t *testing.T) {
	s := filled(t)
	for _, separator := range []string{",", "%2C"} {
		var ids strings.Builder
		for i := range 100_000 {
			fmt.Fprintf(&ids, "x%dc%ds%db%dn%d%s", 1000+i/512, i/64%8, i/4%64, 0, i%4, separator)
		}
		got := s.request(t, "GET /v2/components?ids="+ids.String()+"x1"+separator+"x4")
		got.what = "100,000 ids"
		got.ids("x1 x4")
	}
}
