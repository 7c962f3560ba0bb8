// SPDX-License-Identifier: MIT

package call

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// trace begins the span of a call, retries included. What it returns ends it. The
// span says what was asked of whom and how it ended, and nothing of what was said.
func (s *Service) trace(ctx context.Context, req Request) (context.Context, func(status int, e *Error, retries int)) {
	if s.cfg.Tracer == nil {
		return ctx, func(int, *Error, int) {}
	}
	ctx, span := s.cfg.Tracer.Start(ctx, s.cfg.Name+" "+req.Operation, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("peer.service", s.cfg.Name), attribute.String("http.request.method", req.Method), attribute.Bool("bos.write", req.Write)))
	return ctx, func(status int, e *Error, retries int) {
		if status != 0 {
			span.SetAttributes(attribute.Int("http.response.status_code", status))
		}
		if retries > 0 {
			span.SetAttributes(attribute.Int("http.request.resend_count", retries))
		}
		if e != nil {
			span.SetStatus(codes.Error, e.Kind.String())
		}
		span.End()
	}
}

// handOn tells the service which trace a request belongs to.
func (s *Service) handOn(ctx context.Context, r *http.Request) {
	if s.cfg.Tracer != nil {
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
	}
}
