// SPDX-License-Identifier: MIT

package auth

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"time"

	"bos/internal/bos"
)

// certificates finds out who a client certificate is for.
type certificates struct {
	// roots are the CAs that are trusted now.
	roots func() []*x509.Certificate
	skew  time.Duration
	now   func() time.Time
}

// client returns the certificate that a connection's client showed, checked; nil
// if it showed none. The handshake checked it once; a connection may be older
// than the certificate is good, or than the CA's removal.
func (c *certificates) client(state *tls.ConnectionState) (*x509.Certificate, error) {
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil, nil
	}
	leaf := state.PeerCertificates[0]
	switch now := c.now(); {
	case now.Add(-c.skew).After(leaf.NotAfter):
		return nil, invalidToken("the client certificate expired at "+utc(leaf.NotAfter), nil)
	case now.Add(c.skew).Before(leaf.NotBefore):
		return nil, invalidToken("the client certificate is not valid yet; is a clock wrong?", nil)
	case !c.trusted(state.VerifiedChains):
		return nil, invalidToken("the client certificate's CA is not trusted", nil)
	}
	return leaf, nil
}

// trusted reports whether one of the chains ends in a CA that is trusted now.
func (c *certificates) trusted(chains [][]*x509.Certificate) bool {
	for _, root := range c.roots() {
		for _, chain := range chains {
			if len(chain) > 0 && bytes.Equal(chain[len(chain)-1].Raw, root.Raw) {
				return true
			}
		}
	}
	return false
}

// names returns the names of a certificate's owner: its SPIFFE ID, if it has
// exactly one as the standard demands, and its common name. The first is the
// one that it goes by.
func names(leaf *x509.Certificate) []string {
	var out, ids []string
	for _, uri := range leaf.URIs {
		if uri.Scheme == "spiffe" {
			ids = append(ids, uri.String())
		}
	}
	if len(ids) == 1 && len(leaf.URIs) == 1 && isSPIFFE(ids[0]) {
		out = append(out, ids[0])
	}
	if cn := leaf.Subject.CommonName; cn != "" && len(cn) <= maxName {
		out = append(out, prefixCommon+cn)
	}
	return out
}

// identify says who a checked client certificate is for.
func (a *Authenticator) identifyCertificate(leaf *x509.Certificate) (*Identity, error) {
	owner := names(leaf)
	if len(owner) == 0 {
		return nil, &bos.Error{
			Code: bos.CodeUnauthenticated, Err: errInvalidToken,
			Message: "the client certificate names nobody: it has neither one SPIFFE ID nor a common name",
		}
	}
	i := &Identity{Name: owner[0], Method: MethodMTLS}
	a.giveByNames(i, owner, &grants{})
	return i, nil
}
