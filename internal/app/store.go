// SPDX-License-Identifier: MIT

package app

import (
	"context"
	"fmt"
	"log/slog"

	"bos/internal/config"
	"bos/internal/store"
	"bos/internal/store/etcd"
)

// openStore opens the store that is configured, and returns the name of this
// process in elections.
func openStore(ctx context.Context, cfg *config.Config, opts Options, log *slog.Logger) (*store.Store, string, error) {
	if opts.Engine != nil {
		return store.New(opts.Engine), opts.Holder, nil
	}
	var engine *etcd.Engine
	var err error
	if len(cfg.EtcdEndpoints) == 0 {
		engine, err = etcd.OpenEmbedded(ctx, etcd.Embedded{Dir: cfg.DataDir, ThrowAway: opts.ThrowAway, Log: log})
		if err != nil {
			return nil, "", fmt.Errorf("open the store in %s: %w", cfg.DataDir, err)
		}
		return store.New(engine), engine.NewHolder(), nil
	}
	password, err := cfg.StorePassword()
	if err != nil {
		return nil, "", err
	}
	engine, err = etcd.OpenRemote(ctx, etcd.Remote{
		Endpoints: cfg.EtcdEndpoints, CAFile: cfg.EtcdCAFile, CertFile: cfg.EtcdCertFile, KeyFile: cfg.EtcdKeyFile,
		Username: cfg.EtcdUsername, Password: string(password), Log: log,
	})
	if err != nil {
		return nil, "", fmt.Errorf("connect to the store at %v: %w", cfg.EtcdEndpoints, err)
	}
	return store.New(engine), engine.NewHolder(), nil
}
