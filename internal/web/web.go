// SPDX-License-Identifier: MIT

// Package web serves the dashboard: pages under /ui/, embedded in the program,
// that need nothing from elsewhere.
//
// The pages have no way of their own to the store. Whatever they show and do
// they ask of the API's handler, in the process, as the one who looks at them:
// what somebody may see and do here is what they may see and do there, and it
// is bounded, checked and audited in the same place. A page is whole as it is
// sent; scripts only keep it up to date and draw the map.
//
// All links are relative, so that the pages work under any prefix. A tenant is a
// part of the path (/ui/t/NAME/…): two windows may show two tenants, and an
// address that is passed on shows what it showed.
package web

import (
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"bos/internal/auth"
)

//go:embed pages static
var files embed.FS

// Access finds out who a request is from; nil is somebody who did not say. It
// must be safe for concurrent use.
type Access interface {
	Identify(r *http.Request) (*auth.Identity, error)
}

// Config is what the pages work with. API is needed.
type Config struct {
	// API answers what the pages ask, and every request that is not for a page.
	API http.Handler
	// Prefix is where the API is served beside the root; the pages are there too.
	Prefix string
	// Access is nil where everybody may do everything: then nobody logs in.
	Access Access
	// Version is shown at the foot of each page.
	Version string
	// Log takes failures inside; nil logs nothing.
	Log *slog.Logger
	// Now is the wall clock; nil means time.Now.
	Now func() time.Time
}

// root is where the pages are, below the prefix or the root.
const root = "/ui"

// site serves the pages.
type site struct {
	api     http.Handler
	prefix  string
	access  Access
	version string
	log     *slog.Logger
	now     func() time.Time

	routes *http.ServeMux
	pages  map[string]*template.Template
	static map[string]asset
	origin *http.CrossOriginProtection
}

// New makes a handler of the pages and of the API behind them.
func New(cfg Config) (http.Handler, error) {
	if cfg.API == nil {
		return nil, errors.New("the pages need the API")
	}
	s := &site{
		api: cfg.API, prefix: cfg.Prefix, access: cfg.Access, version: cfg.Version, log: cfg.Log, now: cfg.Now,
		origin: http.NewCrossOriginProtection(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	var err error
	if s.static, err = loadAssets(files); err != nil {
		return nil, fmt.Errorf("load the files of the pages: %w", err)
	}
	if s.pages, err = s.parse(files); err != nil {
		return nil, fmt.Errorf("parse the pages: %w", err)
	}
	s.routes = s.route()
	return s, nil
}

// route says who answers what, below the place of a tenant.
func (s *site) route() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(*visit) error{
		"GET /{$}":                        s.showFleet,
		"GET /fleet.json":                 s.passFleet,
		"GET /events":                     s.passEvents,
		"GET /find":                       s.find,
		"GET /nodes/{id}":                 s.showNode,
		"GET /sessions":                   s.showSessions,
		"GET /sessions/{name}":            s.showSession,
		"POST /sessions/{name}/{verb}":    s.steerSession,
		"GET /templates":                  s.showTemplates,
		"GET /templates/{name}":           s.showTemplate,
		"GET /templates/{name}/valid":     s.showValidity,
		"POST /templates/{name}/plan":     s.showPlan,
		"POST /templates/{name}/sessions": s.createSession,
		"POST /tenant":                    s.chooseTenant,
	} {
		mux.HandleFunc(pattern, s.visited(handle, true))
	}
	for pattern, handle := range map[string]func(*visit) error{
		"GET /login": s.showLogin, "POST /login": s.login, "POST /logout": s.logout, "GET /static/{file}": s.sendAsset,
	} {
		mux.HandleFunc(pattern, s.visited(handle, false))
	}
	mux.HandleFunc("GET /", s.visited(func(*visit) error {
		return &problem{Status: http.StatusNotFound, Title: "There is no such page"}
	}, false))
	return mux
}

// ServeHTTP answers a request for a page, and lets the API answer any other.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, ok := s.below(r.URL.EscapedPath())
	if !ok {
		s.api.ServeHTTP(w, r)
		return
	}
	guard(w.Header())
	if rest == "" {
		redirect(w, http.StatusPermanentRedirect, "ui/")
		return
	}
	v := &visit{w: w, r: r, site: s}
	place, err := v.locate(rest)
	if err != nil {
		v.fail(err)
		return
	}
	if place == "" {
		redirect(w, http.StatusPermanentRedirect, url.PathEscape(v.tenant)+"/")
		return
	}
	if err := s.origin.Check(r); err != nil {
		v.fail(&problem{Status: http.StatusForbidden, Title: "This came from another site", Detail: "What changes something must be sent by a page of this service itself."})
		return
	}
	inner := r.Clone(withVisit(r.Context(), v))
	inner.URL.Path, inner.URL.RawPath = place, ""
	if plain, err := url.PathUnescape(place); err == nil && plain != place {
		inner.URL.Path, inner.URL.RawPath = plain, place
	}
	v.r = inner
	s.routes.ServeHTTP(w, inner)
}

// below returns what follows the root of the pages in an escaped path. Several
// slashes in front count as one, as they do for the API.
func (s *site) below(escaped string) (rest string, ok bool) {
	at := "/" + strings.TrimLeft(escaped, "/")
	if inner, found := strings.CutPrefix(at, s.prefix); found && s.prefix != "" && strings.HasPrefix(inner, "/") {
		at = "/" + strings.TrimLeft(inner, "/")
	}
	rest, ok = strings.CutPrefix(at, root)
	return rest, ok && (rest == "" || rest[0] == '/')
}

// guard adds the headers that confine a page to what this service sends: no
// script, style or request from or to elsewhere, and nothing inline.
func guard(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	// With no-referrer a browser would hide where a form comes from, too.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// redirect answers with a relative place: net/http would make it absolute, from a
// path that has lost what a gateway took off.
func redirect(w http.ResponseWriter, status int, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(status)
}

// parse reads the pages; each has the layout and the parts that pages share.
func (s *site) parse(all fs.FS) (map[string]*template.Template, error) {
	base, err := template.New("layout.html").Funcs(s.functions()).ParseFS(all, "pages/layout.html", "pages/parts.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(all, "pages/*.html")
	if err != nil {
		return nil, err
	}
	out := map[string]*template.Template{}
	for _, name := range names {
		short := strings.TrimSuffix(path.Base(name), ".html")
		if short == "layout" || short == "parts" {
			continue
		}
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(all, name)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[short] = t
	}
	return out, nil
}
