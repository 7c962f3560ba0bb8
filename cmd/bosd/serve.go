// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel"

	"bos/internal/app"
	"bos/internal/config"
	"bos/internal/decide"
	"bos/internal/sim"
	"bos/internal/tracing"
	"bos/internal/version"
)

func (p *program) serve() *cobra.Command {
	cfg := config.Default()
	c := &cobra.Command{
		Use: "serve", Short: "Serve the API and run the operators", Args: noArgs,
		Example: "  bosd serve --simulate 64 --time-scale 0.01\n  bosd serve --cfs-url none --ims-url none --tapms-url none --hsm-url http://smd:27779/hsm/v2",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := p.load(cfg); err != nil {
				return err
			}
			log, level := p.logger(cfg)
			return serveUntilDone(c.Context(), cfg, app.Options{Log: log, Level: level, Version: version.String()})
		},
	}
	cfg.Bind(c.Flags(), config.GroupLog, config.GroupListen, config.GroupHTTP, config.GroupAPI, config.GroupAuth, config.GroupLimits, config.GroupAudit,
		config.GroupEmbedded, config.GroupCluster, config.GroupSnapshots, config.GroupEtcd,
		config.GroupOperators, config.GroupPower, config.GroupEvents, config.GroupServices, config.GroupSimulate, config.GroupSite)
	return c
}

func (p *program) operator() *cobra.Command {
	cfg := config.Default()
	c := &cobra.Command{
		Use:   "operator NAME",
		Short: "Run one operator alone, on a store outside",
		Long:  "Runs one operator alone, on a store outside. There are:\n  " + strings.Join(decide.Roles(), "\n  "),
		Example: "  bosd operator power-on --etcd-endpoints http://etcd:2379\n" +
			"  bosd operator power-on --etcd-endpoints http://etcd:2379 --metrics-listen 127.0.0.1:9001",
		ValidArgs: decide.Roles(),
		Args: func(c *cobra.Command, args []string) error {
			if err := cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)(c, args); err != nil {
				return usage(fmt.Errorf("%w; give one of %s", err, strings.Join(decide.Roles(), ", ")))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := p.load(cfg); err != nil {
				return err
			}
			cfg.Operators = args
			log, level := p.logger(cfg)
			return serveUntilDone(c.Context(), cfg, app.Options{Log: log, Level: level, Version: version.String(), NoAPI: true})
		},
	}
	cfg.Bind(c.Flags(), config.GroupLog, config.GroupMetrics, config.GroupHTTP, config.GroupAuth, config.GroupLimits,
		config.GroupEtcd, config.GroupPower, config.GroupEvents, config.GroupServices)
	return c
}

// serveUntilDone runs an app until ctx ends or the app can't go on. SIGHUP opens
// the file of the audit trail anew; without one it ends the process, as when a
// terminal goes.
func serveUntilDone(ctx context.Context, cfg *config.Config, opts app.Options) error {
	app.LimitMemory(opts.Log)
	tended, ended := context.WithCancel(ctx)
	defer ended()
	go app.TendMemory(tended)
	traces, err := tracing.FromEnvironment(ctx, os.Getenv, opts.Version)
	if err != nil {
		return usage(err)
	}
	if traces != nil {
		otel.SetErrorHandler(otel.ErrorHandlerFunc(tracing.Log(opts.Log)))
		opts.Tracing = traces
	}
	hangup := make(chan os.Signal, 1)
	if cfg.Audit != config.None && cfg.Audit != config.AuditStdout {
		signal.Notify(hangup, syscall.SIGHUP)
		defer signal.Stop(hangup)
	}
	a, err := app.Start(ctx, cfg, opts)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	notify(opts.Log, daemon.SdNotifyReady)
	for serving := true; serving; {
		select {
		case <-hangup:
			a.ReopenAudit()
		case <-ctx.Done():
			serving = false
		case err = <-a.Failed():
			serving = false
		}
	}
	opts.Log.Info("stopping")
	notify(opts.Log, daemon.SdNotifyStopping)
	err = errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	if fault := traces.Close(context.WithoutCancel(ctx)); fault != nil {
		opts.Log.Warn("the end of the traces is lost", slog.Any("error", fault))
	}
	return err
}

func (p *program) simulate() *cobra.Command {
	cfg := config.Default()
	c := &cobra.Command{
		Use: "simulate", Short: "Run a simulated site that any BOS can be pointed at", Args: noArgs,
		Example: "  bosd simulate --nodes 1000 --time-scale 0.1 --report-url http://127.0.0.1:9000/apis/bos",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := p.load(cfg); err != nil {
				return err
			}
			log, _ := p.logger(cfg)
			return p.runSite(c.Context(), cfg, log)
		},
	}
	cfg.Bind(c.Flags(), config.GroupLog, config.GroupSite, config.GroupNodes, config.GroupSiteServer)
	return c
}

// runSite runs a simulated site until ctx ends, and says how BOS finds it.
func (p *program) runSite(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	host, portText, err := net.SplitHostPort(cfg.SiteListen)
	if err != nil {
		return usage(err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return usage(err)
	}
	reporting, err := reportClient(cfg)
	if err != nil {
		return usage(err)
	}
	defer reporting.CloseIdleConnections()
	site := sim.New(sim.Config{
		Nodes: cfg.Nodes, Seed: cfg.Seed, TimeScale: cfg.TimeScale, Faults: cfg.Faults, Logger: log, Listen: host, BasePort: port,
	})
	if err := site.Start(); err != nil {
		return fmt.Errorf("start the simulated site: %w", err)
	}
	defer site.Close()
	site.SetBOS(cfg.ReportURL, reporting)
	control := 0
	if port != 0 {
		control = port + len(sim.Services())
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(control)))
	if err != nil {
		return fmt.Errorf("listen for the control of the site: %w", err)
	}
	server := &http.Server{Handler: site.Control(), ReadHeaderTimeout: cfg.ReadHeaderTimeout}
	defer func() { _ = server.Close() }()
	go func() { _ = server.Serve(listener) }()
	u := site.URLs()
	_, err = fmt.Fprintf(p.stdout, "# a simulated site of %d nodes; give this to bosd serve:\n"+
		"export BOS_HSM_URL=%s BOS_PCS_URL=%s BOS_BSS_URL=%s \\\n"+
		"  BOS_CFS_URL=%s BOS_IMS_URL=%s BOS_TAPMS_URL=%s \\\n"+
		"  S3_PROTOCOL=http S3_GATEWAY=%s S3_ACCESS_KEY=%s S3_SECRET_KEY=%s\n",
		cfg.Nodes, u.HSM, u.PCS, u.BSS, u.CFS, u.IMS, u.TAPMS, u.S3Endpoint, u.S3AccessKey, u.S3SecretKey)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(p.stdout, "# look at it and break it: http://%s/sim/state\n", listener.Addr()); err != nil {
		return err
	}
	for _, image := range site.Images() {
		if _, err := fmt.Fprintf(p.stdout, "# image %s (%s): %s\n", image.Name, image.Arch, image.ManifestPath); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

func (p *program) configuration() *cobra.Command {
	cfg := config.Default()
	c := &cobra.Command{
		Use: "config", Short: "Print the effective configuration, secrets hidden", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			// What is wrong is worth printing too.
			fault := p.load(cfg)
			return errors.Join(cfg.WriteYAML(p.stdout), fault)
		},
	}
	cfg.Bind(c.Flags(), config.Groups()...)
	return c
}
