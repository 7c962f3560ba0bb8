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

// BenchmarkPowerOn measures how soon PCS is told to switch on nodes that are
// off, at a site in real time whose services answer at once: what is measured is
// BOS. It reports the time from the POST of the session to PCS's first and last
// command (first-on-ms, all-on-ms) and until the session says running
// (running-ms), and what the whole process, the simulated site included, used of
// the processors (cpu-us/node). Run it with -benchtime 1x: an iteration begins
// with an empty store.
func BenchmarkPowerOn(b *testing.B) {
	for _, nodes := range []int{1, 100, 1_000, 3_000, 10_000, 30_000, 100_000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			for b.Loop() {
				powerOn(b, nodes)
			}
		})
	}
}

func powerOn(b *testing.B, nodes int) {
	b.StopTimer()
	r := newBoot(b, sim.Config{Nodes: nodes, Seed: 1, Delays: sim.Delays{BSSPerHost: -1}})
	defer r.stop()
	b.StartTimer()
	r.post()
	r.until("all nodes are told to switch on", func() bool {
		told := 0
		for _, call := range r.ons() {
			told += len(call.Nodes)
		}
		return told >= nodes
	})
	b.StopTimer()
	r.report()
	b.StartTimer()
}

// BenchmarkBoot boots a site of nodes that are off, in quick motion, until the
// session is complete. Beside what [BenchmarkPowerOn] reports there are how much
// longer the boot took than its hardware alone (beyond-ms) and the requests that
// the services got (calls/node).
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
	r := newBoot(b, sim.Config{Nodes: nodes, Seed: 1, TimeScale: scale})
	defer r.stop()
	b.StartTimer()
	r.post()
	r.until("the session is complete", func() bool { return r.state() == bos.SessionComplete })
	took := time.Since(r.begun)
	b.StopTimer()
	ids := r.site.Nodes()
	b.ReportMetric(ms(took-r.site.BootTime(ids)-r.site.ConfigureTime(ids)), "beyond-ms")
	r.report()
	stable := r.app.View().StatusCounts()[bos.StatusStable]
	if enabled := len(r.app.View().EnabledIDs()); stable < nodes || enabled > 0 {
		b.Errorf("%d of %d nodes are stable, %d enabled", stable, nodes, enabled)
	}
	b.StartTimer()
}

// bootRun is a BOS and a site of nodes that are off.
type bootRun struct {
	*client
	b    *testing.B
	site *sim.Site
	app  *app.App
	// begun is when the session was posted, used what the process had used then.
	begun   time.Time
	used    time.Duration
	running time.Duration
}

func newBoot(b *testing.B, site sim.Config) *bootRun {
	r := &bootRun{b: b, site: sim.New(site)}
	if err := r.site.Start(); err != nil {
		b.Fatal(err)
	}
	cfg := config.Default()
	cfg.Listen, cfg.DataDir, cfg.TimeScale = "127.0.0.1:0", b.TempDir(), max(site.TimeScale, 0)
	if cfg.TimeScale == 0 {
		cfg.TimeScale = 1
	}
	var err error
	if r.app, err = app.Start(context.Background(), cfg, app.Options{Site: r.site}); err != nil {
		b.Fatal(err)
	}
	r.client = &client{b: b, url: r.app.URL()}
	r.until("the nodes are known", func() bool { return r.app.View().Len() >= len(r.site.Nodes()) })
	image := r.site.Images()[0]
	r.do(http.MethodPut, "/v2/sessiontemplates/boot", fmt.Sprintf(`{"enable_cfs":true,"cfs":{"configuration":"compute"},
		"boot_sets":{"compute":{"type":"s3","path":%q,"etag":%q,"node_roles_groups":["Compute"],
		"kernel_parameters":"console=ttyS0 quiet"}}}`, image.ManifestPath, image.ETag))
	// A machine that is slower than its simulated hardware is not what is
	// measured: nobody loses patience, and nobody looks for new nodes again and
	// again.
	r.do(http.MethodPatch, "/v2/options",
		`{"max_power_on_wait_time":1000000,"max_boot_wait_time":1000000,"discovery_frequency":1000000}`)
	runtime.GC()
	return r
}

func (r *bootRun) stop() {
	if err := r.app.Stop(context.Background()); err != nil {
		r.b.Error(err)
	}
	r.site.Close()
}

// post creates the session.
func (r *bootRun) post() {
	r.used, r.begun = cpu(), time.Now()
	r.do(http.MethodPost, "/v2/sessions", `{"name":"boot","operation":"boot","template_name":"boot"}`)
}

// state returns the session's state and notes when it runs.
func (r *bootRun) state() bos.SessionState {
	s, ok := r.app.View().Session(bos.SessionKey{Name: "boot"})
	if !ok {
		return ""
	}
	if r.running == 0 && s.Session.Status.Status != bos.SessionPending {
		r.running = time.Since(r.begun)
	}
	return s.Session.Status.Status
}

// ons returns the calls that told PCS to switch nodes on.
func (r *bootRun) ons() []sim.Call {
	r.state()
	var ons []sim.Call
	for _, call := range r.site.Log() {
		if call.Operation == "On" {
			ons = append(ons, call)
		}
	}
	return ons
}

// report reports what a boot took.
func (r *bootRun) report() {
	used := cpu() - r.used
	nodes := float64(len(r.site.Nodes()))
	ons := r.ons()
	r.b.ReportMetric(ms(ons[0].Time.Sub(r.begun)), "first-on-ms")
	r.b.ReportMetric(ms(ons[len(ons)-1].Time.Sub(r.begun)), "all-on-ms")
	r.b.ReportMetric(ms(r.running), "running-ms")
	r.b.ReportMetric(float64(used.Microseconds())/nodes, "cpu-us/node")
	calls := 0
	for _, n := range r.site.Stats().Calls {
		calls += n
	}
	r.b.ReportMetric(float64(calls)/nodes, "calls/node")
	counts(r.b, r.app, r.site)
	for _, call := range r.site.Log() {
		if at := call.Time.Sub(r.begun); at > 0 && call.Time.Before(ons[0].Time) {
			r.b.Logf("%8.1f ms %s %s %s, %.1f ms", ms(at), call.Service, call.Method, call.Path, ms(call.Duration))
		}
	}
	if v := r.site.Violations(); len(v) > 0 {
		r.b.Errorf("%d violations, the first: %+v", len(v), v[0])
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

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
