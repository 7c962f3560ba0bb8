// SPDX-License-Identifier: MIT

package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"bos/internal/bos"
	"bos/internal/store"
)

// following is a client of a stream.
type following struct {
	tb     testing.TB
	cancel context.CancelFunc
	res    *http.Response
	in     *bufio.Reader
	last   string
}

// told is one event of a stream.
type told struct {
	id, kind, data string
}

// follow opens a stream; headers are pairs.
func (s *site) follow(tenant, query string, headers ...string) *following {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v2/events"+query, nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if tenant != "" {
		r.Header.Set("Cray-Tenant-Name", tenant)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.client.Do(r)
	if err != nil {
		s.tb.Fatal(err)
	}
	f := &following{tb: s.tb, cancel: cancel, res: res, in: bufio.NewReader(res.Body)}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Content-Encoding") != "" {
		s.tb.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	return f
}

func (f *following) close() {
	f.cancel()
	_ = f.res.Body.Close()
}

// String writes the event as it came.
func (e told) String() string {
	id := ""
	if e.id != "" {
		id = "id: " + e.id + "\n"
	}
	return fmt.Sprintf("%sevent: %s\ndata: %s\n\n", id, e.kind, e.data)
}

// next reads the next event.
func (f *following) next() told {
	f.tb.Helper()
	var e told
	for {
		line, err := f.in.ReadString('\n')
		if err != nil {
			f.tb.Fatalf("the stream ended: %v", err)
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			if e.kind != "" {
				if e.id != "" {
					f.last = e.id
				}
				return e
			}
			continue
		}
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.kind = value
		case "data":
			e.data = value
		}
	}
}

// until reads on until an event of a kind has some words in its data.
func (f *following) until(kind, words string) told {
	f.tb.Helper()
	for {
		if e := f.next(); e.kind == kind && strings.Contains(e.data, words) {
			return e
		}
	}
}

// snapshot reads the beginning of a stream, up to the event with the id.
func (f *following) snapshot() (kinds []string, last told) {
	f.tb.Helper()
	for {
		e := f.next()
		kinds = append(kinds, e.kind)
		if e.id != "" {
			return kinds, e
		}
	}
}

func streamed(t *testing.T) *site {
	t.Helper()
	s := start(t, nil)
	s.tenants.nodes["blue"] = []string{"a1", "a2"}
	s.tenants.nodes["red"] = []string{"r1"}
	s.do("PUT", "/v2/sessiontemplates/t", `{"boot_sets":{"c":`+bootSet+`}}`).wants(200)
	s.do("PUT", "/v2/components", `[{"id":"a1","enabled":false},{"id":"a2","enabled":false},{"id":"r1","enabled":false}]`).wants(200)
	return s
}

// A stream begins with everything as it is, and goes on with what happens.
func TestStream(t *testing.T) {
	s := streamed(t)
	f := s.follow("", "?kinds=sessions,components,fleet,events", "Accept-Encoding", "gzip, zstd")
	defer f.close()
	kinds, last := f.snapshot()
	if got := strings.Join(kinds, " "); got != "reset component component component fleet" {
		t.Errorf("the snapshot has %s", got)
	}
	var sums fleetData
	if err := json.Unmarshal([]byte(last.data), &sums); err != nil || sums.Total != 3 || sums.Enabled != 0 || sums.ByStatus["stable"] != 3 || sums.ByPhase[""] != 3 {
		t.Errorf("%s, %v", last.data, err)
	}

	s.do("POST", "/v2/sessions", `{"operation":"boot","template_name":"t","name":"s"}`).wants(201)
	e := f.until("session", `"name":"s"`)
	var session struct {
		Deleted bool
		Session bos.Session
		Outcome struct{ Status string }
	}
	if err := json.Unmarshal([]byte(e.data), &session); err != nil || session.Deleted || session.Outcome.Status != "pending" || e.id == "" {
		t.Errorf("%+v, %v", e, err)
	}
	s.events.Flush(t.Context())
	happened := f.until("event", "session_created")
	var event bos.Event
	if err := json.Unmarshal([]byte(happened.data), &event); err != nil || strconv.FormatInt(event.Revision, 10) != happened.id {
		t.Errorf("%+v, %v", happened, err)
	}
	s.do("PATCH", "/v2/components/a1", `{"session":"s","enabled":true}`).wants(200)
	f.until("component", `"status":"on_hold"`)
	// Its session has a node now, and so has the fleet one that is enabled.
	f.until("session", `"total":1`)
	f.until("fleet", `"enabled":1`)
	s.do("DELETE", "/v2/components/a2", "").wants(204)
	if e := f.until("component", `"deleted":true`); !strings.Contains(e.data, `"id":"a2"`) {
		t.Error(e)
	}
	s.do("DELETE", "/v2/sessions/s", "").wants(204)
	if e := f.until("session", `"deleted":true`); e.data != `{"deleted":true,"session":{"name":"s","tenant":null}}` {
		t.Error(e)
	}
}

// Who comes back is told what has changed since, deletions too, and nothing
// else; with an id that says nothing the stream begins anew.
func TestResume(t *testing.T) {
	s := streamed(t)
	f := s.follow("", "?kinds=sessions,components,events")
	_, last := f.snapshot()
	f.close()
	s.do("DELETE", "/v2/components/a2", "").wants(204)
	s.do("PATCH", "/v2/components/a1", `{"error":"new"}`).wants(200)
	s.do("POST", "/v2/sessions", `{"operation":"boot","template_name":"t","name":"s"}`).wants(201)
	s.events.Flush(t.Context())
	want := []string{`component {"deleted":false,"component":{"enabled":false,"error":"new","id":"a1"`, `session {"deleted":false`, "event ", `component {"deleted":true,"component":{"id":"a2"}}`}
	for _, with := range [][2]string{{"", last.id}, {"&last_event_id=" + last.id, ""}} {
		again := s.follow("", "?kinds=sessions,components,events"+with[0], "Last-Event-ID", with[1])
		got := ""
		for range want {
			e := again.next()
			got += e.kind + " " + e.data + "\n"
		}
		for _, line := range want {
			if !strings.Contains(got, line) {
				t.Errorf("%q is not told:\n%s", line, got)
			}
		}
		again.close()
	}
	for id, reason := range map[string]string{
		"x": "none of this stream", "-1": "none of this stream", "99999999": "not known here",
	} {
		f := s.follow("", "?kinds=events", "Last-Event-ID", id)
		if e := f.next(); e.kind != "reset" || !strings.Contains(e.data, reason) || e.id == "" {
			t.Errorf("%s: %+v", id, e)
		}
		f.close()
	}
}

// A process that has read the store after the id looks into the store's history;
// when that is gone, the stream begins anew.
func TestResumeFromHistory(t *testing.T) {
	s := streamed(t)
	f := s.follow("", "?kinds=components")
	_, last := f.snapshot()
	f.close()
	s.do("DELETE", "/v2/components/a2", "").wants(204)
	at := s.server.view.Revision()
	// The view reads the store anew, as that of another replica would.
	forget := func(compacted int64) {
		s.engine.Interrupt(func() { s.engine.Compact(compacted) })
		s.do("PATCH", "/v2/components/a1", `{"error":"`+strconv.FormatInt(compacted, 10)+`"}`).wants(200)
		if _, err := s.store.PutDoc(t.Context(), store.KeyOptions, bos.DefaultOptions(), nil); err != nil {
			t.Fatal(err)
		}
	}
	other := startOver(t, nopClose{s.engine}, nil)
	g := other.follow("", "?kinds=components", "Last-Event-ID", last.id)
	if e := g.until("component", `"id":"a2"`); !strings.Contains(e.data, `"deleted":true`) {
		t.Error(e)
	}
	g.close()
	forget(at)
	third := startOver(t, nopClose{s.engine}, nil)
	h := third.follow("", "?kinds=components", "Last-Event-ID", last.id)
	if e := h.next(); e.kind != "reset" || !strings.Contains(e.data, "too old") {
		t.Errorf("%+v", e)
	}
	h.close()
}

// A tenant is told of its own nodes, sessions and events, and of the others not
// even that there is something.
func TestStreamOfATenant(t *testing.T) {
	s := streamed(t)
	f := s.follow("blue", "?kinds=sessions,components,fleet,events")
	defer f.close()
	kinds, last := f.snapshot()
	if got := strings.Join(kinds, " "); got != "reset component component fleet" || !strings.Contains(last.data, `"total":2`) {
		t.Errorf("the snapshot has %s: %s", got, last.data)
	}
	s.as("red", "PATCH", "/v2/components/r1", `{"error":"red"}`).wants(200)
	s.do("PATCH", "/v2/components/r1", `{"enabled":true}`).wants(200)
	s.do("POST", "/v2/sessions", `{"operation":"boot","template_name":"t","name":"nobodys"}`).wants(201)
	s.events.Flush(t.Context())
	s.as("blue", "PATCH", "/v2/components/a1", `{"error":"blue"}`).wants(200)
	if e := f.next(); e.kind != "component" || !strings.Contains(e.data, `"error":"blue"`) {
		t.Errorf("told of something else: %+v", e)
	}
	for _, tenant := range []string{"none"} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v2/events", nil)
		r.Header.Set("Accept", "text/event-stream")
		r.Header.Set("Cray-Tenant-Name", tenant)
		s.send(r).problem(400, "Invalid tenant")
	}
}

// What is followed can be narrowed to a session and to nodes.
func TestNarrowStreams(t *testing.T) {
	s := streamed(t)
	s.do("POST", "/v2/sessions", `{"operation":"boot","template_name":"t","name":"s"}`).wants(201)
	s.do("POST", "/v2/sessions", `{"operation":"boot","template_name":"t","name":"u"}`).wants(201)
	s.do("PATCH", "/v2/components", `[{"id":"a1","session":"s"},{"id":"a2","session":"u"}]`).wants(200)
	s.events.Flush(t.Context())
	f := s.follow("", "?session=s&kinds=sessions,components,fleet,events")
	defer f.close()
	kinds, last := f.snapshot()
	if got := strings.Join(kinds, " "); got != "reset session component fleet" || !strings.Contains(last.data, `"total":1`) {
		t.Errorf("the snapshot has %s: %s", got, last.data)
	}
	g := s.follow("", "?component=a[1-2]&kinds=components")
	defer g.close()
	if kinds, _ := g.snapshot(); strings.Join(kinds, " ") != "reset component component" {
		t.Errorf("the snapshot has %v", kinds)
	}
	// A node that another session takes is gone.
	s.do("PATCH", "/v2/components/a1", `{"session":"u"}`).wants(200)
	if e := f.until("component", ""); !strings.Contains(e.data, `"deleted":true`) {
		t.Error(e)
	}
	for _, query := range []string{"?kinds=sessions,nonsense", "?component=a%5B1"} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v2/events"+query, nil)
		r.Header.Set("Accept", "text/event-stream")
		s.send(r).problem(400, "Bad Request", "query parameter")
	}
	head := s.do("HEAD", "/v2/events", "", "Accept", "text/event-stream")
	if head.status != 200 || head.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%d %v", head.status, head.header)
	}
}

// Streams end when the server is to end.
func TestStreamsEnd(t *testing.T) {
	closing := make(chan struct{})
	s := start(t, func(c *Config) { c.Closing = closing })
	s.do("PUT", "/v2/components/a1", `{"enabled":false}`).wants(200)
	f := s.follow("", "")
	defer f.close()
	f.snapshot()
	close(closing)
	if rest, err := io.ReadAll(f.in); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

// Whatever is written while a client follows, it ends up with what is so.
func TestStreamConverges(t *testing.T) {
	s := streamed(t)
	f := s.follow("", "?kinds=components")
	defer f.close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range 200 {
			id := []string{"a1", "a2", "r1"}[n%3]
			s.do("PATCH", "/v2/components/"+id, fmt.Sprintf(`{"error":"%d"}`, n)).wants(200)
		}
	}()
	seen := map[string]string{}
	for seen["a1"] != "198" || seen["a2"] != "199" || seen["r1"] != "197" {
		e := f.next()
		if e.kind != "component" {
			continue
		}
		var doc struct{ Component struct{ ID, Error string } }
		if err := json.Unmarshal([]byte(e.data), &doc); err != nil {
			t.Fatal(err)
		}
		seen[doc.Component.ID] = doc.Component.Error
	}
	<-done
}

// nopClose is a store that somebody else closes.
type nopClose struct{ store.Engine }

// Close closes nothing.
func (nopClose) Close() error { return nil }
