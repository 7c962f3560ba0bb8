// SPDX-License-Identifier: MIT

// Package outage takes one service after the other away in the midst of a
// reboot, in every way in which services go away, and looks at what the API
// answers meanwhile and what becomes of the nodes.
package outage_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"bos/internal/sim"
	"bos/test/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

const (
	everydayNodes = 20
	// everydaySeconds is how long an outage takes every day; make outage-test has
	// a minute.
	everydaySeconds = 6
	timeScale       = 0.05
	// readTimeout is the option of every service's time-out, in seconds; s3Timeout
	// is that of S3, which has none.
	readTimeout = 10
	s3Timeout   = 60 * time.Second
	// prompt is how soon the API answers whatever needs no service.
	prompt = time.Second
	// resumed is how soon work goes on when the service is back.
	resumed = 5 * time.Second
	// leniency is how many times as long both may take every day, on machines
	// that are busy with other things.
	leniency = 4
)

// outages are the ways in which a service goes away.
func outages() map[string]sim.ServiceFault {
	return map[string]sim.ServiceFault{
		"refused": {Kind: sim.ServiceDown},
		"hanging": {Kind: sim.ServiceHang},
		"failing": {Kind: sim.ServiceStatus, Status: http.StatusInternalServerError},
		"garbage": {Kind: sim.ServiceGarbage},
		"slow":    {Kind: sim.ServiceSlow, Delay: time.Duration(float64(10*time.Second) / timeScale)},
	}
}

// everyday is the outage of each service that is tried every day.
func everyday() map[string]string {
	return map[string]string{
		"hsm": "garbage", "pcs": "hanging", "bss": "failing", "cfs": "refused", "ims": "slow", "s3": "refused", "tapms": "failing",
	}
}

func TestOutages(t *testing.T) {
	whole := os.Getenv("TEST_OUTAGE_ALL") != ""
	for _, service := range sim.Services() {
		for name, fault := range outages() {
			if !whole && everyday()[service] != name {
				continue
			}
			t.Run(service+" "+name, func(t *testing.T) {
				t.Parallel()
				outage(t, service, fault)
			})
		}
	}
}

// fleet is a server, a site, and what the API was asked during an outage.
type fleet struct {
	t    *testing.T
	site *sim.Site
	api  *rig.API

	mu      sync.Mutex
	asked   int
	slowest time.Duration
}

func start(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, site: rig.Site(t, sim.Config{Nodes: rig.Number(t, "TEST_OUTAGE_NODES", everydayNodes), TimeScale: timeScale, PoweredOn: true})}
	address := rig.Address(t)
	args, environ := rig.SiteArgs(f.site)
	p := rig.New(t, "bosd", environ, append([]string{"serve", "--listen", address, "--data-dir", t.TempDir()}, args...)...)
	f.api = rig.NewAPI(t, address)
	f.site.SetBOS("http://"+address, nil)
	p.Start()
	f.api.Ready(0)
	f.api.Until(time.Minute, "the nodes are discovered", func() error {
		var found []any
		if f.api.Get("/v2/components", &found); len(found) < len(f.site.Nodes()) {
			return fmt.Errorf("%d of %d", len(found), len(f.site.Nodes()))
		}
		return nil
	})
	options := map[string]any{"default_retry_policy": 1}
	for _, service := range []string{"bss", "cfs", "hsm", "ims", "pcs"} {
		options[service+"_read_timeout"] = readTimeout
	}
	f.api.Do(http.MethodPatch, "/v2/options", options)
	return f
}

func (f *fleet) template() map[string]any {
	return map[string]any{
		"cfs": map[string]any{"configuration": "configuration"},
		"boot_sets": map[string]any{"all": map[string]any{
			"type": "s3", "path": f.site.Images()[0].ManifestPath, "node_list": f.site.Nodes(),
			"rootfs_provider": "sbps", "rootfs_provider_passthrough": "sbps:v1:iqn.2023-06.csm.iscsi:_sbps-hsn._tcp.sys.example.com:300",
		}},
	}
}

// outage takes a service away in the midst of a reboot.
func outage(t *testing.T, service string, fault sim.ServiceFault) {
	f := start(t)
	f.api.Do(http.MethodPut, "/v2/sessiontemplates/all", f.template())
	begun := time.Now()
	f.api.Do(http.MethodPost, "/v2/sessions", map[string]any{"name": "reboot", "operation": "reboot", "template_name": "all"})
	if service != "hsm" && service != "s3" {
		// Set-up is over once the first node is told to go off; those two are wanted
		// during it.
		f.api.Until(time.Minute, "the first command", func() error {
			if f.site.Stats().Transitions == 0 {
				return errors.New("none yet")
			}
			return nil
		})
	}
	f.site.InjectService(service, fault)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asking sync.WaitGroup
	asking.Go(func() { f.promptly(ctx) })
	asking.Go(func() { f.dependently(service) })
	shown := f.shows(service)
	seconds := rig.Number(t, "TEST_OUTAGE_SECONDS", everydaySeconds)
	time.Sleep(time.Duration(seconds) * time.Second)
	healed := time.Now()
	f.site.InjectService(service, sim.ServiceFault{})
	resumedAfter := f.resumes(service, healed, f.limit(resumed))
	cancel()
	asking.Wait()
	f.finished(begun)
	f.mu.Lock()
	defer f.mu.Unlock()
	t.Logf("away for %d s (%s): %d prompt answers, the slowest after %v; work went on %s after it was back; the session took %v",
		seconds, shown, f.asked, f.slowest.Round(time.Millisecond), resumedAfter, time.Since(begun).Round(time.Millisecond))
}

// shows waits until nodes, or the session, wait for a service and say so: before
// that it is not missed, and when it is back there is nothing to go on with.
func (f *fleet) shows(service string) string {
	begun := time.Now()
	for time.Since(begun) < 45*time.Second {
		for _, path := range []string{"/v2/components?session=reboot", "/v2/sessions/reboot"} {
			if strings.Contains(string(f.api.Do(http.MethodGet, path, nil).Body), "waiting for "+service) {
				return "shown after " + time.Since(begun).Round(time.Millisecond).String()
			}
		}
		if f.complete() {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "never missed"
}

// limit is a time that is to be kept, with leniency on ordinary days.
func (f *fleet) limit(d time.Duration) time.Duration {
	return d * time.Duration(rig.Number(f.t, "TEST_OUTAGE_LENIENCY", leniency))
}

// promptly asks again and again for what needs no service.
func (f *fleet) promptly(ctx context.Context) {
	requests := []struct {
		method, path string
		body         any
	}{
		{http.MethodGet, "/v2/components?page_size=100", nil}, {http.MethodGet, "/v2/sessions", nil}, {http.MethodGet, "/v2/sessions/reboot/status", nil},
		{http.MethodGet, "/v2/sessiontemplates", nil}, {http.MethodGet, "/v2/options", nil}, {http.MethodGet, "/v2/healthz", nil},
		{http.MethodGet, "/readyz", nil}, {http.MethodPut, "/v2/components/other", map[string]any{"enabled": false}},
		{http.MethodPatch, "/v2/components/other", map[string]any{"retry_policy": 1}},
		{http.MethodPatch, "/v2/options", map[string]any{"clear_stage": false}},
	}
	for n := 0; ctx.Err() == nil; n++ {
		r := requests[n%len(requests)]
		asked := time.Now()
		a, err := f.api.Ask(context.WithoutCancel(ctx), 0, r.method, r.path, r.body)
		took := time.Since(asked)
		if n < len(requests) && r.method == http.MethodPatch && a.Status == http.StatusNotFound {
			continue
		}
		if err != nil || !a.OK() {
			f.t.Errorf("%s %s: %d %.200s, %v", r.method, r.path, a.Status, a.Body, err)
			return
		}
		if took > f.limit(prompt) {
			f.t.Errorf("%s %s took %v", r.method, r.path, took)
		}
		f.mu.Lock()
		f.asked++
		f.slowest = max(f.slowest, took)
		f.mu.Unlock()
		time.Sleep(20 * time.Millisecond)
	}
}

// dependently asks for what needs the service: the answer comes within its
// time-out, and it is either good or names the service.
func (f *fleet) dependently(service string) {
	timeout := readTimeout * time.Second
	request := struct {
		tenant, method, path string
		body                 any
	}{"", http.MethodPut, "/v2/sessiontemplates/other", f.template()}
	switch service {
	case "s3":
		timeout = s3Timeout
	case "tapms":
		request.tenant, request.method, request.path, request.body = "blue", http.MethodGet, "/v2/components", nil
	case "ims":
	default:
		// Nothing that the API does needs it.
		return
	}
	asked := time.Now()
	a, err := f.api.As(request.tenant, 3*time.Minute).Ask(context.Background(), 0, request.method, request.path, request.body)
	took := time.Since(asked)
	// A template is looked at in several steps.
	if limit := 2*timeout + f.limit(prompt); err != nil || took > limit {
		f.t.Errorf("%s %s took %v, %v", request.method, request.path, took, err)
	}
	named := a.Status == http.StatusServiceUnavailable && strings.Contains(strings.ToLower(string(a.Body)), service)
	if !a.OK() && !named {
		f.t.Errorf("%s %s: %d %.300s", request.method, request.path, a.Status, a.Body)
	}
	f.t.Logf("%s %s: %d after %v %.160s", request.method, request.path, a.Status, took.Round(time.Millisecond), pick(a.OK(), "", string(a.Body)))
}

func pick(cond bool, yes, no string) string {
	if cond {
		return yes
	}
	return no
}

// resumes waits until the service is asked again and answers. One that nobody
// needs any more need not be asked.
func (f *fleet) resumes(service string, healed time.Time, limit time.Duration) string {
	if service == "s3" || service == "ims" || service == "tapms" {
		// They may be wanted by nobody at the moment.
		return "(not looked at)"
	}
	for time.Since(healed) < limit {
		log := f.site.Log()
		for i := len(log) - 1; i >= 0 && log[i].Time.After(healed); i-- {
			if log[i].Service == service && log[i].Status != 0 && log[i].Status < http.StatusInternalServerError {
				return log[i].Time.Sub(healed).Round(time.Millisecond).String()
			}
		}
		if f.complete() {
			return "(it was over)"
		}
		time.Sleep(20 * time.Millisecond)
	}
	f.t.Errorf("%s is not asked within %v after it is back", service, limit)
	return "not"
}

func (f *fleet) complete() bool {
	var s struct {
		Status struct{ Status, Error string }
	}
	f.api.Get("/v2/sessions/reboot", &s)
	// While it is pending its error says what it waits for.
	if s.Status.Status == "complete" && s.Status.Error != "" {
		f.t.Fatalf("the session failed: %s", s.Status.Error)
	}
	return s.Status.Status == "complete"
}

// finished waits for the session's end: every node is there, with one attempt,
// and the site has nothing to complain about.
func (f *fleet) finished(begun time.Time) {
	f.t.Helper()
	f.api.Until(4*time.Minute, "the session is complete", func() error {
		if !f.complete() {
			return errors.New("it is not")
		}
		return nil
	})
	var nodes []struct {
		ID     string
		Error  string
		Status struct{ Status string }
		Events struct {
			On  int `json:"power_on_attempts"`
			Off int `json:"power_off_graceful_attempts"`
		} `json:"event_stats"`
	}
	f.api.Get("/v2/components?session=reboot", &nodes)
	if len(nodes) != len(f.site.Nodes()) {
		f.t.Errorf("%d nodes are in the session, not %d", len(nodes), len(f.site.Nodes()))
	}
	for _, n := range nodes {
		if n.Status.Status != "stable" || n.Error != "" {
			f.t.Errorf("%s is %s: %s", n.ID, n.Status.Status, n.Error)
		}
		if state, _ := f.site.Node(n.ID); !state.Up || state.Kernel == "" {
			f.t.Errorf("%s is not up: %+v", n.ID, state)
		}
	}
	sent := map[string]int{}
	for _, call := range f.site.Log() {
		if call.Operation == "" || call.Time.Before(begun) || call.Status == 0 || call.Status >= http.StatusBadRequest {
			continue
		}
		for _, node := range call.Nodes {
			sent[node+" "+call.Operation]++
		}
	}
	for what, n := range sent {
		if n > 1 {
			f.t.Errorf("%s was sent %d times", what, n)
		}
	}
	for i, v := range f.site.Violations() {
		if i < 10 {
			f.t.Errorf("%s %s: %s", v.Rule, v.Node, v.Detail)
		}
	}
}
