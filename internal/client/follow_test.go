// SPDX-License-Identifier: MIT

package client

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadMessage(t *testing.T) {
	stream := ": a comment\n\n" +
		"id: 1\nevent: session\ndata: {\"a\":\ndata: 1}\nretry: 5\n\n" +
		"event: lost, since it has no data\n\n" +
		"data:{}\r\n\r\n" +
		"id: 2\nevent: session\ndata: {"
	in := bufio.NewReaderSize(strings.NewReader(stream), 16)
	var got []Message
	for {
		m, err := readMessage(in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m)
	}
	want := []Message{{ID: "1", Kind: "session", Data: []byte("{\"a\":\n1}")}, {Data: []byte("{}")}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := readLine(bufio.NewReaderSize(strings.NewReader(strings.Repeat("x", 100)), 16), 50); err == nil {
		t.Error("a line without end was read")
	}
}

func TestFollow(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "text/event-stream" || r.Header.Get("Last-Event-ID") != "7" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"events": []}`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "id: 8\ndata: {}\n\n")
	})
	if _, err := c.Follow(t.Context(), nil, ""); !IsUnsupported(err) {
		t.Errorf("an answer that is no stream is no lack of one: %v", err)
	}
	messages, err := c.Follow(t.Context(), nil, "7")
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for m, err := range messages {
		var lost *ConnectionError
		if err != nil && !errors.As(err, &lost) {
			t.Errorf("the end of a stream is %v", err)
		}
		ids = append(ids, m.ID)
	}
	if diff := cmp.Diff([]string{"8", ""}, ids); diff != "" {
		t.Error(diff)
	}
}

func TestIsUnsupported(t *testing.T) {
	for _, test := range []struct {
		status int
		title  string
		want   bool
	}{
		{http.StatusNotFound, "Not Found", true},
		{http.StatusNotFound, "404 Not Found", true},
		{http.StatusNotFound, "The resource was not found", false},
		{http.StatusMethodNotAllowed, "Method Not Allowed", true},
		{http.StatusBadRequest, "Bad Request", false},
		{http.StatusServiceUnavailable, "Service Unavailable", false},
	} {
		if got := IsUnsupported(&Problem{Status: test.status, Title: test.title}); got != test.want {
			t.Errorf("%d %s: %v", test.status, test.title, got)
		}
	}
	if IsUnsupported(nil) || IsUnsupported(io.EOF) {
		t.Error("no answer is taken for one")
	}
}
