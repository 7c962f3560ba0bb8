// SPDX-License-Identifier: MIT

package call

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	// dialTimeout bounds the making of a connection, which may outlive the
	// request that it was begun for.
	dialTimeout = 10 * time.Second
	// idleTimeout is how long an unused connection is kept.
	idleTimeout = 90 * time.Second
	// maxIdlePerHost is how many of them are kept.
	maxIdlePerHost = 16
	// maxTokenFile bounds the token file in bytes.
	maxTokenFile = 64 << 10
)

// newTransport makes the transport of a service. There is no time-out for the
// response header: that is a part of the request's own time.
func newTransport(cfg Config) (*http.Transport, error) {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        maxIdlePerHost,
		MaxIdleConnsPerHost: maxIdlePerHost,
		IdleConnTimeout:     idleTimeout,
		TLSHandshakeTimeout: dialTimeout,
		// The site may ask for it: its services often have certificates that
		// nothing else knows.
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: cfg.Insecure}, //nolint:gosec // see above
	}
	if cfg.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(cfg.CAFile)
	if err != nil {
		return t, fmt.Errorf("reading the CA file of %s: %w", cfg.Name, err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return t, fmt.Errorf("the CA file of %s holds no certificate", cfg.Name)
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// baseHost checks a base URL and returns its host.
func baseHost(base string) (string, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return "", err
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("base URL %q: the scheme is neither http nor https", u.Redacted())
	case u.Host == "":
		return "", fmt.Errorf("base URL %q has no host", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("base URL %q has a query or a fragment", u.Redacted())
	default:
		return u.Host, nil
	}
}

// tokenFile is a bearer token in a file that somebody else renews.
type tokenFile struct {
	path string

	mu    sync.Mutex
	info  os.FileInfo
	token string
}

// get returns the token, from the file if that has changed since the last
// time. While a changed file can't be read, the token known so far goes on
// being used: the file may be in the middle of its replacement.
func (f *tokenFile) get() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err == nil && f.unchanged(info) {
		return f.token, nil
	}
	token := ""
	if err == nil {
		token, err = readToken(f.path)
	}
	if err == nil {
		f.info, f.token = info, token
		return token, nil
	}
	if f.token != "" {
		return f.token, nil
	}
	return "", err
}

// unchanged compares with the file as it was read. Kubernetes replaces the file
// behind a link, others write into it.
func (f *tokenFile) unchanged(info os.FileInfo) bool {
	return f.info != nil && os.SameFile(f.info, info) &&
		f.info.ModTime().Equal(info.ModTime()) && f.info.Size() == info.Size()
}

func readToken(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	raw, err := io.ReadAll(io.LimitReader(file, maxTokenFile))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(raw))
	if token == "" {
		return "", errors.New("the token file is empty")
	}
	for _, c := range []byte(token) {
		// Checked here, so that no later error can show it.
		if c <= ' ' || c > '~' {
			return "", errors.New("the token file holds more than one word of ASCII")
		}
	}
	return token, nil
}
