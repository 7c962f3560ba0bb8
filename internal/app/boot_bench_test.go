// SPDX-License-Identifier: MIT

package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"bos/internal/app"
	"bos/internal/bos"
	"bos/internal/config"
	"bos/internal/sim"
)

// BenchmarkBoot boots a site of nodes that are off, in quick motion, and
// reports what BOS itself takes of it. One iteration is one whole boot, store,
// site and all from nothing: run it with -benchtime 1x.
//
//   - first-on-ms and all-on-ms: from the POST of the session to PCS's first
//     and last command;
//   - running-ms: from the POST until the session says running;
//   - beyond-ms: how much longer the boot took than its hardware alone;
//   - cpu-us/node: of the whole process, the simulated site included;
//   - calls/node: requests that the services got.
func BenchmarkBoot(b *testing.B) {
	for _, scale := range []float64{0.01, 0.1} {
		for _, nodes := range []int{1_000, 3_000, 10_000, 30_000, 100_000} {
			b.Run(fmt.Sprintf("scale=%v/nodes=%d", scale, nodes), func(b *testing.B) {
				for b.Loop() {
					boot(b, nodes, scale)
				}
			})
		}
	}
}

func boot(b *testing.B, nodes int, scale float64) {
	b.StopTimer()
	site := sim.New(sim.Config{Nodes: nodes, Seed: 1, TimeScale: scale})
	defer site.Close()
	if err := site.Start(); err != nil {
		b.Fatal(err)
	}
	cfg := config.Default()
	cfg.Listen, cfg.DataDir, cfg.TimeScale = "127.0.0.1:0", b.TempDir(), scale
	a, err := app.Start(context.Background(), cfg, app.Options{Site: site})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := a.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	}()
	c := &client{b: b, url: a.URL()}
	c.until("the nodes are known", func() bool { return a.View().Len() >= nodes })
	c.do(http.MethodPut, "/v2/sessiontemplates/boot", fmt.Sprintf(`{"enable_cfs":true,"cfs":{"configuration":"compute"},
		"boot_sets":{"compute":{"type":"s3","path":%q,"etag":%q,"node_roles_groups":["Compute"],
		"kernel_parameters":"console=ttyS0 quiet"}}}`, site.Images()[0].ManifestPath, site.Images()[0].ETag))
	// A machine that is slower than its simulated hardware is not what is
	// measured: nobody loses patience.
	c.do(http.MethodPatch, "/v2/options", `{"max_power_on_wait_time":1000000,"max_boot_wait_time":1000000}`)
	runtime.GC()
	before := cpu()
	b.StartTimer()
	begun := time.Now()
	c.do(http.MethodPost, "/v2/sessions", `{"name":"boot","operation":"boot","template_name":"boot"}`)
	key := bos.SessionKey{Name: "boot"}
	var running time.Duration
	c.until("the session is complete", func() bool {
		s, ok := a.View().Session(key)
		if !ok {
			return false
		}
		if running == 0 && s.Session.Status.Status != bos.SessionPending {
			running = time.Since(begun)
		}
		return s.Session.Status.Status == bos.SessionComplete
	})
	took := time.Since(begun)
	b.StopTimer()
	report(b, a, site, begun, took, running, cpu()-before)
	b.StartTimer()
}

func report(b *testing.B, a *app.App, site *sim.Site, begun time.Time, took, running, used time.Duration) {
	ids := site.Nodes()
	var first, last time.Duration
	for _, call := range site.Log() {
		if call.Operation != "On" {
			continue
		}
		if at := call.Time.Sub(begun); first == 0 {
			first, last = at, at
		} else {
			last = at
		}
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(first), "first-on-ms")
	b.ReportMetric(ms(last), "all-on-ms")
	b.ReportMetric(ms(running), "running-ms")
	b.ReportMetric(ms(took-site.BootTime(ids)-site.ConfigureTime(ids)), "beyond-ms")
	b.ReportMetric(float64(used.Microseconds())/float64(len(ids)), "cpu-us/node")
	calls := 0
	for _, n := range site.Stats().Calls {
		calls += n
	}
	b.ReportMetric(float64(calls)/float64(len(ids)), "calls/node")
	counts(b, a, site)
	up := 0
	for _, id := range ids {
		if rec := a.View().Record(id); rec != nil && rec.Component.StatusNow() == bos.StatusStable {
			up++
		}
	}
	if up != len(ids) {
		b.Errorf("%d of %d nodes are stable", up, len(ids))
	}
	for _, v := range site.Violations() {
		b.Errorf("violation: %+v", v)
		break
	}
}

// counts logs how many passes the operators made and which calls the services
// got.
func counts(b *testing.B, a *app.App, site *sim.Site) {
	families, err := a.Registry().Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "bos_operator_pass_seconds" && f.GetName() != "bos_upstream_call_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := make([]string, 0, len(m.GetLabel()))
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			h := m.GetHistogram()
			b.Logf("%s %s: %d in %.0f ms", f.GetName(), strings.Join(labels, " "), h.GetSampleCount(), 1000*h.GetSampleSum())
		}
	}
	calls := site.Stats().Calls
	for _, name := range sim.Services() {
		b.Logf("calls to %s: %d", name, calls[name])
	}
}

// cpu is what this process has used of the processors.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type client struct {
	b   *testing.B
	url string
}

func (c *client) do(method, path, body string) []byte {
	c.b.Helper()
	r, err := http.NewRequest(method, c.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		c.b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.b.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		c.b.Fatal(err)
	}
	if res.StatusCode >= 300 {
		var problem struct{ Detail string }
		_ = json.Unmarshal(data, &problem)
		c.b.Fatalf("%s %s: %d %s", method, path, res.StatusCode, problem.Detail)
	}
	return data
}

// until waits for something, for at most ten minutes.
func (c *client) until(what string, done func() bool) {
	c.b.Helper()
	for end := time.Now().Add(10 * time.Minute); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			c.b.Fatalf("%s: not after 10 minutes", what)
		}
	}
}
