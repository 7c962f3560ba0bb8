// SPDX-License-Identifier: MIT

package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"bos/internal/bos"
)

// The version of the API's contract.
const (
	versionMajor = "2"
	versionMinor = "50"
	versionPatch = "0"
)

// probePatience bounds how long the store is asked for a health check.
const probePatience = time.Second

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

type version struct {
	Major string `json:"major"`
	Minor string `json:"minor"`
	Patch string `json:"patch"`
	Links []link `json:"links"`
}

func (s *server) getRoot(x *exchange) error {
	return x.json(http.StatusOK, []version{{versionMajor, versionMinor, versionPatch, []link{
		{"self", s.href(x, "/")},
	}}})
}

func (s *server) getVersion(x *exchange) error {
	return x.json(http.StatusOK, version{versionMajor, versionMinor, versionPatch, []link{
		{"self", s.href(x, "/")},
		{"versions", s.href(x, "/v2")},
	}})
}

// href returns the address of a path as the client of a request reaches it: at
// the host that it asked, behind the proxy that it came through, or with the
// prefix if it used it.
func (s *server) href(x *exchange, path string) string {
	front := ""
	proxied := len(x.r.Header.Values("X-Forwarded-For")) > 0
	switch {
	case proxied && s.proxyPath != "":
		front = s.proxyPath
	case x.prefixed:
		front = s.prefix
	}
	if x.r.Host == "" {
		return front + path
	}
	scheme := "http"
	if x.r.TLS != nil || proxied && x.r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + x.r.Host + front + path
}

// Whether something answers, as the health check says it.
const (
	healthOK   = "ok"
	healthAway = "not_available"
)

type health struct {
	DBStatus  string `json:"dbStatus"`
	APIStatus string `json:"apiStatus"`
}

func (s *server) getHealth(x *exchange) error {
	h := health{DBStatus: healthOK, APIStatus: healthOK}
	ctx, cancel := context.WithTimeout(x.ctx(), probePatience)
	defer cancel()
	if _, err := s.store.Revision(ctx); err != nil {
		h.DBStatus = healthAway
	}
	return x.json(http.StatusOK, h)
}

// getReady says whether requests can be answered: the store has a quorum and
// the view follows it.
func (s *server) getReady(x *exchange) error {
	ctx, cancel := context.WithTimeout(x.ctx(), probePatience)
	defer cancel()
	select {
	case <-s.view.Ready():
	default:
		return bos.Unavailable("store", errors.New("it has not been read yet"))
	}
	revision, err := s.store.Revision(ctx)
	if err == nil {
		err = s.view.WaitFor(ctx, revision)
	}
	if err != nil {
		if x.ctx().Err() == nil && ctx.Err() != nil {
			err = bos.Unavailable("store", err)
		}
		return err
	}
	return s.getAlive(x)
}

func (s *server) getAlive(x *exchange) error {
	x.bytes(http.StatusOK, "text/plain; charset=utf-8", []byte("ok\n"))
	return nil
}

func (s *server) getMetrics(x *exchange) error {
	if s.metrics == nil {
		return &bos.Error{Code: bos.CodeNotFound, Title: titleNoPath, Message: "this process has no metrics"}
	}
	s.metrics.ServeHTTP(&x.w, x.r)
	return nil
}

func (s *server) getDocumentJSON(x *exchange) error {
	x.bytes(http.StatusOK, contentTypeJSON, s.front.JSON())
	return nil
}

func (s *server) getDocumentYAML(x *exchange) error {
	x.bytes(http.StatusOK, "application/yaml", document)
	return nil
}
