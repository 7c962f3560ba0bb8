// SPDX-License-Identifier: MIT

package front

import (
	"net/http"
	"strings"
	"testing"

	"bos/internal/bos"
)

func tenant(names ...string) http.Header {
	h := http.Header{}
	for _, name := range names {
		h.Add("cray-tenant-name", name)
	}
	return h
}

func TestParamsOfComponents(t *testing.T) {
	o := operation(t, "get_v2_components")
	p, err := o.Params(nil, "ids=a%2Cb&ids=c+d,%C3%A9&enabled=FALSE&page_size=007&session=s1&phase=&foo=%00&status", tenant("blue"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"ids": "c d,é", "session": "s1", "phase": "", "status": ""} {
		if got, ok := p.String(name); got != want || !ok {
			t.Errorf("%s: got %q, %t, want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{"staged_session", "start_after_id", "foo", "nope"} {
		if got, ok := p.String(name); got != "" || ok {
			t.Errorf("%s: got %q, %t", name, got, ok)
		}
	}
	if enabled, ok := p.Bool("enabled"); enabled || !ok {
		t.Errorf("enabled: got %t, %t", enabled, ok)
	}
	if size, ok := p.Int("page_size"); size != 7 || !ok {
		t.Errorf("page_size: got %d, %t", size, ok)
	}
	if p.Tenant() != "blue" {
		t.Errorf("tenant: got %q", p.Tenant())
	}
	p, err = o.Params(nil, "enabled=True&page_size=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	if enabled, ok := p.Bool("enabled"); !enabled || !ok {
		t.Errorf("enabled: got %t, %t", enabled, ok)
	}
	if size, ok := p.Int("page_size"); size != 0 || !ok {
		t.Errorf("page_size: got %d, %t", size, ok)
	}
	if _, ok := p.Bool("phase"); ok || p.Tenant() != "" {
		t.Error("something was made up")
	}
	if _, ok := (Params{}).String("ids"); ok {
		t.Error("the zero value has parameters")
	}
}

func TestQuery(t *testing.T) {
	const (
		name = `must consist of letters, digits, "-", "." and "_", and begin and end with a letter or digit`
		age  = "must be 0, or a number without leading zeros and one of m, h, d, w, such as 3m or 10d"
		bad  = "query string: a % must be followed by two hexadecimal digits"
	)
	f := load(t)
	for _, c := range []struct{ operation, query, want string }{
		{"get_v2_components", "", ""},
		{"get_v2_components", "&&foo&=&foo=bar=baz&a%20b=%FF", ""},
		{"get_v2_components", "ids=" + strings.Repeat("x3000c0s1b0n0,", 100_000), ""},
		{"get_v2_components", "ids=,", ""},
		{"get_v2_components", "ids=", "query parameter ids: must not be empty"},
		{"get_v2_components", "ids", "query parameter ids: must not be empty"},
		{"get_v2_components", "ids=%FF", "query parameter ids: must be valid UTF-8"},
		{"get_v2_components", "session=", "query parameter session: must not be empty"},
		{"get_v2_components", "staged_session=-bad", "query parameter staged_session: " + name},
		{"get_v2_components", "session=s1%0A", "query parameter session: " + name},
		{"get_v2_components", "start_after_id=", "query parameter start_after_id: must not be empty"},
		{"get_v2_components", "status=" + strings.Repeat("%C3%A9", 512), ""},
		{"get_v2_components", "status=" + strings.Repeat("s", 513), "query parameter status: must have at most 512 characters, not 513"},
		{"get_v2_components", "phase=bogus", "query parameter phase: must be empty or one of configuring, powering_off, powering_on"},
		{"get_v2_components", "enabled=x&enabled=true", ""},
		{"get_v2_components", "enabled=true&enabled=x", "query parameter enabled: must be true or false"},
		{"get_v2_components", "enabled=", "query parameter enabled: must be true or false"},
		{"get_v2_components", "enabled=1", "query parameter enabled: must be true or false"},
		{"get_v2_components", "enabled=fal%C5%BFe", "query parameter enabled: must be true or false"},
		{"get_v2_components", "enabled=true%20", "query parameter enabled: must be true or false"},
		{"get_v2_components", "page_size=1048576", ""},
		{"get_v2_components", "page_size=1048577", "query parameter page_size: must be between 0 and 1048576"},
		{"get_v2_components", "page_size=-1", "query parameter page_size: must be between 0 and 1048576"},
		{"get_v2_components", "page_size=99999999999999999999", "query parameter page_size: must be between 0 and 1048576"},
		{"get_v2_components", "page_size=", "query parameter page_size: must be an integer in decimal digits"},
		{"get_v2_components", "page_size=-", "query parameter page_size: must be an integer in decimal digits"},
		{"get_v2_components", "page_size=%2B1", ""},
		{"get_v2_components", "page_size=+1%0A", ""},
		{"get_v2_components", "page_size=1_048_576", ""},
		{"get_v2_components", "page_size=1_048_577", "query parameter page_size: must be between 0 and 1048576"},
		{"get_v2_components", "page_size=+-1", "query parameter page_size: must be between 0 and 1048576"},
		{"get_v2_components", "page_size=--1", "query parameter page_size: must be an integer in decimal digits"},
		{"get_v2_components", "page_size=-+1", "query parameter page_size: must be an integer in decimal digits"},
		{"get_v2_components", "page_size=1+0", "query parameter page_size: must be an integer in decimal digits"},
		{"get_v2_components", "page_size=+", "query parameter page_size: must be an integer in decimal digits"},
		{"get_v2_components", "page_size=_1", "query parameter page_size: must be an integer in decimal digits"},
		{"get_v2_components", "page_size=1__0", "query parameter page_size: must be an integer in decimal digits"},
		{"get_v2_components", "page_size=3.0", "query parameter page_size: must be an integer in decimal digits"},
		{"get_v2_components", "page_size=1e2", "query parameter page_size: must be an integer in decimal digits"},
		{"get_v2_components", "page_size=true", "query parameter page_size: must be an integer in decimal digits"},
		{"get_v2_components", "page_size=%D9%A1", "query parameter page_size: must be an integer in decimal digits"},
		{"patch_v2_components", "skip_bad_ids=maybe", "query parameter skip_bad_ids: must be true or false"},
		{"get_v2_sessions", "min_age=0&max_age=2W&status=pending", ""},
		{"get_v2_sessions", "min_age=9999999d", ""},
		{"get_v2_sessions", "min_age=", "query parameter min_age: must not be empty"},
		{"get_v2_sessions", "min_age=1", "query parameter min_age: " + age},
		{"get_v2_sessions", "max_age=1d%0A", "query parameter max_age: " + age},
		{"get_v2_sessions", "max_age=01d", "query parameter max_age: " + age},
		{"get_v2_sessions", "max_age=99999999d", "query parameter max_age: must have at most 8 characters, not 9"},
		{"get_v2_sessions", "status=", "query parameter status: must be one of pending, running, complete"},
		{"get_v2_sessions", "foo=bar", ""},
		{"delete_v2_sessions", "status=complete&max_age=1d&&", ""},
		{"delete_v2_sessions", "foo=1", "query parameter foo: no such parameter, there are min_age, max_age, status"},
		{"delete_v2_sessions", "Status=complete", "query parameter Status: no such parameter, there are min_age, max_age, status"},
		{"delete_v2_sessions", "=", `query parameter "": no such parameter, there are min_age, max_age, status`},
		{"delete_v2_sessions", "a%0Ab", `query parameter "a\nb": no such parameter, there are min_age, max_age, status`},
		{"root_get", "x=1", ""},
		{"root_get", "x=%zz", bad},
		{"root_get", "x=1&%4", bad},
		{"get_livez", "%", bad},
		{"root_get", "x;y", "query string: a semicolon must be percent-encoded"},
		{"root_get", "x=1%3By", ""},
		{"root_get", "a=b c", "query string: blanks and control characters must be percent-encoded"},
		{"root_get", "a=b\x00", "query string: blanks and control characters must be percent-encoded"},
	} {
		_, err := f.Operation(c.operation).Params(nil, c.query, nil)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s ?%s: %v", c.operation, abbreviate(c.query), err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s ?%s: was accepted", c.operation, abbreviate(c.query))
		} else if got := wantCode(t, err, bos.CodeInvalid); got != c.want {
			t.Errorf("%s ?%s:\n got %s\nwant %s", c.operation, abbreviate(c.query), got, c.want)
		}
	}
}

// A query that can't be decoded is refused by every operation.
func TestMalformedQueryEverywhere(t *testing.T) {
	path := map[string]string{"session_template_id": "t1", "session_id": "s1", "component_id": "x1"}
	for _, o := range load(t).Operations() {
		if _, err := o.Params(path, "", nil); err != nil {
			t.Errorf("%s: %v", o.ID, err)
		}
		for _, query := range []string{"%", "a=%zz", "a;b", "status=complete;x"} {
			if _, err := o.Params(path, query, nil); bos.CodeOf(err) != bos.CodeInvalid {
				t.Errorf("%s ?%s: got %v", o.ID, query, err)
			}
		}
	}
}

func TestPathParameters(t *testing.T) {
	const name = `must consist of letters, digits, "-", "." and "_", and begin and end with a letter or digit`
	for _, c := range []struct{ operation, parameter, value, want string }{
		{"get_v2_component", "component_id", "any thing!\x00é", ""},
		{"get_v2_component", "component_id", strings.Repeat("é", 127), ""},
		{"get_v2_component", "component_id", strings.Repeat("n", 128), "must have at most 127 characters, not 128"},
		{"get_v2_component", "component_id", "", "must not be empty"},
		{"get_v2_component", "component_id", "a\xff", "must be valid UTF-8"},
		{"put_v2_sessiontemplate", "session_template_id", "A.b-c_d9", ""},
		{"put_v2_sessiontemplate", "session_template_id", strings.Repeat("n", 127), ""},
		{"put_v2_sessiontemplate", "session_template_id", "a\n", name},
		{"get_v2_sessiontemplatesvalid", "session_template_id", "-bad", name},
		{"delete_v2_session", "session_id", "é", name},
		{"save_v2_session_status", "session_id", strings.Repeat("n", 128), "must have at most 127 characters, not 128"},
	} {
		p, err := operation(t, c.operation).Params(map[string]string{c.parameter: c.value}, "", nil)
		if c.want == "" {
			if got, ok := p.String(c.parameter); err != nil || got != c.value || !ok {
				t.Errorf("%s %q: got %q, %v", c.operation, c.value, got, err)
			}
			continue
		}
		if got := wantCode(t, err, bos.CodeInvalid); got != "path parameter "+c.parameter+": "+c.want {
			t.Errorf("%s %q: %s", c.operation, c.value, got)
		}
	}
	_, err := operation(t, "get_v2_component").Params(nil, "", nil)
	wantCode(t, err, bos.CodeInvalid)
}

func TestTenantHeader(t *testing.T) {
	o := operation(t, "get_v2_sessions")
	for want, header := range map[string]http.Header{
		"":                       nil,
		"blue":                   tenant("blue"),
		"red":                    tenant("red", "red"),
		strings.Repeat("é", 127): tenant(strings.Repeat("é", 127)),
	} {
		if p, err := o.Params(nil, "", header); err != nil || p.Tenant() != want {
			t.Errorf("%q: got %q, %v", want, p.Tenant(), err)
		}
	}
	if p, err := o.Params(nil, "", tenant("")); err != nil || p.Tenant() != "" {
		t.Errorf("empty: got %q, %v", p.Tenant(), err)
	}
	for want, header := range map[string]http.Header{
		"must have at most 127 characters, not 128": tenant(strings.Repeat("é", 128)),
		"must not be given more than once":          tenant("blue", "red"),
		"must be valid UTF-8":                       tenant("\xe9"),
	} {
		_, err := o.Params(nil, "", header)
		if got := wantCode(t, err, bos.CodeInvalid); got != "header Cray-Tenant-Name: "+want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	// Where there are no tenants the header is not looked at.
	if p, err := operation(t, "get_v2_options").Params(nil, "", tenant("a", "b")); err != nil || p.Tenant() != "" {
		t.Errorf("options: got %q, %v", p.Tenant(), err)
	}
}
