// SPDX-License-Identifier: MIT

package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"bos/internal/bos"
	"bos/internal/config"
	"bos/internal/store"
	"bos/internal/store/etcd"
)

const (
	// awayPause is how long the start waits before it asks a store again that is
	// away, awayNotice how often it says so.
	awayPause  = time.Second
	awayNotice = 10 * time.Second
)

// openStore opens the store that is configured, and returns the name of this
// process in elections.
func (a *App) openStore(ctx, run context.Context) (*store.Store, string, error) {
	if a.opts.Engine != nil {
		return store.New(a.opts.Engine), a.opts.Holder, nil
	}
	if len(a.cfg.EtcdEndpoints) == 0 {
		return a.openEmbedded(ctx, run)
	}
	remote, err := Remote(a.cfg, a.log)
	if err != nil {
		return nil, "", err
	}
	var engine *etcd.Engine
	err = a.patiently(ctx, func() (err error) {
		engine, err = etcd.OpenRemote(ctx, remote)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("connect to the store at %v: %w", a.cfg.EtcdEndpoints, err)
	}
	return store.New(engine), engine.NewHolder(), nil
}

func (a *App) openEmbedded(ctx, run context.Context) (*store.Store, string, error) {
	c := etcd.Embedded{Dir: a.cfg.DataDir, Quota: int64(a.cfg.DataQuota) << 20, ThrowAway: a.opts.ThrowAway, Socket: !a.opts.ThrowAway, Log: a.log}
	if a.cfg.Clustered() {
		name, err := a.cfg.MemberName()
		if err != nil {
			return nil, "", err
		}
		m := &a.cfg.Cluster
		c.Member = &etcd.Member{
			Name: name, PeerListen: m.Listen, PeerAdvertise: m.Advertise, ClientListen: m.ClientListen, ClientAdvertise: m.ClientAdvertise,
			Join: m.Join, Initial: m.Initial, CAFile: m.CAFile, CertFile: m.CertFile, KeyFile: m.KeyFile,
		}
	}
	engine, err := etcd.OpenEmbedded(ctx, c)
	if err != nil {
		return nil, "", fmt.Errorf("open the store in %s: %w", a.cfg.DataDir, err)
	}
	a.running.Go(func() {
		select {
		case <-engine.Stopped():
			a.fail(fmt.Errorf("the store in %s: %w", a.cfg.DataDir, engine.Fault()))
		case <-run.Done():
		}
	})
	return store.New(engine), engine.NewHolder(), nil
}

// patiently tries something again and again while the store is away.
func (a *App) patiently(ctx context.Context, try func() error) error {
	var told time.Time
	for {
		err := try()
		if !bos.IsUnavailable(err) || errors.Is(err, etcd.ErrRefused) {
			return err
		}
		if time.Since(told) >= awayNotice {
			told = time.Now()
			a.log.WarnContext(ctx, "waiting for the store", slog.Any("reason", err))
		}
		select {
		case <-time.After(awayPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Remote is how the configured store outside is reached. The error is that of
// the password's file.
func Remote(cfg *config.Config, log *slog.Logger) (etcd.Remote, error) {
	password, err := cfg.StorePassword()
	if err != nil {
		return etcd.Remote{}, err
	}
	return etcd.Remote{
		Endpoints: cfg.EtcdEndpoints, CAFile: cfg.EtcdCAFile, CertFile: cfg.EtcdCertFile, KeyFile: cfg.EtcdKeyFile,
		Username: cfg.EtcdUsername, Password: string(password), Log: log,
	}, nil
}
