// SPDX-License-Identifier: MIT

package sim

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestCFSComponents(t *testing.T) {
	b := newBench(t, Config{Nodes: 4, CFSPageSize: 3})
	long := strings.Repeat("x", 61)
	check(t, b, b.URLs().CFS, []want{
		{"one", "GET", "/components/" + first, nil, 200, []string{
			`"id":"x1000c0s0b0n0","desired_config":"","error_count":0,"retry_policy":3,"enabled":true,"configuration_status":"unconfigured","tags":{}`,
		}, []string{"state"}},
		{"unknown", "GET", "/components/" + nowhere, nil, 404, []string{"Component not found.", "could not be found"}, nil},
		{"ids", "GET", "/components?ids=" + second + "," + nowhere + "," + first, nil, 200, []string{`"next":null`, second}, []string{nowhere, third}},
		{"none", "GET", "/components?ids=" + nowhere, nil, 200, []string{`{"components":[],"next":null}`}, nil},
		{"bad status", "GET", "/components?status=odd", nil, 400, []string{"is not one of"}, nil},
		{"bad enabled", "GET", "/components?enabled=True", nil, 400, []string{"boolean"}, nil},
		{"bad limit", "GET", "/components?limit=0", nil, 400, nil, nil},
		{"details", "GET", "/components?ids=" + first + "&state_details=true&config_details=true", nil, 200, []string{`"state":[]`, `"desired_state":[]`}, nil},
		{"status", "GET", "/components?status=configured", nil, 200, []string{`"components":[]`}, nil},
		{"disabled", "GET", "/components?enabled=false", nil, 200, []string{`"components":[]`}, nil},

		{"patch", "PATCH", "/components", `{"patch":{"desired_config":"c1","enabled":false,"tags":{"bos_session":"s","a":"b"}},"filters":{"ids":"` + second + "," + nowhere + "," + first + `"}}`, 200, []string{`{"component_ids":["` + first + `","` + second + `"]}`}, nil},
		{"patched", "GET", "/components/" + first, nil, 200, []string{`"configuration_status":"pending"`, `"bos_session":"s"`}, nil},
		{"by config", "GET", "/components?config_name=c1&tags=a=b", nil, 200, []string{first, second}, []string{third}},
		{"remove tag", "PATCH", "/components/" + first, `{"tags":{"a":""}}`, 200, []string{`"tags":{"bos_session":"s"}`}, nil},
		{"too long", "PATCH", "/components/" + first, `{"desired_config":"` + long + `"}`, 400, nil, nil},
		{"read only", "PATCH", "/components/" + first, `{"configuration_status":"configured"}`, 400, []string{"unknown field"}, nil},
		{"list", "PATCH", "/components", `[{"id":"` + third + `","desired_config":"c2"}]`, 200, []string{third}, nil},
		{"list with a stranger", "PATCH", "/components", `[{"id":"` + first + `","desired_config":"c3"},{"id":"` + nowhere + `"}]`, 404, nil, nil},
		{"nothing changed", "GET", "/components/" + first, nil, 200, []string{`"desired_config":"c1"`}, nil},
		{"closed", "PATCH", "/components", `{"patch":{},"filters":{},"x":1}`, 400, nil, nil},
		{"no body", "PATCH", "/components", nil, 400, nil, nil},
	})
	b.noViolations()
	a := b.call("GET", b.URLs().CFS+"/components?ids=", nil)
	if next, _ := a.field(t, "next").(map[string]any); next["limit"] != 3.0 || next["after_id"] != third || next["enabled"] != nil {
		t.Errorf("next: %v", next)
	}
	if a = b.call("GET", b.URLs().CFS+"/components?limit=3&after_id="+third, nil); a.field(t, "components", 0, "id") != "x1000c0s0b1n1" {
		t.Errorf("second page: %s", a.body)
	}
	b.call("PATCH", b.URLs().CFS+"/components", `{"patch":{"enabled":false},"filters":{"ids":""}}`)
	ids := url.QueryEscape(strings.Repeat(first+",", 700))
	if a = b.call("GET", b.URLs().CFS+"/components?ids="+ids, nil); a.status != 414 {
		t.Errorf("long URL: %d", a.status)
	}
	if got := b.rules(); got[RuleEmptyList] != 2 || got[RuleTooBig] != 1 {
		t.Errorf("violations: %v", got)
	}
}

// config returns CFS's status of a node.
func (b *bench) config(x string) string {
	b.t.Helper()
	return b.node(x).ConfigStatus
}

// boot switches a node on and waits until it is up.
func (b *bench) boot(x string) {
	b.t.Helper()
	b.putParams("token-of-"+x, x)
	b.transition("On", x)
	time.Sleep(100 * time.Second)
	if n := b.node(x); !n.Up {
		b.t.Fatalf("not up: %+v", n)
	}
}

// patchCFS changes CFS's record of the node first.
func (b *bench) patchCFS(body string) {
	b.t.Helper()
	if a := b.call("PATCH", b.URLs().CFS+"/components/"+first, body); a.status != 200 {
		b.t.Fatalf("%s: %d %s", body, a.status, a.body)
	}
}

func TestCFSConfiguresABootedNode(t *testing.T) {
	inVirtualTime(t, Config{}, func(t *testing.T, b *bench) {
		b.patchCFS(`{"desired_config":"c1","enabled":false,"state":[]}`)
		b.boot(first)
		if n := b.node(first); !n.ConfigEnabled || n.ConfigStatus != cfsPending {
			t.Errorf("up: %+v", n)
		}
		time.Sleep(40 * time.Second)
		a := b.call("GET", b.URLs().CFS+"/components/"+first+"?state_details=true&config_details=true", nil)
		if b.config(first) != cfsConfigured || a.field(t, "state", 0, "commit") != a.field(t, "desired_state", 0, "commit") {
			t.Errorf("later: %s", a.body)
		}
		b.patchCFS(`{"desired_config":"c2","enabled":true}`)
		if got := b.config(first); got != cfsPending {
			t.Errorf("another configuration: %s", got)
		}
		time.Sleep(10 * time.Second)
		b.patchCFS(`{"desired_config":"c3"}`)
		time.Sleep(31 * time.Second)
		if got := b.config(first); got != cfsPending {
			t.Errorf("after a run that was for nothing: %s", got)
		}
		time.Sleep(40 * time.Second)
		if got := b.config(first); got != cfsConfigured {
			t.Errorf("in the end: %s", got)
		}
		b.patchCFS(`{"desired_config":""}`)
		if got := b.config(first); got != cfsConfigured {
			t.Errorf("no configuration wanted: %s", got)
		}
	})
}

func TestCFSFailsThreeTimes(t *testing.T) {
	inVirtualTime(t, Config{}, func(t *testing.T, b *bench) {
		if err := b.Inject(first, Fault{Kind: FaultConfigurationFails}); err != nil {
			t.Fatal(err)
		}
		b.boot(first)
		b.patchCFS(`{"desired_config":"c1"}`)
		time.Sleep(50 * time.Second)
		if n := b.node(first); n.ConfigStatus != cfsPending || n.ConfigErrors == 0 {
			t.Errorf("after a failed run: %+v", n)
		}
		time.Sleep(80 * time.Second)
		if n := b.node(first); n.ConfigStatus != cfsFailed || n.ConfigErrors != 3 {
			t.Errorf("after three: %+v", n)
		}
		b.patchCFS(`{"state":[]}`)
		if n := b.node(first); n.ConfigStatus != cfsPending || n.ConfigErrors != 0 {
			t.Errorf("after a reset: %+v", n)
		}
		b.patchCFS(`{"retry_policy":-1}`)
		time.Sleep(5 * time.Minute)
		if n := b.node(first); n.ConfigStatus != cfsPending || n.ConfigErrors < 5 {
			t.Errorf("with endless retries: %+v", n)
		}
	})
}

func TestCFSFailsForANodeThatIsOff(t *testing.T) {
	inVirtualTime(t, Config{}, func(t *testing.T, b *bench) {
		b.patchCFS(`{"desired_config":"c1"}`)
		time.Sleep(3 * time.Minute)
		if got := b.config(first); got != cfsFailed {
			t.Errorf("status %s", got)
		}
	})
}

func TestCFSWithoutTheConfiguration(t *testing.T) {
	b := newBench(t, Config{CFSConfigurations: []string{"c1"}})
	b.patchCFS(`{"desired_config":"c2"}`)
	if got := b.config(first); got != cfsUnconfigured {
		t.Errorf("status %s", got)
	}
	b.patchCFS(`{"state":[{"commit":"x"}]}`)
	if got := b.config(first); got != cfsConfigured {
		t.Errorf("with state: %s", got)
	}
	b.patchCFS(`{"error_count":2}`)
	if got := b.node(first).ConfigErrors; got != 2 {
		t.Errorf("%d errors", got)
	}
}
