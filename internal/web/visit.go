// SPDX-License-Identifier: MIT

package web

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"bos/internal/auth"
	"bos/internal/bos"
)

// visit is one request for a page.
type visit struct {
	site *site
	w    http.ResponseWriter
	r    *http.Request
	// tenant is the one of the path, "" without one.
	tenant string
	// root leads to the place of the tenant, ui to that of all pages; both are
	// relative to the request's path and end with a slash.
	root, ui string
	identity *auth.Identity
	// token is what the request is authenticated with, "" for nothing that a
	// page has to pass on; kept says that it came from the cookies of a login.
	token string
	kept  bool
}

type visitKey struct{}

func withVisit(ctx context.Context, v *visit) context.Context {
	return context.WithValue(ctx, visitKey{}, v)
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// locate splits what follows the root of the pages into a tenant and a place
// below it; the place is "" for a tenant without a slash at its end. A path that
// is not clean leads nowhere.
func (v *visit) locate(rest string) (place string, err error) {
	place = rest
	levels := 0
	if inner, ok := strings.CutPrefix(rest, "/t/"); ok {
		name, below, slash := strings.Cut(inner, "/")
		if v.tenant, err = url.PathUnescape(name); err != nil || v.tenant == "" || strings.Contains(v.tenant, "/") {
			return "", notFound()
		}
		if !slash {
			return "", nil
		}
		place, levels = "/"+below, 2
	}
	clean := path.Clean(place)
	if place != clean && place != clean+"/" {
		return "", notFound()
	}
	depth := strings.Count(place, "/") - 1
	v.root = "./" + strings.Repeat("../", depth)
	v.ui = v.root + strings.Repeat("../", levels)
	return place, nil
}

func notFound() error {
	return &problem{Status: http.StatusNotFound, Title: "There is no such page"}
}

// visited makes a handler of one that may fail. Where somebody has to log in
// for it they are sent to where that is done.
func (s *site) visited(handle func(*visit) error, private bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, ok := r.Context().Value(visitKey{}).(*visit)
		if !ok {
			v = &visit{site: s}
		}
		v.w, v.r = w, r
		err := v.identify()
		if private && err == nil && s.access != nil && v.identity == nil {
			err = &problem{Status: http.StatusUnauthorized}
		}
		if !private {
			err = nil
		}
		if err == nil {
			err = handle(v)
		}
		if err != nil {
			v.fail(err)
		}
	}
}

// identify finds out who looks at the pages. What a proxy in front says comes
// before what was kept of a login.
func (v *visit) identify() error {
	if v.site.access == nil {
		return nil
	}
	// Other credentials than tokens are a proxy's own affair.
	if kind, _, _ := strings.Cut(v.r.Header.Get("Authorization"), " "); strings.EqualFold(kind, "Bearer") {
		v.token = v.r.Header.Get("Authorization")
	} else if token := keptToken(v.r); token != "" {
		v.token, v.kept = "Bearer "+token, true
	}
	ask := v.r.Clone(v.ctx())
	ask.Header.Del("Authorization")
	if v.token != "" {
		ask.Header.Set("Authorization", v.token)
	}
	var err error
	v.identity, err = v.site.access.Identify(ask)
	if err == nil {
		return nil
	}
	if bos.CodeOf(err) == bos.CodeUnauthenticated {
		return &problem{Status: http.StatusUnauthorized, Detail: bos.UserText(err)}
	}
	return &problem{Status: http.StatusServiceUnavailable, Title: "Service Unavailable", Detail: bos.UserText(err)}
}

// page is what every page shows around its own content.
type page struct {
	Title string
	// Part is the entry of the navigation that the page belongs to.
	Part     string
	Root, UI string
	Tenant   string
	// Who is who looks at it, "" where nobody is asked; Kept says that they can
	// log out.
	Who  string
	Kept bool
	// Events is where the page hears of changes, relative; "" if it does not.
	Events  string
	Version string
	Now     time.Time
	Data    any
}

// newPage begins a page.
func (v *visit) newPage(title, part string, data any) page {
	p := page{
		Title: title, Part: part, Root: v.root, UI: v.ui, Tenant: v.tenant, Kept: v.kept, Version: v.site.version,
		Now: v.site.now(), Data: data,
	}
	if i := v.identity; i != nil {
		p.Who = i.Name
		if i.Display != "" {
			p.Who = i.Display
		}
	}
	return p
}

// show answers with a page, or with the part of it that the request asks for
// (part=NAME), which is the template of that name.
func (v *visit) show(name string, p page) error { return v.showAs(http.StatusOK, name, p) }

func (v *visit) showAs(status int, name string, p page) error {
	t := v.site.pages[name]
	entry := "layout.html"
	if part := v.r.URL.Query().Get("part"); part != "" && status == http.StatusOK {
		entry = "part-" + part
		if t.Lookup(entry) == nil {
			return notFound()
		}
	}
	var body bytes.Buffer
	if err := t.ExecuteTemplate(&body, entry, p); err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	v.w.WriteHeader(status)
	// A client that has gone needs no answer.
	_, _ = v.w.Write(body.Bytes())
	return nil
}

// partial reports whether a script asks for a part of a page.
func (v *visit) partial() bool { return v.r.Header.Get("HX-Request") == "true" }

// fail answers with what went wrong.
func (v *visit) fail(err error) {
	var p *problem
	if !errors.As(err, &p) {
		if v.ctx().Err() != nil {
			return
		}
		v.site.log.ErrorContext(v.ctx(), "a page failed", slog.Any("error", err))
		p = &problem{Status: http.StatusInternalServerError, Title: "Internal Server Error", Detail: "The page could not be made; the log of the service says why."}
	}
	if p.Status == http.StatusUnauthorized {
		v.sendToLogin()
		return
	}
	if p.Status == http.StatusServiceUnavailable && v.r.Method == http.MethodGet && !v.partial() {
		// It comes back by itself.
		v.w.Header().Set("Refresh", "5")
	}
	if err := v.showAs(p.Status, "error", v.newPage(p.heading(), "", p)); err != nil {
		v.site.log.ErrorContext(v.ctx(), "a page failed", slog.Any("error", err))
		v.w.WriteHeader(http.StatusInternalServerError)
	}
}

// sendToLogin lets somebody log in first. A part of a page can't show that: the
// whole page is loaded anew.
func (v *visit) sendToLogin() {
	if v.partial() {
		v.w.Header().Set("HX-Refresh", "true")
		v.w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if accepts := v.r.Header.Get("Accept"); v.r.Method != http.MethodPost && accepts != "" && !strings.Contains(accepts, "text/html") && !strings.Contains(accepts, "*/*") {
		v.w.WriteHeader(http.StatusUnauthorized)
		return
	}
	to := ""
	if v.r.Method == http.MethodGet {
		to = strings.TrimPrefix(v.r.URL.EscapedPath(), "/")
		if v.tenant != "" {
			to = "t/" + url.PathEscape(v.tenant) + "/" + to
		}
	}
	where := v.ui + "login"
	if to != "" {
		where += "?" + url.Values{"to": {to}}.Encode()
	}
	redirect(v.w, http.StatusSeeOther, where)
}
