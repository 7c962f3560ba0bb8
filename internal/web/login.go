// SPDX-License-Identifier: MIT

package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"bos/internal/auth"
	"bos/internal/bos"
)

// A token is kept in cookies of the browser that no script can read and that no
// other site makes it send. A cookie takes some 4 kB, and tokens with many
// roles have more, so that there are several.
const (
	cookieName  = "bos_token_"
	cookieBytes = 3600
	mostCookies = 8
	// mostForm bounds a form in bytes: a session's limit may have half a
	// megabyte, and is longer in a form.
	mostForm = 2 << 20
)

// keptToken returns the token that the cookies of a request hold, "" if there is
// none.
func keptToken(r *http.Request) string {
	var token strings.Builder
	for i := range mostCookies {
		c, err := r.Cookie(cookieName + strconv.Itoa(i))
		if err != nil || c.Value == "" {
			break
		}
		token.WriteString(c.Value)
	}
	return token.String()
}

// keep has the browser keep a token, or forget it if that is "". The path is left
// out: it is then the one that the browser sees, whatever a gateway took off. No
// time is named, so that they go with the browser; the token has an end of its
// own.
func (v *visit) keep(token string) {
	for i := range mostCookies {
		part := token[:min(len(token), cookieBytes)]
		token = token[len(part):]
		name := cookieName + strconv.Itoa(i)
		if _, err := v.r.Cookie(name); err != nil && part == "" {
			continue
		}
		c := &http.Cookie{Name: name, Value: part, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: v.encrypted()} //nolint:gosec // without TLS there is no secure cookie
		if part == "" {
			c.MaxAge = -1
		}
		http.SetCookie(v.w, c)
	}
}

// encrypted reports whether the browser speaks TLS, to this service or to the
// proxy in front of it.
func (v *visit) encrypted() bool {
	return v.r.TLS != nil || v.r.Header.Get("X-Forwarded-Proto") == "https"
}

// loginForm is what the page to log in shows.
type loginForm struct {
	// To is where to go afterwards, relative to the root of the pages.
	To    string
	Error string
}

// within matches places of the pages: no other site, and nothing above them.
var within = regexp.MustCompile(`^(?:[A-Za-z0-9_~%-][A-Za-z0-9._~%:@!$&'()*+,;=-]*/?)*$`)

// place returns where to go after a login, "" if what was sent is no place of the
// pages.
func place(to string) string {
	// Browsers take an escaped dot for a dot.
	if !within.MatchString(to) || strings.HasPrefix(to, "login") || strings.Contains(strings.ToLower(to), "%2e") {
		return ""
	}
	return to
}

func (s *site) showLogin(v *visit) error {
	form := loginForm{To: place(v.r.URL.Query().Get("to"))}
	if s.access == nil || v.identity != nil {
		redirect(v.w, http.StatusSeeOther, v.ui+form.To)
		return nil
	}
	if v.kept {
		form.Error = "The token that you logged in with is not accepted any more."
	}
	return v.show("login", v.newPage("Log in", "login", form))
}

func (s *site) login(v *visit) error {
	if err := v.readForm(); err != nil {
		return err
	}
	form := loginForm{To: place(v.r.PostFormValue("to"))}
	if s.access == nil {
		redirect(v.w, http.StatusSeeOther, v.ui+form.To)
		return nil
	}
	identity, why, err := v.try(v.r.PostFormValue("token"))
	if err != nil {
		return err
	}
	if identity == nil {
		form.Error = why
		v.identity, v.kept = nil, false
		return v.showAs(http.StatusUnauthorized, "login", v.newPage("Log in", "login", form))
	}
	v.keep(cleanToken(v.r.PostFormValue("token")))
	redirect(v.w, http.StatusSeeOther, v.ui+landing(identity, form.To))
	return nil
}

// cleanToken drops what people paste beside a token.
func cleanToken(text string) string {
	text = strings.TrimSpace(text)
	if kind, rest, ok := strings.Cut(text, " "); ok && strings.EqualFold(kind, "Bearer") {
		text = strings.TrimSpace(rest)
	}
	return text
}

// tokenText matches what may be a token (RFC 6750), and so may be a cookie.
var tokenText = regexp.MustCompile(`^[A-Za-z0-9._~+/=-]+$`)

// try finds out who a token is from; without an identity it says why there is
// none.
func (v *visit) try(text string) (identity *auth.Identity, why string, err error) {
	token := cleanToken(text)
	switch {
	case token == "":
		return nil, "Give a token.", nil
	case !tokenText.MatchString(token):
		return nil, "This is no token: it has characters that no token has.", nil
	case len(token) > cookieBytes*mostCookies:
		return nil, fmt.Sprintf("The token has %d bytes; at most %d can be kept.", len(token), cookieBytes*mostCookies), nil
	}
	ask := v.r.Clone(v.ctx())
	ask.Header.Set("Authorization", "Bearer "+token)
	identity, err = v.site.access.Identify(ask)
	var e *bos.Error
	switch {
	case err == nil && identity == nil:
		return nil, "This service takes client certificates, no tokens.", nil
	case err == nil && len(identity.Roles) == 0:
		return nil, "You are known, but no role was given to you.", nil
	case err == nil:
		return identity, "", nil
	case bos.CodeOf(err) == bos.CodeUnauthenticated:
		return nil, bos.UserText(err), nil
	case errors.As(err, &e):
		return nil, "", &problem{Status: http.StatusServiceUnavailable, Title: "Service Unavailable", Detail: bos.UserText(err)}
	}
	return nil, "", err
}

// landing is where somebody goes after a login: those who may see one tenant
// only begin there.
func landing(i *auth.Identity, to string) string {
	if to == "" && len(i.Tenants) == 1 && !i.Has(auth.RoleAdmin) {
		return "t/" + url.PathEscape(i.Tenants[0]) + "/"
	}
	return to
}

func (s *site) logout(v *visit) error {
	v.keep("")
	redirect(v.w, http.StatusSeeOther, v.ui+"login")
	return nil
}

// readForm reads a form that was sent.
func (v *visit) readForm() error {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, mostForm)
	err := v.r.ParseForm()
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &problem{Status: http.StatusRequestEntityTooLarge, Title: "The form is too large", Detail: fmt.Sprintf("A form may have %d bytes.", mostForm)}
	case err != nil:
		return &problem{Status: http.StatusBadRequest, Title: "The form can't be read"}
	}
	return nil
}

// chooseTenant goes to the place of a tenant.
func (s *site) chooseTenant(v *visit) error {
	if err := v.readForm(); err != nil {
		return err
	}
	to := ""
	if name := strings.TrimSpace(v.r.PostFormValue("tenant")); name != "" {
		if len(name) > 127 || strings.Contains(name, "/") || name == "." || name == ".." {
			return &problem{Status: http.StatusBadRequest, Title: "This is no name of a tenant"}
		}
		to = "t/" + url.PathEscape(name) + "/"
	}
	redirect(v.w, http.StatusSeeOther, v.ui+to)
	return nil
}
