// SPDX-License-Identifier: MIT

package habits

import (
	"fmt"
	"strings"
	"testing"
)

func TestContentTypes(t *testing.T) {
	s := start(t, nil)
	for contentType, status := range map[string]int{
		"application/json": 200, "application/json; charset=utf-8": 200, "application/json;charset=\"UTF-8\"": 200, "APPLICATION/JSON": 200,
		"application/merge-patch+json": 200, "Application/Vnd.Api+Json": 200, "application/problem+json; x=y": 200, "": 200, " application/json ": 200,
		"text/plain": 415, "text/json": 415, "application/x-www-form-urlencoded": 415, "multipart/form-data; boundary=x": 415, "application/xml": 415,
		"application/octet-stream": 415, "json": 415, "application/jsonx": 415, "application/json, text/plain": 415, "*/*": 415, ";": 415,
	} {
		got := s.request(t, "PUT /v2/components/x1\nContent-Type: "+contentType+"\n\n"+`{"enabled":false}`)
		if status == 415 {
			got.problem(415, "Unsupported Media Type", "Content-Type")
			continue
		}
		got.is(`{"id":"x1","enabled":false}`)
	}
	// Nothing and null are bad requests, and not another media type.
	for _, path := range []string{"PUT /v2/components/x1", "PATCH /v2/options", "POST /v2/sessions", "PUT /v2/components", "POST /v2/applystaged", "PATCH /v2/sessiontemplates/t"} {
		s.request(t, path).problem(400, "Bad Request", "request body")
		s.request(t, path+"\nContent-Type: application/json\nContent-Length: 0").problem(400, "Bad Request", "request body")
		for _, body := range []string{"null", " ", "\xef\xbb\xbf", "\"\"", "0", "true"} {
			s.request(t, path+"\n\n"+body).problem(400, "Bad Request")
		}
	}
}

// Bodies where none belongs are ignored, whatever they are.
func TestBodiesOfReads(t *testing.T) {
	s := filled(t)
	for _, c := range []struct {
		request string
		status  int
	}{
		{"GET /v2", 200}, {"GET /v2/components", 200}, {"GET /v2/components/x1", 200}, {"GET /v2/sessions", 200}, {"GET /v2/sessions/s/status", 200},
		{"GET /v2/options", 200}, {"GET /v2/sessiontemplatesvalid/t", 200}, {"HEAD /v2/components", 200}, {"OPTIONS /v2/components", 200},
		{"POST /v2/sessions/s/status", 200}, {"GET /nope", 404}, {"PUT /v2/sessions", 405},
		{"DELETE /v2/components/x1", 204}, {"DELETE /v2/sessions/s", 204}, {"DELETE /v2/sessiontemplates/t", 204}, {"DELETE /v2/sessions", 204},
	} {
		for _, body := range []string{"\nContent-Type: text/plain\n\nnonsense", "\n\n{", "\nTransfer-Encoding: chunked\n\n3\r\nabc\r\n0\r\n\r\n"} {
			want := c.status
			if want == 204 && body[1] != 'C' && !strings.HasSuffix(c.request, "sessions") {
				want = 404
			}
			s.request(t, c.request+body).wants(want)
		}
	}
}

func TestJSON(t *testing.T) {
	s := start(t, nil)
	const path = "PUT /v2/components/x1\n\n"
	for body, want := range map[string]string{
		`{"error":"a","error":"b"}`:                                     `{"id":"x1","error":"b"}`,
		"\xef\xbb\xbf" + `{"error":"a"}`:                                `{"id":"x1","error":"a"}`,
		"\r\n\t {\"error\" : \"\\u00e9\\ud83d\\ude00é\" } \n":           `{"id":"x1","error":"é😀é"}`,
		`{"\u0065rror":"a"}`:                                            `{"id":"x1","error":"a"}`,
		`{"error":"a\/b"}`:                                              `{"id":"x1","error":"a/b"}`,
		`{"error":"<&>\u2028"}`:                                         `{"id":"x1","error":"<&>\u2028"}`,
		`{"id":"other","retry_policy":0}`:                               `{"id":"x1","retry_policy":0}`,
		`{"retry_policy":1048576}`:                                      `{"id":"x1","retry_policy":1048576}`,
		`{"session":"","error":""}`:                                     `{"id":"x1","session":"","error":""}`,
		`{"event_stats":{"power_on_attempts":1,"power_on_attempts":2}}`: `{"id":"x1","event_stats":{"power_on_attempts":2}}`,
	} {
		s.request(t, path+body).is(want)
	}
	s.request(t, path+`{"error":"untouched"}`).wants(200)
	for body, words := range map[string]string{
		`{"Error":"a"}`: "Error", `{"ERROR":"a"}`: "ERROR", `{"error":null}`: "error", `{"error":"a"} x`: "request body", `{"error":"a"}{}`: "request body",
		`{"error":"a",}`: "request body", `{'error':'a'}`: "request body", `{error:"a"}`: "request body", `{"error":NaN}`: "NaN",
		`{"retry_policy":Infinity}`: "Infinity", `{"retry_policy":-1}`: "retry_policy", `{"retry_policy":1.0}`: "retry_policy", `{"retry_policy":1e2}`: "retry_policy",
		`{"retry_policy":true}`: "retry_policy", `{"retry_policy":"1"}`: "retry_policy", `{"retry_policy":1048577}`: "retry_policy", `{"retry_policy":01}`: "request body",
		`{"retry_policy":99999999999999999999999}`: "retry_policy", `{"enabled":1}`: "enabled", `{"enabled":"true"}`: "enabled", `{"enabled":True}`: "request body",
		"{\"error\":\"\xff\"}": "UTF-8", `{"error":"\ud800"}`: "request body", `{"session":"a b"}`: "session", `{"session":"s\n"}`: "session", `{}`: "request body",
		`[]`: "request body", `[{"id":"x1"}]`: "request body", "{\"error\":\"a\nb\"}": "request body", `{"error":"` + strings.Repeat("e", 65537) + `"}`: "error",
		`{"error":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`: "", strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000): "",
		`{"desired_state":{"boot_artifacts":{"kernel_parameters":"a\nb"}}}`: "kernel_parameters", "{\"error\":\"a\x00\"}": "request body",
		"\xfe\xff\x00{\x00}": "request body",
	} {
		s.request(t, path+body).problem(400, "Bad Request", words)
	}
	s.request(t, "GET /v2/components?ids=x1").is(`[{"id":"x1","error":"untouched","status":{"phase":"","status":"stable","status_override":""}}]`)
}

// What is read-only is refused, so that the answer of a GET can't be sent back
// as it is.
func TestReadOnly(t *testing.T) {
	s := filled(t)
	for request, fields := range map[string][]string{
		"PUT /v2/sessiontemplates/t\n\n" + `{"name":"t","tenant":null,"links":[],` + s.template()[1:]:      {"name", "tenant", "links"},
		"PUT /v2/components/x1\n\n" + `{"actual_state":{"last_updated":"2026-01-01T00:00:00"}}`:            {"actual_state.last_updated"},
		"PATCH /v2/components/x1\n\n" + `{"desired_state":{"last_updated":"2026-01-01T00:00:00"}}`:         {"desired_state.last_updated"},
		"PATCH /v2/components\n\n" + `[{"id":"x1","staged_state":{"last_updated":"2026-01-01T00:00:00"}}]`: {"staged_state.last_updated"},
		"PUT /v2/components\n\n" + `[{"id":"x1","last_action":{"last_updated":"2026-01-01T00:00:00"}}]`:    {"last_action.last_updated"},
		"PATCH /v2/components/x1\n\n" + `{"status":{"status":"stable"}}`:                                   {"status.status"},
	} {
		s.request(t, request).problem(400, "Bad Request", fields...)
	}
	for _, path := range []string{"/v2/sessiontemplates/t", "/v2/components/x1"} {
		got := s.request(t, "GET "+path).wants(200)
		s.request(t, "PUT "+path+"\n\n"+string(got.body)).problem(400, "Bad Request", "read-only")
	}
}

// Options that nobody knows are repeated once and forgotten. An empty change is
// refused there, and taken for sessions and templates.
func TestSmallAndUnknown(t *testing.T) {
	s := filled(t)
	var echo, after map[string]any
	s.request(t, "PATCH /v2/options\n\n"+`{"clear_stage":true,"colour":{"a":[1,null]},"Clear_Stage":"x"}`).wants(200).decode(&echo)
	s.request(t, "GET /v2/options").wants(200).decode(&after)
	if fmt.Sprintf("%v %v %v %d", echo["colour"], echo["Clear_Stage"], echo["clear_stage"], len(echo)) != "map[a:[1 <nil>]] x true 22" || len(after) != 20 {
		t.Errorf("echo %v, after %v", echo, after)
	}
	s.request(t, "PATCH /v2/options\n\n{}").problem(400, "Bad Request", "request body")
	many := func(n int) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = fmt.Sprintf(`"o%d":%d`, i, i)
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	s.request(t, "PATCH /v2/options\n\n"+many(1024)).wants(200)
	s.request(t, "PATCH /v2/options\n\n"+many(1025)).problem(400, "Bad Request", "1024")
	s.request(t, "PATCH /v2/sessiontemplates/t\n\n{}").wants(200)
	s.request(t, "PATCH /v2/sessions/s\n\n{}").wants(200)
	s.request(t, "POST /v2/applystaged\n\n{}").is(`{"succeeded":[],"failed":[],"ignored":[]}`)
}

// Several tenants that differ are refused, an empty one is none; the header's
// name has any letter case.
func TestTenantHeader(t *testing.T) {
	s := filled(t)
	for _, headers := range []string{"Cray-Tenant-Name: ", "cray-tenant-name:", "CRAY-TENANT-NAME:  "} {
		s.request(t, "GET /v2/components\n"+headers).ids("x1 x2 x3 x4")
	}
	for _, headers := range []string{"Cray-Tenant-Name: none", "cray-tenant-name: none", "CRAY-TENANT-NAME:none\ncray-tenant-name: none"} {
		s.request(t, "GET /v2/components\n"+headers).problem(400, "Invalid tenant", "Data not found for tenant none")
		s.request(t, "GET /v2/sessions/s\n"+headers).problem(404, "The resource was not found", "Session for tenant 'none' 's' does not exist")
		s.request(t, "GET /v2/sessiontemplates\n"+headers).is(`[]`)
	}
	for _, headers := range []string{"Cray-Tenant-Name: a\nCray-Tenant-Name: b", "Cray-Tenant-Name: " + strings.Repeat("t", 128), "Cray-Tenant-Name: \xff"} {
		s.request(t, "GET /v2/sessions\n"+headers).problem(400, "Bad Request", "header Cray-Tenant-Name")
	}
}
