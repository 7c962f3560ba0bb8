// SPDX-License-Identifier: MIT

package sim

import (
	"encoding/json"
	"net/http"
	"runtime"
	"testing"
	"time"
)

func BenchmarkNew100k(b *testing.B) {
	for b.Loop() {
		New(Config{Nodes: 100000}).Close()
	}
}

func BenchmarkPowerStatus1000Of100k(b *testing.B) {
	site := newBench(b, Config{Nodes: 100000})
	body, err := json.Marshal(map[string]any{"xname": site.Nodes()[50000:51000]})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if a := site.pcs("POST", "/power-status", string(body)); a.status != http.StatusOK {
			b.Fatal(a.status)
		}
	}
}

// TestLargeSite bounds what a site of 100,000 nodes costs.
func TestLargeSite(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	b := newBench(t, Config{Nodes: 100000, Faults: FaultsSome})
	took := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	// The race detector slows everything down; these bounds hold with it.
	if took > 5*time.Second {
		t.Errorf("building took %s", took)
	}
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 200<<20 {
		t.Errorf("the site takes %d MB", used>>20)
	}
	if got := runtime.NumGoroutine(); got > 100 {
		t.Errorf("%d goroutines", got)
	}
	if n := len(b.Nodes()); n != 100000 {
		t.Errorf("%d nodes", n)
	}
}
