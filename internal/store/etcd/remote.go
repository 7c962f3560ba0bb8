// SPDX-License-Identifier: MIT

package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"bos/internal/bos"
	"bos/internal/store"
)

// Remote configures a cluster outside of this process.
type Remote struct {
	Endpoints []string
	// CAFile, CertFile and KeyFile are PEM files for TLS; none of them means
	// plain connections for http endpoints and the system's roots for https.
	CAFile, CertFile, KeyFile string
	Username, Password        string
	// LeaseTTL is how long a leadership outlives a process that died; 0 means 4
	// seconds. It must be the same in all processes.
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
	client, err := c.connect()
	if err != nil {
		return nil, err
	}
	e := newEngine(client, nil, c.LeaseTTL, c.Log)
	if _, err := e.Revision(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("reach the store at %s: %w", strings.Join(c.Endpoints, ", "), err), e.Close())
	}
	return e, nil
}

// connect makes a client of a cluster. It does not wait for an answer, except
// where it has to log in.
func (c Remote) connect() (*clientv3.Client, error) {
	tlsConfig, err := c.tls()
	if err != nil {
		return nil, err
	}
	logger, err := zap.NewProduction(zap.WrapCore(forwardTo(c.Log, &atomic.Bool{})))
	if err != nil {
		return nil, fmt.Errorf("store's logger: %w", err)
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            c.Endpoints,
		TLS:                  tlsConfig,
		Username:             c.Username,
		Password:             c.Password,
		DialTimeout:          requestTimeout,
		DialKeepAliveTime:    keepAliveTime,
		DialKeepAliveTimeout: keepAliveTimeout,
		MaxCallSendMsgSize:   2 * store.MaxBytes,
		Logger:               logger,
	})
	if errors.Is(err, rpctypes.ErrAuthFailed) {
		err = errors.Join(ErrRefused, err)
	}
	if err != nil {
		return nil, bos.Unavailable("store", err)
	}
	return client, nil
}

// A connection that is silent is tested, and given up when nothing comes back.
// gRPC tests no more often than that.
const (
	keepAliveTime    = 10 * time.Second
	keepAliveTimeout = 2 * time.Second
)

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
