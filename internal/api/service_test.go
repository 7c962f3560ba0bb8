// SPDX-License-Identifier: MIT

package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestLinks(t *testing.T) {
	for _, proxyPath := range []string{"", "/apis/bos", "apis/bos/"} {
		s := start(t, func(c *Config) { c.ProxyPath = proxyPath })
		behind := ""
		if proxyPath != "" {
			behind = "/apis/bos"
		}
		for _, tc := range []struct {
			path    string
			headers []string
			base    string
		}{
			{"", nil, s.url},
			{"", []string{"Host", "bos.example.com"}, "http://bos.example.com"},
			{"", []string{"Host", "bos.example.com", "X-Forwarded-For", "10.1.1.1"}, "http://bos.example.com" + behind},
			{"", []string{"Host", "h", "X-Forwarded-For", "", "X-Forwarded-Proto", "https"}, "https://h" + behind},
			{"", []string{"Host", "h", "X-Forwarded-Proto", "https"}, "http://h"},
			{"/apis/bos", []string{"Host", "h"}, "http://h/apis/bos"},
			{"/apis/bos", []string{"Host", "h", "X-Forwarded-For", "10.1.1.1"}, "http://h/apis/bos"},
			{"", []string{"Host", "h", "Accept", "text/html"}, "http://h"},
		} {
			const number = `"major":"2","minor":"50","patch":"0"`
			s.do("GET", tc.path+"/?x=1", "", tc.headers...).is(`[{` + number + `,"links":[{"rel":"self","href":"` + tc.base + `/"}]}]`)
			for _, path := range []string{"/v2", "/v2/version"} {
				s.do("GET", tc.path+path, "", tc.headers...).is(`{` + number + `,"links":[{"rel":"self","href":"` + tc.base + `/"},
					{"rel":"versions","href":"` + tc.base + `/v2"}]}`)
			}
		}
	}
}

func TestDocuments(t *testing.T) {
	s := start(t, nil)
	if got := s.do("GET", "/openapi.yaml", "").wants(200); !bytes.Equal(got.body, document) {
		t.Error("another document than the one that is served")
	}
	var d struct {
		Paths map[string]any `json:"paths"`
	}
	s.do("GET", "/openapi.json", "").wants(200).json(&d)
	if d.Paths["/v2/components"] == nil {
		t.Error("no components in the document")
	}
	if got := s.do("GET", "/metrics", "").wants(200); string(got.body) != "up 1\n" {
		t.Errorf("metrics: %s", got.body)
	}
	s = start(t, func(c *Config) { c.Metrics = nil })
	s.do("GET", "/metrics", "").problem(404, "Not Found", "metrics")
}

func TestExampleTemplate(t *testing.T) {
	s := start(t, nil)
	got := s.do("GET", "/v2/sessiontemplatetemplate", "").wants(200)
	s.do("PUT", "/v2/sessiontemplates/t", string(got.body)).wants(200)
	if !strings.Contains(string(got.body), "name_your_boot_set") {
		t.Errorf("%s", got.body)
	}
}

func TestOptions(t *testing.T) {
	s := start(t, nil)
	read := func() map[string]any {
		var o map[string]any
		s.do("GET", "/v2/options", "").wants(200).json(&o)
		return o
	}
	before := read()
	if len(before) != 20 || before["max_component_batch_size"] != float64(2800) || before["cleanup_completed_session_ttl"] != "7d" {
		t.Errorf("defaults: %v", before)
	}
	for _, body := range []string{
		`{}`, `[]`, `null`, ``, `{"bss_read_timeout":9}`, `{"polling_frequency":5,"bss_read_timeout":11.0}`, `{"clear_stage":null}`,
		`{"component_actual_state_ttl":"4h\n"}`, `{"logging_level":"TRACE"}`, `{"x":NaN}`,
	} {
		s.do("PATCH", "/v2/options", body).problem(400, "Bad Request")
	}
	if got := read(); fmt.Sprint(got) != fmt.Sprint(before) {
		t.Errorf("changed: %v", got)
	}
	var echo map[string]any
	s.do("PATCH", "/v2/options", `{"Clear_Stage":true,"clear_stage":true,"logging_level":"debug","foo":{"a":[1]}}`).wants(200).json(&echo)
	if fmt.Sprint(echo["foo"], echo["Clear_Stage"], echo["clear_stage"], len(echo)) != "map[a:[1]] true true 22" {
		t.Errorf("echo: %v", echo)
	}
	after := read()
	if fmt.Sprint([]any{after["foo"], after["Clear_Stage"], after["clear_stage"], after["logging_level"], len(after)}) != "[<nil> <nil> true debug 20]" {
		t.Errorf("after: %v", after)
	}
}

// What is observed names the operation as the document does.
func TestObserve(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	s := start(t, func(c *Config) {
		c.Observe = func(_ context.Context, operation string, status int, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			if took < 0 {
				t.Errorf("%s took %v", operation, took)
			}
			seen = append(seen, fmt.Sprint(operation, " ", status))
		}
	})
	for _, c := range []struct{ method, path, want string }{
		{"GET", "/apis/bos/v2", "v2_get 200"}, {"HEAD", "/v2/components", "get_v2_components 200"}, {"GET", "/nope", " 404"}, {"BREW", "/v2", " 405"},
		{"OPTIONS", "/v2", " 200"}, {"GET", "/v2/components?page_size=x", "get_v2_components 400"}, {"DELETE", "/v2/components/x", "delete_v2_component 404"},
		{"DELETE", "/v2/sessions", "delete_v2_sessions 204"},
	} {
		s.do(c.method, c.path, "").wants(mustStatus(t, c.want))
		s.client.CloseIdleConnections()
		mu.Lock()
		if got := seen[len(seen)-1]; got != c.want {
			t.Errorf("%s %s: %q, want %q", c.method, c.path, got, c.want)
		}
		mu.Unlock()
	}
}

func mustStatus(t *testing.T, text string) int {
	t.Helper()
	var status int
	if _, err := fmt.Sscan(text[strings.LastIndex(text, " "):], &status); err != nil {
		t.Fatal(err)
	}
	return status
}

// The secrets that pass through are not in the log, not even at level debug.
func TestNothingSecretIsLogged(t *testing.T) {
	s := start(t, nil)
	s.do("PUT", "/v2/components/x1", strings.ReplaceAll(full, `"p"`, `"password=hunter2"`)).wants(200)
	s.do("PATCH", "/v2/components/x1", `{"actual_state":{"bss_token":"hunter2"}}`).wants(200)
	s.do("PUT", "/v2/sessiontemplates/t", `{"boot_sets":{"c":{"type":"s3","path":"p","node_groups":["g"],"kernel_parameters":"password=hunter2 initrd=x"}}}`).wants(200)
	s.do("PUT", "/v2/sessiontemplates/u", `{"boot_sets":{"c":{"type":"s3","path":"p","kernel_parameters":"password=hunter2"}}}`).wants(http.StatusBadRequest)
	s.do("GET", "/v2/sessiontemplatesvalid/t", "").wants(200)
	if log := s.log.String(); strings.Contains(log, "hunter2") || !strings.Contains(log, "put_v2_component") {
		t.Errorf("log: %s", log)
	}
}
