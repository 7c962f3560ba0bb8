// SPDX-License-Identifier: MIT

package web_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"bos/internal/app"
	"bos/internal/config"
	"bos/internal/sim"
)

// patience bounds how long a test waits for anything.
const patience = time.Minute

// service is a whole BOS with a simulated site, and a browser that looks at it.
type service struct {
	*app.App
	t      *testing.T
	client *http.Client
}

// start starts a BOS with as many nodes; edit changes its configuration.
func start(t *testing.T, nodes int, edit func(*config.Config)) *service {
	t.Helper()
	site := sim.New(sim.Config{Nodes: nodes, TimeScale: 0.01})
	t.Cleanup(site.Close)
	if err := site.Start(); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Listen, cfg.TimeScale, cfg.DataDir = "127.0.0.1:0", 0.01, t.TempDir()
	if edit != nil {
		edit(cfg)
	}
	a, err := app.Start(t.Context(), cfg, app.Options{Site: site, ThrowAway: true, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{App: a, t: t, client: &http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		if err := a.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// answered is an answer with its body.
type answered struct {
	*http.Response
	t    *testing.T
	body string
}

// do sends a request as a browser would, from a page of the same origin unless
// the header says otherwise.
func (s *service) do(method, path string, form url.Values, header ...string) answered {
	s.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.Addr()+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return s.send(req, header)
}

// send sends a request with more headers, each name followed by its value.
func (s *service) send(req *http.Request, header []string) answered {
	s.t.Helper()
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answered{res, s.t, string(text)}
}

func (s *service) get(path string, header ...string) answered {
	s.t.Helper()
	return s.do(http.MethodGet, path, nil, header...)
}

// wants checks the status and that the body has some texts.
func (a answered) wants(status int, texts ...string) answered {
	a.t.Helper()
	if a.StatusCode != status {
		a.t.Errorf("%s %s: %d, not %d: %.400s", a.Request.Method, a.Request.URL, a.StatusCode, status, a.body)
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			a.t.Errorf("%s %s lacks %q:\n%s", a.Request.Method, a.Request.URL, text, a.main())
		}
	}
	return a
}

// lacks checks that the body has none of some texts.
func (a answered) lacks(texts ...string) answered {
	a.t.Helper()
	for _, text := range texts {
		if strings.Contains(a.body, text) {
			a.t.Errorf("%s %s has %q:\n%s", a.Request.Method, a.Request.URL, text, a.main())
		}
	}
	return a
}

// leads checks where a redirect leads.
func (a answered) leads(status int, to string) answered {
	a.t.Helper()
	if got := a.Header.Get("Location"); a.StatusCode != status || got != to {
		a.t.Errorf("%s %s: %d to %q, not %d to %q: %.300s", a.Request.Method, a.Request.URL, a.StatusCode, got, status, to, a.body)
	}
	return a
}

// main is the content of a page.
func (a answered) main() string {
	_, rest, ok := strings.Cut(a.body, "<main")
	if !ok {
		return a.body
	}
	content, _, _ := strings.Cut(rest, "</main>")
	return content
}

// api sends a request to the API.
func (s *service) api(method, path string, body any, header ...string) answered {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.Addr()+path, strings.NewReader(string(text)))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return s.send(req, header)
}

// until waits until something holds.
func (s *service) until(what string, holds func() bool) {
	s.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-deadline.C:
			s.t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// putTemplate puts a template of all compute nodes.
func (s *service) putTemplate(name string, header ...string) {
	s.t.Helper()
	s.api(http.MethodPut, "/v2/sessiontemplates/"+name, map[string]any{
		"description": "Compute <nodes>", "cfs": map[string]string{"configuration": "compute-25.11"},
		"boot_sets": map[string]any{"compute": map[string]any{
			"path": s.Site().Images()[0].ManifestPath, "type": "s3", "node_roles_groups": []string{"Compute"},
			"kernel_parameters": "console=ttyS0 secret=sesame", "rootfs_provider": "sbps",
		}},
	}, header...).wants(http.StatusOK)
}

// issuer signs tokens.
type issuer struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	file string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, key: key, file: filepath.Join(t.TempDir(), "keys.json")}
	if err := os.WriteFile(i.file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	return i
}

// configure asks callers for tokens of the issuer.
func (i *issuer) configure(c *config.Config) {
	c.Auth, c.Access.Issuers, c.Access.Keys = "jwt", []string{"https://idp"}, []string{i.file}
}

// token makes a token of somebody with a role and more claims.
func (i *issuer) token(name, role string, claims map[string]any) string {
	i.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: i.key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
	if err != nil {
		i.t.Fatal(err)
	}
	all := map[string]any{
		"iss": "https://idp", "aud": "shasta", "sub": name, "exp": time.Now().Add(time.Hour).Unix(),
		"resource_access": map[string]any{"shasta": map[string]any{"roles": []string{role}}},
	}
	for claim, value := range claims {
		all[claim] = value
	}
	text, err := jwt.Signed(signer).Claims(all).Serialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}
