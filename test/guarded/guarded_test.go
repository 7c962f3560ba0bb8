// SPDX-License-Identifier: MIT

// Package guarded points a simulated site that is a process of its own at a BOS
// that asks who everybody is.
package guarded_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"bos/internal/certs/certstest"
	"bos/test/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

// site is an authority, its files, and a BOS that trusts nobody else.
type site struct {
	t       *testing.T
	dir     string
	ca      *certstest.CA
	address string
	client  *http.Client
	// guard are the arguments of bosd serve.
	guard []string
	// token is a file with the token of an admin, cert and key are another's.
	token, caFile, cert, key string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), ca: certstest.NewCA(t, "site"), address: rig.Address(t)}
	own, admin := s.ca.Server("bos", time.Now().Add(time.Hour)), s.ca.Client("reporters")
	s.caFile = s.write("ca.pem", s.ca.PEM)
	s.cert, s.key = s.write("admin.pem", admin.Cert), s.write("admin.key", admin.Key)
	s.token = s.write("token", s.sign())
	s.guard = []string{
		"--auth", "jwt,mtls", "--tls-cert-file", s.write("tls.pem", own.Cert), "--tls-key-file", s.write("tls.key", own.Key),
		"--client-ca-file", s.caFile, "--auth-issuers", "https://idp", "--auth-keys", s.dir + "/keys.json", "--auth-names", "cn:reporters=admin",
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.ca.PEM)
	pair, err := tls.X509KeyPair(admin.Cert, admin.Key)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	return s
}

func (s *site) write(name string, data []byte) string { return certstest.Write(s.t, s.dir, name, data) }

// sign makes the issuer's key and a token of an admin.
func (s *site) sign() []byte {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Use: "sig"}}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("keys.json", set)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": "https://idp", "aud": "shasta", "sub": "reporters", "exp": time.Now().Add(time.Hour).Unix(),
		"resource_access": map[string]any{"shasta": map[string]any{"roles": []string{"admin"}}},
	}).Serialize()
	if err != nil {
		s.t.Fatal(err)
	}
	return []byte(text + "\n")
}

// ask sends a request, as an admin.
func (s *site) ask(method, path string, body, into any) error {
	payload, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, "https://"+s.address+path, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %d %.300s, %w", method, path, res.StatusCode, data, errors.Join(err))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(data, into)
}

// until repeats something until it works.
func (s *site) until(what string, works func() error) {
	s.t.Helper()
	end := time.Now().Add(90 * time.Second)
	for err := works(); err != nil; err = works() {
		if time.Now().After(end) {
			s.t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// boot runs a simulated site with some arguments and a BOS, and boots two nodes:
// the session is complete when both have reported.
func (s *site) boot(credentials ...string) {
	s.t.Helper()
	simulated := rig.New(s.t, "simulate", nil, append([]string{
		"simulate", "--nodes", "2", "--time-scale", "0.02", "--site-listen", "127.0.0.1:0", "--report-url", "https://" + s.address,
	}, credentials...)...)
	simulated.Start()
	s.until("the site runs", func() error {
		if !strings.Contains(simulated.Log(), "manifest.json") {
			return errors.New("not yet")
		}
		return nil
	})
	var environ []string
	image := ""
	for line := range strings.Lines(simulated.Log()) {
		for _, word := range strings.Fields(line) {
			if name, _, ok := strings.Cut(word, "="); ok && (strings.HasPrefix(name, "BOS_") || strings.HasPrefix(name, "S3_")) {
				environ = append(environ, word)
			}
			if image == "" && strings.HasPrefix(word, "s3://") && strings.HasSuffix(word, "manifest.json") {
				image = word
			}
		}
	}
	p := rig.New(s.t, "bosd", environ, append([]string{"serve", "--listen", s.address, "--data-dir", s.t.TempDir()}, s.guard...)...)
	p.Start()
	var nodes []struct{ ID string }
	s.until("the nodes are discovered", func() error {
		err := s.ask(http.MethodGet, "/v2/components", nil, &nodes)
		if err == nil && len(nodes) < 2 {
			err = fmt.Errorf("%d of 2", len(nodes))
		}
		return err
	})
	members := []string{}
	for _, n := range nodes {
		if strings.HasPrefix(n.ID, "x1000c") {
			members = append(members, n.ID)
		}
	}
	template := map[string]any{
		"cfs":       map[string]any{"configuration": "configuration"},
		"boot_sets": map[string]any{"all": map[string]any{"type": "s3", "path": image, "node_list": members}},
	}
	if err := s.ask(http.MethodPut, "/v2/sessiontemplates/all", template, nil); err != nil {
		s.t.Fatal(err)
	}
	if err := s.ask(http.MethodPost, "/v2/sessions", map[string]any{"name": "boot", "operation": "boot", "template_name": "all"}, nil); err != nil {
		s.t.Fatal(err)
	}
	s.until("the session is complete", func() error {
		var session struct{ Status struct{ Status string } }
		err := s.ask(http.MethodGet, "/v2/sessions/boot", nil, &session)
		if err == nil && session.Status.Status != "complete" {
			err = errors.New(session.Status.Status)
		}
		return err
	})
	var status struct {
		Successful float64 `json:"percent_successful"`
	}
	if err := s.ask(http.MethodGet, "/v2/sessions/boot/status", nil, &status); err != nil || status.Successful != 100 {
		s.t.Errorf("%.0f %% of the nodes got there, %v", status.Successful, err)
	}
}

// The nodes of a site report with a token, and with a certificate.
func TestReports(t *testing.T) {
	t.Run("token", func(t *testing.T) {
		s := newSite(t)
		s.boot("--report-ca-file", s.caFile, "--report-token-file", s.token)
	})
	t.Run("certificate", func(t *testing.T) {
		s := newSite(t)
		s.boot("--report-ca-file", s.caFile, "--report-cert-file", s.cert, "--report-key-file", s.key)
	})
}
