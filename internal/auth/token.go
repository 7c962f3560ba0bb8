// SPDX-License-Identifier: MIT

package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	strict "github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"

	"bos/internal/bos"
)

// maxToken bounds a bearer token in bytes.
const maxToken = 32 << 10

// algorithms are the signatures that are taken: those with a public key, so
// that whoever can check a token can't make one.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

// tokens checks bearer tokens.
type tokens struct {
	issuers map[string]*keySet
	// audiences are those of which a token must name one; none checks none.
	audiences []string
	skew      time.Duration
	now       func() time.Time
	algs      []jose.SignatureAlgorithm
}

// bearer returns the token of a request; "" if there is none. Several, and other
// kinds of credentials, are an error: which of them counts would be a guess.
func bearer(header http.Header) (string, error) {
	values := header.Values("Authorization")
	if len(values) == 0 {
		return "", nil
	}
	kind, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	switch {
	case len(values) > 1:
		return "", invalidToken("there is more than one header Authorization", nil)
	case !strings.EqualFold(kind, "Bearer") || token == "":
		return "", invalidToken("the header Authorization must hold a bearer token", nil)
	case len(token) > maxToken:
		return "", invalidToken(fmt.Sprintf("the token has %d bytes; at most %d are taken", len(token), maxToken), nil)
	}
	return token, nil
}

// errInvalidToken marks the refusal of a token that was sent.
var errInvalidToken = errors.New("invalid token")

// invalidToken makes the error of a token that is not good. The reason is shown
// to the one who sent it and in logs; it never holds a part of the token.
func invalidToken(reason string, cause error) error {
	return &bos.Error{Code: bos.CodeUnauthenticated, Message: reason, Err: errors.Join(errInvalidToken, cause)}
}

// verified is a token that was checked.
type verified struct {
	issuer, subject string
	claims          claims
}

// verify checks a token: its issuer, its signature, its audience and its times.
func (t *tokens) verify(ctx context.Context, text string) (verified, error) {
	token, err := jwt.ParseSigned(text, t.algs)
	if err != nil {
		return verified{}, invalidToken("the token is no JWT with a signature of a kind that is taken", nil)
	}
	// Whose keys have to be asked for is said by the token itself; what it says
	// is believed once the keys have confirmed it.
	var alleged struct {
		Issuer string `json:"iss"`
	}
	if token.UnsafeClaimsWithoutVerification(&alleged) != nil {
		return verified{}, invalidToken("the token holds no claims", nil)
	}
	keys := t.issuers[alleged.Issuer]
	if keys == nil {
		return verified{}, invalidToken("the token's issuer is not accepted here", nil)
	}
	payload, err := signed(ctx, token, keys)
	if err != nil {
		return verified{}, err
	}
	return t.check(alleged.Issuer, payload)
}

// signed returns the payload of a token that one of the issuer's keys signed.
func signed(ctx context.Context, token *jwt.JSONWebToken, keys *keySet) (json.RawMessage, error) {
	id := token.Headers[0].KeyID
	candidates, err := keys.find(ctx, id)
	payload := tryKeys(token, candidates)
	if err == nil && payload == nil && id == "" {
		// A token that doesn't say which key it is by may be by a new one.
		candidates, err = keys.findAnew(ctx, "")
		payload = tryKeys(token, candidates)
	}
	switch {
	case payload != nil:
		return payload, nil
	case errors.Is(err, errNoKey):
		return nil, invalidToken("the token is signed by a key that its issuer does not have", nil)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, &bos.Error{
			Code: bos.CodeUnavailable, Dependency: "jwks", Err: err,
			Message: "the keys of the token's issuer can't be had",
		}
	}
	return nil, invalidToken("the token's signature is wrong", nil)
}

func tryKeys(token *jwt.JSONWebToken, keys []jose.JSONWebKey) json.RawMessage {
	for i := range keys {
		var payload json.RawMessage
		if token.Claims(&keys[i], &payload) == nil {
			return payload
		}
	}
	return nil
}

// check checks the claims of a token whose signature is good.
func (t *tokens) check(issuer string, payload json.RawMessage) (verified, error) {
	var standard jwt.Claims
	var all claims
	// Names of claims are case-sensitive, and none may be there twice.
	if strict.Unmarshal(payload, &standard) != nil || strict.Unmarshal(payload, &all) != nil {
		return verified{}, invalidToken("the token's claims are malformed", nil)
	}
	now := t.now()
	err := standard.ValidateWithLeeway(jwt.Expected{Issuer: issuer, AnyAudience: t.audiences, Time: now}, t.skew)
	switch {
	case standard.Expiry == nil:
		return verified{}, invalidToken("the token does not say when it expires", nil)
	case errors.Is(err, jwt.ErrExpired):
		return verified{}, invalidToken("the token expired at "+utc(standard.Expiry.Time()), nil)
	case errors.Is(err, jwt.ErrNotValidYet), errors.Is(err, jwt.ErrIssuedInTheFuture):
		return verified{}, invalidToken("the token is not valid yet; is a clock wrong?", nil)
	case errors.Is(err, jwt.ErrInvalidAudience):
		return verified{}, invalidToken("the token is for another audience", nil)
	case err != nil:
		return verified{}, invalidToken("the token's claims are not accepted", err)
	case standard.Subject == "" || len(standard.Subject) > maxName:
		return verified{}, invalidToken("the token names no subject", nil)
	case all.wrongType():
		return verified{}, invalidToken("the token is not an access token", nil)
	}
	return verified{issuer, standard.Subject, all}, nil
}

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }
