// SPDX-License-Identifier: MIT

package sim

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestServiceFaults(t *testing.T) {
	ctx := context.Background()
	inVirtualTime(t, Config{Nodes: 4}, func(t *testing.T, b *bench) {
		status := b.URLs().PCS + "/power-status"
		try := func(f ServiceFault) (answer, error, time.Duration) {
			b.InjectService("pcs", f)
			start := time.Now()
			a, err := b.try(ctx, "GET", status, nil)
			return a, err, time.Since(start)
		}
		if _, err, _ := try(ServiceFault{Kind: ServiceDown}); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("down: %v", err)
		}
		if _, err, _ := try(ServiceFault{Kind: ServiceReset}); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("reset: %v", err)
		}
		if a, err, took := try(ServiceFault{Kind: ServiceSlow, Delay: 5 * time.Second}); err != nil || a.status != 200 || took != 5*time.Second {
			t.Errorf("slow: %d %v %s", a.status, err, took)
		}
		if a, _, _ := try(ServiceFault{Kind: ServiceStatus}); a.status != 500 || !strings.Contains(string(a.body), "injected fault") {
			t.Errorf("status: %d %s", a.status, a.body)
		}
		if a, _, _ := try(ServiceFault{Kind: ServiceStatus, Status: 429, Body: "{}"}); a.status != 429 || string(a.body) != "{}" {
			t.Errorf("status: %d %s", a.status, a.body)
		}
		if a, _, _ := try(ServiceFault{Kind: ServiceGarbage}); a.status != 200 || strings.HasSuffix(string(a.body), "}") {
			t.Errorf("garbage: %d %s", a.status, a.body)
		}
		if a, _, _ := try(ServiceFault{Kind: ServiceStatus, Method: "POST"}); a.status != 200 {
			t.Errorf("other method: %d", a.status)
		}
		if a, _, _ := try(ServiceFault{Kind: ServiceStatus, Path: "/transitions"}); a.status != 200 {
			t.Errorf("other path: %d", a.status)
		}
		if a, _, _ := try(ServiceFault{Kind: ServiceStatus, For: time.Minute}); a.status != 500 {
			t.Errorf("for a minute: %d", a.status)
		}
		time.Sleep(61 * time.Second)
		if a := b.call("GET", status, nil); a.status != 200 {
			t.Errorf("after a minute: %d", a.status)
		}
		b.InjectService("pcs", ServiceFault{Kind: ServiceHang})
		short, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if _, err := b.try(short, "GET", status, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hang: %v", err)
		}
		b.InjectService("nope", ServiceFault{Kind: ServiceDown})
		b.InjectService("pcs", ServiceFault{})
		if a := b.call("GET", status, nil); a.status != 200 {
			t.Errorf("healthy: %d", a.status)
		}
	})
}

func TestHalfAppliedAndLost(t *testing.T) {
	inVirtualTime(t, Config{Nodes: 4, PoweredOn: true}, func(t *testing.T, b *bench) {
		b.InjectService("bss", ServiceFault{Kind: ServiceHalf})
		if a := b.putParams("t", first, second); a.status != 500 {
			t.Errorf("BSS: %d", a.status)
		}
		b.InjectService("bss", ServiceFault{})
		if one, two := b.script("name="+first), b.script("name="+second); !strings.Contains(string(one.body), "=t ") || strings.Contains(string(two.body), "=t ") {
			t.Errorf("scripts:\n%s%s", one.body, two.body)
		}
		b.InjectService("cfs", ServiceFault{Kind: ServiceHalf, Status: 503})
		a := b.call("PATCH", b.URLs().CFS+"/components", `{"patch":{"desired_config":"c"},"filters":{"ids":"`+first+`,`+second+`"}}`)
		if one, two := b.node(first).Config, b.node(second).Config; a.status != 503 || one != "c" || two != "" {
			t.Errorf("CFS: %d, %q, %q", a.status, one, two)
		}
		a = b.call("PATCH", b.URLs().CFS+"/components", `{"patch":{"desired_config":"d"},"filters":{"ids":"`+first+`"}}`)
		if got := b.node(first).Config; a.status != 503 || got != "c" {
			t.Errorf("half of one is %q", got)
		}
		b.InjectService("pcs", ServiceFault{Kind: ServiceLost, Method: "POST", Path: "/transitions"})
		_, err := b.try(t.Context(), "POST", b.URLs().PCS+"/transitions", `{"operation":"Force-Off","location":[{"xname":"`+first+`"}]}`)
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("lost: %v", err)
		}
		time.Sleep(time.Second)
		if got := b.node(first).Power; got != "off" {
			t.Errorf("after a lost answer: %s", got)
		}
		b.noViolations()
	})
}

func TestHalved(t *testing.T) {
	for in, out := range map[string]string{
		`{"hosts":["a","b","c"],"x":1}`:    `{"hosts":["a"],"x":1}`,
		`{"ComponentIDs":["a","b"]}`:       `{"ComponentIDs":["a"]}`,
		`{"filters":{"ids":"a,b,c,d"}}`:    `{"filters":{"ids":"a,b"}}`,
		`[{"id":"a"},{"id":"b"}]`:          `[{"id":"a"}]`,
		`{"hosts":["a"]}`:                  "",
		`{"filters":{"ids":"a"}}`:          "",
		`["a"]`:                            "",
		`{`:                                "",
		`{"location":[{"xname":"a"},{}]}`:  `{"location":[{"xname":"a"}]}`,
		`{"filters":{"status":"pending"}}`: "",
	} {
		got, ok := halved([]byte(in))
		if ok != (out != "") || ok && string(got) != out {
			t.Errorf("%s became %s, %v", in, got, ok)
		}
	}
}

// TestNodesMeetServiceFaults lets BSS and CFS be away while nodes boot.
func TestNodesMeetServiceFaults(t *testing.T) {
	withBOS(t, Config{Nodes: 4}, func(t *testing.T, b *bench, _ *fakeBOS) {
		b.putParams("t", first, second)
		b.InjectService("bss", ServiceFault{Kind: ServiceDown})
		b.InjectService("cfs", ServiceFault{Kind: ServiceStatus, Nodes: []string{second}})
		b.transition("On", first, second)
		time.Sleep(time.Minute)
		if n := b.node(first); n.Booting || n.Power != "on" {
			t.Errorf("without BSS: %+v", n)
		}
		b.InjectService("bss", ServiceFault{})
		b.call("PATCH", b.URLs().CFS+"/components/"+first, `{"enabled":false}`)
		b.nodes[1].config.enabled = false
		time.Sleep(150 * time.Second)
		if one, two := b.node(first), b.node(second); !one.ConfigEnabled || !two.Up || two.ConfigEnabled {
			t.Errorf("without CFS: %+v, %+v", one, two)
		}
		b.InjectService("cfs", ServiceFault{})
		time.Sleep(11 * time.Second)
		if n := b.node(second); !n.ConfigEnabled {
			t.Errorf("in the end: %+v", n)
		}
	})
}

// TestSocketsFail checks what real clients see.
func TestSocketsFail(t *testing.T) {
	s := New(Config{TimeScale: 0.001})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	b := &bench{Site: s, t: t, http: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(func() {
		b.http.CloseIdleConnections()
		s.Close()
	})
	url := s.URLs().HSM + "/groups"
	try := func() error {
		_, err := b.try(t.Context(), "GET", url, nil)
		return err
	}
	s.InjectService("hsm", ServiceFault{Kind: ServiceDown})
	if err := try(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("down: %v", err)
	}
	s.InjectService("hsm", ServiceFault{Kind: ServiceReset})
	if err := try(); !errors.Is(err, syscall.ECONNRESET) && (err == nil || !strings.Contains(err.Error(), "EOF")) {
		t.Errorf("reset: %v", err)
	}
	s.InjectService("hsm", ServiceFault{Kind: ServiceDown, For: time.Second})
	eventually(t, "the service comes back", func() bool { return try() == nil })
	s.InjectService("hsm", ServiceFault{Kind: ServiceHang})
	ended := make(chan answer, 1)
	go func() {
		a, _ := b.try(t.Context(), "GET", url, nil)
		ended <- a
	}()
	s.Close()
	if a := <-ended; a.status == http.StatusOK {
		t.Error("a hanging call was answered")
	}
	if err := try(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("closed: %v", err)
	}
	s.InjectService("hsm", ServiceFault{})
	if err := try(); err == nil {
		t.Error("a closed site came back")
	}
}

func TestBearerTokens(t *testing.T) {
	with := func(b *bench, method, url, token string) answer {
		t.Helper()
		if token == "" {
			return b.call(method, url, "{}")
		}
		return b.call(method, url, "{}", "Authorization", "Bearer "+token)
	}
	open := newBench(t, Config{Flavour: OpenCHAMI, BearerToken: "good"})
	u := open.URLs()
	open.RotateToken("better")
	for _, c := range []struct {
		method, url, token string
		status             int
		body               string
	}{
		{"GET", u.HSM + "/State/Components", "", 200, ""},
		{"GET", u.HSM + "/service/ready", "", 200, ""},
		{"GET", u.BSS + "/bootscript?name=" + first, "", 200, ""},
		{"GET", u.PCS + "/liveness", "", 204, ""},
		{"GET", u.CFS + "/components", "", 200, ""},
		{"GET", u.HSM + "/groups", "", 401, "no token found\n"},
		{"POST", u.HSM + "/State/Components/Query", "bad", 401, "token is unauthorized\n"},
		{"GET", u.PCS + "/power-status", "good", 401, "token is expired\n"},
		{"GET", u.BSS + "/bootparameters", "better", 200, ""},
		{"GET", u.PCS + "/v1/power-status", "better", 200, ""},
	} {
		a := with(open, c.method, c.url, c.token)
		if a.status != c.status || c.body != "" && string(a.body) != c.body {
			t.Errorf("%s %s with %q: %d %.100s", c.method, c.url, c.token, a.status, a.body)
		}
		if a.status == 401 && !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: %s", c.url, a.header.Get("Content-Type"))
		}
	}
	cray := newBench(t, Config{BearerToken: "good"})
	u = cray.URLs()
	if a := with(cray, "GET", u.HSM+"/State/Components", ""); a.status != 401 || string(a.body) != "Jwt is missing" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := with(cray, "GET", u.CFS+"/components", "bad"); a.status != 401 || string(a.body) != "Jwt verification fails" {
		t.Errorf("%d %s", a.status, a.body)
	}
	cray.RotateToken("")
	if a := with(cray, "GET", u.HSM+"/groups", ""); a.status != 200 {
		t.Errorf("no check: %d", a.status)
	}
}
