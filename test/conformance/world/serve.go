// SPDX-License-Identifier: MIT

package world

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	typeJSON    = "application/json"
	typeProblem = "application/problem+json"
)

// maxBody bounds a request's body.
const maxBody = 64 << 20

// request is a call of a service.
type request struct {
	method, path string
	query        url.Values
	body         any
}

// answer is what a service says. A nil body is an empty one.
type answer struct {
	status int
	body   any
	// raw is sent in place of body if plain is set.
	raw    []byte
	plain  bool
	media  string
	header map[string]string
}

func say(status int, body any) answer { return answer{status: status, body: body} }

// services are found by the beginning of the path; everything else is S3.
func services() [][2]string {
	return [][2]string{
		{"/hsm/v2/", "hsm"}, {"/power-status", "pcs"}, {"/transitions", "pcs"}, {"/boot/v1/", "bss"},
		{"/v3/components", "cfs"}, {"/v3/images", "ims"}, {"/v1alpha3/", "tapms"},
	}
}

// control is the beginning of the paths that steer the world itself.
const control = "/__world__/"

// ServeHTTP implements [http.Handler]. A request that the recorder's stub could
// not make sense of is not answered at all: the connection is broken off.
func (w *World) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(out, r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	req := request{method: r.Method, path: r.URL.Path, query: parseQuery(r.URL.RawQuery)}
	if len(raw) > 0 {
		// What is not JSON counts as nothing.
		req.body, _ = decode(raw)
	}
	switch r.Method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodHead, http.MethodDelete:
	default:
		out.WriteHeader(http.StatusNotImplemented)
		return
	}
	if what, ok := strings.CutPrefix(req.path, control); ok {
		write(out, w.control(what, raw, req.body))
		return
	}
	service := "s3"
	for _, s := range services() {
		if strings.HasPrefix(req.path, s[0]) {
			service = s[1]
			break
		}
	}
	query := map[string]string{}
	for k, v := range req.query {
		query[k] = v[0]
	}
	w.note(Call{Service: service, Method: req.method, Path: req.path, Query: query, Body: req.body})
	write(out, w.call(service, req))
}

// parseQuery leaves out what can't be parsed.
func parseQuery(raw string) url.Values {
	q, _ := url.ParseQuery(raw)
	return q
}

// render turns the body of an answer into bytes.
func (a answer) render() answer {
	if a.plain || a.body == nil {
		return a
	}
	raw, err := encode(a.body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	a.raw, a.plain = raw, true
	return a
}

// write sends an answer. Go itself leaves the body out where it answers HEAD.
func write(out http.ResponseWriter, a answer) {
	data := a.render().raw
	h := out.Header()
	h["Content-Type"] = nil
	if len(data) > 0 {
		media := a.media
		if media == "" {
			media = typeJSON
		}
		h.Set("Content-Type", media)
	}
	h.Set("Content-Length", strconv.Itoa(len(data)))
	for k, v := range a.header {
		h.Set(k, v)
	}
	out.WriteHeader(a.status)
	_, _ = out.Write(data)
}

// encode writes JSON without the escapes that HTML wants.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// call has a service answer, or a fault that the document injects.
func (w *World) call(service string, req request) answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a, ok := w.fault(service, req); ok {
		return a.render()
	}
	return w.serve(service, req).render()
}

// fault returns the fault that the document has for a call, if there is one.
func (w *World) fault(service string, req request) (answer, bool) {
	faults, _ := w.doc["faults"].(map[string]any)
	for _, name := range []string{req.method + " " + req.path, service} {
		fault, ok := faults[name].(map[string]any)
		if !ok || len(fault) == 0 {
			continue
		}
		a := say(http.StatusInternalServerError, map[string]any{"title": "fault", "detail": "injected"})
		if status, ok := fault["status"]; ok {
			a.status = int(number(status))
		}
		if body, ok := fault["body"]; ok {
			a.body = body
		}
		return a, true
	}
	return answer{}, false
}

func (w *World) serve(service string, req request) answer {
	switch service {
	case "hsm":
		return w.hsm(req)
	case "pcs":
		return w.pcs(req)
	case "bss":
		return w.bootParameters(req)
	case "cfs":
		return w.configuration(req)
	case "ims":
		return w.image(req)
	case "tapms":
		return w.tenant(req)
	default:
		return w.object(req)
	}
}

// control steers the world.
func (w *World) control(what string, raw []byte, body any) answer {
	done := say(http.StatusOK, map[string]any{"ok": true})
	switch what {
	case "load":
		if len(raw) == 0 {
			raw = []byte("{}")
		}
		if err := w.Load(raw); err != nil {
			panic(http.ErrAbortHandler)
		}
		return done
	case "log":
		return say(http.StatusOK, w.Calls())
	case "clearlog":
		w.ClearLog()
		return done
	case "set":
		m := mapping(body)
		w.mu.Lock()
		defer w.mu.Unlock()
		for id, knobs := range optional(m["nodes"]) {
			n := w.node(id)
			for k, v := range mapping(knobs) {
				n[k] = v
			}
		}
		for k, v := range optional(m["defaults"]) {
			w.defaults[k] = v
		}
		return done
	case "state":
		w.mu.Lock()
		defer w.mu.Unlock()
		return say(http.StatusOK, map[string]any{"nodes": w.nodes.values, "cfs": w.cfs, "bss": w.bss, "images": w.images}).render()
	}
	return say(http.StatusNotFound, map[string]any{})
}
