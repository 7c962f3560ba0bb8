// SPDX-License-Identifier: MIT

package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7"
	"go.uber.org/goleak"

	"bos/internal/bos"
	"bos/internal/upstream/call"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect makes a client of a server that runs until the test ends.
func connect(t *testing.T, h http.Handler) (*Client, *[]string) {
	t.Helper()
	var seen []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.URL.RequestURI())
		h.ServeHTTP(w, r)
	}))
	c, err := New(Config{Gateway: srv.URL, AccessKey: "access-key", SecretKey: "secret-key", TimeScale: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Service().Close()
		srv.Close()
	})
	return c, &seen
}

func TestAgainstAnS3Server(t *testing.T) {
	backend := s3mem.New()
	if err := backend.CreateBucket("boot-images"); err != nil {
		t.Fatal(err)
	}
	const content = `{"version":"1.0","artifacts":[]}`
	c, seen := connect(t, gofakes3.New(backend).Server())
	const path = "s3://boot-images/1/man ifest+ü.json"
	if _, err := c.core.Client.PutObject(t.Context(), "boot-images", "1/man ifest+ü.json",
		strings.NewReader(content), int64(len(content)), minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	head, err := c.Head(t.Context(), path)
	if err != nil || head.Size != int64(len(content)) || len(head.ETag) != 32 {
		t.Errorf("head %+v, %v", head, err)
	}
	data, info, err := c.Get(t.Context(), path, int64(len(content)))
	if err != nil || string(data) != content || info != head {
		t.Errorf("got %q, %+v, %v", data, info, err)
	}
	if _, _, err := c.Get(t.Context(), path, int64(len(content))-1); bos.CodeOf(err) != bos.CodeTooLarge {
		t.Errorf("too large: %v", err)
	}
	for _, gone := range []string{"s3://boot-images/2", "s3://no-bucket/1"} {
		_, headErr := c.Head(t.Context(), gone)
		_, _, getErr := c.Get(t.Context(), gone, 10)
		for _, err := range []error{headErr, getErr} {
			e, ok := errors.AsType[*bos.Error](err)
			if !ok || e.Code != bos.CodeNotFound || e.Message != "'"+gone+"' does not exist in S3" || call.StatusOf(err) != 404 {
				t.Errorf("%s: %v", gone, err)
			}
		}
	}
	for _, request := range *seen {
		if strings.Contains(request, "location") {
			t.Errorf("the bucket's location was asked for: %s", request)
		}
	}
}

// A server that knows nothing of S3 but the paths.
func TestAgainstAPlainServer(t *testing.T) {
	c, seen := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"f04af5-131"`)
		w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
		switch r.URL.Path {
		case "/boot-images/1/kernel":
			fmt.Fprint(w, "kernel")
		case "/boot-images/stream":
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "longer than said")
		case "/boot-images/weak":
			w.Header().Set("ETag", `W/"abc"`)
		default:
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(404)
			fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchKey</Code></Error>`)
		}
	}))
	head, err := c.Head(t.Context(), "s3://boot-images/1/kernel")
	if want := (ObjectInfo{ETag: "f04af5-131", Size: 6}); err != nil || head != want {
		t.Errorf("head %+v, %v", head, err)
	}
	if data, _, err := c.Get(t.Context(), "s3://boot-images/1/kernel", 6); err != nil || string(data) != "kernel" {
		t.Errorf("got %q, %v", data, err)
	}
	if _, _, err := c.Get(t.Context(), "s3://boot-images/stream", 6); bos.CodeOf(err) != bos.CodeTooLarge {
		t.Errorf("without a length: %v", err)
	}
	if head, err := c.Head(t.Context(), "s3://boot-images/weak"); err != nil || head.ETag != "abc" {
		t.Errorf("weak tag: %+v, %v", head, err)
	}
	if _, _, err := c.Get(t.Context(), "s3://boot-images/none", 6); !bos.IsNotFound(err) {
		t.Errorf("none: %v", err)
	}
	want := []string{
		"HEAD /boot-images/1/kernel", "GET /boot-images/1/kernel", "GET /boot-images/stream",
		"HEAD /boot-images/weak", "GET /boot-images/none",
	}
	if diff := cmp.Diff(want, *seen); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestFailures(t *testing.T) {
	tests := []struct {
		name    string
		answer  func(http.ResponseWriter)
		text    string
		refused bool
		tries   int
	}{
		{"no access", func(w http.ResponseWriter) {
			w.WriteHeader(403)
			fmt.Fprint(w, `<Error><Code>AccessDenied</Code><Message>Access Denied to access-key.</Message></Error>`)
		}, "s3 refused: Access Denied to ….", true, 1},
		{"no access, silent", func(w http.ResponseWriter) { w.WriteHeader(403) }, "s3 refused: Access Denied.", true, 1},
		{"failure", func(w http.ResponseWriter) { w.WriteHeader(500) }, "s3 is not available: status 500: 500 Internal Server Error", false, 1},
		{"busy", func(w http.ResponseWriter) { w.WriteHeader(503) }, "s3 is not available: status 503: 503 Service Unavailable", false, 3},
		{"page", func(w http.ResponseWriter) {
			w.WriteHeader(502)
			fmt.Fprint(w, "<html><b>Bad Gateway</b></html>")
		}, "s3 is not available: status 502: Bad Gateway", false, 3},
		{"redirect", func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://elsewhere/")
			w.WriteHeader(302)
		}, "", false, 1},
		{"garbage", func(w http.ResponseWriter) {
			w.Header().Set("Last-Modified", "yesterday")
			fmt.Fprint(w, "x")
		}, "s3 is not available: its answer can't be understood", false, 1},
		{"breaks off", func(w http.ResponseWriter) {
			w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
			w.Header().Set("Content-Length", "10")
			fmt.Fprint(w, "x")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "s3 is not available: connection lost", false, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, seen := connect(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { tt.answer(w) }))
			_, _, err := c.Get(t.Context(), "s3://boot-images/1", 100)
			var e *bos.Error
			if !errors.As(err, &e) || call.IsRefused(err) != tt.refused || call.IsAway(err) == tt.refused {
				t.Fatalf("got %v", err)
			}
			if tt.text != "" && e.Message != tt.text {
				t.Errorf("got  %q\nwant %q", e.Message, tt.text)
			}
			if len(*seen) != tt.tries {
				t.Errorf("%d requests, want %d", len(*seen), tt.tries)
			}
		})
	}
}

func TestAway(t *testing.T) {
	c, err := New(Config{
		Gateway: "s3.test", TimeScale: 0.01,
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := c.Head(ctx, "s3://boot-images/1")
		cancel()
		if !call.IsAway(err) {
			t.Fatalf("got %v", err)
		}
	}
	if !c.Service().Health().ReadsAway {
		t.Error("time-outs didn't open the breaker")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Head(ctx, "s3://boot-images/1"); err == nil {
		t.Error("no error")
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestUnsignedWithoutKeys(t *testing.T) {
	signed := make(chan string, 2)
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		signed <- r.Header.Get("Authorization")
		return &http.Response{
			StatusCode: 200, Body: io.NopCloser(strings.NewReader("")),
			Header: http.Header{"Last-Modified": {"Thu, 01 Jan 2026 00:00:00 GMT"}, "Etag": {`"a"`}},
		}, nil
	})
	for _, key := range []string{"", "some-key"} {
		c, err := New(Config{Protocol: "https", Gateway: "rgw-vip.nmn:8080", AccessKey: key, SecretKey: key, Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		if info, err := c.Head(t.Context(), "s3://boot-images/1"); err != nil || info.Size != -1 {
			t.Errorf("%+v, %v", info, err)
		}
		if got := <-signed; (got != "") != (key != "") {
			t.Errorf("with key %q: authorization %q", key, got)
		}
	}
}

func TestNewChecksTheAddress(t *testing.T) {
	for _, cfg := range []Config{{Protocol: "ftp", Gateway: "x"}, {}, {Gateway: "x/y"}, {Gateway: "ftp://x"}} {
		if _, err := New(cfg); bos.CodeOf(err) != bos.CodeInvalid {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func TestParseURL(t *testing.T) {
	tests := []struct{ path, bucket, key string }{
		{"s3://boot-images/1/kernel", "boot-images", "1/kernel"},
		{"s3://boot-images//1", "boot-images", "1"},
		{"s3://boot-images/a?b#c", "boot-images", "a?b#c"},
		{"s3://boot-images/", "", ""},
		{"s3://boot-images", "", ""},
		{"s3:///key", "", ""},
		{"s3://", "", ""},
		{"", "", ""},
		{"http://boot-images/key", "", ""},
		{"S3://boot-images/key", "", ""},
		{"s3://bad bucket/key", "", ""},
		{"s3://boot-images/a/../b", "", ""},
		{"s3://boot-images/\xff", "", ""},
	}
	for _, tt := range tests {
		bucket, key, err := ParseURL(tt.path)
		if bucket != tt.bucket || key != tt.key || (err == nil) != (tt.bucket != "") {
			t.Errorf("%q: %q, %q, %v", tt.path, bucket, key, err)
		}
		if err != nil && bos.CodeOf(err) != bos.CodeInvalid {
			t.Errorf("%q: %v", tt.path, err)
		}
	}
}
