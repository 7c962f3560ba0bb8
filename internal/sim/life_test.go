// SPDX-License-Identifier: MIT

package sim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeBOS takes reports. What it answers can be changed.
type fakeBOS struct {
	mu      sync.Mutex
	status  int
	body    string
	reports []reportSeen
}

type reportSeen struct {
	at           time.Time
	method, path string
	id, token    string
}

func (f *fakeBOS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ID    string `json:"id"`
		State struct {
			Token string `json:"bss_token"`
		} `json:"actual_state"`
	}
	data, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(data, &in)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reports = append(f.reports, reportSeen{time.Now(), r.Method, r.URL.Path, in.ID, in.State.Token})
	w.WriteHeader(max(f.status, http.StatusOK))
	_, _ = io.WriteString(w, f.body)
}

// RoundTrip answers in process.
func (f *fakeBOS) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	data, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(data))
	f.ServeHTTP(w, r)
	return w.Result(), nil
}

func (f *fakeBOS) answerWith(status int, body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status, f.body = status, body
}

// seen returns the reports of a node.
func (f *fakeBOS) seen(x string) (out []reportSeen) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.reports {
		if r.id == x {
			out = append(out, r)
		}
	}
	return out
}

// withBOS runs a test in virtual time with a BOS that nodes report to.
func withBOS(t *testing.T, cfg Config, f func(*testing.T, *bench, *fakeBOS)) {
	t.Helper()
	inVirtualTime(t, cfg, func(t *testing.T, b *bench) {
		bos := &fakeBOS{}
		b.SetBOS("http://bos/apis/bos/", &http.Client{Transport: bos})
		f(t, b, bos)
	})
}

func TestNodeLifeOverRealHTTP(t *testing.T) {
	bos := &fakeBOS{}
	server := httptest.NewServer(bos)
	t.Cleanup(server.Close)
	s := New(Config{Nodes: 64, TimeScale: 0.001})
	b := &bench{Site: s, t: t, http: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(func() {
		b.http.CloseIdleConnections()
		s.Close()
	})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.SetBOS(server.URL, nil)
	nodes := s.Nodes()
	b.call("PATCH", s.URLs().CFS+"/components", map[string]any{
		"patch":   map[string]any{"desired_config": "c1", "enabled": false, "state": []any{}},
		"filters": map[string]any{"ids": strings.Join(nodes, ",")},
	})
	if a := b.putParams("11111111-2222-4333-8444-555555555555", nodes...); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	b.transitionAs("On", "attempt-1", nodes...)
	eventually(t, "all nodes are configured and have reported", func() bool {
		c := s.Counts()
		return c.Configured == 64 && c.Reported == 64
	})
	if c := s.Counts(); c.Up != 64 || c.On != 64 {
		t.Errorf("%+v", c)
	}
	for _, r := range bos.seen(first)[:1] {
		if r.method != "PATCH" || r.path != "/v2/components/"+first || r.token != "11111111-2222-4333-8444-555555555555" {
			t.Errorf("report %+v", r)
		}
	}
	img := s.Images()[0]
	if n := b.node(first); n.Kernel != "s3://boot-images/"+img.ID+"/kernel" || n.Token != n.Reported || n.HSM != stateReady {
		t.Errorf("%+v", n)
	}
	eventually(t, "power-status shows all nodes on", func() bool { return b.shown(nodes[63]) == "on" })
	eventually(t, "the transition is over", func() bool { return s.Counts().OpenTransitions == 0 })
	b.transitionAs("Soft-Off", "attempt-2", nodes...)
	eventually(t, "all nodes are off", func() bool { return s.Counts().Off == 64 })
	b.noViolations()
	var puts, transitions []Call
	for _, c := range s.Log() {
		switch {
		case c.Service == "bss" && c.Method == "PUT":
			puts = append(puts, c)
		case c.Operation != "":
			transitions = append(transitions, c)
		}
	}
	if len(puts) != 1 || len(puts[0].Nodes) != 64 || puts[0].Status != 200 || puts[0].Path != "/boot/v1/bootparameters" {
		t.Errorf("PUTs: %+v", puts)
	}
	if len(transitions) != 2 || transitions[0].Attempt != "attempt-1" || transitions[1].Operation != "Soft-Off" {
		t.Errorf("transitions: %+v", transitions)
	}
}

func TestReportRhythm(t *testing.T) {
	withBOS(t, Config{}, func(t *testing.T, b *bench, bos *fakeBOS) {
		b.boot(first)
		time.Sleep(20 * time.Hour)
		seen := bos.seen(first)
		if len(seen) < 7 || len(seen) > 8 {
			t.Fatalf("%d reports in 20 hours", len(seen))
		}
		if d := seen[1].at.Sub(seen[0].at); d > 3*time.Hour {
			t.Errorf("second report after %s", d)
		}
		for k := 2; k < len(seen); k++ {
			if d := seen[k].at.Sub(seen[k-1].at); d != 3*time.Hour {
				t.Errorf("report %d after %s", k, d)
			}
		}
		if seen[0].path != "/apis/bos/v2/components/"+first || seen[0].token != "token-of-"+first {
			t.Errorf("%+v", seen[0])
		}
		b.transition("Force-Off", first)
		time.Sleep(24 * time.Hour)
		if got := len(bos.seen(first)); got != len(seen) {
			t.Errorf("%d reports of a node that is off", got-len(seen))
		}
	})
}

func TestReportRetries(t *testing.T) {
	gaps := func(seen []reportSeen) (out []time.Duration) {
		for k := 1; k < len(seen); k++ {
			out = append(out, seen[k].at.Sub(seen[k-1].at))
		}
		return out
	}
	withBOS(t, Config{}, func(t *testing.T, b *bench, bos *fakeBOS) {
		bos.answerWith(503, "")
		b.boot(first)
		time.Sleep(10 * time.Minute)
		got := gaps(bos.seen(first))
		if len(got) < 20 || got[0] != 0 || got[1] != 2*time.Second || got[2] != 4*time.Second || got[18] != 30*time.Second {
			t.Errorf("pauses %v", got)
		}
		bos.answerWith(404, `{"detail":"no such component"}`)
		before := len(bos.seen(first))
		time.Sleep(5 * time.Minute)
		if n := len(bos.seen(first)); n != before+10 {
			t.Errorf("%d reports in 5 min while BOS does not know the node", n-before)
		}
		bos.answerWith(404, "not found")
		before = len(bos.seen(first))
		time.Sleep(5 * time.Minute)
		if n := len(bos.seen(first)); n != before+10 {
			t.Errorf("%d reports in 5 min after text", n-before)
		}
		bos.answerWith(404, `{"title":"no detail"}`)
		time.Sleep(time.Minute)
		bos.answerWith(200, "{}")
		before = len(bos.seen(first))
		time.Sleep(2 * time.Hour)
		if n := len(bos.seen(first)); n != before {
			t.Errorf("%d reports while the reporter sleeps", n-before)
		}
		time.Sleep(time.Hour)
		if n := b.node(first); n.Reported != n.Token {
			t.Errorf("never reported: %+v", n)
		}
	})
}

func TestNoBOS(t *testing.T) {
	inVirtualTime(t, Config{}, func(t *testing.T, b *bench) {
		b.boot(first)
		if got := b.Stats(); got.ReportsFailed == 0 || got.Reports != got.ReportsFailed {
			t.Errorf("%+v", got)
		}
		bos := &fakeBOS{}
		b.SetBOS("http://bos", &http.Client{Transport: bos})
		time.Sleep(time.Minute)
		if n := b.node(first); n.Reports != 1 {
			t.Errorf("%+v", n)
		}
	})
}

func TestUpdateFrequency(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"4h": 4 * time.Hour, "30s": 30 * time.Second, "5m": 5 * time.Minute, "2d": 48 * time.Hour, "1w": 168 * time.Hour,
		"0h": 0, "4": 4 * time.Hour, "h": 4 * time.Hour, "4x": 4 * time.Hour, "-1h": 4 * time.Hour, "": 4 * time.Hour,
	} {
		if got := updateFrequency(in); got != want {
			t.Errorf("%q is %s", in, got)
		}
	}
}

func TestNodesWaitForBootParameters(t *testing.T) {
	withBOS(t, Config{}, func(t *testing.T, b *bench, bos *fakeBOS) {
		b.transition("On", first)
		time.Sleep(time.Minute)
		if n := b.node(first); n.Power != "on" || n.Booting || n.Up {
			t.Errorf("without parameters: %+v", n)
		}
		b.putParams("t", first)
		time.Sleep(11 * time.Second)
		if n := b.node(first); !n.Booting {
			t.Errorf("with parameters: %+v", n)
		}
		if got := b.rules(); got[RuleOnWithoutParameters] != 1 {
			t.Errorf("violations: %v", got)
		}
		// An image that is not in S3 is tried again and again.
		b.call("PUT", b.URLs().BSS+"/bootparameters", map[string]any{"hosts": []string{second}, "kernel": "s3://boot-images/none/kernel"})
		b.transition("On", second)
		time.Sleep(5 * time.Minute)
		if n := b.node(second); n.Booting || n.Up {
			t.Errorf("without a kernel: %+v", n)
		}
		if len(bos.seen(second)) != 0 {
			t.Error("a node without an operating system reports")
		}
	})
}

func TestOffStopsALife(t *testing.T) {
	withBOS(t, Config{}, func(t *testing.T, b *bench, bos *fakeBOS) {
		b.putParams("t", first)
		b.transition("On", first)
		time.Sleep(50 * time.Second)
		if n := b.node(first); !n.Booting {
			t.Fatalf("%+v", n)
		}
		b.transition("Force-Off", first)
		time.Sleep(10 * time.Minute)
		if n := b.node(first); n.Power != "off" || n.Booting || n.Token != "" || len(bos.seen(first)) != 0 {
			t.Errorf("%+v", n)
		}
	})
}

func TestTokenForgottenNeverReports(t *testing.T) {
	withBOS(t, Config{BSSToken: TokenForgotten}, func(t *testing.T, b *bench, bos *fakeBOS) {
		b.call("PUT", b.URLs().BSS+"/bootparameters", params("quiet", first))
		b.transition("On", first)
		time.Sleep(4 * time.Hour)
		if n := b.node(first); !n.Up || n.Token != "" || len(bos.seen(first)) != 0 {
			t.Errorf("%+v", n)
		}
	})
}

func TestNodesAskByMAC(t *testing.T) {
	withBOS(t, Config{Flavour: OpenCHAMI, BSSByMAC: true}, func(t *testing.T, b *bench, bos *fakeBOS) {
		b.putParams("t", first)
		b.transition("On", first)
		time.Sleep(5 * time.Minute)
		if n := b.node(first); n.Booting || n.Up {
			t.Errorf("with parameters by name: %+v", n)
		}
		both := params("bss_referral_token=t", first)
		both["macs"] = []string{"b4:2e:99:00:00:00"}
		b.call("PUT", b.URLs().BSS+"/bootparameters", both)
		time.Sleep(2 * time.Minute)
		if seen := bos.seen(first); len(seen) != 1 || seen[0].token != "t" {
			t.Errorf("with parameters by MAC: %+v", seen)
		}
	})
}

func TestStateSources(t *testing.T) {
	for _, c := range []struct {
		source  StateSource
		on, off string
	}{
		{StateFrozen, stateOff, stateOff}, {StateEvents, stateReady, stateOff}, {StateSweeps, stateOn, stateOff},
	} {
		inVirtualTime(t, Config{HSMState: c.source}, func(t *testing.T, b *bench) {
			b.boot(first)
			if got := b.node(first).HSM; got != c.on {
				t.Errorf("source %d: %s when up", c.source, got)
			}
			b.transition("Force-Off", first)
			time.Sleep(2 * time.Minute)
			if got := b.node(first).HSM; got != c.off {
				t.Errorf("source %d: %s when off", c.source, got)
			}
		})
	}
}
