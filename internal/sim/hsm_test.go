// SPDX-License-Identifier: MIT

package sim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	first  = "x1000c0s0b0n0"
	second = "x1000c0s0b0n1"
	third  = "x1000c0s0b1n0"
	// nowhere is an xname that the site has not got.
	nowhere = "x1c0s0b0n0"
)

// want is a request and what must come of it: a status, and parts of the body.
type want struct {
	name         string
	method, path string
	body         any
	status       int
	has          []string
	lacks        []string
}

func check(t *testing.T, b *bench, base string, cases []want) {
	t.Helper()
	for _, c := range cases {
		a := b.call(c.method, base+c.path, c.body)
		if a.status != c.status {
			t.Errorf("%s: %s %s: %d %.200s", c.name, c.method, c.path, a.status, a.body)
			continue
		}
		for _, text := range c.has {
			if !strings.Contains(string(a.body), text) {
				t.Errorf("%s: %q is not in %.300s", c.name, text, a.body)
			}
		}
		for _, text := range c.lacks {
			if strings.Contains(string(a.body), text) {
				t.Errorf("%s: %q is in %.300s", c.name, text, a.body)
			}
		}
	}
}

func TestHSMComponents(t *testing.T) {
	b := newBench(t, Config{Nodes: 8, NodesWithoutArch: 1, NodesWithUnknownArch: 1})
	ids := func(x ...string) map[string]any { return map[string]any{"ComponentIDs": x} }
	with := func(m map[string]any, key string, v any) map[string]any { m[key] = v; return m }
	check(t, b, b.URLs().HSM, []want{
		{"one", "GET", "/State/Components/" + first, nil, 200, []string{
			`{"ID":"x1000c0s0b0n0","Type":"Node","State":"Off","Flag":"OK","Enabled":true,"Role":"Compute","NID":1,` +
				`"NetType":"Sling","Arch":"X86","Class":"Mountain"}`,
		}, nil},
		{"no arch", "GET", "/State/Components/x1000c0s1b1n1", nil, 200, nil, []string{"Arch", "SubRole", "Locked"}},
		{"unknown arch", "GET", "/State/Components/x1000c0s1b1n0", nil, 200, []string{`"Arch":"UNKNOWN"`}, nil},
		{"unknown", "GET", "/State/Components/" + nowhere, nil, 404, []string{`"no such xname."`, "about:blank"}, nil},
		{"malformed", "GET", "/State/Components/foo", nil, 404, []string{"no such xname."}, nil},
		{"all", "GET", "/State/Components", nil, 200, []string{`"NodeBMC"`, `"Chassis"`, "UAN", "Master"}, nil},
		{"slash", "GET", "/State/Components/", nil, 200, []string{`"NodeBMC"`}, nil},
		{"type", "GET", "/State/Components?type=node", nil, 200, []string{`"Node"`}, []string{"NodeBMC", "Chassis"}},
		{"bad type", "GET", "/State/Components?type=Bogus", nil, 400, []string{"bad query param: Argument was not a valid HMS Type"}, nil},
		{"bad subrole", "GET", "/State/Components?subrole=x", nil, 400, []string{"HMS SubRole"}, nil},
		{"bad enabled", "GET", "/State/Components?enabled=maybe", nil, 400, []string{"did not match any valid input"}, nil},
		{"not compute", "GET", "/State/Components?role=!Compute&type=Node", nil, 200, []string{"UAN"}, []string{`"Compute"`}},
		{"role", "GET", "/State/Components?role=management&subrole=master", nil, 200, []string{"x3000c0s3b0n0"}, []string{"UAN"}},
		{"group", "GET", "/State/Components?group=blue", nil, 200, []string{first}, []string{"x1000c0s1b0n0"}},
		{"groups", "GET", "/State/Components?group=blue&group=GREEN", nil, 200, []string{first, "x1000c0s1b0n0"}, []string{"x3000"}},
		{"no group", "GET", "/State/Components?group=none", nil, 200, []string{`{"Components":[]}`}, nil},
		{"partition", "GET", "/State/Components?partition=p2", nil, 200, []string{second}, []string{first}},
		{"no partition", "GET", "/State/Components?partition=NULL&type=Node", nil, 200, []string{"UAN"}, []string{"x1000"}},
		{"ids", "GET", "/State/Components?id=" + first + "&id=" + second, nil, 200, []string{first, second}, []string{third}},
		{"comma", "GET", "/State/Components?id=" + first + "," + second, nil, 400, []string{"valid xname ID"}, nil},
		{"nid", "GET", "/State/Components?nid=2", nil, 200, []string{second}, []string{first}},
		{"nids", "GET", "/State/Components?nid_start=1&nid_end=2", nil, 200, []string{first, second}, []string{third}},
		{"state only", "GET", "/State/Components?id=" + first + "&stateonly=true", nil, 200, []string{`"State":"Off"`}, []string{"Role"}},
		{"flag only", "GET", "/State/Components?id=" + first + "&flagonly=true", nil, 200, []string{`{"ID":"x1000c0s0b0n0","Type":"Node","Flag":"OK"}`}, nil},
		{"role only", "GET", "/State/Components?id=" + first + "&roleonly=true", nil, 200, []string{`"Role":"Compute"}`}, nil},
		{"nid only", "GET", "/State/Components?id=" + first + "&nidonly=true", nil, 200, []string{`"Type":"Node","NID":1}`}, nil},
		{"class", "GET", "/State/Components?class=river&flag=ok&state=ready&arch=x86&type=Node", nil, 200, []string{"x3000c0s3b0n0"}, []string{"x1000"}},
		{"locked", "GET", "/State/Components?locked=true", nil, 200, []string{`{"Components":[]}`}, nil},
		{"bad nid", "GET", "/State/Components?nid=x", nil, 400, nil, nil},
		{"unknown parameter", "GET", "/State/Components?foo=bar&id=" + first, nil, 200, []string{first}, nil},
		{"route", "GET", "/nothing", nil, 404, []string{"404 page not found"}, nil},
		{"method", "PUT", "/State/Components", "{}", 404, []string{"404 page not found"}, nil},

		{"query", "POST", "/State/Components/Query", ids(first, nowhere, "foo", ""), 200, []string{first}, []string{nowhere, "foo"}},
		{"query nothing known", "POST", "/State/Components/Query", ids(nowhere), 200, []string{`{"Components":[]}`}, nil},
		{"query upper", "POST", "/State/Components/Query", ids(strings.ToUpper(first), "x1000c00s0b0n0"), 200, []string{first}, nil},
		{"query BMC", "POST", "/State/Components/Query", ids("x1000c0s0b0"), 200, []string{"NodeBMC"}, []string{"b0n0"}},
		{"query all", "POST", "/State/Components/Query", ids("all"), 200, []string{first, "NodeBMC"}, nil},
		{"query empty", "POST", "/State/Components/Query", ids(), 400, []string{"Missing IDs"}, nil},
		{"query nothing", "POST", "/State/Components/Query", "{}", 400, []string{"Missing IDs"}, nil},
		{"query no body", "POST", "/State/Components/Query", nil, 500, []string{"error decoding JSON unexpected end of JSON input"}, nil},
		{"query lower key", "POST", "/State/Components/Query", `{"componentids":["` + first + `"]}`, 200, []string{first}, nil},
		{"query enabled", "POST", "/State/Components/Query", with(ids(first), "enabled", []string{"True"}), 200, []string{first}, nil},
		{"query disabled", "POST", "/State/Components/Query", with(ids(first), "Enabled", []string{"0"}), 200, []string{`[]`}, nil},
		{"query not true", "POST", "/State/Components/Query", with(ids(first), "enabled", []string{"!true"}), 200, []string{`[]`}, nil},
		{"query no filter", "POST", "/State/Components/Query", with(ids(first), "enabled", []string{}), 200, []string{first}, nil},
		{"query yes", "POST", "/State/Components/Query", with(ids(first), "enabled", []string{"yes"}), 400, []string{"bad query param"}, nil},
		{"query bool", "POST", "/State/Components/Query", with(ids(first), "enabled", true), 500, []string{"cannot unmarshal bool"}, nil},
		{"query partition", "POST", "/State/Components/Query", with(ids(first, second), "partition", []string{"p1"}), 200, []string{first}, []string{second}},
		{"query state only", "POST", "/State/Components/Query", with(ids(first), "stateonly", true), 200, nil, []string{"Role"}},
		{"query one, bad filter", "GET", "/State/Components/Query/x1000?type=x", nil, 400, nil, nil},
		{"query one", "GET", "/State/Components/Query/x1000c0s0b0", nil, 200, []string{"NodeBMC"}, nil},
	})
	b.noViolations()
}

func TestHSMQueryLimit(t *testing.T) {
	b := newBench(t, Config{})
	many := func(n int) map[string]any {
		ids := make([]string, n)
		for i := range ids {
			ids[i] = fmt.Sprintf("x%dc0s0b0n0", i)
		}
		return map[string]any{"ComponentIDs": ids, "enabled": []string{"true"}}
	}
	if a := b.hsm("POST", "/State/Components/Query", many(65534)); a.status != 200 {
		t.Errorf("65,534 ids: %d %s", a.status, a.body)
	}
	b.noViolations()
	if a := b.hsm("POST", "/State/Components/Query", many(65535)); a.status != 500 || !strings.Contains(string(a.body), "failed to query DB.") {
		t.Errorf("65,535 ids: %d %.100s", a.status, a.body)
	}
	if got := b.rules(); got[RuleTooBig] != 1 {
		t.Errorf("violations: %v", got)
	}
}

func TestHSMOpenCHAMIMethods(t *testing.T) {
	b := newBench(t, Config{Flavour: OpenCHAMI})
	a := b.hsm("PUT", "/State/Components", "{}")
	if a.status != 405 || a.header.Get("Allow") != "GET,POST" || !strings.Contains(string(a.body), "allow GET,POST") {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}

func TestHSMGroups(t *testing.T) {
	b := newBench(t, Config{Nodes: 40})
	check(t, b, b.URLs().HSM, []want{
		{"groups", "GET", "/groups", nil, 200, []string{`"label":"compute-all"`, `"label":"x1000c0"`, `"label":"x1000c1"`, `"description":""`}, nil},
		{"one", "GET", "/groups/x1000c1", nil, 200, []string{`"ids":["x1000c1s0b0n0",`}, []string{"exclusiveGroup", "tags"}},
		{"case", "GET", "/groups/BLUE", nil, 200, []string{`"tags":["tenant"]`}, nil},
		{"filter", "GET", "/groups?group=blue", nil, 200, []string{"blue"}, []string{"green"}},
		{"within", "GET", "/groups?group=blue&partition=p1", nil, 200, []string{first}, []string{second}},
		{"missing", "GET", "/groups/none", nil, 404, []string{"No such group: none"}, nil},
		{"none", "GET", "/groups?group=none", nil, 200, []string{"[]"}, nil},
		{"labels", "GET", "/groups/labels", nil, 200, []string{`"green"`}, nil},
		{"create", "POST", "/groups", `{"label":"MixedCase","members":{"ids":["` + first + `"]}}`, 201, []string{`"URI":"/hsm/v2/groups/mixedcase"`}, nil},
		{"again", "POST", "/groups", `{"label":"mixedcase"}`, 409, nil, nil},
		{"stranger", "POST", "/groups", `{"label":"z","members":{"ids":["` + nowhere + `"]}}`, 400, []string{"linked component does not exist"}, nil},
		{"membership", "GET", "/memberships/" + first, nil, 200, []string{
			`{"id":"x1000c0s0b0n0","groupLabels":["compute-all","blue","x1000c0","mixedcase"],"partitionName":"p1"}`,
		}, nil},
		{"memberships", "GET", "/memberships?type=Node", nil, 200, []string{`"partitionName":"p2"`}, nil},
		{"delete", "DELETE", "/groups/mixedcase", nil, 200, nil, nil},
		{"delete again", "DELETE", "/groups/mixedcase", nil, 404, nil, nil},
		{"partitions", "GET", "/partitions", nil, 200, []string{`{"name":"p1","description":"even"`, `{"name":"p2","members"`}, nil},
		{"partition", "GET", "/partitions/p1", nil, 200, []string{first}, []string{second}},
		{"no partition", "GET", "/partitions/p9", nil, 404, []string{"No such partition: p9"}, nil},
		{"names", "GET", "/partitions/names", nil, 200, []string{`["p1","p2"]`}, nil},
		{"interfaces", "GET", "/Inventory/EthernetInterfaces?ComponentID=" + second, nil, 200, []string{
			`"MACAddress":"b4:2e:99:00:00:01"`, `"ComponentID":"` + second,
		}, []string{first}},
	})
}

func TestHSMLocks(t *testing.T) {
	b := newBench(t, Config{ManagementLocked: true})
	ids := func(model string, x ...string) map[string]any {
		return map[string]any{"ComponentIDs": x, "ProcessingModel": model, "ReservationDuration": 1}
	}
	check(t, b, b.URLs().HSM, []want{
		{"locked", "GET", "/locks/status?type=Node&locked=True", nil, 200, []string{
			`{"ID":"x3000c0s3b0n0","Locked":true,"Reserved":false,"ReservationDisabled":false}`,
		}, []string{"x1000", "CreationTime"}},
		{"bad value", "GET", "/locks/status?locked=maybe", nil, 500, []string{"operation 'GET' failed during query."}, nil},
		{"bad type", "GET", "/locks/status?type=Bogus", nil, 400, []string{`"Argument was not a valid HMS Type"`}, nil},
		{"none", "GET", "/locks/status?type=Node&reserved=true", nil, 200, []string{`{"Components":[]}`}, nil},
		{"status", "POST", "/locks/status", ids("", first, nowhere), 200, []string{`"NotFound":["` + nowhere}, nil},
		{"all unknown", "POST", "/locks/status", ids("", nowhere), 400, []string{"Component not found"}, nil},
		{"malformed", "POST", "/locks/status", ids("", "foo"), 400, []string{"not a valid xname ID"}, nil},
		{"lock", "POST", "/locks/lock", ids("rigid", first, nowhere), 200, []string{`"Total":1`, first}, []string{nowhere}},
		{"again", "POST", "/locks/lock", ids("rigid", first, second), 400, []string{"Component is Locked"}, nil},
		{"flexible", "POST", "/locks/lock", ids("flexible", first, second), 200, []string{`"Success":1`, `"Reason":"Component is Locked"`}, nil},
		{"record", "GET", "/State/Components/" + first, nil, 200, []string{`"Locked":true`}, nil},
		{"service reserve locked", "POST", "/locks/service/reservations", ids("rigid", first), 400, []string{"Component is Locked"}, nil},
		{"admin reserve unlocked", "POST", "/locks/reservations", ids("rigid", third), 400, []string{"Component is Unlocked"}, nil},
		{"service reserve", "POST", "/locks/service/reservations", ids("rigid", third), 200, []string{`:dk:`, `:rk:`, "ExpirationTime"}, nil},
		{"reserved", "GET", "/locks/status?reserved=true", nil, 200, []string{third, "CreationTime", "ExpirationTime"}, nil},
		{"reserve again", "POST", "/locks/service/reservations", ids("rigid", third), 400, []string{"Component is Reserved"}, nil},
		{"release", "POST", "/locks/service/reservations/release", map[string]any{"ReservationKeys": []any{map[string]string{"ID": third}}}, 200, nil, nil},
		{"admin reserve", "POST", "/locks/reservations", ids("rigid", first), 200, []string{`:rk:`}, nil},
		{"remove", "POST", "/locks/reservations/remove", ids("rigid", first), 200, nil, nil},
		{"unlock", "POST", "/locks/unlock", ids("rigid", first, second), 200, []string{`"Success":2`}, nil},
		{"no body", "POST", "/locks/status", nil, 500, []string{"error decoding JSON"}, nil},
	})
	b.noViolations()
	check(t, b, b.URLs().HSM, []want{{"empty", "POST", "/locks/status", ids(""), 200, []string{first, "x1000c0s0b0\""}, nil}})
	if got := b.rules(); got[RuleEmptyList] != 1 {
		t.Errorf("violations: %v", got)
	}
}

func TestHSMLocksWithoutMatch(t *testing.T) {
	for _, c := range []struct {
		cfg    Config
		status int
	}{
		{Config{}, 200},
		{Config{Flavour: OpenCHAMI}, 400},
		{Config{LocksNoMatch: NoMatchError}, 400},
		{Config{Flavour: OpenCHAMI, LocksNoMatch: NoMatchEmpty}, 200},
	} {
		b := newBench(t, c.cfg)
		if a := b.hsm("GET", "/locks/status?type=Node&locked=True", nil); a.status != c.status {
			t.Errorf("%s, %d: %d %s", c.cfg.Flavour, c.cfg.LocksNoMatch, a.status, a.body)
		}
	}
}

func TestHSMStateRules(t *testing.T) {
	b := newBench(t, Config{})
	set := func(state string) {
		t.Helper()
		if a := b.hsm("PATCH", "/State/Components/BulkStateData", map[string]any{"ComponentIDs": []string{first, nowhere}, "State": state}); a.status != 204 {
			t.Fatalf("%s: %d %s", state, a.status, a.body)
		}
	}
	for _, step := range [][2]string{{"Standby", "Off"}, {"Ready", "Ready"}, {"On", "Ready"}, {"Off", "Off"}, {"On", "On"}} {
		set(step[0])
		if got := b.node(first).HSM; got != step[1] {
			t.Errorf("after %s: %s", step[0], got)
		}
	}
	check(t, b, b.URLs().HSM, []want{
		{"word", "PATCH", "/State/Components/" + first + "/StateData", `{"State":"Bogus"}`, 400, []string{"not a valid HMS State"}, nil},
		{"role", "PATCH", "/State/Components/" + first + "/Role", `{"Role":"application","SubRole":"uan"}`, 204, nil, nil},
		{"seen", "GET", "/State/Components/" + first, nil, 200, []string{`"Role":"Application","SubRole":"UAN"`}, nil},
		{"bad role", "PATCH", "/State/Components/BulkRole", `{"ComponentIDs":["` + first + `"],"Role":"x"}`, 400, nil, nil},
		{"new", "POST", "/State/Components", `{"Components":[{"ID":"x5c0s0b0n0","State":"off"}]}`, 204, nil, nil},
		{"new seen", "GET", "/State/Components/x5c0s0b0n0", nil, 200, []string{`"Role":"Compute"`}, []string{"Arch"}},
	})
}

// subscriber records what HSM sends; it refuses the first messages.
type subscriber struct {
	mu      sync.Mutex
	refuse  int
	got     []string
	arrived []time.Time
}

func (s *subscriber) RoundTrip(r *http.Request) (*http.Response, error) {
	body := make([]byte, r.ContentLength)
	_, _ = r.Body.Read(body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, string(body))
	s.arrived = append(s.arrived, time.Now())
	status := http.StatusOK
	if s.refuse > 0 {
		s.refuse--
		status = http.StatusAccepted
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Header: http.Header{}}, nil
}

func (s *subscriber) messages() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func TestSubscriptions(t *testing.T) {
	inVirtualTime(t, Config{}, func(t *testing.T, b *bench) {
		sub := &subscriber{}
		b.SetBOS("http://bos", &http.Client{Transport: sub})
		body := `{"Subscriber":"bos@sms","Enabled":true,"Roles":["Application"],"States":["Ready","Off"],"Url":"http://bos/scn"}`
		check(t, b, b.URLs().HSM, []want{
			{"create", "POST", "/Subscriptions/SCN", body, 200, []string{`"ID":1`}, nil},
			{"again", "POST", "/Subscriptions/SCN", body, 400, []string{"Subscribe failed"}, nil},
			{"no trigger", "POST", "/Subscriptions/SCN", `{"Subscriber":"a","Url":"http://b"}`, 400, []string{"Missing trigger"}, nil},
			{"list", "GET", "/Subscriptions/SCN", nil, 200, []string{`{"SubscriptionList":[{"ID":1,"Subscriber":"bos@sms"`}, nil},
			{"one", "GET", "/Subscriptions/SCN/1", nil, 200, []string{"http://bos/scn"}, nil},
			{"missing", "GET", "/Subscriptions/SCN/9", nil, 404, nil, nil},
			{"states", "PATCH", "/State/Components/BulkStateData", `{"ComponentIDs":["` + first + `","` + second + `"],"State":"Ready"}`, 204, nil, nil},
			{"unwanted", "PATCH", "/State/Components/" + third + "/StateData", `{"State":"On"}`, 204, nil, nil},
			{"enabled", "PATCH", "/State/Components/BulkEnabled", `{"ComponentIDs":["` + first + `"],"Enabled":false}`, 204, nil, nil},
			{"same", "PATCH", "/State/Components/" + first + "/Enabled", `{"Enabled":false}`, 204, nil, nil},
			{"role", "PATCH", "/State/Components/" + second + "/Role", `{"Role":"Application"}`, 204, nil, nil},
		})
		time.Sleep(time.Second)
		expected := []string{
			`{"Components":["x1000c0s0b0n0","x1000c0s0b0n1"],"Flag":"OK","State":"Ready"}`,
			`{"Components":["x1000c0s0b0n0"],"Enabled":false}`,
			`{"Components":["x1000c0s0b0n1"],"Role":"Application"}`,
		}
		if diff := cmp.Diff(expected, sub.messages()); diff != "" {
			t.Error(diff)
		}
		sub.mu.Lock()
		sub.refuse = 2
		sub.mu.Unlock()
		b.hsm("PATCH", "/State/Components/"+first+"/Enabled", `{"Enabled":true}`)
		time.Sleep(20 * time.Second)
		if got := sub.messages(); len(got) != 6 || sub.arrived[5].Sub(sub.arrived[3]) != 10*time.Second {
			t.Errorf("tried %d times, at %v", len(got)-3, sub.arrived[3:])
		}
		check(t, b, b.URLs().HSM, []want{
			{"fewer", "PATCH", "/Subscriptions/SCN/1", `{"Op":"remove","States":["Off"]}`, 200, []string{`"States":["Ready"]`}, nil},
			{"replace", "PUT", "/Subscriptions/SCN/1", `{"Subscriber":"bos@sms","Enabled":true,"Url":"http://bos/scn"}`, 200, nil, []string{"States"}},
			{"more", "PATCH", "/Subscriptions/SCN/1", `{"Op":"add","States":["Off","Off"],"SubRoles":["UAN"]}`, 200, []string{`"States":["Off"]`, "UAN"}, nil},
			{"others", "PATCH", "/Subscriptions/SCN/1", `{"Op":"replace","States":["Halt"],"SubRoles":["Master"],"Enabled":true}`, 200, []string{"Halt"}, []string{"UAN"}},
			{"no body", "PUT", "/Subscriptions/SCN/1", nil, 500, nil, nil},
			{"no trigger left", "PUT", "/Subscriptions/SCN/1", `{}`, 400, []string{"Missing trigger"}, nil},
			{"second", "POST", "/Subscriptions/SCN", `{"Subscriber":"b","States":["Off"],"Url":"http://c"}`, 200, []string{`"ID":2`}, nil},
			{"delete", "DELETE", "/Subscriptions/SCN/1", nil, 200, []string{"Subscription deleted"}, nil},
			{"delete again", "DELETE", "/Subscriptions/SCN/1", nil, 404, nil, nil},
			{"delete all", "DELETE", "/Subscriptions/SCN", nil, 200, nil, nil},
			{"none", "GET", "/Subscriptions/SCN", nil, 200, []string{`{"SubscriptionList":[]}`}, nil},
		})
		b.hsm("PATCH", "/State/Components/"+first+"/Enabled", `{"Enabled":false}`)
		time.Sleep(time.Second)
		if got := sub.messages(); len(got) != 6 {
			t.Errorf("a deleted subscriber hears %q", got[6:])
		}
	})
}
