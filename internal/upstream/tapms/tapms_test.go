// SPDX-License-Identifier: MIT

package tapms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"bos/internal/bos"
	"bos/internal/upstream/call"
	"bos/internal/upstream/upstreamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTenant(t *testing.T) {
	tests := []struct {
		name, body string
		want       []string
	}{
		{"deployed", `{"kind":"Tenant","metadata":{"name":"blue"},"spec":{"tenantresources":[{"xnames":["x9c0s0b0n0"]}]},
			"status":{"uuid":"550e8400","tenanthooks":[],"tenantresources":[
			{"type":"compute","xnames":["x1c0s1b0n0","X1C0S01B0N0","x0c3s5b0n0",""],"hsmgrouplabel":"green"},
			{"type":"application","xnames":["x0c3s5b0n0","x1c0s2b0n0"]},{"type":"none","xnames":null},{}]}}`,
			[]string{"x0c3s5b0n0", "x1c0s1b0n0", "x1c0s2b0n0"}},
		{"no status", `{"spec":{"tenantname":"blue"}}`, []string{}},
		{"null status", `{"status":null}`, []string{}},
		{"no resources", `{"status":{"tenantresources":null}}`, []string{}},
		{"nothing", `null`, nil},
		{"list", `[]`, nil},
		{"page", `<html>`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := upstreamtest.Serve(t, "tapms", "/v1alpha3", func(w http.ResponseWriter, _ *http.Request) { upstreamtest.JSON(w, tt.body) })
			got, err := New(s.Service).Tenant(t.Context(), "vcluster blue/1")
			if diff := cmp.Diff(tt.want, got); diff != "" || call.IsAway(err) != (tt.want == nil) {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if target := s.Seen()[0].Target; target != "/tenants/vcluster%20blue%2F1" {
				t.Errorf("asked %s", target)
			}
		})
	}
}

func TestNoSuchTenant(t *testing.T) {
	s := upstreamtest.Serve(t, "tapms", "/v1alpha3", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(404)
		fmt.Fprint(w, `"Tenant with name/uuid 'x' not found."`)
	})
	for _, name := range []string{"x", "", ".", ".."} {
		if _, err := New(s.Service).Tenant(t.Context(), name); !bos.IsNotFound(err) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if n := len(s.Seen()); n != 1 {
		t.Errorf("%d requests: a name that is none was sent", n)
	}
}

func TestOtherFailures(t *testing.T) {
	status := 403
	s := upstreamtest.Serve(t, "tapms", "", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, `{"message":"forbidden"}`)
	})
	_, err := New(s.Service).Tenant(t.Context(), "x")
	if !call.IsRefused(err) || call.WordsOf(err) != "forbidden" {
		t.Errorf("got %v", err)
	}
	status = 500
	if _, err := New(s.Service).Tenant(t.Context(), "x"); !call.IsAway(err) || call.WordsOf(err) != "forbidden" {
		t.Errorf("got %v", err)
	}
}

// fake is a TAPMS in virtual time whose tenants have one node, named after the
// number of the request.
type fake struct {
	mu     sync.Mutex
	asked  []string
	delay  time.Duration
	status int
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.asked = append(f.asked, r.URL.Path)
	n, delay, status := len(f.asked), f.delay, f.status
	f.mu.Unlock()
	time.Sleep(delay)
	body := fmt.Sprintf(`{"status":{"tenantresources":[{"xnames":["x%dc0s0b0n0"]}]}}`, n)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

func newCache(ttl time.Duration) (*Cache, *fake) {
	f := &fake{status: 200}
	svc := call.New(call.Config{Name: "tapms", BaseURL: "http://tapms", Transport: f})
	return NewCache(New(svc), ttl), f
}

// expect checks which request an answer is from.
func expect(t *testing.T, n int, got []string, err error) {
	t.Helper()
	if want := fmt.Sprintf("x%dc0s0b0n0", n); err != nil || !slices.Equal(got, []string{want}) {
		t.Errorf("got %v, %v; want that of request %d", got, err, n)
	}
}

func TestCachedUntilTheTimeIsOver(t *testing.T) {
	for ttl, lives := range map[time.Duration]time.Duration{
		3 * time.Second: 3 * time.Second, time.Hour: 10 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := newCache(ttl)
			got, err := c.Cached(t.Context(), "a")
			expect(t, 1, got, err)
			time.Sleep(lives - 1)
			got, err = c.Cached(t.Context(), "a")
			expect(t, 1, got, err)
			time.Sleep(time.Nanosecond)
			got, err = c.Cached(t.Context(), "a")
			expect(t, 2, got, err)
			got, err = c.Fresh(t.Context(), "a")
			expect(t, 3, got, err)
			got, err = c.Cached(t.Context(), "a")
			expect(t, 3, got, err)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c, _ := newCache(0)
		for n := range 3 {
			got, err := c.Cached(t.Context(), "a")
			expect(t, n+1, got, err)
		}
		// Who asked has its answer before the request's goroutine has ended.
		synctest.Wait()
		if len(c.tenants) != 0 {
			t.Errorf("%d answers are remembered for nothing", len(c.tenants))
		}
	})
}

// Without a time to live, whoever asks while a request is under way shares it,
// and nobody does after its answer.
func TestRequestsUnderWayAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := newCache(0)
		f.delay = time.Second
		for n := range 2 {
			var callers sync.WaitGroup
			for range 10 {
				callers.Go(func() {
					got, err := c.Cached(t.Context(), "a")
					expect(t, n+1, got, err)
				})
			}
			callers.Wait()
		}
		if f.count() != 2 {
			t.Errorf("%d requests", f.count())
		}
	})
}

func TestFreshIsAskedAfterTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := newCache(time.Minute)
		f.delay = time.Second
		type result struct {
			xnames []string
			err    error
		}
		ask := func(get func(context.Context, string) ([]string, error)) chan result {
			ch := make(chan result, 1)
			go func() {
				x, err := get(t.Context(), "a")
				ch <- result{x, err}
			}()
			synctest.Wait()
			return ch
		}
		first := ask(c.Fresh)
		var later, cached []chan result
		for range 10 {
			later = append(later, ask(c.Fresh))
			cached = append(cached, ask(c.Cached))
		}
		r := <-first
		expect(t, 1, r.xnames, r.err)
		for i := range later {
			r := <-cached[i]
			expect(t, 1, r.xnames, r.err)
			r = <-later[i]
			expect(t, 2, r.xnames, r.err)
		}
		if f.count() != 2 {
			t.Errorf("%d requests", f.count())
		}
	})
}

func TestWhoGivesUpDoesNotSpoilItForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := newCache(time.Minute)
		f.delay = time.Second
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := c.Fresh(ctx, "a")
			gone <- err
		}()
		synctest.Wait()
		stays := make(chan []string)
		go func() {
			x, _ := c.Cached(t.Context(), "a")
			stays <- x
		}()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		expect(t, 1, <-stays, nil)
	})
}

func TestFailuresAreNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := newCache(5 * time.Second)
		if _, err := c.Cached(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		f.status = 500
		if _, err := c.Fresh(t.Context(), "a"); !call.IsAway(err) {
			t.Errorf("got %v", err)
		}
		// What was known goes on being known for its time.
		got, err := c.Cached(t.Context(), "a")
		expect(t, 1, got, err)
		f.status = 404
		if _, err := c.Fresh(t.Context(), "a"); !bos.IsNotFound(err) {
			t.Errorf("got %v", err)
		}
		if _, err := c.Cached(t.Context(), "a"); !bos.IsNotFound(err) {
			t.Errorf("a tenant that is gone: %v", err)
		}
		f.status = 200
		got, err = c.Cached(t.Context(), "a")
		expect(t, 5, got, err)
		if len(c.tenants) != 1 {
			t.Errorf("%d entries", len(c.tenants))
		}
	})
}

func TestCacheIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := newCache(10 * time.Second)
		for i := range 1500 {
			if _, err := c.Cached(t.Context(), fmt.Sprint("t", i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Microsecond)
		}
		if n := len(c.tenants); n != 1000 {
			t.Errorf("%d tenants are remembered", n)
		}
		before := f.count()
		if _, err := c.Cached(t.Context(), "t1499"); err != nil || f.count() != before {
			t.Error("the newest was dropped")
		}
		if _, err := c.Cached(t.Context(), "t0"); err != nil || f.count() != before+1 {
			t.Error("the oldest was kept")
		}
	})
}
