// SPDX-License-Identifier: MIT

// Package tracing sends what happens on the way from a request to the calls to
// services, and in the passes of operators, to a collector of OpenTelemetry. It is
// configured as OpenTelemetry says, by variables that begin with OTEL_; without an
// endpoint in them there is none of it, and it costs nothing.
//
// No attribute holds a kernel parameter, token, address with a password, or word of
// a client or service: spans name operations, services, statuses and numbers.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	// maxQueue bounds the spans that wait for the collector; beyond it they are
	// dropped. maxBatch is how many are sent at once.
	maxQueue = 4096
	maxBatch = 512
	// exportTimeout bounds one sending, closeTimeout the last one.
	exportTimeout = 10 * time.Second
	closeTimeout  = 3 * time.Second
)

// scope is the name under which the spans are made.
const scope = "bos"

// Tracing makes spans and sends them. A nil one makes none.
type Tracing struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// Wanted reports whether the environment asks for traces: it has an endpoint for
// them, and nothing that turns them off.
func Wanted(getenv func(string) string) bool {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// FromEnvironment returns what the process's environment asks for; nil for
// nothing. version is shown as that of the service.
func FromEnvironment(ctx context.Context, getenv func(string) string, version string) (*Tracing, error) {
	if !Wanted(getenv) {
		return nil, nil //nolint:nilnil // a nil Tracing makes no spans
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := getenv(name); protocol != "" && protocol != "http/protobuf" {
			return nil, fmt.Errorf("%s is %q; traces are sent by http/protobuf only", name, protocol)
		}
	}
	// It reads its address, headers and certificates from the environment itself.
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithTimeout(exportTimeout))
	if err != nil {
		return nil, fmt.Errorf("prepare to send traces: %w", err)
	}
	t, err := New(ctx, exporter, version)
	if err != nil {
		return nil, errors.Join(err, exporter.Shutdown(ctx))
	}
	return t, nil
}

// New returns what sends spans by way of an exporter. Sampling and attributes of
// the process are as the environment says.
func New(ctx context.Context, exporter sdktrace.SpanExporter, version string) (*Tracing, error) {
	described, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "bosd"), attribute.String("service.version", version)),
		resource.WithHost(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("describe the process for traces: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(described),
		sdktrace.WithBatcher(exporter, sdktrace.WithMaxQueueSize(maxQueue), sdktrace.WithMaxExportBatchSize(maxBatch),
			sdktrace.WithExportTimeout(exportTimeout)),
	)
	return &Tracing{provider: provider, tracer: provider.Tracer(scope)}, nil
}

// Tracer returns what makes spans; nil for a nil Tracing.
func (t *Tracing) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.tracer
}

// Close sends what is waiting and ends. What can't be sent is dropped.
func (t *Tracing) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last traces: %w", err)
	}
	return nil
}

// Handler makes a span of each request, within the client's trace if it hands one
// on (traceparent). [Answered] completes it. Probes and scrapes make none.
func (t *Tracing) Handler(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	var w3c propagation.TraceContext
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if probe(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		ctx := w3c.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := t.tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("http.request.method", method(r.Method))))
		defer span.End()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// probe reports whether a path is asked for by machines all the time.
func probe(path string) bool {
	for _, end := range []string{"/livez", "/readyz", "/metrics", "/healthz"} {
		if strings.HasSuffix(path, end) {
			return true
		}
	}
	return false
}

// method returns the method as it may be shown: those that there are.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "_OTHER"
}

// Answered completes the span of a request with its operation and status.
func Answered(ctx context.Context, operation string, status int) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	if operation != "" {
		span.SetName(operation)
	}
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, http.StatusText(status))
	}
}

// Log returns what is to be done with faults of OpenTelemetry itself.
func Log(log *slog.Logger) func(error) {
	return func(err error) { log.Warn("traces could not be sent", slog.Any("error", err)) }
}
