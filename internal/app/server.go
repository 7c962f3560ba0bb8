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

	"bos/internal/api"
)

// newHandler makes the handler of the API.
func (a *App) newHandler() (http.Handler, error) {
	cfg := api.Config{
		Store: a.store, View: a.view, Clock: a.clock, Images: a.services.images,
		Prefix: a.cfg.Prefix, ProxyPath: a.cfg.ProxyPath, Log: a.log,
		Metrics: promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}),
		Observe: a.metrics.answered,
	}
	if a.services.tenants != nil {
		cfg.Tenants = a.services.tenants
	}
	return api.New(cfg)
}

// listen starts the HTTP server. Until serve is called it says that the store is
// not there yet.
func (a *App) listen(ctx context.Context) error {
	var err error
	a.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", a.cfg.Listen, err)
	}
	starting := api.Starting(a.cfg.Prefix)
	a.serving.Store(&starting)
	a.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			(*a.serving.Load()).ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: a.cfg.ReadHeaderTimeout,
		ReadTimeout:       a.cfg.ReadTimeout,
		WriteTimeout:      a.cfg.WriteTimeout,
		IdleTimeout:       a.cfg.IdleTimeout,
		MaxHeaderBytes:    a.cfg.MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	a.running.Go(func() {
		if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			a.fail(fmt.Errorf("serve on %s: %w", a.Addr(), err))
		}
	})
	return nil
}

// serve lets the API answer.
func (a *App) serve() {
	a.serving.Store(&a.handler)
	if a.site != nil {
		a.site.SetBOS(a.URL(), nil)
	}
	a.log.Info("the API is served", slog.String("address", a.Addr()), slog.String("prefix", a.cfg.Prefix))
}
