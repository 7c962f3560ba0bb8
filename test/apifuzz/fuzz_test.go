// SPDX-License-Identifier: MIT

// Package apifuzz fuzzes the API as a whole, in a package of its own: what a
// fuzz test is linked with is built anew, to be watched, and this needs little.
package apifuzz

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"bos/internal/api"
	"bos/internal/bos"
	"bos/internal/clock"
	"bos/internal/decide"
	"bos/internal/store"
	"bos/internal/store/mem"
	"bos/internal/view"
)

// bootSet is a boot set that can be booted, full a component with every field.
const (
	bootSet = `{"type":"s3","path":"s3://b/img/m.json","node_list":["x1c0s0b0n0"]}`
	full    = `{"enabled":false,"session":"s","error":"e","retry_policy":2,
		"actual_state":{"boot_artifacts":{"kernel":"k","kernel_parameters":"p","initrd":"i"},"bss_token":"t"},
		"desired_state":{"boot_artifacts":{"kernel":"k","kernel_parameters":"p","initrd":"i"},"configuration":"c","bss_token":"t"},
		"staged_state":{"boot_artifacts":{"kernel":"k","kernel_parameters":"p","initrd":"i"},"configuration":"c","session":"s"},
		"last_action":{"action":"powering_on","failed":true},"event_stats":{"power_on_attempts":1,"power_off_graceful_attempts":2,"power_off_forceful_attempts":3},
		"status":{"phase":"powering_on","status_override":"failed"}}`
)

// images are all good ones.
type images struct{}

func (images) Facts(context.Context, *bos.BootSet) bos.BootSetFacts {
	m, err := bos.ParseManifest([]byte(`{"artifacts":[
		{"type":"application/vnd.cray.image.kernel","link":{"path":"s3://b/k"}},
		{"type":"application/vnd.cray.image.initrd","link":{"path":"s3://b/i"}}]}`))
	return bos.BootSetFacts{Manifest: m, ManifestErr: err, Image: bos.ImageFacts{Arch: "x86_64"}}
}

func (images) Resolve(_ context.Context, set bos.BootSet) (bos.BootSet, error) {
	if set.IMSImageID.IsSet() && set.Path == "" {
		set.Path, set.Type = "s3://b/"+set.IMSImageID.Value()+"/m.json", "s3"
	}
	return set, nil
}

// tenants knows tenant-a.
type tenants struct{}

func (tenants) Cached(_ context.Context, name string) ([]string, error) {
	if name != "tenant-a" {
		return nil, bos.Errorf(bos.CodeNotFound, "there is no tenant '%s'", name)
	}
	return []string{"a1", "a2", "a3"}, nil
}

// fuzzed is an API without a network that can be put back to where it was.
type fuzzed struct {
	handler http.Handler
	store   *store.Store
	view    *view.View
	schemas map[string]*openapi3.Schema
	// examples are the bodies of requests that the document shows, by method and
	// path.
	examples map[string][][]byte
	// operation is the one of the last request.
	operation string
	base      map[string]string
}

// startFuzzed fills an API with one thing of each kind, of nobody and of a
// tenant.
func startFuzzed(f *testing.F) *fuzzed {
	f.Helper()
	log, c := slog.New(slog.DiscardHandler), clock.New(1)
	z := &fuzzed{store: store.New(mem.New()), view: view.New(c, log)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = z.view.Run(ctx, z.store)
	}()
	f.Cleanup(func() {
		cancel()
		<-done
		_ = z.store.Close()
	})
	<-z.view.Ready()
	var err error
	z.handler, err = api.New(api.Config{
		Store: z.store, View: z.view, Clock: c, Images: images{}, Tenants: tenants{}, Log: log,
		Explain: func(_ context.Context, rec *bos.Record, session *bos.SessionRecord) bos.Why {
			return decide.Why(decide.WhyInput{Record: rec, Session: session, Options: z.view.Options(), Now: c.Now(), Wall: time.Now()})
		},
		Plan: func(context.Context, *bos.Session) (bos.SessionPlan, error) {
			return decide.DryRun(decide.DryRunInput{Session: &bos.Session{}}), nil
		},
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/plain") }),
		Observe: func(_ context.Context, operation string, _ int, _ time.Duration) { z.operation = operation },
	})
	if err != nil {
		f.Fatal(err)
	}
	z.readDocument(f)
	for _, tenant := range []string{"", "tenant-a"} {
		for _, c := range [][3]string{
			{"PUT", "/v2/sessiontemplates/t", `{"description":"d","cfs":{"configuration":"c"},"boot_sets":{"b":` + bootSet + `,"a":` + bootSet + `}}`},
			{"POST", "/v2/sessions", `{"operation":"boot","template_name":"t","name":"s"}`},
			{"POST", "/v2/sessions", `{"operation":"reboot","template_name":"t","name":"r","stage":true}`},
			{"PUT", "/v2/components/a1", full},
			{"PUT", "/v2/components/a2", `{"staged_state":{"session":"r","boot_artifacts":{"kernel":"k","kernel_parameters":"p","initrd":"i"}}}`},
		} {
			if got := z.try(f, c[0], c[1], tenant, "application/json", []byte(c[2])); got.Code >= 300 {
				f.Fatalf("%v: %d %s", c, got.Code, got.Body)
			}
		}
	}
	z.base = z.documents(f)
	return z
}

// readDocument reads the schemas of all answers, by operation, status and content
// type, and the examples of requests.
func (z *fuzzed) readDocument(tb testing.TB) {
	tb.Helper()
	got := httptest.NewRecorder()
	z.handler.ServeHTTP(got, httptest.NewRequest(http.MethodGet, "/openapi.yaml", nil))
	parsed, err := openapi3.NewLoader().LoadFromData(got.Body.Bytes())
	if err != nil {
		tb.Fatal(err)
	}
	z.schemas, z.examples = map[string]*openapi3.Schema{}, map[string][][]byte{}
	for path, item := range parsed.Paths.Map() {
		for method, op := range item.Operations() {
			for status, response := range op.Responses.Map() {
				z.schemas[op.OperationID+" "+status] = nil
				for contentType, media := range response.Value.Content {
					z.schemas[op.OperationID+" "+status+" "+contentType] = media.Schema.Value
				}
			}
			z.examples[method+" "+path] = nil
			if op.RequestBody == nil {
				continue
			}
			media := op.RequestBody.Value.Content.Get("application/json")
			values := []any{media.Example}
			for _, example := range media.Examples {
				values = append(values, example.Value.Value)
			}
			for _, value := range values {
				text, err := json.Marshal(value)
				if err != nil {
					tb.Fatal(err)
				}
				z.examples[method+" "+path] = append(z.examples[method+" "+path], text)
			}
		}
	}
}

// place is where an operation's path leads to something.
func place(template string) string {
	return strings.NewReplacer("{component_id}", "a1", "{session_id}", "s", "{session_template_id}", "t").Replace(template)
}

// try makes a request.
func (z *fuzzed) try(tb testing.TB, method, path, tenant, contentType string, body []byte) *httptest.ResponseRecorder {
	tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, path, bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Cray-Tenant-Name", tenant)
	return z.serve(tb, r)
}

// serve answers a request and checks the answer: no failure of the server's, and
// what the document says of it.
func (z *fuzzed) serve(tb testing.TB, r *http.Request) *httptest.ResponseRecorder {
	tb.Helper()
	got := httptest.NewRecorder()
	z.operation = ""
	z.handler.ServeHTTP(got, r)
	what := fmt.Sprintf("%s %.200s", r.Method, r.URL)
	if got.Code >= 500 {
		tb.Fatalf("%s: %d %s", what, got.Code, got.Body)
	}
	contentType := got.Header().Get("Content-Type")
	if got.Code >= 400 {
		z.problem(tb, what, contentType, got)
	}
	if z.operation == "" || got.Code == http.StatusMethodNotAllowed {
		return got
	}
	key := fmt.Sprintf("%s %d", z.operation, got.Code)
	if _, known := z.schemas[key]; !known {
		tb.Fatalf("%s: %s is not in the document: %s", what, key, got.Body)
	}
	if got.Code == http.StatusNoContent || r.Method == http.MethodHead {
		return got
	}
	schema := z.schemas[key+" "+strings.TrimSuffix(contentType, "; charset=utf-8")]
	if schema == nil {
		tb.Fatalf("%s: %s has no %q in the document", what, key, contentType)
	}
	if strings.HasSuffix(contentType, "json") {
		var value any
		if err := json.Unmarshal(got.Body.Bytes(), &value); err != nil {
			tb.Fatalf("%s: %v: %s", what, err, got.Body)
		}
		if err := schema.VisitJSON(value, openapi3.VisitAsResponse()); err != nil {
			tb.Fatalf("%s: %v: %s", what, err, got.Body)
		}
	}
	return got
}

func (z *fuzzed) problem(tb testing.TB, what, contentType string, got *httptest.ResponseRecorder) {
	tb.Helper()
	var p struct {
		Title, Detail string
		Status        int
	}
	if err := json.Unmarshal(got.Body.Bytes(), &p); err != nil || contentType != "application/problem+json" || p.Detail == "" || p.Title == "" || p.Status != got.Code {
		tb.Fatalf("%s: %d %s %s", what, got.Code, contentType, got.Body)
	}
	if len(p.Detail) > 8192 || strings.ContainsFunc(p.Detail, unicode.IsControl) {
		tb.Fatalf("%s: not fit to be read: %q", what, p.Detail)
	}
}

// documents returns all that is stored.
func (z *fuzzed) documents(tb testing.TB) map[string]string {
	tb.Helper()
	kvs, _, err := z.store.List(context.Background(), store.Root)
	if err != nil {
		tb.Fatal(err)
	}
	out := make(map[string]string, len(kvs))
	for _, kv := range kvs {
		out[kv.Key] = string(kv.Value)
	}
	return out
}

// reset stores what was stored at the start, and nothing else.
func (z *fuzzed) reset(tb testing.TB) {
	tb.Helper()
	var ops []store.Op
	now := z.documents(tb)
	for key := range now {
		if _, kept := z.base[key]; !kept {
			ops = append(ops, store.Op{Key: key, Delete: true, Expect: store.AnyRevision})
		}
	}
	for key, value := range z.base {
		if now[key] != value {
			ops = append(ops, store.Op{Key: key, Value: []byte(value), Expect: store.AnyRevision})
		}
	}
	for part := range slices.Chunk(ops, store.MaxOps) {
		if _, err := z.store.Commit(context.Background(), store.Txn{Ops: part}); err != nil {
			tb.Fatal(err)
		}
	}
}

// readBack fails unless everything that is stored is shown, the same in lists
// and alone, and could be sent again.
func (z *fuzzed) readBack(tb testing.TB) {
	tb.Helper()
	for _, tenant := range []string{"", "tenant-a"} {
		for _, c := range []struct{ path, name string }{{"/v2/components", "id"}, {"/v2/sessions", "name"}, {"/v2/sessiontemplates", "name"}} {
			got := z.try(tb, "GET", c.path, tenant, "", nil)
			var items []map[string]any
			if err := json.Unmarshal(got.Body.Bytes(), &items); err != nil || got.Code != http.StatusOK {
				tb.Fatalf("%s: %d %s", c.path, got.Code, got.Body)
			}
			for _, item := range items[:min(len(items), 20)] {
				z.alone(tb, c.path, item[c.name].(string), tenant, item)
			}
		}
	}
	z.try(tb, "GET", "/v2/options", "", "", nil)
	if skipped := z.view.Skipped(); len(skipped) > 0 {
		tb.Fatalf("documents that can't be read: %v", skipped)
	}
}

// alone reads one item of a list.
func (z *fuzzed) alone(tb testing.TB, path, name, tenant string, item map[string]any) {
	tb.Helper()
	if strings.Contains(name, "/") {
		// No path leads to it.
		return
	}
	if owner, _ := item["tenant"].(string); path != "/v2/components" {
		tenant = owner
	}
	one := path + "/" + url.PathEscape(name)
	got := z.try(tb, "GET", one, tenant, "", nil)
	var value map[string]any
	if err := json.Unmarshal(got.Body.Bytes(), &value); err != nil || got.Code != http.StatusOK {
		tb.Fatalf("%s: %d %s", one, got.Code, got.Body)
	}
	if diff := cmp.Diff(item, value); diff != "" {
		tb.Fatalf("%s: %s", one, diff)
	}
	switch path {
	case "/v2/sessions":
		z.try(tb, "GET", one+"/status", tenant, "", nil)
		return
	case "/v2/sessiontemplates":
		z.try(tb, "GET", "/v2/sessiontemplatesvalid/"+name, tenant, "", nil)
	}
	// All but what is read-only is a good request too.
	delete(value, "name")
	delete(value, "tenant")
	for _, part := range value {
		if fields, ok := part.(map[string]any); ok {
			delete(fields, "last_updated")
			delete(fields, "status")
		}
	}
	again, err := json.Marshal(value)
	if err != nil {
		tb.Fatal(err)
	}
	if got := z.try(tb, "PUT", one, tenant, "application/json", again); got.Code != http.StatusOK {
		tb.Fatalf("what is stored is refused: %s %s: %d %s", one, again, got.Code, got.Body)
	}
}

// bodyCalls are the operations that take a body, each at a place where something
// is and at one where nothing is.
var bodyCalls = [][2]string{
	{"PUT", "/v2/sessiontemplates/t"}, {"PUT", "/v2/sessiontemplates/new"}, {"PATCH", "/v2/sessiontemplates/t"},
	{"POST", "/v2/sessions"}, {"PATCH", "/v2/sessions/s"}, {"PUT", "/v2/components"}, {"PATCH", "/v2/components"},
	{"PATCH", "/v2/components?skip_bad_ids=true"}, {"PUT", "/v2/components/a1"}, {"PUT", "/v2/components/new"}, {"PATCH", "/v2/components/a1"},
	{"POST", "/v2/applystaged"}, {"PATCH", "/v2/options"},
}

// Whatever is sent as a body, the server does not fail, and stores nothing that
// it could not show or would not take.
func FuzzBodies(f *testing.F) {
	z := startFuzzed(f)
	for i, c := range bodyCalls {
		for _, call := range slices.Sorted(maps.Keys(z.examples)) {
			bodies := z.examples[call]
			method, template, _ := strings.Cut(call, " ")
			path, _, _ := strings.Cut(strings.Replace(c[1], "/new", "", 1), "?")
			if method != c[0] || !strings.HasPrefix(place(template), path) {
				continue
			}
			for _, body := range bodies {
				f.Add(uint8(i), false, body)
			}
		}
	}
	f.Add(uint8(1), false, []byte(`{"boot_sets":{"c":{"ims_image_id":"i","node_groups":["g"]}}}`))
	f.Add(uint8(9), false, []byte(full))
	f.Add(uint8(6), false, []byte(`[{"id":"\u0000\u001b[2J\u0085"}]`))
	f.Add(uint8(4), true, []byte(`{"components":"a1","status":{"status":"complete","start_time":"2026-01-01","end_time":"2026-01-01T00:00:00+01:00","error":"e"}}`))
	f.Add(uint8(6), true, []byte(`{"patch":{"staged_state":{"session":"r"},"enabled":true},"filters":{"ids":"a1,a2,a1","session":""}}`))
	f.Add(uint8(11), true, []byte(`{"xnames":["a2","a1","a2","zz"]}`))
	f.Add(uint8(5), false, []byte(`[{"id":"\u0000","error":"<\u2028>"},{"id":" ","session":"s"},{"id":"a/b"},{"id":"%2F"},{"id":"..","enabled":true}]`))
	f.Add(uint8(2), false, []byte(`{"boot_sets":{"zz":`+bootSet+`}}`))
	f.Fuzz(func(t *testing.T, which uint8, tenanted bool, body []byte) {
		c, tenant := bodyCalls[int(which)%len(bodyCalls)], ""
		if tenanted {
			tenant = "tenant-a"
		}
		got := z.try(t, c[0], c[1], tenant, "application/json", body)
		if got.Code >= 400 {
			if diff := cmp.Diff(z.base, z.documents(t)); diff != "" {
				t.Fatalf("%d %s, and yet something is stored: %s", got.Code, got.Body, diff)
			}
			return
		}
		z.readBack(t)
		z.reset(t)
	})
}

// Whatever is asked for, the server does not fail and answers as the document
// says.
func FuzzRequests(f *testing.F) {
	z := startFuzzed(f)
	for _, call := range slices.Sorted(maps.Keys(z.examples)) {
		bodies := z.examples[call]
		method, template, _ := strings.Cut(call, " ")
		f.Add(method, "/apis/bos"+place(template)+"?x=%41&page_size=1", "", "text/plain", []byte("{}"))
		for _, body := range append(bodies, nil) {
			f.Add(method, place(template), "tenant-a", "application/json", body)
		}
	}
	f.Add("DELETE", "/v2/sessions?min_age=0&max_age=1d&status=pending", "tenant-a", "", []byte{})
	f.Add("OPTIONS", "//v2/components?ids=%zz;", "\xff", "", []byte{})
	f.Fuzz(func(t *testing.T, method, target, tenant, contentType string, body []byte) {
		if strings.ContainsAny(tenant+contentType, "\r\n") {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(
			strings.NewReader(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: h\r\nCray-Tenant-Name: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
				method, target, tenant, contentType, len(body))), bytes.NewReader(body))))
		if err != nil {
			// net/http refuses it before it gets here.
			return
		}
		z.serve(t, r)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			z.readBack(t)
			z.reset(t)
		}
	})
}
