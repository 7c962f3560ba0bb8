// SPDX-License-Identifier: MIT

package bss

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
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

func params(hosts ...string) Params {
	return Params{
		Hosts: hosts, Kernel: "s3://boot-images/1/kernel", Initrd: "s3://boot-images/1/initrd",
		Params: "console=ttyS0 quiet bss_referral_token=mine",
	}
}

func TestPut(t *testing.T) {
	s := upstreamtest.Serve(t, "bss", "/boot/v1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Bss-Referral-Token", "7507d4a2-e24c-4a0a-b2de-6dab891e7223")
	})
	if err := New(s.Service).PutBootParameters(t.Context(), params("X3000C0S01B0N0", "x3000c0s1b0n1"), "try-1"); err != nil {
		t.Fatal(err)
	}
	want := []upstreamtest.Exchange{{
		Method: "PUT", Target: "/bootparameters", Attempt: "try-1",
		Body: `{"hosts":["x3000c0s1b0n0","x3000c0s1b0n1"],"params":"console=ttyS0 quiet bss_referral_token=mine",` +
			`"kernel":"s3://boot-images/1/kernel","initrd":"s3://boot-images/1/initrd"}`,
	}}
	if diff := cmp.Diff(want, s.Seen()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestWhatIsNotSent(t *testing.T) {
	noKernel, twoLines := params("x1c0s0b0n0"), params("x1c0s0b0n0")
	noKernel.Kernel = ""
	twoLines.Params += "\nshell"
	tests := []struct {
		name    string
		p       Params
		code    bos.Code
		refused bool
	}{
		{"no hosts", params(), bos.CodeInternal, false},
		{"no kernel", noKernel, bos.CodeInternal, false},
		{"two lines", twoLines, bos.CodeInvalid, true},
		{"a role", params("x1c0s0b0n0", "Compute"), bos.CodeInvalid, true},
		{"everybody", params("Default"), bos.CodeInvalid, true},
		{"an empty name", params(""), bos.CodeInvalid, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := New(upstreamtest.Silent(t, "bss")).PutBootParameters(t.Context(), tt.p, "")
			if bos.CodeOf(err) != tt.code || call.IsRefused(err) != tt.refused {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOneBadHostIsFound(t *testing.T) {
	s := upstreamtest.Serve(t, "bss", "", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(tokenHeader, "t") })
	c := New(s.Service)
	hosts := []string{"x1c0s0b0n0", "x1c0s0b0n1", "Default", "x1c0s0b0n2", "x1c0s0b0n3"}
	r := call.Bisect(t.Context(), hosts, func(ctx context.Context, batch []string) error {
		return c.PutBootParameters(ctx, params(batch...), "")
	})
	if len(r.Refused) != 1 || call.WordsOf(r.Refused["Default"]) != `"Default" is not the xname of a node` || len(r.Untried) != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestFailures(t *testing.T) {
	p := params("x3000c0s1b0n0")
	tests := []struct {
		name   string
		answer func(http.ResponseWriter)
		words  string
		text   string
		tries  int
	}{
		{"echo", func(w http.ResponseWriter) {
			upstreamtest.Problem(w, 500, "Key /params/x3000c0s1b0n0 storage of '{"+p.Params+" {}}' failed: too large")
		}, "Key /params/x3000c0s1b0n0 storage of … failed: too large", "", 1},
		{"echo without braces", func(w http.ResponseWriter) {
			upstreamtest.Problem(w, 400, "bad: "+p.Params)
		}, "bad: …", "bss refused: bad: …", 1},
		{"long echo", func(w http.ResponseWriter) {
			upstreamtest.Problem(w, 500, "Key /params/x3000c0s1b0n0 storage of '{"+strings.Repeat("x", 1600000)+"}'")
		}, "", "bss is not available: status 500", 1},
		{"busy", func(w http.ResponseWriter) { w.WriteHeader(503) }, "", "bss is not available: status 503", 3},
		{"not BSS", func(w http.ResponseWriter) { fmt.Fprint(w, "<html>Log in</html>") }, "", "bss is not available: its answer can't be understood", 1},
		{"nothing done", func(http.ResponseWriter) {}, "", "bss is not available: its answer can't be understood", 1},
		{"wrong base URL", func(w http.ResponseWriter) { fmt.Fprint(w, "Hello World!") }, "", "bss is not available: its answer can't be understood", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := upstreamtest.Serve(t, "bss", "", func(w http.ResponseWriter, _ *http.Request) { tt.answer(w) })
			err := New(s.Service).PutBootParameters(t.Context(), p, "")
			if got := call.WordsOf(err); got != tt.words {
				t.Errorf("words %q, want %q", got, tt.words)
			}
			var e *bos.Error
			if !errors.As(err, &e) || tt.text != "" && e.Message != tt.text {
				t.Errorf("got %v", err)
			}
			if n := len(s.Seen()); n != tt.tries {
				t.Errorf("%d requests, want %d", n, tt.tries)
			}
		})
	}
}

// When a node last fetched its boot script is told in several ways, and a BSS that
// can't tell stays well.
func TestScriptFetched(t *testing.T) {
	const node = "x3000c0s1b0n0"
	at := time.Unix(1795417033, 0)
	tests := []struct {
		name, body string
		status     int
		want       time.Time
		text       string
	}{
		{"fetched", `[{"name":"x3000c0s1b0n0","endpoint":"bootscript","last_epoch":1795417033}]`, 200, at, ""},
		{"never", `[{"name":"x3000c0s1b0n0","endpoint":"bootscript","last_epoch":0}]`, 200, time.Time{}, ""},
		{"never, the other way", `[]`, 200, time.Time{}, ""},
		{"the latest of several", `[{"name":"x3000c0s1b0n0","endpoint":"bootscript","last_epoch":1795410000},
			{"name":"x3000c0s1b0n0","endpoint":"bootscript","last_epoch":1795417033},{"name":"x3000c0s1b0n0","endpoint":"user-data","last_epoch":1795419999},
			{"name":"x3000c0s2b0n0","endpoint":"bootscript","last_epoch":1795418888}]`, 200, at, ""},
		{"no history", "Hello World!", 200, time.Time{}, "bss is not available: its answer can't be understood"},
		{"no such path", "404 page not found", 404, time.Time{}, "bss refused: 404 page not found"},
		{"broken", "", 500, time.Time{}, "bss is not available: status 500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := upstreamtest.Serve(t, "bss", "/boot/v1", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", at.Add(time.Minute).UTC().Format(http.TimeFormat))
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			})
			c := New(s.Service)
			for range 10 {
				got, err := c.ScriptFetched(t.Context(), "X3000C0S01B0N0")
				var e *bos.Error
				if tt.text != "" && (!errors.As(err, &e) || e.Message != tt.text) || tt.text == "" && err != nil {
					t.Fatalf("got %v", err)
				}
				if !got.At.Equal(tt.want) || err == nil && got.Now.Sub(at).Round(10*time.Second) != time.Minute {
					t.Errorf("got %+v", got)
				}
			}
			if h := s.Service.Health(); h.Away() {
				t.Errorf("it counts as away: %+v", h)
			}
			if target := s.Seen()[0].Target; target != "/endpoint-history?endpoint=bootscript&name="+node {
				t.Errorf("asked %s", target)
			}
		})
	}
	if _, err := New(upstreamtest.Silent(t, "bss")).ScriptFetched(t.Context(), "Default"); !call.IsRefused(err) {
		t.Errorf("a role: %v", err)
	}
}

type slow struct{ took chan time.Duration }

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	<-r.Context().Done()
	s.took <- time.Since(start)
	return nil, r.Context().Err()
}

func TestManyHostsGetMoreTime(t *testing.T) {
	for hosts, want := range map[int]time.Duration{1: 20 * time.Second, 3000: 20 * time.Second, 4000: 25 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			took := make(chan time.Duration, 1)
			svc := call.New(call.Config{
				Name: "bss", BaseURL: "http://bss", Transport: slow{took},
				Timeout: func() time.Duration { return 20 * time.Second },
			})
			p := params()
			for i := range hosts {
				p.Hosts = append(p.Hosts, fmt.Sprintf("x1c0s%db0n0", i))
			}
			err := New(svc).PutBootParameters(t.Context(), p, "")
			if got := <-took; got != want || !call.IsAway(err) {
				t.Errorf("%d hosts got %v, want %v (%v)", hosts, got, want, err)
			}
		})
	}
}

func TestHostsPerRequest(t *testing.T) {
	for timeout, want := range map[time.Duration]int{
		0: 50, 5 * time.Second: 50, 6 * time.Second: 200, 10 * time.Second: 1000, 20 * time.Second: 2000, time.Hour: 2000,
	} {
		if got := HostsPerRequest(timeout); got != want {
			t.Errorf("%v: %d, want %d", timeout, got, want)
		}
	}
}

func TestParametersMayComeLate(t *testing.T) {
	upstreamtest.Copies(t, "bss", 5, func(ctx context.Context, s *call.Service) error {
		return New(s).PutBootParameters(ctx, Params{Hosts: []string{"x1c0s0b0n0"}, Kernel: "k"}, "")
	})
}
