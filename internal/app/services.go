// SPDX-License-Identifier: MIT

package app

import (
	"context"
	"time"

	"bos/internal/bootimage"
	"bos/internal/bos"
	"bos/internal/config"
	"bos/internal/decide"
	"bos/internal/observe"
	"bos/internal/operator"
	"bos/internal/sessionplan"
	"bos/internal/upstream/bss"
	"bos/internal/upstream/call"
	"bos/internal/upstream/cfs"
	"bos/internal/upstream/hsm"
	"bos/internal/upstream/ims"
	"bos/internal/upstream/pcs"
	"bos/internal/upstream/s3"
	"bos/internal/upstream/tapms"
)

// The names of the services that only the API needs.
const (
	serviceTAPMS = "tapms"
	serviceS3    = "s3"
)

// services are the clients of the services around BOS; those that the site does
// without are nil.
type services struct {
	all     map[string]*call.Service
	hsm     *hsm.Client
	pcs     *pcs.Client
	bss     *bss.Client
	cfs     *cfs.Client
	ims     *ims.Client
	tenants *tapms.Cache
	images  *bootimage.Reader
	power   *observe.Observer[decide.Power]
	config  *observe.Observer[decide.Config]
}

// addresses are where the services are.
type addresses struct {
	hsm, pcs, bss, cfs, ims, tapms string
	s3                             s3.Config
}

// addresses returns those of the simulated site, or the configured ones.
func (a *App) addresses() addresses {
	c := a.cfg
	if a.site != nil {
		u := a.site.URLs()
		return addresses{
			hsm: u.HSM, pcs: u.PCS, bss: u.BSS, cfs: u.CFS, ims: u.IMS, tapms: u.TAPMS,
			s3: s3.Config{Protocol: "http", Gateway: u.S3Endpoint, AccessKey: u.S3AccessKey, SecretKey: u.S3SecretKey},
		}
	}
	return addresses{
		hsm: c.HSMURL, pcs: c.PCSURL, bss: c.BSSURL, cfs: c.CFSURL, ims: c.IMSURL, tapms: c.TAPMSURL,
		s3: s3.Config{
			Protocol: c.S3Protocol, Gateway: c.S3Gateway, Region: c.S3Region,
			AccessKey: string(c.S3AccessKey), SecretKey: string(c.S3SecretKey),
		},
	}
}

// newServices makes the clients. It does no network I/O.
func newServices(a *App) (*services, error) {
	s := &services{all: map[string]*call.Service{}}
	where := a.addresses()
	seconds := func(read func(bos.Options) int) func() time.Duration {
		return func() time.Duration { return time.Duration(read(a.view.Options())) * time.Second }
	}
	add := func(name, url string, timeout func(bos.Options) int) *call.Service {
		service := call.New(call.Config{
			Name: name, BaseURL: url, TokenFile: a.cfg.TokenFile, Timeout: seconds(timeout), Logger: a.log,
			MaxBatch: func() int { return a.view.Options().MaxComponentBatchSize },
			Observe:  a.metrics.called, TimeScale: 1 / a.clock.Rate(), Insecure: a.cfg.InsecureSkipVerify, CAFile: a.cfg.CAFile,
			Transport: a.opts.Transport, Tracer: a.opts.Tracing.Tracer(),
		})
		s.all[name] = service
		return service
	}
	s.hsm = hsm.New(add(decide.ServiceHSM, where.hsm, func(o bos.Options) int { return o.HSMReadTimeout }))
	s.pcs = pcs.New(add(decide.ServicePCS, where.pcs, func(o bos.Options) int { return o.PCSReadTimeout }))
	s.bss = bss.New(add(decide.ServiceBSS, where.bss, func(o bos.Options) int { return o.BSSReadTimeout }))
	if config.Enabled(where.cfs) {
		s.cfs = cfs.New(add(decide.ServiceCFS, where.cfs, func(o bos.Options) int { return o.CFSReadTimeout }))
	}
	if config.Enabled(where.ims) {
		s.ims = ims.New(add(decide.ServiceIMS, where.ims, func(o bos.Options) int { return o.IMSReadTimeout }))
	}
	if config.Enabled(where.tapms) {
		s.tenants = tapms.NewCache(tapms.New(add(serviceTAPMS, where.tapms, func(o bos.Options) int { return o.HSMReadTimeout })), a.cfg.TenantCache)
	}
	where.s3.Logger, where.s3.Observe, where.s3.TimeScale = a.log, a.metrics.called, 1/a.clock.Rate()
	where.s3.Insecure, where.s3.CAFile, where.s3.Transport = a.cfg.InsecureSkipVerify, a.cfg.CAFile, a.opts.Transport
	where.s3.Tracer = a.opts.Tracing.Tracer()
	objects, err := s3.New(where.s3)
	if err != nil {
		return nil, err
	}
	s.all[serviceS3] = objects.Service()
	var records bootimage.Records
	if s.ims != nil {
		records = s.ims
	}
	s.images = bootimage.New(objects, records, a.log)
	s.observe(a)
	return s, nil
}

const (
	// powerChunk and configChunk are how many nodes one look is about.
	powerChunk  = 1000
	configChunk = 200
)

// How many looks may be under way at once, and how much of its time the service
// gets for each: PCS answers for 1,000 nodes in 10 ms, CFS for 200 in a few.
const (
	powerLooks    = 4
	powerSpacing  = 100 * time.Millisecond
	configLooks   = 2
	configSpacing = 20 * time.Millisecond
)

// observe makes the observers of power and configuration.
func (s *services) observe(a *App) {
	slowest := func() time.Duration { return a.view.Options().Polling() }
	s.power = observe.New(observe.Config[decide.Power]{
		Service: decide.ServicePCS, Chunk: powerChunk, Parallel: powerLooks, Spacing: powerSpacing,
		Revision: a.view.Revision, Slowest: slowest, Clock: a.clock, Log: a.log,
		Fetch: func(ctx context.Context, ids []string) (map[string]decide.Power, error) {
			list, err := s.pcs.PowerStatus(ctx, ids)
			out := make(map[string]decide.Power, len(list))
			for id, p := range list {
				out[id] = decide.Power{Found: p.Found, State: p.State, Error: p.Error}
			}
			return out, err
		},
	})
	if s.cfs == nil {
		return
	}
	s.config = observe.New(observe.Config[decide.Config]{
		Service: decide.ServiceCFS, Chunk: configChunk, Parallel: configLooks, Spacing: configSpacing,
		Revision: a.view.Revision, Slowest: slowest, Clock: a.clock, Log: a.log,
		Fetch: func(ctx context.Context, ids []string) (map[string]decide.Config, error) {
			list, err := s.cfs.Components(ctx, ids)
			out := make(map[string]decide.Config, len(list))
			for id, c := range list {
				out[id] = decide.Config{Found: true, Desired: c.DesiredConfig, Status: c.ConfigurationStatus}
			}
			return out, err
		},
	})
}

func (s *services) close() {
	for _, service := range s.all {
		service.Close()
	}
}

// deps is what the operators work with.
func (a *App) deps(holder string) *operator.Deps {
	s := a.services
	d := &operator.Deps{
		Store: a.store, View: a.view, Clock: a.clock, HSM: s.hsm, PCS: s.pcs, BSS: s.bss, Images: s.images,
		Power: s.power, Config: s.config, Holder: holder, Wall: a.opts.Wall, Log: a.log, Passes: a.metrics.passed, Leading: a.metrics.leads,
		Events: a.events, EventsBytes: int64(a.cfg.EventsMaxBytes), EventsKeep: a.cfg.EventsKeep,
		Tracer:   a.opts.Tracing.Tracer(),
		Services: map[string]operator.Service{},
		Limits:   decide.PowerLimits{PerSecond: a.cfg.PowerOnRate, InFlight: a.cfg.PowerOnInFlight},
	}
	// A nil pointer in an interface would not be nil.
	if s.cfs != nil {
		d.CFS = s.cfs
	}
	if s.ims != nil {
		d.IMS = s.ims
	}
	if s.tenants != nil {
		d.Tenants = s.tenants
	}
	for name, service := range s.all {
		d.Services[name] = service
	}
	return d
}

// planner makes dry runs of sessions, with the services that set-up asks.
func (a *App) planner() *sessionplan.Planner {
	s := a.services
	p := &sessionplan.Planner{
		Resolver: sessionplan.Resolver{HSM: s.hsm, Images: s.images}, PCS: s.pcs, View: a.view, Clock: a.clock,
	}
	// A nil pointer in an interface would not be nil.
	if s.cfs != nil {
		p.CFS = s.cfs
	}
	if s.tenants != nil {
		p.Tenants = s.tenants
	}
	return p
}
