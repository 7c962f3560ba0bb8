// SPDX-License-Identifier: MIT

package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"bos/internal/bos"
)

// step is a request of the test below.
type step struct {
	operation, method, path, body string
	tenant                        string
	status                        int
}

// steps are requests in an order in which each finds what it needs: at least one
// good one for each operation, and one for most of the statuses.
func steps() []step {
	const a = "tenant-a"
	t := `{"description":"d","enable_cfs":true,"cfs":{"configuration":"c"},"boot_sets":{"c":` + bootSet + `}}`
	return []step{
		{"root_get", "GET", "/", "", "", 200},
		{"v2_get", "GET", "/v2", "", "", 200},
		{"get_version_v2", "GET", "/v2/version", "", "", 200},
		{"get_healthz_v2", "GET", "/v2/healthz", "", "", 200},
		{"get_metrics", "GET", "/metrics", "", "", 200},
		{"get_readyz", "GET", "/readyz", "", "", 200},
		{"get_livez", "GET", "/livez", "", "", 200},
		{"get_openapi_json", "GET", "/openapi.json", "", "", 200},
		{"get_openapi_yaml", "GET", "/openapi.yaml", "", "", 200},
		{"get_version_v2", "GET", "/v2/version?a=%zz", "", "", 400},

		{"put_v2_sessiontemplate", "PUT", "/v2/sessiontemplates/t", t, "", 200},
		{"put_v2_sessiontemplate", "PUT", "/v2/sessiontemplates/t", t, a, 200},
		{"put_v2_sessiontemplate", "PUT", "/v2/sessiontemplates/t", t, "none", 400},
		{"put_v2_sessiontemplate", "PUT", "/v2/sessiontemplates/t", `{}`, "", 400},
		{"put_v2_sessiontemplate", "PUT", "/v2/sessiontemplates/t", "text", "", 415},
		{"patch_v2_sessiontemplate", "PATCH", "/v2/sessiontemplates/t", `{"enable_cfs":false}`, a, 200},
		{"patch_v2_sessiontemplate", "PATCH", "/v2/sessiontemplates/x", `{}`, a, 404},
		{"get_v2_sessiontemplates", "GET", "/v2/sessiontemplates", "", "", 200},
		{"get_v2_sessiontemplate", "GET", "/v2/sessiontemplates/t", "", "", 200},
		{"get_v2_sessiontemplate", "GET", "/v2/sessiontemplates/x", "", a, 404},
		{"get_v2_sessiontemplatesvalid", "GET", "/v2/sessiontemplatesvalid/t", "", "", 200},
		{"get_v2_sessiontemplatesvalid", "GET", "/v2/sessiontemplatesvalid/x", "", "", 404},
		{"get_v2_sessiontemplatetemplate", "GET", "/v2/sessiontemplatetemplate", "", "", 200},

		{"post_v2_session", "POST", "/v2/sessions", `{"operation":"boot","template_name":"t","name":"s"}`, "", 201},
		{"post_v2_session", "POST", "/v2/sessions", `{"operation":"boot","template_name":"t","name":"s"}`, a, 201},
		{"post_v2_session", "POST", "/v2/sessions", `{"operation":"boot","template_name":"t","name":"s"}`, a, 409},
		{"post_v2_session", "POST", "/v2/sessions", `{"operation":"boot","template_name":"x"}`, a, 400},
		{"post_v2_session_plan", "POST", "/v2/sessionplan", `{"operation":"boot","template_name":"t"}`, "", 200},
		{"post_v2_session_plan", "POST", "/v2/sessionplan", `{"operation":"boot","template_name":"t"}`, "none", 400},
		{"pause_v2_session", "POST", "/v2/sessions/s/pause", "", a, 200},
		{"resume_v2_session", "POST", "/v2/sessions/s/resume", "", a, 200},
		{"cancel_v2_session", "POST", "/v2/sessions/s/cancel", "", a, 200},
		{"cancel_v2_session", "POST", "/v2/sessions/s/cancel", "", a, 200},
		{"pause_v2_session", "POST", "/v2/sessions/s/pause", "", a, 409},
		{"resume_v2_session", "POST", "/v2/sessions/x/resume", "", a, 404},
		{"get_v2_sessions", "GET", "/v2/sessions", "", "", 200},
		{"get_v2_sessions", "GET", "/v2/sessions?min_age=x", "", "", 400},
		{"get_v2_session", "GET", "/v2/sessions/s", "", "", 200},
		{"get_v2_session", "GET", "/v2/sessions/x", "", "", 404},
		{"patch_v2_session", "PATCH", "/v2/sessions/s", `{"status":{"status":"complete","end_time":"2026-01-01","error":"e"}}`, "", 200},
		{"patch_v2_session", "PATCH", "/v2/sessions/s", `{"status":{"end_time":"never"}}`, "", 400},
		{"get_v2_session_status", "GET", "/v2/sessions/s/status", "", "", 200},
		{"save_v2_session_status", "POST", "/v2/sessions/s/status", "", "", 200},
		{"get_v2_session_outcome", "GET", "/v2/sessions/s/outcome", "", "", 200},
		{"get_v2_session_outcome", "GET", "/v2/sessions/x/outcome", "", a, 404},
		{"get_v2_session_status", "GET", "/v2/sessions/s/status", "", "", 200},
		{"save_v2_session_status", "POST", "/v2/sessions/x/status", "", "", 404},

		{"put_v2_components", "PUT", "/v2/components", `[{"id":"a1","session":"s","error":"e"},{"id":"b1","enabled":true}]`, "", 200},
		{"put_v2_components", "PUT", "/v2/components", `[{"id":"b1"}]`, a, 404},
		{"put_v2_components", "PUT", "/v2/components", `{}`, "", 400},
		{"put_v2_component", "PUT", "/v2/components/a2", full, "", 200},
		{"put_v2_component", "PUT", "/v2/components/b1", `{"enabled":false}`, a, 404},
		{"patch_v2_component", "PATCH", "/v2/components/a2", `{"error":""}`, a, 200},
		{"patch_v2_component", "PATCH", "/v2/components/b1", `{"actual_state":{"bss_token":"t"}}`, "", 409},
		{"patch_v2_component", "PATCH", "/v2/components/x", `{"error":""}`, "", 404},
		{"patch_v2_components", "PATCH", "/v2/components", `[{"id":"a1","error":"f"}]`, "", 200},
		{"patch_v2_components", "PATCH", "/v2/components", `{"patch":{"error":"g"},"filters":{"session":"s"}}`, "", 200},
		{"patch_v2_components", "PATCH", "/v2/components", `{"patch":{"error":"g"},"filters":{"ids":"x"}}`, "", 404},
		{"get_v2_components", "GET", "/v2/components", "", "", 200},
		{"get_v2_components", "GET", "/v2/components", "", "none", 400},
		{"get_v2_component", "GET", "/v2/components/a2", "", "", 200},
		{"get_v2_component", "GET", "/v2/components/b1", "", a, 404},
		{"get_v2_fleet", "GET", "/v2/fleet", "", "", 200},
		{"get_v2_fleet", "GET", "/v2/fleet?session=s", "", a, 200},
		{"get_v2_fleet", "GET", "/v2/fleet", "", "none", 400},
		{"get_v2_session_events", "GET", "/v2/sessions/s/events", "", a, 200},
		{"get_v2_session_events", "GET", "/v2/sessions/x/events?limit=2&after=7", "", "", 404},
		{"get_v2_component_timeline", "GET", "/v2/components/a2/timeline", "", a, 200},
		{"get_v2_component_timeline", "GET", "/v2/components/b1/timeline", "", a, 404},
		{"get_v2_events", "GET", "/v2/events?component=a%5B1-2%5D&session=s", "", "", 200},
		{"get_v2_events", "GET", "/v2/events?limit=0", "", "", 400},
		{"get_v2_component_why", "GET", "/v2/components/a2/why", "", a, 200},
		{"get_v2_component_why", "GET", "/v2/components/b1/why", "", a, 404},
		{"get_v2_component_why", "GET", "/v2/components/x/why", "", "", 404},
		{"get_v2_session_status", "GET", "/v2/sessions/s/status", "", a, 200},
		{"post_v2_apply_staged", "POST", "/v2/applystaged", `{"xnames":["a2","b1","x"]}`, "", 200},
		{"post_v2_apply_staged", "POST", "/v2/applystaged", `{"xnames":["a2"]}`, "none", 400},
		{"get_v2_component", "GET", "/v2/components/a2", "", "", 200},

		{"patch_v2_options", "PATCH", "/v2/options", `{"clear_stage":true,"other":{"x":[1]}}`, "", 200},
		{"patch_v2_options", "PATCH", "/v2/options", `{}`, "", 400},
		{"get_v2_options", "GET", "/v2/options", "", "", 200},

		{"delete_v2_component", "DELETE", "/v2/components/a2", "", "", 204},
		{"delete_v2_component", "DELETE", "/v2/components/a2", "", "", 404},
		{"delete_v2_session", "DELETE", "/v2/sessions/s", "", a, 204},
		{"delete_v2_session", "DELETE", "/v2/sessions/s", "", a, 404},
		{"delete_v2_sessions", "DELETE", "/v2/sessions", "", "", 204},
		{"delete_v2_sessions", "DELETE", "/v2/sessions?staus=complete", "", "", 400},
		{"delete_v2_sessiontemplate", "DELETE", "/v2/sessiontemplates/t", "", "", 204},
		{"delete_v2_sessiontemplate", "DELETE", "/v2/sessiontemplates/t", "", "", 404},
	}
}

// full is a component with every field.
const full = `{"enabled":false,"session":"s","error":"e","retry_policy":2,
	"actual_state":{"boot_artifacts":{"kernel":"k","kernel_parameters":"p","initrd":"i"},"bss_token":"t"},
	"desired_state":{"boot_artifacts":{"kernel":"k","kernel_parameters":"p","initrd":"i"},"configuration":"c","bss_token":"t"},
	"staged_state":{"boot_artifacts":{"kernel":"k","kernel_parameters":"p","initrd":"i"},"configuration":"c","session":"s"},
	"last_action":{"action":"powering_on","failed":true},"event_stats":{"power_on_attempts":1,"power_off_graceful_attempts":2,"power_off_forceful_attempts":3},
	"status":{"phase":"powering_on","status_override":"failed"}}`

// oracle checks answers against the document.
type oracle struct {
	tb testing.TB
	v  validator.Validator
}

func newOracle(tb testing.TB) oracle {
	tb.Helper()
	doc, err := libopenapi.NewDocument(document)
	if err != nil {
		tb.Fatal(err)
	}
	v, errs := validator.NewValidator(doc)
	if errs != nil {
		tb.Fatal(errs)
	}
	return oracle{tb, v}
}

func (o oracle) response(r *http.Request, got reply) *http.Response {
	return &http.Response{StatusCode: got.status, Header: got.header, Request: r, Body: io.NopCloser(bytes.NewReader(got.body))}
}

func (o oracle) check(r *http.Request, got reply) {
	o.tb.Helper()
	ok, errs := o.v.ValidateHttpResponse(r, o.response(r, got))
	if ok {
		return
	}
	for _, e := range errs {
		o.tb.Errorf("%s: %s: %s: %s", got.what, e.Message, e.Reason, got.body)
		for _, s := range e.SchemaValidationErrors {
			o.tb.Errorf("  %s: %s", s.FieldPath, s.Reason)
		}
	}
}

// The oracle would see a wrong answer.
func TestOracleSees(t *testing.T) {
	s := start(t, nil)
	o := newOracle(t)
	for name, wrong := range map[string]reply{
		"body":         {status: 200, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(`{"major":2}`)},
		"status":       {status: 418, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(`{}`)},
		"content type": {status: 200, header: http.Header{"Content-Type": {"text/html"}}, body: []byte(`{}`)},
	} {
		r := s.request(step{method: "GET", path: "/v2"})
		if ok, _ := o.v.ValidateHttpResponse(r, o.response(r, wrong)); ok {
			t.Errorf("%s: not seen", name)
		}
	}
}

// What every operation answers is what the document says that it answers, also
// when it refuses and when the store is away.
func TestAnswersKeepToTheDocument(t *testing.T) {
	s := start(t, nil)
	o := newOracle(t)
	seen := map[string]bool{}
	for _, p := range steps() {
		r := s.request(p)
		got := s.send(r)
		if got.status != p.status {
			t.Errorf("%s: status %d, want %d: %s", got.what, got.status, p.status, got.body)
		}
		o.check(s.request(p), got)
		seen[p.operation] = true
	}
	for _, op := range s.server.front.Operations() {
		if !seen[op.ID] {
			t.Errorf("%s was not tried", op.ID)
		}
	}

	s.engine.Fail(errors.New("dial tcp 10.0.0.1: secret"))
	for _, p := range steps() {
		if p.status >= 300 {
			continue
		}
		got := s.send(s.request(p))
		o.check(s.request(p), got)
		if strings.HasPrefix(p.path, "/v2/s") && p.operation != "get_v2_sessiontemplatetemplate" {
			got.problem(503, "Service Unavailable", "store")
		}
		if strings.Contains(string(got.body), "secret") {
			t.Errorf("%s tells too much: %s", got.what, got.body)
		}
	}
	s.do("GET", "/readyz", "").problem(503, "Service Unavailable", "store")
	s.do("GET", "/livez", "").wants(200)
	s.do("GET", "/v2/healthz", "").is(`{"dbStatus":"not_available","apiStatus":"ok"}`)
	s.engine.Fail(nil)
	s.do("GET", "/readyz", "").wants(200)
	s.do("GET", "/v2/healthz", "").is(`{"dbStatus":"ok","apiStatus":"ok"}`)
}

func (s *site) request(p step) *http.Request {
	s.tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), p.method, s.url+p.path, strings.NewReader(p.body))
	if err != nil {
		s.tb.Fatal(err)
	}
	if p.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if p.status == http.StatusUnsupportedMediaType {
		r.Header.Set("Content-Type", "text/plain")
	}
	if p.tenant != "" {
		r.Header.Set("Cray-Tenant-Name", p.tenant)
	}
	return r
}

// A view that has not read the store yet answers nothing.
func TestNotReady(t *testing.T) {
	s := start(t, func(c *Config) { c.View = notReadyView() })
	for _, path := range []string{"/v2/components", "/v2/components/x", "/v2/sessions", "/v2/sessiontemplates", "/v2/options", "/readyz"} {
		s.do("GET", path, "").problem(503, "Service Unavailable", "store")
	}
	s.do("PATCH", "/v2/components/x", `{"error":""}`).problem(503, "Service Unavailable", "store")
	s.do("GET", "/livez", "").wants(200)
}

// Every code has a status, and only what is of use to clients is told.
func TestDescribe(t *testing.T) {
	for _, tc := range []struct {
		err    error
		status int
		title  string
		detail string
	}{
		{bos.Errorf(bos.CodeInvalid, "x"), 400, "Bad Request", "x"},
		{&bos.Error{Code: bos.CodeInvalid, Title: "T", Message: "x"}, 400, "T", "x"},
		{bos.Errorf(bos.CodeUnauthenticated, "x"), 401, "Unauthorized", "x"},
		{bos.Errorf(bos.CodeForbidden, "x"), 403, "Forbidden", "x"},
		{bos.Errorf(bos.CodeNotFound, "x"), 404, "The resource was not found", "x"},
		{bos.Errorf(bos.CodeMethodNotAllowed, "x"), 405, "Method Not Allowed", "x"},
		{bos.Errorf(bos.CodeConflict, "document \"/bos/x\""), 409, "Conflict", detailConflict},
		{&bos.Error{Code: bos.CodeConflict, Title: "T", Message: "x"}, 409, "T", "x"},
		{bos.Errorf(bos.CodeTooLarge, "x"), 413, "Request Entity Too Large", "x"},
		{bos.Errorf(bos.CodeUnsupportedMedia, "x"), 415, "Unsupported Media Type", "x"},
		{bos.Errorf(bos.CodeTooMany, "x"), 429, "Too Many Requests", "x"},
		{bos.Unavailable("pcs", errors.New("secret")), 503, "Service Unavailable", "pcs is not available"},
		{&bos.Error{Code: bos.CodeUnavailable, Dependency: "ims", Message: "gone"}, 503, "Service Unavailable", "ims is not available: gone"},
		{&bos.Error{Code: bos.CodeUnavailable, Dependency: "ims"}, 503, "Service Unavailable", "ims is not available"},
		{bos.Errorf(bos.CodeInternal, "secret"), 500, "Internal Server Error", detailInternal},
		{errors.New("secret"), 500, "Internal Server Error", detailInternal},
		{&bos.Error{Code: "new"}, 500, "Internal Server Error", detailInternal},
		{&bos.Error{Code: bos.CodeInvalid}, 400, "Bad Request", "bad request"},
		{context.Canceled, 503, "Service Unavailable", detailGivenUp},
		{context.DeadlineExceeded, 503, "Service Unavailable", detailGivenUp},
	} {
		got := describe(tc.err)
		want := problemDocument{Type: "about:blank", Title: tc.title, Status: tc.status, Detail: tc.detail}
		if got != want {
			t.Errorf("%v: %+v, want %+v", tc.err, got, want)
		}
	}
}
