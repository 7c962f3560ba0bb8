// SPDX-License-Identifier: MIT

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"bos/internal/config"
)

const (
	// reportTimeout is when a simulated node's reporter gives up.
	reportTimeout = 13 * time.Second
	// maxReportToken bounds the file of a token in bytes.
	maxReportToken = 64 << 10
)

// reportClient is the client by which the nodes of a simulated site report to a
// BOS that asks who they are. All of them show the same, so that it has to be an
// admin's: a node's own is good for that node alone.
func reportClient(cfg *config.Config) (*http.Client, error) {
	target, err := url.Parse(cfg.ReportURL)
	if err != nil {
		return nil, fmt.Errorf("report-url: %w", err)
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	c := cfg.Report
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("report-ca-file: %w", err)
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("report-ca-file: there is no certificate in %s", c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("report-cert-file: %w", err)
		}
		trust.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: trust, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}
	if c.TokenFile == "" {
		return &http.Client{Transport: transport, Timeout: reportTimeout}, nil
	}
	return &http.Client{Transport: bearer{transport, target.Host, c.TokenFile}, Timeout: reportTimeout}, nil
}

// bearer adds a token to requests to one host; others, to whom a site tells what
// changed, do not get it.
type bearer struct {
	*http.Transport
	host, path string
}

// RoundTrip implements [http.RoundTripper].
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != b.host {
		return b.Transport.RoundTrip(r)
	}
	f, err := os.Open(b.path)
	if err != nil {
		return nil, fmt.Errorf("read the token of the simulated nodes: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxReportToken))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read the token of the simulated nodes: %w", err)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(text)))
	return b.Transport.RoundTrip(r)
}
