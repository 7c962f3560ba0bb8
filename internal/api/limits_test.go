// SPDX-License-Identifier: MIT

package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bos/internal/admission"
	"bos/internal/auth"
)

// client is a raw connection to the API.
type client struct {
	s *site
	net.Conn
	r *bufio.Reader
}

func (s *site) dial() *client {
	s.tb.Helper()
	conn, err := (&net.Dialer{}).DialContext(s.tb.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { _ = conn.Close() })
	return &client{s, conn, bufio.NewReader(conn)}
}

func (c *client) send(text string) {
	c.s.tb.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.s.tb.Fatal(err)
	}
}

func (c *client) answer() reply {
	c.s.tb.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.s.tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.s.tb.Fatal(err)
	}
	return reply{tb: c.s.tb, what: "raw", status: resp.StatusCode, header: resp.Header, body: body}
}

// refusals counts what is refused.
type refusals struct {
	mu   sync.Mutex
	list []string
}

func (r *refusals) add(limit string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, limit)
}

func TestLargeHeader(t *testing.T) {
	s := start(t, func(c *Config) { c.Limits.HeaderBytes = 10_000 })
	s.do("GET", "/v2/components?ids="+strings.Repeat("x", 9000), "").wants(200)
	s.do("GET", "/v2/components?ids="+strings.Repeat("x", 11_000), "").problem(431, "Request Header Fields Too Large", "the header of the request has 11", "bytes; at most 10000 are taken")
	s.do("GET", "/v2", "", "X-Large", strings.Repeat("x", 11_000)).problem(431, "Request Header Fields Too Large")
}

func TestLargeBodies(t *testing.T) {
	s := start(t, func(c *Config) {
		c.Limits.BodyBytes, c.Limits.BodyBytesOf = 1000, map[string]int64{"put_v2_component": 2000}
	})
	body := func(n int) string { return `{"error":"` + strings.Repeat("e", n-12) + `"}` }
	s.do("PUT", "/v2/components/a1", body(2000)).wants(200)
	s.do("PUT", "/v2/components/a1", body(2001)).problem(413, "Request Entity Too Large", "must have at most 2000 bytes, not 2001 bytes")
	s.do("PATCH", "/v2/components/a1", body(1000)).wants(200)
	s.do("PATCH", "/v2/components/a1", body(1001)).problem(413, "Request Entity Too Large", "at most 1000 bytes, not 1001 bytes")
	r, err := http.NewRequestWithContext(t.Context(), "PATCH", s.url+"/v2/components/a1", io.LimitReader(neverEnding{}, 5000))
	if err != nil {
		t.Fatal(err)
	}
	s.send(r).problem(413, "Request Entity Too Large", "at most 1000 bytes, and has more")
}

func TestTooManyItems(t *testing.T) {
	s := start(t, func(c *Config) { c.Limits.Items = 2 })
	two, three := `[{"id":"a"},{"id":"b"}]`, `[{"id":"a"},{"id":"b"},{"id":"b"}]`
	s.do("PUT", "/v2/components", two).wants(200)
	s.do("PATCH", "/v2/components", two).wants(200)
	s.do("POST", "/v2/applystaged", `{"xnames":["a","b"]}`).wants(200)
	for method, path := range map[string]string{"PUT": "/v2/components", "PATCH": "/v2/components"} {
		s.do(method, path, three).problem(413, "Request Entity Too Large", "request body: it has 3 components; at most 2 are taken at once")
	}
	s.do("POST", "/v2/applystaged", `{"xnames":["a","b","c"]}`).problem(413, "Request Entity Too Large", "it has 3 components")
}

func TestWrongLimits(t *testing.T) {
	for want, limits := range map[string]Limits{
		`the largest body of "put_v2_thing": there is no such operation`: {BodyBytesOf: map[string]int64{"put_v2_thing": 1}},
		`the time of "put_v2_thing": there is no such operation`:         {TimeoutOf: map[string]time.Duration{"put_v2_thing": 1}},
		"the largest body of patch_v2_options: 9999999 bytes are more":   {BodyBytesOf: map[string]int64{"patch_v2_options": 9999999}},
	} {
		s := start(t, nil)
		_, err := New(Config{Store: s.store, View: s.server.view, Clock: s.server.clock, Images: s.images, Explain: s.server.explain,
			Plan: s.server.plan, Limits: limits})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A client is who it is, or else its address; those on this host are a proxy for
// others.
func TestRate(t *testing.T) {
	counted := &refusals{}
	s, _, _ := guarded(t, func(c *Config) {
		c.Limits.Rates, c.Refused = admission.NewRates(0.01, 2, 100), counted.add
	})
	from := func(address, who, path string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		r.RemoteAddr = address
		if who != "" {
			r.Header.Set("Authorization", who)
		}
		w := httptest.NewRecorder()
		s.server.ServeHTTP(w, r)
		return w
	}
	const gateway = "192.0.2.1:4711"
	for range 2 {
		if w := from(gateway, "root", "/v2/options"); w.Code != 200 {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
	}
	w := from("192.0.2.2:1", "root", "/v2/options")
	if w.Code != 429 || !strings.Contains(w.Body.String(), "you made more than 0.01 requests a second, after 2 at once; try again in 1m") || w.Header().Get("Retry-After") != "100" {
		t.Errorf("%d, %v: %s", w.Code, w.Header(), w.Body)
	}
	// Others behind the same gateway are not held back.
	if w := from(gateway, "slurm", "/v2/sessions/x"); w.Code != 404 {
		t.Errorf("another client: %d: %s", w.Code, w.Body)
	}
	// Those who do not say who they are count for their address, and get no
	// answer that costs more.
	codes := []int{}
	for range 3 {
		codes = append(codes, from(gateway, "expired", "/v2/options").Code)
	}
	codes = append(codes, from(gateway, "", "/v2").Code, from(gateway, "", "/livez").Code, from(gateway, "", "/readyz").Code, from("127.0.0.1:1", "", "/v2").Code)
	if want := []int{401, 401, 429, 429, 200, 200, 200}; !slices.Equal(codes, want) {
		t.Errorf("%v, want %v", codes, want)
	}
	if want := []string{"rate", "rate", "rate"}; !slices.Equal(counted.list, want) {
		t.Errorf("counted %v", counted.list)
	}
}

// Requests beyond those at the same moment are told so; probes are answered all
// the same.
func TestRequestsAtTheSameMoment(t *testing.T) {
	counted := &refusals{}
	s := start(t, func(c *Config) { c.Limits.Requests, c.Refused = admission.NewGate(2), counted.add })
	s.template("t")
	s.images.hold, s.images.held = make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() { s.do("GET", "/v2/sessiontemplatesvalid/t", "").wants(200) })
		<-s.images.held
	}
	got := s.do("GET", "/v2", "")
	got.problem(503, "Service Unavailable", "2 requests are being worked on")
	if got.header.Get("Retry-After") != "1" || !slices.Equal(counted.list, []string{"requests"}) {
		t.Errorf("%v, counted %v", got.header, counted.list)
	}
	s.do("GET", "/livez", "").wants(200)
	s.do("GET", "/readyz", "").wants(200)
	close(s.images.hold)
	group.Wait()
	s.do("GET", "/v2", "").wants(200)
}

// The work on a request has its time, and who waited in vain is told.
func TestTimeouts(t *testing.T) {
	s := start(t, func(c *Config) {
		c.Limits.Timeout, c.Limits.TimeoutOf = time.Hour, map[string]time.Duration{"get_v2_sessiontemplatesvalid": time.Millisecond}
	})
	s.template("t")
	s.images.hold, s.images.held = make(chan struct{}), make(chan struct{}, 1)
	defer close(s.images.hold)
	s.do("GET", "/v2/sessiontemplatesvalid/t", "").problem(503, "Service Unavailable", "it took longer than 1ms")
	for id, e := range s.server.routes.endpoints {
		want := time.Duration(0)
		if e.operation.Method != "GET" {
			want = time.Hour
		}
		if id == "get_v2_sessiontemplatesvalid" {
			want = time.Millisecond
		}
		if e.timeout != want {
			t.Errorf("%s has %v, want %v", id, e.timeout, want)
		}
	}
}

// A body that does not come is not waited for.
func TestSlowBody(t *testing.T) {
	s := start(t, func(c *Config) { c.Limits.ReadTimeout = 300 * time.Millisecond })
	slow := httptest.NewUnstartedServer(s.server)
	slow.Config.ReadTimeout = 300 * time.Millisecond
	slow.Start()
	defer slow.Close()
	s.url = slow.URL
	c := s.dial()
	c.send("PUT /v2/components/a1 HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{\"enabled\"")
	c.answer().problem(408, "Request Timeout", "request body: it did not arrive within 300ms; 10 bytes of it did")
	if n, err := io.Copy(io.Discard, c.r); n != 0 || err != nil {
		t.Errorf("%d more bytes, %v", n, err)
	}
	if held := s.server.bodies.held.Load(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}

// A client that does not read its answer is given up.
func TestSlowReader(t *testing.T) {
	ended := make(chan int, 1)
	s := start(t, func(c *Config) {
		c.Observe = func(_ context.Context, operation string, status int, _ time.Duration) {
			if operation == "get_v2_components" {
				ended <- status
			}
		}
	})
	const each = 60_000
	for i := range 25 {
		var many []string
		for j := range 10 {
			many = append(many, fmt.Sprintf(`{"id":"x%dy%d","error":%q}`, i, j, strings.Repeat("e", each)))
		}
		s.do("PUT", "/v2/components", "["+strings.Join(many, ",")+"]").wants(200)
	}
	slow := httptest.NewUnstartedServer(s.server)
	slow.Config.WriteTimeout = 300 * time.Millisecond
	slow.Start()
	defer slow.Close()
	s.url = slow.URL
	c := s.dial()
	c.send("GET /v2/components HTTP/1.1\r\nHost: h\r\n\r\n")
	// Nothing is read until the server has given up.
	if status := <-ended; status != 200 {
		t.Errorf("status %d", status)
	}
	if n, err := io.Copy(io.Discard, c.r); err == nil && n >= 250*each {
		t.Errorf("all %d bytes came", n)
	}
}

func BenchmarkGet(b *testing.B) {
	const one = `{"enabled":false,"actual_state":{"boot_artifacts":{"kernel":"k","kernel_parameters":"p","initrd":"i"}}}`
	everything := func(c *Config) {
		c.Limits = Limits{
			Requests: admission.NewGate(1000), Rates: admission.NewRates(1e9, 1<<30, 1000), HeaderBytes: 4 << 20,
			BodiesBytes: 1 << 29, Items: 1 << 19, Timeout: time.Minute, ReadTimeout: time.Minute,
		}
	}
	for name, change := range map[string]func(*Config){
		"plain": nil, "limits": everything,
		"access": func(c *Config) {
			everything(c)
			c.Access, c.Trail = &gate{Policy: auth.Policy{}}, &trail{}
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := start(b, change)
			s.by("root", "PUT", "/v2/components/a1", one).wants(200)
			r := httptest.NewRequestWithContext(b.Context(), "GET", "/v2/components/a1", nil)
			r.RemoteAddr = "192.0.2.1:4711"
			r.Header.Set("Authorization", "root")
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				s.server.ServeHTTP(w, r)
				if w.Code != 200 {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
