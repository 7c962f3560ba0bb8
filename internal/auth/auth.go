// SPDX-License-Identifier: MIT

package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"bos/internal/bos"
)

// Realm is what challenges say that they are for.
const Realm = "bos"

// Issuer is somebody whose tokens are accepted.
type Issuer struct {
	// Name is the claim iss of its tokens.
	Name string
	// Keys is where its JSON Web Key Set is: a URL, or else a file.
	Keys string
}

// Config says how callers prove who they are and which roles that gives them.
type Config struct {
	// Issuers are those of bearer tokens; none takes no tokens.
	Issuers []Issuer
	// Audiences are those of which a token must name one; none takes any token
	// of the issuers.
	Audiences []string
	// Skew is how far the clocks of issuers may be from ours, 0 or more.
	Skew time.Duration
	// Fresh is how long keys that were fetched by URL are used.
	Fresh Freshness
	// Client fetches keys by URL; nil means one without any settings.
	Client *http.Client

	// Roots are the CAs of client certificates, as they are now; nil takes no
	// certificates.
	Roots func() []*x509.Certificate

	Claims ClaimNames
	// Roles are what the values of the roles' claim mean.
	Roles map[string]Role
	// Rules give roles by names.
	Rules  []Rule
	Policy Policy

	// Now is the wall clock; nil means time.Now.
	Now func() time.Time
	// Log takes news of keys; nil logs nothing.
	Log *slog.Logger
}

// Authenticator finds out who requests are from. It may be used by many
// goroutines and must be closed.
type Authenticator struct {
	Policy
	cfg     Config
	tokens  *tokens
	certs   *certificates
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// filePoll is how often a file of keys is looked at, at most.
const filePoll = time.Second

// New makes an authenticator. Key sets in files must be there; those behind a
// URL are fetched in the background, so that an issuer that is away keeps nothing
// from starting.
func New(cfg Config) (*Authenticator, error) {
	if len(cfg.Issuers) == 0 && cfg.Roots == nil {
		return nil, errors.New("neither issuers of tokens nor CAs of client certificates are known")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Client == nil {
		cfg.Client = &http.Client{}
	}
	client := *cfg.Client
	// Where the keys are is configured; whoever answers there may not point
	// elsewhere, least of all to somewhere without encryption.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ctx, cancel := context.WithCancel(context.Background())
	a := &Authenticator{Policy: cfg.Policy, cfg: cfg, cancel: cancel}
	if cfg.Roots != nil {
		a.certs = &certificates{roots: cfg.Roots, skew: cfg.Skew, now: cfg.Now}
	}
	if len(cfg.Issuers) == 0 {
		return a, nil
	}
	a.tokens = &tokens{
		issuers: map[string]*keySet{}, audiences: cfg.Audiences, skew: cfg.Skew, now: cfg.Now, algs: algorithms(),
	}
	for _, issuer := range cfg.Issuers {
		k := &keySet{
			issuer: issuer.Name, source: newSource(issuer.Keys, &client), fresh: cfg.Fresh, pause: fetchPause,
			now: cfg.Now, log: cfg.Log, ctx: ctx, running: &a.running,
		}
		if a.tokens.issuers[issuer.Name] != nil {
			return nil, errors.Join(fmt.Errorf("the issuer %q is there twice", issuer.Name), a.Close())
		}
		a.tokens.issuers[issuer.Name] = k
		if err := k.begin(); err != nil {
			return nil, errors.Join(fmt.Errorf("the keys of the issuer %s: %w", issuer.Name, err), a.Close())
		}
	}
	return a, nil
}

// begin gets the keys for the first time: those in a file now, others in the
// background.
func (k *keySet) begin() error {
	k.mu.Lock()
	if _, isFile := k.source.(*fileSource); isFile {
		k.fresh.Refresh, k.pause = filePoll, filePoll
	}
	flight := k.startLocked()
	k.mu.Unlock()
	if _, isFile := k.source.(*fileSource); !isFile {
		return nil
	}
	<-flight
	_, err := k.status()
	return err
}

// Close ends what is under way. It always returns nil.
func (a *Authenticator) Close() error {
	a.cancel()
	a.running.Wait()
	return nil
}

// Identify says who a request is from; nil is somebody who did not say. A token
// counts before a certificate. The errors are [bos.CodeUnauthenticated] for a
// token or a certificate that is not good, [bos.CodeUnavailable] if that can't
// be known, and that of the request's context.
func (a *Authenticator) Identify(r *http.Request) (*Identity, error) {
	if a.tokens != nil {
		text, err := bearer(r.Header)
		if err != nil {
			return nil, err
		}
		if text != "" {
			return a.identifyToken(r.Context(), text)
		}
	}
	if a.certs != nil {
		leaf, err := a.certs.client(r.TLS)
		if leaf == nil || err != nil {
			return nil, err
		}
		return a.identifyCertificate(leaf)
	}
	return nil, nil
}

func (a *Authenticator) identifyToken(ctx context.Context, text string) (*Identity, error) {
	v, err := a.tokens.verify(ctx, text)
	if err != nil {
		return nil, err
	}
	i := &Identity{Name: prefixSubject + v.subject, Issuer: v.issuer, Method: MethodJWT, Display: v.claims.text(a.cfg.Claims.Display)}
	if isSPIFFE(v.subject) {
		i.Name = v.subject
	}
	var g grants
	a.cfg.Claims.give(v.claims, a.cfg.Roles, &g)
	a.giveByNames(i, []string{i.Name}, &g)
	return i, nil
}

// giveByNames adds what the rules give to somebody's names, and ends what they
// are given.
func (a *Authenticator) giveByNames(i *Identity, names []string, g *grants) {
	for _, rule := range a.cfg.Rules {
		for _, name := range names {
			rule.give(name, g)
		}
	}
	g.apply(i)
}

// Challenge returns the header WWW-Authenticate for an error of
// [Authenticator.Identify], or for a request from nobody (RFC 6750). For
// certificates there is no scheme that is registered; the name that is used says
// what is missing.
func (a *Authenticator) Challenge(err error) string {
	if a.tokens == nil {
		return `ClientCertificate realm="` + Realm + `"`
	}
	challenge := `Bearer realm="` + Realm + `"`
	if errors.Is(err, errInvalidToken) {
		challenge += `, error="invalid_token", error_description="` + quotable(bos.UserText(err)) + `"`
	}
	return challenge
}

// quotable leaves out what may not stand in a quoted text of a header.
func quotable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, text)
}

// KeyStatus is how the keys of an issuer are.
type KeyStatus struct {
	Issuer string
	// Fetched is when they were last had; the zero time for never.
	Fetched time.Time
	// Err is why they could not be had at the last try, nil if they could.
	Err error
}

// Keys returns how the keys of the issuers are, in no order.
func (a *Authenticator) Keys() []KeyStatus {
	if a.tokens == nil {
		return nil
	}
	var out []KeyStatus
	for name, keys := range a.tokens.issuers {
		good, err := keys.status()
		out = append(out, KeyStatus{name, good, err})
	}
	return out
}
