// SPDX-License-Identifier: MIT

package call

import (
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// A call is a span of the caller's trace, and the service is told of it. Nothing
// that was sent or said is in the span.
func TestTrace(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
	var heard []string
	answer := http.StatusOK
	s := serve(t, Config{Tracer: tracer}, func(w http.ResponseWriter, r *http.Request) {
		heard = append(heard, r.Header.Get("Traceparent"))
		w.WriteHeader(answer)
		_, _ = w.Write([]byte(`{"detail":"secret-of-the-service"}`))
	})
	ctx, parent := tracer.Start(t.Context(), "request")
	if _, err := s.Do(ctx, read, nil); err != nil {
		t.Fatal(err)
	}
	answer = http.StatusBadRequest
	if _, err := s.Do(ctx, read, nil); !IsRefused(err) {
		t.Fatalf("got %v", err)
	}
	parent.End()
	got := spans.Ended()
	if len(got) != 3 || len(heard) != 2 {
		t.Fatalf("%d spans, %d requests", len(got), len(heard))
	}
	for i, span := range got[:2] {
		if span.Name() != "hsm look" || span.Parent().SpanID() != parent.SpanContext().SpanID() {
			t.Errorf("the span is %s within %s", span.Name(), span.Parent().SpanID())
		}
		if want := "00-" + span.SpanContext().TraceID().String() + "-" + span.SpanContext().SpanID().String() + "-01"; heard[i] != want {
			t.Errorf("the service heard %q, want %q", heard[i], want)
		}
		for _, a := range span.Attributes() {
			if strings.Contains(a.Value.String(), "secret") {
				t.Errorf("%s is %s", a.Key, a.Value.String())
			}
		}
	}
	if got[0].Status().Code != codes.Unset || got[1].Status().Code != codes.Error || got[1].Status().Description != Refused.String() {
		t.Errorf("the statuses are %v and %v", got[0].Status(), got[1].Status())
	}
}

// Without a tracer a service is told nothing.
func TestNoTrace(t *testing.T) {
	s := serve(t, Config{}, func(_ http.ResponseWriter, r *http.Request) {
		if parent := r.Header.Get("Traceparent"); parent != "" {
			t.Errorf("the service heard %q", parent)
		}
	})
	if _, err := s.Do(t.Context(), read, nil); err != nil {
		t.Fatal(err)
	}
}
