// SPDX-License-Identifier: MIT

package tracing

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for _, pair := range pairs {
			if k, v, _ := strings.Cut(pair, "="); k == name {
				return v
			}
		}
		return ""
	}
}

func TestWanted(t *testing.T) {
	endpoint := "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"
	for _, c := range []struct {
		environ []string
		want    bool
	}{
		{nil, false},
		{[]string{endpoint}, true},
		{[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://collector:4318/v1/traces"}, true},
		{[]string{endpoint, "OTEL_SDK_DISABLED=true"}, false},
		{[]string{endpoint, "OTEL_TRACES_EXPORTER=none"}, false},
		{[]string{"OTEL_SERVICE_NAME=x"}, false},
	} {
		if got := Wanted(environment(c.environ...)); got != c.want {
			t.Errorf("%q: %v", c.environ, got)
		}
	}
}

// Without an endpoint nothing is made, wrapped or sent.
func TestNothingWithoutEndpoint(t *testing.T) {
	none, err := FromEnvironment(t.Context(), environment(), "1")
	if none != nil || err != nil {
		t.Fatalf("got %v, error %v", none, err)
	}
	if none.Tracer() != nil {
		t.Error("there is a tracer")
	}
	mux := http.NewServeMux()
	if got := none.Handler(mux); got != http.Handler(mux) {
		t.Error("the handler is wrapped")
	}
	if err := none.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOtherProtocolsAreRefused(t *testing.T) {
	_, err := FromEnvironment(t.Context(), environment("OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"), "1")
	if err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_PROTOCOL") {
		t.Errorf("got %v", err)
	}
}

// With an endpoint in the environment, spans arrive there.
func TestSends(t *testing.T) {
	arrived := make(chan *http.Request, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { arrived <- r }))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=hush")
	tracing, err := FromEnvironment(t.Context(), os.Getenv, "1")
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracing.Tracer().Start(t.Context(), "pass power-on")
	span.End()
	if err := tracing.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := <-arrived
	if r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("X-Key") != "hush" {
		t.Errorf("the collector got %s with %v", r.URL.Path, r.Header)
	}
}

// A collector that is away keeps nobody waiting for long, and costs no more than
// the spans.
func TestCollectorAway(t *testing.T) {
	collector := httptest.NewServer(http.NotFoundHandler())
	collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	tracing, err := FromEnvironment(t.Context(), os.Getenv, "1")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * maxQueue {
		_, span := tracing.Tracer().Start(t.Context(), "pass power-on")
		span.End()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tracing.Close(ctx); err == nil {
		t.Error("the end of the traces was sent to nobody")
	}
}

func TestHandler(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	tracing, err := New(t.Context(), kept{spans}, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	handler := tracing.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		Answered(r.Context(), "post_v2_session", http.StatusServiceUnavailable)
	}))
	ask := func(path, parent string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, nil)
		r.Header.Set("Traceparent", parent)
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	ask("/apis/bos/v2/sessions", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	ask("/readyz", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	ask("/v2/sessions", "garbage")
	if err := tracing.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := spans.GetSpans()
	if len(got) != 2 {
		t.Fatalf("there are %d spans", len(got))
	}
	first := got[0]
	if first.Name != "post_v2_session" || first.SpanKind != trace.SpanKindServer ||
		first.SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" || first.Parent.SpanID().String() != "b7ad6b7169203331" {
		t.Errorf("the span is %+v", first)
	}
	if !strings.Contains(first.Resource.String(), "service.name=bosd") || !strings.Contains(first.Resource.String(), "service.version=1.2.3") {
		t.Errorf("the service is %s", first.Resource)
	}
	if got[1].Parent.IsValid() {
		t.Error("a span has a parent that is none")
	}
}

// kept keeps the spans beyond the shutdown.
type kept struct{ *tracetest.InMemoryExporter }

func (kept) Shutdown(context.Context) error { return nil }
