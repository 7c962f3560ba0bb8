// SPDX-License-Identifier: MIT

package conformance_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bos/test/conformance/compare"
	"bos/test/conformance/replay"
	"bos/test/conformance/world"
	"bos/test/port"
)

// reports are those that the nodes of a world made.
type reports struct {
	mu   sync.Mutex
	seen map[string][]string
}

func (r *reports) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[req.URL.Path] = append(r.seen[req.URL.Path], req.Method+" "+req.Header.Get("Content-Type")+" "+string(body))
}

func (r *reports) list() map[string][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.seen)
}

// pair is the recorder's own stub world and ours.
type pair struct {
	t                      *testing.T
	theirs, ours           replay.Wire
	theirReports, ourNodes *reports
}

// startPair starts both with a document. dir is the folder of the recorder's.
func startPair(t *testing.T, dir string, doc []byte) *pair {
	t.Helper()
	p := &pair{t: t, theirReports: &reports{seen: map[string][]string{}}, ourNodes: &reports{seen: map[string][]string{}}}
	theirBOS, ourBOS := httptest.NewServer(p.theirReports), httptest.NewServer(p.ourNodes)
	t.Cleanup(theirBOS.Close)
	t.Cleanup(ourBOS.Close)

	p.theirs.Addr = port.Address(t)
	cmd := exec.CommandContext(t.Context(), "python3", filepath.Join(dir, "world.py"), "--listen", p.theirs.Addr, "--bos", theirBOS.URL)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "world ready\n" {
		t.Fatalf("the recorder's world says %q: %v", line, err)
	}

	w := world.New(world.Config{BOS: ourBOS.URL})
	t.Cleanup(w.Close)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	p.ours.Addr = strings.TrimPrefix(server.URL, "http://")
	p.both(request("POST", "/__world__/load", string(doc)))
	return p
}

func request(method, path, body string) replay.Request {
	r := replay.Request{Method: method, Path: path, Header: map[string]string{}}
	if body != "" {
		r.Body = []byte(body)
		r.Header["Content-Type"] = "application/json"
	}
	return r
}

// random finds what differs from run to run.
var random = regexp.MustCompile(compare.UUID)

// said is an answer as it can be compared.
type said struct {
	Status int
	Media  string
	Body   any
	// None says that the connection was broken off.
	None bool
}

func (p *pair) ask(to replay.Wire, r replay.Request) said {
	a, err := to.Send(p.t.Context(), r)
	if err != nil {
		return said{None: true}
	}
	a.Body = random.ReplaceAll(a.Body, []byte("<uuid>"))
	return said{Status: a.Status, Media: a.ContentType, Body: a.Value()}
}

// both sends a request to both worlds and compares what they say.
func (p *pair) both(r replay.Request) {
	p.t.Helper()
	theirs, ours := p.ask(p.theirs, r), p.ask(p.ours, r)
	if diff := cmp.Diff(theirs, ours, numbers()); diff != "" {
		p.t.Errorf("%s %.300s %.300s (-theirs +ours):\n%s", r.Method, r.Path, r.Body, diff)
	}
}

// numbers compares numbers by value.
func numbers() cmp.Option {
	return cmp.Comparer(func(a, b json.Number) bool { return len(compare.Rules{}.Match(a, b, "")) == 0 })
}

// state is what a world says of its nodes.
func (p *pair) state(of replay.Wire) any {
	return p.ask(of, request("GET", "/__world__/state", "")).Body
}

// settle waits until nothing happens any more in either world, and compares
// them, with what was reported and with the log.
func (p *pair) settle(within time.Duration) {
	p.t.Helper()
	const quiet = 1500 * time.Millisecond
	last, since := "", time.Now()
	for end := time.Now().Add(within); time.Now().Before(end) && time.Since(since) < quiet; time.Sleep(100 * time.Millisecond) {
		if now := fmt.Sprint(p.state(p.theirs), p.state(p.ours)); now != last {
			last, since = now, time.Now()
		}
	}
	if diff := cmp.Diff(p.state(p.theirs), p.state(p.ours), numbers()); diff != "" {
		p.t.Errorf("the nodes (-theirs +ours):\n%s", diff)
	}
	tokens := cmp.Transformer("token", func(s string) string { return random.ReplaceAllString(strings.ReplaceAll(s, " ", ""), "<uuid>") })
	if diff := cmp.Diff(p.theirReports.list(), p.ourNodes.list(), tokens); diff != "" {
		p.t.Errorf("the reports (-theirs +ours):\n%s", diff)
	}
	p.compareLogs()
}

// compareLogs compares the logs, but for the times.
func (p *pair) compareLogs() {
	p.t.Helper()
	log := func(of replay.Wire) []any {
		calls, _ := p.ask(of, request("GET", "/__world__/log", "")).Body.([]any)
		for _, c := range calls {
			if m, ok := c.(map[string]any); ok {
				if _, ok := m["t"].(json.Number); !ok {
					p.t.Errorf("a call without a time: %v", m)
				}
				delete(m, "t")
			}
		}
		return calls
	}
	theirs, ours := log(p.theirs), log(p.ours)
	if diff := cmp.Diff(theirs, ours, numbers()); diff != "" || len(theirs) == 0 {
		p.t.Errorf("the logs of %d and %d calls (-theirs +ours):\n%s", len(theirs), len(ours), diff)
	}
}

// calls are a broad choice of everything that a world can be asked.
func calls() []replay.Request {
	var out []replay.Request
	add := func(method string, paths ...string) {
		for _, path := range paths {
			out = append(out, request(method, path, ""))
		}
	}
	send := func(method, path string, bodies ...string) {
		for _, body := range bodies {
			out = append(out, request(method, path, body))
		}
	}
	add("GET", "/hsm/v2/groups", "/hsm/v2/partitions", "/hsm/v2/State/Components", "/hsm/v2/State/Components?type=Node", "/hsm/v2/locks/status",
		"/hsm/v2/locks/status?type=Node&locked=True", "/hsm/v2/locks/status?locked=false", "/hsm/v2/none", "/hsm/v2/groups/grpA")
	send("POST", "/hsm/v2/State/Components/Query", `{"ComponentIDs":["x1000c0s2b0n2","x1000c0s0b0n0","none"]}`,
		`{"ComponentIDs":["x1000c0s2b0n2","x1000c0s0b0n0"],"enabled":["True"]}`, `{"ComponentIDs":["x1000c0s2b0n2","x1000c0s0b0n0"],"enabled":false}`,
		`{"ComponentIDs":["x1000c0s2b0n2"],"enabled":[]}`, `{"ComponentIDs":["x1000c0s1b0n1","x1000c0s3b0n1"],"enabled":[true,"false"]}`,
		`{"ComponentIDs":[]}`, `{}`, ``, `[]`, `{bad`)
	send("POST", "/power-status", `{"xname":["x1000c0s0b0n0","none","x1000c0s1b0n0"]}`, `{"xname":[]}`, `{}`, ``, `{bad`, `[1]`)
	add("GET", "/power-status", "/transitions", "/transitions/none")
	send("POST", "/transitions", `{"operation":"On"}`, `{"location":[]}`, `{"operation":"On","location":[]}`, `{"operation":"Bogus","location":[{"xname":"x1000c0s0b0n0"}]}`,
		`{"operation":"On","location":[{"xname":"none"}]}`, `{"operation":"On","location":[{}]}`, ``)
	add("GET", "/boot/v1/bootparameters")
	send("PUT", "/boot/v1/bootparameters", `{"hosts":["x1000c0s0b0n3"],"params":"a b","kernel":"k","initrd":"i"}`,
		`{"hosts":["x1000c0s0b0n3"],"params":"a bss_referral_token=own b","kernel":"k"}`, `{"hosts":["x1000c0s0b0n3"],"params":"xbss_referral_token=no"}`,
		`{"hosts":[],"params":null}`, `{}`, ``)
	add("GET", "/v3/components", "/v3/components/", "/v3/components?ids=x1000c0s0b0n1,x1000c0s0b0n0,none", "/v3/components?limit=3",
		"/v3/components?limit=3&after_id=x1000c0s0b0n2", "/v3/components?ids=x1000c0s0b0n1,x1000c0s0b0n0&limit=1&after_id=", "/v3/components?ids=",
		"/v3/components?limit=x", "/v3/components/x1000c0s0b0n0")
	send("PATCH", "/v3/components", `{"patch":{"desired_config":"c","enabled":true,"tags":{"bos_session":"s"}},"filters":{"ids":"x1000c0s0b0n3,none"}}`,
		`{"patch":{"tags":{}},"filters":{"ids":"x1000c0s0b0n2"}}`, `{"patch":{"state":[]},"filters":{"ids":"x1000c0s0b0n2"}}`,
		`{"patch":{},"filters":{"ids":""}}`, `{"patch":{}}`, `{"filters":{"ids":"x1000c0s0b0n2"}}`, `{"filters":{"ids":"none"}}`, ``)
	add("GET", "/v3/images/img-x86", "/v3/images/none", "/v3/images/img-forbidden", "/v3/images/img-list", "/v3/images/img-nullarch", "/v3/images")
	send("PATCH", "/v3/images/img-x86", `{"metadata":{"operation":"set","key":"sbps-project","value":"true"}}`, `{"metadata":{"operation":"set","key":"k"}}`,
		`{"metadata":{"operation":"remove","key":"k"}}`, `{"metadata":{"operation":"remove","key":"none"}}`, `{"metadata":{}}`, `{}`, ``, `{"metadata":{"key":"k"}}`)
	send("PATCH", "/v3/images/img-list", `{"metadata":{"operation":"set","key":"k","value":"v"}}`)
	send("PATCH", "/v3/images/none", `{}`)
	add("DELETE", "/v3/images/img-x86")
	add("GET", "/v1alpha3/tenants/tenant-a", "/v1alpha3/tenants/tenant-two", "/v1alpha3/tenants/tenant-empty", "/v1alpha3/tenants/none", "/v1alpha3/tenants")
	add("GET", "/boot-images/img-x86/manifest.json", "/boot-images/img-x86/boot_parameters", "/boot-images/img-binmanifest/manifest.json",
		"/boot-images/none/manifest.json", "/boot-images/img%2Dx86/kernel", "/", "/nothing?x=1")
	add("HEAD", "/boot-images/img-x86/manifest.json", "/boot-images/img-toobig/manifest.json", "/boot-images/none", "/boot-images/img-x86/kernel")
	add("GET", "/__world__/none")
	send("POST", "/__world__/set", `{"nodes":{"none":{}}}`, `{"nodes":{"x1000c0s2b0n1":{"pcs_state":"undefined","pcs_error":"oh"}},"defaults":{"off_delay":0.1}}`, `{}`)
	send("POST", "/power-status", `{"xname":["x1000c0s2b0n1"]}`)
	return out
}

// recorded calls are those of the traces, in their order.
func recordedCalls(t *testing.T) []replay.Request {
	t.Helper()
	var out []replay.Request
	for _, file := range recordings(t, "traces") {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var trace struct {
			Expect struct {
				Calls struct {
					PerNode   map[string][]struct{ Call map[string]any } `json:"per_node"`
					IMS       [][]any                                    `json:"ims"`
					ReadsInfo []string                                   `json:"reads_info"`
				}
			}
		}
		if err := json.Unmarshal(raw, &trace); err != nil {
			t.Fatal(err)
		}
		calls := trace.Expect.Calls
		ids := slices.Sorted(maps.Keys(calls.PerNode))
		for _, id := range ids {
			for _, c := range calls.PerNode[id] {
				out = append(out, changing(t, id, c.Call))
			}
		}
		for _, c := range calls.IMS {
			out = append(out, request(fmt.Sprint(c[0]), fmt.Sprint(c[1]), text(t, c[2])))
		}
		for _, c := range calls.ReadsInfo {
			out = append(out, reading(t, c, ids))
		}
	}
	return out
}

func text(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// changing is a recorded call that changes something, for one node.
func changing(t *testing.T, id string, call map[string]any) replay.Request {
	t.Helper()
	if operation, ok := call["pcs"]; ok {
		body := maps.Clone(call)
		delete(body, "pcs")
		body["operation"], body["location"] = operation, []any{map[string]any{"xname": id}}
		return request("POST", "/transitions", text(t, body))
	}
	if parameters, ok := call["bss"].(map[string]any); ok {
		body := maps.Clone(parameters)
		body["hosts"] = []string{id}
		return request("PUT", "/boot/v1/bootparameters", text(t, body))
	}
	return request("PATCH", "/v3/components", text(t, map[string]any{"patch": call["cfs"], "filters": map[string]any{"ids": id}}))
}

// reading is a recorded call that changes nothing, for some nodes.
func reading(t *testing.T, call string, ids []string) replay.Request {
	t.Helper()
	var parts struct {
		method, path string
		query        map[string]string
		body         map[string]any
	}
	var service string
	if err := json.Unmarshal([]byte(call), &[]any{&service, &parts.method, &parts.path, &parts.query, &parts.body}); err != nil {
		t.Fatalf("%s: %v", call, err)
	}
	var query []string
	for _, k := range slices.Sorted(maps.Keys(parts.query)) {
		query = append(query, k+"="+strings.ReplaceAll(parts.query[k], "<ids>", strings.Join(ids, ",")))
	}
	path := parts.path
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	if len(parts.body) == 0 {
		return request(parts.method, path, "")
	}
	for k, v := range parts.body {
		if v == "<ids>" {
			parts.body[k] = ids
		}
	}
	return request(parts.method, path, text(t, parts.body))
}

// The stub world here answers as the recorder's own, call for call.
func TestAgainstOriginalWorld(t *testing.T) {
	dir := os.Getenv("BOS_CONFORM_DIR")
	if dir == "" {
		t.Skip("BOS_CONFORM_DIR does not name the folder of the recorder's world")
	}
	base, err := os.ReadFile(filepath.Join(worlds, "base.json"))
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err := os.ReadFile(filepath.Join(dir, "worlds", "base.json")); err != nil || !bytes.Equal(theirs, base) {
		t.Errorf("the document of the world is another one: %v", err)
	}
	t.Run("calls", func(t *testing.T) {
		t.Parallel()
		p := startPair(t, dir, base)
		for _, r := range calls() {
			p.both(r)
		}
		p.settle(20 * time.Second)
	})
	t.Run("recorded", func(t *testing.T) {
		t.Parallel()
		p := startPair(t, dir, base)
		// So nothing happens while they are asked.
		p.both(request("POST", "/__world__/set", `{"defaults":{"power_delay":1000,"off_delay":1000,"configure_delay":1000}}`))
		all := recordedCalls(t)
		if len(all) < 300 {
			t.Errorf("only %d calls were recorded", len(all))
		}
		for _, r := range all {
			p.both(r)
		}
		p.settle(10 * time.Second)
	})
	t.Run("nodes", func(t *testing.T) {
		t.Parallel()
		playNodes(t, dir)
	})
	t.Run("faults", func(t *testing.T) {
		t.Parallel()
		p := startPair(t, dir, []byte(`{"nodes":{"x1":{}},"faults":{"hsm":{"status":503},"PUT /boot/v1/bootparameters":{"status":400,"body":{"title":"no"}},
			"tapms":{"body":["x"]},"GET /b/k":{"status":404,"body":null},"pcs":{}},"s3":{"s3://b/k":1,"s3://b/dict":{"b":"\u00e9\ud83d\ude00</a>","a":[1,2.50,null,true]},
			"s3://b/status":{"__status__":403},"s3://b/empty":{"__text__":""}},"ims_images":{"i":{"__status__":500},"n":null},"tenants":{"t":"odd"}}`))
		for _, r := range []replay.Request{
			request("GET", "/hsm/v2/groups", ""), request("PUT", "/boot/v1/bootparameters", `{"hosts":["x1"]}`), request("GET", "/boot/v1/bootparameters", ""),
			request("GET", "/v1alpha3/tenants/t", ""), request("GET", "/b/k", ""), request("HEAD", "/b/k", ""), request("GET", "/b/dict", ""),
			request("HEAD", "/b/dict", ""), request("GET", "/b/status", ""), request("HEAD", "/b/status", ""), request("GET", "/b/empty", ""),
			request("GET", "/v3/images/i", ""), request("GET", "/v3/images/n", ""), request("POST", "/power-status", ""),
			request("POST", "/__world__/clearlog", "{}"), request("GET", "/b/other", ""),
		} {
			p.both(r)
		}
		p.compareLogs()
	})
}

// playNodes has nodes with every knob do what they are told.
func playNodes(t *testing.T, dir string) {
	p := startPair(t, dir, []byte(`{"defaults":{"power_delay":0.2,"boot_delay":0.4,"off_delay":0.2,"configure_delay":0.3},
		"nodes":{"plain":{},"never":{"never_on":true},"second":{"on_failures":1},"soft":{"power":"on","ignore_soft_off":true},
		"force":{"power":"on","ignore_force_off":true},"silent":{"never_report":true},"wrong":{"wrong_token":"w"},"failing":{"cfs_result":"failed"},
		"odd":{"cfs_result":"strange","boot_delay":0.1},"hidden":{"missing_hsm":true},"gone":{"missing_pcs":true},"free":{"missing_cfs":true},
		"on":{"power":"on"},"bmc":{"Type":"NodeBMC"}},
		"generate":[{"count":6,"pattern":"x{c}c0s{s}b0n{n}i{i}","node":{"Role":"Application"}},{"count":1,"pattern":"plain","node":{"Arch":"ARM"}}],
		"groups":{"b":["plain"],"a":[]},"partitions":{"p2":["on"],"p1":["never"]}}`))
	names := []string{
		"plain", "never", "second", "soft", "force", "silent", "wrong", "failing", "odd", "hidden", "gone", "free", "on", "x0c0s0b0n0i0", "x0c0s1b0n1i5",
	}
	all := func(operation string) {
		var locations []string
		for _, name := range names {
			locations = append(locations, `{"xname":"`+name+`"}`)
		}
		p.both(request("POST", "/transitions", `{"operation":"`+operation+`","taskDeadlineMinutes":1,"location":[`+strings.Join(locations, ",")+`]}`))
	}
	p.both(request("GET", "/hsm/v2/State/Components", ""))
	p.both(request("GET", "/hsm/v2/groups", ""))
	p.both(request("GET", "/hsm/v2/partitions", ""))
	p.both(request("POST", "/power-status", ""))
	p.both(request("PUT", "/boot/v1/bootparameters", `{"hosts":["plain","second","wrong","failing","odd","free"],"params":"q bss_referral_token=t1","kernel":"k","initrd":"i"}`))
	p.both(request("PATCH", "/v3/components", `{"patch":{"desired_config":"c","enabled":false,"state":[]},"filters":{"ids":"plain,second,wrong,failing,odd,free,on"}}`))
	for _, operation := range []string{"On", "On", "Soft-Off", "Force-Off", "Off", "On", "Bogus"} {
		all(operation)
		p.settle(20 * time.Second)
		p.both(request("POST", "/power-status", ""))
	}
}
