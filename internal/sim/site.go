// SPDX-License-Identifier: MIT

package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Site is a simulated site. Its methods may be called by any goroutine.
type Site struct {
	cfg    Config
	t0     time.Time
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	wake   chan struct{}

	services map[string]*service
	objects  *objectStore
	calls    callLog

	// mu guards everything below, and the fields of what it points to.
	mu      sync.Mutex
	closed  bool
	ticking bool
	started bool
	seq     uint64
	events  events

	comps      []component
	nodes      []node
	bmcs       []bmc
	index      map[string]int32
	groups     []*group
	partitions []*group
	// broken counts the nodes with each kind of fault.
	broken map[FaultKind]int

	pcs     pcsState
	bss     bssState
	scn     scnState
	images  []*image
	tenants []tenant
	token   tokenCheck
	reports reporter
	judge   judge
	stats   Stats
}

// New returns a site as cfg describes it. It does no I/O and starts nothing:
// call [Site.Start] for real servers, or use [Site.Handler] or [Site.Transport]
// without. Close must be called in either case.
func New(cfg Config) *Site {
	s := &Site{
		cfg:    cfg.withDefaults(),
		t0:     time.Now(),
		wake:   make(chan struct{}, 1),
		broken: map[FaultKind]int{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.token.valid = cfg.BearerToken
	s.layOut()
	s.layOutGroups()
	s.layOutTenants()
	s.bss, s.judge = newBSSState(), newJudge()
	s.pcs.transitions = map[string]*transition{}
	s.stats.Calls = map[string]int{}
	s.objects = newObjectStore()
	s.layOutImages()
	s.services = map[string]*service{}
	for i, name := range Services() {
		s.services[name] = s.newService(name, i)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.injectRandomFaults()
	for i := range s.nodes {
		s.nodes[i].cached = s.sample(int32(i))
	}
	s.after(s.cfg.Delays.Sweep, s.beginSweep)
	return s
}

// Start starts one HTTP server for each service, and time. It fails where a
// port can't be had; what was started is stopped again then. A second call, and
// one after Close, is an error.
func (s *Site) Start() error {
	s.mu.Lock()
	refused := s.started || s.closed
	s.started = true
	s.mu.Unlock()
	if refused {
		return errors.New("start simulated site: it was started or closed before")
	}
	for _, name := range Services() {
		if err := s.services[name].port.up(); err != nil {
			s.Close()
			return fmt.Errorf("start simulated %s: %w", name, err)
		}
	}
	s.startClock()
	s.cfg.Logger.Info("simulated site started", slog.Int("nodes", s.cfg.Nodes), slog.String("hsm", s.URLs().HSM))
	return nil
}

// Close stops servers, nodes and time, and waits until all of it has ended.
// Calls that are still being answered are broken off. It may be called twice.
func (s *Site) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	for _, svc := range s.services {
		svc.port.close()
	}
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reports.own != nil {
		s.reports.own.CloseIdleConnections()
	}
}

// begin registers work that Close must wait for; false once the site is closed.
func (s *Site) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	return true
}

// sleep waits for d (already scaled), shorter where ctx or the site ends; it
// reports whether the whole time passed.
func (s *Site) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-s.ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// URLs are where the services of a site are. Before [Site.Start] they name hosts
// that only [Site.Transport] reaches.
type URLs struct {
	// HSM, PCS, BSS, CFS, IMS and TAPMS are base URLs as BOS takes them: with
	// the path of the API and without a trailing slash.
	HSM, PCS, BSS, CFS, IMS, TAPMS string
	// S3Endpoint is host and port, spoken to in plain HTTP and with the bucket in
	// the path. Any key is let in.
	S3Endpoint, S3AccessKey, S3SecretKey string
}

// URLs returns where the services are.
func (s *Site) URLs() URLs {
	base := func(name string) string { return "http://" + s.services[name].port.address() }
	return URLs{
		HSM:         base("hsm") + "/hsm/v2",
		PCS:         base("pcs"),
		BSS:         base("bss") + "/boot/v1",
		CFS:         base("cfs") + "/v3",
		IMS:         base("ims") + "/v3",
		TAPMS:       base("tapms") + "/v1alpha3",
		S3Endpoint:  s.services["s3"].port.address(),
		S3AccessKey: "simulated-access-key",
		S3SecretKey: "simulated-secret-key",
	}
}

// Handler returns the server of one of [Services] without a socket, and lets
// time pass from now on. An unknown service answers 404 to everything.
func (s *Site) Handler(name string) http.Handler {
	svc, ok := s.services[name]
	if !ok {
		return http.NotFoundHandler()
	}
	s.startClock()
	return svc
}

// Nodes returns the xnames of the compute nodes in natural order.
func (s *Site) Nodes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, s.cfg.Nodes)
	for i := range out {
		out[i] = s.comps[i].id
	}
	return out
}

// OtherNodes returns the xnames of the nodes that are not compute nodes: user
// access nodes first, then managers.
func (s *Site) OtherNodes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for i := s.cfg.Nodes; i < len(s.nodes); i++ {
		out = append(out, s.comps[i].id)
	}
	return out
}

// BootTime returns the real time (after scaling) that the hardware alone needs
// to boot these nodes together from off to the first report: power on and boot
// of the slowest one. Unknown nodes are ignored.
func (s *Site) BootTime(nodes []string) time.Duration {
	return s.slowest(nodes, func(i int32) time.Duration { return s.onDelay(i) + s.bootDelay(i) + s.reportDelay(i) })
}

// OffTime returns the real time that the slowest of these nodes needs for a
// graceful shutdown.
func (s *Site) OffTime(nodes []string) time.Duration {
	return s.slowest(nodes, s.softOffDelay)
}

// ConfigureTime returns the real time that CFS needs for the slowest of these
// nodes.
func (s *Site) ConfigureTime(nodes []string) time.Duration {
	return s.slowest(nodes, s.configureDelay)
}

// ReadyTime returns the real time that the slowest of these nodes needs from off
// until it has booted, reported and been configured.
func (s *Site) ReadyTime(nodes []string) time.Duration {
	return s.slowest(nodes, func(i int32) time.Duration {
		return s.onDelay(i) + s.bootDelay(i) + max(s.reportDelay(i), s.configureDelay(i))
	})
}

func (s *Site) slowest(nodes []string, takes func(int32) time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var worst time.Duration
	for _, x := range nodes {
		if i, ok := s.lookup(x); ok {
			worst = max(worst, takes(i))
		}
	}
	return worst
}
