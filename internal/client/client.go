// SPDX-License-Identifier: MIT

// Package client is a small client of the BOS API. Answers are handed on as
// the server sent them, as raw JSON or as streams of it, so that fields which
// this version does not know survive and long lists are never held in memory
// as a whole; [Each] and [Decode] turn them into types where that is needed.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// tenantHeader names the tenant on whose behalf a request is made.
const tenantHeader = "Cray-Tenant-Name"

// maxDocument bounds an answer that is read as a whole. The largest single
// document of the API is a template, whose request may have 64 MiB.
const maxDocument = 128 << 20

// Config says how a BOS server is reached.
type Config struct {
	// URL is where the API's paths are appended, with the gateway's prefix if
	// there is one: http://127.0.0.1:9000 or https://api-gw/apis/bos.
	URL string
	// Tenant is the tenant on whose behalf requests are made; empty for none.
	Tenant string
	// TokenFile holds a bearer token, alone or as the access_token of a JSON
	// object. It is read for each request, since tokens are renewed while a
	// program runs. Empty for none.
	TokenFile string
	// TokenCommand is a program and its arguments that prints such a token; it is
	// run for each request, where there is no TokenFile. Empty for none.
	TokenCommand []string
	// CAFile holds certificates in PEM to trust beside the system's.
	CAFile string
	// CertFile and KeyFile hold the client certificate and its key in PEM, for
	// servers that tell callers apart by it. They are read for each connection,
	// since certificates are renewed while a program runs. Empty for none.
	CertFile, KeyFile string
	// Insecure turns the check of the server's certificate off.
	Insecure bool
	// Timeout bounds the wait for an answer, and for each further part of it;
	// 0 means no bound. How long the whole takes is up to who reads it.
	Timeout time.Duration
	// UserAgent names the program that makes the requests.
	UserAgent string
	// Trace is told of each request once its answer begins, or there is none:
	// its method and address without a password, and the status; 0 for no
	// answer. Nil is nobody.
	Trace func(method, address string, status int)
	// Transport carries the requests in place of a connection, for tests; the
	// settings of TLS do nothing then.
	Transport http.RoundTripper
}

// Client makes requests to one BOS server. It may be used by many goroutines.
type Client struct {
	cfg  Config
	base string
	// shown is the address as messages may show it, without a password.
	shown string
	http  *http.Client
}

// New returns a client. The errors are those of the configuration: an address
// that is none, a file of certificates that can't be read.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the address of BOS is not a URL: %w", errors.Unwrap(err))
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the address of BOS must begin with http:// or https://, not %q", u.Redacted())
	case u.Host == "":
		return nil, fmt.Errorf("the address of BOS has no host: %q", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("the address of BOS may not have a query or a fragment: %q", u.Redacted())
	}
	transport := cfg.Transport
	if transport == nil {
		if transport, err = newTransport(cfg); err != nil {
			return nil, err
		}
	}
	return &Client{
		cfg:   cfg,
		base:  strings.TrimRight(u.String(), "/"),
		shown: strings.TrimRight(u.Redacted(), "/"),
		http: &http.Client{
			Transport: transport,
			// A redirected PATCH would arrive as a GET, and a login page is no
			// answer: redirects are reported instead of followed.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func newTransport(cfg Config) (*http.Transport, error) {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	transport = transport.Clone()
	if (cfg.CertFile == "") != (cfg.KeyFile == "") {
		return nil, errors.New("a client certificate and its key are needed together")
	}
	if cfg.CAFile == "" && cfg.CertFile == "" && !cfg.Insecure {
		return transport, nil
	}
	transport.TLSClientConfig = &tls.Config{
		MinVersion: tls.VersionTLS12,
		//nolint:gosec // The user asked for it.
		InsecureSkipVerify: cfg.Insecure,
	}
	if cfg.CertFile != "" {
		if _, err := clientCertificate(cfg); err != nil {
			return nil, err
		}
		transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return clientCertificate(cfg)
		}
	}
	if cfg.CAFile == "" {
		return transport, nil
	}
	pem, err := os.ReadFile(cfg.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading the certificates to trust: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("there are no certificates in %s", cfg.CAFile)
	}
	transport.TLSClientConfig.RootCAs = pool
	return transport, nil
}

// clientCertificate reads the client certificate. The error names its files and
// shows nothing of them.
func clientCertificate(cfg Config) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the client certificate %s and its key %s: %w", cfg.CertFile, cfg.KeyFile, err)
	}
	return &pair, nil
}

// URL returns the server's address as messages may show it.
func (c *Client) URL() string { return c.shown }

// Close lets go of the connections that no request uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Request is a request to the API.
type Request struct {
	// Method is the HTTP method.
	Method string
	// Path is the path under the server's address, escaped: /v2/sessions.
	Path string
	// Query holds the query parameters.
	Query url.Values
	// Body is the body in JSON; nil for none.
	Body []byte
}

// Do makes a request and returns the answer, which the caller must close. An
// answer that is not a success or not JSON is a [*Problem]; none at all is a
// [*ConnectionError].
func (c *Client) Do(ctx context.Context, r Request) (*Stream, error) {
	res, answer, err := c.send(ctx, r, http.Header{"Accept": {"application/json"}}, c.cfg.Timeout) //nolint:bodyclose // the stream that is returned closes it
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusNoContent && !isJSON(res.Header.Get("Content-Type")) {
		defer answer.Close()
		return nil, notJSON(res)
	}
	return &Stream{body: answer}, nil
}

// send makes a request and returns the answer and its body, which the caller
// must close, if it is a success.
func (c *Client) send(ctx context.Context, r Request, header http.Header, limit time.Duration) (*http.Response, *arriving, error) {
	target := c.base + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}
	var body io.Reader
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	patience := newPatience(ctx, limit)
	req, err := http.NewRequestWithContext(patience.ctx, r.Method, target, body)
	if err == nil {
		req.Header = header
		err = c.setHeader(req)
	}
	if err != nil {
		patience.end()
		return nil, nil, fmt.Errorf("making the request %s %s: %w", r.Method, r.Path, err)
	}
	res, err := c.http.Do(req)
	patience.rest()
	c.trace(r.Method, req.URL, res)
	if err != nil {
		defer patience.end()
		return nil, nil, c.connectionError(patience.ctx, err)
	}
	answer := &arriving{body: res.Body, client: c, patience: patience}
	res.Body = answer
	if res.StatusCode < 200 || res.StatusCode > 299 {
		defer answer.Close()
		return nil, nil, problemOf(res)
	}
	return res, answer, nil
}

// trace tells of a request.
func (c *Client) trace(method string, to *url.URL, res *http.Response) {
	if c.cfg.Trace == nil {
		return
	}
	status := 0
	if res != nil {
		status = res.StatusCode
	}
	c.cfg.Trace(method, to.Redacted(), status)
}

func (c *Client) setHeader(req *http.Request) error {
	if req.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.cfg.UserAgent != "" {
		req.Header.Set("User-Agent", c.cfg.UserAgent)
	}
	if c.cfg.Tenant != "" {
		req.Header.Set(tenantHeader, c.cfg.Tenant)
	}
	token, err := c.token(req.Context())
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return nil
}

// get asks for a stream of JSON.
func (c *Client) get(ctx context.Context, path string, query url.Values) (*Stream, error) {
	return c.Do(ctx, Request{Method: http.MethodGet, Path: path, Query: query})
}

// document makes a request whose answer is one document.
func (c *Client) document(ctx context.Context, method, path string, body []byte) (json.RawMessage, error) {
	s, err := c.Do(ctx, Request{Method: method, Path: path, Body: body})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Raw()
}

// remove makes a request whose answer is empty.
func (c *Client) remove(ctx context.Context, path string, query url.Values) error {
	s, err := c.Do(ctx, Request{Method: http.MethodDelete, Path: path, Query: query})
	if err != nil {
		return err
	}
	return s.Close()
}

// item returns the path of one member of a collection. Names that would lead
// elsewhere are refused here: a server or gateway that cleans paths would take
// a DELETE of "" or ".." for one of the whole collection.
func item(collection, name string) (string, error) {
	if name == "" || name == "." || name == ".." {
		return "", fmt.Errorf("%q is not a name", name)
	}
	return collection + "/" + url.PathEscape(name), nil
}
