// SPDX-License-Identifier: MIT

// Package call is the transport that the clients of the services around BOS
// share: requests with bounds, retries, copies of requests that were lost,
// breakers, and one error type that says what an operator must know, whether the
// service refused, was away, or may have done what it was asked.
//
// Retries, breakers and the bound on parallel requests are written here and
// not taken from failsafe-go, because three of its rules differ from ours:
//
//   - Its breaker has no way to hand back a permit without a result, so a
//     probe that the caller cancels would keep a half-open breaker shut for
//     good, or count as an answer or a failure that nobody saw.
//   - Its breaker books every result on the state that it is in when the
//     result arrives. Requests that began before it opened, and fail late,
//     would count as failed probes.
//   - Its retry policy sleeps into the caller's deadline and then returns the
//     deadline's error in place of the service's own words.
package call

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

const (
	// maxInFlight bounds the requests under way to one service.
	maxInFlight = 8
	// defaultTimeout bounds one request of a service without Config.Timeout.
	defaultTimeout = 10 * time.Second
	// defaultMaxResponse bounds the body of an answer. The largest known one,
	// all components of a site of 100,000 nodes, has 16 MB.
	defaultMaxResponse = 64 << 20
)

// Config describes one service and how it is reached. Only Name and BaseURL
// are needed.
type Config struct {
	// Name is the service in lower case ("hsm", "pcs"), as errors, logs and
	// metrics show it.
	Name string
	// BaseURL is what every path is appended to, without a trailing slash, for
	// example http://cray-smd/hsm/v2.
	BaseURL string
	// TokenFile holds a bearer token, for sites whose services want one. It is
	// read again whenever the file changes and its content is never logged.
	// "" sends no token.
	TokenFile string
	// Timeout is the time that one request may take, from its turn to the end
	// of its answer. It is asked at each request, so that a changed option
	// takes effect at once. nil, and anything not positive, means 10 s.
	Timeout func() time.Duration
	// Transport carries the requests; nil makes one of its own, to which
	// Insecure and CAFile apply. Transports that follow redirects are not
	// suited: a redirected write is not the write that was asked for.
	Transport http.RoundTripper
	// Logger takes what happens to single requests (debug) and the service's
	// going away and coming back (warn, info). nil logs nothing.
	Logger *slog.Logger
	// Observe is called once for each call, for metrics. It must be safe for
	// concurrent use and quick.
	Observe func(Sample)
	// Tracer makes a span of each call, and hands it on to the service; nil makes
	// none.
	Tracer trace.Tracer
	// TimeScale multiplies the waits of retries and breakers, for simulated
	// sites whose time runs faster. 0 means 1.
	TimeScale float64
	// MaxBatch caps how many items the service's clients name in one request, from
	// the live options; nil, and anything not positive, is no cap.
	MaxBatch func() int
	// Insecure accepts any TLS certificate.
	Insecure bool
	// CAFile names a file of PEM certificates to trust beside the system's.
	CAFile string
}

// Sample is what a metrics hook learns of one call, retries included.
type Sample struct {
	Service   string
	Operation string
	Method    string
	// Status is the HTTP status of the last answer; 0 if there was none.
	Status int
	// Err is the kind of failure; None for a success.
	Err Kind
	// Duration is the time from the call to its return.
	Duration time.Duration
	// Retries counts the requests that were sent again after one had failed (0 to
	// 2), Hedges the copies that were sent while one was not answered.
	Retries, Hedges int
}

// Request is one request to a service.
type Request struct {
	// Operation names the request in errors, logs and metrics, for example
	// "power-status".
	Operation string
	Method    string
	// Path is appended to the service's base URL. Its variable parts must be
	// escaped; see [Segment].
	Path  string
	Query url.Values
	// Body is sent as JSON; nil sends none.
	Body   any
	Header http.Header
	// Write says that the request changes something. It then goes through the
	// breaker for writes and is not repeated by itself.
	Write bool
	// Idempotent marks a Write that may be repeated without harm.
	Idempotent bool
	// LateOK marks an Idempotent write that does no harm either if it is carried
	// out once more seconds after it was answered, when its caller has gone on.
	// Of such writes, and of reads, [Service.Do] sends copies.
	LateOK bool
	// Attempt is the identity of the attempt that this request belongs to; it
	// travels in the header BOS-Attempt. "" sends none.
	Attempt string
	// MaxResponse bounds the answer's body in bytes; 0 means 64 MiB.
	MaxResponse int64
	// MinTimeout raises the service's time-out for a request that is known to
	// take longer; 0 leaves it.
	MinTimeout time.Duration
	// Aside says that the request is a question of somebody's who is not waited
	// for: that it gets no answer in the little time that it has says nothing about
	// the service's health.
	Aside bool
	// Redact lists texts of the request that must not come back in an error's
	// words, such as kernel parameters. Texts shorter than 8 bytes are ignored.
	Redact []string
}

// Service is one service that BOS depends on. It is safe for concurrent use.
type Service struct {
	cfg       Config
	host      string
	transport http.RoundTripper
	// fault is a fault of the configuration; it is reported by each call,
	// since a service must not keep the others from being built.
	fault  error
	token  *tokenFile
	slots  chan struct{}
	reads  *breaker
	writes *breaker
	notify notifier
	// date is what the last answer said that its date is.
	date atomic.Pointer[dated]
}

// New makes a service. It does no network I/O; a wrong address, an unreadable
// CAFile and the like are reported by the calls.
func New(cfg Config) *Service {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.TimeScale <= 0 {
		cfg.TimeScale = 1
	}
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	s := &Service{
		cfg:    cfg,
		slots:  make(chan struct{}, maxInFlight),
		reads:  newBreaker(cfg.TimeScale),
		writes: newBreaker(cfg.TimeScale),
	}
	s.host, s.fault = baseHost(cfg.BaseURL)
	s.transport = cfg.Transport
	if s.transport == nil {
		t, err := newTransport(cfg)
		if err != nil && s.fault == nil {
			s.fault = err
		}
		s.transport = t
	}
	if cfg.TokenFile != "" {
		s.token = &tokenFile{path: cfg.TokenFile}
	}
	return s
}

// Name returns the name of the service in lower case.
func (s *Service) Name() string { return s.cfg.Name }

// Transport returns what carries the requests, for clients that speak to the
// service through a library of their own and [Service.Run].
func (s *Service) Transport() http.RoundTripper { return s.transport }

// Close gives up the idle connections. Calls under way are not disturbed and
// later ones work.
func (s *Service) Close() {
	if c, ok := s.transport.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// timeout is the time that one request may take.
func (s *Service) timeout(req Request) time.Duration {
	d := time.Duration(0)
	if s.cfg.Timeout != nil {
		d = s.cfg.Timeout()
	}
	if d <= 0 {
		d = defaultTimeout
	}
	return max(d, req.MinTimeout)
}

// observe reports a finished call to the metrics hook and the debug log.
func (c *calling) observe(ctx context.Context, status int, e *Error, took time.Duration) {
	sample := Sample{
		Service:   c.cfg.Name,
		Operation: c.req.Operation,
		Method:    c.req.Method,
		Status:    status,
		Duration:  took,
		Retries:   c.retries,
		Hedges:    c.hedges,
	}
	attrs := []slog.Attr{
		slog.String("service", c.cfg.Name),
		slog.String("operation", c.req.Operation),
		slog.Int("status", status),
		slog.Duration("duration", took),
		slog.Int("retries", c.retries),
		slog.Int("hedges", c.hedges),
	}
	if e != nil {
		sample.Err = e.Kind
		attrs = append(attrs, slog.Any("error", e))
	}
	c.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "called a service", attrs...)
	if c.cfg.Observe != nil {
		c.cfg.Observe(sample)
	}
}
