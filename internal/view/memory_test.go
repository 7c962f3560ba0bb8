// SPDX-License-Identifier: MIT

package view_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/store"
	"bos/internal/view"
)

// fleet is an engine that holds the records of a fleet without keeping them: the
// view's memory is then all that is measured.
type fleet struct {
	store.Engine
	size   int
	record func(i int) bos.Record
}

// List implements [store.Engine].
func (f fleet) List(context.Context, string) ([]store.KV, int64, error) {
	kvs := make([]store.KV, f.size)
	for i := range kvs {
		r := f.record(i)
		kvs[i] = store.KV{Key: store.ComponentKey(r.Component.ID), Value: store.EncodeRecord(&r), Revision: int64(i + 1)}
	}
	return kvs, int64(f.size), nil
}

// Watch implements [store.Engine]: nothing happens.
func (f fleet) Watch(ctx context.Context, _ string, _ int64) (store.Watcher, error) {
	return silent{ctx}, nil
}

type silent struct{ ctx context.Context }

func (s silent) C() <-chan store.Batch {
	c := make(chan store.Batch)
	context.AfterFunc(s.ctx, func() { close(c) })
	return c
}
func (silent) Progress(context.Context) error { return nil }
func (silent) Err() error                     { return nil }

// booted is a component as a boot of the whole fleet leaves it: reports came in
// over a minute, what BOS wrote it wrote to a thousand at once.
func booted(i int, reportedAt string) bos.Record {
	const image = "s3://boot-images/4bf91021-8d99-4adf-945f-46de2ff50a3d/"
	artifacts := bos.Some(bos.BootArtifacts{
		Kernel: bos.Some(image + "kernel"), Initrd: bos.Some(image + "initrd"),
		KernelParameters: bos.Some(strings.Repeat("console=ttyS0,115200 crashkernel=512M rd.neednet=1 ip=dhcp quiet ", 12)),
	})
	token := bos.Some("8d1b7f6e-2c34-4f5a-9b0d-6a7c8e9f0a1b")
	written := bos.Some(fmt.Sprintf("2026-01-02T03:04:%02d", i/1000%60))
	return bos.Record{
		Component: bos.Component{
			ID:           fmt.Sprintf("x%dc%ds%db%dn%d", 1000+i/256, i/32%8, i/4%8, i/2%2, i%2),
			ActualState:  bos.Some(bos.ActualState{BootArtifacts: artifacts, BSSToken: token, LastUpdated: bos.Some(reportedAt)}),
			DesiredState: bos.Some(bos.DesiredState{BootArtifacts: artifacts, BSSToken: token, Configuration: bos.Some("compute-25.11"), LastUpdated: written}),
			StagedState:  bos.Some(bos.StagedState{LastUpdated: written}),
			LastAction:   bos.Some(bos.LastAction{Action: bos.Some(bos.ActionPoweringOn), Failed: bos.Some(false), LastUpdated: written}),
			EventStats:   bos.Some(bos.EventStats{PowerOnAttempts: bos.Some(1), PowerOffGracefulAttempts: bos.Some(1), PowerOffForcefulAttempts: bos.Some(0)}),
			Status:       bos.Some(bos.Status{Phase: bos.Some(bos.PhaseNone), StatusOverride: bos.Some("")}),
			Enabled:      bos.Some(false), Error: bos.Some(""), Session: bos.Some("reboot-all"), RetryPolicy: bos.Some(3),
		},
		Sealed: bos.Sealed{
			Plan:     "0b6f1f3c-5b0e-4a4f-8f9e-7a1a6b2c9d10",
			Attempt:  &bos.AttemptMark{ID: fmt.Sprintf("0b6f1f3c-5b0e-4a4f-8f9e-%012d", i/1000), Action: bos.ActionPoweringOn, At: 1234567, ActionAt: 1234000},
			ActualAt: bos.Instant(1300000 + i), ActionAt: 1234567,
		},
	}
}

// heapPerComponent returns how many bytes of heap a component takes in a view.
func heapPerComponent(t *testing.T, size int, record func(i int) bos.Record) float64 {
	t.Helper()
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	v := view.New(clock.New(1), slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = v.Run(ctx, fleet{size: size, record: record})
	}()
	<-v.Ready()
	if n := len(v.Components(view.Filter{})); n != size {
		t.Fatalf("%d components", n)
	}
	after := heap()
	cancel()
	<-done
	runtime.KeepAlive(v)
	return float64(after-before) / float64(size)
}

// TestMemoryOfAComponent keeps the budget of bytes: at most 1.5 kB a component in
// a fleet that was booted together, and not much more where every component has
// a history of its own.
func TestMemoryOfAComponent(t *testing.T) {
	const size = 20000
	together := heapPerComponent(t, size, func(i int) bos.Record {
		return booted(i, fmt.Sprintf("2026-01-02T03:05:%02d", i%60))
	})
	t.Logf("%.0f bytes a component of a fleet that was booted together", together)
	if together > 1500 {
		t.Errorf("a component takes %.0f bytes", together)
	}
	apart := heapPerComponent(t, size, func(i int) bos.Record {
		r := booted(i, fmt.Sprintf("2026-01-%02dT%02d:%02d:%02d", 1+i/86400, i/3600%24, i/60%60, i%60))
		r.Component.Error = bos.Some(fmt.Sprintf("node %d did not come up", i))
		return r
	})
	t.Logf("%.0f bytes a component with a history of its own", apart)
	if apart > 2500 {
		t.Errorf("a component with a history of its own takes %.0f bytes", apart)
	}
}
