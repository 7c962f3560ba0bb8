// SPDX-License-Identifier: MIT

package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"

	"bos/internal/bos"
	"bos/internal/store"
)

// Embedded configures a store in this process.
type Embedded struct {
	// Dir holds the data; it is created if it is missing. Only one process at a
	// time can have it open.
	Dir string
	// ThrowAway trades durability for speed: short elections and no fsync. For
	// demonstrations and tests; a store that may grow into a cluster needs the
	// normal timing from its first day.
	ThrowAway bool
	// LeaseTTL is how long a leadership outlives a process that died; 0 means 5
	// seconds. Whole seconds from 2 on (1 with ThrowAway).
	LeaseTTL time.Duration
	// ReadyTimeout bounds the start; 0 means a minute.
	ReadyTimeout time.Duration
	Log          *slog.Logger
}

const (
	// quota is the largest size of the store's file in bytes.
	quota = 8 << 30
	// keptRevisions is how much history a restart or a slow watch may ask for.
	keptRevisions = "20000"
	memberName    = "bos"
	// memberURL names the only member; nothing listens there.
	memberURL = "http://127.0.0.1:1"

	defaultLeaseTTL     = 5 * time.Second
	defaultReadyTimeout = time.Minute
	defragThresholdMB   = 100
)

// config builds etcd's configuration: one member, reached in-process only.
func (c Embedded) config() (*embed.Config, error) {
	member, err := url.Parse(memberURL)
	if err != nil {
		return nil, fmt.Errorf("member URL: %w", err)
	}
	cfg := embed.NewConfig()
	cfg.Name = memberName
	cfg.Dir = c.Dir
	cfg.ListenPeerUrls, cfg.ListenClientUrls = nil, nil
	cfg.AdvertisePeerUrls = []url.URL{*member}
	cfg.AdvertiseClientUrls = []url.URL{*member}
	cfg.InitialCluster = memberName + "=" + memberURL
	// One member needs no long log for others to catch up from; it would only
	// cost memory.
	cfg.SnapshotCount = 1000
	cfg.SnapshotCatchUpEntries = 100
	cfg.QuotaBackendBytes = quota
	cfg.AutoCompactionMode = "revision"
	cfg.AutoCompactionRetention = keptRevisions
	cfg.BootstrapDefragThresholdMegabytes = defragThresholdMB
	if c.ThrowAway {
		cfg.TickMs, cfg.ElectionMs = 10, 100
		cfg.UnsafeNoFsync = true
	}
	logger, err := zap.NewProduction(zap.WrapCore(forwardTo(c.Log)))
	if err != nil {
		return nil, fmt.Errorf("store's logger: %w", err)
	}
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(logger)
	return cfg, nil
}

// OpenEmbedded starts a store in this process and waits until it serves.
func OpenEmbedded(ctx context.Context, c Embedded) (*Engine, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.LeaseTTL == 0 {
		c.LeaseTTL = defaultLeaseTTL
	}
	if c.ReadyTimeout == 0 {
		c.ReadyTimeout = defaultReadyTimeout
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the store's folder: %w", err)
	}
	cfg, err := c.config()
	if err != nil {
		return nil, err
	}
	server, err := startServer(cfg, c.ReadyTimeout)
	if err != nil {
		return nil, fmt.Errorf("start the store in %s: %w", c.Dir, err)
	}
	select {
	case <-server.Server.ReadyNotify():
	case err := <-server.Err():
		server.Close()
		return nil, fmt.Errorf("start the store in %s: %w", c.Dir, err)
	case <-time.After(c.ReadyTimeout):
		server.Close()
		return nil, fmt.Errorf("the store in %s is not ready after %v", c.Dir, c.ReadyTimeout)
	case <-ctx.Done():
		server.Close()
		return nil, ctx.Err()
	}
	e := newEngine(v3client.New(server.Server), server, c.LeaseTTL, c.Log)
	if err := e.dropFormerLeases(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// startServer opens the data. Another process that has it open makes etcd wait
// without a word; that is turned into an error.
func startServer(cfg *embed.Config, timeout time.Duration) (*embed.Etcd, error) {
	type result struct {
		server *embed.Etcd
		err    error
	}
	started := make(chan result, 1)
	go func() {
		server, err := embed.StartEtcd(cfg)
		started <- result{server, err}
	}()
	select {
	case r := <-started:
		return r.server, r.err
	case <-time.After(timeout):
		go func() {
			if r := <-started; r.server != nil {
				r.server.Close()
			}
		}()
		return nil, fmt.Errorf("its data can't be opened within %v; is another process using it?", timeout)
	}
}

// dropFormerLeases ends leaderships that a process which died left behind: the
// data can be open in one process only, so that whoever led from within the
// same folder is gone.
func (e *Engine) dropFormerLeases(ctx context.Context) error {
	rctx, done := e.request(ctx)
	defer done()
	resp, err := e.client.Get(rctx, store.PrefixLeaders, clientv3.WithPrefix())
	if err != nil {
		return e.wrap(ctx, err)
	}
	dropped := map[int64]bool{}
	for _, kv := range resp.Kvs {
		if kv.Lease == 0 || dropped[kv.Lease] || !strings.HasPrefix(string(kv.Value), e.HolderPrefix()) {
			continue
		}
		if _, err := e.client.Revoke(rctx, clientv3.LeaseID(kv.Lease)); err != nil {
			return e.wrap(ctx, err)
		}
		dropped[kv.Lease] = true
	}
	return nil
}

// HolderPrefix must begin the holder names of campaigns from within the process
// that embeds the store; leaderships of such holders end with the process.
// It is "" for a cluster outside.
func (e *Engine) HolderPrefix() string {
	if e.server == nil {
		return ""
	}
	return "member/" + e.server.Server.MemberID().String() + "/"
}

// Remote configures a cluster outside of this process.
type Remote struct {
	Endpoints []string
	// CAFile, CertFile and KeyFile are PEM files for TLS; none of them means
	// plain connections for http endpoints and the system's roots for https.
	CAFile, CertFile, KeyFile string
	Username, Password        string
	// LeaseTTL is how long a leadership outlives a process that died; 0 means 5
	// seconds.
	LeaseTTL time.Duration
	Log      *slog.Logger
}

// OpenRemote connects to a cluster. It fails if the cluster does not answer.
func OpenRemote(ctx context.Context, c Remote) (*Engine, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.LeaseTTL == 0 {
		c.LeaseTTL = defaultLeaseTTL
	}
	tlsConfig, err := c.tls()
	if err != nil {
		return nil, err
	}
	logger, err := zap.NewProduction(zap.WrapCore(forwardTo(c.Log)))
	if err != nil {
		return nil, fmt.Errorf("store's logger: %w", err)
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            c.Endpoints,
		TLS:                  tlsConfig,
		Username:             c.Username,
		Password:             c.Password,
		DialTimeout:          requestTimeout,
		DialKeepAliveTime:    2 * time.Second,
		DialKeepAliveTimeout: 2 * time.Second,
		MaxCallSendMsgSize:   2 * store.MaxBytes,
		Logger:               logger,
		Context:              context.WithoutCancel(ctx),
	})
	if err != nil {
		return nil, bos.Unavailable("store", err)
	}
	e := newEngine(client, nil, c.LeaseTTL, c.Log)
	if _, err := e.Revision(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("reach the store at %s: %w", strings.Join(c.Endpoints, ", "), err), e.Close())
	}
	return e, nil
}

func (c Remote) tls() (*tls.Config, error) {
	if c.CAFile == "" && c.CertFile == "" && c.KeyFile == "" {
		return nil, nil //nolint:nilnil // no TLS is what etcd's client takes nil for
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(filepath.Clean(c.CAFile))
		if err != nil {
			return nil, fmt.Errorf("read the store's CA: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the store's CA file %s has no certificate", c.CAFile)
		}
	}
	if c.CertFile != "" || c.KeyFile != "" {
		// Read at every handshake, so that renewed certificates need no restart.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
			return &cert, err
		}
		if _, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err != nil {
			return nil, fmt.Errorf("read the store's client certificate: %w", err)
		}
	}
	return cfg, nil
}

// NewHolder returns the name of a candidate of this process, with the prefix
// that the engine asks for.
func (e *Engine) NewHolder() string { return e.HolderPrefix() + uuid.NewString() }
