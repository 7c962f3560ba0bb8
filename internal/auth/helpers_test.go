// SPDX-License-Identifier: MIT

package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a wall clock that the tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// issuer is an issuer of tokens that serves its keys.
type issuer struct {
	tb     testing.TB
	server *httptest.Server

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	private map[string]crypto.Signer
	broken  func(w http.ResponseWriter, r *http.Request)
	asked   int
}

func newIssuer(tb testing.TB) *issuer {
	tb.Helper()
	i := &issuer{tb: tb, private: map[string]crypto.Signer{}}
	i.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.asked++
		broken, set := i.broken, jose.JSONWebKeySet{Keys: i.keys}
		i.mu.Unlock()
		if broken != nil {
			broken(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(set)
	}))
	tb.Cleanup(i.server.Close)
	i.rotate("first")
	return i
}

// rotate replaces the keys by a new one.
func (i *issuer) rotate(id string) {
	i.tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.tb.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.private[id] = private
	i.keys = []jose.JSONWebKey{{Key: private.Public(), KeyID: id, Algorithm: "ES256", Use: "sig"}}
}

// answer makes the issuer answer otherwise; nil mends it.
func (i *issuer) answer(f func(w http.ResponseWriter, r *http.Request)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.broken = f
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// token signs claims with one of the issuer's keys.
func (i *issuer) token(id string, claims map[string]any) string {
	i.tb.Helper()
	i.mu.Lock()
	key := i.private[id]
	i.mu.Unlock()
	return sign(i.tb, jose.ES256, key, id, claims)
}

func sign(tb testing.TB, alg jose.SignatureAlgorithm, key any, id string, claims any) string {
	tb.Helper()
	opts := (&jose.SignerOptions{}).WithType("JWT")
	if id != "" {
		opts = opts.WithHeader("kid", id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// with returns good claims at a time, with changes: a nil value drops a claim.
func with(now time.Time, changes map[string]any) map[string]any {
	c := map[string]any{
		"iss": "https://idp", "sub": "1234", "aud": []string{"account", "shasta"},
		"exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "nbf": now.Unix(), "preferred_username": "alice",
		"resource_access": map[string]any{"shasta": map[string]any{"roles": []string{"admin"}}},
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// config is that of the tests: one issuer, as a CSM system has it.
func (i *issuer) config(c *clock) Config {
	roles, err := ParseRoles(DefaultRoles())
	if err != nil {
		i.tb.Fatal(err)
	}
	rules, err := ParseRules(DefaultRules())
	if err != nil {
		i.tb.Fatal(err)
	}
	return Config{
		Issuers:   []Issuer{{"https://idp", i.server.URL + "/certs"}},
		Audiences: []string{"shasta"}, Skew: time.Minute,
		Fresh:  Freshness{Refresh: 5 * time.Minute, MaxAge: 12 * time.Hour},
		Claims: ClaimNames{Roles: "resource_access.shasta.roles", Tenants: "groups", TenantSuffix: "-tenant-admin", Node: "xname", Display: "preferred_username"},
		Roles:  roles, Rules: rules, Now: c.Now, Client: i.server.Client(),
	}
}

func newAuthenticator(tb testing.TB, cfg Config) *Authenticator {
	tb.Helper()
	a, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := a.Close(); err != nil {
			tb.Error(err)
		}
	})
	return a
}

// request is one with a header Authorization, if it is not "".
func request(tb testing.TB, authorization string) *http.Request {
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/v2/options", nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

// signers makes a key of each kind that signs tokens.
func signers(tb testing.TB) map[jose.SignatureAlgorithm]crypto.Signer {
	tb.Helper()
	out := map[jose.SignatureAlgorithm]crypto.Signer{}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512} {
		out[alg] = rsaKey
	}
	for alg, curve := range map[jose.SignatureAlgorithm]elliptic.Curve{jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			tb.Fatal(err)
		}
		out[alg] = key
	}
	_, out[jose.EdDSA], err = ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	if len(out) != len(algorithms()) {
		tb.Fatal(fmt.Errorf("%d kinds of signatures are tried, %d are taken", len(out), len(algorithms())))
	}
	return out
}
