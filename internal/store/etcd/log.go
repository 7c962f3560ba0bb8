// SPDX-License-Identifier: MIT

package etcd

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.uber.org/zap/zapcore"
)

// forwardTo sends etcd's log to ours, one level lower: what matters there is
// detail here. Only what ends a process stays an error. While it is closing,
// which etcd tells as a row of faults, nothing else is more than detail.
func forwardTo(log *slog.Logger, closing *atomic.Bool) func(zapcore.Core) zapcore.Core {
	return func(zapcore.Core) zapcore.Core { return &forwarder{log: log, closing: closing} }
}

type forwarder struct {
	log     *slog.Logger
	closing *atomic.Bool
	fields  []zapcore.Field
}

func (f *forwarder) level(l zapcore.Level) slog.Level {
	switch {
	case f.closing.Load() && l < zapcore.DPanicLevel:
		return slog.LevelDebug - 4
	case l >= zapcore.DPanicLevel:
		return slog.LevelError
	case l >= zapcore.ErrorLevel:
		return slog.LevelWarn
	case l >= zapcore.WarnLevel:
		return slog.LevelDebug
	}
	return slog.LevelDebug - 4
}

// Enabled implements [zapcore.Core].
func (f *forwarder) Enabled(l zapcore.Level) bool {
	return f.log.Enabled(context.Background(), f.level(l))
}

// With implements [zapcore.Core].
func (f *forwarder) With(fields []zapcore.Field) zapcore.Core {
	all := append(append([]zapcore.Field{}, f.fields...), fields...)
	return &forwarder{log: f.log, closing: f.closing, fields: all}
}

// Check implements [zapcore.Core].
func (f *forwarder) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if f.Enabled(e.Level) {
		return ce.AddCore(e, f)
	}
	return ce
}

// Write implements [zapcore.Core].
func (f *forwarder) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, field := range append(append([]zapcore.Field{}, f.fields...), fields...) {
		field.AddTo(enc)
	}
	attrs := make([]slog.Attr, 0, 1+len(enc.Fields))
	attrs = append(attrs, slog.String("from", "etcd"))
	for name, value := range enc.Fields {
		attrs = append(attrs, slog.Any(name, value))
	}
	f.log.LogAttrs(context.Background(), f.level(e.Level), e.Message, attrs...) //nolint:sloglint // etcd words it
	return nil
}

// Sync implements [zapcore.Core].
func (f *forwarder) Sync() error { return nil }
