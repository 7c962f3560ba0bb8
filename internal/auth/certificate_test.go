// SPDX-License-Identifier: MIT

package auth

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bos/internal/bos"
)

func TestIdentifyCertificate(t *testing.T) {
	c := newClock()
	root, other := &x509.Certificate{Raw: []byte("root")}, &x509.Certificate{Raw: []byte("other")}
	roots := []*x509.Certificate{root}
	rules, err := ParseRules(append(DefaultRules(), "cn:ops=admin", "cn:{tenant}.tenant=tenant-admin"))
	if err != nil {
		t.Fatal(err)
	}
	a := newAuthenticator(t, Config{Roots: func() []*x509.Certificate { return roots }, Rules: rules, Skew: time.Minute, Now: c.Now})
	leaf := func(cn string, uris ...string) *x509.Certificate {
		cert := &x509.Certificate{
			Subject: pkix.Name{CommonName: cn}, NotBefore: c.Now().Add(-time.Hour), NotAfter: c.Now().Add(time.Hour),
		}
		for _, text := range uris {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			cert.URIs = append(cert.URIs, u)
		}
		return cert
	}
	const spiffe = "spiffe://shasta/uan/uan01/workload/bos-reporter"
	late, early := leaf("ops"), leaf("ops")
	late.NotAfter = c.Now().Add(-2 * time.Minute)
	early.NotBefore = c.Now().Add(2 * time.Minute)
	for _, tt := range []struct {
		name string
		leaf *x509.Certificate
		root *x509.Certificate
		want *Identity
	}{
		{"SPIFFE", leaf("", spiffe), root, &Identity{Name: spiffe, Roles: []Role{RoleNode}, Node: "uan01"}},
		{"SPIFFE and name", leaf("ops", spiffe), root, &Identity{Name: spiffe, Roles: []Role{RoleAdmin, RoleNode}, Node: "uan01"}},
		{"two SPIFFE IDs", leaf("ops", spiffe, "spiffe://shasta/uan/uan02/workload/bos-reporter"), root, &Identity{Name: "cn:ops", Roles: []Role{RoleAdmin}}},
		{"SPIFFE and another URI", leaf("ops", spiffe, "https://x"), root, &Identity{Name: "cn:ops", Roles: []Role{RoleAdmin}}},
		{"escaped SPIFFE ID", leaf("x", "spiffe://shasta/uan/uan%30/workload/bos-reporter"), root, &Identity{Name: "cn:x"}},
		{"tenant", leaf("blue.tenant"), root, &Identity{Name: "cn:blue.tenant", Roles: []Role{RoleTenantAdmin}, Tenants: []string{"blue"}}},
		{"no role", leaf("guest"), root, &Identity{Name: "cn:guest"}},
		{"no name", leaf(""), root, nil},
		{"expired", late, root, nil},
		{"not yet", early, root, nil},
		{"another CA", leaf("ops"), other, nil},
	} {
		r := request(t, "Bearer ignored")
		r.TLS = &tls.ConnectionState{
			PeerCertificates: []*x509.Certificate{tt.leaf}, VerifiedChains: [][]*x509.Certificate{{tt.leaf, tt.root}},
		}
		got, err := a.Identify(r)
		if tt.want == nil {
			if got != nil || bos.CodeOf(err) != bos.CodeUnauthenticated {
				t.Errorf("%s: %v, %v", tt.name, got, err)
			}
			continue
		}
		tt.want.Method = MethodMTLS
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, err, diff)
		}
		// A CA that is taken away takes its connections along.
		roots = nil
		if _, err := a.Identify(r); bos.CodeOf(err) != bos.CodeUnauthenticated {
			t.Errorf("%s, without its CA: %v", tt.name, err)
		}
		roots = []*x509.Certificate{root}
	}
	for _, state := range []*tls.ConnectionState{nil, {}} {
		r := request(t, "")
		r.TLS = state
		if got, err := a.Identify(r); got != nil || err != nil {
			t.Errorf("no certificate: %v, %v", got, err)
		}
	}
	if got := a.Challenge(nil); got != `ClientCertificate realm="bos"` {
		t.Error(got)
	}
	if a.Keys() != nil {
		t.Error("keys without issuers")
	}
}

// Somebody who shows both is who the token says, or nobody.
func TestTokenBeforeCertificate(t *testing.T) {
	c, idp := newClock(), newIssuer(t)
	root := &x509.Certificate{Raw: []byte("root")}
	cfg := idp.config(c)
	cfg.Roots = func() []*x509.Certificate { return []*x509.Certificate{root} }
	a := newAuthenticator(t, cfg)
	leaf := &x509.Certificate{Subject: pkix.Name{CommonName: "ops"}, NotAfter: c.Now().Add(time.Hour)}
	for authorization, want := range map[string]string{
		"Bearer " + idp.token("first", with(c.Now(), nil)): "sub:1234", "": "cn:ops", "Bearer bad": "",
	} {
		r := request(t, authorization)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf, root}}}
		got, err := a.Identify(r)
		if (want == "") != (err != nil) || got != nil && got.Name != want {
			t.Errorf("%.20q: %v, %v", authorization, got, err)
		}
	}
}
