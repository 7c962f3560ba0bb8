// SPDX-License-Identifier: MIT

package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"bos/internal/bos"
)

func TestIdentifyToken(t *testing.T) {
	c, idp := newClock(), newIssuer(t)
	a := newAuthenticator(t, idp.config(c))
	for _, tt := range []struct {
		name    string
		changes map[string]any
		want    Identity
	}{
		{"admin", nil, Identity{Name: "sub:1234", Display: "alice", Roles: []Role{RoleAdmin}}},
		{"no role", map[string]any{"resource_access": nil}, Identity{Name: "sub:1234", Display: "alice"}},
		{"tenant", map[string]any{
			"resource_access": map[string]any{"shasta": map[string]any{"roles": []string{"tenant-admin"}}},
			"groups":          []string{"/blue-tenant-admin"},
		}, Identity{Name: "sub:1234", Display: "alice", Roles: []Role{RoleTenantAdmin}, Tenants: []string{"blue"}}},
		{"node by its subject", map[string]any{
			"sub": "spiffe://shasta/compute/x1/workload/bos-reporter", "resource_access": nil, "aud": "shasta", "preferred_username": nil, "nbf": nil, "iat": nil,
		}, Identity{Name: "spiffe://shasta/compute/x1/workload/bos-reporter", Roles: []Role{RoleNode}, Node: "x1"}},
		{"node by a claim", map[string]any{
			"resource_access": map[string]any{"shasta": map[string]any{"roles": []string{"node"}}}, "xname": "x2",
		}, Identity{Name: "sub:1234", Display: "alice", Roles: []Role{RoleNode}, Node: "x2"}},
		{"expired within the skew", map[string]any{"exp": c.Now().Add(-59 * time.Second).Unix()}, Identity{Name: "sub:1234", Display: "alice", Roles: []Role{RoleAdmin}}},
		{"valid within the skew", map[string]any{"nbf": c.Now().Add(59 * time.Second).Unix()}, Identity{Name: "sub:1234", Display: "alice", Roles: []Role{RoleAdmin}}},
	} {
		got, err := a.Identify(request(t, "Bearer "+idp.token("first", with(c.Now(), tt.changes))))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		tt.want.Issuer, tt.want.Method = "https://idp", MethodJWT
		if diff := cmp.Diff(&tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if idp.count() != 1 {
		t.Errorf("the keys were fetched %d times", idp.count())
	}
}

// What is not good is refused for the right reason, and neither the answer nor
// the error shows a part of the token.
func TestRefusedTokens(t *testing.T) {
	c, idp := newClock(), newIssuer(t)
	a := newAuthenticator(t, idp.config(c))
	now := c.Now()
	good := idp.token("first", with(now, nil))
	parts := strings.Split(good, ".")
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	// A key that is public must not do as a secret.
	public, err := json.Marshal(idp.keys[0])
	if err != nil {
		t.Fatal(err)
	}
	confused := sign(t, jose.HS256, public, "first", with(now, nil))
	foreign := newIssuer(t)
	change := func(changes map[string]any) string { return "Bearer " + idp.token("first", with(now, changes)) }
	for _, tt := range []struct{ name, authorization, detail string }{
		{"basic", "Basic YWRtaW46YWRtaW4=", "must hold a bearer token"},
		{"empty", "Bearer ", "must hold a bearer token"},
		{"no JWT", "Bearer abc", "no JWT"},
		{"no signature", "Bearer " + unsigned, "no JWT with a signature of a kind that is taken"},
		{"public key as a secret", "Bearer " + confused, "no JWT with a signature of a kind that is taken"},
		{"too long", "Bearer " + strings.Repeat("a", maxToken+1), "the token has 32769 bytes; at most 32768 are taken"},
		{"claims of another", "Bearer " + parts[0] + "." + strings.Split(change(map[string]any{"sub": "root"}), ".")[1] + "." + parts[2], "signature is wrong"},
		{"another's key of that name", "Bearer " + foreign.token("first", with(now, nil)), "signature is wrong"},
		{"issuer", change(map[string]any{"iss": "https://idp/"}), "issuer is not accepted"},
		{"no issuer", change(map[string]any{"iss": nil}), "issuer is not accepted"},
		{"audience", change(map[string]any{"aud": []string{"account"}}), "another audience"},
		{"no audience", change(map[string]any{"aud": nil}), "another audience"},
		{"expired", change(map[string]any{"exp": now.Add(-61 * time.Second).Unix()}), "expired at 2026-11-23T08:58:59Z"},
		{"no end", change(map[string]any{"exp": nil}), "does not say when it expires"},
		{"not yet", change(map[string]any{"nbf": now.Add(61 * time.Second).Unix()}), "not valid yet"},
		{"issued in the future", change(map[string]any{"iat": now.Add(61 * time.Second).Unix()}), "not valid yet"},
		{"no subject", change(map[string]any{"sub": ""}), "names no subject"},
		{"long subject", change(map[string]any{"sub": strings.Repeat("s", maxName+1)}), "names no subject"},
		{"refresh token", change(map[string]any{"typ": "Refresh"}), "not an access token"},
		{"malformed claims", change(map[string]any{"exp": "tomorrow"}), "claims are malformed"},
	} {
		identity, err := a.Identify(request(t, tt.authorization))
		if identity != nil || bos.CodeOf(err) != bos.CodeUnauthenticated || !strings.Contains(bos.UserText(err), tt.detail) {
			t.Errorf("%s: %v, %v; want %q", tt.name, identity, err, tt.detail)
			continue
		}
		challenge := a.Challenge(err)
		if !strings.HasPrefix(challenge, `Bearer realm="bos", error="invalid_token", error_description="`) {
			t.Errorf("%s: challenge %s", tt.name, challenge)
		}
		for part := range strings.SplitSeq(strings.TrimPrefix(tt.authorization, "Bearer "), ".") {
			if len(part) > 20 && (strings.Contains(err.Error(), part[:20]) || strings.Contains(challenge, part[:20])) {
				t.Errorf("%s: a part of the token is shown: %v", tt.name, err)
			}
		}
	}
	twice := request(t, "Bearer "+good)
	twice.Header.Add("Authorization", "Bearer "+good)
	if _, err := a.Identify(twice); bos.CodeOf(err) != bos.CodeUnauthenticated {
		t.Errorf("two headers: %v", err)
	}
	// Who shows nothing is nobody, and is told what to show.
	identity, err := a.Identify(request(t, ""))
	if identity != nil || err != nil || a.Challenge(nil) != `Bearer realm="bos"` {
		t.Errorf("nobody: %v, %v, %s", identity, err, a.Challenge(nil))
	}
	if idp.count() != 1 {
		t.Errorf("bad tokens made %d fetches of the keys", idp.count())
	}
}

func TestAlgorithms(t *testing.T) {
	c, idp := newClock(), newIssuer(t)
	keys := signers(t)
	idp.keys = nil
	for alg, key := range keys {
		idp.keys = append(idp.keys, jose.JSONWebKey{Key: key.Public(), KeyID: string(alg)})
	}
	a := newAuthenticator(t, idp.config(c))
	for alg, key := range keys {
		for _, id := range []string{string(alg), ""} {
			if _, err := a.Identify(request(t, "bearer  "+sign(t, alg, key, id, with(c.Now(), nil)))); err != nil {
				t.Errorf("%s, key %q: %v", alg, id, err)
			}
		}
	}
}

func TestAnyAudience(t *testing.T) {
	c, idp := newClock(), newIssuer(t)
	cfg := idp.config(c)
	cfg.Audiences = nil
	a := newAuthenticator(t, cfg)
	if _, err := a.Identify(request(t, "Bearer "+idp.token("first", with(c.Now(), map[string]any{"aud": nil})))); err != nil {
		t.Error(err)
	}
}

// Each issuer's keys are for its own tokens only.
func TestTwoIssuers(t *testing.T) {
	c, people, nodes := newClock(), newIssuer(t), newIssuer(t)
	nodes.rotate("nodes")
	cfg := people.config(c)
	cfg.Issuers = append(cfg.Issuers, Issuer{"https://spire", nodes.server.URL})
	a := newAuthenticator(t, cfg)
	for _, tt := range []struct {
		name, iss string
		by        *issuer
		key       string
		good      bool
	}{
		{"people", "https://idp", people, "first", true},
		{"nodes", "https://spire", nodes, "nodes", true},
		{"nodes as people", "https://idp", nodes, "nodes", false},
		{"people as nodes", "https://spire", people, "first", false},
	} {
		_, err := a.Identify(request(t, "Bearer "+tt.by.token(tt.key, with(c.Now(), map[string]any{"iss": tt.iss}))))
		if (err == nil) != tt.good || err != nil && bos.CodeOf(err) != bos.CodeUnauthenticated {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	cfg.Issuers[1].Name = "https://idp"
	if _, err := New(cfg); err == nil {
		t.Error("an issuer may be there twice")
	}
	if _, err := New(Config{}); err == nil {
		t.Error("nobody can be known, and that is no error")
	}
}

// New keys are found when the first token by one comes; made-up keys don't lead
// to more fetches than one in a while.
func TestKeysRotate(t *testing.T) {
	c, idp := newClock(), newIssuer(t)
	a := newAuthenticator(t, idp.config(c))
	ask := func(key string) error {
		_, err := a.Identify(request(t, "Bearer "+idp.token(key, with(c.Now(), nil))))
		return err
	}
	if err := ask("first"); err != nil {
		t.Fatal(err)
	}
	old := idp.token("first", with(c.Now(), nil))
	idp.rotate("second")
	c.add(fetchPause)
	if err := ask("second"); err != nil {
		t.Errorf("a new key: %v", err)
	}
	if idp.count() != 2 {
		t.Errorf("%d fetches", idp.count())
	}
	// The key that was withdrawn is gone.
	if _, err := a.Identify(request(t, "Bearer "+old)); bos.CodeOf(err) != bos.CodeUnauthenticated {
		t.Errorf("an old key: %v", err)
	}
	idp.private["made up"] = signers(t)[jose.ES256]
	for range 100 {
		if err := ask("made up"); bos.CodeOf(err) != bos.CodeUnauthenticated || !strings.Contains(err.Error(), "does not have") {
			t.Fatalf("a key that is made up: %v", err)
		}
		if err := ask("second"); err != nil {
			t.Fatalf("a good token among bad ones: %v", err)
		}
	}
	if idp.count() != 2 {
		t.Errorf("%d fetches within the pause", idp.count())
	}
	c.add(fetchPause)
	for range 100 {
		_ = ask("made up")
	}
	if idp.count() != 3 {
		t.Errorf("%d fetches after the pause", idp.count())
	}
}

// An issuer that is away stops nobody while its keys last, and is named when
// they don't.
func TestIssuerAway(t *testing.T) {
	c, idp := newClock(), newIssuer(t)
	a := newAuthenticator(t, idp.config(c))
	ask := func() error {
		_, err := a.Identify(request(t, "Bearer "+idp.token("first", with(c.Now(), nil))))
		a.running.Wait()
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string]func(w http.ResponseWriter, r *http.Request){
		"error":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"garbage":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"no keys":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[]}`) },
		"redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"too large": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxKeys+1)) },
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		},
	} {
		idp.answer(broken)
		c.add(6 * time.Minute)
		before := idp.count()
		if err := ask(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if idp.count() != before+1 || a.Keys()[0].Err == nil {
			t.Errorf("%s: %d fetches, error %v", name, idp.count()-before, a.Keys()[0].Err)
		}
	}
	c.add(12 * time.Hour)
	err := ask()
	if bos.CodeOf(err) != bos.CodeUnavailable || !strings.Contains(bos.UserText(err), "keys of the token's issuer") {
		t.Errorf("keys that are too old: %v", err)
	}
	idp.answer(nil)
	c.add(fetchPause)
	if err := ask(); err != nil || a.Keys()[0].Err != nil || !a.Keys()[0].Fetched.Equal(c.Now()) {
		t.Errorf("the issuer is back: %v, %+v", err, a.Keys())
	}
}

// A request that is given up does not wait for the keys, nor does the end of the
// process.
func TestHangingIssuer(t *testing.T) {
	c, idp := newClock(), newIssuer(t)
	arrived, release := make(chan struct{}, 8), make(chan struct{})
	idp.answer(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	a, err := New(idp.config(c))
	if err != nil {
		t.Fatal(err)
	}
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := a.Identify(request(t, "Bearer "+idp.token("first", with(c.Now(), nil))).WithContext(ctx))
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a request that was given up: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if _, err := a.Identify(request(t, "Bearer "+idp.token("first", with(c.Now(), nil)))); bos.CodeOf(err) != bos.CodeUnavailable {
		t.Errorf("after the end: %v", err)
	}
}

func TestKeysInFile(t *testing.T) {
	c, idp := newClock(), newIssuer(t)
	path := filepath.Join(t.TempDir(), "keys.json")
	store := func(text string, at time.Time) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	keys := func() string {
		text, err := json.Marshal(jose.JSONWebKeySet{Keys: idp.keys})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	cfg := idp.config(c)
	cfg.Issuers[0].Keys = path
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is not there: %v", err)
	}
	store("{}", c.Now())
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "none of its 0 keys") {
		t.Errorf("a file without keys: %v", err)
	}
	store(keys(), c.Now())
	a := newAuthenticator(t, cfg)
	ask := func(key string) error {
		_, err := a.Identify(request(t, "Bearer "+idp.token(key, with(c.Now(), nil))))
		a.running.Wait()
		return err
	}
	if err := ask("first"); err != nil {
		t.Fatal(err)
	}
	idp.rotate("second")
	c.add(filePoll)
	store(keys(), c.Now())
	if err := ask("second"); err != nil {
		t.Errorf("a new file: %v", err)
	}
	// A file that is broken leaves the keys as they are, for as long as it is.
	store("[", c.Now().Add(time.Second))
	for range 3 {
		c.add(filePoll)
		if err := ask("second"); err != nil || a.Keys()[0].Err == nil {
			t.Errorf("a broken file: %v, %v", err, a.Keys()[0].Err)
		}
	}
	store(keys(), c.Now().Add(2*time.Second))
	c.add(filePoll)
	if err := ask("second"); err != nil || a.Keys()[0].Err != nil {
		t.Errorf("a file that was mended: %v, %v", err, a.Keys()[0].Err)
	}
	if idp.count() != 0 {
		t.Error("the issuer was asked")
	}
}

func TestParseKeys(t *testing.T) {
	key := func(k jose.JSONWebKey) json.RawMessage {
		text, err := k.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	signer := signers(t)[jose.ES256]
	set := map[string]any{"keys": []json.RawMessage{
		key(jose.JSONWebKey{Key: signer, KeyID: "private"}),
		key(jose.JSONWebKey{Key: []byte("secret"), KeyID: "symmetric"}),
		key(jose.JSONWebKey{Key: signer.Public(), KeyID: "encryption", Use: "enc"}),
		json.RawMessage(`{"kty":"OKP","crv":"X448","x":"AAAA","kid":"strange"}`), json.RawMessage(`7`),
		key(jose.JSONWebKey{Key: signer.Public(), KeyID: "good"}),
	}}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := parseKeys(text)
	if err != nil || len(keys) != 1 || keys[0].KeyID != "good" {
		t.Errorf("%v, %v", keys, err)
	}
	many := `{"keys":[` + strings.TrimSuffix(strings.Repeat(`7,`, mostKeys+1), ",") + `]}`
	if _, err := parseKeys([]byte(many)); err == nil || !strings.Contains(err.Error(), "it has 129 keys; at most 128") {
		t.Errorf("many keys: %v", err)
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`)
	f.Add(`{"keys":[{"kty":"RSA","n":"","e":"AQAB"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := parseKeys([]byte(text))
		if err == nil && len(keys) == 0 {
			t.Error("no keys, and no error")
		}
	})
}

func FuzzVerify(f *testing.F) {
	c, idp := newClock(), newIssuer(f)
	a := newAuthenticator(f, idp.config(c))
	good := idp.token("first", with(c.Now(), nil))
	f.Add(good)
	f.Add(good[:len(good)-2])
	f.Fuzz(func(t *testing.T, text string) {
		identity, err := a.Identify(request(t, "Bearer "+text))
		if err == nil && identity.Name != "sub:1234" {
			t.Errorf("%+v", identity)
		}
	})
}
