// SPDX-License-Identifier: MIT

package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bos/internal/admission"
	"bos/internal/api"
	"bos/internal/audit"
	"bos/internal/auth"
	"bos/internal/certs"
	"bos/internal/config"
)

// guard is what stands between clients and the API. What the configuration does
// not ask for is nil.
type guard struct {
	certs  *certs.Server
	access *auth.Authenticator
	trail  *audit.Trail
	gate   *admission.Gate
	// streams bounds those who follow what happens.
	streams *admission.Gate
	rates   *admission.Rates
	// refused counts what is refused for a limit.
	refused *prometheus.CounterVec
}

// headerSlack is how much larger than allowed a header may be for the API to say
// so; what is larger still the HTTP server refuses in its own words.
const headerSlack = 64 << 10

// prepareGuard makes the guard. What is wrong with files is found here, before
// anything is served.
func (a *App) prepareGuard() error {
	l := &a.cfg.Limits
	a.guard = guard{
		gate: admission.NewGate(l.MaxRequests), streams: admission.NewStreams(l.MaxStreams),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bos_api_refused_total", Help: "Connections and requests that were refused for a limit, by limit.",
		}, []string{"limit"}),
	}
	if l.Rate > 0 {
		a.guard.rates = admission.NewRates(l.Rate, l.RateBurst, l.RateClients)
	}
	if a.cfg.TLS() {
		files := certs.Files{Cert: a.cfg.TLSCertFile, Key: a.cfg.TLSKeyFile, ClientCA: a.cfg.ClientCAFile}
		var err error
		if a.guard.certs, err = certs.Open(files, nil, a.log); err != nil {
			return fmt.Errorf("prepare TLS: %w", err)
		}
	}
	if err := a.prepareAccess(); err != nil {
		return fmt.Errorf("prepare authentication: %w", err)
	}
	if a.cfg.Audit == config.None || a.opts.NoAPI {
		return nil
	}
	trail, err := audit.New(audit.Config{Path: a.cfg.Audit, Log: a.log})
	if err != nil {
		return err
	}
	a.guard.trail = trail
	return nil
}

// prepareAccess makes what finds out who callers are, if anybody is asked.
func (a *App) prepareAccess() error {
	jwt, mtls := a.cfg.Authenticates()
	if !jwt && !mtls {
		return nil
	}
	c := &a.cfg.Access
	cfg := auth.Config{
		Skew: c.Skew, Fresh: auth.Freshness{Refresh: c.KeysRefresh, MaxAge: c.KeysMaxAge},
		Claims: auth.ClaimNames{
			Roles: c.RoleClaim, Tenants: c.TenantClaim, TenantSuffix: c.TenantSuffix, Node: c.NodeClaim, Display: c.NameClaim,
		},
		Policy: auth.Policy{OpenMetrics: c.OpenMetrics}, Log: a.log,
	}
	var err error
	if cfg.Roles, err = auth.ParseRoles(c.Roles); err != nil {
		return fmt.Errorf("auth-roles: %w", err)
	}
	if cfg.Rules, err = auth.ParseRules(c.Names); err != nil {
		return fmt.Errorf("auth-names: %w", err)
	}
	if mtls {
		if a.guard.certs == nil {
			return errors.New("client certificates need TLS")
		}
		cfg.Roots = a.guard.certs.Roots
	}
	if jwt {
		if len(c.Issuers) == 0 || len(c.Keys) != len(c.Issuers) {
			return errors.New("each issuer of tokens needs its keys")
		}
		for i, name := range c.Issuers {
			cfg.Issuers = append(cfg.Issuers, auth.Issuer{Name: name, Keys: c.Keys[i]})
		}
		if len(c.Audiences) != 1 || c.Audiences[0] != config.AnyAudience {
			cfg.Audiences = c.Audiences
		}
		if cfg.Client, err = keysClient(a.cfg.CAFile); err != nil {
			return err
		}
	}
	a.guard.access, err = auth.New(cfg)
	return err
}

// keysClient makes the client that fetches the keys of issuers. Their
// certificates are always checked: who can answer in an issuer's place can be
// anybody.
func keysClient(caFile string) (*http.Client, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if caFile != "" {
		text, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificates to trust: %w", err)
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("there are no certificates in %s", caFile)
		}
	}
	return &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
		// Keys are fetched every few minutes.
		DisableKeepAlives: true, MaxResponseHeaderBytes: headerSlack,
	}}, nil
}

// close ends the guard.
func (g *guard) close() error {
	var faults []error
	if g.access != nil {
		faults = append(faults, g.access.Close())
	}
	if g.trail != nil {
		faults = append(faults, g.trail.Close())
	}
	return errors.Join(faults...)
}

// apply gives the API its guard.
func (g *guard) apply(cfg *api.Config, c *config.Config) error {
	bodies, bodiesOf, err := c.Limits.BodySizes()
	if err != nil {
		return fmt.Errorf("max-body: %w", err)
	}
	timeout, timeoutOf, err := c.Limits.Timeouts()
	if err != nil {
		return fmt.Errorf("request-timeout: %w", err)
	}
	cfg.Limits = api.Limits{
		Requests: g.gate, Streams: g.streams, Rates: g.rates, HeaderBytes: c.MaxHeaderBytes, BodiesBytes: int64(c.Limits.MaxBodiesBytes),
		BodyBytes: bodies, BodyBytesOf: bodiesOf, Items: c.Limits.MaxItems, Timeout: timeout, TimeoutOf: timeoutOf, ReadTimeout: c.ReadTimeout,
	}
	cfg.Refused = g.refuse
	// A nil pointer in an interface would not be nil.
	if g.access != nil {
		cfg.Access = simulatedNodes{g.access}
	}
	if g.trail != nil {
		cfg.Trail = g.trail
	}
	return nil
}

func (g *guard) refuse(limit string) { g.refused.WithLabelValues(limit).Inc() }

// warn tells the log of what is allowed and seldom meant.
func (a *App) warn() {
	jwt, mtls := a.cfg.Authenticates()
	if jwt && !a.cfg.TLS() && !a.cfg.Loopback() {
		a.log.Warn("bearer tokens come over connections that are not encrypted; that is well only if something in front encrypts them")
	}
	if (jwt || mtls) && a.guard.trail == nil {
		a.log.Warn("there is no audit trail; audit says where it goes")
	}
	for _, place := range a.cfg.Access.Keys {
		if strings.HasPrefix(place, "http://") {
			a.log.Warn("the keys of an issuer are fetched without encryption; whoever can answer in its place can be anybody", slog.String("keys", place))
		}
	}
}

// ReopenAudit opens the file of the audit trail anew, after somebody renamed it.
func (a *App) ReopenAudit() {
	if a.guard.trail != nil {
		a.guard.trail.Reopen()
	}
}

// guarded collects what the guard knows, for metrics.
type guarded struct{ app *App }

var (
	connectionsDesc  = prometheus.NewDesc("bos_api_connections", "Connections that are open.", nil, nil)
	insideDesc       = prometheus.NewDesc("bos_api_requests_inside", "Requests that are being worked on.", nil, nil)
	streamsDesc      = prometheus.NewDesc("bos_api_streams", "Streams of events that are open.", nil, nil)
	clientsDesc      = prometheus.NewDesc("bos_api_rate_clients", "Clients that are remembered for the rate.", nil, nil)
	expiryDesc       = prometheus.NewDesc("bos_tls_certificate_expiry_seconds", "When the server's certificate expires, in Unix time.", nil, nil)
	keysDesc         = prometheus.NewDesc("bos_auth_keys_fetched_seconds", "When the keys of an issuer were last had, in Unix time; 0 for never.", []string{"issuer"}, nil)
	keysFailingDesc  = prometheus.NewDesc("bos_auth_keys_failing", "1 while the keys of an issuer can't be had.", []string{"issuer"}, nil)
	auditLinesDesc   = prometheus.NewDesc("bos_audit_lines_total", "Lines of the audit trail, by what became of them.", []string{"outcome"}, nil)
	auditWaitingDesc = prometheus.NewDesc("bos_audit_waiting_lines", "Lines of the audit trail that wait to be written.", nil, nil)
	auditFailingDesc = prometheus.NewDesc("bos_audit_failing", "1 while the audit trail can't be written.", nil, nil)
	auditFaultsDesc  = prometheus.NewDesc("bos_audit_faults_total", "Failed tries to write the audit trail.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (guarded) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		connectionsDesc, insideDesc, streamsDesc, clientsDesc, expiryDesc, keysDesc, keysFailingDesc,
		auditLinesDesc, auditWaitingDesc, auditFailingDesc, auditFaultsDesc,
	} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c guarded) Collect(ch chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	g := &c.app.guard
	if c.app.bounded != nil {
		send(connectionsDesc, prometheus.GaugeValue, float64(c.app.bounded.Open()))
	}
	if g.gate != nil {
		send(insideDesc, prometheus.GaugeValue, float64(g.gate.Inside()))
		send(streamsDesc, prometheus.GaugeValue, float64(g.streams.Inside()))
	}
	if g.rates != nil {
		send(clientsDesc, prometheus.GaugeValue, float64(g.rates.Clients()))
	}
	if g.certs != nil {
		send(expiryDesc, prometheus.GaugeValue, float64(g.certs.NotAfter().Unix()))
	}
	if g.access != nil {
		for _, keys := range g.access.Keys() {
			send(keysDesc, prometheus.GaugeValue, unix(keys.Fetched), keys.Issuer)
			send(keysFailingDesc, prometheus.GaugeValue, flag(keys.Err != nil), keys.Issuer)
		}
	}
	if g.trail != nil {
		s := g.trail.Stats()
		send(auditLinesDesc, prometheus.CounterValue, float64(s.Written), "written")
		send(auditLinesDesc, prometheus.CounterValue, float64(s.Lost), "lost")
		send(auditLinesDesc, prometheus.CounterValue, float64(s.Suppressed), "suppressed")
		send(auditWaitingDesc, prometheus.GaugeValue, float64(s.Waiting))
		send(auditFailingDesc, prometheus.GaugeValue, flag(s.Failing))
		send(auditFaultsDesc, prometheus.CounterValue, float64(s.Faults))
	}
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
