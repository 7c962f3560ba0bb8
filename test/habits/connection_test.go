// SPDX-License-Identifier: MIT

package habits

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// A connection carries one request after the other, also after refusals and
// after bodies that nobody wanted; and several that were sent at once.
func TestKeepAlive(t *testing.T) {
	s := filled(t)
	c := s.dial(t)
	for range 3 {
		for _, r := range []struct {
			head, body string
			status     int
		}{
			{"GET /v2 HTTP/1.1", "", 200}, {"GET /nope HTTP/1.1", "", 404}, {"BREW /v2 HTTP/1.1", "", 405}, {"GET /v2/components HTTP/1.1", "ignored", 200},
			{"PUT /v2/components/x1 HTTP/1.1", "{", 400}, {"PUT /v2/components/x1 HTTP/1.1\r\nContent-Type: text/plain", "not read", 415},
			{"DELETE /v2/components/none HTTP/1.1", "x", 404}, {"HEAD /v2/components HTTP/1.1", "", 200}, {"OPTIONS /v2 HTTP/1.1", "", 200},
		} {
			c.send(fmt.Sprintf("%s\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", r.head, len(r.body), r.body))
			method, _, _ := strings.Cut(r.head, " ")
			if got := c.receive(method).wants(r.status); got.header.Get("Connection") == "close" {
				t.Errorf("%s closes the connection", r.head)
			}
		}
	}
	c.send(strings.Repeat("GET /v2/components/x1 HTTP/1.1\r\nHost: h\r\n\r\n", 20))
	for range 20 {
		c.receive("GET").wants(200)
	}
	c.send("GET /v2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	c.receive("GET").wants(200)
	if _, err := c.r.ReadByte(); err == nil {
		t.Error("the connection stays open though the client asked to close it")
	}
}

// The usual client gets one connection for all of its requests.
func TestConnectionIsReused(t *testing.T) {
	s := filled(t)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for i := range 10 {
		reused := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
		r, err := http.NewRequestWithContext(ctx, "GET", s.URL()+"/v2/components", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if reused != (i > 0) {
			t.Errorf("request %d: reused %t", i, reused)
		}
	}
}

func TestHTTP10(t *testing.T) {
	s := filled(t)
	for _, path := range []string{"/v2", "/v2/components", "/v2/sessions"} {
		c := s.dial(t)
		c.send("GET " + path + " HTTP/1.0\r\n\r\n")
		got := c.receive("GET").wants(200)
		if got.header.Get("Transfer-Encoding") != "" || len(got.body) == 0 {
			t.Errorf("%s: %v %q", path, got.header, got.body)
		}
		if _, err := c.r.ReadByte(); err == nil {
			t.Errorf("%s: the connection stays open", path)
		}
	}
	c := s.dial(t)
	for range 3 {
		c.send("GET /v2/components HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
		if got := c.receive("GET").wants(200); got.length < 0 || got.header.Get("Connection") != "keep-alive" {
			t.Errorf("length %d, %v", got.length, got.header)
		}
	}
	c.send("PUT /v2/components/x9 HTTP/1.0\r\nContent-Length: 13\r\n\r\n" + `{"error":"e"}`)
	c.receive("PUT").is(`{"id":"x9","error":"e"}`)
	c = s.dial(t)
	c.send("GET / HTTP/1.0\r\n\r\n")
	c.receive("GET").is(`[{"major":"2","minor":"50","patch":"0","links":[{"rel":"self","href":"/"}]}]`)
}

func TestChunkedBodies(t *testing.T) {
	s := start(t, nil)
	for _, chunks := range []string{
		"d\r\n{\"error\":\"e\"}\r\n0\r\n\r\n",
		"1\r\n{\r\n00c\r\n\"error\":\"e\"}\r\n0\r\n\r\n",
		"D;ext=1\r\n{\"error\":\"e\"}\r\n0\r\nTrailer: x\r\n\r\n",
		bytewise(`{"error":"e"}`),
	} {
		s.request(t, "PUT /v2/components/x1\nTransfer-Encoding: chunked\n\n"+chunks).is(`{"id":"x1","error":"e"}`)
	}
	for _, chunks := range []string{"zz\r\n", "0\r\n\r\n", "-1\r\n{}\r\n0\r\n\r\n"} {
		s.request(t, "PUT /v2/components/x1\nTransfer-Encoding: chunked\n\n"+chunks).wants(400)
	}
}

// bytewise sends a text in chunks of one byte.
func bytewise(text string) string {
	var out strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&out, "1\r\n%s\r\n", text[i:i+1])
	}
	return out.String() + "0\r\n\r\n"
}

// A client that waits for leave to send its body gets it, or the refusal.
func TestExpectContinue(t *testing.T) {
	s := start(t, nil)
	c := s.dial(t)
	for range 2 {
		c.send("PUT /v2/components/x1 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 13\r\n\r\n")
		line, err := c.r.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
			t.Fatalf("%q, %v", line, err)
		}
		if line, err = c.r.ReadString('\n'); err != nil || line != "\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
		c.send(`{"error":"e"}`)
		c.receive("PUT").is(`{"id":"x1","error":"e"}`)
	}
	for head, status := range map[string]int{
		"PUT /nope": 404, "PUT /v2/sessions": 405, "PUT /v2/components/x1?a=%zz": 400, "PUT /v2/components/x1\nContent-Type: text/plain": 415,
		"PUT /v2/components/x1\nCray-Tenant-Name: none": 400,
	} {
		c := s.dial(t)
		c.send(strings.Replace(head, "\n", " HTTP/1.1\r\n", 1))
		if !strings.Contains(head, "\n") {
			c.send(" HTTP/1.1")
		}
		c.send("\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 13\r\n\r\n")
		if strings.Contains(head, "Tenant") {
			// The body is looked at before the tenant.
			if line, err := c.r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
				t.Fatalf("%s: %q, %v", head, line, err)
			}
			_, _ = c.r.ReadString('\n')
			c.send(`{"error":"e"}`)
		}
		c.receive("PUT").wants(status)
	}
}

// Answers come compressed to those who ask for it, in what they like best.
func TestCompression(t *testing.T) {
	s := start(t, nil)
	var list strings.Builder
	for i := range 500 {
		fmt.Fprintf(&list, `{"id":"x%04d","error":"a text that is the same for all"},`, i)
	}
	s.request(t, "PUT /v2/components\n\n["+strings.TrimSuffix(list.String(), ",")+"]").wants(200)
	plain := s.request(t, "GET /v2/components").wants(200)
	if plain.header.Get("Content-Encoding") != "" || plain.length != int64(len(plain.body)) {
		t.Fatalf("not asked for: %v", plain.header)
	}
	for accepted, coding := range map[string]string{
		"gzip": "gzip", "gzip, deflate": "gzip", "gzip,deflate,br": "gzip", "GZIP": "gzip", "deflate, gzip;q=0.5": "gzip", "gzip;q=1.0": "gzip",
		"gzip, zstd": "zstd", "gzip;q=1, zstd;q=0.5": "gzip", "gzip;q=0.2, zstd;q=0.5": "zstd", "zstd": "zstd", "gzip;q=0, zstd": "zstd",
		"": "", "identity": "", "gzip;q=0": "", "gzip;q=0.0, identity": "", "br": "", "deflate": "", "*;q=0": "", "gzip;q=0,zstd;q=0": "", "nonsense, ;;": "",
	} {
		got := s.request(t, "GET /v2/components\nAccept-Encoding: "+accepted).wants(200)
		if got.header.Get("Content-Encoding") != coding || got.header.Get("Vary") != "Accept-Encoding" || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%q: %v", accepted, got.header)
			continue
		}
		if text := expand(t, coding, got.body); text != string(plain.body) {
			t.Errorf("%q: another text", accepted)
		}
		if coding != "" && len(got.body) > len(plain.body)/5 {
			t.Errorf("%q: %d bytes of %d", accepted, len(got.body), len(plain.body))
		}
		if head := s.request(t, "HEAD /v2/components\nAccept-Encoding: "+accepted).wants(200); len(head.body) != 0 || head.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: HEAD: %v %q", accepted, head.header, head.body)
		}
	}
	// Short answers, problems and answers without a body stay as they are.
	for request, status := range map[string]int{"GET /v2": 200, "GET /nope": 404, "GET /v2/components/x0001": 200, "DELETE /v2/components/x0002": 204, "OPTIONS /v2": 200} {
		if got := s.request(t, request+"\nAccept-Encoding: gzip").wants(status); got.header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %v", request, got.header)
		}
	}
	// What is compressed already is not compressed again.
	got := s.request(t, "GET /metrics\nAccept-Encoding: gzip").wants(200)
	if text := expand(t, got.header.Get("Content-Encoding"), got.body); !strings.Contains(text, "bos_components") {
		t.Errorf("metrics: %v %.100q", got.header, text)
	}
	// An HTTP/1.0 client may ask too; the end of the connection ends the answer.
	c := s.dial(t)
	c.send("GET /v2/components HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
	if text := expand(t, "gzip", c.receive("GET").wants(200).body); len(text) >= len(plain.body) {
		t.Errorf("HTTP/1.0: %d bytes", len(text))
	}
}

// expand undoes a coding.
func expand(t *testing.T, coding string, body []byte) string {
	t.Helper()
	var r io.Reader = bytes.NewReader(body)
	switch coding {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		r = z
	case "zstd":
		z, err := zstd.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		r = z
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Times are UTC without a zone and without fractions.
func TestTimes(t *testing.T) {
	s := filled(t)
	s.request(t, "PATCH /v2/components/x3\n\n"+`{"actual_state":{"bss_token":"a"},"desired_state":{"configuration":"c"},"staged_state":{"configuration":"c"},"last_action":{"failed":false}}`).wants(200)
	stamps := regexp.MustCompile(`"(?:last_updated|start_time)":"([^"]*)"`)
	form := regexp.MustCompile(`^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d$`)
	for path, want := range map[string]int{"/v2/components/x3": 3, "/v2/sessions/s": 1, "/v2/sessions/s/status": 1} {
		found := stamps.FindAllStringSubmatch(strings.ReplaceAll(string(s.request(t, "GET "+path).wants(200).body), `": "`, `":"`), -1)
		if len(found) != want {
			t.Errorf("%s: %d times, want %d: %q", path, len(found), want, found)
		}
		for _, m := range found {
			if !form.MatchString(m[1]) {
				t.Errorf("%s: %s", path, m[1])
			}
		}
	}
}

// A client that goes away in the middle of its request harms nobody.
func TestClientGoesAway(t *testing.T) {
	s := filled(t)
	for _, text := range []string{
		"", "GET", "GET /v2/components HTTP/1.1\r\nHost: h\r\n", "PUT /v2/components/x1 HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{\"error\":\"gone\"",
		"PUT /v2/components/x1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{", "GET /v2/components HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		c := s.dial(t)
		c.send(text)
		_ = c.Close()
	}
	s.request(t, "GET /v2/components/x1").wants(200)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", s.URL()+"/v2/components", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
		_ = resp.Body.Close()
		t.Error("an answer to a request that was given up")
	}
}
