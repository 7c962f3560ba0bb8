// SPDX-License-Identifier: MIT

package api

import (
	"net/http"
	"testing"
)

// TestTags asks again with the tag of an answer: nothing comes as long as
// nothing changed, and everything as soon as something did.
func TestTags(t *testing.T) {
	s := start(t, nil)
	s.do("PUT", "/v2/components", `[{"id":"x1","enabled":false},{"id":"x2","session":"s"}]`).wants(200)
	s.template("t")
	s.session("s")
	for _, c := range []struct{ path, method, change, body string }{
		{"/v2/components", "PATCH", "/v2/components/x1", `{"error":"a"}`},
		{"/v2/components?session=s", "PATCH", "/v2/components/x2", `{"error":"b"}`},
		{"/v2/components", "DELETE", "/v2/components/x1", ""},
		{"/v2/components/x2", "PATCH", "/v2/components/x2", `{"error":"c"}`},
		{"/v2/options", "PATCH", "/v2/options", `{"polling_frequency":7}`},
		{"/v2/sessiontemplates", "PATCH", "/v2/sessiontemplates/t", `{"description":"new"}`},
		{"/v2/sessiontemplates/t", "PATCH", "/v2/sessiontemplates/t", `{"description":"newer"}`},
		{"/v2/sessions", "PATCH", "/v2/sessions/s", `{"status":{"error":"x"}}`},
		{"/v2/sessions/s", "PATCH", "/v2/sessions/s", `{"status":{"error":"y"}}`},
	} {
		first := s.do("GET", c.path, "").wants(200)
		tag := first.header.Get("ETag")
		if tag == "" {
			t.Errorf("%s has no tag", c.path)
		}
		for _, header := range []string{tag, tag[2:], `"other", ` + tag, "*"} {
			again := s.do("GET", c.path, "", "If-None-Match", header).wants(http.StatusNotModified)
			if len(again.body) != 0 || again.header.Get("ETag") != tag {
				t.Errorf("%s: %d bytes, tag %q", c.path, len(again.body), again.header.Get("ETag"))
			}
		}
		s.do("GET", c.path, "", "If-None-Match", `"other"`).wants(200)
		s.do("HEAD", c.path, "", "If-None-Match", tag).wants(http.StatusNotModified)
		// Something else changes: a template that nobody looked at here.
		if c.path == "/v2/components" || c.path == "/v2/options" {
			s.template("unrelated")
			s.do("GET", c.path, "", "If-None-Match", tag).wants(http.StatusNotModified)
		}
		if r := s.do(c.method, c.change, c.body); r.status >= 300 {
			t.Fatalf("%s %s: %d %s", c.method, c.change, r.status, r.body)
		}
		second := s.do("GET", c.path, "", "If-None-Match", tag).wants(200)
		if second.header.Get("ETag") == tag {
			t.Errorf("%s: the same tag for something else", c.path)
		}
	}
}

// TestTagsOfOthers holds tags apart that could be taken for each other's.
func TestTagsOfOthers(t *testing.T) {
	s := start(t, nil)
	s.do("PUT", "/v2/components", `[{"id":"x1","enabled":false},{"id":"x2","enabled":true}]`).wants(200)
	all := s.do("GET", "/v2/components", "").wants(200).header.Get("ETag")
	s.do("GET", "/v2/components?enabled=true", "", "If-None-Match", all).wants(200)
	if r := s.do("GET", "/v2/components", "", "Cray-Tenant-Name", "blue", "If-None-Match", all); r.status == http.StatusNotModified {
		t.Error("a tenant is told that nothing changed of what it never saw")
	} else if r.status == 200 && r.header.Get("ETag") != "" {
		t.Error("what a tenant sees has a tag")
	}
	if r := s.do("GET", "/v2/sessions?min_age=1h", "").wants(200); r.header.Get("ETag") != "" {
		t.Error("a list by age has a tag")
	}
	other := start(t, nil)
	other.do("PUT", "/v2/components", `[{"id":"x1","enabled":true},{"id":"x2","enabled":true}]`).wants(200)
	other.do("GET", "/v2/components", "", "If-None-Match", all).wants(200)
	zipped := s.do("GET", "/v2/components", "", "Accept-Encoding", "gzip").wants(200).header.Get("ETag")
	if zipped != all {
		t.Errorf("tag %q of the compressed list, %q of the plain one", zipped, all)
	}
}
