// SPDX-License-Identifier: MIT

package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"bos/internal/admission"
	"bos/internal/api"
	"bos/internal/web"
)

// newHandler makes the handler of the API, with the dashboard, or of what a process
// without an API serves.
func (a *App) newHandler() (http.Handler, error) {
	cfg := api.Config{
		Store: a.store, View: a.view, Clock: a.clock, Images: a.services.images,
		Prefix: a.cfg.Prefix, ProxyPath: a.cfg.ProxyPath, Log: a.log,
		Metrics: promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}),
		Observe: a.metrics.answered, Now: a.opts.Wall, Explain: a.explain, Plan: a.planner().Plan, Events: a.events, Closing: a.closing,
	}
	if a.services.tenants != nil {
		cfg.Tenants = a.services.tenants
	}
	if err := a.guard.apply(&cfg, a.cfg); err != nil {
		return nil, err
	}
	answers, err := api.New(cfg)
	if err != nil {
		return nil, err
	}
	answers = a.opts.Tracing.Handler(answers)
	if a.opts.NoAPI {
		return api.Probes(answers), nil
	}
	pages := web.Config{API: answers, Prefix: a.cfg.Prefix, Version: a.opts.Version, Log: a.log}
	if cfg.Access != nil {
		pages.Access = cfg.Access
	}
	handler, err := web.New(pages)
	if err != nil {
		return nil, fmt.Errorf("make the dashboard: %w", err)
	}
	return handler, nil
}

// listen starts the HTTP server. Until serve is called it says that the store is
// not there yet.
func (a *App) listen(ctx context.Context) error {
	var err error
	address, starting := a.cfg.Listen, api.Starting(a.cfg.Prefix)
	if a.opts.NoAPI {
		address, starting = a.cfg.MetricsListen, api.Probes(starting)
	}
	a.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	a.bounded = admission.NewListener(a.listener, admission.Bounds{
		Connections: a.cfg.Limits.MaxConnections, HeaderBytes: int64(a.cfg.Limits.MaxHeadersBytes),
		HeaderTime: a.cfg.ReadHeaderTimeout, Encrypted: a.cfg.TLS(), Refused: a.guard.refuse,
	})
	a.serving.Store(&starting)
	// One request on a connection at a time: the bounds are of connections.
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	a.server = &http.Server{
		Handler: a.bounded.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			(*a.serving.Load()).ServeHTTP(w, r)
		})),
		ConnContext:       a.bounded.ConnContext,
		ConnState:         a.bounded.ConnState,
		Protocols:         protocols,
		ReadHeaderTimeout: a.cfg.ReadHeaderTimeout,
		ReadTimeout:       a.cfg.ReadTimeout,
		WriteTimeout:      a.cfg.WriteTimeout,
		IdleTimeout:       a.cfg.IdleTimeout,
		MaxHeaderBytes:    a.cfg.MaxHeaderBytes + headerSlack,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	serve := a.server.Serve
	if a.guard.certs != nil {
		a.server.TLSConfig = a.guard.certs.Config()
		serve = func(l net.Listener) error { return a.server.ServeTLS(l, "", "") }
	}
	a.running.Go(func() {
		if err := serve(a.bounded); !errors.Is(err, http.ErrServerClosed) {
			a.fail(fmt.Errorf("serve on %s: %w", a.Addr(), err))
		}
	})
	return nil
}

// serve lets the API answer, or metrics and probes where there is none.
func (a *App) serve(run context.Context) {
	a.serving.Store(&a.handler)
	if a.opts.NoAPI {
		a.log.Info("metrics and probes are served", slog.String("address", a.Addr()))
		return
	}
	if a.site != nil {
		a.serveSite(run)
	}
	a.warn()
	a.log.Info("the API is served", slog.String("address", a.Addr()), slog.String("prefix", a.cfg.Prefix),
		slog.String("dashboard", a.Dashboard()))
}
