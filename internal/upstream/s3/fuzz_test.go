// SPDX-License-Identifier: MIT

package s3

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"bos/internal/bos"
	"bos/internal/upstream/upstreamtest"
)

func FuzzParseURL(f *testing.F) {
	f.Add("s3://bucket/key")
	f.Add("s3:///")
	f.Fuzz(func(t *testing.T, path string) {
		bucket, key, err := ParseURL(path)
		if err == nil && (bucket == "" || key == "" || strings.Contains(bucket, "/") || strings.HasPrefix(key, "/")) {
			t.Errorf("%q gives %q and %q", path, bucket, key)
		}
	})
}

// headed adds headers to an answer that only S3 looks at.
type headed struct {
	http.RoundTripper
	etag, length, modified string
}

func (h headed) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Header["Etag"], resp.Header["Content-Length"], resp.Header["Last-Modified"] = []string{h.etag}, []string{h.length}, []string{h.modified}
	}
	return resp, err
}

func at(t testing.TB, rt http.RoundTripper) *Client {
	t.Helper()
	c, err := New(Config{Gateway: "secret-host.example.com", Transport: rt, TimeScale: 1e-9, AccessKey: "the-access-key", SecretKey: "the-secret-key"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func FuzzAnswers(f *testing.F) {
	const modified = "Thu, 01 Jan 2026 00:00:00 GMT"
	for _, status := range []uint16{0, upstreamtest.Number(206), upstreamtest.Number(403), upstreamtest.Number(404), upstreamtest.Number(503)} {
		f.Add(status, "application/json", []byte(`{"artifacts":[]}`), false, `"a"`, "16", modified)
		f.Add(status, "application/xml", []byte("<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"), true, "", "-1", "yesterday")
	}
	f.Fuzz(func(t *testing.T, status uint16, contentType string, body []byte, breaks bool, etag, length, modified string) {
		const limit = 64
		c := at(t, headed{upstreamtest.FuzzAnswer(status, contentType, body, breaks), etag, length, modified})
		info, err := c.Head(t.Context(), "s3://boot-images/1/kernel")
		upstreamtest.Told(t, "s3", err)
		if info.Size < -1 {
			t.Errorf("%+v", info)
		}
		data, _, err := c.Get(t.Context(), "s3://boot-images/1/manifest.json", limit)
		upstreamtest.Told(t, "s3", err)
		if len(data) > limit {
			t.Errorf("%d bytes", len(data))
		}
	})
}

func TestAnswersThatNeverEnd(t *testing.T) {
	const limit = 1 << 20
	e := &upstreamtest.Endless{Rest: "endless "}
	_, _, err := at(t, headed{e, `"a"`, "", "Thu, 01 Jan 2026 00:00:00 GMT"}).Get(context.Background(), "s3://boot-images/1/manifest.json", limit)
	if bos.CodeOf(err) != bos.CodeTooLarge || e.Count > 2*limit {
		t.Errorf("%v after %d bytes", err, e.Count)
	}
}
