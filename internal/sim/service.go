// SPDX-License-Identifier: MIT

package sim

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxBody bounds what a service reads of a request.
const maxBody = 64 << 20

// service is one simulated service: its socket, its routes, its fault.
type service struct {
	site   *Site
	name   string
	port   *port
	routes []route
	// notFound and notAllowed answer requests that no route takes.
	notFound   func(http.ResponseWriter, *req)
	notAllowed func(http.ResponseWriter, *req, []string)
	// prefixes are cut off the path, the first that fits.
	prefixes []string

	// failing is fault for those who hold the site's lock.
	failing atomic.Pointer[ServiceFault]

	mu      sync.Mutex
	fault   ServiceFault
	changed chan struct{}
}

// req is a request on its way through a service.
type req struct {
	*http.Request
	body []byte
	// path is the path below the service's prefix, without trailing slash; args
	// are its parts where the route has wildcards.
	path string
	args []string
	call *Call
}

// route is a method and a path whose "*" parts match anything.
type route struct {
	method, path string
	serve        func(http.ResponseWriter, *req)
}

func (s *Site) newService(name string, i int) *service {
	svc := &service{site: s, name: name, changed: make(chan struct{})}
	number := 0
	if s.cfg.BasePort > 0 {
		number = s.cfg.BasePort + i
	}
	svc.port = &port{host: s.cfg.Listen, number: number, unbound: name + ".sim", handler: svc}
	svc.notFound = func(w http.ResponseWriter, _ *req) { plain(w, http.StatusNotFound, "404 page not found\n") }
	svc.notAllowed = func(w http.ResponseWriter, q *req, _ []string) { svc.notFound(w, q) }
	switch name {
	case "hsm":
		s.addHSM(svc)
	case "pcs":
		s.addPCS(svc)
	case "bss":
		s.addBSS(svc)
	case "cfs":
		s.addCFS(svc)
	case "ims":
		s.addIMS(svc)
	case "tapms":
		s.addTAPMS(svc)
	case "s3":
		s.addS3(svc)
	}
	return svc
}

// serviceAt returns the service that listens at a host and port, nil for none.
func (s *Site) serviceAt(address string) *service {
	for _, svc := range s.services {
		if svc.port.address() == address || svc.port.unbound == address {
			return svc
		}
	}
	return nil
}

// ServeHTTP answers a request: fault, token, route; and writes it to the log.
func (svc *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := svc.site
	if !s.begin() {
		http.Error(w, "the simulated site is closed", http.StatusServiceUnavailable)
		return
	}
	defer s.wg.Done()
	call := &Call{
		Time: time.Now(), Service: svc.name, Method: r.Method, Path: r.URL.Path, Attempt: r.Header.Get(AttemptHeader),
	}
	answer := &statusWriter{ResponseWriter: w}
	defer func() {
		call.Status = answer.status
		call.Duration = time.Since(call.Time)
		s.record(call)
	}()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		http.Error(answer, "reading the request: "+err.Error(), http.StatusBadRequest)
		return
	}
	if len(body) > maxBody {
		http.Error(answer, "request entity too large", http.StatusRequestEntityTooLarge)
		return
	}
	q := &req{Request: r, body: body, call: call}
	if !svc.applyFault(answer, q) {
		return
	}
	svc.handle(answer, q)
}

// handle checks the token and runs the route.
func (svc *service) handle(w http.ResponseWriter, q *req) {
	if !svc.authorised(w, q) {
		return
	}
	q.path = q.URL.Path
	for _, p := range svc.prefixes {
		if rest, ok := strings.CutPrefix(q.path, p); ok && (rest == "" || rest[0] == '/') {
			q.path = rest
			break
		}
	}
	if len(q.path) > 1 {
		q.path = strings.TrimRight(q.path, "/")
	}
	var allowed []string
	for i := range svc.routes {
		args, ok := matchPath(svc.routes[i].path, q.path)
		if !ok {
			continue
		}
		if svc.routes[i].method == q.Method || svc.routes[i].method == "*" {
			q.args = args
			svc.routes[i].serve(w, q)
			return
		}
		allowed = append(allowed, svc.routes[i].method)
	}
	if allowed != nil {
		svc.notAllowed(w, q, allowed)
		return
	}
	svc.notFound(w, q)
}

// matchPath compares a path with a pattern and returns what its "*" parts
// stand for; a final "**" takes the rest.
func matchPath(pattern, path string) (args []string, ok bool) {
	for {
		var want, got string
		var moreWant, moreGot bool
		want, pattern, moreWant = strings.Cut(pattern, "/")
		if want == "**" {
			return append(args, path), true
		}
		got, path, moreGot = strings.Cut(path, "/")
		switch {
		case want == "*" && got != "":
			args = append(args, got)
		case want != got:
			return nil, false
		}
		if !moreWant || !moreGot {
			return args, moreWant == moreGot
		}
	}
}

// record puts a finished call into the log. Node names become the site's own
// strings, so that the log does not keep request bodies alive.
func (s *Site) record(c *Call) {
	s.mu.Lock()
	for i, x := range c.Nodes {
		if k, ok := s.index[x]; ok {
			c.Nodes[i] = s.comps[k].id
		}
	}
	s.stats.Calls[c.Service]++
	s.mu.Unlock()
	s.calls.add(*c)
}

// statusWriter remembers the status that was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write notes that 200 was answered where nothing else was said.
func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap gives http.ResponseController the real writer.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// again returns the request as it arrived, for handlers of other packages.
func (q *req) again() *http.Request {
	r := q.Clone(q.Context())
	r.Body = io.NopCloser(bytes.NewReader(q.body))
	return r
}

// limitParam reads a positive number from the query; def where there is none.
func limitParam(v string, def int) (int, bool) {
	if v == "" {
		return def, true
	}
	n, err := strconv.Atoi(v)
	return n, err == nil && n >= 1
}
