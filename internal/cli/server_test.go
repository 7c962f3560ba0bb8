// SPDX-License-Identifier: MIT

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bos/internal/api/front"
)

// testTime is the time at which all tests take place.
var testTime = time.Date(2026, 11, 23, 9, 38, 17, 0, time.UTC)

// newServer starts a server of the API and returns its address. Everything
// that the tests know of the server is here and in its address.
func newServer(tb testing.TB) (url string, asked *recorder) {
	tb.Helper()
	text, err := os.ReadFile("../api/openapi.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	contract, err := front.Load(text)
	if err != nil {
		tb.Fatal(err)
	}
	asked = &recorder{}
	fake := newFake()
	mux := http.NewServeMux()
	for _, o := range contract.Operations() {
		pattern := o.Method + " " + o.Path
		if o.Path == "/" {
			pattern += "{$}"
		}
		mux.Handle(pattern, asked.checking(contract, o.ID, fake))
	}
	top := http.NewServeMux()
	top.Handle("/", mux)
	top.Handle("/apis/bos/", http.StripPrefix("/apis/bos", mux))
	broken(top)
	asked.canned = map[string][]answer{}
	server := httptest.NewServer(asked.answering(top))
	tb.Cleanup(server.Close)
	return server.URL, asked
}

// broken adds what gateways and networks do to answers.
func broken(mux *http.ServeMux) {
	answer := func(status int, header, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			name, value, _ := strings.Cut(header, ": ")
			w.Header().Set(name, value)
			w.WriteHeader(status)
			// What can't be written has no reader.
			_, _ = io.WriteString(w, text)
		}
	}
	const page = "\n<html>\x1b[31m<head><title>Gateway</title>\n<body>sorry"
	mux.Handle("/broken/gateway/", answer(http.StatusBadGateway, "Content-Type: text/html", page))
	mux.Handle("/broken/login/", answer(http.StatusFound, "Location: https://login.example.com/", ""))
	mux.Handle("/broken/page/", answer(http.StatusOK, "Content-Type: text/html", page))
	mux.Handle("/broken/short/", answer(http.StatusOK, "Content-Type: application/json", `[{"id": "x1`))
	mux.HandleFunc("/broken/cut/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `[{"id": "x1"}`)
	})
	mux.HandleFunc("/broken/silent/", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
}

// recorder keeps the requests that reach the server.
type recorder struct {
	mu   sync.Mutex
	last []string
	// canned are the answers to some requests, by method and path; the last of
	// them is given again.
	canned map[string][]answer
}

// answer is what the server says to a request.
type answer struct {
	status int
	kind   string
	text   string
}

// can sets the answers to a request.
func (r *recorder) can(request string, answers ...answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.canned[request] = answers
}

// next returns the answer to a request, if one was set.
func (r *recorder) next(request string) (answer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answers := r.canned[request]
	if len(answers) == 0 {
		return answer{}, false
	}
	if len(answers) > 1 {
		r.canned[request] = answers[1:]
	}
	return answers[0], true
}

// answering gives the answers that were set, and leaves the others to the API.
func (r *recorder) answering(api http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		a, ok := r.next(req.Method + " " + req.URL.Path)
		if !ok {
			api.ServeHTTP(w, req)
			return
		}
		// A body that can't be read was not sent.
		body, _ := io.ReadAll(req.Body)
		r.add(req, body)
		w.Header().Set("Content-Type", a.kind)
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.text)
	}
}

// take returns the requests since the last call.
func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := strings.Join(r.last, "")
	r.last = nil
	return all
}

func (r *recorder) add(req *http.Request, body []byte) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", req.Method, req.URL.RequestURI())
	for _, name := range []string{"Cray-Tenant-Name", "Authorization", "Last-Event-Id"} {
		if value, sent := req.Header[name]; sent {
			fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(value, ", "))
		}
	}
	if len(body) > 0 {
		fmt.Fprintf(&b, "%s\n", body)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = append(r.last, b.String())
}

// checking records a request, checks it against the contract, and hands it to
// the API. A request that the contract doesn't have is answered as the API
// would, so that the command that made it fails.
func (r *recorder) checking(contract *front.Front, id string, api func(call) (int, any)) http.HandlerFunc {
	operation := contract.Operation(id)
	return func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err == nil {
			r.add(req, body)
			err = unknownQuery(contract, operation, req)
		}
		path := map[string]string{}
		for _, name := range []string{"session_template_id", "session_id", "component_id"} {
			if strings.Contains(operation.Path, "{"+name+"}") {
				path[name] = req.PathValue(name)
			}
		}
		var params front.Params
		if err == nil {
			params, err = operation.Params(path, req.URL.RawQuery, req.Header)
		}
		if err == nil {
			body, err = operation.Body(req.Header.Get("Content-Type"), body)
		}
		if err != nil {
			respond(w, http.StatusBadRequest, problem(http.StatusBadRequest, "Bad Request", err.Error()))
			return
		}
		status, answer := api(call{id: id, path: path, params: params, body: body})
		respond(w, status, answer)
	}
}

func respond(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	if status >= 400 {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(status)
	if answer != nil {
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func problem(status int, title, detail string) map[string]any {
	return map[string]any{"type": "about:blank", "title": title, "status": status, "detail": detail}
}

// unknownQuery refuses query parameters that the contract doesn't have, which
// the API would pass over.
func unknownQuery(contract *front.Front, o *front.Operation, req *http.Request) error {
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
		// Components has the parameters that the operations refer to.
		Components struct {
			Parameters map[string]struct {
				Name string `json:"name"`
				In   string `json:"in"`
			} `json:"parameters"`
		} `json:"components"`
	}
	if err := json.Unmarshal(contract.JSON(), &document); err != nil {
		return err
	}
	var operation struct {
		Parameters []struct {
			Ref string `json:"$ref"`
		} `json:"parameters"`
	}
	raw := document.Paths[o.Path][strings.ToLower(o.Method)]
	if err := json.Unmarshal(raw, &operation); err != nil {
		return err
	}
	var known []string
	for _, p := range operation.Parameters {
		if declared := document.Components.Parameters[p.Ref[strings.LastIndexByte(p.Ref, '/')+1:]]; declared.In == "query" {
			known = append(known, declared.Name)
		}
	}
	for name := range req.URL.Query() {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%s has no query parameter %q", o.ID, name)
		}
	}
	return nil
}

// seed makes the requests of a file, one JSON object each, to prepare a server
// for a test.
func seed(url string, script []byte) error {
	dec := json.NewDecoder(bytes.NewReader(script))
	for dec.More() {
		var one struct {
			Method, Path, Tenant string
			Body                 json.RawMessage
		}
		if err := dec.Decode(&one); err != nil {
			return err
		}
		req, err := http.NewRequest(one.Method, url+one.Path, bytes.NewReader(one.Body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Cray-Tenant-Name", one.Tenant)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode > 299 {
			return fmt.Errorf("%s %s: %s: %s (%w)", one.Method, one.Path, res.Status, answer, err)
		}
	}
	return nil
}
