// SPDX-License-Identifier: MIT

package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a site and a client that reaches it in process.
type bench struct {
	*Site
	t    testing.TB
	http *http.Client
}

func newBench(t testing.TB, cfg Config) *bench {
	t.Helper()
	s := New(cfg)
	t.Cleanup(s.Close)
	return &bench{Site: s, t: t, http: &http.Client{Transport: s.Transport()}}
}

// inVirtualTime runs a test on a site in a bubble where time costs nothing.
func inVirtualTime(t *testing.T, cfg Config, f func(*testing.T, *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newBench(t, cfg)) })
}

// answer is what a service said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// field returns a value of a JSON answer by its path of keys and indexes.
func (a answer) field(t testing.TB, path ...any) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("answer is no JSON: %v: %.200s", err, a.body)
	}
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				t.Fatalf("no item %d in %.300s", p, a.body)
			}
			v = l[p]
		}
	}
	return v
}

// try sends a request and returns the transport's error.
func (b *bench) try(ctx context.Context, method, url string, body any, header ...string) (answer, error) {
	b.t.Helper()
	var payload []byte
	switch v := body.(type) {
	case nil:
	case string:
		payload = []byte(v)
	default:
		var err error
		if payload, err = json.Marshal(v); err != nil {
			b.t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(payload))
	if err != nil {
		b.t.Fatal(err)
	}
	for k := 0; k+1 < len(header); k += 2 {
		r.Header.Set(header[k], header[k+1])
	}
	res, err := b.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{res.StatusCode, res.Header, data}, nil
}

func (b *bench) call(method, url string, body any, header ...string) answer {
	b.t.Helper()
	a, err := b.try(context.Background(), method, url, body, header...)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

func (b *bench) hsm(method, path string, body any) answer {
	b.t.Helper()
	return b.call(method, b.URLs().HSM+path, body)
}

func (b *bench) pcs(method, path string, body any) answer {
	b.t.Helper()
	return b.call(method, b.URLs().PCS+path, body)
}

// transition starts a power operation with a deadline of one minute.
func (b *bench) transition(op string, nodes ...string) string {
	b.t.Helper()
	return b.transitionAs(op, "", nodes...)
}

func (b *bench) transitionAs(op, attempt string, nodes ...string) string {
	b.t.Helper()
	return b.transitionFor(op, attempt, 1, nodes...)
}

func (b *bench) transitionFor(op, attempt string, minutes int, nodes ...string) string {
	b.t.Helper()
	location := []map[string]string{}
	for _, x := range nodes {
		location = append(location, map[string]string{"xname": x})
	}
	a := b.call("POST", b.URLs().PCS+"/transitions", map[string]any{
		"operation": op, "taskDeadlineMinutes": minutes, "location": location,
	}, AttemptHeader, attempt)
	if a.status != http.StatusOK {
		b.t.Fatalf("transition %s: %d %s", op, a.status, a.body)
	}
	return a.field(b.t, "transitionID").(string)
}

// progress is a transition's state and that of the node's task.
type progress struct{ status, task, text, err string }

func (b *bench) progress(id, node string) progress {
	b.t.Helper()
	a := b.pcs("GET", "/transitions/"+id, nil)
	p := progress{status: a.field(b.t, "transitionStatus").(string)}
	tasks, _ := a.field(b.t, "tasks").([]any)
	for _, task := range tasks {
		m := task.(map[string]any)
		if m["xname"] == node {
			p.task, _ = m["taskStatus"].(string)
			p.text, _ = m["taskStatusDescription"].(string)
			p.err, _ = m["error"].(string)
		}
	}
	return p
}

// shown returns the power state that PCS shows.
func (b *bench) shown(node string) string {
	b.t.Helper()
	a := b.pcs("POST", "/power-status", map[string]any{"xname": []string{node}})
	return a.field(b.t, "status", 0, "powerState").(string)
}

// putParams gives nodes boot parameters with BOS's own token.
func (b *bench) putParams(token string, nodes ...string) answer {
	b.t.Helper()
	img := b.Images()[0]
	dir := strings.TrimSuffix(img.ManifestPath, "/manifest.json")
	return b.call("PUT", b.URLs().BSS+"/bootparameters", map[string]any{
		"hosts": nodes, "kernel": dir + "/kernel", "initrd": dir + "/initrd",
		"params": "quiet bos_update_frequency=4h bss_referral_token=" + token,
	})
}

// node returns the truth about a node.
func (b *bench) node(x string) NodeState {
	b.t.Helper()
	n, ok := b.Node(x)
	if !ok {
		b.t.Fatalf("no node %s", x)
	}
	return n
}

// rules returns how often each rule was violated.
func (b *bench) rules() map[string]int { return b.Stats().Violations }

func (b *bench) noViolations() {
	b.t.Helper()
	if list := b.Violations(); len(list) > 0 {
		b.t.Errorf("violations: %+v", list)
	}
}

// sleepTo waits until the site is as old as d.
func (b *bench) sleepTo(d time.Duration) {
	time.Sleep(d - time.Since(b.t0))
}

// eventually waits for a condition in real time.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not in 10 s: %s", what)
		}
		<-tick.C
	}
}
