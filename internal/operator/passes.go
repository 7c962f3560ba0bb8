// SPDX-License-Identifier: MIT

package operator

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// observe begins a pass of an operator. What it returns ends it, with the number of
// components or sessions that it was about, for metrics and traces.
func (d *Deps) observe(ctx context.Context, role string) (context.Context, func(nodes int, err error)) {
	begun := time.Now()
	var span trace.Span
	if d.Tracer != nil {
		ctx, span = d.Tracer.Start(ctx, "pass "+role, trace.WithAttributes(attribute.String("bos.operator", role)))
	}
	return ctx, func(nodes int, err error) {
		if ctx.Err() != nil {
			// It was told to end, which is no failure.
			err = nil
		}
		if d.Passes != nil {
			d.Passes(role, nodes, time.Since(begun), err)
		}
		if span == nil {
			return
		}
		span.SetAttributes(attribute.Int("bos.components", nodes))
		if err != nil {
			// In words it is in the log; it may name what clients have written.
			span.SetStatus(codes.Error, "not finished")
		}
		span.End()
	}
}

// leads tells that this process begins or ends to lead.
func (d *Deps) leads(role string, leading bool) {
	if d.Leading != nil {
		d.Leading(role, leading)
	}
}
