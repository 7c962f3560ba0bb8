// SPDX-License-Identifier: MIT

package app_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
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
	"github.com/go-jose/go-jose/v4/jwt"

	"bos/internal/app"
	"bos/internal/certs/certstest"
	"bos/internal/cli"
	"bos/internal/config"
	"bos/internal/sim"
)

// secure is a site's authority, its issuer of tokens, and the files of both.
type secure struct {
	t    *testing.T
	dir  string
	ca   *certstest.CA
	keys map[string]*ecdsa.PrivateKey
}

func newSecure(t *testing.T) *secure {
	t.Helper()
	s := &secure{t: t, dir: t.TempDir(), ca: certstest.NewCA(t, "site"), keys: map[string]*ecdsa.PrivateKey{}}
	s.write("ca.crt", s.ca.PEM)
	s.write("client-ca.crt", s.ca.PEM)
	s.renew("first")
	s.rotate("first")
	return s
}

func (s *secure) path(name string) string { return filepath.Join(s.dir, name) }

// write replaces a file at once, as tools do that renew such files.
func (s *secure) write(name string, data []byte) string {
	s.t.Helper()
	path := s.path(name)
	if err := errors.Join(os.WriteFile(path+".new", data, 0o600), os.Rename(path+".new", path)); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// renew gives the server a certificate of a name.
func (s *secure) renew(name string) {
	s.t.Helper()
	pair := s.ca.Server(name, time.Now().Add(time.Hour))
	s.write("tls.crt", pair.Cert)
	s.write("tls.key", pair.Key)
}

// rotate gives the issuer one key of a name in place of those it has.
func (s *secure) rotate(name string) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	s.keys[name] = key
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: name, Use: "sig"}}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("keys.json", set)
}

// token writes a token of somebody into a file and returns its path.
func (s *secure) token(name, key string, claims map[string]any) string {
	s.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.keys[key]}, (&jose.SignerOptions{}).WithHeader("kid", key))
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[string]any{"iss": "https://idp", "aud": "shasta", "sub": name, "exp": time.Now().Add(time.Hour).Unix()}
	for claim, value := range claims {
		all[claim] = value
	}
	text, err := jwt.Signed(signer).Claims(all).Serialize()
	if err != nil {
		s.t.Fatal(err)
	}
	return s.write("token-"+name, []byte(text+"\n"))
}

func role(name string) map[string]any {
	return map[string]any{"resource_access": map[string]any{"shasta": map[string]any{"roles": []string{name}}}}
}

// pair writes a client certificate into files.
func (s *secure) pair(name string, uris ...string) (cert, key string) {
	s.t.Helper()
	p := s.ca.Client(name, uris...)
	return s.write(name+".crt", p.Cert), s.write(name+".key", p.Key)
}

// configure asks callers for tokens and certificates.
func (s *secure) configure(c *config.Config) {
	c.DataDir = filepath.Join(s.dir, "data")
	c.Auth, c.TLSCertFile, c.TLSKeyFile, c.ClientCAFile = "jwt,mtls", s.path("tls.crt"), s.path("tls.key"), s.path("client-ca.crt")
	c.Access.Issuers, c.Access.Keys = []string{"https://idp"}, []string{s.path("keys.json")}
	c.Access.Names = append(c.Access.Names, "cn:ops=admin")
	c.Audit = s.path("audit.jsonl")
}

// bos runs the client's program and returns its status and what it said.
func (s *secure) bos(p *process, args ...string) (status int, out string) {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	status = cli.Main(s.t.Context(), cli.System{
		Args:  append(args, "--url", p.URL(), "--ca-file", s.path("ca.crt"), "--format", "json"),
		Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
		Getenv: func(string) string { return "" }, Now: time.Now,
	})
	return status, stdout.String() + stderr.String()
}

// wants fails unless the client's program ends with a status and says something.
func (s *secure) wants(p *process, status int, words string, args ...string) {
	s.t.Helper()
	if got, out := s.bos(p, args...); got != status || !strings.Contains(out, words) {
		s.t.Errorf("bos %s: status %d, want %d and %q: %s", strings.Join(args, " "), got, status, words, out)
	}
}

// The client's program works over TLS with tokens and certificates, and is told
// what it may not do; keys, certificates and CAs are replaced meanwhile.
func TestAccessOverTLS(t *testing.T) {
	noLeak(t)
	s := newSecure(t)
	p := start(t, app.Options{ThrowAway: true}, func(c *config.Config) {
		s.configure(c)
		c.Operators, c.TAPMSURL = []string{config.None}, config.None
	})
	root := s.token("root", "first", role("admin"))
	slurm := s.token("slurm", "first", role("wlm"))
	blue := s.token("blue", "first", map[string]any{
		"resource_access": role("tenant-admin")["resource_access"], "groups": []string{"/blue-tenant-admin"},
	})
	late := s.token("late", "first", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})
	node := s.token("node", "first", map[string]any{"sub": "spiffe://shasta/compute/x1c0s0b0n0/workload/bos-reporter"})

	s.wants(p, 0, `"dbStatus": "ok"`, "healthz", "list")
	s.wants(p, 2, "this needs authentication", "options", "list")
	s.wants(p, 2, "the token expired", "options", "list", "--token-file", late)
	s.wants(p, 0, `"polling_frequency"`, "options", "list", "--token-file", root)
	cert, key := s.pair("ops")
	if status, body := s.send(p, cert, key, http.MethodPut, "x1c0s0b0n0", `{"enabled":false}`); status != 200 {
		t.Fatalf("an admin's certificate: %d %s", status, body)
	}
	s.wants(p, 0, "x1c0s0b0n0", "components", "update", "x1c0s0b0n0", "--enabled", "false", "--token-file", root)
	s.wants(p, 2, "your role (wlm) may not use get_v2_options", "options", "list", "--token-file", slurm)
	s.wants(p, 2, "Session 's' does not exist", "sessions", "describe", "s", "--token-file", slurm)
	s.wants(p, 2, "the header Cray-Tenant-Name must name your tenant: blue", "sessions", "list", "--token-file", blue)
	s.wants(p, 0, "[]", "sessions", "list", "--tenant", "blue", "--token-file", blue)
	s.wants(p, 2, "may not use get_v2_component", "components", "describe", "x1c0s0b0n0", "--token-file", node)

	s.wants(p, 0, `"polling_frequency"`, "options", "list", "--cert-file", cert, "--key-file", key)
	guest, guestKey := s.pair("guest")
	s.wants(p, 2, "no role was given to you", "options", "list", "--cert-file", guest, "--key-file", guestKey)
	s.wants(p, 1, "needed together", "options", "list", "--cert-file", cert)

	// A node reports for itself, as its reporter does it.
	nodeCert, nodeKey := s.pair("node", "spiffe://shasta/compute/x1c0s0b0n0/workload/bos-reporter")
	if status, body := s.send(p, nodeCert, nodeKey, http.MethodPatch, "x1c0s0b0n0", `{"id":"x1c0s0b0n0","actual_state":{"bss_token":"t"}}`); status != 200 {
		t.Errorf("a node's report: %d %s", status, body)
	}
	if status, body := s.send(p, nodeCert, nodeKey, http.MethodPatch, "x1c0s0b0n1", `{"actual_state":{}}`); status != 403 {
		t.Errorf("a report for another node: %d %s", status, body)
	}

	s.rotate("second")
	renewed := s.token("renewed", "second", role("admin"))
	until(t, "the new key is used", func() bool { status, _ := s.bos(p, "options", "list", "--token-file", renewed); return status == 0 })
	s.wants(p, 2, "signed by a key that its issuer does not have", "options", "list", "--token-file", root)

	s.renew("second")
	until(t, "the new certificate is used", func() bool { return s.serverName(p) == "second" })
	s.wants(p, 0, `"polling_frequency"`, "options", "list", "--cert-file", cert, "--key-file", key)
	s.write("client-ca.crt", certstest.NewCA(t, "other").PEM)
	until(t, "the old authority is no longer trusted", func() bool {
		status, _ := s.bos(p, "options", "list", "--cert-file", cert, "--key-file", key)
		return status != 0
	})

	if err := p.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(s.path("audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"who":"sub:root","issuer":"https://idp","auth":"jwt","roles":"admin"`, `"operation":"patch_v2_component","resources":"x1c0s0b0n0","count":1,"status":200`,
		`"who":"sub:blue"`, `"denied":"the token expired at`, `"auth":"mtls","roles":"node"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the audit trail lacks %s:\n%s", want, text)
		}
	}
}

// send sends a component with a client certificate.
func (s *secure) send(p *process, cert, key, method, id, body string) (int, string) {
	s.t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		s.t.Fatal(err)
	}
	client := s.client(&pair)
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(s.t.Context(), method, p.URL()+"/v2/components/"+id, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// client trusts the site's authority.
func (s *secure) client(pair *tls.Certificate) *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.ca.PEM)
	cfg := &tls.Config{RootCAs: pool}
	if pair != nil {
		cfg.Certificates = []tls.Certificate{*pair}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: cfg}}
}

// serverName is what the server's certificate says.
func (s *secure) serverName(p *process) string {
	client := s.client(nil)
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, p.URL()+"/livez", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.TLS.PeerCertificates[0].Subject.CommonName
}

// The nodes of a simulated site have no tokens; they report all the same where
// everybody else needs one.
func TestSimulatedNodesReport(t *testing.T) {
	noLeak(t)
	s := newSecure(t)
	site := newSite(t, sim.Config{Nodes: 4})
	p := start(t, app.Options{ThrowAway: true, Site: site}, s.configure)
	root := s.token("root", "first", role("admin"))
	until(t, "the nodes are found", func() bool {
		_, out := s.bos(p, "components", "list", "--token-file", root)
		return strings.Count(out, `"id"`) >= 4
	})
	template := s.write("template.json", []byte(`{"boot_sets":{"c":{"type":"s3","path":"`+site.Images()[0].ManifestPath+`","node_roles_groups":["Compute"]}}}`))
	s.wants(p, 0, `"boot_sets"`, "sessiontemplates", "create", "t", "--file", template, "--token-file", root)
	s.wants(p, 0, `"boot-1"`, "sessions", "create", "--name", "boot-1", "--operation", "boot", "--template-name", "t", "--token-file", root)
	until(t, "the nodes are booted", func() bool {
		_, out := s.bos(p, "sessions", "status", "list", "boot-1", "--token-file", root)
		return strings.Contains(out, `"percent_successful": 100`)
	})
}

// What can't be prepared keeps the app from starting, before it serves anything.
func TestAccessThatCannotBe(t *testing.T) {
	noLeak(t)
	s := newSecure(t)
	for name, tt := range map[string]struct {
		change func(*config.Config)
		want   string
	}{
		"keys":         {func(c *config.Config) { c.Access.Keys = []string{s.write("none.json", []byte("{}"))} }, "the keys of the issuer https://idp"},
		"certificate":  {func(c *config.Config) { c.TLSCertFile = s.path("keys.json") }, "prepare TLS"},
		"audit":        {func(c *config.Config) { c.Audit = s.path("no/where") }, "open the audit trail"},
		"operation":    {func(c *config.Config) { c.Limits.MaxBody = []string{"put_v2_thing=1"} }, `"put_v2_thing": there is no such operation`},
		"no authority": {func(c *config.Config) { c.TLSCertFile, c.TLSKeyFile = "", "" }, "client certificates need TLS"},
	} {
		cfg := config.Default()
		s.configure(cfg)
		cfg.Listen, cfg.Operators = "127.0.0.1:0", []string{config.None}
		tt.change(cfg)
		a, err := app.Start(t.Context(), cfg, app.Options{ThrowAway: true})
		if err == nil {
			err = errors.Join(errors.New("it started"), a.Stop(t.Context()))
		}
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
