// SPDX-License-Identifier: MIT

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOriginalFiguresBelongToRows(t *testing.T) {
	original, err := loadOriginal()
	if err != nil {
		t.Fatal(err)
	}
	units := map[string]string{}
	for _, r := range rows() {
		units[r.name] = r.unit
	}
	for _, f := range original.Figures {
		if units[f.Row] != f.Unit || f.Low > f.High || f.Low <= 0 || f.Nodes == 0 {
			t.Errorf("odd figure %+v; the row is in %q", f, units[f.Row])
		}
	}
	if original.Conditions == "" {
		t.Error("nobody knows how the original was measured")
	}
}

func TestResults(t *testing.T) {
	original, err := loadOriginal()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		nodes  int
		m      measured
		share  float64
		faster float64
		goal   string
		met    bool
	}{
		{"time beside a limit", 10000, measured{rowListAll, []float64{20, 10, 40}, []float64{10, 5, 10}}, 0.5, 32.65, "≥ 50% of the limit", true},
		{"each round has its neighbour", 500, measured{rowListAll, []float64{10, 100, 1000}, []float64{4, 40, 400}}, 0.4, 0, "≥ 50% of the limit", false},
		{"rate", 10000, measured{rowGetOne, []float64{8150}, []float64{10000}}, 0.815, 5, "≥ 70% of the limit", true},
		{"times", 10000, measured{rowPatchBulk, []float64{90}, []float64{45}}, 0.5, 0.7, "≤ 1.5x the limit's time", false},
		{"against the original", 10000, measured{rowListNone, []float64{1}, nil}, 0, 110, "≥ 100x the original", true},
		{"no original at this size", 1000, measured{rowListNone, []float64{1}, nil}, 0, 0, "", false},
		{"bound", 1000, measured{rowFirstOn, []float64{0.2}, nil}, 0, 80, "≤ 0.15 s", false},
		{"bound of a size", 100000, measured{rowMemory, []float64{650}, nil}, 0, 0, "≤ 700 MiB", true},
		{"over the hardware", 10000, measured{rowBoot, []float64{13}, []float64{12}}, 12.0 / 13, 0, "≤ limit + 1 s or 10%", true},
		{"nothing asked", 100000, measured{rowBoot, []float64{13}, []float64{12}}, 12.0 / 13, 0, "", false},
	} {
		got := results(c.nodes, []measured{c.m}, original)
		if len(got) != 1 {
			t.Errorf("%s: %d results", c.name, len(got))
			continue
		}
		r := got[0]
		near := func(a, b float64) bool { return a-b < 0.01 && b-a < 0.01 }
		if !near(r.Share, c.share) || !near(r.Faster, c.faster) || r.Goal != c.goal || (r.Met != nil && *r.Met) != c.met {
			t.Errorf("%s: share %g, faster %g, goal %q, met %v", c.name, r.Share, r.Faster, r.Goal, r.Met)
		}
	}
}

func TestFigure(t *testing.T) {
	if diff := cmp.Diff(Figure{Median: 2.5, Low: 1, High: 9, Rounds: 4}, figure([]float64{9, 1, 2, 3})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Figure{}, figure(nil)); diff != "" {
		t.Error(diff)
	}
}

func TestTable(t *testing.T) {
	original, err := loadOriginal()
	if err != nil {
		t.Fatal(err)
	}
	size := func(nodes int, took float64) Size {
		return Size{Nodes: nodes, Bytes: nodes * 2200, Hardware: 12, Notes: []string{"quiet"}, Rows: results(nodes, []measured{
			{rowListAll, []float64{took}, []float64{took / 1.5}}, {rowBoot, []float64{12.5}, []float64{12}}, {rowMemory, []float64{150}, nil},
		}, original)}
	}
	r := Report{Machine: "2 CPUs", Original: original, Sizes: []Size{size(1000, 1.5), size(10000, 15)}}
	var out bytes.Buffer
	if err := r.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"10,000 nodes, list of 22.0 MB, hardware needs 12.0 s to boot",
		"GET all components", "653 ms", "15.0 ms", "10.0 ms (bare handler)", "67%", "43.5x", "≥ 50% of the limit", "met",
		"12.0 s (hardware)", "note: quiet", "cost of a node", "1.5 µs", "500.0 µs", "153.6 KiB",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, &out)
		}
	}
	data, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(data), `"share_of_limit":0.66`) {
		t.Errorf("%s, %v", data, err)
	}
}

func TestAmounts(t *testing.T) {
	for v, want := range map[float64]string{1234567: "1,234,567", 999.6: "1,000", 123: "123", 12.34: "12.3", 1.234: "1.23", 0.1234: "0.123"} {
		if got := amount(v); got != want {
			t.Errorf("%g: %s", v, got)
		}
	}
}

func TestOnlyThisHost(t *testing.T) {
	for base, ok := range map[string]bool{
		"http://127.0.0.1:9000/apis/bos": true, "http://localhost:1": true, "http://[::1]:80": true, "https://127.1.2.3": true,
		"http://10.0.0.1": false, "http://api-gw.local/apis/bos": false, "http://localhost.evil.com": false, "127.0.0.1:9000": false, "ftp://127.0.0.1": false, "": false,
	} {
		if err := loopback(base); (err == nil) != ok {
			t.Errorf("%q: %v", base, err)
		}
	}
}

func TestConfigSaysAllFaults(t *testing.T) {
	cfg := Config{Nodes: []int{1, 2}, URL: "http://bos.example", Site: "x", TimeScale: 2}
	err := cfg.Validate()
	for _, want := range []string{"nodes: must be 10", "url:", "one size only", "site:", "time-scale", "rounds", "calls"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing: %v", want, err)
		}
	}
	if report, err := Run(t.Context(), cfg); err == nil || len(report.Sizes) != 0 {
		t.Errorf("it ran: %+v", report)
	}
}

func TestUsage(t *testing.T) {
	u, err := parseUsage([]byte("Name:\tbosd\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\nRssAnon:\t   51200 kB\nRssFile:\t   51200 kB\n"))
	if err != nil || u != (usage{resident: 100, peak: 200, anonymous: 50, file: 50}) {
		t.Errorf("%+v, %v", u, err)
	}
	for _, bad := range []string{"", "VmRSS: much kB\n"} {
		if _, err := parseUsage([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if u, err := memoryOf(os.Getpid()); err != nil || u.resident <= 0 {
		t.Errorf("this process: %+v, %v", u, err)
	}
}

func TestRate(t *testing.T) {
	var done atomic.Int64
	perSecond, err := rate(t.Context(), 4, 103, func(_ context.Context, worker, i int) error {
		if i%4 != worker {
			t.Errorf("worker %d got %d", worker, i)
		}
		done.Add(1)
		return nil
	})
	if err != nil || perSecond <= 0 || done.Load() != 103 {
		t.Errorf("%g a second, %d done, %v", perSecond, done.Load(), err)
	}
	fault := errors.New("no")
	if _, err := rate(t.Context(), 4, 100, func(context.Context, int, int) error { return fault }); !errors.Is(err, fault) {
		t.Errorf("%v", err)
	}
}

func TestInTurn(t *testing.T) {
	var order string
	step := func(name string, value float64) func() (float64, error) {
		return func() (float64, error) {
			order += name
			return value, nil
		}
	}
	m, err := inTurn("x", 2, step("a", 1), step("b", 2))
	if err != nil || order != "ababab" || len(m.ours) != 2 || len(m.limit) != 2 {
		t.Errorf("%s, %+v, %v", order, m, err)
	}
}

func TestBareHandler(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- ServeBare(ctx, out) }()
	line := make([]byte, 100)
	n, err := in.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	bare := newTarget("bare", strings.TrimSpace(strings.TrimPrefix(string(line[:n]), barePrefix)))
	defer bare.close()
	if err := bare.send(ctx, http.MethodPut, "/v2/x", []byte(`[1,2]`)); err != nil {
		t.Fatal(err)
	}
	if got, err := bare.get(ctx, "/v2/x"); err != nil || string(got) != "[1,2]" {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := bare.get(ctx, "/other"); !refused(err, http.StatusNotFound) {
		t.Errorf("%v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRawStore(t *testing.T) {
	ids := fleetIDs(150)
	r, err := openRaw(t.Context(), t.TempDir(), ids, document(ids), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	}()
	if took, err := r.series(t.Context(), 150); err != nil || took <= 0 {
		t.Errorf("series: %g, %v", took, err)
	}
	if perSecond, err := r.singles(t.Context(), 320); err != nil || perSecond <= 0 {
		t.Errorf("singles: %g, %v", perSecond, err)
	}
}

func TestFleet(t *testing.T) {
	ids := fleetIDs(5000)
	seen := map[string]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	if len(seen) != len(ids) || ids[4999] == "" {
		t.Errorf("%d names for %d components", len(seen), len(ids))
	}
	c := document(ids)(0, 1)
	if size := len(c.AppendView(nil)); size < 2000 || size > 2600 {
		t.Errorf("a component has %d bytes; the original's had some 2,200", size)
	}
}
