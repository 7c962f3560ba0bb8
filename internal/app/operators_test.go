// SPDX-License-Identifier: MIT

package app_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"bos/internal/app"
	"bos/internal/config"
	"bos/internal/decide"
	"bos/internal/sim"
)

// asked asks a process about itself and returns the status and what it said.
func (p *process) asked(client *http.Client, method, path, token string) (int, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, strings.TrimSuffix(p.URL(), "/apis/bos")+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// A process of operators alone serves metrics and probes where it is told to, and
// nothing of the API.
func TestOperatorsServeMetricsAndProbes(t *testing.T) {
	noLeak(t)
	site := newSite(t, sim.Config{Nodes: 2, Seed: 1})
	p := start(t, app.Options{Site: site, NoAPI: true}, func(c *config.Config) {
		c.DataDir, c.Operators, c.MetricsListen = t.TempDir(), []string{decide.RolePowerOn, decide.RoleStatus}, "127.0.0.1:0"
	})
	for _, path := range []string{"/livez", "/readyz"} {
		if status, body := p.asked(http.DefaultClient, http.MethodGet, path, ""); status != http.StatusOK || body != "ok\n" {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
	metrics := ""
	until(t, "both operators are seen to work", func() bool {
		_, metrics = p.asked(http.DefaultClient, http.MethodGet, "/metrics", "")
		return strings.Contains(metrics, `bos_operator_leading{operator="power-on"} 1`) &&
			strings.Contains(metrics, `bos_operator_leading{operator="status"} 1`)
	})
	if strings.Contains(metrics, `operator="discovery"`) {
		t.Error("an operator is shown that the process does not stand for")
	}
	for _, c := range []struct {
		method, path string
		status       int
		says         string
	}{
		{http.MethodGet, "/", http.StatusNotFound, "serves no API"},
		{http.MethodGet, "/v2/components", http.StatusNotFound, "serves no API"},
		{http.MethodGet, "/apis/bos/v2/components", http.StatusNotFound, "serves no API"},
		{http.MethodGet, "/apis/bos/metrics", http.StatusNotFound, "serves no API"},
		{http.MethodGet, "/%6detrics", http.StatusNotFound, "serves no API"},
		{http.MethodGet, "/metrics/../v2/options", http.StatusNotFound, "serves no API"},
		{http.MethodGet, "/ui/", http.StatusNotFound, "serves no API"},
		{http.MethodPost, "/metrics", http.StatusMethodNotAllowed, ""},
	} {
		if status, body := p.asked(http.DefaultClient, c.method, c.path, ""); status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s %s: %d %s; want %d", c.method, c.path, status, body, c.status)
		}
	}
}

// The metrics of operators are guarded as those of the API, with the same
// settings; the probes are for everybody.
func TestOperatorsGuardTheirMetrics(t *testing.T) {
	noLeak(t)
	s := newSecure(t)
	site := newSite(t, sim.Config{Nodes: 2, Seed: 1})
	open := false
	run := func() *process {
		return start(t, app.Options{Site: site, NoAPI: true}, func(c *config.Config) {
			s.configure(c)
			c.DataDir, c.Operators, c.MetricsListen, c.Access.OpenMetrics = t.TempDir(), []string{decide.RoleStatus}, "127.0.0.1:0", open
		})
	}
	client := s.client(nil)
	defer client.CloseIdleConnections()
	p := run()
	token := func(name string) string {
		text, err := os.ReadFile(s.token(name, "first", role(name)))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	for who, want := range map[string]int{"": http.StatusUnauthorized, "wlm": http.StatusForbidden, "monitor": http.StatusOK, "admin": http.StatusOK} {
		proof := ""
		if who != "" {
			proof = token(who)
		}
		if status, body := p.asked(client, http.MethodGet, "/metrics", proof); status != want {
			t.Errorf("%q: %d, want %d: %.200s", who, status, want, body)
		}
	}
	if status, body := p.asked(client, http.MethodGet, "/readyz", ""); status != http.StatusOK {
		t.Errorf("readyz: %d %s", status, body)
	}
	if _, err := os.Stat(s.path("audit.jsonl")); err == nil {
		t.Error("a process without an API opens the audit trail of the one that has it")
	}
	p.stop()
	open = true
	if status, body := run().asked(client, http.MethodGet, "/metrics", ""); status != http.StatusOK {
		t.Errorf("open metrics: %d %.200s", status, body)
	}
}

// An address that is taken ends the start.
func TestOperatorsThatCannotListen(t *testing.T) {
	noLeak(t)
	site := newSite(t, sim.Config{Nodes: 1})
	p := start(t, app.Options{Site: site}, func(c *config.Config) { c.DataDir = t.TempDir() })
	cfg := config.Default()
	cfg.DataDir, cfg.MetricsListen, cfg.TimeScale = t.TempDir(), p.Addr(), quick
	if a, err := app.Start(t.Context(), cfg, app.Options{Site: site, NoAPI: true, ThrowAway: true}); err == nil {
		t.Errorf("it listens too: %v", a.Stop(context.Background()))
	} else if !strings.Contains(err.Error(), "listen on "+p.Addr()) {
		t.Error(err)
	}
}
