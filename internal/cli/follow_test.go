// SPDX-License-Identifier: MIT

package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wire carries requests to a handler without a network, so that time is
// virtual.
type wire struct {
	handler http.HandlerFunc
	running sync.WaitGroup
}

// RoundTrip implements [http.RoundTripper]. What is written is read at once.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	in, out := io.Pipe()
	answer := &wireAnswer{header: http.Header{}, status: make(chan int, 1), body: out}
	w.running.Go(func() {
		w.handler(answer, req)
		answer.WriteHeader(http.StatusOK)
		out.Close()
	})
	context.AfterFunc(req.Context(), func() { out.CloseWithError(req.Context().Err()) })
	select {
	case status := <-answer.status:
		if status == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		return &http.Response{StatusCode: status, Header: answer.header, Body: in, Request: req}, nil
	case <-req.Context().Done():
		in.Close()
		return nil, req.Context().Err()
	}
}

// wireAnswer is the answer to a request over a wire. A status of 0 cuts it.
type wireAnswer struct {
	header http.Header
	once   sync.Once
	status chan int
	body   *io.PipeWriter
}

func (a *wireAnswer) Header() http.Header { return a.header }

func (a *wireAnswer) WriteHeader(status int) { a.once.Do(func() { a.status <- status }) }

func (a *wireAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// outcomeText is an outcome in JSON.
func outcomeText(status string, succeeded, booting int) string {
	ended := "null"
	if status == "complete" {
		ended = `"succeeded"`
	}
	return fmt.Sprintf(`{"session":"s1","tenant":"","operation":"boot","template_name":"t","status":%q,"outcome":%s,`+
		`"start_time":"2000-01-01T00:00:00","counts":{"total":%d,"succeeded":%d,"booting":%d},"failures":[],"slowest":[]}`,
		status, ended, succeeded+booting, succeeded, booting)
}

func sessionMessage(id int, outcome string) string {
	return fmt.Sprintf("id: %d\nevent: session\ndata: {\"deleted\":false,\"session\":{\"name\":\"s1\"},\"outcome\":%s}\n\n", id, outcome)
}

// watchOver runs bos watch s1 against a handler, in virtual time that begins
// with the year 2000.
func watchOver(t *testing.T, handler http.HandlerFunc) (status int, stdout, stderr string) {
	t.Helper()
	over := &wire{handler: handler}
	var out, errs bytes.Buffer
	status = Main(t.Context(), System{
		Args: []string{"watch", "s1", "--url", "http://bos"}, Stdout: &out, Stderr: &errs,
		Getenv: func(string) string { return "" }, Now: time.Now, Transport: over,
	})
	over.running.Wait()
	return status, out.String(), errs.String()
}

// A connection that breaks off is made again, from where it was; in between the
// server may be away, and then refuse to answer for a while.
func TestWatchResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		stream := 0
		status, stdout, stderr := watchOver(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/outcome") {
				respond(w, http.StatusOK, jsonText(outcomeText("running", 0, 4)))
				return
			}
			asked = append(asked, fmt.Sprintf("%s after %q", time.Since(time.Unix(946684800, 0)), r.Header.Get("Last-Event-ID")))
			stream++
			switch stream {
			case 1:
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, "id: 41\nevent: reset\ndata: {}\n\n"+sessionMessage(42, outcomeText("running", 1, 3))+"id: 43\nevent: ses")
			case 2:
				w.WriteHeader(0)
			case 3:
				respond(w, http.StatusServiceUnavailable, problem(503, "Service Unavailable", "the store is away"))
			default:
				w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
				_, _ = io.WriteString(w, ": well\r\n\r\n"+strings.ReplaceAll(sessionMessage(44, outcomeText("complete", 4, 0)), "\n", "\r\n"))
				<-r.Context().Done()
			}
		})
		if status != exitOK || stderr != "" {
			t.Errorf("exit status %d: %s", status, stderr)
		}
		want := []string{`0s after ""`, `1s after "42"`, `3s after "42"`, `7s after "42"`}
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Error(diff)
		}
		wantLines := `2000-01-01 00:00:00  s1: running: 0 of 4 nodes done (4 booting)
2000-01-01 00:00:00  s1: running: 1 of 4 nodes done (3 booting, 1 succeeded)
2000-01-01 00:00:00  cannot reach BOS at http://bos: the connection was closed before the answer was complete; again in 1s
2000-01-01 00:00:01  cannot reach BOS at http://bos: the connection was closed before the answer was complete; again in 2s
2000-01-01 00:00:03  Service Unavailable: the store is away; again in 4s
2000-01-01 00:00:07  s1: succeeded: 4 of 4 nodes done (4 succeeded), took 7s
`
		if diff := cmp.Diff(strings.Split(wantLines, "\n"), strings.Split(stdout, "\n")); diff != "" {
			t.Error(diff)
		}
	})
}

// The original has neither events nor outcomes: it is asked for the status.
func TestWatchPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		status, stdout, stderr := watchOver(t, func(w http.ResponseWriter, r *http.Request) {
			state, far := "running", `25},"percent_successful":50`
			if asked >= 2 {
				state, far = "complete", `0},"percent_successful":100`
			}
			switch r.URL.Path {
			case "/v2/sessions/s1":
				respond(w, http.StatusOK, jsonText(`{"name":"s1","tenant":null,"operation":"boot","template_name":"t",
					"status":{"start_time":"2000-01-01T00:00:00","end_time":null,"status":"`+state+`","error":null}}`))
			case "/v2/sessions/s1/status":
				asked++
				respond(w, http.StatusOK, jsonText(`{"managed_components_count":4,"phases":{"percent_powering_on":`+
					far+`,"error_summary":{}}`))
			default:
				respond(w, http.StatusNotFound, problem(404, "Not Found", "no such path"))
			}
		})
		if status != exitOK || stderr != "" {
			t.Errorf("exit status %d: %s", status, stderr)
		}
		want := `2000-01-01 00:00:00  s1: running: 2 of 4 nodes done (1 waiting, 1 powering on, 2 succeeded)
2000-01-01 00:00:00  the server tells no events; it is asked every 3s
2000-01-01 00:00:06  s1: succeeded: 4 of 4 nodes done (4 succeeded), took 6s
`
		if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(stdout, "\n")); diff != "" {
			t.Error(diff)
		}
	})
}

// A gateway may keep a stream back for ever: the server is asked all the same.
func TestWatchAsksWhenAllIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Duration
		begun := time.Now()
		status, _, stderr := watchOver(t, func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/outcome") {
				w.Header().Set("Content-Type", "text/event-stream")
				w.WriteHeader(http.StatusOK)
				<-r.Context().Done()
				return
			}
			asked = append(asked, time.Since(begun))
			switch len(asked) {
			case 1:
				respond(w, http.StatusOK, jsonText(outcomeText("running", 1, 3)))
			case 2:
				w.WriteHeader(0)
			default:
				respond(w, http.StatusOK, jsonText(outcomeText("complete", 4, 0)))
			}
		})
		if status != exitOK || stderr != "" {
			t.Errorf("exit status %d: %s", status, stderr)
		}
		if diff := cmp.Diff([]time.Duration{0, 10 * time.Second, 20 * time.Second}, asked); diff != "" {
			t.Error(diff)
		}
	})
}

// What can't be mended ends the watch: who may not, and a session that is no
// more.
func TestWatchEnds(t *testing.T) {
	tests := []struct {
		name, message string
		status, exit  int
		want          string
	}{
		{"denied", "", http.StatusForbidden, exitProblem, "bos: Forbidden: not you"},
		{"deleted", "event: session\ndata: {\"deleted\":true,\"session\":{\"name\":\"s1\"}}\n\n", 0, exitUsage, "bos: the session s1 was deleted"},
		{"nonsense", "event: session\ndata: {\n\n", 0, exitUsage, "bos: the answer is not what was expected"},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			status, _, stderr := watchOver(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/outcome"):
					respond(w, http.StatusOK, jsonText(outcomeText("running", 1, 3)))
				case test.status != 0:
					respond(w, test.status, problem(test.status, http.StatusText(test.status), "not you"))
				default:
					w.Header().Set("Content-Type", "text/event-stream")
					_, _ = io.WriteString(w, test.message)
					<-r.Context().Done()
				}
			})
			if status != test.exit || !strings.HasPrefix(stderr, test.want) {
				t.Errorf("%s: exit status %d: %s", test.name, status, stderr)
			}
		})
	}
}

// jsonText is a document that is written as it is.
type jsonText string

// MarshalJSON implements [json.Marshaler].
func (j jsonText) MarshalJSON() ([]byte, error) { return []byte(j), nil }
