// SPDX-License-Identifier: MIT

package app_test

import (
	"context"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"bos/internal/app"
	"bos/internal/config"
	"bos/internal/sim"
	"bos/internal/tracing"
)

// described returns the names of all metrics of a registry, whether they have
// values or not.
func described(t *testing.T, registry *prometheus.Registry) []string {
	t.Helper()
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		registry.Describe(descriptions)
	}()
	name := regexp.MustCompile(`fqName: "([^"]+)"`)
	var names []string
	for d := range descriptions {
		names = append(names, name.FindStringSubmatch(d.String())[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// families returns what a registry shows, by name.
func families(t *testing.T, registry *prometheus.Registry) map[string]*dto.MetricFamily {
	t.Helper()
	all, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*dto.MetricFamily{}
	for _, f := range all {
		found[f.GetName()] = f
	}
	return found
}

// has reports whether a family has a sample with labels (name, value, ...).
func has(f *dto.MetricFamily, labels ...string) bool {
	return slices.ContainsFunc(f.GetMetric(), func(m *dto.Metric) bool {
		for i := 0; i < len(labels); i += 2 {
			if !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == labels[i] && l.GetValue() == labels[i+1] }) {
				return false
			}
		}
		return true
	})
}

// Every metric is documented, no other is, and the board and the alerts name none
// that does not exist.
func TestMetricsAreDocumented(t *testing.T) {
	site := newSite(t, sim.Config{Nodes: 2, TimeScale: quick})
	p := start(t, app.Options{Site: site}, func(c *config.Config) { c.DataDir = t.TempDir() })
	names := described(t, p.Registry())
	ours := regexp.MustCompile("`(bos_[a-z_]+)`")
	text := read(t, "../../docs/METRICS.md")
	var documented []string
	for _, m := range ours.FindAllStringSubmatch(text, -1) {
		documented = append(documented, m[1])
	}
	for _, name := range names {
		if strings.HasPrefix(name, "bos_") && !slices.Contains(documented, name) {
			t.Errorf("%s is not in docs/METRICS.md", name)
		}
	}
	for _, name := range documented {
		if !slices.Contains(names, name) {
			t.Errorf("%s is in docs/METRICS.md and does not exist", name)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)- alert: (\w+)$`).FindAllStringSubmatch(read(t, "../../deploy/prometheus/alerts.yaml"), -1) {
		if !strings.Contains(text, "\n| `"+m[1]+"` | ") {
			t.Errorf("the alert %s is not in docs/METRICS.md", m[1])
		}
	}
	part := regexp.MustCompile(`_(bucket|sum|count)$`)
	used := regexp.MustCompile(`\b(bos|process|go)_[a-z_]+\b`)
	for _, file := range []string{"../../deploy/prometheus/alerts.yaml", "../../deploy/grafana/bos.json"} {
		text := read(t, file)
		found := used.FindAllString(text, -1)
		if len(found) < 10 {
			t.Errorf("%s names %q only", file, found)
		}
		for _, name := range found {
			if !slices.Contains(names, name) && !slices.Contains(names, part.ReplaceAllString(name, "")) {
				t.Errorf("%s names %s, which does not exist", file, name)
			}
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The board is one that Grafana takes: panels with numbers of their own, each with
// a query and a place.
func TestBoard(t *testing.T) {
	var board struct {
		UID, Title string
		Panels     []struct {
			ID      int
			Type    string
			Title   string
			Targets []struct{ Expr string }
			GridPos struct{ H, W, X, Y int }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "../../deploy/grafana/bos.json")), &board); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] {
			t.Errorf("there are two panels %d", p.ID)
		}
		ids[p.ID] = true
		if p.GridPos.W < 1 || p.GridPos.H < 1 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s is at %+v", p.Title, p.GridPos)
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%s shows nothing", p.Title)
		}
	}
	if len(ids) < 20 || board.UID == "" {
		t.Errorf("there are %d panels on board %q", len(ids), board.UID)
	}
}

// What a boot leaves in the metrics, and in the traces.
func TestObservedBoot(t *testing.T) {
	noLeak(t)
	spans := tracetest.NewInMemoryExporter()
	traces, err := tracing.New(t.Context(), kept{spans}, "test")
	if err != nil {
		t.Fatal(err)
	}
	site := newSite(t, sim.Config{Nodes: 4, TimeScale: quick})
	p := start(t, app.Options{Site: site, Tracing: traces}, func(c *config.Config) { c.DataDir = t.TempDir() })
	p.discovered(site)
	p.template(site, "compute-1")
	p.session("first", "boot")
	p.complete(site, "first")
	until(t, "the end of the session is among the metrics", func() bool {
		return has(families(t, p.Registry())["bos_session_seconds"], "operation", "boot", "outcome", "succeeded")
	})
	f := families(t, p.Registry())
	for _, phase := range []string{"power_on_called", "configuring"} {
		if !has(f["bos_phase_seconds"], "phase", phase, "failed", "false") {
			t.Errorf("the phase %s was not measured: %v", phase, f["bos_phase_seconds"])
		}
	}
	for _, operator := range []string{"power-on", "status", "session-setup"} {
		if !has(f["bos_operator_leading"], "operator", operator) || !has(f["bos_operator_pass_seconds"], "operator", operator) {
			t.Errorf("the operator %s is not among the metrics", operator)
		}
	}
	if err := traces.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	honest(t, spans.GetSpans())
}

// honest checks the spans of a boot: what there must be, and what must not be in
// them.
func honest(t *testing.T, spans tracetest.SpanStubs) {
	t.Helper()
	byID := map[string]string{}
	for _, s := range spans {
		byID[s.SpanContext.SpanID().String()] = s.Name
	}
	// parents are the names of all spans within which there was one of a name.
	parents := map[string][]string{}
	for _, s := range spans {
		if s.Parent.IsValid() {
			parents[s.Name] = append(parents[s.Name], byID[s.Parent.SpanID().String()])
		}
		for _, a := range s.Attributes {
			if a.Value.Type() == attribute.STRING && (strings.ContainsAny(a.Value.AsString(), "=/@ ") || strings.HasPrefix(a.Value.AsString(), "x3000")) {
				t.Errorf("%s has the attribute %s=%s", s.Name, a.Key, a.Value.AsString())
			}
		}
	}
	for _, name := range []string{"post_v2_session", "put_v2_sessiontemplate", "pass power-on", "pass session-setup"} {
		if !slices.ContainsFunc(spans, func(s tracetest.SpanStub) bool { return s.Name == name }) {
			t.Errorf("there is no span %q", name)
		}
	}
	under := func(child, parent string) bool {
		for name, of := range parents {
			if strings.HasPrefix(name, child) && slices.Contains(of, parent) {
				return true
			}
		}
		return false
	}
	if !under("s3 ", "put_v2_sessiontemplate") {
		t.Errorf("no call to S3 is within the request that needs it: %v", parents)
	}
	if !under("hsm ", "pass session-setup") {
		t.Errorf("no call to HSM is within the pass that needs it: %v", parents)
	}
}

// kept keeps the spans beyond the shutdown.
type kept struct{ *tracetest.InMemoryExporter }

func (kept) Shutdown(context.Context) error { return nil }
