// SPDX-License-Identifier: MIT

package sim

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestControl(t *testing.T) {
	b := newBench(t, Config{Nodes: 4})
	control := b.Control()
	ask := func(method, path, body string) (int, string) {
		t.Helper()
		w := httptest.NewRecorder()
		control.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		data, _ := io.ReadAll(w.Result().Body)
		return w.Code, string(data)
	}
	b.hsm("GET", "/groups", nil)
	b.pcs("POST", "/power-status", "{}")
	for _, c := range []struct {
		method, path, body string
		status             int
		has                string
	}{
		{"GET", "/sim/state", "", 200, `"counts":{"nodes":4,"on":0,"off":4`},
		{"GET", "/sim/nodes/" + first, "", 200, `"power":"off"`},
		{"GET", "/sim/nodes/" + nowhere, "", 404, "no such node"},
		{"POST", "/sim/nodes/" + first + "/fault", `{"kind":"slow_power_on","delay":"1m"}`, 204, ""},
		{"GET", "/sim/nodes/" + first, "", 200, `"fault":{"kind":"slow_power_on","delay":"1m0s"}`},
		{"GET", "/sim/state", "", 200, `"faults":{"slow_power_on":1}`},
		{"POST", "/sim/nodes/" + first + "/fault", `{"kind":"odd"}`, 400, `unknown fault`},
		{"POST", "/sim/nodes/" + nowhere + "/fault", `{"kind":"none"}`, 404, `"error"`},
		{"POST", "/sim/nodes/" + first + "/fault", strings.Repeat(" ", maxControlBody+1), 413, "too large"},
		{"POST", "/sim/services/cfs/fault", `{"kind":"status","status":503}`, 204, ""},
		{"POST", "/sim/services/nope/fault", `{"kind":"down"}`, 404, "no such service"},
		{"GET", "/sim/log?limit=1", "", 200, `"service":"pcs","method":"POST","path":"/power-status"`},
		{"GET", "/sim/log?limit=1&after=2006-01-02T15:04:05Z", "", 200, `"service":"hsm","method":"GET","path":"/hsm/v2/groups"`},
		{"GET", "/sim/log?limit=1&operation=On", "", 200, "[]"},
		{"GET", "/sim/log?after=yesterday", "", 400, "after must be a time"},
		{"GET", "/sim/state", "", 200, `"hardware":{"ready_seconds":`},
		{"GET", "/sim/log?limit=99999", "", 400, "limit must be 0 to 10000"},
		{"GET", "/sim/violations", "", 200, `"rule":"empty_list"`},
		{"DELETE", "/sim/violations", "", 405, ""},
	} {
		status, body := ask(c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.has) {
			t.Errorf("%s %s: %d %.300s", c.method, c.path, status, body)
		}
	}
	if a := b.call("GET", b.URLs().CFS+"/components", nil); a.status != 503 {
		t.Errorf("CFS answers %d", a.status)
	}
	fresh := newBench(t, Config{})
	w := httptest.NewRecorder()
	fresh.Control().ServeHTTP(w, httptest.NewRequest("GET", "/sim/violations", nil))
	if w.Body.String() != "[]" {
		t.Errorf("no violations: %s", w.Body)
	}
}
